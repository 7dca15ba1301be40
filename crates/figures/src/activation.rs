//! Activation maps of a layer as a mosaic, for one or several photographs.

use image::RgbImage;

use crate::color::{ColorMap, MUTED};
use crate::font::{self, CAP_HEIGHT, Weight};
use crate::frame::{LABEL, SMALL, Words, framed};
use crate::raster::{self, Field};
use crate::scene::{Anchor, Scene, Text};
use crate::{Error, Result};

/// How the values of maps become colours.
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
pub enum Normalisation {
    /// Each map from its own smallest to its own largest value: structure of faint maps is seen.
    #[default]
    PerMap,
    /// All maps of all photographs on one scale: strengths can be compared.
    Shared,
}

/// A photograph and the maps that a layer yields for it.
#[derive(Debug, Clone)]
pub struct Activations {
    /// Its name.
    pub label: String,
    /// The photograph.
    pub image: RgbImage,
    /// One map for each channel, in order.
    pub maps: Vec<Field>,
}

/// How the mosaics look.
#[derive(Debug, Clone, PartialEq)]
pub struct ActivationGrid {
    /// Title and caption.
    pub words: Words,
    /// Maps in a row of each mosaic.
    pub columns: usize,
    /// Maps shown of each photograph, from the first channel on; all by default.
    pub most: usize,
    /// Width of a mosaic in CSS pixels.
    pub mosaic: f64,
    /// Mosaics side by side.
    pub across: usize,
    /// Colours.
    pub map: ColorMap,
    /// Scale of the values.
    pub normalisation: Normalisation,
}

impl ActivationGrid {
    /// Mosaics of eight maps a row, two side by side at README width.
    pub fn new(words: Words) -> Self {
        Self {
            words,
            columns: 8,
            most: usize::MAX,
            mosaic: 376.0,
            across: 2,
            map: ColorMap::Viridis,
            normalisation: Normalisation::PerMap,
        }
    }

    /// Draws, for each photograph, the photograph and the mosaic of its maps.
    ///
    /// Channels are numbered from the top left, along the rows. A map of one value alone (a dead channel) is
    /// counted below its mosaic.
    pub fn scene(&self, photographs: &[Activations]) -> Result<Scene> {
        if photographs.is_empty() {
            return Err(Error::Empty("the activation grid", "photograph"));
        }
        let mut shared = (f32::INFINITY, f32::NEG_INFINITY);
        for photograph in photographs {
            if photograph.maps.is_empty() {
                return Err(Error::Empty("the activation grid", "map of each photograph"));
            }
            for map in photograph.maps.iter().take(self.most) {
                let (low, high) = map.range();
                shared = (shared.0.min(low), shared.1.max(high));
            }
        }
        let across = self.across.clamp(1, photographs.len());
        let gap = 16.0;
        let width = (self.mosaic + gap) * across as f64 - gap;
        let mut content = Scene::new(width, 0.0);
        let mut y = 0.0;
        for row in photographs.chunks(across) {
            let mut tallest: f64 = 0.0;
            for (place, photograph) in row.iter().enumerate() {
                let block = self.block(photograph, shared);
                tallest = tallest.max(block.height);
                content.place(place as f64 * (self.mosaic + gap), y, block);
            }
            y += tallest + gap;
        }
        content.height = y - gap;
        Ok(framed(&self.words, content, 0.0))
    }

    fn block(&self, photograph: &Activations, shared: (f32, f32)) -> Scene {
        const HEAD: f64 = 84.0;
        let mut scene = Scene::new(self.mosaic, 0.0);
        let (width, height) = photograph.image.dimensions();
        let scale = HEAD / f64::from(width.max(height).max(1));
        let (shown_width, shown_height) = (f64::from(width) * scale, f64::from(height) * scale);
        let kept = raster::shrink(&photograph.image, (HEAD * 2.0) as u32);
        scene.image(
            [0.0, HEAD - shown_height, shown_width, shown_height],
            kept,
            width.max(height) <= 64,
        );
        let maps: Vec<&Field> = photograph.maps.iter().take(self.most.max(1)).collect();
        let dead = maps.iter().filter(|map| map.is_flat()).count();
        let side = |map: Option<&&Field>| map.map_or((0, 0), |map| (map.width(), map.height()));
        let (map_width, map_height) = side(maps.first());
        let x = shown_width + 10.0;
        let name = font::shorten(&photograph.label, LABEL, Weight::SemiBold, self.mosaic - x);
        scene.text(Text {
            size: LABEL,
            weight: Weight::SemiBold,
            ..Text::new(x, HEAD - 46.0, name)
        });
        let mut facts = vec![format!("{} maps of {map_width} × {map_height}", maps.len())];
        if dead > 0 {
            facts.push(format!("{dead} of one value alone"));
        }
        let muted = Text { size: SMALL, color: MUTED, ..Text::new(x, HEAD - 46.0 + 18.0, "") };
        scene.paragraph(&muted, &facts);

        let columns = self.columns.clamp(1, maps.len().max(1));
        let gap = 2.0;
        let cell = (self.mosaic - gap * (columns - 1) as f64) / columns as f64;
        let shape = map_height.max(1) as f64 / map_width.max(1) as f64;
        let top = HEAD + 8.0;
        for (index, map) in maps.iter().enumerate() {
            let range =
                if self.normalisation == Normalisation::Shared { shared } else { map.range() };
            let picture = raster::shrink(&map.picture(self.map, range), (cell * 2.0).ceil() as u32);
            let place = (
                (index % columns) as f64 * (cell + gap),
                top + (index / columns) as f64 * (cell * shape + gap),
            );
            scene.image([place.0, place.1, cell, cell * shape], picture, map.width() <= 32);
        }
        let rows = maps.len().div_ceil(columns) as f64;
        scene.height = top + rows * (cell * shape + gap) - gap;
        scene
    }
}

/// A colour scale with its ends, to stand beside maps on one scale.
pub fn scale_bar(map: ColorMap, (low, high): (f64, f64), label: &str, width: f64) -> Scene {
    let mut scene = Scene::new(width, 36.0);
    let steps = 64;
    let picture = RgbImage::from_fn(steps, 1, |x, _| {
        image::Rgb(map.at(f64::from(x) / f64::from(steps - 1)).rgb())
    });
    scene.image([0.0, 0.0, width, 10.0], picture, false);
    let text = |x, anchor, content: String| Text {
        size: SMALL,
        color: MUTED,
        anchor,
        ..Text::new(x, 16.0 + SMALL * CAP_HEIGHT, content)
    };
    let ends = (crate::ticks::plain(low), crate::ticks::plain(high));
    let room = width
        - font::text_width(&ends.0, SMALL, Weight::Regular)
        - font::text_width(&ends.1, SMALL, Weight::Regular)
        - 16.0;
    scene.text(text(0.0, Anchor::Start, ends.0));
    scene.text(text(width, Anchor::End, ends.1));
    if !label.is_empty() && room > 20.0 {
        let label = font::shorten(label, SMALL, Weight::Regular, room);
        scene.text(text(width / 2.0, Anchor::Middle, label));
    }
    scene
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drawn::{assert_well_drawn, photograph};

    fn maps(count: usize, side: usize, seed: f32) -> Vec<Field> {
        (0..count)
            .map(|channel| {
                let values = (0..side * side).map(|i| {
                    let (x, y) = ((i % side) as f32 / side as f32, (i / side) as f32 / side as f32);
                    if channel % 13 == 5 {
                        0.0
                    } else {
                        ((x * channel as f32).sin() * (y * 9.0 + seed).cos()).max(0.0)
                            * channel as f32
                    }
                });
                Field::new(side, side, values.collect()).unwrap()
            })
            .collect()
    }

    #[test]
    fn mosaics_of_several_photographs() {
        let photographs: Vec<Activations> = [
            ("cat", 111),
            ("astronaut in a suit, a long name for a photograph of one person", 111),
            ("coffee", 55),
        ]
        .iter()
        .enumerate()
        .map(|(seed, (label, side))| Activations {
            label: (*label).to_owned(),
            image: photograph(224, if seed == 1 { 150 } else { 224 }, seed as u32),
            maps: maps(64, *side, seed as f32),
        })
        .collect();
        let words = Words::new(
            "First-layer activation maps",
            "SqueezeNet 1.1, first convolution, 64 channels, each map on its own scale.",
        );
        let grid = ActivationGrid::new(words);
        let scene = grid.scene(&photographs).unwrap();
        assert_well_drawn("activations", &scene);
        assert!(scene.texts().iter().any(|text| text.content == "6 of one value alone"));
        let shared =
            ActivationGrid { normalisation: Normalisation::Shared, most: 10, across: 1, ..grid };
        assert_well_drawn("activations-shared", &shared.scene(&photographs[..1]).unwrap());
    }

    #[test]
    fn a_scale_bar_says_its_ends() {
        let scene = scale_bar(ColorMap::Diverging, (-1.5, 1.5), "gradient × input", 240.0);
        assert_well_drawn("scale", &scene);
        let texts: Vec<String> = scene.texts().into_iter().map(|text| text.content).collect();
        assert_eq!(texts, ["−1.5", "1.5", "gradient × input"]);
    }

    #[test]
    fn no_maps_is_an_error() {
        let nothing =
            Activations { label: String::new(), image: RgbImage::new(4, 4), maps: vec![] };
        let grid = ActivationGrid::new(Words::default());
        assert!(grid.scene(&[]).is_err());
        assert!(grid.scene(&[nothing]).is_err());
    }
}
