//! Horizontal bars, one or more for each category.

use super::legend::{Sample, legend};
use crate::color::{FRAME, GRID, INK, MUTED, PAPER, series_color};
use crate::font::{self, CAP_HEIGHT, Weight};
use crate::frame::{LABEL, MARGIN, SMALL, Words, framed};
use crate::scene::{Anchor, Scene, Stroke, Text};
use crate::ticks::{Scale, Ticks, fixed};
use crate::{Error, Result};

/// One bar for each category.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Bars {
    /// The series' name.
    pub name: String,
    /// A value for each category; a missing one leaves a gap.
    pub values: Vec<Option<f64>>,
    /// Half the length of the spread, for each category; may be empty.
    pub errors: Vec<Option<f64>>,
}

/// A chart of horizontal bars: names of any length stay readable. Bars start at zero.
#[derive(Debug, Clone, PartialEq)]
pub struct BarChart {
    /// Title and caption.
    pub words: Words,
    /// Names, from the top.
    pub categories: Vec<String>,
    /// The bars.
    pub series: Vec<Bars>,
    /// The quantity and its unit.
    pub label: String,
    /// Decimals of the numbers at the bars' ends.
    pub decimals: usize,
    /// The value at the axis' end; from the data where there is none.
    pub largest: Option<f64>,
    /// Width of the figure.
    pub width: f64,
}

impl BarChart {
    /// Draws the chart.
    pub fn scene(&self) -> Result<Scene> {
        self.check()?;
        let room = (self.width - 2.0 * MARGIN).max(160.0);
        let mut content = Scene::new(room, 0.0);
        let mut top = 0.0;
        if self.series.len() > 1 {
            let names: Vec<String> = self.series.iter().map(|series| series.name.clone()).collect();
            let legend = legend(&names, Sample::Swatch, room);
            top += legend.height + 10.0;
            content.place(0.0, 0.0, legend);
        }
        let widest =
            self.categories.iter().map(|name| font::text_width(name, LABEL, Weight::Regular));
        let names = widest.fold(0.0, f64::max).min(room * 0.4).ceil() + 10.0;
        let numbers = self.ends().map(|(_, text)| font::text_width(&text, SMALL, Weight::Regular));
        let numbers = numbers.fold(0.0, f64::max) + 12.0;
        let length = (room - names - numbers).max(40.0);
        let ticks = Ticks::new(Scale::Linear, self.limits(), (length / 80.0) as usize);
        let at = |value: f64| names + ticks.place(value).clamp(0.0, 1.0) * length;

        let bar: f64 = if self.series.len() == 1 { 18.0 } else { 14.0 };
        let row = bar * self.series.len() as f64 + 12.0;
        let bottom = top + row * self.categories.len() as f64;
        for (value, label) in &ticks.major {
            let x = at(*value);
            content.line((x, top), (x, bottom + 5.0), Stroke::new(GRID, 1.0));
            let y = bottom + 9.0 + SMALL * CAP_HEIGHT;
            content.text(Text {
                size: SMALL,
                color: MUTED,
                anchor: Anchor::Middle,
                ..Text::new(x, y, label)
            });
        }
        for (place, name) in self.categories.iter().enumerate() {
            let y = top + row * place as f64;
            let name = font::shorten(name, LABEL, Weight::Regular, names - 10.0);
            let text =
                Text { size: LABEL, anchor: Anchor::End, ..Text::new(names - 10.0, 0.0, name) };
            content.text(text.centered_on(y + row / 2.0));
            for (index, series) in self.series.iter().enumerate() {
                let y = y + 6.0 + bar * index as f64;
                draw_bar(&mut content, series, place, index, (y, bar - 1.0), &at, self.decimals);
            }
        }
        content.line((at(0.0), top), (at(0.0), bottom), Stroke::new(FRAME, 1.2));
        content.height = bottom + 9.0 + SMALL * 1.1;
        if !self.label.is_empty() {
            let y = content.height + 8.0 + LABEL * CAP_HEIGHT;
            let label = font::shorten(&self.label, LABEL, Weight::Regular, length);
            let middle = names + length / 2.0;
            content.text(Text {
                size: LABEL,
                color: INK,
                anchor: Anchor::Middle,
                ..Text::new(middle, y, label)
            });
            content.height += 8.0 + LABEL * 1.1;
        }
        Ok(framed(&self.words, content, self.width))
    }

    fn check(&self) -> Result<()> {
        if self.categories.is_empty() {
            return Err(Error::Empty("the bar chart", "category"));
        }
        if self.series.is_empty() {
            return Err(Error::Empty("the bar chart", "series"));
        }
        for series in &self.series {
            let count = self.categories.len();
            if series.values.len() != count {
                let what = format!("the bars of `{}`", series.name);
                return Err(Error::shape(what, format!("{count} values"), series.values.len()));
            }
        }
        Ok(())
    }

    fn ends(&self) -> impl Iterator<Item = (f64, String)> {
        self.series.iter().flat_map(|series| {
            (0..series.values.len()).filter_map(|place| {
                let value = series.values.get(place).copied().flatten()?;
                let error = series.errors.get(place).copied().flatten();
                Some((value.abs() + error.unwrap_or(0.0), number(value, error, self.decimals)))
            })
        })
    }

    fn limits(&self) -> (f64, f64) {
        let values = || self.series.iter().flat_map(|series| &series.values).flatten().copied();
        let reach =
            self.ends().map(|(end, _)| end).filter(|end| end.is_finite()).fold(0.0, f64::max);
        let reach = if reach > 0.0 { reach } else { 1.0 };
        let high =
            self.largest.unwrap_or(if values().any(|value| value > 0.0) { reach } else { 0.0 });
        let low = if values().any(|value| value < 0.0) { -reach } else { 0.0 };
        if high > low { (low, high) } else { (low, low + 1.0) }
    }
}

/// A value as it stands at the end of its bar.
fn number(value: f64, error: Option<f64>, decimals: usize) -> String {
    match error {
        Some(error) => format!("{} ± {}", fixed(value, decimals), fixed(error, decimals)),
        None => fixed(value, decimals),
    }
}

fn draw_bar(
    scene: &mut Scene,
    series: &Bars,
    category: usize,
    index: usize,
    (y, height): (f64, f64),
    at: &impl Fn(f64) -> f64,
    decimals: usize,
) {
    let Some(value) = series.values.get(category).copied().flatten() else {
        return;
    };
    if !value.is_finite() {
        return;
    }
    let (zero, end) = (at(0.0), at(value));
    scene.rect([zero.min(end), y, (end - zero).abs(), height], series_color(index));
    let error = series.errors.get(category).copied().flatten();
    let mut reach = zero.max(end);
    if let Some(error) = error.filter(|error| *error > 0.0) {
        let (low, high) = (at(value - error), at(value + error));
        let (middle, stroke) = (y + height / 2.0, Stroke::new(INK, 1.2));
        scene.line((low, middle), (high, middle), stroke);
        for x in [low, high] {
            scene.line((x, middle - 3.5), (x, middle + 3.5), stroke);
        }
        reach = reach.max(high);
    }
    let text = Text {
        size: SMALL,
        color: INK,
        ..Text::new(reach + 6.0, 0.0, number(value, error, decimals))
    };
    let text = text.centered_on(y + height / 2.0);
    let [left, top, right, bottom] = text.bounds();
    scene.rect([left - 2.0, top, right - left + 4.0, bottom - top], PAPER);
    scene.text(text);
}
