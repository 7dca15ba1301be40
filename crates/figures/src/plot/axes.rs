//! The ground of a panel: ticks, grid lines, labels.

use crate::color::{FRAME, GRID, INK, MUTED};
use crate::font::{self, CAP_HEIGHT, Weight};
use crate::frame::{LABEL, SMALL};
use crate::scene::{Anchor, Scene, Stroke, Text};
use crate::ticks::Ticks;

/// Degrees by which long names are turned.
const SLANT: f64 = 35.0;
/// Width at which turned names are cut.
const LONGEST_NAME: f64 = 150.0;

/// The rectangle in which data are drawn, with the ticks along its two sides.
pub(super) struct Ground {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) x: Ticks,
    pub(super) y: Ticks,
    /// Whether the labels of the x axis are turned, and the room that they take below the data.
    pub(super) x_labels: (bool, f64),
}

impl Ground {
    pub(super) fn at_x(&self, value: f64) -> f64 {
        self.left + self.x.place(value) * self.width
    }

    pub(super) fn at_y(&self, value: f64) -> f64 {
        self.top + (1.0 - self.y.place(value)) * self.height
    }

    pub(super) fn bottom(&self) -> f64 {
        self.top + self.height
    }

    /// Room that the labels of `ticks` take to the left of the data.
    pub(super) fn label_room(ticks: &Ticks) -> f64 {
        let widths =
            ticks.major.iter().map(|(_, label)| font::text_width(label, SMALL, Weight::Regular));
        widths.fold(0.0, f64::max) + 10.0
    }

    /// Whether names along an x axis of `width` have to be turned, and the height that they take.
    pub(super) fn name_room(names: &[String], width: f64) -> (bool, f64) {
        let widths = names.iter().map(|name| font::text_width(name, SMALL, Weight::Regular));
        let widest = widths.fold(0.0, f64::max);
        if widest + 8.0 <= width / names.len().max(1) as f64 {
            (false, SMALL)
        } else {
            (true, widest.min(LONGEST_NAME) * SLANT.to_radians().sin() + SMALL)
        }
    }

    /// How far the first of turned names hangs over the left end of an axis of about `width`.
    pub(super) fn hang(names: &[String], width: f64) -> f64 {
        let Some(first) = names.first() else { return 0.0 };
        let length = font::text_width(first, SMALL, Weight::Regular).min(LONGEST_NAME);
        let place = width / names.len() as f64 / 2.0;
        (length * SLANT.to_radians().cos() - place).clamp(0.0, width / 3.0) + 4.0
    }

    /// Draws ticks and grid lines. Labels that would touch their neighbour are left out; names are not, they are
    /// turned.
    pub(super) fn draw(&self, scene: &mut Scene) {
        let (right, bottom) = (self.left + self.width, self.bottom());
        for (value, label) in &self.y.major {
            let y = self.at_y(*value);
            scene.line((self.left, y), (right, y), Stroke::new(GRID, 1.0));
            let text = Text {
                size: SMALL,
                color: MUTED,
                anchor: Anchor::End,
                ..Text::new(self.left - 8.0, y, label)
            };
            scene.text(text.centered_on(y));
        }
        for value in &self.x.minor {
            let x = self.at_x(*value);
            scene.line((x, bottom), (x, bottom + 3.0), Stroke::new(FRAME, 1.0));
        }
        let mut free_from = f64::NEG_INFINITY;
        for (value, label) in &self.x.major {
            let x = self.at_x(*value);
            scene.line((x, self.top), (x, bottom), Stroke::new(GRID, 1.0));
            scene.line((x, bottom), (x, bottom + 5.0), Stroke::new(FRAME, 1.0));
            let y = bottom + 9.0 + SMALL * CAP_HEIGHT;
            let mut text = Text {
                size: SMALL,
                color: MUTED,
                anchor: Anchor::Middle,
                ..Text::new(x, y, label)
            };
            if self.x_labels.0 {
                // What hangs over the picture's left edge is cut.
                let room = (x / SLANT.to_radians().cos()).min(LONGEST_NAME);
                text.content = font::shorten(label, SMALL, Weight::Regular, room);
                (text.x, text.anchor, text.angle) = (x + 4.0, Anchor::End, -SLANT);
                scene.text(text);
                continue;
            }
            let half = text.width() / 2.0;
            if x - half >= free_from {
                free_from = x + half + 6.0;
                scene.text(text);
            }
        }
        scene.line((self.left, bottom), (right, bottom), Stroke::new(FRAME, 1.2));
    }

    /// Room below the data for tick labels and the axis' label.
    pub(super) fn bottom_room(&self, label: &str) -> f64 {
        let ticks = 9.0 + self.x_labels.1 + SMALL * 0.1;
        if label.is_empty() { ticks } else { ticks + 8.0 + LABEL * 1.1 }
    }

    /// The label of the x axis, below its middle.
    pub(super) fn x_label(&self, scene: &mut Scene, label: &str) {
        let label = font::shorten(label, LABEL, Weight::Regular, self.width + self.left);
        let y = self.bottom() + 9.0 + self.x_labels.1 + 8.0 + LABEL * CAP_HEIGHT;
        let half = font::text_width(&label, LABEL, Weight::Regular) / 2.0;
        let middle = (self.left + self.width / 2.0).max(half);
        scene.text(Text {
            size: LABEL,
            color: INK,
            anchor: Anchor::Middle,
            ..Text::new(middle, y, label)
        });
    }
}
