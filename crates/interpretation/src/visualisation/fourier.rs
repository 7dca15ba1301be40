//! Gradient ascent on decorrelated frequencies, under random transforms.

use candle_core::{Tensor, Var};
use rand_distr::{Distribution, StandardNormal};
use sconce_core::random::Generator;
use sconce_core::{Error, Result};
use sconce_models::optim::{Adam, Method, Optimiser};
use sconce_models::variables::Variables;
use sconce_ops::tape;

use super::color;
use super::score::{self, Goal, Observer, Progress};
use super::spectrum::Spectrum;
use super::transform::Transforms;
use super::views::Views;
use crate::Model;

/// Adam on the frequencies of a picture with independent colours; the network sees it moved, turned and scaled at random.
///
/// Olah, Mordvintsev and Schubert, "Feature visualization", 2017; constants are those of their library Lucid.
#[derive(Debug, Clone, PartialEq)]
pub struct FourierAscent {
    /// Steps.
    pub iterations: usize,
    /// Adam's learning rate.
    pub learning_rate: f64,
    /// Weight of frequency `f` is `1 / f^decay`.
    pub decay: f64,
    /// Deviation of the frequencies at the start.
    pub deviation: f64,
    /// What the network sees at a step.
    pub views: Views,
    /// What is made large.
    pub goal: Goal,
}

impl Default for FourierAscent {
    fn default() -> Self {
        Self {
            iterations: 200,
            learning_rate: 0.05,
            decay: 1.0,
            deviation: 0.01,
            views: Views::under(Transforms::default()),
            goal: Goal::Logit,
        }
    }
}

/// What Lucid divides pictures by, so that a learning rate of 0.05 suits them.
const MAGIC: f64 = 4.0;

/// The way from a spectrum to pixels.
pub struct Painter {
    spectrum: Spectrum,
    colors: Tensor,
}

impl Painter {
    /// For pictures of `size × size` pixels of the model's channels.
    ///
    /// # Errors
    /// When the device has no room.
    pub fn new(model: &Model, size: usize, decay: f64) -> candle_core::Result<Self> {
        let spectrum = Spectrum::new(size, size, decay, model.device())?;
        Ok(Self {
            spectrum,
            colors: color::matrix(model.preprocessing().channels, model.device())?,
        })
    }

    /// Samples 0–255, `(1, channels, size, size)`, of a spectrum; the gradient passes.
    ///
    /// # Errors
    /// When the spectrum has another shape.
    pub fn pixels(&self, spectrum: &Tensor) -> candle_core::Result<Tensor> {
        color::to_pixels(&(self.spectrum.picture(spectrum)? / MAGIC)?, &self.colors)
    }
}

impl FourierAscent {
    /// Climbs to a picture of `class`, `(1, channels, size, size)`, samples 0–255.
    ///
    /// `observe` sees every step, with what the network said of the transformed picture, and the end as it is.
    ///
    /// # Errors
    /// When the network refuses the picture, there is no such class, or `observe` fails.
    pub fn run(
        &self,
        model: &Model,
        class: u32,
        size: usize,
        [start, moves]: [&mut Generator; 2],
        observe: &mut Observer<'_>,
    ) -> Result<Tensor> {
        let painter = Painter::new(model, size, self.decay).map_err(Error::other)?;
        let spectrum = self.start(model, size, painter.spectrum.row(), start)?;
        let mut variables = Variables::new(0, model.device());
        let spectrum = variables.insert("spectrum", &spectrum, true)?;
        let mut adam = Optimiser::new(Method::Adam(Adam::default()), &variables)?;
        for iteration in 0..self.iterations {
            let progress = self.step(model, class, &painter, &spectrum, moves);
            let (progress, gradients) = progress.map_err(Error::other)?;
            observe(&Progress { iteration, ..progress }, &|| {
                painter.pixels(&spectrum.as_detached_tensor())
            })?;
            adam.step(&gradients, self.learning_rate).map_err(Error::other)?;
        }
        let end = painter.pixels(&spectrum.as_detached_tensor()).map_err(Error::other)?;
        let (progress, _) = score::value(model, &end, class, self.goal).map_err(Error::other)?;
        observe(&Progress { iteration: self.iterations, ..progress }, &|| Ok(end.clone()))?;
        Ok(end)
    }

    fn start(&self, model: &Model, size: usize, row: usize, rng: &mut Generator) -> Result<Tensor> {
        let channels = model.preprocessing().channels.count();
        let draw = |_| {
            let number: f64 = StandardNormal.sample(rng);
            (number * self.deviation) as f32
        };
        let values: Vec<f32> = (0..channels * size * row).map(draw).collect();
        Tensor::from_vec(values, (channels, size, row), model.device()).map_err(Error::other)
    }

    fn step(
        &self,
        model: &Model,
        class: u32,
        painter: &Painter,
        spectrum: &Var,
        moves: &mut Generator,
    ) -> candle_core::Result<(Progress, candle_core::backprop::GradStore)> {
        let (gradients, progress) = tape::gradients(|| {
            let pixels = painter.pixels(spectrum)?;
            let seen = self.views.of(&pixels, moves)?;
            let (progress, value) = score::value(model, &seen, class, self.goal)?;
            Ok((value.neg()?, progress))
        })?;
        Ok((progress, gradients))
    }
}
