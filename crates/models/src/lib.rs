//! Networks with named taps, initialisation, losses, optimisers, the training loop.

mod architecture;
mod device;
mod layers;
mod network;
mod parameters;
#[cfg(test)]
mod reference_tests;
mod squeezenet;
mod tensors;
mod vgg;

pub use crate::architecture::{Architecture, Group, Parameter};
pub use device::device;
pub use network::{Network, architecture, from_tensors, load};
pub use parameters::parameter_table;
pub use squeezenet::squeezenet1_1;
pub use tensors::Tensors;
pub use vgg::{vgg16, vgg16_features};
