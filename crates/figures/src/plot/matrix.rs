//! A matrix as coloured cells with numbers: confusion matrices, grids of two parameters.

use crate::color::{ColorMap, FRAME, GRID, INK, MUTED};
use crate::font::{self, CAP_HEIGHT, Weight};
use crate::frame::{LABEL, LEAST_WIDTH, SMALL, Words, framed};
use crate::scene::{Anchor, Scene, Stroke, Text};
use crate::ticks::fixed;
use crate::{Error, Result};

/// Cells with a colour and a text, names at the left and above.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    /// Title and caption.
    pub words: Words,
    /// What the rows are: `true class`.
    pub row_title: String,
    /// What the columns are: `predicted class`.
    pub column_title: String,
    /// Names of the rows.
    pub rows: Vec<String>,
    /// Names of the columns.
    pub columns: Vec<String>,
    /// What a cell's colour says, rows × columns; NaN is grey.
    pub values: Vec<f64>,
    /// What stands in the cells; empty for nothing.
    pub texts: Vec<String>,
    /// Values at the two ends of the colours; from the data where there are none.
    pub limits: Option<(f64, f64)>,
    /// The colours.
    pub map: ColorMap,
    /// A text at the end of each row with its title; `None` for nothing.
    pub margin: Option<(String, Vec<String>)>,
}

/// The confusion matrix of `counts` (true class × predicted class): colours are the shares of each row,
/// numbers the counts, and each class' accuracy (its recall) stands at the end of its row.
pub fn confusion(words: Words, classes: &[String], counts: &[f64]) -> Result<Matrix> {
    let n = classes.len();
    if n == 0 {
        return Err(Error::Empty("the confusion matrix", "class"));
    }
    if counts.len() != n * n {
        return Err(Error::shape(
            "the confusion matrix",
            format!("{n} × {n} counts"),
            counts.len(),
        ));
    }
    if let Some(count) = counts.iter().find(|count| !count.is_finite() || **count < 0.0) {
        return Err(Error::Value(format!(
            "a count of the confusion matrix is {count}: expected 0 or more"
        )));
    }
    let mut values = Vec::with_capacity(n * n);
    let mut texts = Vec::with_capacity(n * n);
    let mut recalls = Vec::with_capacity(n);
    for (class, row) in counts.chunks(n).enumerate() {
        let total: f64 = row.iter().sum();
        let share = |count: f64| if total > 0.0 { count / total } else { f64::NAN };
        values.extend(row.iter().map(|count| share(*count)));
        let whole = row.iter().all(|count| count.fract() == 0.0);
        texts.extend(row.iter().map(|count| match *count {
            0.0 => String::new(),
            count => fixed(count, usize::from(!whole)),
        }));
        let hit = row.get(class).copied().unwrap_or(0.0);
        recalls.push(if total > 0.0 {
            format!("{:.1} %", 100.0 * hit / total)
        } else {
            "–".to_owned()
        });
    }
    Ok(Matrix {
        words,
        row_title: "true class".to_owned(),
        column_title: "predicted class".to_owned(),
        rows: classes.to_vec(),
        columns: classes.to_vec(),
        values,
        texts,
        limits: Some((0.0, 1.0)),
        map: ColorMap::Blues,
        margin: Some(("accuracy".to_owned(), recalls)),
    })
}

impl Matrix {
    /// Draws the matrix.
    pub fn scene(&self) -> Result<Scene> {
        self.check()?;
        let (rows, columns) = (self.rows.len(), self.columns.len());
        let widest = |texts: &[String], size| {
            texts
                .iter()
                .map(|text| font::text_width(text, size, Weight::Regular))
                .fold(0.0, f64::max)
        };
        let cell_height = 28.0;
        let cell_width =
            (widest(&self.texts, SMALL) + 10.0).max(if columns > 20 { 24.0 } else { 36.0 });
        let title_width = font::text_width(&self.row_title, LABEL, Weight::SemiBold);
        let left = widest(&self.rows, SMALL).max(title_width).min(170.0).ceil() + 10.0;
        // Names of columns lie flat where they fit, and stand on their ends where they do not.
        let names = widest(&self.columns, SMALL);
        let upright = names > cell_width - 6.0;
        let head = if upright { names.min(150.0) + 8.0 } else { SMALL + 8.0 };
        let titles = |title: &str| if title.is_empty() { 0.0 } else { LABEL + 10.0 };
        let top = titles(&self.column_title) + head;
        let grid = (cell_width * columns as f64, cell_height * rows as f64);
        let margin = self.margin.as_ref().map_or(0.0, |(title, texts)| {
            widest(texts, SMALL).max(font::text_width(title, SMALL, Weight::Regular)) + 12.0
        });
        let mut scene = Scene::new(left + grid.0 + margin, top + grid.1);

        let title = |text: &str| Text {
            size: LABEL,
            weight: Weight::SemiBold,
            ..Text::new(0.0, LABEL * CAP_HEIGHT, text)
        };
        let columns_title = Text { x: left, ..title(&self.column_title) };
        if !self.column_title.is_empty() {
            let room = scene.width - left;
            let short = font::shorten(&self.column_title, LABEL, Weight::SemiBold, room);
            scene.text(Text { content: short, ..columns_title });
        }
        if !self.row_title.is_empty() {
            // Above the rows' names, flush with them.
            let short = font::shorten(&self.row_title, LABEL, Weight::SemiBold, left - 10.0);
            let y = top - 8.0;
            scene.text(Text {
                x: left - 10.0,
                y,
                anchor: Anchor::End,
                content: short,
                ..title("")
            });
        }
        for (column, name) in self.columns.iter().enumerate() {
            let middle = left + (column as f64 + 0.5) * cell_width;
            let text = if upright {
                let name = font::shorten(name, SMALL, Weight::Regular, 150.0);
                Text {
                    angle: -90.0,
                    ..Text::new(middle + SMALL * CAP_HEIGHT / 2.0, top - 8.0, name)
                }
            } else {
                Text { anchor: Anchor::Middle, ..Text::new(middle, top - 8.0, name) }
            };
            scene.text(Text { size: SMALL, color: INK, ..text });
        }
        for (row, name) in self.rows.iter().enumerate() {
            let y = top + (row as f64 + 0.5) * cell_height;
            let name = font::shorten(name, SMALL, Weight::Regular, left - 10.0);
            let text =
                Text { size: SMALL, anchor: Anchor::End, ..Text::new(left - 10.0, 0.0, name) };
            scene.text(text.centered_on(y));
        }
        self.draw_cells(&mut scene, (left, top), (cell_width, cell_height));
        scene.frame([left, top, grid.0, grid.1], Stroke::new(FRAME, 1.0));
        if let Some((title, texts)) = &self.margin {
            let x = left + grid.0 + margin;
            let end = Text {
                size: SMALL,
                color: MUTED,
                anchor: Anchor::End,
                ..Text::new(x, top - 8.0, title)
            };
            scene.text(end.clone());
            for (row, text) in texts.iter().enumerate() {
                let y = top + (row as f64 + 0.5) * cell_height;
                scene
                    .text(Text { content: text.clone(), color: INK, ..end.clone() }.centered_on(y));
            }
        }
        Ok(framed(&self.words, scene, LEAST_WIDTH))
    }

    fn check(&self) -> Result<()> {
        let cells = self.rows.len() * self.columns.len();
        if cells == 0 {
            return Err(Error::Empty("the matrix", "cell"));
        }
        if self.values.len() != cells {
            return Err(Error::shape("the matrix", format!("{cells} values"), self.values.len()));
        }
        if !self.texts.is_empty() && self.texts.len() != cells {
            return Err(Error::shape("the matrix", format!("{cells} texts"), self.texts.len()));
        }
        if let Some((_, texts)) = &self.margin
            && texts.len() != self.rows.len()
        {
            return Err(Error::shape(
                "the matrix' margin",
                format!("{} texts", self.rows.len()),
                texts.len(),
            ));
        }
        Ok(())
    }

    fn draw_cells(&self, scene: &mut Scene, (left, top): (f64, f64), (width, height): (f64, f64)) {
        let finite = self.values.iter().copied().filter(|value| value.is_finite());
        let ends = finite
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
        let (low, high) = self.limits.unwrap_or(ends);
        let place = |value: f64| {
            if high > low { (value - low) / (high - low) } else { value * 0.0 }
        };
        for (index, value) in self.values.iter().enumerate() {
            let (row, column) = (index / self.columns.len(), index % self.columns.len());
            let (x, y) = (left + column as f64 * width, top + row as f64 * height);
            let ground = self.map.at(place(*value));
            scene.rect([x, y, width, height], ground);
            scene.frame([x, y, width, height], Stroke::new(GRID, 0.5));
            if let Some(text) = self.texts.get(index).filter(|text| !text.is_empty()) {
                let color = ground.text_on();
                let text = Text {
                    size: SMALL,
                    color,
                    anchor: Anchor::Middle,
                    ..Text::new(x + width / 2.0, 0.0, text)
                };
                scene.text(text.centered_on(y + height / 2.0));
            }
        }
    }
}
