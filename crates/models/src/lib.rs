//! Networks with named taps, initialisation, losses, optimisers, the training loop.

mod device;
pub mod init;
mod networks;
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
    Architecture, Group, Network, Parameter, Pass, Rectifier, architecture, dann, dcgan,
    from_tensors, initialise, lenet5, live, load, squeezenet1_1, vgg16, vgg16_features,
    with_new_head,
};
pub use parameters::parameter_table;
pub use pth::read_pth;
pub use stages::KINDS;
pub use tensors::Tensors;
