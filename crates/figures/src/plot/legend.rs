//! Which colour and mark is which series.

use crate::color::{Color, INK, WHITE, series_color};
use crate::font::{self, Weight};
use crate::frame::LABEL;
use crate::scene::{Item, Scene, Stroke, Text};

/// Marks differ in form as well as in colour.
pub(super) fn marker(scene: &mut Scene, series: usize, place: (f64, f64), radius: f64) {
    let edge = Some(Stroke::new(WHITE, 1.0));
    mark(scene, series, place, radius, series_color(series), edge);
}

/// A disc, square, triangle or diamond; after four the forms repeat.
pub(super) fn mark(
    scene: &mut Scene,
    form: usize,
    (x, y): (f64, f64),
    radius: f64,
    color: Color,
    edge: Option<Stroke>,
) {
    let corners: &[(f64, f64)] = match form % 4 {
        0 => {
            scene.push(Item::Circle { center: (x, y), radius, fill: color, stroke: edge });
            return;
        }
        1 => &[(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)],
        2 => &[(0.0, -1.25), (1.15, 0.85), (-1.15, 0.85)],
        _ => &[(0.0, -1.3), (1.3, 0.0), (0.0, 1.3), (-1.3, 0.0)],
    };
    let points = corners.iter().map(|(dx, dy)| (x + dx * radius, y + dy * radius)).collect();
    scene.push(Item::Path { points, closed: true, fill: Some(color), stroke: edge });
}

/// What a legend shows before a name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sample {
    Line,
    Marker,
    Swatch,
}

/// Names in rows of at most `width`; a scene of that width.
pub(super) fn legend(names: &[String], sample: Sample, width: f64) -> Scene {
    let sign = if sample == Sample::Line { 26.0 } else { 14.0 };
    let draw = |scene: &mut Scene, index, place| draw_sign(scene, sample, index, place, sign);
    names_with_signs(names, sign, width, draw)
}

/// Names in rows of at most `width`, before each what `draw` draws of it: at its left end, `sign` wide.
pub(super) fn names_with_signs(
    names: &[String],
    sign: f64,
    width: f64,
    draw: impl Fn(&mut Scene, usize, (f64, f64)),
) -> Scene {
    const ROW: f64 = 22.0;
    const GAP: f64 = 22.0;
    let mut scene = Scene::new(width, ROW);
    let (mut x, mut y) = (0.0, ROW / 2.0);
    for (index, name) in names.iter().enumerate() {
        let name = font::shorten(name, LABEL, Weight::Regular, width - sign - 8.0);
        let needs = sign + 8.0 + font::text_width(&name, LABEL, Weight::Regular);
        if x > 0.0 && x + needs > width {
            (x, y) = (0.0, y + ROW);
        }
        draw(&mut scene, index, (x, y));
        scene.text(
            Text { size: LABEL, color: INK, ..Text::new(x + sign + 8.0, y, name) }.centered_on(y),
        );
        x += needs + GAP;
    }
    scene.height = y + ROW / 2.0;
    scene
}

fn draw_sign(scene: &mut Scene, sample: Sample, index: usize, (x, y): (f64, f64), width: f64) {
    let color: Color = series_color(index);
    match sample {
        Sample::Line => {
            scene.line((x, y), (x + width, y), Stroke::new(color, 2.0));
            marker(scene, index, (x + width / 2.0, y), 4.5);
        }
        Sample::Marker => marker(scene, index, (x + width / 2.0, y), 4.5),
        Sample::Swatch => scene.rect([x, y - 6.0, width, 12.0], color),
    }
}
