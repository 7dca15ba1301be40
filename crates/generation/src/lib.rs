//! Generative adversarial networks: training, samples, and metrics of samples.
//!
//! Methods are pure functions; [`stages`] are their kinds in pipelines. Networks, losses and the update are in
//! [`sconce_models::networks::dcgan`].

pub mod altered;
mod course;
mod latent;
pub mod metrics;
mod sample;
pub mod stages;
mod task;
#[cfg(test)]
mod testing;
mod train;
mod verdict;

pub use stages::KINDS;
