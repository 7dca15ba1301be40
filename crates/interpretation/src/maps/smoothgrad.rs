//! SmoothGrad.

use candle_core::{Result, Tensor};
use rand::Rng;
use rand_distr::{Distribution as _, StandardNormal};
use schemars::JsonSchema;
use sconce_models::Rectifier;
use serde::{Deserialize, Serialize};

use super::{accumulate, over_channels};
use crate::{Model, Objective};

/// Parameters of [`smoothgrad`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SmoothGrad {
    /// Noisy copies of the image.
    pub samples: usize,
    /// Deviation of the noise, as a share of the range of the image's input (largest minus smallest number).
    pub noise: f64,
}

impl Default for SmoothGrad {
    fn default() -> Self {
        Self { samples: 50, noise: 0.15 }
    }
}

/// SmoothGrad: `max_c |1/n Σ ∂ logit_y / ∂ x_c (x + N(0, σ²))|` of one input `(1, channels, height, width)`; height × width
/// numbers.
///
/// Smilkov et al., "SmoothGrad: removing noise by adding noise", 2017, equation 1: gradients are averaged with their
/// sign.
///
/// # Errors
/// When there is no such class or no sample is asked for.
pub fn smoothgrad(
    model: &Model,
    x: &Tensor,
    class: u32,
    how: &SmoothGrad,
    rng: &mut impl Rng,
    batch: usize,
) -> Result<Vec<f32>> {
    if how.samples == 0 {
        candle_core::bail!("expected at least one sample");
    }
    let values = x.flatten_all()?.to_vec1::<f32>()?;
    let (low, high) = values
        .iter()
        .fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), &v| (low.min(v), high.max(v)));
    let deviation = (how.noise * f64::from(high - low)) as f32;
    let (_, channels, height, width) = x.dims4()?;
    let mut sums = vec![0.0; values.len()];
    for first in (0..how.samples).step_by(batch.max(1)) {
        let count = batch.max(1).min(how.samples - first);
        let mut noisy = Vec::with_capacity(count * values.len());
        for _ in 0..count {
            noisy.extend(values.iter().map(|value| {
                let noise: f32 = StandardNormal.sample(rng);
                value + deviation * noise
            }));
        }
        let noisy = Tensor::from_vec(noisy, (count, channels, height, width), x.device())?;
        let objective = Objective::Logit(vec![class; count]);
        let (_, gradient) = model.gradient(&noisy, &objective, Rectifier::Plain)?;
        accumulate(&mut sums, &gradient)?;
    }
    for sum in &mut sums {
        *sum /= how.samples as f64;
    }
    Ok(over_channels(&sums, channels, false))
}
