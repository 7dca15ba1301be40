//! The kinds that draw: each gathers what earlier stages measured and writes a figure.
//!
//! All parameters of these kinds only restyle: a change re-runs the figure and nothing else.

mod activation_grid;
mod adversarial_panel;
mod animation;
mod captioned_grid;
mod confusion_matrix;
mod heat_map;
mod image_grid;
mod join;
mod map_grid;
mod names;
mod pictures;
mod plot;
mod row_images;
mod rows;
mod sample_sheet;
mod scatter;
mod study;
mod table;
mod top5_panel;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod trial;

use sconce_core::Kind;

pub use activation_grid::ActivationGrid;
pub use adversarial_panel::{AdversarialPanel, Shown};
pub use animation::Animation;
pub use captioned_grid::CaptionedGrid;
pub use confusion_matrix::ConfusionMatrix;
pub use heat_map::HeatMap;
pub use image_grid::ImageGrid;
pub use join::Join;
pub use map_grid::MapGrid;
pub use names::{Many, Names};
pub use plot::Plot;
pub use sample_sheet::SampleSheet;
pub use scatter::Scatter;
pub use study::Study;
pub use table::Table;
pub use top5_panel::Top5Panel;

/// The kinds of this crate.
pub const KINDS: &[Kind] = &[
    Kind::of::<ActivationGrid>(),
    Kind::of::<AdversarialPanel>(),
    Kind::of::<Animation>(),
    Kind::of::<CaptionedGrid>(),
    Kind::of::<ConfusionMatrix>(),
    Kind::of::<HeatMap>(),
    Kind::of::<ImageGrid>(),
    Kind::of::<Join>(),
    Kind::of::<MapGrid>(),
    Kind::of::<Plot>(),
    Kind::of::<SampleSheet>(),
    Kind::of::<Scatter>(),
    Kind::of::<Study>(),
    Kind::of::<Table>(),
    Kind::of::<Top5Panel>(),
];
