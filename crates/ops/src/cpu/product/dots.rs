//! Products as inner products of rows and columns that are slices.

use super::{Matrix, PART, Target, share};
use crate::cpu::Shared;
use crate::cpu::kernel::{Element, Vectorized, even};
use std::ops::Range;

/// Elements that are summed over their lanes, `vectors` of them side by side: rows of `a` and columns of `b` are slices.
pub(super) fn dots<T: Element>(
    a: Matrix<'_, T>,
    b: Matrix<'_, T>,
    target: Target<'_, T>,
    parallel: bool,
    vectors: usize,
) {
    let Target { out, pitch, add } = target;
    let (m, n, kernel, f64) = (a.rows, b.columns, T::kernel(), size_of::<T>() == 8);
    // some columns for a task
    const COLUMNS: usize = 16;
    let target = Shared(out.as_mut_ptr());
    let task = |columns: Range<usize>| {
        for i in 0..m {
            let row = &a.data[a.at(i, 0)..][..a.columns];
            // SAFETY: `product_in` has checked that `out` has the row; no other task writes these columns of it.
            let out = unsafe {
                std::slice::from_raw_parts_mut(
                    target.get().add(i * pitch + columns.start),
                    columns.len(),
                )
            };
            let dots = Dots { row, b, first: columns.start, out, add };
            match (vectors, f64) {
                (1, false) => kernel.vectorized(Lanes::<T, 8>(dots)),
                (1, true) => kernel.vectorized(Lanes::<T, 4>(dots)),
                (_, false) => kernel.vectorized(ManyLanes::<T, 8, 64>(dots)),
                (_, true) => kernel.vectorized(ManyLanes::<T, 4, 32>(dots)),
            }
        }
    };
    let tasks = even(0..n, COLUMNS);
    share(parallel, tasks, task);
}

/// A row's inner products with some columns of a matrix.
struct Dots<'a, T> {
    row: &'a [T],
    b: Matrix<'a, T>,
    first: usize,
    out: &'a mut [T],
    add: bool,
}

/// [`super::Order::Lanes`] with `L` lanes.
struct Lanes<'a, T, const L: usize>(Dots<'a, T>);

impl<T: Element, const L: usize> Vectorized for Lanes<'_, T, L> {
    #[inline(always)]
    fn run(self) {
        let Dots { row, b, first, out, add } = self.0;
        for (part, x) in row.chunks(PART).enumerate() {
            let column = |j: usize| &b.data[b.at(part * PART, first + j)..][..x.len()];
            let add = add || part > 0;
            let finish = |out: &mut T, sum: T| *out = if add { sum + *out } else { sum };
            let mut j = 0;
            while j + 4 <= out.len() {
                let sums = lanes_sums::<T, L, 4>(x, std::array::from_fn(|i| column(j + i)));
                out[j..j + 4].iter_mut().zip(sums).for_each(|(o, sum)| finish(o, sum));
                j += 4;
            }
            while j < out.len() {
                let [sum] = lanes_sums::<T, L, 1>(x, [column(j)]);
                finish(&mut out[j], sum);
                j += 1;
            }
        }
    }
}

/// Inner products of one vector with `J` of its length.
#[inline(always)]
fn lanes_sums<T: Element, const L: usize, const J: usize>(x: &[T], y: [&[T]; J]) -> [T; J] {
    let mut sums = [[T::zero(); L]; J];
    let (whole, rest) = x.as_chunks::<L>();
    let y = y.map(|y| y.as_chunks::<L>());
    for (at, x) in whole.iter().enumerate() {
        for j in 0..J {
            let y = &y[j].0[at];
            for l in 0..L {
                sums[j][l] = x[l].mul_add(y[l], sums[j][l]);
            }
        }
    }
    if !rest.is_empty() {
        let filled =
            |v: &[T]| -> [T; L] { std::array::from_fn(|l| v.get(l).copied().unwrap_or(T::zero())) };
        let x = filled(rest);
        for j in 0..J {
            let y = filled(y[j].1);
            for l in 0..L {
                sums[j][l] = x[l].mul_add(y[l], sums[j][l]);
            }
        }
    }
    sums.map(|s| {
        let half: [T; 4] = if L == 8 {
            std::array::from_fn(|l| s[l] + s[l + L - 4])
        } else {
            std::array::from_fn(|l| s[l])
        };
        (half[0] + half[2]) + (half[1] + half[3])
    })
}

/// [`super::Order::ManyLanes`] with `L` lanes in each of eight vectors, `M` in all.
struct ManyLanes<'a, T, const L: usize, const M: usize>(Dots<'a, T>);

impl<T: Element, const L: usize, const M: usize> Vectorized for ManyLanes<'_, T, L, M> {
    #[inline(always)]
    fn run(self) {
        let Dots { row, b, first, out, add } = self.0;
        for (j, out) in out.iter_mut().enumerate() {
            let column = &b.data[b.at(0, first + j)..][..row.len()];
            let (whole_x, rest_x) = row.as_chunks::<M>();
            let (whole_y, rest_y) = column.as_chunks::<M>();
            let mut sums = [T::zero(); M];
            for (x, y) in whole_x.iter().zip(whole_y) {
                for l in 0..M {
                    sums[l] = x[l].mul_add(y[l], sums[l]);
                }
            }
            let vector = |v: usize| -> [T; L] { std::array::from_fn(|l| sums[v * L + l]) };
            let plus = |a: [T; L], b: [T; L]| -> [T; L] { std::array::from_fn(|l| a[l] + b[l]) };
            let pair = |v: usize| plus(vector(v), vector(v + 1));
            let mut lanes = plus(plus(pair(0), pair(2)), plus(pair(4), pair(6)));
            let (whole_x, rest_x) = rest_x.as_chunks::<L>();
            let (whole_y, rest_y) = rest_y.as_chunks::<L>();
            for (x, y) in whole_x.iter().zip(whole_y) {
                for l in 0..L {
                    lanes[l] = x[l].mul_add(y[l], lanes[l]);
                }
            }
            let mut sum = lanes[0];
            lanes[1..].iter().for_each(|&lane| sum += lane);
            for (&x, &y) in rest_x.iter().zip(rest_y) {
                sum = x.mul_add(y, sum);
            }
            *out = if add { sum + *out } else { sum };
        }
    }
}
