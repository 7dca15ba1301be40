//! Lines and points over one or more panels, with their spread.

use super::legend::{Sample, legend};
use crate::frame::{Words, framed};
use crate::scene::Scene;
use crate::ticks::Scale;
use crate::{Error, Result};

/// One point of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Along the x axis; with categories, the category's place from 0.
    pub x: f64,
    /// Along the y axis.
    pub y: f64,
    /// Lower and upper end of the spread, where there is one.
    pub spread: Option<(f64, f64)>,
}

impl Point {
    /// A point without spread.
    pub const fn new(x: f64, y: f64) -> Self {
        Self { x, y, spread: None }
    }

    /// A point with `error` above and below.
    pub fn with_error(x: f64, y: f64, error: f64) -> Self {
        Self { x, y, spread: Some((y - error, y + error)) }
    }
}

/// Points that belong together.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// The points, in the order in which lines join them.
    pub points: Vec<Point>,
}

/// An axis.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Axis {
    /// The quantity and its unit.
    pub label: String,
    /// Linear or logarithmic.
    pub scale: Scale,
    /// The ends; from the data where there are none.
    pub limits: Option<(f64, f64)>,
    /// Names at 0, 1, 2, … (x axis only).
    pub categories: Vec<String>,
}

/// How a series is drawn.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Default,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Marks {
    /// A line with a mark at each point.
    #[default]
    LinePoints,
    /// A line alone: curves of many points.
    Line,
    /// Marks alone: a scatter plot.
    Points,
}

/// How the spread is drawn.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Default,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Spread {
    /// A pale band around the line.
    #[default]
    Band,
    /// A bar through each point.
    Bars,
}

/// A dashed line across a panel: the value chosen, the published one.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Where.
    pub at: f64,
    /// Whether it crosses the x axis (stands upright) rather than the y axis.
    pub upright: bool,
    /// What it is.
    pub label: String,
}

/// One coordinate system.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Panel {
    /// Above the panel; empty for none.
    pub title: String,
    /// Along the bottom.
    pub x: Axis,
    /// Up the side.
    pub y: Axis,
    /// What is drawn. Series of one name have one colour in all panels.
    pub series: Vec<Series>,
    /// Lines, points or both.
    pub marks: Marks,
    /// How spreads are drawn.
    pub spread: Spread,
    /// Dashed lines.
    pub rules: Vec<Rule>,
}

/// Panels side by side, one legend above them.
#[derive(Debug, Clone, PartialEq)]
pub struct Plot {
    /// Title and caption.
    pub words: Words,
    /// The panels, a row after the other.
    pub panels: Vec<Panel>,
    /// Panels in a row.
    pub columns: usize,
    /// Width of the figure.
    pub width: f64,
    /// Height of the data's rectangle in each panel.
    pub height: f64,
}

impl Plot {
    /// A plot of README width, up to two panels in a row.
    pub fn new(words: Words, panels: Vec<Panel>) -> Self {
        let columns = panels.len().clamp(1, 2);
        Self { words, panels, columns, width: super::README_WIDTH, height: 280.0 }
    }

    /// Draws the plot.
    pub fn scene(&self) -> Result<Scene> {
        if self.panels.is_empty() {
            return Err(Error::Empty("the plot", "panel"));
        }
        let room = (self.width - 2.0 * crate::frame::MARGIN).max(120.0);
        let mut names: Vec<String> = Vec::new();
        for series in self.panels.iter().flat_map(|panel| &panel.series) {
            if !names.contains(&series.name) {
                names.push(series.name.clone());
            }
        }
        let mut content = Scene::new(room, 0.0);
        let mut y = 0.0;
        if names.len() > 1 {
            let sample = match self.panels.iter().all(|panel| panel.marks == Marks::Points) {
                true => Sample::Marker,
                false => Sample::Line,
            };
            let legend = legend(&names, sample, room);
            let height = legend.height;
            content.place(0.0, 0.0, legend);
            y += height + 10.0;
        }
        let columns = self.columns.clamp(1, self.panels.len());
        let gap = 28.0;
        let width = (room - gap * (columns - 1) as f64) / columns as f64;
        for row in self.panels.chunks(columns) {
            let titled = row.iter().any(|panel| !panel.title.is_empty());
            let mut tallest: f64 = 0.0;
            for (place, panel) in row.iter().enumerate() {
                let scene = panel.scene(&names, width, self.height, titled)?;
                tallest = tallest.max(scene.height);
                content.place(place as f64 * (width + gap), y, scene);
            }
            y += tallest + 18.0;
        }
        content.height = y - 18.0;
        Ok(framed(&self.words, content, self.width))
    }
}
