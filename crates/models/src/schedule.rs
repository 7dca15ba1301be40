//! Learning-rate schedules by name.

use schemars::JsonSchema;
use sconce_core::{Error, Result};
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// What the learning rate is multiplied by as training goes on.
///
/// ```
/// use sconce_models::schedule::{Position, Schedule};
///
/// // halfway through 2 epochs of 10 updates: (1 + cos π/2) / 2
/// let at = Position { step: 10, steps_per_epoch: 10, epochs: 2 };
/// let factor = Schedule::Cosine { minimum: 0.0 }.factor(at);
/// assert!((factor - 0.5).abs() < 1e-12);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Schedule {
    /// 1 throughout.
    #[default]
    Constant,
    /// `factor` to the number of `epochs`-long periods that are over: PyTorch's `StepLR`.
    Step {
        /// Epochs between reductions.
        epochs: usize,
        /// What each reduction multiplies by.
        #[serde(default = "tenth")]
        factor: f64,
    },
    /// Half a cosine from 1 to `minimum` over the whole training, step by step (Loshchilov and Hutter, 2017).
    Cosine {
        /// The factor at the end.
        #[serde(default)]
        minimum: f64,
    },
    /// A line from 0 to 1 over the first `epochs`, then 1.
    WarmUp {
        /// Epochs until 1 is reached; may be a fraction.
        epochs: f64,
    },
    /// A line from 0 to 1 over the first `epochs`, then half a cosine to 0 at the end.
    WarmUpCosine {
        /// Epochs until 1 is reached; may be a fraction.
        epochs: f64,
    },
    /// Half a cosine from 1/25 up to 1 over the first `rise` of the training, then another down to 1/250,000:
    /// PyTorch's `OneCycleLR` (Smith and Topin, 2018).
    OneCycle {
        /// Part of the training until the peak.
        #[serde(default = "three_tenths")]
        rise: f64,
    },
    /// `(1 + 10 p)^-0.75` with `p` from 0 to 1 over the whole training (Ganin et al., "Domain-adversarial training of
    /// neural networks", 2016, section 5.2.2).
    Dann,
}

fn tenth() -> f64 {
    0.1
}

fn three_tenths() -> f64 {
    0.3
}

/// How far a training is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Updates done so far.
    pub step: usize,
    /// Updates in an epoch.
    pub steps_per_epoch: usize,
    /// Epochs in all.
    pub epochs: usize,
}

impl Position {
    /// Part of the whole training that is done, from 0 to just below 1.
    pub fn progress(self) -> f64 {
        self.step as f64 / (self.steps_per_epoch * self.epochs).max(1) as f64
    }

    /// Epochs done, with the fraction.
    pub fn epoch(self) -> f64 {
        self.step as f64 / self.steps_per_epoch.max(1) as f64
    }
}

impl Schedule {
    /// Whether the factor at a step depends on how long the training will be. If not, a longer training begins exactly
    /// as a shorter one.
    pub fn needs_total(self) -> bool {
        match self {
            Self::Constant | Self::Step { .. } | Self::WarmUp { .. } => false,
            Self::Cosine { .. }
            | Self::WarmUpCosine { .. }
            | Self::OneCycle { .. }
            | Self::Dann => true,
        }
    }

    /// The factor of the update that comes next.
    pub fn factor(self, at: Position) -> f64 {
        // from 1 at p = 0 to 0 at p = 1
        let half_cosine = |p: f64| 0.5 * (1.0 + (PI * p).cos());
        let warm = |epochs: f64| {
            // the first update already moves
            let steps = (epochs * at.steps_per_epoch as f64).max(1.0);
            ((at.step + 1) as f64 / steps).min(1.0)
        };
        match self {
            Self::Constant => 1.0,
            Self::Step { epochs, factor } => {
                let over = at.step / (epochs * at.steps_per_epoch).max(1);
                factor.powi(i32::try_from(over).unwrap_or(i32::MAX))
            }
            Self::Cosine { minimum } => minimum + (1.0 - minimum) * half_cosine(at.progress()),
            Self::WarmUp { epochs } => warm(epochs),
            Self::WarmUpCosine { epochs } => {
                let rest = (at.epochs as f64 - epochs).max(f64::MIN_POSITIVE);
                warm(epochs) * half_cosine(((at.epoch() - epochs) / rest).clamp(0.0, 1.0))
            }
            Self::OneCycle { rise } => {
                let total = (at.steps_per_epoch * at.epochs) as f64;
                let (peak, last) = ((rise * total - 1.0).max(1.0), (total - 1.0).max(1.0));
                let step = at.step as f64;
                let between = |from: f64, to: f64, p: f64| to + (from - to) * half_cosine(p);
                if step <= peak {
                    between(1.0 / 25.0, 1.0, step / peak)
                } else {
                    between(1.0, 1.0 / 250_000.0, ((step - peak) / (last - peak)).min(1.0))
                }
            }
            Self::Dann => (1.0 + 10.0 * at.progress()).powf(-0.75),
        }
    }

    /// Refuses numbers that cannot be used.
    ///
    /// # Errors
    /// [`Error::Parameter`] with the name of the number.
    pub fn check(self) -> Result<()> {
        let refuse = |name: &str, text: String| Err(Error::parameter(name, text));
        match self {
            Self::Step { epochs: 0, .. } => {
                refuse("schedule.step.epochs", "expected at least 1, got 0".into())
            }
            Self::Step { factor, .. } if !(factor.is_finite() && factor > 0.0) => {
                refuse("schedule.step.factor", format!("expected a positive number, got {factor}"))
            }
            Self::Cosine { minimum } if !(0.0..=1.0).contains(&minimum) => {
                refuse("schedule.cosine.minimum", format!("expected 0 to 1, got {minimum}"))
            }
            Self::WarmUp { epochs } | Self::WarmUpCosine { epochs }
                if !(epochs.is_finite() && epochs >= 0.0) =>
            {
                refuse("schedule.epochs", format!("expected at least 0, got {epochs}"))
            }
            Self::OneCycle { rise } if !(rise > 0.0 && rise < 1.0) => refuse(
                "schedule.one-cycle.rise",
                format!("expected above 0 and below 1, got {rise}"),
            ),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(schedule: Schedule, steps_per_epoch: usize, epochs: usize) -> Vec<f64> {
        (0..steps_per_epoch * epochs)
            .map(|step| schedule.factor(Position { step, steps_per_epoch, epochs }))
            .collect()
    }

    fn close(got: &[f64], want: &[f64]) {
        assert_eq!(got.len(), want.len());
        for (got, want) in got.iter().zip(want) {
            assert!((got - want).abs() < 1e-6, "{got} {want}");
        }
    }

    #[test]
    fn curves_are_pytorchs() {
        // the learning rates of torch.optim.lr_scheduler.* with lr 1, before each of 8 (10) steps
        let step = Schedule::Step { epochs: 1, factor: 0.5 };
        close(&curve(step, 2, 4), &[1.0, 1.0, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125]);
        // CosineAnnealingLR(o, 8, eta_min=.2)
        close(
            &curve(Schedule::Cosine { minimum: 0.2 }, 2, 4),
            &[1.0, 0.9695518, 0.8828427, 0.7530734, 0.6, 0.4469266, 0.3171573, 0.2304482],
        );
        // OneCycleLR(o, 1, total_steps=10)
        close(&curve(Schedule::OneCycle { rise: 0.3 }, 5, 2), &ONE_CYCLE);
        // LinearLR(o, start_factor=1/4, total_iters=3)
        close(&curve(Schedule::WarmUp { epochs: 2.0 }, 2, 3), &[0.25, 0.5, 0.75, 1.0, 1.0, 1.0]);
    }

    const ONE_CYCLE: [f64; 10] =
        [0.04, 0.52, 1.0, 0.9504846, 0.8117457, 0.611262, 0.388742, 0.1882583, 0.04951937, 4e-06];

    #[test]
    fn danns_curve_is_the_papers() {
        let rates = curve(Schedule::Dann, 10, 1);
        close(&rates[..2], &[1.0, 2f64.powf(-0.75)]);
    }

    #[test]
    fn schedules_that_need_no_total_begin_alike() {
        for schedule in [
            Schedule::Constant,
            Schedule::Step { epochs: 2, factor: 0.1 },
            Schedule::WarmUp { epochs: 1.5 },
            Schedule::Cosine { minimum: 0.0 },
            Schedule::WarmUpCosine { epochs: 1.0 },
            Schedule::OneCycle { rise: 0.3 },
            Schedule::Dann,
        ] {
            let (short, long) = (curve(schedule, 4, 3), curve(schedule, 4, 5));
            assert_eq!(short == long[..12], !schedule.needs_total(), "{schedule:?}");
            assert!(long.iter().all(|f| f.is_finite() && *f > 0.0 && *f <= 1.0), "{long:?}");
            schedule.check().unwrap();
        }
        assert!(Schedule::Step { epochs: 0, factor: 0.1 }.check().is_err());
        assert!(Schedule::OneCycle { rise: 1.0 }.check().is_err());
    }
}
