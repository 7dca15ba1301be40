//! Methods on rows of numbers in memory, `(samples, features)` in row-major order: inner products, eigenvectors, principal
//! components. They take and return plain slices, since candle has none of them.

pub mod cholesky;
pub mod eigen;
mod error;
pub mod pca;
pub mod product;
mod subspace;

pub use error::Error;

/// A borrowed row-major matrix, one sample a row.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    values: &'a [f32],
    columns: usize,
}

impl<'a> Rows<'a> {
    /// Views `values` as rows of `columns` numbers each.
    ///
    /// # Errors
    /// When `columns` is zero, when `values` is no multiple of it, or when a value is not finite.
    pub fn new(values: &'a [f32], columns: usize) -> Result<Self, Error> {
        if columns == 0 || !values.len().is_multiple_of(columns) {
            return Err(Error::Shape(format!(
                "{} values do not make rows of {columns}",
                values.len()
            )));
        }
        if let Some(at) = values.iter().position(|v| !v.is_finite()) {
            return Err(Error::NotFinite { row: at / columns, column: at % columns });
        }
        Ok(Self { values, columns })
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.values.len() / self.columns
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// All values, row after row.
    pub fn values(&self) -> &'a [f32] {
        self.values
    }

    /// The rows in order.
    pub fn iter(&self) -> std::slice::ChunksExact<'a, f32> {
        self.values.chunks_exact(self.columns)
    }

    /// Row `i`.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn row(&self, i: usize) -> &'a [f32] {
        &self.values[i * self.columns..(i + 1) * self.columns]
    }

    /// The named rows, copied.
    pub fn gather(&self, rows: &[usize]) -> Vec<f32> {
        rows.iter().flat_map(|&i| self.row(i)).copied().collect()
    }
}

/// Divides each row by its Euclidean norm, as scikit-learn's `Normalizer(norm="l2")`; a row of zeros stays.
pub fn l2_normalise(values: &mut [f32], columns: usize) {
    for row in values.chunks_exact_mut(columns.max(1)) {
        let norm = row.iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>().sqrt();
        if norm > 0.0 {
            for v in row {
                *v = (f64::from(*v) / norm) as f32;
            }
        }
    }
}

/// The inner product over eight interleaved sums, the same on every processor.
fn inner(arch: pulp::Arch, a: &[f64], b: &[f64]) -> f64 {
    arch.dispatch(
        #[inline(always)]
        || {
            let mut sums = [0f64; 8];
            let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
            for (a, b) in a.iter().zip(b) {
                for lane in 0..8 {
                    sums[lane] += a[lane] * b[lane];
                }
            }
            let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
            sums.iter().sum::<f64>() + rest
        },
    )
}

/// Rows of numbers in [-1, 1), whose columns are scaled so that some vary more than others.
#[cfg(test)]
fn samples(count: usize, columns: usize, seed: u64) -> Vec<f32> {
    let random = crate::testing::random(seed, &[count * columns]).expect("a list of numbers");
    let values = random.to_vec1::<f64>().expect("a list of numbers");
    let scale = |i: usize| 1.0 + (i % columns % 7) as f64 / 4.0;
    values.iter().enumerate().map(|(i, value)| (value * scale(i)) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_zeros_survive_normalisation() {
        let mut values = vec![3.0, 4.0, 0.0, 0.0];
        l2_normalise(&mut values, 2);
        assert_eq!(values, [0.6, 0.8, 0.0, 0.0]);
    }

    #[test]
    fn a_value_that_is_not_finite_is_located() {
        let error = Rows::new(&[0.0, 1.0, f32::NAN, 3.0], 2).unwrap_err();
        assert_eq!(error.to_string(), "the feature in row 1, column 0 is not a finite number");
    }
}
