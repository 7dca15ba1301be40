//! What the ascent climbs: a class's score, and its gradient.

use candle_core::{Tensor, Var};
use schemars::JsonSchema;
use sconce_ops::device::in_f64;
use sconce_ops::sum::mean_all;
use sconce_ops::tape;
use serde::{Deserialize, Serialize};

use crate::{Model, Objective};

/// What is made large.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Goal {
    /// The class's logit: what speaks for the class, whatever else is seen.
    #[default]
    Logit,
    /// The logarithm of the class's probability: also takes away what speaks for other classes.
    LogProbability,
}

impl Goal {
    /// The objective for pictures that all are to become `class`.
    pub fn of(self, class: u32, pictures: usize) -> Objective {
        match self {
            Self::Logit => Objective::Logit(vec![class; pictures]),
            Self::LogProbability => Objective::LogProbability(vec![class; pictures]),
        }
    }
}

/// What a network says of a picture on the way.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Steps done.
    pub iteration: usize,
    /// The objective before any penalty.
    pub objective: f64,
    /// The class's logit.
    pub logit: f64,
    /// The class's probability.
    pub probability: f64,
}

/// The steps of an ascent as they are made: where it stands, and the picture, `(1, channels, height, width)`, samples
/// 0–255, for who wants it.
pub type Observer<'a> =
    dyn FnMut(&Progress, &dyn Fn() -> candle_core::Result<Tensor>) -> sconce_core::Result<()> + 'a;

/// The objective of `pictures(x)`, and its gradient with respect to `x`.
///
/// `pictures` makes pixels, `(pictures, channels, height, width)`, samples 0–255.
///
/// # Errors
/// When there is no such class, or the network refuses the input.
pub fn gradient(
    model: &Model,
    x: &Tensor,
    pictures: impl FnOnce(&Tensor) -> candle_core::Result<Tensor>,
    class: u32,
    goal: Goal,
) -> candle_core::Result<(Progress, Tensor)> {
    let x = Var::from_tensor(&x.detach())?;
    let (gradients, progress) = tape::gradients(|| {
        let (progress, value) = value(model, &pictures(&x)?, class, goal)?;
        Ok((value, progress))
    })?;
    let gradient = match gradients.get(&x) {
        Some(gradient) => gradient.detach(),
        None => x.zeros_like()?,
    };
    Ok((progress, gradient))
}

/// What the network says of pictures' pixels, in the mean, and the objective with its history.
///
/// # Errors
/// As [`gradient`].
pub fn value(
    model: &Model,
    pixels: &Tensor,
    class: u32,
    goal: Goal,
) -> candle_core::Result<(Progress, Tensor)> {
    let logits = model.logits(&model.to_inputs(pixels)?)?;
    let pictures = logits.dim(0)?;
    let value = mean_all(&goal.of(class, pictures).of(&logits)?)?;
    let rows = in_f64(&logits.detach())?.to_vec2::<f64>()?;
    let (mut logit, mut probability) = (0.0, 0.0);
    for row in &rows {
        let found = logit_and_probability(row, class);
        logit += found.0 / pictures as f64;
        probability += found.1 / pictures as f64;
    }
    let objective = f64::from(value.to_scalar::<f32>()?);
    Ok((Progress { iteration: 0, objective, logit, probability }, value))
}

/// A class's own among one picture's logits, and its softmax.
fn logit_and_probability(logits: &[f64], class: u32) -> (f64, f64) {
    let logit = logits.get(class as usize).copied().unwrap_or(f64::NAN);
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let total: f64 = logits.iter().map(|number| (number - largest).exp()).sum();
    (logit, (logit - largest).exp() / total)
}
