//! Explaining and fooling networks: the saliency family, how good a map is, adversarial images, class visualisation.

#![cfg_attr(
    test,
    allow(clippy::disallowed_methods, reason = "variables tell tests where real data lie")
)]

// Explanation maps, and how good they are.
pub mod concentration;
pub mod deletion;
pub mod localise;
pub mod maps;
// Adversarial images.
pub mod attack;
pub mod model;
pub mod mosaic;
pub mod randomise;
pub mod stages;
#[cfg(test)]
mod testing;
// Pictures of a class.
pub mod visualisation;

pub use model::{Model, Objective, Of, softmax};
pub use stages::KINDS;
