//! Whether generated images are nearer to those that were trained on than to others of the same kind.

use sconce_core::{Error, Result};

use super::distances::nearest;
use super::samples::Samples;

/// How near generated samples are to training and to test samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Memorising {
    /// Share of the generated samples whose nearest training sample is nearer than the nearest test sample; equal distances
    /// count half. About 0.5 where nothing was memorised, towards 1 where samples are copies. Of samples that are far from both
    /// sets, or all alike, the nearest of either is the same few: the share is then 0 or 1 by chance, and the ratio about 1.
    pub nearer_to_train: f64,
    /// Median distance to the nearest training sample by the median distance to the nearest test sample: about 1, towards 0 for
    /// copies. None where half of the generated samples are copies of test samples, to which no distance has a ratio.
    pub distance_ratio: Option<f64>,
}

/// Compares nearest neighbours among `train` and `test`, of which there have to be as many: more samples are nearer by their
/// number alone. (The idea of Meehan, Chaudhuri and Dasgupta, "A non-parametric test to detect data-copying in generative
/// models", AISTATS 2020, without its cells and its test of significance.)
///
/// # Errors
/// When a set is empty, `train` and `test` differ in number, or the rows differ in length.
pub fn memorising(generated: &Samples, train: &Samples, test: &Samples) -> Result<Memorising> {
    if train.len() != test.len() {
        return Err(Error::message(format!(
            "expected as many training as test samples, found {} and {}",
            train.len(),
            test.len()
        )));
    }
    let to = |set: &Samples| -> Result<Vec<f64>> {
        Ok(nearest(generated, set, 1)?.iter().flatten().map(|near| near.squared.sqrt()).collect())
    };
    let (mut to_train, mut to_test) = (to(train)?, to(test)?);
    let nearer = to_train.iter().zip(&to_test).map(|(train, test)| match train.total_cmp(test) {
        std::cmp::Ordering::Less => 1.0,
        std::cmp::Ordering::Equal => 0.5,
        std::cmp::Ordering::Greater => 0.0,
    });
    let nearer_to_train = nearer.sum::<f64>() / generated.len() as f64;
    let (train, test) = (median(&mut to_train), median(&mut to_test));
    Ok(Memorising { nearer_to_train, distance_ratio: (test > 0.0).then(|| train / test) })
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

    #[test]
    fn copies_of_training_samples_are_told_from_new_ones() {
        let (train, test) = (samples(200, 6, 1, 0.0), samples(200, 6, 2, 0.0));
        let new = memorising(&samples(300, 6, 3, 0.0), &train, &test).unwrap();
        assert!((new.nearer_to_train - 0.5).abs() < 0.09, "{new:?}");
        assert!((new.distance_ratio.unwrap() - 1.0).abs() < 0.09, "{new:?}");
        let copies = memorising(&train, &train, &test).unwrap();
        assert_eq!((copies.nearer_to_train, copies.distance_ratio), (1.0, Some(0.0)));
        let of_test = memorising(&test, &train, &test).unwrap();
        assert_eq!((of_test.nearer_to_train, of_test.distance_ratio), (0.0, None));
        let fewer = train.select(&[0, 1]);
        let error = memorising(&test, &fewer, &test).unwrap_err().to_string();
        assert_eq!(error, "expected as many training as test samples, found 2 and 200");
    }

    #[test]
    fn distances_are_halved_by_hand() {
        let of = |values: &[f64]| Samples::new(values.to_vec(), 1).unwrap();
        // To train: 1, 2, 0; to test: 3, 2, 4.
        let found =
            memorising(&of(&[1.0, 8.0, 10.0]), &of(&[0.0, 10.0]), &of(&[-2.0, 6.0])).unwrap();
        close(found.nearer_to_train, 2.5 / 3.0);
        close(found.distance_ratio.unwrap(), 1.0 / 3.0);
    }
}
