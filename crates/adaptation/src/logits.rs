//! What a network said of watched images at several times of its training.

use sconce_core::{Error, Result};
use sconce_data::Features;
use sconce_data::finite::NotFinite;

/// Logits of images at one or several checkpoints.
pub struct Logits {
    features: Features,
    checkpoints: usize,
    classes: usize,
}

impl Logits {
    /// Logits from features whose rows have the shape `[checkpoints, classes]`, or `[classes]` for a single checkpoint.
    /// The examples' classes are the network's, in its order.
    ///
    /// # Errors
    /// Names the input `slot` when rows have another shape, the number of class names differs, or a number is not finite.
    pub fn of(slot: &str, features: Features) -> Result<Self> {
        let wrong = |message: String| Error::Input { slot: slot.to_owned(), message };
        let (checkpoints, classes) = match *features.shape() {
            [classes] => (1, classes),
            [checkpoints, classes] => (checkpoints, classes),
            _ => {
                return Err(wrong(format!(
                    "expected rows of checkpoints × classes or of classes, found shape {:?}",
                    features.shape()
                )));
            }
        };
        let names = features.examples().classes.len();
        if names != classes {
            return Err(wrong(format!(
                "expected a name for each of {classes} classes, found {names}"
            )));
        }
        NotFinite::of(features.values())
            .check(|| "expected finite numbers".to_owned())
            .map_err(|error| wrong(error.to_string()))?;
        Ok(Self { features, checkpoints, classes })
    }

    /// Who the rows are, with the network's classes.
    pub fn examples(&self) -> &sconce_data::Examples {
        self.features.examples()
    }

    /// Number of checkpoints.
    pub fn checkpoints(&self) -> usize {
        self.checkpoints
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The rows of the split called `split`, all where it is empty; at least one.
    ///
    /// # Errors
    /// Names the parameter `key` when there is no such split or no row in it.
    pub fn places(&self, key: &str, split: &str) -> Result<Vec<usize>> {
        let places = match split {
            "" => (0..self.features.len()).collect(),
            split => self
                .examples()
                .in_split(split)
                .map_err(|error| Error::parameter(key, error.to_string()))?,
        };
        match places.is_empty() {
            true => Err(Error::parameter(key, format!("no image in the split `{split}`"))),
            false => Ok(places),
        }
    }

    /// The logits of the images at `places` at one checkpoint: images × classes.
    ///
    /// # Panics
    /// When there is no such checkpoint or row.
    pub fn at(&self, checkpoint: usize, places: &[usize]) -> Vec<f64> {
        let from = checkpoint * self.classes;
        places
            .iter()
            .flat_map(|&place| &self.features.row(place)[from..from + self.classes])
            .map(|&logit| f64::from(logit))
            .collect()
    }
}

/// The logarithm of softmax of each row of `classes` numbers: `zᵢ − log Σⱼ exp zⱼ`.
pub fn log_softmax(logits: &[f64], classes: usize) -> Vec<f64> {
    let mut out = logits.to_vec();
    for row in out.chunks_exact_mut(classes.max(1)) {
        let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = row.iter().map(|z| (z - largest).exp()).sum();
        let log_sum = largest + sum.ln();
        row.iter_mut().for_each(|z| *z -= log_sum);
    }
    out
}

/// Softmax of each row of `classes` numbers after division by `temperature`.
pub fn softmax(logits: &[f64], classes: usize, temperature: f64) -> Vec<f64> {
    let divided: Vec<f64> = logits.iter().map(|z| z / temperature).collect();
    log_softmax(&divided, classes).into_iter().map(f64::exp).collect()
}

/// The mean cross-entropy of rows of logits with their labels, in nats.
///
/// # Panics
/// When a label is not below `classes`, or there are fewer labels than rows.
pub fn cross_entropy(logits: &[f64], classes: usize, labels: &[u32]) -> f64 {
    let log = log_softmax(logits, classes);
    let rows = log.chunks_exact(classes).zip(labels);
    rows.map(|(row, &label)| -row[label as usize]).sum::<f64>() / labels.len() as f64
}

#[cfg(test)]
mod tests {
    use sconce_data::Examples;

    use super::*;

    /// NumPy 2: z = [[1, 2, .5], [1000, 0, -1000]]; m = z.max(1); l = m + log(exp(z - m[:, None]).sum(1));
    /// (l - z[[0, 1], [0, 1]]).mean(), and exp(z[0] / 2.5) / exp(z[0] / 2.5).sum()
    #[test]
    fn equals_numpy() {
        let logits = [1.0, 2.0, 0.5, 1000.0, 0.0, -1000.0];
        assert!((cross_entropy(&logits, 3, &[0, 1]) - 500.732_184_392_054).abs() < 1e-9);
        let soft = softmax(&logits[..3], 3, 2.5);
        for (ours, theirs) in soft.iter().zip([0.302_064_11, 0.450_626_71, 0.247_309_18]) {
            assert!((ours - theirs).abs() < 1e-6, "{soft:?}");
        }
    }

    fn features(shape: &[usize], classes: usize) -> Features {
        let examples = Examples {
            ids: vec!["a".into(), "b".into()],
            classes: (0..classes).map(|class| class.to_string()).collect(),
            ..Examples::default()
        };
        let count = 2 * shape.iter().product::<usize>();
        Features::new(examples, shape.to_vec(), (0..count).map(|i| i as f32).collect()).unwrap()
    }

    #[test]
    fn rows_are_checkpoints_and_classes() {
        let logits = Logits::of("logits", features(&[2, 3], 3)).unwrap();
        assert_eq!((logits.checkpoints(), logits.classes()), (2, 3));
        assert_eq!(logits.at(1, &[1, 0]), [9.0, 10.0, 11.0, 3.0, 4.0, 5.0]);
        assert_eq!(Logits::of("logits", features(&[3], 3)).unwrap().checkpoints(), 1);
        let said = |shape: &[usize], classes| {
            Logits::of("logits", features(shape, classes)).err().unwrap().to_string()
        };
        assert_eq!(
            said(&[1, 2, 3], 3),
            "input `logits`: expected rows of checkpoints × classes or of classes, found shape [1, 2, 3]"
        );
        assert_eq!(
            said(&[2, 3], 2),
            "input `logits`: expected a name for each of 3 classes, found 2"
        );
        let error = logits.places("split", "test").unwrap_err().to_string();
        assert_eq!(
            error,
            "parameter `split`: expected a split `test`, but the examples have no splits"
        );
    }
}
