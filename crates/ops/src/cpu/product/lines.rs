//! Products whose right side is read line by line: of one row, or of a few.

use super::{Matrix, Target, share};
use crate::cpu::kernel::{Element, Vectorized, even};
use crate::cpu::{Shared, scratch};
use std::ops::Range;

/// Elements of a row that a task of [`chain`] computes.
const STRIPE: usize = 2048;

/// [`super::Order::Chain`], or with rounded products [`super::Order::Few`].
pub(super) fn chain<T: Element, const FUSED: bool>(
    a: Matrix<'_, T>,
    b: Matrix<'_, T>,
    target: Target<'_, T>,
    parallel: bool,
) {
    let Target { out, pitch, add } = target;
    let (m, n, kernel) = (a.rows, b.columns, T::kernel());
    // one column is computed as the row of the transposed product
    let (a, b, m, n, pitch) = match pitch {
        1 => (b.t(), a.t(), n, m, m),
        _ => (a, b, m, n, pitch),
    };
    for (i, row) in out.chunks_mut(pitch).take(m).enumerate() {
        let row = &mut row[..n];
        let stripe = |(part, out): (usize, &mut [T])| {
            kernel.vectorized(Chain::<T, FUSED> { a, b, row: i, column: part * STRIPE, out, add });
        };
        share(parallel && n > STRIPE, row.chunks_mut(STRIPE).enumerate(), stripe);
    }
}

/// A part of a row, from a column on.
struct Chain<'a, T, const FUSED: bool> {
    a: Matrix<'a, T>,
    b: Matrix<'a, T>,
    row: usize,
    column: usize,
    out: &'a mut [T],
    add: bool,
}

impl<T: Element, const FUSED: bool> Vectorized for Chain<'_, T, FUSED> {
    #[inline(always)]
    fn run(self) {
        let Self { a, b, row, column, out, add } = self;
        let plus = |sum: T, x: T, y: T| if FUSED { x.mul_add(y, sum) } else { x * y + sum };
        for k in 0..a.columns {
            let x = a.data[a.at(row, k)];
            let first = k == 0 && !add;
            let from = &b.data[b.at(k, column)..];
            if b.column_stride == 1 {
                for (o, &y) in out.iter_mut().zip(from) {
                    *o = if first { x * y } else { plus(*o, x, y) };
                }
            } else {
                for (o, &y) in out.iter_mut().zip(from.iter().step_by(b.column_stride.max(1))) {
                    *o = if first { x * y } else { plus(*o, x, y) };
                }
            }
        }
    }
}

/// Rows up to which [`few_rows`] is quicker than panels, whose columns lie too far apart to be read for so little.
pub(super) const FEW_ROWS: usize = 4;
/// Elements of each of a few rows that a task computes: all of them stay in a first-level cache.
const FEW_STRIPE: usize = 1024;

/// [`super::Order::Parts`] of a few rows: rows of `b` are slices, read one after the other.
pub(super) fn few_rows<T: Element>(
    a: Matrix<'_, T>,
    b: Matrix<'_, T>,
    target: Target<'_, T>,
    parallel: bool,
    part: usize,
) {
    let Target { out, pitch, add } = target;
    let (m, kernel, out) = (a.rows, T::kernel(), Shared(out.as_mut_ptr()));
    let task = |columns: Range<usize>| {
        scratch::with(m * columns.len(), |sums: &mut [T]| {
            for depth in (0..a.columns).step_by(part) {
                let (depth, later) = (depth..(depth + part).min(a.columns), depth > 0);
                kernel.vectorized(FewRows { a, b, depth, columns: columns.clone(), sums });
                for (i, sums) in sums.chunks_exact(columns.len()).enumerate() {
                    // SAFETY: inside `out`, as `product_in` has checked; no other task has these columns.
                    let out = unsafe {
                        let out = out.get().add(i * pitch + columns.start);
                        std::slice::from_raw_parts_mut(out, columns.len())
                    };
                    if add || later {
                        out.iter_mut().zip(sums).for_each(|(o, &sum)| *o += sum);
                    } else {
                        out.copy_from_slice(sums);
                    }
                }
            }
        });
    };
    let tasks = even(0..b.columns, FEW_STRIPE);
    share(parallel, tasks, task);
}

/// Sums over a part of the depth, row by row, of some columns.
struct FewRows<'a, T> {
    a: Matrix<'a, T>,
    b: Matrix<'a, T>,
    depth: Range<usize>,
    columns: Range<usize>,
    sums: &'a mut [T],
}

impl<T: Element> Vectorized for FewRows<'_, T> {
    #[inline(always)]
    fn run(self) {
        let Self { a, b, depth, columns, sums } = self;
        sums.fill(T::zero());
        let count = columns.len();
        let line = |k: usize| &b.data[b.at(k, columns.start)..][..count];
        let mut k = depth.start;
        while k + 4 <= depth.end {
            let [y0, y1, y2, y3] = [line(k), line(k + 1), line(k + 2), line(k + 3)];
            for (i, sums) in sums.chunks_exact_mut(count).enumerate() {
                let [x0, x1, x2, x3] = std::array::from_fn(|at| a.data[a.at(i, k + at)]);
                for (j, sum) in sums.iter_mut().enumerate() {
                    let first = x1.mul_add(y1[j], x0.mul_add(y0[j], *sum));
                    *sum = x3.mul_add(y3[j], x2.mul_add(y2[j], first));
                }
            }
            k += 4;
        }
        for k in k..depth.end {
            for (i, sums) in sums.chunks_exact_mut(count).enumerate() {
                let x = a.data[a.at(i, k)];
                sums.iter_mut().zip(line(k)).for_each(|(sum, &y)| *sum = x.mul_add(y, *sum));
            }
        }
    }
}
