//! The sliding sum as a matrix product of the weight and the patches of the input, which are gathered block by block.

mod gather;
mod pack;

use super::band::{Band, CHUNK};
use super::geometry::Sliding;
use crate::cpu::kernel::{Block, Element, Kernel, MAX_COLUMNS, MAX_ROWS};
use crate::cpu::{Shared, scratch, team};
use gather::{Gather, Line, Run};
pub(super) use pack::{Packed, pack};
use std::ops::Range;

/// Windows of one image that a task computes.
struct Segment {
    image: usize,
    rows: Range<usize>,
}

/// Columns of one block.
struct Panel {
    /// First column of the task.
    column: usize,
    /// Columns that count.
    len: usize,
    vectors: usize,
    /// Where its patches begin.
    at: usize,
}

/// Computes `y`, every element that the grid reaches.
pub(super) fn run<T: Element>(
    s: &Sliding,
    kernel: &Kernel<T>,
    x: &[T],
    weight: &Packed<T>,
    bias: Option<&[T]>,
    relu: bool,
    y: &mut [T],
) {
    let rows = s.batch * s.grid[0];
    if rows * s.grid[1] * s.outputs == 0 {
        return;
    }
    assert_eq!(x.len(), s.batch * s.channels * s.input[0] * s.input[1]);
    assert_eq!(y.len(), s.batch * s.outputs * s.output[0] * s.output[1]);
    let groups = kernel.row_groups(s.outputs);
    let (rows_each, groups_each) = shares(s, kernel, groups.len());
    let across = groups.len().div_ceil(groups_each);
    let job = Job {
        s,
        kernel,
        x,
        weight: &weight.0,
        bias,
        relu,
        groups: &groups,
        y: Shared(y.as_mut_ptr()),
    };
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
}

impl<T: Element> Job<'_, T> {
    /// Computes some rows of windows, counted over all images, for some groups of outputs.
    fn task(&self, rows: Range<usize>, groups: Range<usize>) {
        let s = self.s;
        let (height, width) = (s.grid[0], s.grid[1]);
        let mut segments: Vec<Segment> = vec![];
        let mut row = rows.start;
        while row < rows.end {
            let (image, from) = (row / height, row % height);
            let to = (from + rows.end - row).min(height);
            segments.push(Segment { image, rows: from..to });
            row += to - from;
        }
        let columns = rows.len() * width;
        let direct = s.needs_no_padding();
        let depth_most = s.channel_groups().iter().map(|c| c.len()).max().unwrap_or(0);
        let bands: Vec<Band> = segments.iter().map(|g| Band::new(s, g.rows.len())).collect();
        let band_len: usize =
            if direct { 0 } else { bands.iter().map(|b| b.channel * depth_most).sum() };
        let panels_most = columns.div_ceil(self.kernel.columns());
        let patches_len = (depth_most * s.area() * self.kernel.columns() + 2 * CHUNK) * panels_most;
        scratch::with(band_len + CHUNK, |band: &mut [T]| {
            scratch::with(patches_len + CHUNK, |patches: &mut [T]| {
                let mut weight_at = 0;
                for (g, channels) in s.channel_groups().into_iter().enumerate() {
                    let depth = channels.len() * s.area();
                    let panels = self.panels(columns, depth);
                    if !direct {
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
                        // what lies behind is read, never used
                        self.gather(
                            &segments,
                            &bands,
                            &panels,
                            channels.clone(),
                            Some(band),
                            patches,
                        );
                    } else {
                        self.gather(&segments, &bands, &panels, channels.clone(), None, patches);
                    }
                    let last = channels.end == s.channels;
                    for rows in &self.groups[groups.clone()] {
                        let a =
                            &self.weight[weight_at + rows.start * depth..][..rows.len() * depth];
                        for panel in &panels {
                            self.block(
                                &segments,
                                rows.clone(),
                                panel,
                                depth,
                                a,
                                patches,
                                g > 0,
                                last && self.relu,
                            );
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

    fn panels(&self, columns: usize, depth: usize) -> Vec<Panel> {
        let mut at = 0;
        (0..columns)
            .step_by(self.kernel.columns())
            .map(|column| {
                let len = self.kernel.columns().min(columns - column);
                let vectors = len.div_ceil(self.kernel.lanes);
                let panel = Panel { column, len, vectors, at };
                at += (depth * vectors * self.kernel.lanes + CHUNK).next_multiple_of(CHUNK);
                panel
            })
            .collect()
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

    /// One block: straight into `y` where its columns lie side by side there, else through a small buffer.
    #[allow(clippy::too_many_arguments, reason = "a kernel; a struct would only rename them")]
    fn block(
        &self,
        segments: &[Segment],
        rows: Range<usize>,
        panel: &Panel,
        depth: usize,
        a: &[T],
        patches: &[T],
        accumulate: bool,
        relu: bool,
    ) {
        let s = self.s;
        let columns = panel.vectors * self.kernel.lanes;
        let plane = s.output[0] * s.output[1];
        let bias = match self.bias {
            Some(bias) if !accumulate => bias[rows.clone()].as_ptr(),
            _ => std::ptr::null(),
        };
        let b = patches[panel.at..][..depth * columns].as_ptr();
        let mut block = Block {
            rows: rows.len(),
            vectors: panel.vectors,
            depth,
            a: a.as_ptr(),
            b,
            c: std::ptr::null_mut(),
            ldc: plane,
            accumulate,
            add: false,
            bias,
            relu,
        };
        let first = self.place(segments, panel.column);
        let last = self.place(segments, panel.column + panel.len - 1);
        if s.out_step == [1; 2] && panel.len == columns && last - first == panel.len - 1 {
            // SAFETY: the columns are neighbours in the plane of one image, and no other task writes these rows of them.
            unsafe {
                block.c = self.y.get().add(first + rows.start * plane);
                (self.kernel.block)(&block);
            }
            return;
        }
        let mut places = [0; MAX_COLUMNS];
        for (j, place) in places[..panel.len].iter_mut().enumerate() {
            *place = self.place(segments, panel.column + j);
        }
        let places = &places[..panel.len];
        let mut buffer = [T::zero(); MAX_ROWS * MAX_COLUMNS];
        let y = self.y.get();
        // neighbours are copied together: as many as the first ones, if all come in groups of so many
        let together = 1 + places.windows(2).take_while(|p| p[1] == p[0] + 1).count();
        let side_by_side = |p: &[usize]| p[p.len() - 1] - p[0] == p.len() - 1;
        let together = match together {
            n if places.chunks(n).all(side_by_side) => n,
            _ => 1,
        };
        if accumulate {
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

    /// Where a column's result lies in `y` for the first output.
    fn place(&self, segments: &[Segment], column: usize) -> usize {
        let s = self.s;
        let (mut row, q) = (column / s.grid[1], column % s.grid[1]);
        let mut segment = 0;
        while row >= segments[segment].rows.len() {
            row -= segments[segment].rows.len();
            segment += 1;
        }
        let Segment { image, rows } = &segments[segment];
        let y = (rows.start + row) * s.out_step[0] + s.out_start[0];
        let x = q * s.out_step[1] + s.out_start[1];
        (image * s.outputs * s.output[0] + y) * s.output[1] + x
    }
}
