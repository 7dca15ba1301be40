//! Generative adversarial networks: training, samples, and metrics of samples.
//!
//! Methods are pure functions; [`stages`] are their kinds in pipelines. Networks, losses and the update are in
//! [`sconce_models::networks::dcgan`].

mod course;
mod latent;
mod sample;
pub mod stages;
mod task;
mod train;
mod verdict;

pub use stages::KINDS;
