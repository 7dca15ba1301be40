//! Eigenvectors of a symmetric matrix, in double precision, with the same bits for any number of threads.
//!
//! Householder reduction to tridiagonal form, then the implicit QL algorithm (Golub & Van Loan, "Matrix computations",
//! sections 8.3.1 and 8.3.3; EISPACK's `tred2` and `tql2`). All parallel work is on elements that do not meet.

use rayon::prelude::*;

use super::{Error, inner};
use crate::elementary::hypot;

/// Eigenvalues, the largest first, and their unit eigenvectors.
pub struct Eigen {
    /// The eigenvalues.
    pub values: Vec<f64>,
    /// One vector after the other.
    pub vectors: Vec<f64>,
}

/// The `count` largest eigenvalues of the symmetric `order × order` matrix, and their eigenvectors.
///
/// # Errors
/// When the iteration does not converge, as for a matrix with values that are not finite.
pub fn largest(mut matrix: Vec<f64>, order: usize, count: usize) -> Result<Eigen, Error> {
    let reflectors = tridiagonalise(&mut matrix, order);
    let (mut diagonal, mut side) = tridiagonal(&matrix, order);
    let mut rows = matrix;
    rows.fill(0.0);
    for i in 0..order {
        rows[i * order + i] = 1.0;
    }
    implicit_ql(&mut diagonal, &mut side, &mut rows, order)?;

    let mut by_size: Vec<usize> = (0..order).collect();
    by_size.sort_by(|&a, &b| diagonal[b].total_cmp(&diagonal[a]).then(a.cmp(&b)));
    by_size.truncate(count);
    let mut vectors: Vec<f64> =
        by_size.iter().flat_map(|&i| rows[i * order..(i + 1) * order].to_vec()).collect();
    // Back from the tridiagonal matrix's coordinates: the reflectors in reverse.
    vectors.par_chunks_exact_mut(order.max(1)).for_each(|vector| {
        for (k, reflector) in reflectors.iter().enumerate().rev() {
            reflect(&mut vector[k + 1..], reflector);
        }
    });
    Ok(Eigen { values: by_size.iter().map(|&i| diagonal[i]).collect(), vectors })
}

/// All eigenvalues of the symmetric `order × order` matrix, the largest first, in a part of the time that their vectors take.
///
/// # Errors
/// When the iteration does not converge, as for a matrix with values that are not finite.
pub fn values(mut matrix: Vec<f64>, order: usize) -> Result<Vec<f64>, Error> {
    tridiagonalise(&mut matrix, order);
    let (mut diagonal, mut side) = tridiagonal(&matrix, order);
    implicit_ql(&mut diagonal, &mut side, &mut [], order)?;
    diagonal.sort_by(|a, b| b.total_cmp(a));
    Ok(diagonal)
}

/// The diagonal of a tridiagonal matrix, and what is below it, with a 0 at the end.
fn tridiagonal(matrix: &[f64], order: usize) -> (Vec<f64>, Vec<f64>) {
    let side = |i| if i + 1 < order { matrix[(i + 1) * order + i] } else { 0.0 };
    ((0..order).map(|i| matrix[i * order + i]).collect(), (0..order).map(side).collect())
}

/// `x − v (vᵀ x)`, for `v` of length √2: the reflection at the plane across `v`.
fn reflect(x: &mut [f64], v: &[f64]) {
    let along: f64 = x.iter().zip(v).map(|(x, v)| x * v).sum();
    for (x, v) in x.iter_mut().zip(v) {
        *x -= along * v;
    }
}

/// What is smaller counts as 0: its square has lost its digits, and dividing by that is no number. A matrix of low rank
/// gets there, since each of its rounding errors has rounding errors, and so on.
const NOTHING: f64 = 1e-150;

/// Makes the matrix tridiagonal; the reflector of step `k` acts on the coordinates from `k + 1`.
fn tridiagonalise(matrix: &mut [f64], order: usize) -> Vec<Vec<f64>> {
    let arch = pulp::Arch::new();
    let mut reflectors = Vec::with_capacity(order.saturating_sub(2));
    for k in 0..order.saturating_sub(2) {
        let first = k + 1;
        let mut v: Vec<f64> = (first..order).map(|i| matrix[i * order + k]).collect();
        let norm = v.iter().map(|v| v * v).sum::<f64>().sqrt();
        if norm < NOTHING {
            v.fill(0.0);
            reflectors.push(v);
            continue;
        }
        let image = if v[0] > 0.0 { -norm } else { norm };
        v[0] -= image;
        let scale = (2.0 / v.iter().map(|v| v * v).sum::<f64>()).sqrt();
        v.iter_mut().for_each(|v| *v *= scale);

        // With the rest A of the matrix: A ← (I − v vᵀ) A (I − v vᵀ) = A − v wᵀ − w vᵀ.
        let rest = &mut matrix[first * order..];
        let mut w: Vec<f64> = rest
            .par_chunks_exact(order)
            .with_min_len(32)
            .map(|row| inner(arch, &row[first..], &v))
            .collect();
        let half: f64 = 0.5 * v.iter().zip(&w).map(|(v, w)| v * w).sum::<f64>();
        w.iter_mut().zip(&v).for_each(|(w, v)| *w -= half * v);
        rest.par_chunks_exact_mut(order).with_min_len(32).enumerate().for_each(|(i, row)| {
            subtract(arch, &mut row[first..], (v[i], &w), (w[i], &v));
        });
        matrix[first * order + k] = image;
        matrix[k * order + first] = image;
        reflectors.push(v);
    }
    reflectors
}

/// `row −= s · a + t · b`.
fn subtract(arch: pulp::Arch, row: &mut [f64], (s, a): (f64, &[f64]), (t, b): (f64, &[f64])) {
    arch.dispatch(
        #[inline(always)]
        || {
            for ((row, a), b) in row.iter_mut().zip(a).zip(b) {
                *row -= s * a + t * b;
            }
        },
    );
}

/// Columns of the eigenvector matrix that one task turns, so that they stay in its cache.
const TURNED: usize = 64;

/// Diagonalises the tridiagonal matrix and turns `rows` (the identity) into its eigenvectors; no rows, no eigenvectors.
fn implicit_ql(
    diagonal: &mut [f64],
    side: &mut [f64],
    rows: &mut [f64],
    order: usize,
) -> Result<(), Error> {
    let mut turns: Vec<Turn> = Vec::new();
    // Beside the largest number all smaller ones are known to this only: a matrix of low rank has a
    // corner of rounding errors, in which neighbours never become small beside each other.
    let norm = diagonal.iter().zip(&*side).map(|(d, e)| d.abs() + e.abs()).fold(0.0, f64::max);
    let rounding = f64::EPSILON * norm;
    for l in 0..order {
        let mut iterations = 0;
        loop {
            let small = |m: &usize| side[*m].abs() <= rounding;
            let m = (l..order - 1).find(small).unwrap_or(order - 1);
            if m == l {
                break;
            }
            iterations += 1;
            if iterations > 60 || !side[l].is_finite() {
                return Err(Error::Data("the eigenvalues cannot be found".into()));
            }
            sweep(diagonal, side, l, m, &mut turns);
            // Enough turns at a time that the tasks are worth starting.
            if turns.len() >= 4 * order {
                turn(rows, order, &turns);
                turns.clear();
            }
        }
    }
    turn(rows, order, &turns);
    Ok(())
}

/// A rotation of the rows `at` and `at + 1`.
struct Turn {
    at: usize,
    cosine: f64,
    sine: f64,
}

/// One implicit QL step with Wilkinson's shift on the rows `l..=m`.
fn sweep(diagonal: &mut [f64], side: &mut [f64], l: usize, m: usize, turns: &mut Vec<Turn>) {
    let mut g = (diagonal[l + 1] - diagonal[l]) / (2.0 * side[l]);
    let r = hypot(g, 1.0);
    g = diagonal[m] - diagonal[l] + side[l] / (g + r.copysign(g));
    let (mut sine, mut cosine, mut p) = (1.0, 1.0, 0.0);
    for i in (l..m).rev() {
        let f = sine * side[i];
        let b = cosine * side[i];
        let r = hypot(f, g);
        side[i + 1] = r;
        if r == 0.0 {
            diagonal[i + 1] -= p;
            side[m] = 0.0;
            return;
        }
        (sine, cosine) = (f / r, g / r);
        g = diagonal[i + 1] - p;
        let r = (diagonal[i] - g) * sine + 2.0 * cosine * b;
        p = sine * r;
        diagonal[i + 1] = g + p;
        g = cosine * r - b;
        turns.push(Turn { at: i, cosine, sine });
    }
    diagonal[l] -= p;
    side[l] = g;
    side[m] = 0.0;
}

/// Applies the rotations in order. Columns do not meet, so that they can be turned apart from each other.
fn turn(rows: &mut [f64], order: usize, turns: &[Turn]) {
    if rows.is_empty() {
        return;
    }
    let arch = pulp::Arch::new();
    let stripes: Vec<usize> = (0..order).step_by(TURNED).collect();
    let turned: Vec<Vec<f64>> = stripes
        .par_iter()
        .map(|&from| {
            let width = TURNED.min(order - from);
            let mut stripe = Vec::with_capacity(order * width);
            for row in rows.chunks_exact(order) {
                stripe.extend_from_slice(&row[from..from + width]);
            }
            arch.dispatch(
                #[inline(always)]
                || {
                    for &Turn { at, cosine, sine } in turns {
                        let (upper, lower) =
                            stripe[at * width..(at + 2) * width].split_at_mut(width);
                        for (upper, lower) in upper.iter_mut().zip(lower) {
                            let f = *lower;
                            *lower = sine * *upper + cosine * f;
                            *upper = cosine * *upper - sine * f;
                        }
                    }
                },
            );
            stripe
        })
        .collect();
    for (&from, stripe) in stripes.iter().zip(&turned) {
        let width = TURNED.min(order - from);
        for (row, part) in rows.chunks_exact_mut(order).zip(stripe.chunks_exact(width)) {
            row[from..from + width].copy_from_slice(part);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::samples;

    fn symmetric(order: usize) -> Vec<f64> {
        let x = samples(order, order, 5);
        let at = |i: usize, j: usize| f64::from(x[i * order + j]);
        (0..order * order).map(|k| at(k / order, k % order) + at(k % order, k / order)).collect()
    }

    #[test]
    fn vectors_satisfy_the_equation_and_are_orthonormal() {
        for order in [1, 2, 3, 70, 151] {
            let a = symmetric(order);
            let eigen = largest(a.clone(), order, order).unwrap();
            assert!(eigen.values.is_sorted_by(|a, b| a >= b));
            assert_eq!(values(a.clone(), order).unwrap(), eigen.values);
            let trace: f64 = (0..order).map(|i| a[i * order + i]).sum();
            assert!((trace - eigen.values.iter().sum::<f64>()).abs() < 1e-9);
            let vectors: Vec<&[f64]> = eigen.vectors.chunks(order).collect();
            for (i, v) in vectors.iter().enumerate() {
                for (row, value) in a.chunks(order).zip(v.iter()) {
                    let product: f64 = row.iter().zip(v.iter()).map(|(a, v)| a * v).sum();
                    assert!((product - eigen.values[i] * value).abs() < 1e-10 * order as f64);
                }
                for (j, w) in vectors.iter().enumerate() {
                    let product: f64 = v.iter().zip(w.iter()).map(|(v, w)| v * w).sum();
                    assert!((product - f64::from(u8::from(i == j))).abs() < 1e-11);
                }
            }
        }
    }

    #[test]
    fn what_is_too_small_to_be_squared_counts_as_nothing() {
        let mut a = vec![0.0; 16];
        for i in 0..4 {
            a[i * 5] = (i + 1) as f64;
        }
        for (i, j) in [(1, 0), (2, 0), (3, 0), (2, 1), (3, 1), (3, 2)] {
            (a[i * 4 + j], a[j * 4 + i]) = (1e-161, 1e-161);
        }
        assert_eq!(values(a.clone(), 4).unwrap(), [4.0, 3.0, 2.0, 1.0]);
        assert_eq!(largest(a, 4, 4).unwrap().values, [4.0, 3.0, 2.0, 1.0]);
    }

    /// Covariances of features of which many are dead or depend on others.
    #[test]
    fn low_rank_converges() {
        let order = 160;
        for rank in [1, 5, 40] {
            for seed in 0..20 {
                let x = samples(rank, order, seed);
                let x: Vec<f64> = x.iter().map(|&v| f64::from(v.max(0.0))).collect();
                let row = |k: usize| &x[k * order..][..order];
                let a: Vec<f64> = (0..order * order)
                    .map(|at| (0..rank).map(|k| row(k)[at / order] * row(k)[at % order]).sum())
                    .collect();
                let eigen = largest(a.clone(), order, order).unwrap();
                let trace: f64 = (0..order).map(|i| a[i * order + i]).sum();
                assert!((trace - eigen.values.iter().sum::<f64>()).abs() < 1e-10 * trace);
                assert!(eigen.values[rank].abs() < 1e-12 * trace);
            }
        }
    }

    #[test]
    fn bits_do_not_depend_on_the_number_of_threads() {
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| largest(symmetric(130), 130, 20).unwrap().vectors)
        };
        assert_eq!(with(1), with(3));
    }
}
