//! Products by the kernels, in panels of columns.

use super::{Matrix, Target, share};
use crate::cpu::conv::lanes;
use crate::cpu::kernel::{Correlation, Element, Kernel, even};
use crate::cpu::{Shared, scratch};
use std::ops::Range;

/// Depth that is packed at a time for one group of rows: it is read once, so that it need not leave the first-level cache.
const PACKED: usize = 256;

/// Sums by the kernels: panels of columns, each packed for itself, and rows of `a` that are read where they lie.
pub(super) fn parts<T: Element>(
    a: Matrix<'_, T>,
    b: Matrix<'_, T>,
    target: Target<'_, T>,
    parallel: bool,
    part: usize,
) {
    let Target { out, pitch, add } = target;
    let kernel = T::kernel();
    let panels = kernel.panels(b.columns);
    // enough tasks for all threads; each packs its panel
    let want = if parallel { (3 * rayon::current_num_threads()).div_ceil(panels.len()) } else { 1 };
    let rows: Vec<Range<usize>> = even(0..a.rows, a.rows.div_ceil(want).max(32)).collect();
    let tasks =
        panels.iter().flat_map(|panel| rows.iter().map(|rows| (panel.clone(), rows.clone())));
    let job = Job { kernel, a, b, part, out: Shared(out.as_mut_ptr()), pitch, add };
    let task = |(panel, rows): (Range<usize>, Range<usize>)| job.task(panel, rows);
    share(parallel, tasks, task);
}

struct Job<'a, T: 'static> {
    kernel: Kernel<T>,
    a: Matrix<'a, T>,
    b: Matrix<'a, T>,
    part: usize,
    out: Shared<T>,
    pitch: usize,
    add: bool,
}

impl<T: Element> Job<'_, T> {
    fn task(&self, panel: Range<usize>, rows: Range<usize>) {
        let (kernel, a) = (&self.kernel, &self.a);
        let group = kernel.group(panel.len());
        let vectors = group / kernel.lanes;
        let most = kernel.correlation_rows[vectors - 1];
        let to: Vec<usize> = (0..most).collect();
        // With several groups of rows a whole part is packed, since each group reads it again. One group goes on in its sums
        // from one packed piece to the next.
        let packs = if rows.len() <= most { PACKED.min(self.part) } else { self.part };
        scratch::with(packs * group, |packed: &mut [T]| {
            scratch::with(most * group, |sums: &mut [T]| {
                for depth in self.depths(packs) {
                    let (goes_on, ends) = (
                        depth.start % self.part > 0,
                        depth.end == a.columns || depth.end % self.part == 0,
                    );
                    let packed = &mut packed[..depth.len() * group];
                    self.pack(panel.clone(), depth.clone(), packed, group);
                    for some in even(rows.clone(), most) {
                        let from: Vec<usize> = some.clone().map(|i| a.at(i, depth.start)).collect();
                        let correlation = Correlation {
                            x: a.data.as_ptr(),
                            from: &from,
                            count: [1, 1, depth.len()],
                            x_steps: [0, 0, a.column_stride],
                            g: packed.as_ptr(),
                            vectors,
                            g_steps: [0, 0],
                            c: sums.as_mut_ptr(),
                            to: &to[..some.len()],
                            accumulate: goes_on,
                            bias: std::ptr::null(),
                            relu: false,
                        };
                        // SAFETY: `product_in` has checked that `a` has these rows; `packed` and `sums` have as many groups
                        // as are counted.
                        unsafe { (kernel.correlate)(&correlation) };
                        if !ends {
                            continue;
                        }
                        for (i, sums) in some.zip(sums.chunks_exact(group)) {
                            // SAFETY: inside `out`, as `product_in` has checked; no other task has these rows of the panel.
                            let out = unsafe {
                                let out = self.out.get().add(i * self.pitch + panel.start);
                                std::slice::from_raw_parts_mut(out, panel.len())
                            };
                            if self.add || depth.end > self.part {
                                out.iter_mut().zip(sums).for_each(|(o, &sum)| *o += sum);
                            } else {
                                out.copy_from_slice(&sums[..out.len()]);
                            }
                        }
                    }
                }
            });
        });
    }

    /// Pieces of the depth of at most `packs`; none crosses the border of two parts.
    fn depths(&self, packs: usize) -> impl Iterator<Item = Range<usize>> {
        let (part, all) = (self.part, self.a.columns);
        (0..all).step_by(part).flat_map(move |first| {
            let end = (first + part).min(all);
            (first..end).step_by(packs).map(move |from| from..(from + packs).min(end))
        })
    }

    /// Columns of `b` side by side, for each row; what is behind the last is zero.
    fn pack(&self, panel: Range<usize>, depth: Range<usize>, packed: &mut [T], group: usize) {
        let (b, width) = (&self.b, panel.len());
        let from = &b.data[b.at(depth.start, panel.start)..];
        if b.row_stride == 1 && b.column_stride > 1 {
            // SAFETY: `b` has these columns, each a slice, and `packed` a group for each row.
            unsafe {
                let (from, to) = ((from.as_ptr(), b.column_stride), (packed.as_mut_ptr(), group));
                lanes::transpose(&self.kernel, [width, depth.len()], from, to);
            }
        } else {
            for (k, to) in packed.chunks_exact_mut(group).enumerate() {
                let from = &from[k * b.row_stride..];
                if b.column_stride == 1 {
                    to[..width].copy_from_slice(&from[..width]);
                } else {
                    for (j, to) in to[..width].iter_mut().enumerate() {
                        *to = from[j * b.column_stride];
                    }
                }
            }
        }
        if width < group {
            packed.chunks_exact_mut(group).for_each(|group| group[width..].fill(T::zero()));
        }
    }
}
