//! Gradient ascent on pixels.

use candle_core::{DType, Tensor};
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};
use schemars::JsonSchema;
use sconce_core::random::Generator;
use sconce_core::{Error, Result};
use sconce_ops::separable::gaussian_blur;
use sconce_ops::sum::sum_all;
use serde::{Deserialize, Serialize};

use super::score::{self, Goal, Observer, Progress};
use super::standard::Standard;
use super::transform::Transforms;
use super::views::Views;
use crate::Model;

/// What large values of a picture cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Penalty {
    /// `λ ‖u‖₂`.
    Norm,
    /// `λ ‖u‖₂²`.
    #[default]
    SquaredNorm,
}

impl Penalty {
    /// `‖u‖` or its square.
    ///
    /// # Errors
    /// When the tensor cannot be read.
    pub fn value(self, u: &Tensor) -> candle_core::Result<f64> {
        let squares = f64::from(sum_all(&u.sqr()?)?.to_dtype(DType::F32)?.to_scalar::<f32>()?);
        Ok(match self {
            Self::Norm => squares.sqrt(),
            Self::SquaredNorm => squares,
        })
    }

    /// Its gradient, `u / ‖u‖` (zero at zero) or `2u`.
    ///
    /// # Errors
    /// As [`Penalty::value`].
    pub fn gradient(self, u: &Tensor) -> candle_core::Result<Tensor> {
        match self {
            Self::SquaredNorm => u * 2.0,
            Self::Norm => match self.value(u)? {
                0.0 => u.zeros_like(),
                norm => u / norm,
            },
        }
    }
}

/// Whether a step follows the gradient's length.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Every step is as long as the learning rate: `u += η g / ‖g‖₂`.
    #[default]
    Normalised,
    /// `u += η g`.
    Raw,
}

/// Gradient ascent on `score(class) − λ · penalty(u)`, with `u` in the [`Standard`] scale.
///
/// A step: the picture is rolled by a random number of pixels, `u += η g / ‖g‖₂` with the mean gradient of its views, rolled
/// back, clamped to black and white, and blurred now and then.
#[derive(Debug, Clone, PartialEq)]
pub struct PixelAscent {
    /// Steps.
    pub iterations: usize,
    /// η.
    pub learning_rate: f64,
    /// Whether a step follows the gradient's length.
    pub step: Step,
    /// λ.
    pub regularisation: f64,
    /// What λ weighs.
    pub penalty: Penalty,
    /// Blurs after steps 1, 1 + n, 1 + 2n, …; 0 for never.
    pub blur_every: usize,
    /// Deviation of the blur in pixels.
    pub blur: f64,
    /// Pixels at most by which the picture is rolled before a step, in both directions.
    pub jitter: usize,
    /// What the network sees of the rolled picture.
    pub views: Views,
    /// What is made large.
    pub goal: Goal,
}

impl Default for PixelAscent {
    /// The practical's numbers.
    fn default() -> Self {
        Self {
            iterations: 200,
            learning_rate: 5.0,
            step: Step::Normalised,
            regularisation: 1e-3,
            penalty: Penalty::SquaredNorm,
            blur_every: 10,
            blur: 0.5,
            jitter: 16,
            views: Views::under(Transforms::NONE),
            goal: Goal::Logit,
        }
    }
}

/// Normal noise of mean 0 and deviation 1, `(1, channels, size, size)`, in the [`Standard`] scale.
///
/// # Errors
/// When the device has no room.
pub fn noise(model: &Model, size: usize, rng: &mut Generator) -> Result<Tensor> {
    let channels = model.preprocessing().channels.count();
    let values = (0..channels * size * size).map(|_| StandardNormal.sample(rng)).collect();
    Tensor::from_vec::<_, f32>(values, (1, channels, size, size), model.device())
        .map_err(Error::other)
}

/// The picture rolled by `down` and `right` pixels; what leaves on one side comes in on the other.
///
/// # Errors
/// When the picture has not four dimensions.
pub fn roll(u: &Tensor, [down, right]: [i32; 2]) -> candle_core::Result<Tensor> {
    u.roll(down, 2)?.roll(right, 3)?.contiguous()
}

impl PixelAscent {
    /// Climbs from `start`, `(1, channels, height, width)` in the [`Standard`] scale, to a picture of `class`.
    ///
    /// `observe` sees the start (iteration 0), every step as the network saw it, rolled, and the end as it is.
    ///
    /// # Errors
    /// When the network refuses the picture, there is no such class, or `observe` fails.
    pub fn run(
        &self,
        model: &Model,
        class: u32,
        start: Tensor,
        rng: &mut Generator,
        observe: &mut Observer<'_>,
    ) -> Result<Tensor> {
        let standard = Standard::new(model.preprocessing().channels, model.device());
        let standard = standard.map_err(Error::other)?;
        let mut u = start;
        for iteration in 0..self.iterations {
            let (progress, next) =
                self.advance(model, &standard, class, &u, iteration, rng).map_err(Error::other)?;
            observe(&progress, &|| standard.to_pixels(&u))?;
            u = next;
        }
        let end = standard.to_pixels(&u).and_then(|pixels| {
            score::value(model, &pixels, class, self.goal).map(|(progress, _)| progress)
        });
        let end = Progress { iteration: self.iterations, ..end.map_err(Error::other)? };
        observe(&end, &|| standard.to_pixels(&u))?;
        Ok(u)
    }

    /// Step number `iteration` from `u`: what the network said of it, and the next picture.
    ///
    /// # Errors
    /// As [`score::gradient`].
    pub fn advance(
        &self,
        model: &Model,
        standard: &Standard,
        class: u32,
        u: &Tensor,
        iteration: usize,
        rng: &mut Generator,
    ) -> candle_core::Result<(Progress, Tensor)> {
        let most = i32::try_from(self.jitter).unwrap_or(i32::MAX);
        let shift = [0; 2].map(|_: i32| rng.random_range(-most..=most));
        let rolled = roll(u, shift)?;
        let (progress, gradient) = self.gradient(model, standard, class, &rolled, rng)?;
        let size = match self.step {
            Step::Raw => self.learning_rate,
            Step::Normalised => match Penalty::Norm.value(&gradient)? {
                0.0 => 0.0,
                norm => self.learning_rate / norm,
            },
        };
        let next = (rolled + (gradient * size)?)?;
        let next = standard.clamp(&roll(&next, shift.map(|shift| -shift))?)?;
        let blurred = self.blur_every > 0 && iteration.is_multiple_of(self.blur_every);
        let next = if blurred { blur(&next, self.blur)? } else { next };
        Ok((Progress { iteration, ..progress }, next))
    }

    /// The gradient of `score(class) − λ · penalty(u)` with respect to `u`.
    ///
    /// # Errors
    /// As [`score::gradient`].
    pub fn gradient(
        &self,
        model: &Model,
        standard: &Standard,
        class: u32,
        u: &Tensor,
        rng: &mut Generator,
    ) -> candle_core::Result<(Progress, Tensor)> {
        let views = |u: &Tensor| self.views.of(&standard.to_pixels(u)?, rng);
        let (progress, gradient) = score::gradient(model, u, views, class, self.goal)?;
        if self.regularisation == 0.0 {
            return Ok((progress, gradient));
        }
        let cost = (self.penalty.gradient(u)? * self.regularisation)?;
        Ok((progress, (gradient - cost)?))
    }
}

/// A Gaussian blur, its kernel cut off at four deviations, as SciPy's `gaussian_filter`.
///
/// # Errors
/// When the picture is smaller than half the kernel.
pub fn blur(u: &Tensor, sigma: f64) -> candle_core::Result<Tensor> {
    if sigma <= 0.0 {
        return Ok(u.clone());
    }
    let radius = (4.0 * sigma + 0.5) as usize;
    gaussian_blur(u, 2 * radius + 1, sigma)
}
