//! The Fréchet distance of two sets of features, known as FID.

use sconce_core::random::Generator;
use sconce_core::{Error, Result};
use sconce_data::split::shuffle;
use sconce_ops::rows::eigen;
use sconce_ops::rows::product::{of_rows, transpose};

use super::samples::Samples;

/// Mean and covariance of a set of features.
#[derive(Debug, Clone)]
pub struct Moments {
    count: usize,
    mean: Vec<f64>,
    /// `(dimension, dimension)`, with `n − 1` in the denominator.
    covariance: Vec<f64>,
}

impl Moments {
    /// Mean and unbiased covariance (`n − 1` in the denominator, as torch-fidelity, torchmetrics and clean-fid).
    ///
    /// # Errors
    /// When there are fewer than two rows.
    pub fn of(samples: &Samples) -> Result<Self> {
        let (count, d) = (samples.len(), samples.dimension());
        if count < 2 {
            return Err(Error::message(format!(
                "a covariance needs at least 2 samples, found {count}"
            )));
        }
        let mut mean = vec![0.0; d];
        for row in samples.rows() {
            mean.iter_mut().zip(row).for_each(|(mean, value)| *mean += value);
        }
        mean.iter_mut().for_each(|mean| *mean /= count as f64);
        let mut columns = transpose(samples.values(), d);
        for (column, mean) in columns.chunks_exact_mut(count).zip(&mean) {
            column.iter_mut().for_each(|value| *value -= mean);
        }
        let mut covariance = of_rows(&columns, &columns, count);
        covariance.iter_mut().for_each(|value| *value /= (count - 1) as f64);
        Ok(Self { count, mean, covariance })
    }

    /// Number of samples.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Numbers in a row.
    pub fn dimension(&self) -> usize {
        self.mean.len()
    }

    /// Whether there are too few samples for a covariance of full rank. The distance is defined all the same, but it is much
    /// too large: it says as much of the number of samples as of the samples.
    pub fn is_singular(&self) -> bool {
        self.count <= self.dimension()
    }

    fn trace(&self) -> f64 {
        self.covariance.iter().step_by(self.dimension() + 1).sum()
    }
}

/// One side of the distance, prepared to be compared with several others.
#[derive(Debug, Clone)]
pub struct Reference {
    moments: Moments,
    /// `R` with `RᵀR` the covariance: eigenvectors, each times the root of its eigenvalue.
    root: Vec<f64>,
}

impl Reference {
    /// Finds a root of the covariance.
    ///
    /// # Errors
    /// When the eigenvalues cannot be found.
    pub fn new(moments: Moments) -> Result<Self> {
        let d = moments.dimension();
        let eigen = eigen::largest(moments.covariance.clone(), d, d).map_err(Error::other)?;
        let mut root = eigen.vectors;
        for (vector, value) in root.chunks_exact_mut(d).zip(eigen.values) {
            let scale = value.max(0.0).sqrt();
            vector.iter_mut().for_each(|v| *v *= scale);
        }
        Ok(Self { moments, root })
    }

    /// The set's mean and covariance.
    pub fn moments(&self) -> &Moments {
        &self.moments
    }

    /// The squared Fréchet distance of two normal distributions,
    /// `‖μ₁ − μ₂‖² + tr(Σ₁ + Σ₂ − 2 (Σ₁ Σ₂)^½)` (Dowson and Landau, "The Fréchet distance between multivariate normal
    /// distributions", 1982; Heusel et al., "GANs trained by a two time-scale update rule converge to a local Nash equilibrium",
    /// NIPS 2017), in the features' units squared.
    ///
    /// With `Σ₁ = RᵀR` the product has the eigenvalues of the symmetric `R Σ₂ Rᵀ`; those that rounding makes negative count as
    /// 0, as does a distance below 0.
    ///
    /// # Errors
    /// When the features differ in length, or the eigenvalues cannot be found.
    pub fn distance(&self, other: &Moments) -> Result<f64> {
        let (own, d) = (&self.moments, self.moments.dimension());
        if other.dimension() != d {
            return Err(Error::message(format!(
                "expected features of one length, found rows of {d} and of {} numbers",
                other.dimension()
            )));
        }
        // A covariance is its own transpose: rows times rows is R Σ₂, and then R Σ₂ Rᵀ.
        let product = of_rows(&of_rows(&self.root, &other.covariance, d), &self.root, d);
        let values = eigen::values(product, d).map_err(Error::other)?;
        let root: f64 = values.iter().map(|value| value.max(0.0).sqrt()).sum();
        let means: f64 = own.mean.iter().zip(&other.mean).map(|(a, b)| (a - b) * (a - b)).sum();
        Ok((means + own.trace() + other.trace() - 2.0 * root).max(0.0))
    }

    /// The distance to infinitely many samples of the kind of `samples`, FID∞: the value at `1/N = 0` of the line through the
    /// distances of `points` subsets against `1/N`, by least squares (Chong and Forsyth, "Effectively unbiased FID and inception score
    /// and where to find them", CVPR 2020, who take 15 sizes from 5,000 to 50,000; here from a tenth of the samples to all).
    ///
    /// The distance of `N` samples is too large by about a constant by `N`. That is so where the covariance has full rank by
    /// far: sizes begin at twice the features' length, and nothing is said where that is above half of the samples. What the
    /// other set's size adds stays. A value below 0 is possible: it is an estimate.
    ///
    /// # Errors
    /// When there are fewer than two points, or a distance cannot be computed.
    pub fn at_infinity(
        &self,
        samples: &Samples,
        points: usize,
        generator: &mut Generator,
    ) -> Result<Option<f64>> {
        if points < 2 {
            return Err(Error::message(format!("a line needs at least 2 points, found {points}")));
        }
        let count = samples.len();
        let least = (count / 10).max(2 * samples.dimension()).max(2);
        if least > count / 2 {
            return Ok(None);
        }
        let mut places: Vec<usize> = (0..count).collect();
        let mut line = Vec::with_capacity(points);
        for point in 0..points {
            let n = least + (count - least) * point / (points - 1);
            shuffle(&mut places, generator);
            let distance = self.distance(&Moments::of(&samples.select(&places[..n]))?)?;
            line.push((1.0 / n as f64, distance));
        }
        Ok(Some(intercept(&line)))
    }
}

/// The Fréchet distance of two sets of features: see [`Reference::distance`].
///
/// # Errors
/// When a set has fewer than two rows, or the rows differ in length.
pub fn distance(a: &Samples, b: &Samples) -> Result<f64> {
    Reference::new(Moments::of(a)?)?.distance(&Moments::of(b)?)
}

/// The value at 0 of the line of least squares through `(x, y)`.
fn intercept(points: &[(f64, f64)]) -> f64 {
    let n = points.len() as f64;
    let (x, y) = points.iter().fold((0.0, 0.0), |(a, b), (x, y)| (a + x / n, b + y / n));
    let (along, square) = points.iter().fold((0.0, 0.0), |(along, square), point| {
        (along + (point.0 - x) * (point.1 - y), square + (point.0 - x).powi(2))
    });
    y - along / square * x
}

#[cfg(test)]
mod tests {
    use sconce_core::random::generator;

    use super::*;
    use crate::metrics::testing::{close, samples};

    /// torch-fidelity 0.4.0 and NumPy 2.4, `samples` as in `testing.rs`:
    ///
    /// ```python
    /// from torch_fidelity.metric_fid import fid_statistics_to_metric
    /// stats = lambda x: dict(mu=x.mean(0), sigma=np.cov(x, rowvar=False))
    /// fid_statistics_to_metric(stats(samples(300, 20, 1, .3)), stats(samples(200, 20, 2)), False)
    /// fid_statistics_to_metric(stats(samples(40, 60, 1, .3)), stats(samples(30, 60, 2)), False)
    /// fid_statistics_to_metric(stats(samples(300, 20, 1, 1000.)), stats(samples(200, 20, 2, 1000.3)), False)
    /// ```
    #[test]
    fn equals_torch_fidelity() {
        let of = |n, m, d, (a, b)| distance(&samples(n, d, 1, a), &samples(m, d, 2, b)).unwrap();
        close(of(300, 200, 20, (0.3, 0.0)), 2.380_773_355_185_219_5);
        // Fewer samples than features: half of the eigenvalues are rounding errors, in both programs.
        assert!((of(40, 30, 60, (0.3, 0.0)) - 40.272_022_411_000_86).abs() < 1e-4);
        close(of(300, 200, 20, (1000.0, 1000.3)), 2.354_651_637_136_569_8);
    }

    #[test]
    fn a_shift_is_its_length_squared_and_a_set_is_at_no_distance_from_itself() {
        let a = samples(300, 20, 1, 0.0);
        let shifted = Samples::new(a.values().iter().map(|v| v + 0.5).collect(), 20).unwrap();
        assert!((distance(&a, &shifted).unwrap() - 20.0 * 0.25).abs() < 1e-5);
        assert!(distance(&a, &a).unwrap() < 1e-5);
        // Twice the spread: (2 − 1)² of the variance.
        let wider = Samples::new(a.values().iter().map(|v| v * 2.0).collect(), 20).unwrap();
        let (one, two) = (Moments::of(&a).unwrap(), Moments::of(&wider).unwrap());
        let mean: f64 = one.mean.iter().map(|m| m * m).sum();
        let expected = mean + one.trace();
        assert!((Reference::new(one).unwrap().distance(&two).unwrap() - expected).abs() < 1e-5);
    }

    #[test]
    fn too_few_samples_are_told() {
        let error = distance(&samples(1, 3, 1, 0.0), &samples(9, 3, 2, 0.0)).unwrap_err();
        assert_eq!(error.to_string(), "a covariance needs at least 2 samples, found 1");
        let of = |n| Moments::of(&samples(n, 4, 1, 0.0)).unwrap().is_singular();
        assert_eq!((of(4), of(5)), (true, false));
        let error = distance(&samples(9, 3, 1, 0.0), &samples(9, 4, 2, 0.0)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "expected features of one length, found rows of 3 and of 4 numbers"
        );
    }

    /// Sets of one distribution have the distance 0 at infinitely many samples; at 400 it is far above.
    #[test]
    fn the_extrapolation_takes_the_bias_away() {
        let reference = Reference::new(Moments::of(&samples(20_000, 12, 1, 0.0)).unwrap()).unwrap();
        let (mut biased, mut unbiased) = (0.0, 0.0);
        for seed in 0..20 {
            let few = samples(400, 12, 1000 + 7919 * seed, 0.0);
            biased += reference.distance(&Moments::of(&few).unwrap()).unwrap() / 20.0;
            let at_infinity = reference.at_infinity(&few, 15, &mut generator(seed, "points"));
            unbiased += at_infinity.unwrap().unwrap() / 20.0;
        }
        // NumPy with its own draws: 0.0790 and 0.0012, deviations 0.019 and 0.027 of one set.
        assert!((biased - 0.079).abs() < 1e-4, "{biased}");
        assert!(unbiased.abs() < biased / 4.0, "{unbiased} {biased}");
    }

    #[test]
    fn the_line_is_drawn_through_seeded_subsets() {
        let few = samples(400, 12, 2, 0.0);
        let reference = Reference::new(Moments::of(&samples(500, 12, 1, 0.0)).unwrap()).unwrap();
        let at = |seed| reference.at_infinity(&few, 15, &mut generator(seed, "points")).unwrap();
        assert_eq!(at(0), at(0));
        assert_ne!(at(0), at(1));
        // Twice the features are more than half of the samples.
        let fewer = few.select(&(0..47).collect::<Vec<_>>());
        assert_eq!(reference.at_infinity(&fewer, 15, &mut generator(0, "points")).unwrap(), None);
        close(intercept(&[(1.0, 5.0), (2.0, 7.0), (3.0, 9.0)]), 3.0);
    }
}
