//! How good generated images are: metrics of their features beside those of real images.
//!
//! They take rows of numbers ([`Samples`]), whatever network these come from, and compute in double precision. A number
//! says something beside others of the same judge, layer, preprocessing and number of samples, and no others.

pub mod classes;
pub mod distances;
pub mod frechet;
pub mod kernel_distance;
pub mod likelihood;
pub mod manifold;
pub mod memorising;
mod samples;

pub use samples::{Samples, draw};

#[cfg(test)]
pub(crate) mod testing;
