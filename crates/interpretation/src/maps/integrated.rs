//! Integrated gradients.

use candle_core::{Result, Tensor};
use rand::Rng;
use schemars::JsonSchema;
use sconce_models::Rectifier;
use serde::{Deserialize, Serialize};

use super::{Average, Baseline, SmoothGrad, accumulate, over_channels, repeated};
use crate::{Model, Objective};

/// Parameters of [`integrated_gradients`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct IntegratedGradients {
    /// Points on the way from the baseline to the image.
    pub steps: usize,
    /// Where the way begins: `mean`, `black`, `white`, or `{ blurred = 0.02 }` for the image after a blur whose deviation is
    /// that share of its side.
    pub baseline: Baseline,
    /// Averages over noisy copies of the image; by default of the image alone.
    pub smoothgrad: Option<SmoothGrad>,
}

impl Default for IntegratedGradients {
    fn default() -> Self {
        Self { steps: 64, baseline: Baseline::Mean, smoothgrad: None }
    }
}

/// How well a map adds up to what it explains (the completeness axiom).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Completeness {
    /// The sum of the map.
    pub sum: f64,
    /// What it should be: the logit of the image minus that of the baseline.
    pub change: f64,
}

impl Completeness {
    /// `|sum − change| / |change|`; not a number where the logit does not change.
    pub fn error(&self) -> f64 {
        match self.change.abs() {
            0.0 => f64::NAN,
            change => (self.sum - self.change).abs() / change,
        }
    }
}

/// Integrated gradients `Σ_c (x_c − b_c) ∫₀¹ ∂ logit_y / ∂ x_c (b + α (x − b)) dα` of one input `(1, channels, height, width)`
/// from a baseline `b`; height × width signed numbers, and how well they add up. The integral is taken by Gauss
/// and Legendre's rule, which is dense at both ends: near the baseline the gradient changes fast.
///
/// With `smoothgrad` the average over noisy copies of the image, all from the baseline of the image itself; of squares
/// nothing adds up.
///
/// Sundararajan, Taly and Yan, "Axiomatic attribution for deep networks", 2017, equation 1.
///
/// # Errors
/// When there is no such class, or no step or sample is asked for.
pub fn integrated_gradients(
    model: &Model,
    x: &Tensor,
    class: u32,
    how: &IntegratedGradients,
    rng: &mut impl Rng,
    batch: usize,
) -> Result<(Vec<f32>, Option<Completeness>)> {
    if how.steps == 0 {
        candle_core::bail!("expected at least one step");
    }
    let baseline = how.baseline.input(model, x)?;
    let Some(smooth) = how.smoothgrad else {
        let (map, sum) = from_baseline(model, x, &baseline, class, how.steps, batch)?;
        let change = change(model, x, &baseline, class)?;
        return Ok((map, Some(Completeness { sum, change })));
    };
    if smooth.samples == 0 {
        candle_core::bail!("expected at least one sample");
    }
    let adds_up = smooth.average == Average::Mean;
    let mut averages = Vec::new();
    let mut whole = Completeness { sum: 0.0, change: 0.0 };
    for _ in 0..smooth.samples {
        let x = smooth.copies(x, 1, rng)?;
        let (map, sum) = from_baseline(model, &x, &baseline, class, how.steps, batch)?;
        averages.resize(map.len(), 0.0);
        smooth.add(&mut averages, map.into_iter().map(f64::from));
        if adds_up {
            whole.sum += sum / smooth.samples as f64;
            whole.change += change(model, &x, &baseline, class)? / smooth.samples as f64;
        }
    }
    let map = averages.into_iter().map(|number| number as f32).collect();
    Ok((map, adds_up.then_some(whole)))
}

/// Integrated gradients of one input from a baseline of its shape, in so many steps, and the sum of all its numbers.
fn from_baseline(
    model: &Model,
    x: &Tensor,
    baseline: &Tensor,
    class: u32,
    steps: usize,
    batch: usize,
) -> Result<(Vec<f32>, f64)> {
    let way = (x - baseline)?;
    let channels = x.dim(1)?;
    let mut sums = vec![0.0; x.elem_count()];
    for points in gauss_legendre(steps).chunks(batch.max(1)) {
        let count = points.len();
        let column = |values: Vec<f32>| Tensor::from_vec(values, (count, 1, 1, 1), x.device());
        let alphas = column(points.iter().map(|(at, _)| *at as f32).collect())?;
        let weights = column(points.iter().map(|(_, weight)| *weight as f32).collect())?;
        let points = repeated(&way, count)?.broadcast_mul(&alphas)?.broadcast_add(baseline)?;
        let objective = Objective::Logit(vec![class; count]);
        let (_, gradient) = model.gradient(&points, &objective, Rectifier::Plain)?;
        accumulate(&mut sums, &gradient.broadcast_mul(&weights)?)?;
    }
    for (sum, way) in sums.iter_mut().zip(way.flatten_all()?.to_vec1::<f32>()?) {
        *sum *= f64::from(way);
    }
    Ok((over_channels(&sums, channels, true), sums.iter().sum()))
}

/// The logit of the input minus that of the baseline.
fn change(model: &Model, x: &Tensor, baseline: &Tensor, class: u32) -> Result<f64> {
    let ends = model.logits(&Tensor::cat(&[x, baseline], 0)?)?;
    let ends = Objective::Logit(vec![class; 2]).of(&ends)?.to_vec1::<f32>()?;
    Ok(match ends.as_slice() {
        [image, baseline] => f64::from(*image) - f64::from(*baseline),
        _ => f64::NAN,
    })
}

/// Places in 0 to 1 and weights of Gauss and Legendre's rule with `n` points, in rising order: zeros of the Legendre
/// polynomial by Newton's method (Press et al., "Numerical recipes", 2007, section 4.6).
pub(super) fn gauss_legendre(n: usize) -> Vec<(f64, f64)> {
    // The polynomial and its derivative at x by the three-term recurrence.
    let legendre = |x: f64| {
        let (mut before, mut now) = (0.0, 1.0);
        for j in 0..n {
            let j = j as f64;
            let next = ((2.0 * j + 1.0) * x * now - j * before) / (j + 1.0);
            (before, now) = (now, next);
        }
        (now, n as f64 * (x * now - before) / (x * x - 1.0))
    };
    let point = |i: usize| {
        let mut x = -(std::f64::consts::PI * (i as f64 + 0.75) / (n as f64 + 0.5)).cos();
        for _ in 0..50 {
            let (value, slope) = legendre(x);
            let step = value / slope;
            x -= step;
            if step.abs() < 1e-15 {
                break;
            }
        }
        let (_, slope) = legendre(x);
        ((x + 1.0) / 2.0, 1.0 / ((1.0 - x * x) * slope * slope))
    };
    (0..n).map(point).collect()
}
