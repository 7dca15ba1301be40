//! From an image to a network's input.

use schemars::JsonSchema;
use sconce_core::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::image::{Color, Image};
use crate::resize::{self, Filter, Fit};

/// The order of an input's channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Channels {
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red.
    Bgr,
    /// Luminance alone.
    Grey,
}

impl Channels {
    /// 3, or 1 for grey.
    pub const fn count(self) -> usize {
        match self {
            Self::Rgb | Self::Bgr => 3,
            Self::Grey => 1,
        }
    }

    /// The colour that an image has to be decoded to.
    pub const fn color(self) -> Color {
        match self {
            Self::Rgb | Self::Bgr => Color::Rgb,
            Self::Grey => Color::Grey,
        }
    }
}

/// What weights expect of their input: `(sample · scale / 255 − mean) / std`, channel by channel.
///
/// It comes with the weights (their metadata, or a parameter) and is never guessed: the same
/// architecture is published with 0–255 and 0–1 inputs, RGB and BGR.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Preprocessing {
    /// The order of the channels: `rgb`, `bgr` or `grey`.
    pub channels: Channels,
    /// The value of white before mean and deviation: 255 or 1.
    pub scale: f32,
    /// The mean that is subtracted, one number a channel, in the order of `channels`.
    pub mean: Vec<f32>,
    /// The deviation that is divided by, one number a channel, in the order of `channels`.
    pub std: Vec<f32>,
    /// Whether each channel of each image is then brought to mean 0 and deviation 1 (instance normalisation of the input).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub instance: bool,
    /// The side of the square input in pixels, where the weights come with one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<usize>,
    /// How an image is brought to `size`.
    #[serde(default = "crop")]
    pub fit: Fit,
    /// The filter that resizing uses.
    #[serde(default)]
    pub filter: Filter,
}

fn crop() -> Fit {
    Fit::Crop
}

/// Brings numbers to mean 0 and deviation 1: `(x − mean) / √(variance + 1e-5)`, as PyTorch's `instance_norm`. Numbers that are
/// all the same become 0.
pub fn standardise(plane: &mut [f32]) {
    const EPS: f64 = 1e-5;
    let count = plane.len().max(1) as f64;
    let mean = plane.iter().map(|&x| f64::from(x)).sum::<f64>() / count;
    let variance = plane.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / count;
    let scale = (variance + EPS).sqrt().recip();
    plane.iter_mut().for_each(|x| *x = ((f64::from(*x) - mean) * scale) as f32);
}

impl Preprocessing {
    /// Refuses what cannot be computed with; the message names the key.
    pub fn check(&self) -> Result<()> {
        let count = self.channels.count();
        for (key, numbers) in [("mean", &self.mean), ("std", &self.std)] {
            if numbers.len() != count || !numbers.iter().all(|number| number.is_finite()) {
                return Err(Error::parameter(
                    format!("preprocessing.{key}"),
                    format!("expected {count} finite number(s), one a channel, found {numbers:?}"),
                ));
            }
        }
        if self.std.contains(&0.0) {
            return Err(Error::parameter("preprocessing.std", "expected no zero"));
        }
        if !(self.scale.is_finite() && self.scale > 0.0) {
            return Err(Error::parameter(
                "preprocessing.scale",
                format!("expected 255 or 1 (the value of white), found {}", self.scale),
            ));
        }
        if self.size == Some(0) {
            return Err(Error::parameter("preprocessing.size", "expected at least 1 pixel"));
        }
        Ok(())
    }

    /// The image as the network takes it: resized to `size` (unless that is `None`), then
    /// `channels × height × width` numbers.
    pub fn apply(&self, image: &Image) -> Result<Vec<f32>> {
        self.normalize(&self.fit(image)?)
    }

    /// The image brought to `size × size`, before normalisation: what a figure shows.
    pub fn fit(&self, image: &Image) -> Result<Image> {
        match self.size {
            Some(size) => resize::fit(image, size, self.fit, self.filter),
            None => Ok(image.clone()),
        }
    }

    /// The image's samples as `channels × height × width` normalised numbers.
    pub fn normalize(&self, image: &Image) -> Result<Vec<f32>> {
        self.check()?;
        let image = if image.color() == self.channels.color() {
            std::borrow::Cow::Borrowed(image)
        } else {
            std::borrow::Cow::Owned(image.clone().into_color(self.channels.color()))
        };
        let count = self.channels.count();
        let mut planes = Vec::with_capacity(image.samples().len());
        for channel in 0..count {
            let sample = if self.channels == Channels::Bgr { 2 - channel } else { channel };
            let (mean, std) = (self.mean[channel], self.std[channel]);
            // 256 values at most: a table is faster than the arithmetic.
            let values: [f32; 256] =
                std::array::from_fn(|level| (level as f32 / 255.0 * self.scale - mean) / std);
            let samples = image.samples().iter().skip(sample).step_by(count);
            let from = planes.len();
            planes.extend(samples.map(|&level| values[usize::from(level)]));
            if self.instance {
                standardise(&mut planes[from..]);
            }
        }
        Ok(planes)
    }

    /// The image that a normalised input came from, rounded and clamped to 0–255: for figures.
    ///
    /// `planes` are `channels × height × width` numbers.
    pub fn denormalize(&self, planes: &[f32], width: usize, height: usize) -> Result<Image> {
        self.check()?;
        if self.instance {
            return Err(Error::parameter(
                "preprocessing.instance",
                "an image's own mean and deviation are gone from its input, so no picture can be made of it: expected false",
            ));
        }
        let count = self.channels.count();
        let plane = width * height;
        if planes.len() != count * plane {
            return Err(Error::message(format!(
                "expected {count} × {height} × {width} numbers, found {}",
                planes.len()
            )));
        }
        let mut samples = vec![0; planes.len()];
        for (channel, values) in planes.chunks_exact(plane.max(1)).enumerate() {
            let sample = if self.channels == Channels::Bgr { 2 - channel } else { channel };
            let (mean, std) = (self.mean[channel], self.std[channel]);
            for (pixel, value) in values.iter().enumerate() {
                let level = (value * std + mean) / self.scale * 255.0;
                samples[pixel * count + sample] = level.round().clamp(0.0, 255.0) as u8;
            }
        }
        Image::new(width, height, self.channels.color(), samples).map_err(Error::other)
    }
}
