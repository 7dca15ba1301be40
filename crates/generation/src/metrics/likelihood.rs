//! The feature-likelihood divergence: how likely new real images are where the generated ones lie.

use rayon::prelude::*;
use sconce_core::random::Generator;
use sconce_core::{Error, Result};
use sconce_data::split::shuffle;

use super::distances::Pairs;
use super::samples::Samples;

/// Steps of Adam that fit the variances, and its rate.
const STEPS: i32 = 50;
const RATE: f64 = 0.5;
/// A step's distances to the samples' mean are shortened by this, so that each sample has some likelihood while fitting.
const TOWARDS_MEAN: f64 = 0.1;
/// Logarithms of variances are kept in between: that of a copy would fall without end.
const RANGE: (f64, f64) = (-40.0, 20.0);
/// Terms smaller than the largest by this factor's logarithm add nothing in double precision.
const NEGLIGIBLE: f64 = -45.0;
/// Rows that one task adds up, the same for any number of threads.
const BAND: usize = 64;
/// Training samples × centres at most, whose distances are held while variances are fitted: 2 GB.
const PAIRS: usize = 250_000_000;

/// Real features, standardised, and how likely the test set is under a mixture about real samples: what generated ones are
/// compared with.
#[derive(Debug, Clone)]
pub struct Likelihood {
    train: Samples,
    test: Samples,
    /// Columns that are used, with their means and deviations on the test set.
    columns: Vec<(usize, f64, f64)>,
}

impl Likelihood {
    /// Standardises by the test set's means and deviations. A column that is constant there (a feature that never fires) is
    /// left out: it has no deviation to divide by, and the authors' program makes it NaN.
    ///
    /// # Errors
    /// When there are fewer than two samples of either, the rows differ in length, or all columns are constant.
    pub fn new(train: &Samples, test: &Samples) -> Result<Self> {
        train.check_beside(test)?;
        if train.len() < 2 || test.len() < 2 {
            return Err(Error::message(format!(
                "expected at least 2 training and 2 test samples, found {} and {}",
                train.len(),
                test.len()
            )));
        }
        let n = test.len() as f64;
        let column = |j: usize| {
            let mean = test.rows().map(|row| row[j]).sum::<f64>() / n;
            let square: f64 = test.rows().map(|row| (row[j] - mean).powi(2)).sum();
            (j, mean, (square / (n - 1.0)).sqrt())
        };
        let constant = |j: usize| test.rows().all(|row| row[j] == test.row(0)[j]);
        let columns: Vec<_> = (0..test.dimension()).filter(|&j| !constant(j)).map(column).collect();
        if columns.is_empty() {
            return Err(Error::message("all features are constant on the test samples"));
        }
        let train = standardised(train, &columns)?;
        let test = standardised(test, &columns)?;
        Ok(Self { train, test, columns })
    }

    /// Numbers in a row that are used.
    pub fn dimension(&self) -> usize {
        self.columns.len()
    }

    /// How many of `generated` samples count as centres: all, but at most half as many as there are training samples, since the
    /// baseline has as many centres of real ones and the other half is what it is fitted to, and no more than memory allows
    /// (4,166 beside MNIST's 60,000).
    pub fn centres(&self, generated: usize) -> usize {
        let count = self.train.len();
        generated.min(count / 2).min((PAIRS / count).max(1))
    }

    /// The feature-likelihood divergence of `generated`: 100 times the difference, by dimension, between the negative
    /// log-likelihood of the test set under a mixture about the generated samples and `baseline`, that under a mixture about as
    /// many training samples (Jiralerspong et al., "Feature likelihood divergence: evaluating the generalization of generative
    /// models using samples", NeurIPS 2023). 0 is as good as real samples, 100 bad; a set of copies of training samples is punished
    /// by test samples that its narrow normals miss, to above 1,000.
    ///
    /// More centres make any set likelier, so that generated samples have to be as many as the baseline's centres
    /// ([`centres`](Self::centres)); new real ones are then about 0. Generated ones are fitted to all training samples, real
    /// centres to those that are none: of twice as many training samples as centres new real ones were at −1.3 ± .6, of five times
    /// as many at −.2 ± .4 (clusters in 12 dimensions, 30 draws).
    ///
    /// Each generated sample is the centre of a normal distribution whose variance makes the *training* samples likely: a
    /// copy of one gets a variance of about 0. All details are those of the authors' program, fld (50 steps of Adam at a rate of
    /// 0.5 on the logarithms of the variances, which begin at `(d + 10⁻³) / D` with `d` the squared distance to the nearest
    /// training sample). It differs in four things: double precision, constant columns (see [`new`](Self::new)), as many centres of
    /// either, and all training samples at each step, where the authors' take batches of 10,000 (the same up to that number).
    ///
    /// # Errors
    /// When there are not as many generated samples as the baseline has centres, or the rows differ in length.
    pub fn divergence(&self, generated: &Samples, baseline: Baseline) -> Result<f64> {
        if generated.len() != baseline.centres {
            return Err(Error::message(format!(
                "expected {} generated samples, as many as there are centres of real ones, found {}",
                baseline.centres,
                generated.len()
            )));
        }
        let generated = standardised(generated, &self.columns)?;
        Ok(100.0 * (negative(&generated, &self.train, &self.test)? - baseline.negative))
    }

    /// The same of real samples: the negative log-likelihood of the test set by dimension, under a mixture about
    /// [`centres(generated)`](Self::centres) training samples, drawn, that is fitted to the others.
    ///
    /// # Errors
    /// When `generated` is 0.
    pub fn baseline(&self, generated: usize, generator: &mut Generator) -> Result<Baseline> {
        let mut places: Vec<usize> = (0..self.train.len()).collect();
        shuffle(&mut places, generator);
        let (centres, others) = places.split_at(self.centres(generated));
        let (of_centres, of_others) = (self.train.select(centres), self.train.select(others));
        let negative = negative(&of_centres, &of_others, &self.test)?;
        Ok(Baseline { centres: centres.len(), negative })
    }
}

/// What generated samples are compared with: see [`Likelihood::baseline`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Baseline {
    /// Training samples that are centres.
    pub centres: usize,
    /// The negative log-likelihood of the test set by dimension.
    pub negative: f64,
}

/// The columns of `samples`, less their mean and by their deviation.
fn standardised(samples: &Samples, columns: &[(usize, f64, f64)]) -> Result<Samples> {
    if let Some((last, ..)) = columns.last()
        && *last >= samples.dimension()
    {
        return Err(Error::message(format!(
            "expected rows of more than {last} numbers, found {}",
            samples.dimension()
        )));
    }
    let of_row =
        |row: &[f64]| columns.iter().map(|&(j, mean, by)| (row[j] - mean) / by).collect::<Vec<_>>();
    Samples::new(samples.rows().flat_map(of_row).collect(), columns.len())
}

/// The mean negative log-likelihood of `seen` by dimension, under the mixture about `centres` that is fitted to `fitted`.
fn negative(centres: &Samples, fitted: &Samples, seen: &Samples) -> Result<f64> {
    let logs = variances(centres, fitted)?;
    let distances = squared_distances(seen, centres)?;
    let terms = Terms::new(&logs, centres.dimension());
    let likelihoods: Vec<f64> = distances
        .par_chunks_exact(centres.len())
        .map(|row| {
            let mut terms_of_row = vec![0.0; row.len()];
            terms.of(row, &mut terms_of_row);
            log_sum_exp(&terms_of_row)
        })
        .collect();
    Ok(-likelihoods.iter().sum::<f64>() / (seen.len() * centres.dimension()) as f64)
}

/// Squared distances, rows of `left` × rows of `right`; those of copies are 0.
fn squared_distances(left: &Samples, right: &Samples) -> Result<Vec<f64>> {
    let pairs = Pairs::new(left, right)?;
    let bands = pairs.by_band(|lines| {
        let mut distances = Vec::with_capacity(lines.len() * right.len());
        for line in lines {
            distances.extend(line.near.iter().enumerate().map(|(place, &near)| {
                // Rounding matters where it is not small beside the distance.
                let doubtful = near < 1e6 * pairs.slack(line, place);
                if doubtful { pairs.exact(line.row, place) } else { near }
            }));
        }
        distances
    });
    Ok(bands.concat())
}

/// `log N(x; xⱼ, σⱼ²) − log M = offset − factor · ‖x − xⱼ‖²`.
struct Terms {
    offset: Vec<f64>,
    factor: Vec<f64>,
}

impl Terms {
    fn new(logs: &[f64], dimension: usize) -> Self {
        let (half, count) = (dimension as f64 / 2.0, (logs.len() as f64).ln());
        let constant = half * std::f64::consts::TAU.ln() + count;
        Self {
            offset: logs.iter().map(|log| -half * log - constant).collect(),
            factor: logs.iter().map(|log| 0.5 * (-log).exp()).collect(),
        }
    }

    fn of(&self, squared: &[f64], out: &mut [f64]) {
        let terms = self.offset.iter().zip(&self.factor).zip(squared);
        out.iter_mut().zip(terms).for_each(|(out, ((o, f), d))| *out = o - f * d);
    }
}

fn log_sum_exp(terms: &[f64]) -> f64 {
    let largest = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let near = terms.iter().map(|term| term - largest).filter(|term| *term > NEGLIGIBLE);
    largest + near.map(f64::exp).sum::<f64>().ln()
}

/// A number that Adam changes (Kingma and Ba, 2015, with its usual constants).
#[derive(Clone, Copy, Default)]
struct Adam {
    value: f64,
    first: f64,
    second: f64,
}

impl Adam {
    fn step(&mut self, gradient: f64, time: i32) {
        let (b1, b2): (f64, f64) = (0.9, 0.999);
        self.first = b1 * self.first + (1.0 - b1) * gradient;
        self.second = b2 * self.second + (1.0 - b2) * gradient * gradient;
        let first = self.first / (1.0 - b1.powi(time));
        let second = self.second / (1.0 - b2.powi(time));
        self.value -= RATE * first / (second.sqrt() + 1e-8);
    }
}

/// The logarithms of the variances about `centres` that make `fitted` likely.
fn variances(centres: &Samples, fitted: &Samples) -> Result<Vec<f64>> {
    let (count, d) = (centres.len(), centres.dimension() as f64);
    // Rows of the samples that are fitted: a step reads all of them, one after the other.
    let distances = squared_distances(fitted, centres)?;
    let mut nearest = vec![f64::INFINITY; count];
    for row in distances.chunks_exact(count) {
        nearest.iter_mut().zip(row).for_each(|(nearest, d)| *nearest = nearest.min(*d));
    }
    let mut of_centres: Vec<Adam> = nearest
        .iter()
        .map(|nearest| Adam { value: ((nearest + 1e-3) / d).ln(), ..Adam::default() })
        .collect();
    let to_mean = shortened_to_mean(fitted);
    let mut of_mean = Adam::default();
    for time in 1..=STEPS {
        let logs: Vec<f64> = of_centres.iter().map(|adam| adam.value).collect();
        let step = gradient(&distances, &to_mean, &logs, of_mean.value, d);
        for (adam, gradient) in of_centres.iter_mut().zip(&step.of_centres) {
            adam.step(*gradient, time);
            adam.value = adam.value.clamp(RANGE.0, RANGE.1);
        }
        of_mean.step(step.of_mean, time);
    }
    Ok(of_centres.iter().map(|adam| adam.value).collect())
}

/// Squared distances to the mean, shortened.
fn shortened_to_mean(samples: &Samples) -> Vec<f64> {
    let mut mean = vec![0.0; samples.dimension()];
    for row in samples.rows() {
        mean.iter_mut().zip(row).for_each(|(mean, value)| *mean += value / samples.len() as f64);
    }
    let shorter = (1.0 - TOWARDS_MEAN).powi(2);
    samples.rows().map(|row| shorter * super::distances::squared(row, &mean)).collect()
}

/// Slopes of the mean negative log-likelihood by dimension.
struct Slopes {
    of_centres: Vec<f64>,
    of_mean: f64,
}

/// The slopes along the logarithms of the variances. With `wⱼ` the share of a centre in a sample's likelihood, that of
/// `log σⱼ²` is `−wⱼ (‖x − xⱼ‖² / 2σⱼ² − D / 2)`, by samples and dimension. The mean of the samples is one more centre, whose
/// share is not divided by their number.
fn gradient(distances: &[f64], to_mean: &[f64], logs: &[f64], mean: f64, d: f64) -> Slopes {
    let (count, half) = (logs.len(), d / 2.0);
    let terms = Terms::new(logs, d as usize);
    let (offset, factor) = (-half * (mean + std::f64::consts::TAU.ln()), 0.5 * (-mean).exp());
    let bands: Vec<Slopes> = distances
        .par_chunks(BAND * count)
        .zip(to_mean.par_chunks(BAND))
        .map(|(rows, to_mean)| {
            let mut slopes = Slopes { of_centres: vec![0.0; count], of_mean: 0.0 };
            let mut of_row = vec![0.0; count];
            for (row, to_mean) in rows.chunks_exact(count).zip(to_mean) {
                terms.of(row, &mut of_row);
                let about_mean = offset - factor * to_mean;
                let largest = of_row.iter().copied().fold(about_mean, f64::max);
                let mut sum = (about_mean - largest).exp();
                for term in &mut of_row {
                    let less = *term - largest;
                    *term = if less > NEGLIGIBLE { less.exp() } else { 0.0 };
                    sum += *term;
                }
                for (j, share) in of_row.iter().enumerate().filter(|(_, share)| **share > 0.0) {
                    slopes.of_centres[j] -= share / sum * (terms.factor[j] * row[j] - half);
                }
                let share = (about_mean - largest).exp() / sum;
                slopes.of_mean -= share * (factor * to_mean - half);
            }
            slopes
        })
        .collect();
    let mut all = Slopes { of_centres: vec![0.0; count], of_mean: 0.0 };
    for band in bands {
        all.of_centres.iter_mut().zip(band.of_centres).for_each(|(all, one)| *all += one);
        all.of_mean += band.of_mean;
    }
    let by = to_mean.len() as f64 * d;
    all.of_centres.iter_mut().for_each(|slope| *slope /= by);
    all.of_mean /= by;
    all
}

#[cfg(test)]
mod tests {
    use sconce_core::random::generator;

    use super::*;
    use crate::metrics::draw;
    use crate::metrics::testing::{close, samples};

    /// NumPy and SciPy, from the paper and the constants of the authors' program (fld at commit 245ac7c), `samples` as in
    /// `testing.rs`; the script's slopes were compared with differences of its loss:
    ///
    /// ```python
    /// from scipy.special import logsumexp, softmax
    /// d2 = lambda x, y: ((x[:, None] - y[None]) ** 2).sum(2)
    /// def nll(centres, fitted, seen):
    ///     M, D = centres.shape
    ///     dist = d2(fitted, centres)
    ///     s = np.append(np.log((dist.min(0) + 1e-3) / D), 0.)
    ///     dist = np.hstack([dist, .81 * d2(fitted, fitted.mean(0, keepdims=True))])
    ///     w, m, v = np.append(np.full(M, -np.log(M)), 0.), np.zeros(M + 1), np.zeros(M + 1)
    ///     for t in range(1, 51):
    ///         ll = -.5 * dist * np.exp(-s) - D / 2 * (s + np.log(2 * np.pi)) + w
    ///         g = -(softmax(ll, axis=1) * (.5 * dist * np.exp(-s) - D / 2)).mean(0) / D
    ///         m, v = .9 * m + .1 * g, .999 * v + .001 * g * g
    ///         s = s - .5 * (m / (1 - .9**t)) / (np.sqrt(v / (1 - .999**t)) + 1e-8)
    ///         s[:M] = s[:M].clip(-40, 20)
    ///     s = s[:M]
    ///     ll = -.5 * d2(seen, centres) * np.exp(-s) - D / 2 * (s + np.log(2 * np.pi)) - np.log(M)
    ///     return -logsumexp(ll, axis=1).mean() / D
    /// train, test, gen = samples(120, 6, 1), samples(90, 6, 2), samples(60, 6, 3, .2)
    /// std = lambda x: (x - test.mean(0)) / test.std(0, ddof=1)
    /// base = nll(std(train[:60]), std(train[60:]), std(test))
    /// for g in (gen, train[:60], test[:60]): print(100 * (nll(std(g), std(train), std(test)) - base))
    /// ```
    #[test]
    fn equals_the_published_definition() {
        let (train, test) = (samples(120, 6, 1, 0.0), samples(90, 6, 2, 0.0));
        let likelihood = Likelihood::new(&train, &test).unwrap();
        let of = |from, to| likelihood.train.select(&(from..to).collect::<Vec<_>>());
        let base = negative(&of(0, 60), &of(60, 120), &likelihood.test).unwrap();
        close(base, 1.555_843_538_019_918);
        let baseline = Baseline { centres: 60, negative: base };
        let divergence = |set: &Samples| likelihood.divergence(set, baseline).unwrap();
        let first = |set: &Samples| set.select(&(0..60).collect::<Vec<_>>());
        close(divergence(&samples(60, 6, 3, 0.2)), 2.155_079_529_652_037_5);
        close(divergence(&first(&test)), -26.937_237_364_747_8);
        // Copies of training samples: narrow normals, in none of which a test sample lies.
        close(divergence(&first(&train)) / 1e15, 8.747_708_957_024_877);
    }

    #[test]
    fn a_column_that_never_changes_is_left_out() {
        let with = |set: &Samples| {
            let rows = set.rows().flat_map(|row| [row[0], 0.0, row[1], row[2]]);
            Samples::new(rows.collect(), 4).unwrap()
        };
        let (train, test) = (samples(60, 3, 1, 0.0), samples(50, 3, 2, 0.0));
        let generated = samples(40, 3, 3, 0.1);
        let (plain, dead) = (
            Likelihood::new(&train, &test).unwrap(),
            Likelihood::new(&with(&train), &with(&test)).unwrap(),
        );
        assert_eq!(dead.dimension(), 3);
        let one = Baseline { centres: 40, negative: 1.0 };
        assert_eq!(
            dead.divergence(&with(&generated), one).unwrap(),
            plain.divergence(&generated, one).unwrap()
        );
        let constant = Samples::new(vec![1.0; 8], 2).unwrap();
        let error = Likelihood::new(&constant, &constant).unwrap_err().to_string();
        assert_eq!(error, "all features are constant on the test samples");
    }

    #[test]
    fn new_samples_are_about_as_likely_as_real_ones() {
        let (train, test) = (samples(400, 4, 1, 0.0), samples(300, 4, 2, 0.0));
        let likelihood = Likelihood::new(&train, &test).unwrap();
        let baseline = |seed| likelihood.baseline(200, &mut generator(seed, "half")).unwrap();
        assert_eq!(baseline(0), baseline(0));
        assert_ne!(baseline(0), baseline(1));
        let new = likelihood.divergence(&samples(200, 4, 3, 0.0), baseline(0)).unwrap();
        let far = likelihood.divergence(&samples(200, 4, 3, 2.0), baseline(0)).unwrap();
        assert!(new.abs() < 10.0 && far > 30.0, "{new} {far}");
    }

    /// More centres make test samples likelier. All 900 beside 150 real centres would be at −5.4 to −6.9, by the draw (NumPy, by the
    /// script above); any 150 of them are at −3 to 1.5.
    #[test]
    fn new_samples_are_no_likelier_by_their_number() {
        let (train, test) = (samples(300, 8, 1, 0.0), samples(200, 8, 2, 0.0));
        let likelihood = Likelihood::new(&train, &test).unwrap();
        let new = samples(900, 8, 3, 0.0);
        assert_eq!(likelihood.centres(new.len()), 150);
        assert_eq!(likelihood.centres(40), 40);
        for seed in 0..2 {
            let baseline = likelihood.baseline(new.len(), &mut generator(seed, "half")).unwrap();
            let some = draw(new.len(), baseline.centres, &mut generator(seed, "new"));
            let found = likelihood.divergence(&new.select(&some), baseline).unwrap();
            assert!(found.abs() < 4.5, "{found}");
            let error = likelihood.divergence(&new, baseline).unwrap_err().to_string();
            assert_eq!(
                error,
                "expected 150 generated samples, as many as there are centres of real ones, found 900"
            );
        }
    }
}
