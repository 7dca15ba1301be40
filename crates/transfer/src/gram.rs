//! The Gram matrix `K = X Xᵀ`, computed once and shared by all classes, folds and values of C.

use rayon::prelude::*;
use sconce_ops::rows::product::{self, BAND};

use crate::{Error, Rows};

/// A symmetric matrix of inner products, in single precision.
#[derive(Clone, Debug)]
pub struct Gram {
    values: Vec<f32>,
    len: usize,
}

impl Gram {
    /// Inner products of all pairs of `rows`, each plus `constant`: 1 stands for an appended feature that is
    /// always 1, so that a linear model's intercept is one more (regularised) weight.
    ///
    /// # Errors
    /// When there is no row, or a row's inner product with itself is beyond single precision.
    pub fn new(rows: Rows<'_>, constant: f32) -> Result<Self, Error> {
        let len = rows.len();
        if len == 0 {
            return Err(Error::Data("a Gram matrix needs at least one row".into()));
        }
        let mut values = vec![0f32; len * len];
        let depth = rows.columns();
        let bands: Vec<&[f32]> = rows.values().chunks(BAND * depth).collect();
        values.par_chunks_mut(BAND * len).enumerate().for_each(|(band, out)| {
            for (i, tile) in bands[..=band].iter().enumerate() {
                product::tile(bands[band], tile, depth, &mut out[i * BAND..], len);
            }
            out.iter_mut().for_each(|value| *value += constant);
        });
        // No inner product of two rows is larger than both of those with themselves.
        if let Some(row) = (0..len).find(|row| !values[row * (len + 1)].is_finite()) {
            let largest = rows.row(row).iter().fold(0f32, |most, v| most.max(v.abs()));
            return Err(Error::Data(format!(
                "row {row} has features as large as {largest:e}, whose squares are beyond single precision: expected \
                 `normalize = true`, or features of another scale"
            )));
        }
        mirror(&mut values, len);
        Ok(Self { values, len })
    }

    /// Number of rows (and columns).
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the matrix has no row; never so for one made by [`Gram::new`].
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Row `i`.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn row(&self, i: usize) -> &[f32] {
        &self.values[i * self.len..(i + 1) * self.len]
    }

    /// The matrix of the named rows and columns.
    pub fn subset(&self, samples: &[usize]) -> Self {
        let mut values = Vec::with_capacity(samples.len() * samples.len());
        for &i in samples {
            let row = self.row(i);
            values.extend(samples.iter().map(|&j| row[j]));
        }
        Self { values, len: samples.len() }
    }
}

/// Copies the lower triangle onto the upper one, in blocks that stay in the cache.
fn mirror(values: &mut [f32], len: usize) {
    const BLOCK: usize = 32;
    for i0 in (0..len).step_by(BLOCK) {
        for j0 in (0..=i0).step_by(BLOCK) {
            for i in i0..(i0 + BLOCK).min(len) {
                for j in j0..(j0 + BLOCK).min(i) {
                    values[j * len + i] = values[i * len + j];
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic;

    #[test]
    fn equals_the_naive_products() {
        let (x, _) = synthetic::clusters(301, 37, 4, 1);
        let rows = Rows::new(&x, 37).unwrap();
        let gram = Gram::new(rows, 1.0).unwrap();
        for i in 0..301 {
            for j in 0..301 {
                let naive: f64 = rows
                    .row(i)
                    .iter()
                    .zip(rows.row(j))
                    .map(|(a, b)| f64::from(*a) * f64::from(*b))
                    .sum();
                assert!((f64::from(gram.row(i)[j]) - naive - 1.0).abs() < 1e-4, "{i} {j}");
            }
        }
        let part = gram.subset(&[300, 2]);
        assert_eq!(part.row(0), [gram.row(300)[300], gram.row(300)[2]]);
    }

    #[test]
    fn rows_that_single_precision_cannot_square_are_refused() {
        let (mut x, _) = synthetic::clusters(20, 5, 2, 3);
        x[7 * 5 + 2] = 1e18;
        assert!(Gram::new(Rows::new(&x, 5).unwrap(), 1.0).is_ok());
        x[7 * 5 + 2] = -1e22;
        let error = Gram::new(Rows::new(&x, 5).unwrap(), 1.0).unwrap_err().to_string();
        assert!(error.starts_with("row 7 has features as large as 1e22, whose squares"), "{error}");
    }

    #[test]
    fn bits_do_not_depend_on_the_number_of_threads() {
        let (x, _) = synthetic::clusters(300, 513, 4, 2);
        let rows = Rows::new(&x, 513).unwrap();
        let with = |threads| {
            rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap()
                .install(|| Gram::new(rows, 1.0).unwrap().values)
        };
        let one = with(1);
        assert!(one.iter().zip(with(2)).all(|(a, b)| a.to_bits() == b.to_bits()));
        assert!(one.iter().zip(with(5)).all(|(a, b)| a.to_bits() == b.to_bits()));
    }
}
