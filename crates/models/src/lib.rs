//! Networks with named taps, initialisation, losses, optimisers, the training loop.

mod architecture;
mod backbone;
mod classes;
pub mod dann;
pub mod dcgan;
mod device;
mod dinov2;
mod efficientnet_lite;
#[cfg(test)]
mod generated_tests;
pub mod init;
mod initialise;
mod layers;
mod lenet;
#[cfg(test)]
mod made_up_tests;
mod network;
pub mod optim;
mod parameters;
mod pth;
#[cfg(test)]
mod reference_tests;
pub mod schedule;
mod squeezenet;
pub mod stages;
mod tensors;
pub mod train;
mod trainable;
pub mod variables;
mod vgg;

pub use crate::architecture::{Architecture, Group, Parameter};
pub use classes::with_new_head;
pub use device::device;
pub use initialise::{initialise, live};
pub use layers::Rectifier;
pub use lenet::lenet5;
pub use network::{Network, Pass, architecture, from_tensors, load};
pub use parameters::parameter_table;
pub use pth::read_pth;
pub use squeezenet::squeezenet1_1;
pub use stages::KINDS;
pub use tensors::Tensors;
pub use vgg::{vgg16, vgg16_features};
