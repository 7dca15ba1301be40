//! A few eigenvectors of a large covariance, without the matrix.

use super::eigen::{self, Eigen};
use super::product::{of_rows, transpose};

/// Vectors beside those that are wanted: they make the iteration faster.
const BESIDE: usize = 16;
/// Steps after which it is not worth going on.
const STEPS: usize = 150;
/// What a step may still change of a vector, as a part of the largest eigenvalue.
const TOLERANCE: f64 = 1e-11;

/// The `count` largest eigenvalues of XᵀX and their unit eigenvectors, for `x` of rows of `d` values and `columns`, its
/// transpose. None where the matrix is small enough for all of its eigenvectors, or the iteration does not converge.
///
/// Subspace iteration with Rayleigh–Ritz steps (Golub & Van Loan, "Matrix computations", 8.2.4; Halko, Martinsson & Tropp,
/// "Finding structure with randomness", 2011), from vectors that are always the same.
pub(super) fn leading(x: &[f64], columns: &[f64], d: usize, count: usize) -> Option<Eigen> {
    let n = x.len() / d;
    let block = count + BESIDE;
    if n.min(d) < 4 * block {
        return None;
    }
    let mut state = 0;
    let mut vectors: Vec<f64> = (0..block * d).map(|_| drawn(&mut state)).collect();
    orthonormalise(&mut vectors, d, &mut state);
    for _ in 0..STEPS {
        // Rows: X v of each vector v, then XᵀX v.
        let along = of_rows(&vectors, x, d);
        let images = of_rows(&along, columns, n);
        let ritz = eigen::largest(of_rows(&along, &along, n), block, block).ok()?;
        let turn = |rows: &[f64]| of_rows(&ritz.vectors, &transpose(rows, d), block);
        let (mut turned, images) = (turn(&vectors), turn(&images));
        let most = ritz.values.first().copied().unwrap_or(0.0);
        let settled = |k: usize| {
            let (vector, image) = (&turned[k * d..(k + 1) * d], &images[k * d..(k + 1) * d]);
            let rest =
                vector.iter().zip(image).map(|(v, image)| (image - ritz.values[k] * v).powi(2));
            rest.sum::<f64>().sqrt() <= TOLERANCE * most
        };
        if (0..count).all(settled) {
            turned.truncate(count * d);
            let values = ritz.values.into_iter().take(count).collect();
            return Some(Eigen { values, vectors: turned });
        }
        vectors = images;
        orthonormalise(&mut vectors, d, &mut state);
    }
    None
}

/// Makes the rows orthonormal, from the first on (Gram–Schmidt, twice for rounding); one that depends on those before is
/// drawn anew.
fn orthonormalise(rows: &mut [f64], d: usize, state: &mut u64) {
    for k in 0..rows.len() / d {
        let (before, rest) = rows.split_at_mut(k * d);
        let row = &mut rest[..d];
        loop {
            let length = norm(row);
            for _ in 0..2 {
                for other in before.chunks_exact(d) {
                    let along: f64 = row.iter().zip(other).map(|(a, b)| a * b).sum();
                    row.iter_mut().zip(other).for_each(|(a, b)| *a -= along * b);
                }
            }
            let left = norm(row);
            // Rows that are not finite end here, too.
            if left.is_nan() || left > 1e-10 * length {
                row.iter_mut().for_each(|v| *v /= left);
                break;
            }
            row.iter_mut().for_each(|v| *v = drawn(state));
        }
    }
}

fn norm(row: &[f64]) -> f64 {
    row.iter().map(|v| v * v).sum::<f64>().sqrt()
}

/// A number in [−1, 1): splitmix64.
fn drawn(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}
