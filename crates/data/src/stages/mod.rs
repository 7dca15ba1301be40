//! The kinds of stages, one file each: parameters and `run`. The methods are the modules beside.

mod deduplicate;
mod duplicates;
mod fetch;
mod image_folder;
mod mnist;
mod mnist_m;
mod numpy_images;
mod resplit;
mod svhn;
#[cfg(test)]
mod tests;
mod usps;
mod weights;

use sconce_core::Kind;

pub use deduplicate::Deduplicate;
pub use duplicates::Duplicates;
pub use fetch::Fetch;
pub use image_folder::ImageFolder;
pub use mnist::Mnist;
pub use mnist_m::{Backgrounds, MnistM};
pub use numpy_images::NumpyImages;
pub use resplit::Resplit;
pub use svhn::Svhn;
pub use usps::Usps;
pub use weights::ReadWeights;

/// The kinds of this crate.
pub const KINDS: &[Kind] = &[
    Kind::of::<Fetch>(),
    Kind::of::<ImageFolder>(),
    Kind::of::<Mnist>(),
    Kind::of::<MnistM>(),
    Kind::of::<Usps>(),
    Kind::of::<Svhn>(),
    Kind::of::<NumpyImages>(),
    Kind::of::<ReadWeights>(),
    Kind::of::<Duplicates>(),
    Kind::of::<Deduplicate>(),
    Kind::of::<Resplit>(),
];
