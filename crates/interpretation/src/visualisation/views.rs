//! What a network sees of a picture at one step of an ascent.

use candle_core::{Result, Tensor};
use rand_distr::{Distribution, StandardNormal};
use sconce_core::Error;
use sconce_core::random::Generator;

use super::transform::Transforms;

/// Copies of a picture, each moved, turned and scaled at random, with noise: what makes a class's score large in all of them
/// is less of one network's own, and more of what the class looks like.
///
/// Olah, Mordvintsev and Schubert, "Feature visualization", 2017 (transforms); Smilkov et al., "SmoothGrad", 2017, and Kaur,
/// Cohen and Lipton, "Are perceptually-aligned gradients a general property of robust classifiers?", 2019 (the mean of
/// gradients under normal noise).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Views {
    /// Copies a step; the mean of their objectives is climbed.
    pub copies: usize,
    /// How far transforms go.
    pub transforms: Transforms,
    /// Deviation of the normal noise on every copy, as a share of the range from black to white.
    pub noise: f64,
}

/// What lies beyond the picture's edges: middle grey.
const BACKGROUND: f64 = 127.5;

impl Views {
    /// One copy under `transforms`, without noise.
    pub const fn under(transforms: Transforms) -> Self {
        Self { copies: 1, transforms, noise: 0.0 }
    }

    /// Refuses what cannot be seen.
    ///
    /// # Errors
    /// [`Error::Parameter`] with the name of the number.
    pub fn check(&self) -> sconce_core::Result<()> {
        if self.copies == 0 {
            return Err(Error::parameter("copies", "expected 1 or more, found 0"));
        }
        if !(self.noise.is_finite() && self.noise >= 0.0) {
            let message = format!("expected a share of the range, 0 or more, found {}", self.noise);
            return Err(Error::parameter("noise", message));
        }
        self.transforms.check()
    }

    /// `(copies, channels, height, width)` of `pixels` `(1, channels, height, width)`, samples 0–255. The gradient passes.
    ///
    /// # Errors
    /// When the picture has not four dimensions or holds more than one.
    pub fn of(&self, pixels: &Tensor, rng: &mut Generator) -> Result<Tensor> {
        let mut copies = Vec::with_capacity(self.copies);
        for _ in 0..self.copies {
            // A picture that stays as it is goes through no interpolation, and takes no random numbers.
            let moved = match self.transforms.is_none() {
                true => pixels.clone(),
                false => self.transforms.draw(rng).apply(pixels, BACKGROUND)?,
            };
            copies.push(self.noisy(&moved, rng)?);
        }
        match copies.as_slice() {
            [one] => Ok(one.clone()),
            several => Tensor::cat(several, 0),
        }
    }

    fn noisy(&self, pixels: &Tensor, rng: &mut Generator) -> Result<Tensor> {
        if self.noise == 0.0 {
            return Ok(pixels.clone());
        }
        let deviation = (self.noise * 255.0) as f32;
        let draw = |_| {
            let number: f32 = StandardNormal.sample(rng);
            number * deviation
        };
        let noise: Vec<f32> = (0..pixels.elem_count()).map(draw).collect();
        pixels + Tensor::from_vec(noise, pixels.shape(), pixels.device())?
    }
}
