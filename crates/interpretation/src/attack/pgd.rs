//! Projected gradient descent.

use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};
use schemars::JsonSchema;
use sconce_core::Result;
use serde::{Deserialize, Serialize};

use super::fgsm::sign;
use super::{Attempt, Classifier, Goal, Pulled, Until, WHITE, l2, pull_back_one};

/// Steps along the cross-entropy's gradient, each followed by a projection onto the images of 0–255 that are within ε of
/// the original: `x ← Π(x + α sign(g))`, or `x ← Π(x + α g / ‖g‖₂)` for the L2 ball. Madry et al., "Towards deep learning
/// models resistant to adversarial attacks", 2018.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pgd {
    /// The norm of the ball: `linf` or `l2`.
    #[serde(default)]
    pub norm: Norm,
    /// ε: the ball's radius in levels of 0–255.
    pub epsilon: f64,
    /// α: the length of a step in levels, by that norm; 2.5 ε / `steps` by default.
    #[serde(default)]
    pub step: Option<f64>,
    /// Steps; all are made unless `until` says when to stop.
    #[serde(default = "ten")]
    pub steps: usize,
    /// Whether to begin at a random image of the ball, drawn by the seed, and not at the original.
    #[serde(default)]
    pub random_start: bool,
    /// Which image, once fooled, ends the steps: `fooled` or `rounded`; none by default.
    #[serde(default)]
    pub until: Option<Until>,
}

/// The norm that a change is measured by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Norm {
    /// The largest change of a sample.
    #[default]
    Linf,
    /// The Euclidean norm over all samples.
    L2,
}

const fn ten() -> usize {
    10
}

impl Pgd {
    /// Refuses what cannot be computed with.
    ///
    /// # Errors
    /// Names the key.
    pub fn check(&self) -> Result<()> {
        super::positive("method.pgd.epsilon", self.epsilon)?;
        self.step.map_or(Ok(()), |step| super::positive("method.pgd.step", step))
    }

    /// Changes `image`. `rng` draws the random start, if there is one.
    ///
    /// # Errors
    /// When the classifier fails.
    pub fn run(
        &self,
        classifier: &impl Classifier,
        image: &[f32],
        goal: Goal,
        rng: &mut impl Rng,
    ) -> Result<Attempt> {
        let step = self.step.unwrap_or(2.5 * self.epsilon / self.steps.max(1) as f64) as f32;
        let mut x = image.to_vec();
        if self.random_start {
            self.randomise(&mut x, rng);
            self.project(&mut x, image);
        }
        for iterations in 0..self.steps {
            let Pulled { logits, gradient } =
                pull_back_one(classifier, &x, |z| goal.loss_weights(z))?;
            if let Some(until) = self.until
                && goal.reached(classifier, &x, &logits, 0.0, until)?
            {
                return Ok(Attempt { image: x, iterations });
            }
            match self.norm {
                Norm::Linf => {
                    x.iter_mut().zip(&gradient).for_each(|(x, g)| *x += step * sign(*g));
                }
                Norm::L2 => {
                    let norm = l2(&gradient);
                    let factor = if norm > 0.0 { (f64::from(step) / norm) as f32 } else { 0.0 };
                    x.iter_mut().zip(&gradient).for_each(|(x, g)| *x += factor * g);
                }
            }
            self.project(&mut x, image);
        }
        Ok(Attempt { image: x, iterations: self.steps })
    }

    /// Brings `x` into the ball around `image` (which is within 0–255) and into 0–255.
    pub(super) fn project(&self, x: &mut [f32], image: &[f32]) {
        let epsilon = self.epsilon as f32;
        match self.norm {
            Norm::Linf => {
                for (x, center) in x.iter_mut().zip(image) {
                    *x = x.clamp(center - epsilon, center + epsilon);
                }
            }
            Norm::L2 => {
                let offsets: Vec<f32> = x.iter().zip(image).map(|(x, center)| x - center).collect();
                let norm = l2(&offsets);
                if norm > self.epsilon {
                    let factor = (self.epsilon / norm) as f32;
                    for ((x, center), offset) in x.iter_mut().zip(image).zip(&offsets) {
                        *x = center + factor * offset;
                    }
                }
            }
        }
        // It brings no sample further from the original: the image stays in the ball.
        x.iter_mut().for_each(|x| *x = x.clamp(0.0, WHITE));
    }

    /// Adds a change that is uniform over the ball.
    fn randomise(&self, x: &mut [f32], rng: &mut impl Rng) {
        match self.norm {
            Norm::Linf => {
                x.iter_mut()
                    .for_each(|x| *x += ((rng.random::<f64>() * 2.0 - 1.0) * self.epsilon) as f32);
            }
            Norm::L2 => {
                let direction: Vec<f32> = x.iter().map(|_| StandardNormal.sample(rng)).collect();
                let radius = self.epsilon * rng.random::<f64>().powf(1.0 / x.len().max(1) as f64);
                let factor = (radius / l2(&direction).max(f64::MIN_POSITIVE)) as f32;
                x.iter_mut().zip(&direction).for_each(|(x, d)| *x += factor * d);
            }
        }
    }
}
