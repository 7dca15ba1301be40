//! The sliding sum as a matrix product of the weight and the patches of the input, which are gathered block by block.

mod gather;
mod pack;
mod panel;

use super::band::{Band, CHUNK};
use super::geometry::Sliding;
use super::target::Target;
use crate::cpu::kernel::{Block, Element, Kernel, MAX_COLUMNS, MAX_ROWS};
use crate::cpu::{Shared, scratch, team};
use gather::{Gather, Line, Run};
pub(super) use pack::{Packed, pack};
use panel::{Landing, Panel, Segment};
use std::ops::Range;

/// Computes `y`, every element that the grid reaches.
pub(super) fn run<T: Element>(
    s: &Sliding,
    kernel: &Kernel<T>,
    x: &[T],
    weight: &Packed<T>,
    bias: Option<&[T]>,
    relu: bool,
    y: Target<'_, T>,
) {
    let rows = s.batch * s.grid[0];
    if rows * s.grid[1] * s.outputs == 0 {
        return;
    }
    assert_eq!(x.len(), s.batch * s.channels * s.input[0] * s.input[1]);
    let (y, image) = y.planes(s.batch, s.outputs * s.output[0] * s.output[1]);
    let groups = kernel.row_groups(s.outputs);
    let (rows_each, groups_each) = shares(s, kernel, groups.len());
    let across = groups.len().div_ceil(groups_each);
    let job = Job { s, kernel, x, weight: &weight.0, bias, relu, groups: &groups, y, image };
    let task = |i: usize| {
        let from = i / across * rows_each;
        let group = i % across * groups_each;
        job.task(
            from..(from + rows_each).min(rows),
            group..(group + groups_each).min(groups.len()),
        );
    };
    let tasks = rows.div_ceil(rows_each) * across;
    team::each(tasks, task);
}

/// Rows of windows and groups of outputs for each task; the result does not depend on them.
fn shares<T: Element>(s: &Sliding, kernel: &Kernel<T>, groups: usize) -> (usize, usize) {
    let (rows, threads) = (s.batch * s.grid[0], rayon::current_num_threads());
    let mut rows_each = (8 * kernel.columns()).div_ceil(s.grid[1]).min(rows);
    let work = rows * s.grid[1] * s.outputs * s.channels * s.area();
    if threads == 1 || work < 1 << 17 {
        return (if threads == 1 { rows_each } else { rows }, groups);
    }
    let want = 4 * threads;
    while rows.div_ceil(rows_each) < want && rows_each * s.grid[1] >= 6 * kernel.columns() {
        rows_each = rows_each.div_ceil(2);
    }
    // fewer outputs for each task means gathering the same patches more often
    let across = want.div_ceil(rows.div_ceil(rows_each)).min(groups);
    (rows_each, groups.div_ceil(across))
}

struct Job<'a, T: 'static> {
    s: &'a Sliding,
    kernel: &'a Kernel<T>,
    x: &'a [T],
    weight: &'a [T],
    bias: Option<&'a [T]>,
    relu: bool,
    groups: &'a [Range<usize>],
    y: Shared<T>,
    /// Distance between images in `y`.
    image: usize,
}

impl<T: Element> Job<'_, T> {
    /// Computes some rows of windows, counted over all images, for some groups of outputs.
    fn task(&self, rows: Range<usize>, groups: Range<usize>) {
        let s = self.s;
        let segments = Segment::all(rows.clone(), s.grid[0]);
        let columns = rows.len() * s.grid[1];
        let exact = s.needs_no_padding();
        let depth_most = s.channel_groups().iter().map(|c| c.len()).max().unwrap_or(0);
        let bands: Vec<Band> = segments.iter().map(|g| Band::new(s, g.rows.len())).collect();
        let band_len: usize =
            if exact { 0 } else { bands.iter().map(|b| b.channel * depth_most).sum() };
        let panels_most = columns.div_ceil(self.kernel.columns());
        let patches_len = (depth_most * s.area() * self.kernel.columns() + 2 * CHUNK) * panels_most;
        scratch::with(band_len + CHUNK, |band: &mut [T]| {
            scratch::with(patches_len + CHUNK, |patches: &mut [T]| {
                let mut weight_at = 0;
                for (g, channels) in s.channel_groups().into_iter().enumerate() {
                    let depth = channels.len() * s.area();
                    let panels = self.panels(&segments, columns, depth);
                    if !exact {
                        let mut at = 0;
                        for (segment, shape) in segments.iter().zip(&bands) {
                            let len = shape.channel * channels.len();
                            let image = self.image(segment.image);
                            shape.fill(
                                s,
                                self.kernel,
                                image,
                                channels.clone(),
                                segment.rows.start,
                                &mut band[at..at + len],
                            );
                            at += len;
                        }
                    }
                    // what lies behind the band is read, never used
                    let band = (!exact).then_some(&*band);
                    self.gather(&segments, &bands, &panels, channels.clone(), band, patches);
                    let first = g == 0;
                    let relu = self.relu && channels.end == s.channels;
                    for rows in &self.groups[groups.clone()] {
                        let a =
                            &self.weight[weight_at + rows.start * depth..][..rows.len() * depth];
                        for panel in &panels {
                            self.block(rows.clone(), panel, a, patches, (first, relu));
                        }
                    }
                    weight_at += s.outputs * depth;
                }
            });
        });
    }

    fn image(&self, image: usize) -> &[T] {
        let len = self.s.channels * self.s.input[0] * self.s.input[1];
        &self.x[image * len..][..len]
    }

    /// Gathers the patches of all columns: for each panel `(channel, tap, column)`.
    fn gather(
        &self,
        segments: &[Segment],
        bands: &[Band],
        panels: &[Panel],
        channels: Range<usize>,
        band: Option<&[T]>,
        patches: &mut [T],
    ) {
        let s = self.s;
        let (width, mut column, mut base) = (s.grid[1], 0, 0);
        let mut lines = vec![];
        for (segment, shape) in segments.iter().zip(bands) {
            // where this segment's first channel begins, how far its channels and rows are apart
            let (source, start, channel, row) = match band {
                Some(band) => (band, base, shape.channel, shape.size[1]),
                None => {
                    let (size, row) = (s.input[0] * s.input[1], s.input[1]);
                    (
                        self.image(segment.image),
                        channels.start * size + segment.rows.start * row,
                        size,
                        row,
                    )
                }
            };
            base += shape.channel * channels.len();
            // rows that follow each other without a gap make one run
            let whole = row == width;
            let (count, length) =
                if whole { (1, segment.rows.len() * width) } else { (segment.rows.len(), width) };
            let mut runs = vec![];
            for line in 0..count {
                let mut done = 0;
                while done < length {
                    let panel = &panels[column / self.kernel.columns()];
                    let lane = column - panel.column;
                    let len = (length - done).min(panel.len - lane).min(CHUNK);
                    let width = panel.vectors * self.kernel.lanes;
                    runs.push(Run {
                        to: panel.at + lane,
                        width,
                        from: start + line * row + done,
                        len,
                    });
                    done += len;
                    column += len;
                }
            }
            let mut taps = vec![];
            for ty in &s.taps[0] {
                for tx in &s.taps[1] {
                    taps.push(match band {
                        Some(_) => shape.tap([ty.offset, tx.offset]),
                        None => ty.offset as usize * row + tx.offset as usize,
                    });
                }
            }
            lines.push(Line { source, channel, taps, runs });
        }
        self.kernel.vectorized(Gather {
            lines: &lines,
            depth: channels.len() * s.area(),
            exact: band.is_none(),
            patches,
        });
    }

    /// One block of the outputs `rows`: straight into `y` where its columns lie side by side there, else through a small buffer.
    fn block(
        &self,
        rows: Range<usize>,
        panel: &Panel,
        a: &[T],
        patches: &[T],
        (first, relu): (bool, bool),
    ) {
        let s = self.s;
        let columns = panel.vectors * self.kernel.lanes;
        let plane = s.output[0] * s.output[1];
        let bias = match self.bias {
            Some(bias) if first => bias[rows.clone()].as_ptr(),
            _ => std::ptr::null(),
        };
        let depth = a.len() / rows.len();
        let b = &patches[panel.at..][..depth * columns];
        let mut block = Block {
            rows: rows.len(),
            vectors: panel.vectors,
            depth,
            a: a.as_ptr(),
            b: b.as_ptr(),
            c: std::ptr::null_mut(),
            ldc: plane,
            accumulate: !first,
            add: false,
            bias,
            relu,
        };
        let (places, together) = match &panel.landing {
            Landing::InPlace(at) => {
                // SAFETY: the columns are neighbours in the plane of one image, and no other task writes these rows of them.
                unsafe {
                    block.c = self.y.get().add(at + rows.start * plane);
                    (self.kernel.block)(&block);
                }
                return;
            }
            Landing::Scattered { places, together } => (places.as_slice(), *together),
        };
        let mut buffer = [T::zero(); MAX_ROWS * MAX_COLUMNS];
        let y = self.y.get();
        if !first {
            for (m, line) in rows.clone().zip(buffer.chunks_exact_mut(columns)) {
                for (line, places) in line.chunks_mut(together).zip(places.chunks(together)) {
                    // SAFETY: `places` are inside the first output's plane and `m` is an output; no other task writes there.
                    let y = unsafe {
                        std::slice::from_raw_parts(y.add(places[0] + m * plane), places.len())
                    };
                    line[..places.len()].copy_from_slice(y);
                }
            }
        }
        block.c = buffer.as_mut_ptr();
        block.ldc = columns;
        // SAFETY: `a` and `b` were cut to size, the buffer holds the largest block.
        unsafe { (self.kernel.block)(&block) };
        for (m, line) in rows.zip(buffer.chunks_exact(columns)) {
            for (line, places) in line.chunks(together).zip(places.chunks(together)) {
                // SAFETY: as above.
                let y = unsafe {
                    std::slice::from_raw_parts_mut(y.add(places[0] + m * plane), places.len())
                };
                y.copy_from_slice(&line[..places.len()]);
            }
        }
    }
}
