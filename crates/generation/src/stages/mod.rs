//! The kinds of this crate: one file each.

mod alter_images;
mod generate;
mod generation_metrics;
mod nearest_images;
mod train_gan;

use sconce_core::{Error, Kind, Result};
use sconce_data::Examples;

pub use alter_images::{AlterImages, Alteration, Distribution};
pub use generate::{Arrangement, Generate};
pub use generation_metrics::{GenerationMetrics, Measure};
pub use nearest_images::NearestImages;
pub use train_gan::{DiscriminatorParameters, GeneratorParameters, TrainGan};

/// The kinds of this crate.
pub const KINDS: &[Kind] = &[
    Kind::of::<TrainGan>(),
    Kind::of::<Generate>(),
    Kind::of::<AlterImages>(),
    Kind::of::<GenerationMetrics>(),
    Kind::of::<NearestImages>(),
];

/// The examples of the split called `split`, all where it is empty; at least one. The error names the parameter `key`.
pub(crate) fn places(examples: &Examples, key: &str, split: &str) -> Result<Vec<usize>> {
    let places = match split {
        "" => (0..examples.len()).collect(),
        split => {
            examples.in_split(split).map_err(|error| Error::parameter(key, error.to_string()))?
        }
    };
    match (places.is_empty(), split) {
        (false, _) => Ok(places),
        (true, "") => Err(Error::parameter(key, "expected at least one image")),
        (true, split) => Err(Error::parameter(key, format!("no image in the split `{split}`"))),
    }
}

/// The default of parameters called `split`.
fn train() -> String {
    "train".to_owned()
}

/// The default of parameters called `test_split`.
fn test() -> String {
    "test".to_owned()
}

#[cfg(test)]
mod tests;
