//! What stands around every figure: a title above, a caption below, margins.

use crate::color::{INK, MUTED};
use crate::font::{self, CAP_HEIGHT, LINE_HEIGHT, Weight};
use crate::scene::{Scene, Text};

/// Margin around a figure.
pub const MARGIN: f64 = 16.0;
/// Width that a small figure has at least, so that its caption is not a column of single words.
pub const LEAST_WIDTH: f64 = 380.0;
/// Font size of titles.
pub const TITLE: f64 = 16.0;
/// Font size of captions.
pub const CAPTION: f64 = 12.5;
/// Font size of labels.
pub const LABEL: f64 = 13.0;
/// Font size of tick labels and of numbers in cells.
pub const SMALL: f64 = 12.0;

/// The words around a figure.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words {
    /// Above, in bold. Empty for none.
    pub title: String,
    /// Below: what is shown, with which parameters. Empty for none.
    pub caption: String,
}

impl Words {
    /// A title and a caption.
    pub fn new(title: impl Into<String>, caption: impl Into<String>) -> Self {
        Self { title: title.into(), caption: caption.into() }
    }
}

/// `content` with its words around it, left-aligned, on a picture that is at least `least` wide.
/// Words are broken to the picture's width.
pub fn framed(words: &Words, content: Scene, least: f64) -> Scene {
    let width = (content.width + 2.0 * MARGIN).max(least).ceil();
    let room = width - 2.0 * MARGIN;
    let mut scene = Scene::new(width, 0.0);
    let mut y = MARGIN;
    if !words.title.trim().is_empty() {
        let lines = font::wrap(&words.title, TITLE, Weight::SemiBold, room);
        let title = Text {
            size: TITLE,
            weight: Weight::SemiBold,
            color: INK,
            ..Text::new(MARGIN, y + TITLE * CAP_HEIGHT, "")
        };
        y = scene.paragraph(&title, &lines) + 14.0;
    }
    let height = content.height;
    scene.place(MARGIN, y, content);
    y += height;
    if !words.caption.trim().is_empty() {
        let lines = font::wrap(&words.caption, CAPTION, Weight::Regular, room);
        let caption = Text {
            size: CAPTION,
            color: MUTED,
            ..Text::new(MARGIN, y + 12.0 + CAPTION * CAP_HEIGHT, "")
        };
        y = scene.paragraph(&caption, &lines) + CAPTION * (LINE_HEIGHT - 1.0);
    }
    scene.height = (y + MARGIN).ceil();
    scene
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stay_inside_whatever_their_length() {
        for repeat in [0, 1, 40] {
            let words =
                Words::new("A title × λ ".repeat(repeat), "What is seen here. ".repeat(repeat));
            let scene = framed(&words, Scene::new(200.0, 50.0), 300.0);
            assert!(scene.height >= 50.0 + 2.0 * MARGIN);
            for text in scene.texts() {
                let [left, top, right, bottom] = text.bounds();
                let inside =
                    left >= 0.0 && top >= 0.0 && right <= scene.width && bottom <= scene.height;
                assert!(inside, "{}", text.content);
            }
        }
    }
}
