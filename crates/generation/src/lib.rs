//! Generative adversarial networks: training, samples, and metrics of samples.
//!
//! Methods are pure functions; [`stages`] are their kinds in pipelines.

pub mod stages;

pub use stages::KINDS;
