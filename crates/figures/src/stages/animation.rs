//! Kind `animation`.

use image::imageops::{self, FilterType};
use schemars::JsonSchema;
use sconce_core::{Context, Error, Input, Result, Stage, outputs};
use sconce_data::{Figure, ImageSet};
use serde::{Deserialize, Serialize};

use super::pictures;
use crate::animation::{Timing, gif};
use crate::raster;

/// Makes a GIF of the images of a set, in order, with the last one as PNG beside it.
///
/// With `across`, a frame shows all images of a split, splits in their order: samples at several times of a training.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Animation {
    /// The frames, all of one size.
    pub frames: Input<ImageSet>,
    /// Images side by side, where each split of the set is a frame; without it each image is one.
    #[serde(default)]
    pub across: Option<usize>,
    /// Images of a split at most, the first ones, where a split is a frame.
    #[serde(default)]
    pub max_images: Option<usize>,
    /// Takes every n-th frame, and the last.
    #[serde(default = "one")]
    pub every: usize,
    /// Milliseconds that a frame is shown, in steps of 10.
    #[serde(default = "frame")]
    pub frame: u32,
    /// Milliseconds that the last frame is shown.
    #[serde(default = "last")]
    pub last: u32,
    /// Whole times that frames are enlarged, pixels staying squares.
    #[serde(default = "times")]
    pub enlarge: u32,
    /// What is seen.
    #[serde(default)]
    #[schemars(extend("x-sconce-text" = true))]
    pub caption: String,
}

fn one() -> usize {
    1
}

fn times() -> u32 {
    1
}

fn frame() -> u32 {
    Timing::default().frame
}

fn last() -> u32 {
    Timing::default().last
}

/// Pixels between the images of a frame.
const GAP: u32 = 2;

outputs! { Animation:
    /// The animation as GIF, its last frame as PNG.
    FIGURE: Figure = "figure";
}

impl Stage for Animation {
    const KIND: &'static str = "animation";
    const VERSION: u32 = 1;

    fn check(&self) -> Result<()> {
        for (key, value) in [
            ("every", self.every),
            ("across", self.across.unwrap_or(1)),
            ("max_images", self.max_images.unwrap_or(1)),
        ] {
            if value == 0 {
                return Err(Error::parameter(key, "expected 1 or more, found 0"));
            }
        }
        if self.max_images.is_some() && self.across.is_none() {
            let message = "each image is a frame: expected `across` beside it";
            return Err(Error::parameter("max_images", message));
        }
        if !(1..=32).contains(&self.enlarge) {
            return Err(Error::parameter(
                "enlarge",
                format!("expected 1 to 32, found {}", self.enlarge),
            ));
        }
        Ok(())
    }

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        let images = ctx.input(&self.frames)?;
        let groups = self.groups(&images)?;
        let count = groups.len();
        let chosen = (0..count).filter(|place| place % self.every == 0 || place + 1 == count);
        let mut frames = Vec::new();
        for frame in chosen {
            ctx.check_cancelled()?;
            let mut tiles = Vec::new();
            for place in &groups[frame] {
                let image = pictures::pixels(&images, *place)?;
                let (width, height) = (image.width() * self.enlarge, image.height() * self.enlarge);
                tiles.push(match self.enlarge {
                    1 => image,
                    _ => imageops::resize(&image, width, height, FilterType::Nearest),
                });
            }
            frames.push(match self.across {
                None => tiles.remove(0),
                Some(across) => raster::tiled(&tiles, across, GAP)?,
            });
        }
        let bytes = gif(&frames, Timing { frame: self.frame, last: self.last })?;
        let mut figure = Figure::new(&self.caption).with("animation.gif", bytes);
        if let Some(last) = frames.last() {
            figure = figure.with("last.png", raster::encode_png(last)?);
        }
        ctx.write(Self::FIGURE, &figure)
    }
}

impl Animation {
    /// The images of each frame.
    fn groups(&self, images: &ImageSet) -> Result<Vec<Vec<usize>>> {
        if self.across.is_none() {
            return Ok((0..images.len()).map(|place| vec![place]).collect());
        }
        let examples = images.examples();
        if examples.splits.is_empty() {
            let message = "expected images in splits, a frame each; these have none";
            return Err(Error::parameter("across", message));
        }
        let most = self.max_images.unwrap_or(usize::MAX);
        let first = |mut places: Vec<usize>| {
            places.truncate(most);
            places
        };
        let groups = examples.splits.iter().map(|split| examples.in_split(split).map(first));
        groups.filter(|group| !matches!(group, Ok(places) if places.is_empty())).collect()
    }
}
