//! Plots, grids, animations, tables, written studies.
//!
//! Everything is drawn on one path: a function builds a [`Scene`] of shapes, the scene is written as SVG, and
//! that SVG is rasterised with bundled fonts. The same input gives the same bytes. Figures read tables, metrics
//! and images, never models.

#![cfg_attr(
    test,
    allow(clippy::disallowed_methods, reason = "variables tell tests where real data lie")
)]

pub mod activation;
pub mod adversarial;
pub mod animation;
pub mod color;
pub mod error;
pub mod faces;
pub mod font;
pub mod frame;
pub mod grid;
pub mod heat;
pub mod panels;
pub mod plot;
pub mod raster;
pub mod scene;
pub mod stages;
pub mod study;
mod svg;
pub mod table;
pub mod template;
pub mod ticks;

#[cfg(test)]
mod drawn;

pub use color::ColorMap;
pub use error::{Error, Result};
pub use frame::Words;
pub use raster::Field;
pub use scene::Scene;
pub use stages::KINDS;
