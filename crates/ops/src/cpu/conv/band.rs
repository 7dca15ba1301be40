//! Copies of some rows of an input with the padding in place, split by the stride's residues: in such a copy the values
//! that one tap meets along a row of windows are neighbours, whatever the stride.

use super::geometry::Sliding;
use crate::cpu::kernel::{Element, Kernel, Vectorized};
use std::ops::Range;

/// Elements that are copied at once; reads and writes may reach this far past what is used.
pub(super) const CHUNK: usize = 16;

/// The shape of one copy: `(channels, residues, rows, columns)` for a number of rows of windows.
#[derive(Debug, Clone)]
pub(super) struct Band {
    /// First row of the input relative to the first window's.
    low: [isize; 2],
    step: [usize; 2],
    /// Rows and columns of one residue.
    pub(super) size: [usize; 2],
    /// Elements of a channel.
    pub(super) channel: usize,
}

impl Band {
    pub(super) fn new(s: &Sliding, rows: usize) -> Self {
        let (v, h) = (s.span(0, rows), s.span(1, s.grid[1]));
        let size = [v.1.div_ceil(s.step[0]), h.1.div_ceil(s.step[1])];
        Self {
            low: [v.0, h.0],
            step: s.step,
            size,
            channel: s.step[0] * s.step[1] * size[0] * size[1],
        }
    }

    /// Where the tap with these offsets meets the first window.
    pub(super) fn tap(&self, offsets: [isize; 2]) -> usize {
        let at = [0, 1].map(|d| (offsets[d] - self.low[d]) as usize);
        let residue = (at[0] % self.step[0]) * self.step[1] + at[1] % self.step[1];
        (residue * self.size[0] + at[0] / self.step[0]) * self.size[1] + at[1] / self.step[1]
    }

    /// Copies the channels of one image for the windows whose first row is `row`.
    pub(super) fn fill<T: Element>(
        &self,
        s: &Sliding,
        kernel: &Kernel<T>,
        image: &[T],
        channels: Range<usize>,
        row: usize,
        out: &mut [T],
    ) {
        kernel.vectorized(Fill { band: self, s, image, channels, row, out });
    }
}

struct Fill<'a, T> {
    band: &'a Band,
    s: &'a Sliding,
    image: &'a [T],
    channels: Range<usize>,
    row: usize,
    out: &'a mut [T],
}

impl<T: Element> Vectorized for Fill<'_, T> {
    #[inline(always)]
    fn run(self) {
        let Self { band, s, image, channels, row, out } = self;
        let [h, w] = s.input;
        let (top, left) = ((row * band.step[0]) as isize + band.low[0], band.low[1]);
        let step = band.step[1];
        // many fills of a few elements take longer than one of all
        let short = band.size[1] < 32;
        for (c, out) in channels.zip(out.chunks_exact_mut(band.channel)) {
            let x = &image[c * h * w..][..h * w];
            if short {
                out.fill(T::zero());
            }
            for right in 0..step {
                // the part of the lines that lies inside the input
                let start = left + right as isize;
                let from = ((-start).max(0) as usize).div_ceil(step).min(band.size[1]);
                let to = ((w as isize - start).max(0) as usize).div_ceil(step);
                let to = to.clamp(from, band.size[1]);
                let first = start + (from * step) as isize;
                for down in 0..band.step[0] {
                    let part = band.size[0] * band.size[1];
                    let lines = &mut out[(down * step + right) * part..][..part];
                    let mut y = top + down as isize;
                    for out in lines.chunks_exact_mut(band.size[1]) {
                        if y < 0 || y >= h as isize || from == to {
                            if !short {
                                out.fill(T::zero());
                            }
                        } else {
                            if !short {
                                out[..from].fill(T::zero());
                                out[to..].fill(T::zero());
                            }
                            let x = &x[(y * w as isize + first) as usize..];
                            every(step, x, &mut out[from..to]);
                        }
                        y += band.step[0] as isize;
                    }
                }
            }
        }
    }
}

/// Copies every `step`-th element; `x` may be longer than needed.
#[inline(always)]
fn every<T: Element>(step: usize, x: &[T], out: &mut [T]) {
    match step {
        1 => out.copy_from_slice(&x[..out.len()]),
        2 => {
            let done = pairs::<T, 8>(x, out, 0);
            let done = pairs::<T, 4>(x, out, done);
            let rest = out[done..].iter_mut().zip(x[2 * done..].iter().step_by(2));
            rest.for_each(|(o, &v)| *o = v);
        }
        step => out.iter_mut().zip(x.iter().step_by(step)).for_each(|(o, &v)| *o = v),
    }
}

/// Copies every other element from number `at` on, `N` at once; returns how many are done.
#[inline(always)]
fn pairs<T: Element, const N: usize>(x: &[T], out: &mut [T], mut at: usize) -> usize {
    while at + N <= out.len() && 2 * (at + N) <= x.len() {
        let pairs = &x[2 * at..][..2 * N];
        let even: [T; N] = std::array::from_fn(|i| pairs[2 * i]);
        out[at..at + N].copy_from_slice(&even);
        at += N;
    }
    at
}
