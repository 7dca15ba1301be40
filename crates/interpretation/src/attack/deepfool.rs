//! DeepFool.

use schemars::JsonSchema;
use sconce_core::{Error, Result};
use serde::{Deserialize, Serialize};

use super::{Attempt, Classifier, Goal, Until, WHITE, l2, logits_of, predicted};

/// Goes to the nearest class boundary of the network's linearisation, again and again, until the class is left:
/// `r ← r + |f_l| / ‖w_l‖² · w_l` with `w_k = ∇z_k − ∇z_y`, `f_k = z_k − z_y` and `l` the class of the smallest
/// `|f_k| / ‖w_k‖`. Moosavi-Dezfooli et al., "DeepFool: a simple and accurate method to fool deep neural networks", 2016,
/// algorithm 2, with the overshoot inside the loop as in the authors' code.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeepFool {
    /// Steps at most.
    #[serde(default = "fifty")]
    pub steps: usize,
    /// The classes whose boundaries are looked at: the likeliest of the original image, its own among them.
    #[serde(default = "ten")]
    pub candidates: usize,
    /// By which part the change is lengthened, to get across the boundary.
    #[serde(default = "overshoot")]
    pub overshoot: f64,
    /// Which image has to be fooled: `fooled` or `rounded`.
    #[serde(default)]
    pub until: Until,
}

const fn fifty() -> usize {
    50
}

const fn ten() -> usize {
    10
}

const fn overshoot() -> f64 {
    0.02
}

impl DeepFool {
    /// Refuses what cannot be computed with.
    ///
    /// # Errors
    /// Names the key.
    pub fn check(&self) -> Result<()> {
        if self.candidates < 2 {
            let message = format!("expected at least 2 classes, found {}", self.candidates);
            return Err(Error::parameter("method.deepfool.candidates", message));
        }
        super::not_negative("method.deepfool.overshoot", self.overshoot)
    }

    /// Changes `image` until its class is another than the one that is predicted now.
    ///
    /// # Errors
    /// When the classifier fails.
    pub fn run(&self, classifier: &impl Classifier, image: &[f32]) -> Result<Attempt> {
        let logits = logits_of(classifier, image.to_vec())?;
        let own = predicted(&logits);
        let goal = Goal::Leave(own);
        let mut order: Vec<usize> = (0..logits.len()).filter(|k| *k != own).collect();
        order.sort_by(|a, b| logits[*b].total_cmp(&logits[*a]));
        order.truncate(self.candidates - 1);
        let weights = |place: usize, z: &[f32]| {
            let mut weights = vec![0.0; z.len()];
            weights[own] = -1.0;
            weights[order[place]] = 1.0;
            weights
        };

        let mut total = vec![0f32; image.len()];
        let mut x = image.to_vec();
        for iterations in 0..self.steps {
            let pulled = classifier.pull_back(&vec![x.clone(); order.len()], &weights)?;
            let Some(first) = pulled.first() else { break };
            if goal.reached(classifier, &x, &first.logits, 0.0, self.until)? {
                return Ok(Attempt { image: x, iterations });
            }
            let nearest = pulled.iter().zip(&order).filter_map(|(pulled, class)| {
                let norm = l2(&pulled.gradient);
                let distance = f64::from(pulled.logits[*class] - pulled.logits[own]).abs() / norm;
                distance.is_finite().then_some((distance, norm, &pulled.gradient))
            });
            let Some((distance, norm, direction)) = nearest.min_by(|a, b| a.0.total_cmp(&b.0))
            else {
                return Ok(Attempt { image: x, iterations });
            };
            // The authors add 1e-4 to leave a boundary that the image lies on.
            let factor = ((distance + 1e-4) / norm) as f32;
            let stretch = 1.0 + self.overshoot as f32;
            for (((total, d), x), original) in
                total.iter_mut().zip(direction).zip(&mut x).zip(image)
            {
                *total += factor * d;
                *x = (original + stretch * *total).clamp(0.0, WHITE);
            }
        }
        Ok(Attempt { image: x, iterations: self.steps })
    }
}
