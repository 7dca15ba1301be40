//! The sliding sum with outputs side by side in vectors, whose input is read where it lies.
//!
//! A block of sums belongs to any windows that meet the same taps, of one image or several: each has a pointer into the input
//! (Dukhan, "The indirect convolution algorithm", 2019, whose pointers to padding become windows without the taps that
//! padding meets). Nothing is gathered, whatever stride and padding are.

use super::direct::Packed;
use super::geometry::{Sliding, Tap};
use super::lanes::{collect, interleave, transpose};
use super::target::Target;
use crate::cpu::kernel::{Correlation, Element, Kernel, Vectorized, even};
use crate::cpu::{Shared, scratch, team};
use std::ops::Range;

/// Windows of one task.
const WINDOWS: usize = 768;
/// Elements of the weight that are used for all windows of a task before the next: half of a second-level cache.
const WEIGHT: usize = 1 << 17;

/// Whether this is expected to be faster for filters of this size than the product of gathered patches, which has pixels side
/// by side. The same on every processor, since other methods add in another order: what counts are the widest vectors.
pub(super) fn pays(s: &Sliding, size: [usize; 2]) -> bool {
    const WIDEST: usize = 16;
    size != [1; 2] && 4 * s.outputs >= 3 * s.outputs.next_multiple_of(WIDEST)
}

/// The weight by panel of outputs, channel, tap (those of each dimension from low to high), output.
pub(super) fn pack<T: Element>(s: &Sliding, kernel: &Kernel<T>, weight: &[T]) -> Packed<T> {
    let taps = [0, 1].map(|d| s.ascending(d).0);
    let depth = s.channels * s.area();
    let panels = kernel.panels(s.outputs);
    let group = |panel: &Range<usize>| kernel.group(panel.len());
    let mut out = crate::cpu::uninit(depth * panels.iter().map(group).sum::<usize>());
    let mut rest = out.as_mut_slice();
    let mut parts = vec![];
    for panel in &panels {
        let (part, after) = rest.split_at_mut(depth * group(panel));
        parts.push((panel.clone(), part));
        rest = after;
    }
    let in_order = |d: usize| taps[d].iter().enumerate().all(|(i, t)| t.index == i);
    let plain = in_order(0) && in_order(1) && s.weight == [depth, s.area(), taps[1].len()];
    let fill = |(outputs, to): (Range<usize>, &mut [T])| {
        let group = group(&outputs);
        if plain {
            let planes = &weight[outputs.start * depth..];
            return collect(kernel, (planes, depth), outputs.len(), (to, group));
        }
        let mut to = to.chunks_exact_mut(group);
        for c in 0..s.channels {
            for y in &taps[0] {
                for x in &taps[1] {
                    let at = c * s.weight[1] + y.index * s.weight[2] + x.index;
                    let to = to.next().unwrap_or_default();
                    for (to, m) in to.iter_mut().zip(outputs.clone()) {
                        *to = weight[m * s.weight[0] + at];
                    }
                    to[outputs.len()..].fill(T::zero());
                }
            }
        }
    };
    if depth * s.outputs < 1 << 15 {
        parts.into_iter().for_each(fill);
    } else {
        team::all(parts, fill);
    }
    Packed(out)
}

/// Computes `y`, every element that the grids of `parts` reach: several are the residues of a transposed convolution, row by
/// row, each with its weight.
pub(super) fn run<T: Element>(
    parts: &[(Sliding, &Packed<T>)],
    kernel: &Kernel<T>,
    x: &[T],
    bias: Option<&[T]>,
    relu: bool,
    y: Target<'_, T>,
) {
    let Some((s, _)) = parts.first() else { return };
    let windows = s.grid[0] * s.grid[1];
    if s.batch * windows * s.outputs == 0 {
        return;
    }
    assert_eq!(x.len(), s.batch * s.channels * s.input[0] * s.input[1]);
    let (y, image) = y.planes(s.batch, s.outputs * s.output[0] * s.output[1]);
    let panels = kernel.panels(s.outputs);
    let job = Job { parts, kernel, x, panels: &panels, bias, relu, y, image };
    // whole images or parts of one
    let threads = rayon::current_num_threads();
    let want = if threads == 1 { 1 } else { 4 * threads };
    let mut images = (WINDOWS / windows).clamp(1, s.batch);
    while images > 8 && s.batch.div_ceil(images) * panels.len() < want {
        images = images.div_ceil(2);
    }
    let mut slices = windows.div_ceil(2 * WINDOWS).min(s.grid[0]);
    while slices < s.grid[0]
        && s.batch.div_ceil(images) * slices * panels.len() < want
        && windows / slices > WINDOWS / 4
    {
        slices = (2 * slices).min(s.grid[0]);
    }
    let groups = s.batch.div_ceil(images);
    let across = if groups * slices < want { panels.len() } else { 1 };
    let each = |task: usize| {
        let (panels, task) = (task % across, task / across);
        let (group, slice) = (task / slices, task % slices);
        let panels = if across == 1 { 0..job.panels.len() } else { panels..panels + 1 };
        let images = group * images..((group + 1) * images).min(s.batch);
        job.task(images, [slice, slices], panels);
    };
    let tasks = groups * slices * across;
    let work = s.batch * windows * s.outputs * s.channels * s.area();
    if tasks == 1 || work < 1 << 17 {
        (0..tasks).for_each(each);
    } else {
        team::each(tasks, each);
    }
}

/// Windows of several images that meet the same taps.
struct Class {
    taps: [Range<usize>; 2],
    /// Where each window's first tap lies in the first channel of the input.
    from: Vec<usize>,
    /// The number of each window.
    to: Vec<usize>,
}

struct Job<'a, T: 'static> {
    parts: &'a Residues<'a, T>,
    kernel: &'a Kernel<T>,
    x: &'a [T],
    panels: &'a [Range<usize>],
    bias: Option<&'a [T]>,
    relu: bool,
    y: Shared<T>,
    /// Distance between images in `y`.
    image: usize,
}

/// Sliding sums that write the same rows of the output, by residue of its columns.
type Residues<'a, T> = [(Sliding, &'a Packed<T>)];

impl<T: Element> Job<'_, T> {
    /// Computes one of several slices of the rows of some images, for some panels of outputs.
    fn task(&self, images: Range<usize>, [slice, slices]: [usize; 2], panels: Range<usize>) {
        let start = |p: &(Sliding, &Packed<T>)| p.0.out_start[0];
        let residues = self.parts.iter().take_while(|p| start(p) == start(&self.parts[0])).count();
        for residues in self.parts.chunks(residues) {
            let height = residues[0].0.grid[0];
            let rows = height * slice / slices..height * (slice + 1) / slices;
            let part = Part {
                classes: residues.iter().map(|(s, _)| classes(s, &images, &rows)).collect(),
                residues,
                images: images.clone(),
                rows,
            };
            for panel in panels.clone() {
                self.panel(&part, panel);
            }
        }
    }

    /// A part for the outputs of one panel.
    fn panel(&self, part: &Part<T>, panel: usize) {
        let Part { residues, images, rows, .. } = part;
        let s = &residues[0].0;
        let outputs = self.panels[panel].clone();
        let (group, plane) = (self.group(panel), s.output[0] * s.output[1]);
        // in place where rows of windows follow each other, else through planes by residue, image and output
        let direct = s.out_step == [1; 2];
        let pixels = |s: &Sliding| rows.len() * s.grid[1];
        let most = residues.iter().map(|(s, _)| pixels(s)).max().unwrap_or(0);
        let count = images.len() * outputs.len();
        let held = if direct { 0 } else { residues.len() * count * most };
        scratch::with(images.len() * most * group, |sums: &mut [T]| {
            scratch::with(held, |planes: &mut [T]| {
                for (i, (s, weight)) in residues.iter().enumerate() {
                    self.sum(s, &part.classes[i], weight, panel, sums);
                    for (n, image) in images.clone().enumerate() {
                        let (planes, pitch) = if direct {
                            let at = image * self.image + outputs.start * plane;
                            // SAFETY: inside `y`.
                            (unsafe { self.y.get().add(at + rows.start * s.output[1]) }, plane)
                        } else {
                            let at = (i * count + n * outputs.len()) * most;
                            (planes[at..][..outputs.len() * most].as_mut_ptr(), most)
                        };
                        let from = sums[n * pixels(s) * group..][..pixels(s) * group].as_ptr();
                        let size = [pixels(s), outputs.len()];
                        // SAFETY: no other task has these rows of these outputs.
                        unsafe { transpose(self.kernel, size, (from, group), (planes, pitch)) };
                    }
                }
                if !direct {
                    self.kernel.vectorized(Rows { part, planes, most, outputs, job: self });
                }
            });
        });
    }

    /// Elements of a group of sums.
    fn group(&self, panel: usize) -> usize {
        self.kernel.group(self.panels[panel].len())
    }

    /// All windows for one panel: `(window, group of outputs)`.
    fn sum(
        &self,
        s: &Sliding,
        classes: &[Class],
        weight: &Packed<T>,
        panel: usize,
        sums: &mut [T],
    ) {
        let (area, group) = (s.area(), self.group(panel));
        let before: usize = (0..panel).map(|p| self.group(p)).sum();
        let weight = &weight.0[before * s.channels * area..][..group * s.channels * area];
        let vectors = group / self.kernel.lanes;
        let most = self.kernel.correlation_rows[vectors - 1];
        let steps = [0, 1].map(|d| s.ascending(d).1);
        let mut bias = vec![T::zero(); group];
        if let Some(all) = self.bias {
            let own = &all[self.panels[panel].clone()];
            bias[..own.len()].copy_from_slice(own);
        }
        for channels in even(0..s.channels, (WEIGHT / (area * group).max(1)).max(1)) {
            for Class { taps, from, to } in classes {
                let met = !taps[0].is_empty() && !taps[1].is_empty();
                let first = taps[0].start * s.taps[1].len() + taps[1].start;
                let first = if met { channels.start * area + first } else { 0 };
                for rows in even(0..from.len(), most) {
                    let sum = Correlation {
                        x: self.x[channels.start * s.input[0] * s.input[1]..].as_ptr(),
                        from: &from[rows.clone()],
                        count: [channels.len(), taps[0].len(), taps[1].len()],
                        x_steps: [s.input[0] * s.input[1], steps[0] * s.input[1], steps[1]],
                        g: weight[first * group..].as_ptr(),
                        vectors,
                        g_steps: [area * group, s.taps[1].len() * group],
                        c: sums.as_mut_ptr(),
                        to: &to[rows],
                        accumulate: channels.start > 0,
                        bias: if channels.start == 0 { bias.as_ptr() } else { std::ptr::null() },
                        relu: self.relu && channels.end == s.channels,
                    };
                    // SAFETY: a class has the taps that all its windows meet inside `x`, and the numbers of its windows
                    // are below those that `sums` has groups for.
                    unsafe { (self.kernel.correlate)(&sum) };
                }
            }
        }
    }
}

/// Some rows of windows of some images.
struct Part<'a, T> {
    residues: &'a Residues<'a, T>,
    /// For each residue.
    classes: Vec<Vec<Class>>,
    images: Range<usize>,
    rows: Range<usize>,
}

/// The windows of some rows of some images, numbered in this order, by the taps that they meet.
fn classes(s: &Sliding, images: &Range<usize>, rows: &Range<usize>) -> Vec<Class> {
    let size = s.channels * s.input[0] * s.input[1];
    let taps = [0, 1].map(|d| s.ascending(d).0);
    // the first tap's place for window 0
    let low = |d: usize, met: &Range<usize>| taps[d].get(met.start).map_or(0, |t| t.offset);
    let (down, across) = (spans(s, 0, rows.clone()), spans(s, 1, 0..s.grid[1]));
    let mut out = Vec::with_capacity(down.len() * across.len());
    for (ty, ys) in &down {
        for (tx, xs) in &across {
            let count = images.len() * ys.len() * xs.len();
            let (mut from, mut to) = (Vec::with_capacity(count), Vec::with_capacity(count));
            let empty = ty.is_empty() || tx.is_empty();
            let low = [low(0, ty), low(1, tx)];
            for (n, image) in images.clone().enumerate() {
                for y in ys.clone() {
                    let row = (y * s.step[0]).wrapping_add_signed(low[0]).wrapping_mul(s.input[1]);
                    let first = (image * size).wrapping_add(row).wrapping_add_signed(low[1]);
                    let place = |x: usize| first.wrapping_add(x * s.step[1]);
                    from.extend(xs.clone().map(|x| if empty { 0 } else { place(x) }));
                    let first = (n * rows.len() + y - rows.start) * s.grid[1];
                    to.extend(xs.clone().map(|x| first + x));
                }
            }
            out.push(Class { taps: [ty.clone(), tx.clone()], from, to });
        }
    }
    out
}

/// Windows along one dimension that meet the same taps inside the input: taps from low to high, and windows.
fn spans(s: &Sliding, d: usize, windows: Range<usize>) -> Vec<(Range<usize>, Range<usize>)> {
    let (taps, _) = s.ascending(d);
    let mut out: Vec<(Range<usize>, Range<usize>)> = vec![];
    for q in windows {
        let place = |t: &Tap| (q * s.step[d]) as isize + t.offset;
        let from = taps.iter().take_while(|t| place(t) < 0).count();
        let to = taps.iter().take_while(|t| place(t) < s.input[d] as isize).count();
        let met = if from < to { from..to } else { 0..0 };
        match out.last_mut() {
            Some((taps, windows)) if *taps == met => windows.end = q + 1,
            _ => out.push((met, q..q + 1)),
        }
    }
    out
}

/// Writes whole rows of `y` from planes by residue of the column.
struct Rows<'a, T: 'static> {
    part: &'a Part<'a, T>,
    planes: &'a [T],
    /// Elements of a plane at most.
    most: usize,
    outputs: Range<usize>,
    job: &'a Job<'a, T>,
}

impl<T: Element> Vectorized for Rows<'_, T> {
    #[inline(always)]
    fn run(self) {
        let Self { part: Part { residues, images, rows, .. }, planes, most, outputs, job } = self;
        let s = &residues[0].0;
        let [height, width] = s.output;
        let count = images.len() * outputs.len();
        for (i, image) in images.clone().enumerate() {
            for (o, output) in outputs.clone().enumerate() {
                for (j, row) in rows.clone().enumerate() {
                    let residue = |r: usize| {
                        let grid = residues[r].0.grid[1];
                        &planes[(r * count + i * outputs.len() + o) * most + j * grid..][..grid]
                    };
                    let line = output * height + row * s.out_step[0] + s.out_start[0];
                    let at = image * job.image + line * width;
                    // SAFETY: a row of `y` that no other task has.
                    let line =
                        unsafe { std::slice::from_raw_parts_mut(job.y.get().add(at), width) };
                    match residues.len() {
                        1 => line.copy_from_slice(residue(0)),
                        2 => interleave(residue(0), residue(1), line),
                        step => {
                            for r in 0..step {
                                let line = line.iter_mut().skip(r).step_by(step);
                                line.zip(residue(r)).for_each(|(y, &v)| *y = v);
                            }
                        }
                    }
                }
            }
        }
    }
}
