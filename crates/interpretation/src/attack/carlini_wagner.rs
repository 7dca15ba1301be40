//! Carlini and Wagner's L2 attack.

use schemars::JsonSchema;
use sconce_core::{Error, Result};
use sconce_ops::elementary::{atanh, tanh};
use serde::{Deserialize, Serialize};

use super::{Attempt, Classifier, Goal, Pulled, Until, WHITE, pull_back_one};

/// The smallest change that fools, by minimising `‖x' − x‖₂² + c · max(−margin, −κ)` over `x' = (tanh w + 1) / 2` with
/// Adam, and searching `c` by halves. The margin is that of the target's logit above all others (of any other above the
/// class to leave). x is 0–1 in here, as in the paper. Carlini and Wagner, "Towards evaluating the robustness of neural
/// networks", 2017, objective f₆.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CarliniWagner {
    /// Steps of Adam for each c; fewer where nothing is gained over a tenth of them.
    #[serde(default = "steps")]
    pub steps: usize,
    /// Values of c that are tried: ten times as much until one fools, halves of the interval from then on.
    #[serde(default = "searches")]
    pub searches: usize,
    /// The first c.
    #[serde(default = "constant")]
    pub constant: f64,
    /// Adam's learning rate.
    #[serde(default = "learning_rate")]
    pub learning_rate: f64,
    /// κ: by how much the logit has to be above the others.
    #[serde(default)]
    pub confidence: f64,
    /// Which image has to be fooled to count: `fooled` or `rounded`.
    #[serde(default)]
    pub until: Until,
}

const fn steps() -> usize {
    200
}

const fn searches() -> usize {
    6
}

const fn constant() -> f64 {
    1.0
}

const fn learning_rate() -> f64 {
    0.01
}

/// What a value of c led to.
struct Descent {
    /// The nearest fooled image, and its squared distance.
    best: Option<(f64, Vec<f32>)>,
    /// The last image.
    last: Vec<f32>,
    iterations: usize,
}

impl CarliniWagner {
    /// Refuses what cannot be computed with.
    ///
    /// # Errors
    /// Names the key.
    pub fn check(&self) -> Result<()> {
        for (key, count) in [("steps", self.steps), ("searches", self.searches)] {
            if count == 0 {
                let key = format!("method.carlini-wagner.{key}");
                return Err(Error::parameter(key, "expected at least 1"));
            }
        }
        super::positive("method.carlini-wagner.constant", self.constant)?;
        super::positive("method.carlini-wagner.learning_rate", self.learning_rate)?;
        super::not_negative("method.carlini-wagner.confidence", self.confidence)
    }

    /// The nearest fooled image that was found; where none was, the last one.
    ///
    /// # Errors
    /// When the classifier fails.
    pub fn run(&self, classifier: &impl Classifier, image: &[f32], goal: Goal) -> Result<Attempt> {
        let (mut low, mut high) = (0f64, None::<f64>);
        let mut constant = self.constant;
        let mut best: Option<(f64, Vec<f32>)> = None;
        let mut last = image.to_vec();
        let mut iterations = 0;
        for _ in 0..self.searches {
            let descent = self.descend(classifier, image, goal, constant)?;
            iterations += descent.iterations;
            last = descent.last;
            if let Some(found) = descent.best {
                high = Some(high.map_or(constant, |high| high.min(constant)));
                if best.as_ref().is_none_or(|best| found.0 < best.0) {
                    best = Some(found);
                }
            } else {
                low = low.max(constant);
            }
            constant = high.map_or(constant * 10.0, |high| f64::midpoint(low, high));
        }
        Ok(Attempt { image: best.map_or(last, |(_, image)| image), iterations })
    }

    /// Adam (β₁ = 0.9, β₂ = 0.999) on w, from the image on.
    fn descend(
        &self,
        classifier: &impl Classifier,
        image: &[f32],
        goal: Goal,
        constant: f64,
    ) -> Result<Descent> {
        const BETAS: (f32, f32) = (0.9, 0.999);
        const EPSILON: f32 = 1e-8;
        let confidence = self.confidence as f32;
        // The paper's factor keeps black and white away from tanh's ends, where w would be infinite.
        let mut w: Vec<f32> =
            image.iter().map(|level| atanh((2.0 * level / WHITE - 1.0) * 0.999_999)).collect();
        let mut moments = vec![(0f32, 0f32); w.len()];
        let mut descent = Descent { best: None, last: image.to_vec(), iterations: 0 };
        let mut previous = f64::INFINITY;
        for step in 1..=self.steps {
            let tanh: Vec<f32> = w.iter().map(|&w| tanh(w)).collect();
            let x: Vec<f32> = tanh.iter().map(|t| (t + 1.0) / 2.0 * WHITE).collect();
            let active = |z: &[f32]| goal.margin(z) < confidence;
            let Pulled { logits, gradient } = pull_back_one(classifier, &x, |z| {
                if active(z) { goal.margin_weights(z) } else { vec![0.0; z.len()] }
            })?;
            let offset = |(x, original): (&f32, &f32)| f64::from((x - original) / WHITE);
            let distance: f64 = x.iter().zip(image).map(offset).map(|d| d * d).sum();
            let nearer = descent.best.as_ref().is_none_or(|best| distance < best.0);
            if nearer && goal.reached(classifier, &x, &logits, confidence, self.until)? {
                descent.best = Some((distance, x.clone()));
            }

            let corrections = (1.0 - BETAS.0.powi(step as i32), 1.0 - BETAS.1.powi(step as i32));
            let rate = self.learning_rate as f32;
            for (i, w) in w.iter_mut().enumerate() {
                // With respect to x in 0–1: the gradient is per level.
                let of_x = 2.0 * (x[i] - image[i]) / WHITE - constant as f32 * gradient[i] * WHITE;
                let g = of_x * (1.0 - tanh[i] * tanh[i]) / 2.0;
                let (first, second) = &mut moments[i];
                *first += (1.0 - BETAS.0) * (g - *first);
                *second += (1.0 - BETAS.1) * (g * g - *second);
                *w -=
                    rate * (*first / corrections.0) / ((*second / corrections.1).sqrt() + EPSILON);
            }
            descent.iterations = step;
            descent.last = x;

            let objective =
                distance + constant * f64::from((-goal.margin(&logits)).max(-confidence));
            if step % (self.steps / 10).max(1) == 0 {
                if objective > previous * 0.9999 {
                    break;
                }
                previous = objective;
            }
        }
        Ok(descent)
    }
}
