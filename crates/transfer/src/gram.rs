//! The Gram matrix `K = X Xᵀ`, computed once and shared by all classes, folds and values of C.

use rayon::prelude::*;

use crate::{Error, Rows};

/// Rows of one band of the matrix. The tiles are the same whatever the number of threads, and no sum is
/// ever split between threads, so the bits are too.
const BAND: usize = 128;

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
    /// When there is no row.
    pub fn new(rows: Rows<'_>, constant: f32) -> Result<Self, Error> {
        let len = rows.len();
        if len == 0 {
            return Err(Error::Data("a Gram matrix needs at least one row".into()));
        }
        let mut values = vec![0f32; len * len];
        values.par_chunks_mut(BAND * len).enumerate().for_each(|(band, out)| {
            let first = band * BAND;
            for tile in (0..=first).step_by(BAND) {
                product_tile(rows, first, tile, constant, out, len);
            }
        });
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

/// Writes the tile of rows from `first` and columns from `tile` into the band `out`.
fn product_tile(
    rows: Rows<'_>,
    first: usize,
    tile: usize,
    constant: f32,
    out: &mut [f32],
    len: usize,
) {
    let height = BAND.min(len - first);
    let width = BAND.min(len - tile);
    let depth = rows.columns();
    let lhs = &rows.values()[first * depth..(first + height) * depth];
    let rhs = &rows.values()[tile * depth..(tile + width) * depth];
    let out = &mut out[tile..];
    assert!(out.len() >= (height - 1) * len + width);
    // SAFETY: `lhs` holds `height` rows and `rhs` `width` rows of `depth` values (their slices say so), read as
    // `(height, depth)` and, transposed, `(depth, width)`; the assertion above keeps the `(height, width)` tile with
    // row stride `len` inside `out`, which nothing else borrows.
    unsafe {
        gemm::gemm(
            height,
            width,
            depth,
            out.as_mut_ptr(),
            1,
            len as isize,
            false,
            lhs.as_ptr(),
            1,
            depth as isize,
            rhs.as_ptr(),
            depth as isize,
            1,
            0f32,
            1f32,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
    for row in out.chunks_mut(len).take(height) {
        for value in &mut row[..width] {
            *value += constant;
        }
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
