//! Adversarial images: small changes of an image that fool a classifier.
//!
//! The methods are pure functions of a [`Classifier`], which gives logits and gradients. An image is a slice of
//! `channels × height × width` samples in *levels*: 0–255, where a network's own input may be scaled and shifted.
//! Every image that a method gives stays within 0–255.

mod ascent;
mod carlini_wagner;
mod deepfool;
mod evolution;
mod fgsm;
mod method;
mod network;
mod one_pixel;
mod outcome;
mod pgd;
pub(crate) mod subjects;
mod target;

pub use ascent::{Ascent, Unit};
pub use carlini_wagner::CarliniWagner;
pub use deepfool::DeepFool;
pub use evolution::{Costs, Evolution, Evolved};
pub use fgsm::Fgsm;
pub use method::Method;
pub use network::Attacked;
pub use one_pixel::{Change, OnePixel, OnePixelAttempt};
pub use outcome::{Outcome, Verdict, metrics, table};
pub use pgd::{Norm, Pgd};
pub use target::Target;

use schemars::JsonSchema;
use sconce_core::{Error, Result};
use sconce_data::finite::NotFinite;
use serde::{Deserialize, Serialize};

/// The largest level of a sample.
pub const WHITE: f32 = 255.0;

/// What an attack sees of a network.
pub trait Classifier: Sync {
    /// Channels, height and width of an image.
    fn shape(&self) -> [usize; 3];

    /// Levels that one unit of the network's own input is, channel by channel.
    fn input_unit(&self) -> Vec<f32>;

    /// The logits of each image.
    ///
    /// # Errors
    /// When an image has another shape, or the run was asked to stop.
    fn logits(&self, images: &[Vec<f32>]) -> Result<Vec<Vec<f32>>>;

    /// The logits `z` of each image, and the gradient of `Σ wₖ zₖ` with respect to it, where `w = weights(place, z)` is
    /// held constant (a vector–Jacobian product).
    ///
    /// # Errors
    /// As [`Classifier::logits`].
    fn pull_back(
        &self,
        images: &[Vec<f32>],
        weights: &dyn Fn(usize, &[f32]) -> Vec<f32>,
    ) -> Result<Vec<Pulled>>;
}

/// What [`Classifier::pull_back`] gives for an image.
#[derive(Debug, Clone, PartialEq)]
pub struct Pulled {
    /// The logits.
    pub logits: Vec<f32>,
    /// The gradient, in logits per level, of the image's shape.
    pub gradient: Vec<f32>,
}

/// What a changed image has to be taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// Anything but this class.
    Leave(usize),
    /// This class.
    Reach(usize),
}

/// An image that a method ended with, fooled or not.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    /// The image.
    pub image: Vec<f32>,
    /// Steps that changed the image on the way.
    pub iterations: usize,
}

/// Which image has to be fooled for a method to be done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Until {
    /// The image as it is, in floating point.
    #[default]
    Fooled,
    /// Also the image rounded to whole levels, as a file holds it.
    Rounded,
}

impl Goal {
    /// How far the logits are beyond the goal: `max_{k≠y} z_k − z_y` to leave class y, `z_t − max_{k≠t} z_k` to reach t.
    /// Above 0 the image is fooled. Not a number where a logit is none.
    pub fn margin(self, logits: &[f32]) -> f32 {
        let (Self::Leave(class) | Self::Reach(class)) = self;
        let own = logits.get(class).copied().unwrap_or(f32::NAN);
        let other = other(logits, class).map_or(f32::NAN, |(_, logit)| logit);
        match self {
            Self::Leave(_) => other - own,
            Self::Reach(_) => own - other,
        }
    }

    /// Whether the image with these logits is fooled, by at least `confidence`.
    pub fn is_met(self, logits: &[f32], confidence: f32) -> bool {
        let margin = self.margin(logits);
        margin > 0.0 && margin >= confidence
    }

    /// Weights of the logits in the gradient of [`Goal::margin`].
    pub(crate) fn margin_weights(self, logits: &[f32]) -> Vec<f32> {
        let (Self::Leave(class) | Self::Reach(class)) = self;
        let sign = if matches!(self, Self::Reach(_)) { 1.0 } else { -1.0 };
        let mut weights = vec![0.0; logits.len()];
        if let (Some((other, _)), true) = (other(logits, class), class < logits.len()) {
            weights[class] = sign;
            weights[other] = -sign;
        }
        weights
    }

    /// Weights of the logits in the gradient of what PGD and FGSM climb: the cross-entropy of the class to leave, or minus
    /// that of the class to reach.
    pub(crate) fn loss_weights(self, logits: &[f32]) -> Vec<f32> {
        let (Self::Leave(class) | Self::Reach(class)) = self;
        let sign = if matches!(self, Self::Leave(_)) { 1.0 } else { -1.0 };
        let mut weights = softmax(logits);
        // p − 1 as minus the others' sum: where p rounds to 1, the gradient would be zero.
        let others: f64 =
            weights.iter().enumerate().filter(|(k, _)| *k != class).map(|(_, p)| p).sum();
        if let Some(own) = weights.get_mut(class) {
            *own = -others;
        }
        // The direction alone counts, and tiny numbers would vanish on their way through the network.
        let largest = weights.iter().fold(0f64, |most, weight| weight.abs().max(most));
        let scale = if largest > 0.0 { sign / largest } else { 0.0 };
        weights.into_iter().map(|weight| (weight * scale) as f32).collect()
    }

    /// Whether `image`, whose logits are given, is fooled by at least `confidence`, rounded too where `until` asks for it.
    pub(crate) fn reached(
        self,
        classifier: &impl Classifier,
        image: &[f32],
        logits: &[f32],
        confidence: f32,
        until: Until,
    ) -> Result<bool> {
        if !self.is_met(logits, confidence) {
            return Ok(false);
        }
        match until {
            Until::Fooled => Ok(true),
            Until::Rounded => Ok(self.is_met(&logits_of(classifier, rounded(image))?, confidence)),
        }
    }
}

/// The likeliest class but `class`, and its logit.
pub(crate) fn other(logits: &[f32], class: usize) -> Option<(usize, f32)> {
    let others = logits.iter().copied().enumerate().filter(|(k, _)| *k != class);
    others.reduce(|best, next| if next.1 > best.1 { next } else { best })
}

/// The class of the largest logit, the first of several.
pub fn predicted(logits: &[f32]) -> usize {
    other(logits, usize::MAX).map_or(0, |(class, _)| class)
}

/// Softmax probabilities.
pub fn softmax(logits: &[f32]) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exponentials: Vec<f64> =
        logits.iter().map(|logit| f64::from(logit - largest).exp()).collect();
    let sum: f64 = exponentials.iter().sum();
    exponentials.into_iter().map(|e| e / sum).collect()
}

/// The image in whole levels, 0–255, as a file holds it.
pub fn rounded(image: &[f32]) -> Vec<f32> {
    image.iter().map(|level| level.round().clamp(0.0, WHITE)).collect()
}

pub(crate) fn logits_of(classifier: &impl Classifier, image: Vec<f32>) -> Result<Vec<f32>> {
    let logits = classifier.logits(&[image])?.pop().unwrap_or_default();
    NotFinite::of(&logits).check(|| "the network's logits".to_owned())?;
    Ok(logits)
}

pub(crate) fn pull_back_one(
    classifier: &impl Classifier,
    image: &[f32],
    weights: impl Fn(&[f32]) -> Vec<f32>,
) -> Result<Pulled> {
    let pulled = classifier.pull_back(&[image.to_vec()], &|_, logits| weights(logits))?.pop();
    pulled.ok_or_else(|| sconce_core::Error::message("the classifier gave no gradient"))
}

/// The Euclidean norm.
pub(crate) fn l2(values: &[f32]) -> f64 {
    values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt()
}

/// How much two images differ.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Distance {
    /// Pixels (places, not samples) that differ.
    pub l0: usize,
    /// Euclidean norm of the difference of all samples, in levels.
    pub l2: f64,
    /// The largest difference of a sample, in levels.
    pub linf: f64,
}

impl Distance {
    /// Of two images of `channels × height × width` samples.
    pub fn between(a: &[f32], b: &[f32], channels: usize) -> Self {
        let difference: Vec<f32> = a.iter().zip(b).map(|(a, b)| a - b).collect();
        let area = difference.len() / channels.max(1);
        let mut changed = vec![false; area];
        for plane in difference.chunks_exact(area.max(1)) {
            for (changed, d) in changed.iter_mut().zip(plane) {
                *changed |= *d != 0.0;
            }
        }
        Self {
            l0: changed.iter().filter(|changed| **changed).count(),
            l2: l2(&difference),
            linf: difference.iter().fold(0.0, |most, d| f64::from(d.abs()).max(most)),
        }
    }
}

/// Refuses what is not above 0.
fn positive(key: &str, value: f64) -> Result<()> {
    match value.is_finite() && value > 0.0 {
        true => Ok(()),
        false => Err(Error::parameter(key, format!("expected a number above 0, found {value}"))),
    }
}

/// Refuses what is below 0.
fn not_negative(key: &str, value: f64) -> Result<()> {
    match value.is_finite() && value >= 0.0 {
        true => Ok(()),
        false => Err(Error::parameter(key, format!("expected 0 or more, found {value}"))),
    }
}

#[cfg(test)]
mod analytic;
#[cfg(test)]
mod network_tests;
#[cfg(test)]
mod one_pixel_tests;
#[cfg(test)]
mod tests;
