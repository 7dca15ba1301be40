//! Rows of features in double precision.

use sconce_core::random::Generator;
use sconce_core::{Error, Result};
use sconce_data::Features;
use sconce_data::split::shuffle;

/// Features of a set of images, one row an image, in double precision: in single precision the Fréchet distance of features
/// with a large mean differs by some 1e-4 from one package to another.
#[derive(Debug, Clone)]
pub struct Samples {
    values: Vec<f64>,
    dimension: usize,
}

impl Samples {
    /// Rows of `dimension` numbers each, one after the other.
    ///
    /// # Errors
    /// When the numbers make no whole rows, or one is not finite.
    pub fn new(values: Vec<f64>, dimension: usize) -> Result<Self> {
        if dimension == 0 || !values.len().is_multiple_of(dimension) {
            return Err(Error::message(format!(
                "{} numbers do not make rows of {dimension}",
                values.len()
            )));
        }
        match values.iter().position(|value| !value.is_finite()) {
            Some(at) => Err(Error::message(format!(
                "expected finite numbers: row {}, column {} is {}",
                at / dimension,
                at % dimension,
                values[at]
            ))),
            None => Ok(Self { values, dimension }),
        }
    }

    /// The rows `rows` of features.
    ///
    /// # Errors
    /// When a number is not finite.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn of(features: &Features, rows: &[usize]) -> Result<Self> {
        let values = rows.iter().flat_map(|&row| features.row(row)).map(|&v| f64::from(v));
        Self::new(values.collect(), features.dimension())
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.values.len() / self.dimension
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Numbers in a row.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// All numbers, row after row.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The rows in order.
    pub fn rows(&self) -> std::slice::ChunksExact<'_, f64> {
        self.values.chunks_exact(self.dimension)
    }

    /// Row `i`.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn row(&self, i: usize) -> &[f64] {
        &self.values[i * self.dimension..(i + 1) * self.dimension]
    }

    /// The rows `rows`, in that order.
    ///
    /// # Panics
    /// When there is no such row.
    #[must_use]
    pub fn select(&self, rows: &[usize]) -> Self {
        let values = rows.iter().flat_map(|&row| self.row(row)).copied().collect();
        Self { values, dimension: self.dimension }
    }

    /// Refuses sets whose rows differ in length.
    pub(crate) fn check_beside(&self, other: &Self) -> Result<()> {
        if self.dimension == other.dimension {
            Ok(())
        } else {
            Err(Error::message(format!(
                "expected features of one length, found rows of {} and of {} numbers",
                self.dimension, other.dimension
            )))
        }
    }
}

/// `count` of the places `0..all`, each set of them as likely as any other, in order; all where there are no more.
pub fn draw(all: usize, count: usize, generator: &mut Generator) -> Vec<usize> {
    let mut places: Vec<usize> = (0..all).collect();
    if count < all {
        shuffle(&mut places, generator);
        places.truncate(count);
        places.sort_unstable();
    }
    places
}

#[cfg(test)]
mod tests {
    use sconce_core::random::generator;

    use super::*;

    #[test]
    fn what_is_no_set_of_rows_is_refused() {
        let error = Samples::new(vec![1.0; 5], 2).unwrap_err().to_string();
        assert_eq!(error, "5 numbers do not make rows of 2");
        let error = Samples::new(vec![1.0, 2.0, f64::NAN, 1.0], 2).unwrap_err().to_string();
        assert_eq!(error, "expected finite numbers: row 1, column 0 is NaN");
        let (a, b) = (Samples::new(vec![1.0; 4], 2).unwrap(), Samples::new(vec![1.0], 1).unwrap());
        let error = a.check_beside(&b).unwrap_err().to_string();
        assert_eq!(error, "expected features of one length, found rows of 2 and of 1 numbers");
    }

    #[test]
    fn draws_are_without_repetition_and_in_order() {
        let drawn = draw(100, 30, &mut generator(0, "draw"));
        assert_eq!(drawn.len(), 30);
        assert!(drawn.is_sorted_by(|a, b| a < b) && drawn[29] < 100 && drawn[29] > 60);
        assert_eq!(drawn, draw(100, 30, &mut generator(0, "draw")));
        assert_eq!(draw(3, 5, &mut generator(0, "draw")), [0, 1, 2]);
    }
}
