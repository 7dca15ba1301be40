//! Precision, recall, density and coverage: how much of one set lies where the other is.

use sconce_core::Result;

use super::distances::{Pairs, radii};
use super::samples::Samples;

/// How generated samples lie to real ones.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Manifold {
    /// Share of the generated samples that lie in the ball of a real one: how many look real.
    pub precision: f64,
    /// Share of the real samples that lie in the ball of a generated one: how much of the real set is met. One outlier among
    /// the generated, with its large ball, can raise it.
    pub recall: f64,
    /// Number of balls of real samples that a generated one lies in, by `k`: precision that a real outlier does not raise. It
    /// can be above 1.
    pub density: f64,
    /// Share of the real samples that have a generated one in their ball: recall by the real samples' balls. Of `N` real and `M`
    /// generated samples of one distribution it is about `1 − (N / (N + M))^k`, with as many of both and `k = 5` 0.97 (Naeem et
    /// al. give it exactly).
    pub coverage: f64,
}

/// Precision and recall (Kynkäänniemi et al., "Improved precision and recall metric for assessing generative models", NeurIPS 2019,
/// with `k = 3`), density and coverage (Naeem et al., "Reliable fidelity and diversity metrics for generative models", ICML 2020,
/// with `k = 5`).
///
/// A sample's ball reaches to its `k`-th nearest neighbour in its own set, itself not counted. Inside is what is *nearer* than
/// that (`<`), as in Naeem et al.'s package prdc, whose arguments are in this order too. Kynkäänniemi et al. and torch-fidelity
/// count the edge (`≤`). They differ where there are copies: of a generated set that is the real one, each ball has one more at
/// its edge (density 1 by `<`, `(k + 1) / k` by `≤`); and the ball of a sample with `k` copies is a point, which by `<` holds nothing,
/// so that a generator of one single image has recall 0 (`findings/prdc_same_images.sh`).
///
/// # Errors
/// When a set has no more than `k` samples, or the rows differ in length.
pub fn manifold(real: &Samples, generated: &Samples, k: usize) -> Result<Manifold> {
    real.check_beside(generated)?;
    let (real_radii, generated_radii) = (radii(real, k)?, radii(generated, k)?);
    let pairs = Pairs::new(generated, real)?;
    let bands = pairs.by_band(|lines| {
        let mut band = Band { met: vec![(false, false); real.len()], ..Band::default() };
        for line in lines {
            let mut balls = 0;
            for (place, (&radius, met)) in real_radii.iter().zip(&mut band.met).enumerate() {
                if pairs.is_below(line, place, radius) {
                    balls += 1;
                    met.1 = true;
                }
                if !met.0 && pairs.is_below(line, place, generated_radii[line.row]) {
                    met.0 = true;
                }
            }
            band.balls += balls;
            band.inside += usize::from(balls > 0);
        }
        band
    });
    let mut all = Band { met: vec![(false, false); real.len()], ..Band::default() };
    for band in bands {
        all.balls += band.balls;
        all.inside += band.inside;
        for (all, met) in all.met.iter_mut().zip(band.met) {
            *all = (all.0 | met.0, all.1 | met.1);
        }
    }
    let (reals, count) = (real.len() as f64, generated.len() as f64);
    let share = |which: fn(&(bool, bool)) -> bool| {
        all.met.iter().filter(|met| which(met)).count() as f64 / reals
    };
    Ok(Manifold {
        precision: all.inside as f64 / count,
        recall: share(|met| met.0),
        density: all.balls as f64 / (k as f64 * count),
        coverage: share(|met| met.1),
    })
}

/// What is counted of some of the generated samples.
#[derive(Default)]
struct Band {
    /// Balls of real samples that they lie in, in all.
    balls: usize,
    /// Those that lie in one at least.
    inside: usize,
    /// Of each real sample: whether it lies in the ball of one of them, and whether one of them lies in its own.
    met: Vec<(bool, bool)>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::testing::{close, samples};

    /// prdc 0.2, `samples` as in `testing.rs`:
    ///
    /// ```python
    /// from prdc import compute_prdc
    /// real, generated = samples(200, 8, 1), samples(150, 8, 2, .3)
    /// compute_prdc(real, generated, 3), compute_prdc(real, generated, 5), compute_prdc(real, real, 3)
    /// ```
    #[test]
    fn equals_prdc() {
        let (real, generated) = (samples(200, 8, 1, 0.0), samples(150, 8, 2, 0.3));
        for (k, [precision, recall, density, coverage]) in
            [(3, [0.84, 0.79, 0.722_222_222_222_222_1, 0.655]), (5, [0.96, 0.875, 0.736, 0.805])]
        {
            let found = manifold(&real, &generated, k).unwrap();
            close(found.precision, precision);
            close(found.recall, recall);
            close(found.density, density);
            close(found.coverage, coverage);
        }
        let all = Manifold { precision: 1.0, recall: 1.0, density: 1.0, coverage: 1.0 };
        assert_eq!(manifold(&real, &real, 3).unwrap(), all);
    }

    #[test]
    fn coverage_of_one_distribution_is_known_beforehand() {
        let (real, generated) = (samples(600, 4, 11, 0.0), samples(300, 4, 12, 0.0));
        let found = manifold(&real, &generated, 5).unwrap();
        assert!((found.coverage - (1.0 - (2.0f64 / 3.0).powi(5))).abs() < 0.04, "{found:?}");
        assert!((found.density - 1.0).abs() < 0.1, "{found:?}");
    }

    #[test]
    fn a_single_image_covers_nothing() {
        let real = samples(50, 4, 1, 0.0);
        let one = Samples::new(real.row(7).repeat(20), 4).unwrap();
        let found = manifold(&real, &one, 3).unwrap();
        assert_eq!((found.precision, found.recall), (1.0, 0.0));
        assert!(found.coverage < 0.3, "{found:?}");
        let error = manifold(&real, &one.select(&[0, 1, 2]), 3).unwrap_err().to_string();
        assert_eq!(error, "expected more than k = 3 samples, and k of 1 or more; found 3 samples");
    }
}
