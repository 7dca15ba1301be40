//! SmoothGrad.

use candle_core::{Result, Tensor};
use rand::{Rng, RngExt as _};
use rand_distr::{Distribution as _, StandardNormal};
use rayon::prelude::*;
use schemars::JsonSchema;
use sconce_core::Error;
use sconce_core::random::generator;
use sconce_models::Rectifier;
use serde::{Deserialize, Serialize};

use super::over_channels;
use crate::{Model, Objective};

/// Parameters of [`smoothgrad`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SmoothGrad {
    /// Noisy copies of the image.
    pub samples: usize,
    /// Deviation of the noise, as a share of the range of the image's input (largest minus smallest number).
    pub noise: f64,
    /// What is averaged over the copies.
    pub average: Average,
}

/// What is averaged over noisy copies of an image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Average {
    /// The numbers, with their signs: SmoothGrad (Smilkov et al., 2017).
    #[default]
    Mean,
    /// Their squares: SmoothGrad-Squared (Hooker et al., "A benchmark for interpretability methods in deep neural
    /// networks", 2019, section 4.2). The map has no signs.
    Squares,
}

impl Default for SmoothGrad {
    fn default() -> Self {
        Self { samples: 50, noise: 0.15, average: Average::Mean }
    }
}

impl SmoothGrad {
    /// Refuses no sample, and noise that is none. `key` is the parameter's name.
    ///
    /// # Errors
    /// [`Error::Parameter`].
    pub fn check(&self, key: &str) -> sconce_core::Result<()> {
        if self.samples == 0 {
            return Err(Error::parameter(format!("{key}.samples"), "expected 1 or more, found 0"));
        }
        if !(self.noise >= 0.0 && self.noise.is_finite()) {
            return Err(Error::parameter(
                format!("{key}.noise"),
                format!("expected a share of the input's range, 0 or more, found {}", self.noise),
            ));
        }
        Ok(())
    }

    /// Adds the part that a sample has in the average to `sums`.
    pub(super) fn add(&self, sums: &mut [f64], sample: impl Iterator<Item = f64>) {
        for (sum, value) in sums.iter_mut().zip(sample) {
            let part = match self.average {
                Average::Mean => value,
                Average::Squares => value * value,
            };
            *sum += part / self.samples as f64;
        }
    }

    /// `count` noisy copies of `x` `(1, channels, height, width)`. The same generator gives the same copies, one at a time or
    /// several.
    pub(super) fn copies(&self, x: &Tensor, count: usize, rng: &mut impl Rng) -> Result<Tensor> {
        let (_, channels, height, width) = x.dims4()?;
        let values = x.flatten_all()?.to_vec1::<f32>()?;
        let (low, high) = values
            .iter()
            .fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), &v| (low.min(v), high.max(v)));
        let deviation = (self.noise * f64::from(high - low)) as f32;
        let seeds: Vec<u64> = (0..count).map(|_| rng.random()).collect();
        let mut copies = values.repeat(count);
        copies.par_chunks_exact_mut(values.len().max(1)).zip(seeds).for_each(|(copy, seed)| {
            let mut rng = generator(seed, "noise");
            for value in copy {
                let noise: f32 = StandardNormal.sample(&mut rng);
                *value += deviation * noise;
            }
        });
        Tensor::from_vec(copies, (count, channels, height, width), x.device())
    }
}

/// SmoothGrad: `max_c |1/n Σ ∂ logit_y / ∂ x_c (x + N(0, σ²))|` of one input `(1, channels, height, width)`; height × width
/// numbers, ≥ 0. With [`Average::Squares`] `max_c 1/n Σ (∂ logit_y / ∂ x_c (x + N(0, σ²)))²`.
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
    let mut averages = vec![0.0; x.elem_count()];
    for first in (0..how.samples).step_by(batch.max(1)) {
        let count = batch.max(1).min(how.samples - first);
        let objective = Objective::Logit(vec![class; count]);
        let (_, gradient) =
            model.gradient(&how.copies(x, count, rng)?, &objective, Rectifier::Plain)?;
        let gradient = gradient.flatten_all()?.to_vec1::<f32>()?;
        for sample in gradient.chunks_exact(averages.len().max(1)) {
            how.add(&mut averages, sample.iter().copied().map(f64::from));
        }
    }
    Ok(over_channels(&averages, x.dim(1)?, false))
}
