//! Networks with named taps, initialisation, losses, optimisers, the training loop.

mod architecture;
mod backbone;
mod device;
mod dinov2;
#[cfg(test)]
mod generated_tests;
mod layers;
#[cfg(test)]
mod made_up_tests;
mod network;
mod parameters;
mod pth;
#[cfg(test)]
mod reference_tests;
mod squeezenet;
pub mod stages;
mod tensors;
mod vgg;

pub use crate::architecture::{Architecture, Group, Parameter};
pub use device::device;
pub use network::{Network, architecture, from_tensors, load};
pub use parameters::parameter_table;
pub use pth::read_pth;
pub use squeezenet::squeezenet1_1;
pub use stages::KINDS;
pub use tensors::Tensors;
pub use vgg::{vgg16, vgg16_features};
