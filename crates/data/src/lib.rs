//! What flows along edges and where it comes from.
//!
//! Sources: [`fetch`], [`embedded`], [`archive`]; readers: [`image_folder`], [`label_files`], [`mnist`], [`usps`], [`svhn`], [`cifar`], [`npz`], [`mat`]; what is done to
//! sets of examples: [`duplicates`], [`split`], [`mnist_m`]; and how good predictions and rankings are:
//! [`evaluation`], [`rank`]. The kinds of stages are in [`stages`].
//!
//! The artifacts: [`ImageSet`], [`Features`], [`Weights`], [`Table`], [`Figure`], [`Metrics`].

#![cfg_attr(
    test,
    allow(clippy::disallowed_methods, reason = "variables tell tests where real data lie")
)]

pub mod archive;
#[cfg(test)]
mod artifact_tests;
pub mod cifar;
pub mod classes;
pub mod duplicates;
pub mod embedded;
pub mod evaluation;
pub mod examples;
pub mod features;
pub mod fetch;
pub mod figure;
pub mod finite;
pub mod idx;
pub mod image;
pub mod image_folder;
pub mod image_set;
mod jpeg;
pub mod label_files;
pub mod mat;
pub mod metrics;
pub mod mistaken;
pub mod mnist;
pub mod mnist_m;
mod named_files;
pub mod npz;
mod place;
pub mod preprocess;
pub mod rank;
pub mod resize;
pub mod split;
pub mod split_folders;
pub mod stages;
pub mod svhn;
pub mod table;
mod tensor_file;
pub mod usps;
pub mod weights;

pub use classes::SameClasses;
pub use examples::Examples;
pub use features::{Features, FeaturesWriter};
pub use figure::Figure;
pub use image::{Color, Image};
pub use image_set::ImageSet;
pub use metrics::{Array, Metrics};
pub use preprocess::{Channels, Preprocessing};
pub use table::{Column, ColumnType, Table};
pub use weights::{Weights, WeightsInfo};
