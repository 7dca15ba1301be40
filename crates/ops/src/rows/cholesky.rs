//! Linear equations with a symmetric positive definite matrix, in double precision, with the same bits on every processor.

use std::ops::Range;

use super::inner;
use super::product::{self, BAND};

/// Columns that are finished together.
const BLOCK: usize = 64;

/// Solves `matrix · x = right` and puts `x` in the place of `right`. Of the `order × order` matrix only the lower triangle is
/// read, and Cholesky's factor takes its place (Golub & Van Loan, "Matrix computations", section 4.2).
///
/// An unknown whose row depends on those before it, but for rounding, is 0: then `x` solves the equations of the others, and still
/// points downhill.
///
/// # Panics
/// When the sizes do not fit together.
pub fn solve(matrix: &mut [f64], order: usize, right: &mut [f64]) {
    assert!(matrix.len() == order * order && right.len() == order);
    let arch = pulp::Arch::new();
    let rounding = order as f64 * f64::EPSILON;
    let least: Vec<f64> = (0..order).map(|i| rounding * matrix[i * (order + 1)]).collect();
    for from in (0..order).step_by(BLOCK) {
        let to = order.min(from + BLOCK);
        for i in from..order {
            let (above, rest) = matrix.split_at_mut(i * order);
            let row = &mut rest[from..to.min(i + 1)];
            for j in from..to.min(i) {
                let (at, other) = (j - from, &above[j * order + from..=j * order + j]);
                row[at] = (row[at] - inner(arch, &row[..at], &other[..at])) / other[at];
            }
            if i < to {
                let at = i - from;
                let left = row[at] - inner(arch, &row[..at], &row[..at]);
                // What is divided by infinity is 0, here and below.
                row[at] = if left > least[i] { left.sqrt() } else { f64::INFINITY };
            }
        }
        subtract_products(matrix, order, from..to);
    }
    for i in 0..order {
        let row = &matrix[i * order..=i * order + i];
        right[i] = (right[i] - inner(arch, &row[..i], &right[..i])) / row[i];
    }
    for i in (0..order).rev() {
        let row = &matrix[i * order..=i * order + i];
        right[i] /= row[i];
        let solved = right[i];
        right[..i].iter_mut().zip(row).for_each(|(x, factor)| *x -= factor * solved);
    }
}

/// Takes the products of the rows below a block, in the block's columns, off the lower triangle behind it.
fn subtract_products(matrix: &mut [f64], order: usize, block: Range<usize>) {
    let (from, depth) = (block.end, block.len());
    let panel: Vec<f64> = matrix[from * order..]
        .chunks_exact(order)
        .flat_map(|row| &row[block.clone()])
        .copied()
        .collect();
    let bands: Vec<&[f64]> = panel.chunks(BAND * depth).collect();
    let mut products = vec![0f64; BAND * BAND];
    for (i, rows) in matrix[from * order..].chunks_mut(BAND * order).enumerate() {
        for (j, band) in bands[..=i].iter().enumerate() {
            product::tile(bands[i], band, depth, &mut products, BAND);
            let first = from + j * BAND;
            let width = band.len() / depth;
            for (row, products) in rows.chunks_exact_mut(order).zip(products.chunks_exact(BAND)) {
                let row = &mut row[first..first + width];
                row.iter_mut().zip(products).for_each(|(value, product)| *value -= product);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::samples;

    /// `X Xᵀ` plus a multiple of the identity.
    fn definite(order: usize, rank: usize, plus: f64) -> Vec<f64> {
        let x = samples(order, rank, 11);
        let at = |i: usize, k: usize| f64::from(x[i * rank + k]);
        let product = |i, j| (0..rank).map(|k| at(i, k) * at(j, k)).sum::<f64>();
        let entry = |i, j| product(i, j) + if i == j { plus } else { 0.0 };
        (0..order * order).map(|at| entry(at / order, at % order)).collect()
    }

    #[test]
    fn solutions_satisfy_the_equations() {
        for (order, rank) in [(1, 1), (2, 3), (9, 20), (70, 30), (133, 200)] {
            let matrix = definite(order, rank, 0.5);
            let truth: Vec<f64> = (0..order).map(|i| (i % 7) as f64 - 2.5).collect();
            let mut x: Vec<f64> = matrix
                .chunks(order)
                .map(|row| row.iter().zip(&truth).map(|(a, x)| a * x).sum())
                .collect();
            let mut factor = matrix.clone();
            // What is above the diagonal is not read.
            for i in 0..order {
                factor[i * order + i + 1..(i + 1) * order].fill(f64::NAN);
            }
            solve(&mut factor, order, &mut x);
            for (x, truth) in x.iter().zip(&truth) {
                assert!((x - truth).abs() < 1e-9, "order {order}: {x} {truth}");
            }
        }
    }

    /// Of low rank, so that rounding makes pivots negative: as many unknowns as the rank, and downhill.
    #[test]
    fn what_is_definite_but_for_rounding_still_points_downhill() {
        for (order, rank) in [(60, 3), (200, 40)] {
            let mut matrix = definite(order, rank, 0.0);
            let right: Vec<f64> = (0..order).map(|i| (i % 5) as f64 - 1.0).collect();
            let mut x = right.clone();
            solve(&mut matrix, order, &mut x);
            assert!(x.iter().all(|x| x.is_finite()));
            assert_eq!(x.iter().filter(|x| **x != 0.0).count(), rank);
            let fall: f64 = x.iter().zip(&right).map(|(x, r)| x * r).sum();
            assert!(fall > 0.0, "{fall}");
        }
    }
}
