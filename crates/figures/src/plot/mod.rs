//! Plots: lines and points with their spread, bars, matrices, clouds of points.

pub mod bars;
pub mod lines;
pub mod matrix;
pub mod scatter;

pub mod from_table;

mod axes;
mod legend;
mod panel;

pub use bars::{BarChart, Bars};
pub use lines::{Axis, Marks, Panel, Plot, Point, Rule, Series, Spread};
pub use matrix::{Matrix, confusion};
pub use scatter::{Clouds, Dot, Scatter};

/// Width of a figure that fills a README's column, in CSS pixels.
pub const README_WIDTH: f64 = 800.0;

#[cfg(test)]
mod tests;
