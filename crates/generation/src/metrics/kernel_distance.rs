//! The kernel distance of two sets of features, known as KID.

use rayon::prelude::*;
use sconce_core::random::Generator;
use sconce_core::{Error, Result};
use sconce_data::split::shuffle;
use sconce_ops::rows::product::{BAND, tile};

use super::samples::Samples;

/// The sum of `(x·y / d + 1)³` over rows `x` of `left` and `y` of `right`; where both are the same set, over pairs of two
/// different rows.
fn sum(left: &[f64], right: &[f64], d: usize, same: bool) -> f64 {
    let bands: Vec<&[f64]> = left.chunks(BAND * d).collect();
    // Each band's sum is one thread's, and they are added in order: the bits are the same for any number of threads.
    let sums: Vec<f64> = bands
        .par_iter()
        .enumerate()
        .map(|(i, band)| {
            let mut products = vec![0.0; BAND * BAND];
            let mut sum = 0.0;
            let first = if same { i } else { 0 };
            for (j, other) in right.chunks(BAND * d).enumerate().skip(first) {
                let width = other.len() / d;
                tile(band, other, d, &mut products, width);
                let rows = products.chunks_exact(width).take(band.len() / d);
                for (row, products) in rows.enumerate() {
                    // The kernel is symmetric: of a set with itself, what is right of the diagonal.
                    let from = if same && i == j { row + 1 } else { 0 };
                    let cubes = products[from..].iter().map(|p| (p / d as f64 + 1.0).powi(3));
                    sum += cubes.sum::<f64>();
                }
            }
            sum
        })
        .collect();
    let sum: f64 = sums.iter().sum();
    if same { 2.0 * sum } else { sum }
}

/// The unbiased estimate of the squared maximum mean discrepancy under the kernel `(x·y / d + 1)³`, of all rows:
/// `Σ i≠j k(xᵢ, xⱼ) / m(m−1) + Σ i≠j k(yᵢ, yⱼ) / n(n−1) − 2 Σ k(xᵢ, yⱼ) / mn` (Bińkowski et al., "Demystifying MMD GANs", ICLR
/// 2018; Gretton et al., "A kernel two-sample test", JMLR 2012, lemma 6).
///
/// Its mean is the same for any number of samples, so that no extrapolation is needed. It is below 0 where two sets are alike,
/// half of the time where they are of one distribution, and always for a set with itself, since the pairs of a row with
/// itself count between the sets and not within them.
///
/// # Errors
/// When a set has fewer than two rows, or the rows differ in length.
pub fn unbiased(x: &Samples, y: &Samples) -> Result<f64> {
    x.check_beside(y)?;
    let (m, n, d) = (x.len() as f64, y.len() as f64, x.dimension());
    if m < 2.0 || n < 2.0 {
        return Err(Error::message(format!("expected at least 2 samples, found {m} and {n}")));
    }
    let within = |set: &Samples| sum(set.values(), set.values(), d, true);
    let between = sum(x.values(), y.values(), d, false);
    Ok(within(x) / (m * (m - 1.0)) + within(y) / (n * (n - 1.0)) - 2.0 * between / (m * n))
}

/// Mean and deviation of an estimate over subsets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OverSubsets {
    /// The mean.
    pub mean: f64,
    /// The deviation, with the number of subsets in the denominator, as torch-fidelity and torchmetrics.
    pub deviation: f64,
}

/// The estimates of `count` pairs of subsets of `size` rows, each drawn without repetition: what packages call KID (torch-fidelity:
/// 100 of 1,000). Its mean estimates the same as [`unbiased`], from fewer rows; its deviation is that of one subset, not
/// of the mean.
///
/// # Errors
/// When there are no subsets, or a set has fewer than `size` rows.
pub fn over_subsets(
    x: &Samples,
    y: &Samples,
    count: usize,
    size: usize,
    generator: &mut Generator,
) -> Result<OverSubsets> {
    let smaller = x.len().min(y.len());
    if count == 0 || size < 2 || size > smaller {
        return Err(Error::message(format!(
            "expected at least one subset, of 2 to {smaller} samples; found {count} of {size}"
        )));
    }
    let mut of = |set: &Samples| {
        let mut places: Vec<usize> = (0..set.len()).collect();
        shuffle(&mut places, generator);
        set.select(&places[..size])
    };
    let estimates: Vec<f64> = (0..count)
        .map(|_| {
            let (x, y) = (of(x), of(y));
            unbiased(&x, &y)
        })
        .collect::<Result<_>>()?;
    let mean = estimates.iter().sum::<f64>() / count as f64;
    let variance = estimates.iter().map(|e| (e - mean).powi(2)).sum::<f64>() / count as f64;
    Ok(OverSubsets { mean, deviation: variance.sqrt() })
}

#[cfg(test)]
mod tests {
    use sconce_core::random::generator;

    use super::*;
    use crate::metrics::testing::{close, samples};

    /// torch-fidelity 0.4.0, which takes as many of both; `samples` as in `testing.rs`:
    ///
    /// ```python
    /// from torch_fidelity.metric_kid import kernel_mmd
    /// poly = dict(kid_kernel="poly", kid_kernel_poly_degree=3, kid_kernel_poly_gamma=None, kid_kernel_poly_coef0=1.0)
    /// a, b = samples(300, 20, 1, .3), samples(300, 20, 2)
    /// kernel_mmd(a, b, **poly), kernel_mmd(a, a, **poly)
    /// ```
    #[test]
    fn equals_torch_fidelity() {
        let (a, b) = (samples(300, 20, 1, 0.3), samples(300, 20, 2, 0.0));
        close(unbiased(&a, &b).unwrap(), 11.840_531_960_526_675);
        close(unbiased(&a, &a).unwrap(), -0.572_529_220_622_812_1);
        // Subsets of all: the same in another order.
        let all = over_subsets(&a, &b, 3, 300, &mut generator(0, "subsets")).unwrap();
        close(all.mean, 11.840_531_960_526_675);
        assert!(all.deviation < 1e-9);
    }

    #[test]
    fn sets_of_different_size_are_summed_as_they_are() {
        let (a, b) = (samples(140, 3, 1, 0.0), samples(9, 3, 2, 0.0));
        let k = |x: &[f64], y: &[f64]| {
            (x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>() / 3.0 + 1.0).powi(3)
        };
        let within = |set: &Samples| {
            let n = set.len();
            let pairs = (0..n * n).filter(|at| at / n != at % n);
            pairs.map(|at| k(set.row(at / n), set.row(at % n))).sum::<f64>() / (n * (n - 1)) as f64
        };
        let between: f64 = a.rows().flat_map(|x| b.rows().map(move |y| k(x, y))).sum();
        let expected = within(&a) + within(&b) - 2.0 * between / (140.0 * 9.0);
        close(unbiased(&a, &b).unwrap(), expected);
        close(unbiased(&b, &a).unwrap(), expected);
    }

    #[test]
    fn subsets_estimate_the_same_with_a_deviation() {
        let (a, b) = (samples(400, 6, 1, 0.1), samples(500, 6, 2, 0.0));
        let all = unbiased(&a, &b).unwrap();
        let of = |seed| over_subsets(&a, &b, 50, 80, &mut generator(seed, "subsets")).unwrap();
        let found = of(0);
        assert!(found.deviation > 0.0 && (found.mean - all).abs() < found.deviation, "{found:?}");
        assert_eq!(found, of(0));
        assert_ne!(found, of(1));
        let error = over_subsets(&a, &b, 5, 401, &mut generator(0, "")).unwrap_err().to_string();
        assert_eq!(error, "expected at least one subset, of 2 to 400 samples; found 5 of 401");
    }
}
