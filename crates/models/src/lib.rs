//! Networks with named taps, initialisation, losses, optimisers, the training loop.

#![cfg_attr(
    test,
    allow(clippy::disallowed_methods, reason = "variables tell tests where real data lie")
)]

pub mod average;
pub mod device;
pub mod images;
pub mod init;
pub mod networks;
pub mod optim;
mod parameters;
mod pth;
pub mod schedule;
pub mod stages;
mod tensors;
pub mod train;
pub mod variables;

pub use device::device;
pub use networks::{
    Architecture, Fitted, Group, LastLayer, NETWORKS, Network, Parameter, Pass, Rectifier,
    Trainable, architecture, check_size, fit, from_tensors, load,
};
pub use parameters::parameter_table;
pub use pth::Checkpoint;
pub use stages::KINDS;
pub use tensors::Tensors;
