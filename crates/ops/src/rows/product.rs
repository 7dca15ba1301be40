//! Inner products of all pairs of rows, with the same bits for any number of threads.

use crate::cpu::product::{Matrix, Target, product};
use rayon::prelude::*;

/// Rows of one tile. The tiles are the same whatever the number of threads, and no sum is ever split between
/// threads, so the bits are too.
pub const BAND: usize = 128;

/// Single and double precision.
pub trait Float: Copy + Send + Sync + 'static {
    /// 0.
    const ZERO: Self;

    /// [`tile`] of checked arguments.
    #[doc(hidden)]
    fn tile(lhs: &[Self], rhs: &[Self], depth: usize, out: &mut [Self], stride: usize);
}

macro_rules! float {
    ($t:ty) => {
        impl Float for $t {
            const ZERO: Self = 0.0;

            fn tile(lhs: &[Self], rhs: &[Self], depth: usize, out: &mut [Self], stride: usize) {
                let lhs = Matrix::new(lhs, lhs.len() / depth, depth);
                let rhs = Matrix::new(rhs, rhs.len() / depth, depth).t();
                product(lhs, rhs, Target { out, pitch: stride, add: false }, false);
            }
        }
    };
}

float!(f32);
float!(f64);

/// Inner products of the rows of `lhs` with those of `rhs`, `(lhs rows, rhs rows)`; rows have `depth` values.
pub fn of_rows<T: Float>(lhs: &[T], rhs: &[T], depth: usize) -> Vec<T> {
    let width = rhs.len() / depth;
    let mut out = vec![T::ZERO; lhs.len() / depth * width];
    out.par_chunks_mut(BAND * width).zip(lhs.par_chunks(BAND * depth)).for_each(|(out, lhs)| {
        for (i, rhs) in rhs.chunks(BAND * depth).enumerate() {
            tile(lhs, rhs, depth, &mut out[i * BAND..], width);
        }
    });
    out
}

/// Writes the inner products of the rows of `lhs` and `rhs` into `out`, whose rows are `stride` apart.
///
/// # Panics
/// When a side has no row, or `out` is too small for the rows.
pub fn tile<T: Float>(lhs: &[T], rhs: &[T], depth: usize, out: &mut [T], stride: usize) {
    let (height, width) = (lhs.len() / depth, rhs.len() / depth);
    assert!(height > 0 && width > 0 && width <= stride);
    assert!(out.len() >= (height - 1) * stride + width);
    T::tile(lhs, rhs, depth, out, stride);
}

/// The matrix of `rows × columns` values with rows and columns exchanged.
pub fn transpose<T: Float>(values: &[T], columns: usize) -> Vec<T> {
    let rows = values.len() / columns;
    let mut out = vec![T::ZERO; values.len()];
    out.par_chunks_exact_mut(rows).enumerate().for_each(|(j, out)| {
        for (out, row) in out.iter_mut().zip(values.chunks_exact(columns)) {
            *out = row[j];
        }
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_the_naive_products() {
        let (m, n, depth) = (150, 131, 7);
        let a: Vec<f64> = (0..m * depth).map(|i| (i % 13) as f64 - 6.0).collect();
        let b: Vec<f64> = (0..n * depth).map(|i| (i % 11) as f64 - 5.0).collect();
        let out = of_rows(&a, &b, depth);
        for i in 0..m {
            for j in 0..n {
                let naive: f64 = (0..depth).map(|k| a[i * depth + k] * b[j * depth + k]).sum();
                assert_eq!(out[i * n + j], naive);
            }
        }
        assert_eq!(transpose(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 3), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    }
}
