//! Clouds of points without axes: embeddings, of which only who lies beside whom means something.

use super::legend::{mark, names_with_signs};
use crate::color::{FRAME, INK, MUTED, class_color};
use crate::font::{self, CAP_HEIGHT, Weight};
use crate::frame::{LABEL, MARGIN, SMALL, Words, framed};
use crate::scene::{Scene, Stroke, Text};
use crate::{Error, Result};

/// A point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dot {
    /// To the right.
    pub x: f64,
    /// Upwards.
    pub y: f64,
    /// Its colour: a place in [`Clouds::names`].
    pub color: usize,
    /// Its form: a place in [`Scatter::forms`].
    pub form: usize,
}

/// The same clouds coloured by one quantity.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Clouds {
    /// The quantity; empty for none.
    pub label: String,
    /// What the colours are.
    pub names: Vec<String>,
    /// The points of each panel.
    pub panels: Vec<Vec<Dot>>,
}

/// Square panels of points, as wide as high in the data's units. Several quantities of one panel stand side by side, those of
/// several panels below each other.
#[derive(Debug, Clone, PartialEq)]
pub struct Scatter {
    /// Title and caption.
    pub words: Words,
    /// Above each panel of a row; empty for none.
    pub heads: Vec<String>,
    /// What the forms are; none, or a single one, is not told.
    pub forms: Vec<String>,
    /// The panels, coloured by each quantity.
    pub clouds: Vec<Clouds>,
    /// Radius of a point.
    pub radius: f64,
    /// Width of the figure.
    pub width: f64,
}

const GAP: f64 = 20.0;
/// Opacity of points: where many lie on each other it shows.
const OPACITY: f64 = 0.8;

impl Scatter {
    /// Draws the panels.
    pub fn scene(&self) -> Result<Scene> {
        let columns = self.clouds.iter().map(|clouds| clouds.panels.len()).max().unwrap_or(0);
        let dots = self.clouds.iter().flat_map(|clouds| &clouds.panels).flatten();
        if dots.clone().next().is_none() {
            return Err(Error::Empty("the scatter plot", "point"));
        }
        if let Some(dot) = dots.into_iter().find(|dot| !(dot.x.is_finite() && dot.y.is_finite())) {
            return Err(Error::Value(format!(
                "a point is at ({}, {}): expected finite numbers",
                dot.x, dot.y
            )));
        }
        let room = self.width - 2.0 * MARGIN;
        let mut content = Scene::new(room, 0.0);
        let mut y = 0.0;
        if self.forms.len() > 1 {
            let draw = |scene: &mut Scene, form, (x, y): (f64, f64)| {
                mark(scene, form, (x + 7.0, y), 4.5, MUTED, None);
            };
            let legend = names_with_signs(&self.forms, 14.0, room, draw);
            let height = legend.height;
            content.place(0.0, y, legend);
            y += height + 8.0;
        }
        if columns == 1 {
            let count = self.clouds.len() as f64;
            let side = (room - GAP * (count - 1.0)) / count;
            let side = side.min(520.0);
            let heads: Vec<Scene> = self.clouds.iter().map(|clouds| head(clouds, side)).collect();
            let tallest = heads.iter().map(|head| head.height).fold(0.0, f64::max);
            for (place, (clouds, head)) in self.clouds.iter().zip(heads).enumerate() {
                let x = place as f64 * (side + GAP);
                content.place(x, y, head);
                for dots in &clouds.panels {
                    self.draw(&mut content, dots, [x, y + tallest, side]);
                }
            }
            y += tallest + side;
        } else {
            let side = (room - GAP * (columns as f64 - 1.0)) / columns as f64;
            for (row, clouds) in self.clouds.iter().enumerate() {
                if row > 0 {
                    y += GAP;
                }
                let head = head(clouds, room);
                let height = head.height;
                content.place(0.0, y, head);
                y += height;
                if self.heads.iter().any(|head| !head.is_empty()) {
                    for (place, text) in self.heads.iter().enumerate() {
                        let text = font::shorten(text, SMALL, Weight::Regular, side);
                        let x = place as f64 * (side + GAP);
                        let base = y + SMALL * CAP_HEIGHT;
                        content.text(Text {
                            size: SMALL,
                            color: MUTED,
                            ..Text::new(x, base, text)
                        });
                    }
                    y += SMALL + 4.0;
                }
                for (place, dots) in clouds.panels.iter().enumerate() {
                    self.draw(&mut content, dots, [place as f64 * (side + GAP), y, side]);
                }
                y += side;
            }
        }
        content.height = y;
        Ok(framed(&self.words, content, self.width))
    }

    /// A square with its points; the middle of the data is in its middle.
    fn draw(&self, scene: &mut Scene, dots: &[Dot], [left, top, side]: [f64; 3]) {
        scene.frame([left, top, side, side], Stroke::new(FRAME, 1.0));
        let ends = |along: fn(&Dot) -> f64| {
            let values = dots.iter().map(along);
            values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| {
                (low.min(v), high.max(v))
            })
        };
        let (x, y) = (ends(|dot| dot.x), ends(|dot| dot.y));
        let extent = (x.1 - x.0).max(y.1 - y.0);
        let inner = side - 4.0 * self.radius - 8.0;
        let scale = if extent > 0.0 { inner / extent } else { 0.0 };
        let (middle_x, middle_y) = (f64::midpoint(x.0, x.1), f64::midpoint(y.0, y.1));
        // In mixed order, so that no group covers another because it comes later.
        let mut order: Vec<usize> = (0..dots.len()).collect();
        order.sort_by_key(|&i| (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        for dot in order.into_iter().filter_map(|i| dots.get(i)) {
            let place = (
                left + side / 2.0 + (dot.x - middle_x) * scale,
                top + side / 2.0 - (dot.y - middle_y) * scale,
            );
            let color = class_color(dot.color).with_alpha(OPACITY);
            mark(scene, dot.form, place, self.radius, color, None);
        }
    }
}

/// The quantity and what its colours are, with room below.
fn head(clouds: &Clouds, width: f64) -> Scene {
    let mut scene = Scene::new(width, 0.0);
    let mut y = 0.0;
    if !clouds.label.is_empty() {
        let label = font::shorten(&clouds.label, LABEL, Weight::SemiBold, width);
        let base = LABEL * CAP_HEIGHT;
        let weight = Weight::SemiBold;
        scene.text(Text { size: LABEL, weight, color: INK, ..Text::new(0.0, base, label) });
        y += LABEL + 4.0;
    }
    if clouds.names.len() > 1 {
        let draw = |scene: &mut Scene, color, (x, y): (f64, f64)| {
            mark(scene, 0, (x + 7.0, y), 5.0, class_color(color), None);
        };
        let legend = names_with_signs(&clouds.names, 14.0, width, draw);
        let height = legend.height;
        scene.place(0.0, y, legend);
        y += height;
    }
    scene.height = if y > 0.0 { y + 6.0 } else { 0.0 };
    scene
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drawn::assert_well_drawn;

    /// Ten clusters of two forms.
    fn dots(count: usize, color: fn(usize) -> usize) -> Vec<Dot> {
        let dot = |i: usize| {
            let (class, turn) = (i % 10, i as f64 * 2.4);
            let radius = (i as f64 / count as f64).sqrt() * 2.2;
            let (x, y) = ((class as f64 * 0.63).cos() * 9.0, (class as f64 * 0.63).sin() * 6.0);
            let at = (x + radius * turn.cos(), y + radius * turn.sin());
            Dot { x: at.0, y: at.1, color: color(i), form: i / 10 % 2 }
        };
        (0..count).map(dot).collect()
    }

    fn by(label: &str, names: &[&str], color: fn(usize) -> usize, panels: usize) -> Clouds {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        Clouds { label: label.to_owned(), names, panels: vec![dots(1000, color); panels] }
    }

    fn scatter(panels: usize) -> Scatter {
        let digits = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
        Scatter {
            words: Words::new(
                "Features",
                "t-SNE of 1,000 images; distances between groups mean nothing.",
            ),
            heads: ["source only", "DANN"].map(str::to_owned)[..panels].to_vec(),
            forms: vec!["MNIST".to_owned(), "MNIST-M".to_owned()],
            clouds: vec![
                by("by class", &digits, |i| i % 10, panels),
                by("by domain", &["MNIST", "MNIST-M"], |i| i / 10 % 2, panels),
            ],
            radius: 2.5,
            width: crate::plot::README_WIDTH,
        }
    }

    #[test]
    fn one_cloud_by_two_quantities_and_two_clouds_by_two() {
        assert_well_drawn("scatter-1", &scatter(1).scene().unwrap());
        assert_well_drawn("scatter-2", &scatter(2).scene().unwrap());
        let single =
            Scatter { clouds: vec![by("", &["one"], |_| 0, 1)], forms: vec![], ..scatter(1) };
        assert_well_drawn("scatter-3", &single.scene().unwrap());
    }

    #[test]
    fn what_cannot_be_drawn_is_said() {
        let mut none = scatter(1);
        none.clouds.iter_mut().for_each(|clouds| clouds.panels.clear());
        let said = none.scene().unwrap_err().to_string();
        assert_eq!(said, "the scatter plot is empty: expected at least one point");
        let mut wrong = scatter(1);
        wrong.clouds[0].panels[0][3].y = f64::NAN;
        let said = wrong.scene().unwrap_err().to_string();
        assert!(said.ends_with("NaN): expected finite numbers"), "{said}");
        // All at one place: in the middle, not nowhere.
        let mut one = scatter(1);
        one.clouds.iter_mut().for_each(|clouds| clouds.panels[0].truncate(1));
        assert_well_drawn("scatter-one", &one.scene().unwrap());
    }
}
