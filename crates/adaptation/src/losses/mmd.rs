use candle_core::{Result, Tensor, bail};
use schemars::JsonSchema;
use sconce_ops::device::tensor_like;
use sconce_ops::linear::linear;
use sconce_ops::sum::{spread, sum_all, sum_keepdim};
use serde::{Deserialize, Serialize};

/// Bandwidths of the kernels as multiples of the mean squared distance, as usual: five, each twice the one before.
pub const MULTIPLES: [f64; 5] = [0.25, 0.5, 1.0, 2.0, 4.0];

/// How the squared maximum mean discrepancy is estimated from samples.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Estimator {
    /// Means over all pairs, those of a row with itself too (a V-statistic): never below 0, and above 0 also for
    /// samples of one distribution. What common implementations take.
    #[default]
    Biased,
    /// Means over pairs of different rows (a U-statistic): 0 on average for samples of one distribution, so now and then
    /// below 0.
    Unbiased,
}

/// Squared maximum mean discrepancy of two domains under a sum of Gaussian kernels.
///
/// `mean k(s, s′) + mean k(t, t′) − 2 mean k(s, t)` with `k(x, y) = Σᵤ exp(−‖x − y‖² / σᵤ)`. Gretton et al., "A kernel
/// two-sample test", 2012, equation 5 ([`Estimator::Biased`]) and equation 3 ([`Estimator::Unbiased`]); several kernels as
/// in Long et al., "Learning transferable features with deep adaptation networks", 2015, each of weight 1, and all pairs
/// in place of that paper's estimate in linear time.
///
/// `σᵤ` is `multiples[u]` ([`MULTIPLES`]) times the mean of `‖x − y‖²` over all pairs of different rows of both domains
/// together, without gradient. `source` is `(n, d)`, `target` `(m, d)`; gradients flow to both.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use sconce_adaptation::losses::{Estimator, mmd};
///
/// // one pair, so its distance is the mean: 1 + 1 − 2 exp(−1)
/// let source = Tensor::new(&[[0f64]], &Device::Cpu)?;
/// let target = Tensor::new(&[[3f64]], &Device::Cpu)?;
/// let found = mmd(&source, &target, &[1.0], Estimator::Biased)?.to_scalar::<f64>()?;
/// assert!((found - (2. - 2. * (-1f64).exp())).abs() < 1e-12);
/// # Ok::<(), candle_core::Error>(())
/// ```
///
/// # Errors
/// When the shapes do not fit, a domain has no row (fewer than 2 for the unbiased estimate), or a multiple is not above 0.
pub fn mmd(
    source: &Tensor,
    target: &Tensor,
    multiples: &[f64],
    estimator: Estimator,
) -> Result<Tensor> {
    let least = match estimator {
        Estimator::Biased => 1,
        Estimator::Unbiased => 2,
    };
    let (n, m, _) = super::domains("MMD", source, target, least)?;
    if multiples.is_empty() || !multiples.iter().all(|multiple| *multiple > 0.0) {
        bail!("MMD expects multiples above 0, got {multiples:?}");
    }
    let distances = squared_distances(&Tensor::cat(&[source, target], 0)?)?;
    let pairs = ((n + m) * (n + m - 1)) as f64;
    // rows that are all the same have the kernel's value at 0 everywhere, not 0 / 0
    let mean = (sum_all(&distances.detach())? / pairs)?.maximum(1e-20)?;
    let kernel = |multiple: &f64| distances.broadcast_div(&(&mean * -*multiple)?)?.exp();
    let kernels = multiples.iter().map(kernel).collect::<Result<Vec<_>>>()?;
    let mut sum = kernels[0].clone();
    for kernel in &kernels[1..] {
        sum = (sum + kernel)?;
    }
    let weights = weights(n, m, estimator);
    let weights = tensor_like(weights, (n + m, n + m), &sum)?;
    sum_all(&(sum * weights)?)
}

/// `‖xᵢ − xⱼ‖²` for all rows, `(rows, rows)`.
fn squared_distances(x: &Tensor) -> Result<Tensor> {
    // from their common centre, so that little is lost in the differences; no distance depends on it
    let x = x.broadcast_sub(&x.detach().mean_keepdim(0)?)?;
    let squares = sum_keepdim(&x.sqr()?, 1)?;
    let products = linear(&x, &x, None)?;
    let both = spread(&squares, products.shape())?.broadcast_add(&squares.t()?)?;
    both - (products * 2.0)?
}

/// What each pair counts, source before target, in row-major order.
fn weights(n: usize, m: usize, estimator: Estimator) -> Vec<f64> {
    let within = |count: usize, same: bool| match (estimator, same) {
        (Estimator::Biased, _) => ((count * count) as f64).recip(),
        (Estimator::Unbiased, true) => 0.0,
        (Estimator::Unbiased, false) => ((count * (count - 1)) as f64).recip(),
    };
    let weight = |i: usize, j: usize| match (i < n, j < n) {
        (true, true) => within(n, i == j),
        (false, false) => within(m, i == j),
        _ => -((n * m) as f64).recip(),
    };
    (0..n + m).flat_map(|i| (0..n + m).map(move |j| weight(i, j))).collect()
}
