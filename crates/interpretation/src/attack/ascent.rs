//! Gradient ascent on the logit of a target class.

use schemars::JsonSchema;
use sconce_core::{Error, Result};
use serde::{Deserialize, Serialize};

use super::{Attempt, Classifier, Goal, Until, WHITE, l2, pull_back_one};

/// Climbs the logit of the target class until the network predicts it: `x ← x + η g / ‖g‖₂` with `g = ∂z_target / ∂x`
/// (the "fooling images" of Stanford's CS231n, after Szegedy et al., "Intriguing properties of neural networks", 2014).
/// The image is kept within 0–255, which the practical leaves out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ascent {
    /// η: the length of a step in `unit`; the factor of the gradient where it is not normalised.
    #[serde(default = "one")]
    pub step: f64,
    /// Steps at most.
    #[serde(default = "hundred")]
    pub steps: usize,
    /// Whether the gradient is divided by its L2 norm.
    #[serde(default = "yes")]
    pub normalize: bool,
    /// What x, and so η, is measured in.
    #[serde(default)]
    pub unit: Unit,
    /// By how much the target's logit has to be above all others.
    #[serde(default)]
    pub confidence: f64,
    /// Which image has to be fooled: `fooled` or `rounded`.
    #[serde(default)]
    pub until: Until,
}

/// What x is measured in. It matters: one unit of torchvision's input is some 57 levels, one of an input of 0–255 is one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// The network's input, after its mean and deviation.
    #[default]
    Input,
    /// Levels of 0–255.
    Level,
    /// ImageNet's standard deviations (0.229, 0.224, 0.225 of 255 levels), which are the unit of torchvision's
    /// networks, whatever this network's is; for grey images their mean.
    Deviation,
}

const fn one() -> f64 {
    1.0
}

const fn hundred() -> usize {
    100
}

const fn yes() -> bool {
    true
}

impl Unit {
    /// Levels in a unit, channel by channel.
    fn levels(self, classifier: &impl Classifier) -> Vec<f32> {
        const IMAGENET: [f32; 3] = [0.229 * WHITE, 0.224 * WHITE, 0.225 * WHITE];
        let channels = classifier.shape()[0];
        match self {
            Self::Input => classifier.input_unit(),
            Self::Level => vec![1.0; channels],
            Self::Deviation if channels == 3 => IMAGENET.to_vec(),
            Self::Deviation => vec![IMAGENET.iter().sum::<f32>() / 3.0; channels],
        }
    }
}

impl Ascent {
    /// Refuses what cannot be computed with.
    ///
    /// # Errors
    /// Names the key.
    pub fn check(&self) -> Result<()> {
        super::positive("method.ascent.step", self.step)?;
        super::not_negative("method.ascent.confidence", self.confidence)
    }

    /// Changes `image` until `class` is predicted, or the steps are used up.
    ///
    /// # Errors
    /// When the classifier fails.
    pub fn run(
        &self,
        classifier: &impl Classifier,
        image: &[f32],
        class: usize,
    ) -> Result<Attempt> {
        let goal = Goal::Reach(class);
        let area = image.len() / classifier.shape()[0].max(1);
        let units = self.unit.levels(classifier);
        if units.len() * area != image.len() {
            return Err(Error::message("expected as many units as the image has channels"));
        }
        let mut x = image.to_vec();
        for iterations in 0..self.steps {
            let mut pulled = pull_back_one(classifier, &x, |logits| one_hot(logits.len(), class))?;
            let confidence = self.confidence as f32;
            if goal.reached(classifier, &x, &pulled.logits, confidence, self.until)? {
                return Ok(Attempt { image: x, iterations });
            }
            // ∂z/∂u = unit · ∂z/∂level
            let planes = pulled.gradient.chunks_exact_mut(area.max(1));
            planes.zip(&units).for_each(|(plane, unit)| plane.iter_mut().for_each(|g| *g *= unit));
            let norm = if self.normalize { l2(&pulled.gradient) } else { 1.0 };
            if norm == 0.0 {
                return Ok(Attempt { image: x, iterations });
            }
            let factor = (self.step / norm) as f32;
            let planes =
                x.chunks_exact_mut(area.max(1)).zip(pulled.gradient.chunks_exact(area.max(1)));
            for ((x, g), unit) in planes.zip(&units) {
                for (x, g) in x.iter_mut().zip(g) {
                    *x = (*x + unit * factor * g).clamp(0.0, WHITE);
                }
            }
        }
        Ok(Attempt { image: x, iterations: self.steps })
    }
}

pub(super) fn one_hot(classes: usize, class: usize) -> Vec<f32> {
    (0..classes).map(|k| if k == class { 1.0 } else { 0.0 }).collect()
}
