//! Photographs with what a network says of them: the five likeliest classes with bars.

use image::RgbImage;

use crate::color::{GRID, INK, MUTED, series_color};
use crate::font::{self, CAP_HEIGHT, Weight};
use crate::frame::{LABEL, MARGIN, SMALL, Words, framed};
use crate::plot::README_WIDTH;
use crate::scene::{Scene, Text};
use crate::{Error, Result, raster};

/// A photograph and its predictions.
#[derive(Debug, Clone)]
pub struct Prediction {
    /// Its name or its true class.
    pub label: String,
    /// Images from left to right: the original, what the network was given, …
    pub images: Vec<RgbImage>,
    /// Classes and probabilities, likeliest first.
    pub classes: Vec<(String, f64)>,
    /// The place of the true class in `classes`, where it is known and among them.
    pub truth: Option<usize>,
}

/// Draws a row for each photograph: its images and a bar for each class.
///
/// `heads` stands above the images: `original`, `preprocessed`. The true class is set in bold with a filled bar
/// of another colour. Bars are of length 1 for probability 1, on a grey track.
pub fn predictions(words: &Words, heads: &[String], rows: &[Prediction]) -> Result<Scene> {
    const IMAGE: f64 = 132.0;
    const GAP: f64 = 12.0;
    if rows.is_empty() {
        return Err(Error::Empty("the panel of predictions", "photograph"));
    }
    let images = rows.iter().map(|row| row.images.len()).max().unwrap_or(0);
    let classes = rows.iter().map(|row| row.classes.len()).max().unwrap_or(0);
    if let Some((name, p)) =
        rows.iter().flat_map(|row| &row.classes).find(|(_, p)| !(0.0..=1.0 + 1e-6).contains(p))
    {
        return Err(Error::Value(format!(
            "the probability of `{name}` is {p}: expected a number of 0 to 1"
        )));
    }
    let room = README_WIDTH - 2.0 * MARGIN;
    let bars = images as f64 * (IMAGE + GAP) + 6.0;
    let mut scene = Scene::new(room, 0.0);
    let mut y = 0.0;
    if heads.iter().any(|head| !head.is_empty()) {
        for (place, head) in heads.iter().take(images).enumerate() {
            let head = font::shorten(head, SMALL, Weight::Regular, IMAGE);
            let x = place as f64 * (IMAGE + GAP);
            scene.text(Text {
                size: SMALL,
                color: MUTED,
                ..Text::new(x, SMALL * CAP_HEIGHT, head)
            });
        }
        y += SMALL + 6.0;
    }
    for row in rows {
        for (place, image) in row.images.iter().enumerate() {
            let (width, height) =
                (f64::from(image.width().max(1)), f64::from(image.height().max(1)));
            let scale = IMAGE / width.max(height);
            let (width, height) = (width * scale, height * scale);
            let x = place as f64 * (IMAGE + GAP);
            let kept = raster::shrink(image, (IMAGE * 2.0) as u32);
            let enlarged = image.width().max(image.height()) <= 64;
            scene.image([x, y + (IMAGE - height) / 2.0, width, height], kept, enlarged);
        }
        draw_classes(&mut scene, row, (bars, y), room - bars, IMAGE / (classes.max(1) + 1) as f64);
        y += IMAGE + 16.0;
    }
    scene.height = y - 16.0;
    Ok(framed(words, scene, README_WIDTH))
}

fn draw_classes(scene: &mut Scene, row: &Prediction, (x, y): (f64, f64), width: f64, step: f64) {
    let title = font::shorten(&row.label, LABEL, Weight::SemiBold, width);
    let text =
        Text { size: LABEL, weight: Weight::SemiBold, color: INK, ..Text::new(x, 0.0, title) };
    scene.text(text.centered_on(y + step / 2.0));
    let track = width * 0.34;
    let number = font::text_width("100.0 %", SMALL, Weight::SemiBold) + 8.0;
    for (place, (name, probability)) in row.classes.iter().enumerate() {
        let middle = y + step * (place as f64 + 1.5);
        let true_class = row.truth == Some(place);
        let weight = if true_class { Weight::SemiBold } else { Weight::Regular };
        let color = series_color(if true_class { 2 } else { 0 });
        scene.rect([x, middle - 6.0, track, 12.0], GRID);
        scene.rect([x, middle - 6.0, track * probability.min(1.0), 12.0], color);
        let share = match *probability {
            small if small < 0.0005 => "< 0.1 %".to_owned(),
            probability => format!("{:.1} %", 100.0 * probability),
        };
        let end = x + track + number;
        let text = |x, content| Text { size: SMALL, weight, ..Text::new(x, 0.0, content) };
        let right = Text { anchor: crate::scene::Anchor::End, ..text(end, share) };
        scene.text(right.centered_on(middle));
        let name = font::shorten(name, SMALL, weight, width - track - number - 10.0);
        scene.text(text(end + 10.0, name).centered_on(middle));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drawn::{assert_well_drawn, photograph};

    fn row(seed: u32, truth: Option<usize>) -> Prediction {
        let classes = [
            ("tabby, tabby cat", 0.6123),
            ("Egyptian cat", 0.2001),
            ("lynx, catamount", 0.08),
            (
                "tiger cat that lives in a house and has a very long name, much longer than others",
                0.0512,
            ),
            ("Persian cat", 0.0001),
        ];
        Prediction {
            label: format!("photograph {seed}"),
            images: vec![photograph(300, 200, seed), photograph(224, 224, seed)],
            classes: classes.map(|(name, p)| (name.to_owned(), p)).to_vec(),
            truth,
        }
    }

    #[test]
    fn five_classes_with_bars() {
        let words = Words::new("Top-5 predictions", "SqueezeNet 1.1. The true class is in green.");
        let heads = ["original".to_owned(), "preprocessed".to_owned()];
        let scene = predictions(&words, &heads, &[row(1, Some(1)), row(2, None)]).unwrap();
        assert_well_drawn("top5", &scene);
    }

    #[test]
    fn what_is_no_probability_is_refused() {
        let mut wrong = row(1, None);
        wrong.classes[2].1 = 14.2;
        let error = predictions(&Words::default(), &[], &[wrong]).unwrap_err().to_string();
        assert_eq!(
            error,
            "the probability of `lynx, catamount` is 14.2: expected a number of 0 to 1"
        );
        assert!(predictions(&Words::default(), &[], &[]).is_err());
    }
}
