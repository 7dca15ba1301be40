//! Whether generated images are nearer to those that were trained on than to others of the same kind.

use sconce_core::Result;

use super::distances::nearest;
use super::samples::Samples;

/// How near generated samples are to training and to test samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Memorising {
    /// Share of the generated samples whose nearest training sample is nearer than the nearest test sample, both sets weighing the
    /// same: see [`Seen::memorising`]. 0.5 where nothing was memorised, 1 where all samples are copies.
    pub nearer_to_train: f64,
    /// Median distance of generated samples to the nearest training sample by that of test samples: 1 for new samples as good as
    /// real ones, 0 for copies, above 1 where samples are further from all real ones than these are from one another. None where
    /// half of the test samples are copies of training samples, to which no distance has a ratio.
    pub distance_ratio: Option<f64>,
}

/// All samples that were trained on, and test samples, which were not.
#[derive(Debug, Clone)]
pub struct Seen {
    train: Samples,
    test: Samples,
    /// Median distance of the test samples to the nearest training sample.
    between: f64,
}

impl Seen {
    /// `train` has to hold every sample that was trained on: what is missing cannot be found to be copied.
    ///
    /// # Errors
    /// When a set is empty, or the rows differ in length.
    pub fn new(train: Samples, test: Samples) -> Result<Self> {
        let between = median(&mut to_nearest(&test, &train)?);
        Ok(Self { train, test, between })
    }

    /// Compares the nearest neighbours of `generated` among training and among test samples.
    ///
    /// One of `N` training samples is nearer than all of `M` test samples to any image that owes them nothing with the probability
    /// `N / (N + M)`, by their number alone. So with `p` the share of images for which it is (equal distances count half),
    /// `nearer_to_train = (p / N) / (p / N + (1 − p) / M)`: the share that it would be if either set had the same weight. That is 1/2
    /// for new images, be they good or bad, 1 for copies of training samples and 0 for copies of test samples, whatever `N` and `M`.
    /// Of `N = M` it is `p` itself; where a part of the images are copies, it is less than `p` of equal sets would be if `N > M` (of
    /// 60,000 and 10,000, half copies give .68 and not .75). Images that are all alike or far from both sets have the same few neighbours: their number is
    /// then a matter of chance.
    ///
    /// `distance_ratio` compares what Meehan, Chaudhuri and Dasgupta do ("A non-parametric test to detect data-copying in
    /// generative models", AISTATS 2020): distances of generated and of test samples to the nearest training sample, here by their
    /// medians, without its cells and its test of significance.
    ///
    /// # Errors
    /// When `generated` is empty, or the rows differ in length.
    pub fn memorising(&self, generated: &Samples) -> Result<Memorising> {
        let mut to_train = to_nearest(generated, &self.train)?;
        let to_test = to_nearest(generated, &self.test)?;
        let nearer =
            to_train.iter().zip(&to_test).map(|(train, test)| match train.total_cmp(test) {
                std::cmp::Ordering::Less => 1.0,
                std::cmp::Ordering::Equal => 0.5,
                std::cmp::Ordering::Greater => 0.0,
            });
        let nearer: f64 = nearer.sum();
        let of_train = nearer / self.train.len() as f64;
        let of_test = (generated.len() as f64 - nearer) / self.test.len() as f64;
        let ratio = |median: f64| median / self.between;
        Ok(Memorising {
            nearer_to_train: of_train / (of_train + of_test),
            distance_ratio: (self.between > 0.0).then(|| ratio(median(&mut to_train))),
        })
    }
}

/// Distances of the rows of `samples` to the nearest row of `among`.
fn to_nearest(samples: &Samples, among: &Samples) -> Result<Vec<f64>> {
    Ok(nearest(samples, among, 1)?.iter().flatten().map(|near| near.squared.sqrt()).collect())
}

/// The median; of an even number of values the mean of the two in the middle.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let n = values.len();
    (values[(n - 1) / 2] + values[n / 2]) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::testing::{close, samples};

    /// Four training samples for each test sample, as in MNIST there are six.
    #[test]
    fn copies_of_training_samples_are_told_from_new_ones() {
        let (train, test) = (samples(800, 6, 1, 0.0), samples(200, 6, 2, 0.0));
        let seen = Seen::new(train.clone(), test.clone()).unwrap();
        let new = seen.memorising(&samples(600, 6, 3, 0.0)).unwrap();
        assert!((new.nearer_to_train - 0.5).abs() < 0.09, "{new:?}");
        assert!((new.distance_ratio.unwrap() - 1.0).abs() < 0.09, "{new:?}");
        // Worse ones, which are as far from either set.
        let bad = seen.memorising(&samples(600, 6, 3, 0.3)).unwrap();
        assert!((bad.nearer_to_train - 0.5).abs() < 0.15, "{bad:?}");
        assert!(bad.distance_ratio.unwrap() > 1.1, "{bad:?}");
        let copies = seen.memorising(&train).unwrap();
        assert_eq!((copies.nearer_to_train, copies.distance_ratio), (1.0, Some(0.0)));
        let of_test = seen.memorising(&test).unwrap();
        assert_eq!((of_test.nearer_to_train, of_test.distance_ratio), (0.0, Some(1.0)));
        // Nothing is between copies.
        let twice = Seen::new(train.clone(), train).unwrap();
        assert_eq!(twice.memorising(&test).unwrap().distance_ratio, None);
    }

    #[test]
    fn distances_are_halved_by_hand() {
        let of = |values: &[f64]| Samples::new(values.to_vec(), 1).unwrap();
        let generated = of(&[1.0, 8.0, 10.0]);
        // To train: 1, 2, 0; to test: 3, 2, 4; of test to train: 2, 4.
        let seen = Seen::new(of(&[0.0, 10.0]), of(&[-2.0, 6.0])).unwrap();
        let found = seen.memorising(&generated).unwrap();
        close(found.nearer_to_train, 2.5 / 3.0);
        close(found.distance_ratio.unwrap(), 1.0 / 3.0);
        // Twice as many training samples, none of them near: half the weight of each.
        let seen = Seen::new(of(&[0.0, 10.0, 90.0, 95.0]), of(&[-2.0, 6.0])).unwrap();
        let found = seen.memorising(&generated).unwrap();
        // (2.5 / 4) / (2.5 / 4 + .5 / 2)
        close(found.nearer_to_train, 5.0 / 7.0);
    }
}
