use candle_core::{Result, Tensor, Var};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::update::update;

/// Stochastic gradient descent with momentum, as `torch.optim.SGD` (dampening 0):
/// `d = ∇ + weight_decay · p`, `m = momentum · m + d`, `p −= lr · m`; with Nesterov's momentum
/// `p −= lr · (d + momentum · m)`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sgd {
    /// Part of the last update that goes on.
    #[serde(default = "momentum")]
    pub momentum: f64,
    /// L2 penalty, added to the gradient.
    #[serde(default)]
    pub weight_decay: f64,
    /// Whether the gradient is taken as if the momentum had been applied already.
    #[serde(default)]
    pub nesterov: bool,
}

fn momentum() -> f64 {
    0.9
}

impl Default for Sgd {
    /// Momentum 0.9, no weight decay.
    fn default() -> Self {
        Self { momentum: momentum(), weight_decay: 0.0, nesterov: false }
    }
}

impl Sgd {
    pub(super) fn update(
        &self,
        var: &Var,
        gradient: &Tensor,
        momentum: Option<&Var>,
        learning_rate: f64,
    ) -> Result<()> {
        let (mu, wd, lr) = (self.momentum as f32, self.weight_decay as f32, learning_rate as f32);
        let decayed = |g: &Tensor, p: &Tensor| g + (p * self.weight_decay)?;
        let Some(momentum) = momentum else {
            return update(
                var,
                gradient,
                gradient,
                |p, g, _| p - lr * (g + wd * p),
                |p, g, _| p - (decayed(g, p)? * learning_rate)?,
            );
        };
        // `var` is read here and written below, never both
        update(
            momentum,
            gradient,
            &var.as_detached_tensor(),
            |m, g, p| mu * m + (g + wd * p),
            |m, g, p| (m * self.momentum)? + decayed(g, p)?,
        )?;
        let moved = momentum.as_detached_tensor();
        if self.nesterov {
            update(
                var,
                gradient,
                &moved,
                |p, g, m| p - lr * (g + wd * p + mu * m),
                |p, g, m| p - ((decayed(g, p)? + (m * self.momentum)?)? * learning_rate)?,
            )
        } else {
            update(var, &moved, &moved, |p, m, _| p - lr * m, |p, m, _| p - (m * learning_rate)?)
        }
    }
}
