//! Copying the patches of a panel from where their rows lie in the input.

use crate::cpu::conv::band::CHUNK;
use crate::cpu::kernel::{Element, Vectorized};

/// Neighbouring columns of a block's right side that lie side by side in the input; at most [`CHUNK`].
pub(super) struct Run {
    /// Where the columns begin in the gathered patches.
    pub(super) to: usize,
    /// Distance of the rows there.
    pub(super) width: usize,
    /// Where they begin in the source, for the first tap's place.
    pub(super) from: usize,
    pub(super) len: usize,
}

/// The runs of one segment.
pub(super) struct Line<'a, T> {
    pub(super) source: &'a [T],
    /// Distance between channels in the source.
    pub(super) channel: usize,
    /// Where each tap lies relative to the first.
    pub(super) taps: Vec<usize>,
    pub(super) runs: Vec<Run>,
}

/// Copies all runs for all channels and taps.
pub(super) struct Gather<'a, T> {
    pub(super) lines: &'a [Line<'a, T>],
    /// Channels times taps.
    pub(super) depth: usize,
    /// Nothing may be read past a run.
    pub(super) exact: bool,
    pub(super) patches: &'a mut [T],
}

impl<T: Element> Gather<'_, T> {
    /// Whether whole chunks at all runs stay inside source and patches.
    fn fits(&self, area: usize) -> bool {
        let last = self.depth.saturating_sub(1);
        self.lines.iter().all(|l| {
            let shift = last / area * l.channel + l.taps.iter().max().copied().unwrap_or(0);
            l.runs.iter().all(|r| {
                let len = if self.exact { r.len } else { CHUNK };
                r.from + shift + len <= l.source.len()
                    && r.to + last * r.width + len <= self.patches.len()
            })
        })
    }
}

impl<T: Element> Vectorized for Gather<'_, T> {
    #[inline(always)]
    fn run(self) {
        let area = self.lines.first().map_or(1, |l| l.taps.len().max(1));
        assert!(self.fits(area), "patches are larger than their buffers");
        let Self { lines, depth, exact, patches } = self;
        for k in 0..depth {
            let (c, tap) = (k / area, k % area);
            for Line { source, channel, taps, runs } in lines {
                let shift = c * channel + taps[tap];
                for r in runs {
                    let (from, to) = (r.from + shift, r.to + k * r.width);
                    if !exact || r.len == CHUNK {
                        // whole chunks: what is written past the run belongs to the next one, or to the next `k`
                        // SAFETY: `fits` was asked.
                        unsafe {
                            let chunk: *const [T; CHUNK] = source.as_ptr().add(from).cast();
                            let target: *mut [T; CHUNK] = patches.as_mut_ptr().add(to).cast();
                            target.write_unaligned(chunk.read_unaligned());
                        }
                    } else {
                        patches[to..to + r.len].copy_from_slice(&source[from..from + r.len]);
                    }
                }
            }
        }
    }
}
