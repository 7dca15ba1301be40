use candle_core::{Result, Tensor, Var};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::update::update;

/// Adam, as `torch.optim.Adam`: `m = β₁m + (1 − β₁)∇`, `v = β₂v + (1 − β₂)∇²`,
/// `p −= lr / (1 − β₁ᵗ) · m / (√v / √(1 − β₂ᵗ) + eps)`.
///
/// Kingma and Ba, "Adam: a method for stochastic optimization", 2015.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Adam {
    /// What remains of the means of gradients and of their squares after a step.
    #[serde(default = "betas")]
    pub betas: [f64; 2],
    /// Added to the root of the mean square.
    #[serde(default = "eps")]
    pub eps: f64,
    /// L2 penalty, added to the gradient.
    #[serde(default)]
    pub weight_decay: f64,
}

fn betas() -> [f64; 2] {
    [0.9, 0.999]
}

fn eps() -> f64 {
    1e-8
}

impl Default for Adam {
    /// PyTorch's numbers.
    fn default() -> Self {
        Self { betas: betas(), eps: eps(), weight_decay: 0.0 }
    }
}

impl Adam {
    pub(super) fn update(
        &self,
        var: &Var,
        gradient: &Tensor,
        [mean, square]: [&Var; 2],
        step: u32,
        learning_rate: f64,
    ) -> Result<()> {
        let [b1, b2] = self.betas;
        let decayed = |g: &Tensor, p: &Tensor| g + (p * self.weight_decay)?;
        let wd = self.weight_decay as f32;
        let (keep, take) = (b1 as f32, (1.0 - b1) as f32);
        let value = var.as_detached_tensor();
        update(
            mean,
            gradient,
            &value,
            |m, g, p| keep * m + take * (g + wd * p),
            |m, g, p| (m * b1)? + (decayed(g, p)? * (1.0 - b1))?,
        )?;
        let (keep, take) = (b2 as f32, (1.0 - b2) as f32);
        update(
            square,
            gradient,
            &value,
            |v, g, p| {
                let g = g + wd * p;
                keep * v + take * g * g
            },
            |v, g, p| (v * b2)? + (decayed(g, p)?.sqr()? * (1.0 - b2))?,
        )?;
        let size = learning_rate / (1.0 - b1.powi(step as i32));
        let correction = (1.0 - b2.powi(step as i32)).sqrt();
        let (lr, root, eps) = (size as f32, correction as f32, self.eps as f32);
        update(
            var,
            &mean.as_detached_tensor(),
            &square.as_detached_tensor(),
            |p, m, v| p - lr * (m / (v.sqrt() / root + eps)),
            |p, m, v| p - (m.div(&((v.sqrt()? / correction)? + self.eps)?)? * size)?,
        )
    }
}
