//! The kinds of stages, one file each: parameters and `run`. The methods are the modules beside.

mod cifar_10;
mod cifar_100;
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

use sconce_core::{Context, Error, Files, Folder, Inputs, Kind, Result};

pub use cifar_10::Cifar10;
pub use cifar_100::Cifar100;
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
    Kind::of::<Cifar10>(),
    Kind::of::<Cifar100>(),
    Kind::of::<NumpyImages>(),
    Kind::of::<ReadWeights>(),
    Kind::of::<Duplicates>(),
    Kind::of::<Deduplicate>(),
    Kind::of::<Resplit>(),
];

/// Refuses an edge `files` without stages.
fn some_stage(files: &Inputs<Folder>) -> Result<()> {
    match files.edges().is_empty() {
        true => Err(Error::parameter("files", "expected at least one stage")),
        false => Ok(()),
    }
}

/// The files of all stages of an edge.
fn files_of(ctx: &Context, files: &Inputs<Folder>) -> Result<Vec<Files>> {
    Ok(ctx.inputs(files)?.into_iter().map(|from| from.artifact.0).collect())
}
