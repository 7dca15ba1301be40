//! Explaining and fooling networks: the saliency family, how good a map is, adversarial images, class visualisation.

pub mod model;
pub mod stages;

pub use model::{Model, Objective};
pub use stages::KINDS;
