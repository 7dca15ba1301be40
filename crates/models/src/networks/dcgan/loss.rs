//! What the two networks make small.

use candle_core::{Result, Tensor};
use schemars::JsonSchema;
use sconce_ops::loss::bce_with_logits;
use sconce_ops::sum::mean_all;
use serde::{Deserialize, Serialize};

/// How logits of real and of generated images become the two networks' losses. `r` is a real image's logit, `f` a
/// generated one's, `D = sigmoid(logit)`; all are means over the batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// Discriminator `−log D(r) − log(1 − D(f))`, generator `−log D(f)` (Goodfellow et al., "Generative adversarial nets",
    /// 2014, section 3).
    #[default]
    NonSaturating,
    /// The same discriminator, generator `log(1 − D(f))`: the game of the paper's eq. 1, whose gradient vanishes where the
    /// discriminator is sure.
    Saturating,
    /// `½(r − 1)² + ½f²` and `½(f − 1)²` (Mao et al., "Least squares generative adversarial networks", 2017, eq. 9).
    LeastSquares,
    /// `max(0, 1 − r) + max(0, 1 + f)` and `−f` (Lim and Ye, "Geometric GAN", 2017).
    Hinge,
    /// `−log sigmoid(r − f)` and `−log sigmoid(f − r)` of pairs (Jolicoeur-Martineau, "The relativistic discriminator",
    /// 2019; Huang et al., "The GAN is dead; long live the GAN!", 2024, eq. 1).
    Relativistic,
}

fn constant(like: &Tensor, value: f64) -> Result<Tensor> {
    like.detach().ones_like()? * value
}

/// `max(0, x)`, mean.
fn hinge(x: &Tensor) -> Result<Tensor> {
    mean_all(&sconce_ops::activation::relu(x)?)
}

impl Loss {
    /// The discriminator's loss from logits `(batch)` of real and of generated images. `smoothing` is taken off the real
    /// images' target of 1 (Salimans et al., "Improved techniques for training GANs", 2016, section 3.4); relativistic and
    /// hinge losses have no such target.
    ///
    /// # Errors
    /// When the logits are of unequal number.
    pub fn discriminator(self, real: &Tensor, fake: &Tensor, smoothing: f64) -> Result<Tensor> {
        match self {
            Self::NonSaturating | Self::Saturating => {
                bce_with_logits(real, &constant(real, 1.0 - smoothing)?)?
                    + bce_with_logits(fake, &constant(fake, 0.0)?)?
            }
            Self::LeastSquares => {
                let real = mean_all(&(real - (1.0 - smoothing))?.sqr()?)?;
                (real + mean_all(&fake.sqr()?)?)? * 0.5
            }
            Self::Hinge => hinge(&(1.0 - real)?)? + hinge(&(fake + 1.0)?)?,
            Self::Relativistic => bce_with_logits(&(real - fake)?, &constant(real, 1.0)?),
        }
    }

    /// The generator's loss from logits `(batch)` of generated images, and of real ones where [`needs_real`](Self::needs_real).
    ///
    /// # Errors
    /// When the logits are of unequal number.
    pub fn generator(self, real: Option<&Tensor>, fake: &Tensor) -> Result<Tensor> {
        match self {
            Self::NonSaturating => bce_with_logits(fake, &constant(fake, 1.0)?),
            // log(1 − D) = −softplus(f)
            Self::Saturating => bce_with_logits(fake, &constant(fake, 0.0)?)?.neg(),
            Self::LeastSquares => mean_all(&(fake - 1.0)?.sqr()?)? * 0.5,
            Self::Hinge => mean_all(fake)?.neg(),
            Self::Relativistic => match real {
                Some(real) => bce_with_logits(&(fake - real)?, &constant(fake, 1.0)?),
                None => candle_core::bail!("the relativistic loss needs real images' logits"),
            },
        }
    }

    /// Whether the generator's loss looks at real images too.
    pub fn needs_real(self) -> bool {
        self == Self::Relativistic
    }

    /// Whether real images have a target of 1, which label smoothing makes smaller.
    pub fn has_target(self) -> bool {
        !matches!(self, Self::Hinge | Self::Relativistic)
    }
}

/// Zero-centred gradient penalties of the discriminator, `γ/2 · E‖∇D(x)‖²`, on real images (R₁) and on generated ones (R₂)
/// (Mescheder et al., "Which training methods for GANs do actually converge?", 2018, eq. 9; Roth et al. 2017).
///
/// By differences of first order, without second derivatives: `E‖∇D(x)‖² ≈ E_ε (D(x + σε) − D(x))² / σ²`, `ε ~ N(0, I)`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Penalty {
    /// γ on real images; 0 for none.
    pub real: f64,
    /// γ on generated images; 0 for none.
    pub fake: f64,
    /// σ: how far away the discriminator is looked at, in the images' units of −1 to 1.
    pub sigma: f64,
}

impl Default for Penalty {
    fn default() -> Self {
        Self { real: 0.0, fake: 0.0, sigma: 0.01 }
    }
}

impl Penalty {
    /// Whether there is any.
    pub fn is_used(&self) -> bool {
        self.real > 0.0 || self.fake > 0.0
    }

    /// `mean((there − here)²) / (2σ²)` of logits `(batch)` of images and of the same images with noise of deviation σ.
    ///
    /// # Errors
    /// When the logits are of unequal number.
    pub fn of(&self, here: &Tensor, there: &Tensor) -> Result<Tensor> {
        // Divided before it is squared: σ² would cost f32 its digits.
        mean_all(&((there - here)? / self.sigma)?.sqr()?)? * 0.5
    }
}

/// Whose parameters an update changes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Updates {
    /// The discriminator's, then the generator's.
    #[default]
    Both,
    /// The generator's, against a discriminator that stays as it was drawn.
    Generator,
    /// The discriminator's, against a generator that stays as it was drawn.
    Discriminator,
}

/// What an update does.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Objective {
    /// The losses.
    pub loss: Loss,
    /// What is taken off the real images' target.
    pub smoothing: f64,
    /// The discriminator's penalties.
    pub penalty: Penalty,
    /// Whose parameters change.
    pub updates: Updates,
}
