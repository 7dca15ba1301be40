//! The fast gradient sign method.

use schemars::JsonSchema;
use sconce_core::Result;
use serde::{Deserialize, Serialize};

use super::{Attempt, Classifier, Goal, WHITE, pull_back_one};

/// One step of ε along the sign of the cross-entropy's gradient: `x + ε sign(∇ₓ L)` away from a class, or `x − ε sign(∇ₓ L)`
/// towards one. Goodfellow et al., "Explaining and harnessing adversarial examples", 2015.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fgsm {
    /// ε: how much a sample may change, in levels of 0–255.
    #[serde(default = "eight")]
    pub epsilon: f64,
}

const fn eight() -> f64 {
    8.0
}

impl Fgsm {
    /// Refuses what cannot be computed with.
    ///
    /// # Errors
    /// Names the key.
    pub fn check(&self) -> Result<()> {
        super::positive("method.fgsm.epsilon", self.epsilon)
    }

    /// Changes `image` once.
    ///
    /// # Errors
    /// When the classifier fails.
    pub fn run(&self, classifier: &impl Classifier, image: &[f32], goal: Goal) -> Result<Attempt> {
        let gradient = pull_back_one(classifier, image, |z| goal.loss_weights(z))?.gradient;
        let moved = |(x, g): (&f32, &f32)| (x + self.epsilon as f32 * sign(*g)).clamp(0.0, WHITE);
        Ok(Attempt { image: image.iter().zip(&gradient).map(moved).collect(), iterations: 1 })
    }
}

/// −1, 0 or 1; unlike [`f32::signum`], 0 for 0.
pub(super) fn sign(g: f32) -> f32 {
    if g > 0.0 {
        1.0
    } else if g < 0.0 {
        -1.0
    } else {
        0.0
    }
}
