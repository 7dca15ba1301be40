//! What flows along edges and where it comes from.
//!
//! Sources: [`fetch`], [`embedded`], [`archive`]; readers: [`image_folder`], [`idx`], [`npz`]; and what is
//! done to sets of examples: [`duplicates`], [`split`]. The kinds of stages are in [`stages`].
//!
//! The artifacts: [`ImageSet`], [`Features`], [`Weights`], [`Table`], [`Figure`], [`Metrics`].

pub mod archive;
#[cfg(test)]
mod artifact_tests;
pub mod duplicates;
pub mod embedded;
pub mod examples;
pub mod features;
pub mod fetch;
pub mod figure;
pub mod idx;
pub mod image;
pub mod image_folder;
pub mod image_set;
pub mod metrics;
pub mod mistaken;
pub mod npz;
mod place;
pub mod preprocess;
pub mod resize;
pub mod split;
pub mod stages;
pub mod table;
mod tensor_file;
pub mod weights;

pub use examples::Examples;
pub use features::{Features, FeaturesWriter};
pub use figure::Figure;
pub use image::{Color, Image};
pub use image_set::ImageSet;
pub use metrics::{Array, Metrics};
pub use preprocess::{Channels, Preprocessing};
pub use table::{Column, ColumnType, Table};
pub use weights::{Weights, WeightsInfo};
