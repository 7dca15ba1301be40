//! What flows along edges and where it comes from.
//!
//! The artifacts: [`ImageSet`], [`Features`], [`Weights`], [`Table`], [`Figure`], [`Metrics`].

#[cfg(test)]
mod artifact_tests;
pub mod examples;
pub mod features;
pub mod figure;
pub mod image;
pub mod image_set;
pub mod metrics;
mod place;
pub mod preprocess;
pub mod resize;
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
