//! Copies of some rows of an input with the padding in place, split by the stride's residues: in such a copy the values
//! that one tap meets along a row of windows are neighbours, whatever the stride.

use super::geometry::Sliding;
use crate::kernel::{Element, Kernel, Vectorized};
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
        for (c, out) in channels.zip(out.chunks_exact_mut(band.channel)) {
            let x = &image[c * h * w..][..h * w];
            for (line, out) in out.chunks_exact_mut(band.size[1]).enumerate() {
                let (residue, i) = (line / band.size[0], line % band.size[0]);
                let y = top + (i * band.step[0] + residue / band.step[1]) as isize;
                if y < 0 || y >= h as isize {
                    out.fill(T::zero());
                    continue;
                }
                let x = &x[y as usize * w..][..w];
                let start = left + (residue % band.step[1]) as isize;
                // the part of the line that lies inside the input
                let step = band.step[1] as isize;
                let from = ((-start).max(0) as usize).div_ceil(band.step[1]).min(band.size[1]);
                let to = ((w as isize - start).max(0) as usize)
                    .div_ceil(band.step[1])
                    .clamp(from, band.size[1]);
                out[..from].fill(T::zero());
                out[to..].fill(T::zero());
                if from == to {
                    continue;
                }
                let x = &x[(start + from as isize * step) as usize..];
                match band.step[1] {
                    1 => out[from..to].copy_from_slice(&x[..to - from]),
                    2 => {
                        let (last, pairs) = (to - from - 1, &mut out[from..to]);
                        for (o, v) in pairs[..last].iter_mut().zip(x.chunks_exact(2)) {
                            *o = v[0];
                        }
                        pairs[last] = x[2 * last];
                    }
                    step => out[from..to]
                        .iter_mut()
                        .zip(x.iter().step_by(step))
                        .for_each(|(o, &v)| *o = v),
                }
            }
        }
    }
}
