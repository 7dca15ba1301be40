//! Winograd's F(4×4, 3×3): each 4×4 tile of the result from a 6×6 tile of the input with 36 products in place of 144.
//!
//! `y = Aᵀ [Σ_c (G w Gᵀ) ⊙ (Bᵀ x B)] A`. Lavin and Gray, "Fast algorithms for convolutional neural networks", 2015,
//! section 4.3. The sum over channels is 36 matrix products.
//!
//! The polynomials are taken at 0, ±3/4, ±3/2 and ∞ in place of the usual 0, ±1, ±2 and ∞, and the channels summed in
//! groups: together that makes the error nine times smaller, no larger than the direct sum's (1.0e-6 against 1.4e-6 of
//! the largest value, 256 channels). On points see Barabasz, Anderson, Soodhalter and Gregg, "Error analysis and improving
//! the accuracy of Winograd convolution for deep neural networks", 2020.

use super::direct::Shared;
use super::geometry::Sizes;
use crate::kernel::{Block, Element, Kernel, MAX_COLUMNS, MAX_ROWS, Vectorized};
use crate::scratch;
use rayon::prelude::*;
use std::ops::Range;

/// Rows and columns of a tile of the result.
const TILE: usize = 4;
/// Rows and columns of a tile of the input.
const PATCH: usize = 6;
/// Products of a tile.
const PRODUCTS: usize = PATCH * PATCH;
/// Elements of the transformed input at a time: they stay in the last-level cache.
const INPUTS: usize = 2 << 20;
/// Filters that are transformed together.
const LANES: usize = 16;
/// Channels of one chain of multiply-adds.
const CHAIN: usize = 64;
/// The points but 0 and ∞, each with both signs.
const NEAR: f64 = 0.75;
const FAR: f64 = 1.5;
/// Their squares.
const NEAR2: f64 = NEAR * NEAR;
const FAR2: f64 = FAR * FAR;

/// The sizes of a 3×3 convolution of stride 1, forwards or for the gradient of its input.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    batch: usize,
    channels: usize,
    outputs: usize,
    input: [usize; 2],
    output: [usize; 2],
    padding: [usize; 2],
    /// Distances in the weight between outputs and between channels.
    weight: [usize; 2],
    /// Whether filters are mirrored.
    mirrored: bool,
}

impl Shape {
    /// The convolution, if this method can compute it.
    pub(super) fn forward(s: &Sizes) -> Option<Self> {
        (Self::fits(s) && s.padding[0] <= 2 && s.padding[1] <= 2).then_some(Self {
            batch: s.batch,
            channels: s.channels,
            outputs: s.outputs,
            input: s.input,
            output: s.output,
            padding: s.padding,
            weight: [s.channels * 9, 9],
            mirrored: false,
        })
    }

    /// Its transpose, likewise.
    pub(super) fn transposed(s: &Sizes) -> Option<Self> {
        (Self::fits(s) && s.padding[0] <= 2 && s.padding[1] <= 2).then(|| Self {
            batch: s.batch,
            channels: s.outputs,
            outputs: s.channels,
            input: s.output,
            output: s.input,
            padding: s.padding.map(|p| 2 - p),
            weight: [9, s.channels * 9],
            mirrored: true,
        })
    }

    fn fits(s: &Sizes) -> bool {
        s.kernel == [3; 2] && s.stride == [1; 2] && s.dilation == [1; 2]
    }

    /// Rows and columns of tiles of an image.
    fn tiles(&self) -> [usize; 2] {
        self.output.map(|n| n.div_ceil(TILE))
    }

    /// Whether it is expected to be faster than the direct sum; `ready` says that the filters are transformed already.
    ///
    /// In multiplications and additions for each pair of output and channel, as measured on an AMD EPYC 9004.
    pub(super) fn pays(&self, ready: bool) -> bool {
        let [rows, columns] = self.tiles();
        let tiles = (self.batch * rows * columns) as f64;
        let pixels = (self.batch * self.output[0] * self.output[1]) as f64;
        let (channels, outputs) = (self.channels as f64, self.outputs as f64);
        let products = (tiles / 16.0).ceil() * 16.0 * PRODUCTS as f64;
        let transforms = tiles * (230.0 / outputs + 170.0 / channels);
        // filters that leave the caches are bound by the memory, once written and once read
        let large = PRODUCTS as f64 * channels * outputs > (4 << 20) as f64;
        let filters = match (ready, large) {
            (true, false) => 100.0,
            (true, true) => 700.0,
            (false, false) => 900.0,
            (false, true) => 1900.0,
        };
        products + transforms + filters < pixels * 9.0 * (1.15 + 8.0 / outputs)
    }
}

/// Transformed filters: by group of outputs, product, channel, output.
#[derive(Debug)]
pub(super) struct Filters<T>(Vec<T>);

/// `G w Gᵀ` for all filters.
pub(super) fn transform<T: Element>(shape: &Shape, kernel: &Kernel<T>, weight: &[T]) -> Filters<T> {
    let mut out = crate::cpu::uninit(PRODUCTS * shape.outputs * shape.channels);
    let mut rest = out.as_mut_slice();
    let mut parts = vec![];
    for rows in kernel.row_groups(shape.outputs) {
        let (part, after) = rest.split_at_mut(PRODUCTS * shape.channels * rows.len());
        parts.push((rows, part));
        rest = after;
    }
    let each = |(rows, out): (Range<usize>, &mut [T])| {
        kernel.vectorized(FilterRows { shape, weight, rows, out })
    };
    if shape.outputs * shape.channels < 1 << 10 {
        parts.into_iter().for_each(each);
    } else {
        parts.into_par_iter().for_each(each);
    }
    Filters(out)
}

/// One group of outputs.
struct FilterRows<'a, T> {
    shape: &'a Shape,
    weight: &'a [T],
    rows: Range<usize>,
    out: &'a mut [T],
}

impl<T: Element> Vectorized for FilterRows<'_, T> {
    #[inline(always)]
    fn run(self) {
        let Self { shape, weight, rows, out } = self;
        let (count, channels) = (rows.len(), shape.channels);
        let [near, far, near2, far2] = [NEAR, FAR, NEAR2, FAR2].map(T::from_f64);
        // one over the product of a point's distances from the others
        let at_zero = T::from_f64(1.0 / (NEAR2 * FAR2));
        let at_near = T::from_f64(1.0 / (2.0 * NEAR2 * (NEAR2 - FAR2)));
        let at_far = T::from_f64(1.0 / (2.0 * FAR2 * (FAR2 - NEAR2)));
        let points = |w: [T; 3]| {
            let (a, b) = (at_near * (w[0] + near2 * w[2]), at_near * (near * w[1]));
            let (c, d) = (at_far * (w[0] + far2 * w[2]), at_far * (far * w[1]));
            [at_zero * w[0], a + b, a - b, c + d, c - d, w[2]]
        };
        for c in 0..channels {
            let mut w = [[T::zero(); LANES]; 9];
            for (r, m) in rows.clone().enumerate() {
                let filter = &weight[m * shape.weight[0] + c * shape.weight[1]..][..9];
                for (i, w) in w.iter_mut().enumerate() {
                    w[r] = if shape.mirrored { filter[8 - i] } else { filter[i] };
                }
            }
            let mut half = [[[T::zero(); LANES]; 3]; PATCH];
            for j in 0..3 {
                for l in 0..LANES {
                    let p = points([w[j][l], w[3 + j][l], w[6 + j][l]]);
                    for i in 0..PATCH {
                        half[i][j][l] = p[i];
                    }
                }
            }
            for (i, half) in half.iter().enumerate() {
                let mut full = [[T::zero(); LANES]; PATCH];
                for l in 0..LANES {
                    let p = points([half[0][l], half[1][l], half[2][l]]);
                    for j in 0..PATCH {
                        full[j][l] = p[j];
                    }
                }
                for (j, full) in full.iter().enumerate() {
                    let at = ((i * PATCH + j) * channels + c) * count;
                    if c + 1 < channels && at + LANES <= out.len() && LANES <= 2 * count {
                        // a whole vector: what is too much belongs to the next channel, which comes next
                        out[at..at + LANES].copy_from_slice(full);
                    } else {
                        out[at..at + count].copy_from_slice(&full[..count]);
                    }
                }
            }
        }
    }
}

/// Some rows of tiles, counted over all images, and the columns that they make.
#[derive(Clone)]
struct Tiles {
    rows: Range<usize>,
    columns: usize,
}

/// What is convolved: `x`, or zero where `mask`, of the same shape, is not positive.
#[derive(Clone, Copy)]
pub(super) struct Input<'a, T> {
    pub(super) x: &'a [T],
    pub(super) mask: Option<&'a [T]>,
}

impl<T: Element> Input<'_, T> {
    /// Copies what begins at `from`.
    #[inline(always)]
    fn copy(&self, from: usize, out: &mut [T]) {
        let x = &self.x[from..][..out.len()];
        let Some(mask) = self.mask else { return out.copy_from_slice(x) };
        for ((o, &v), &m) in out.iter_mut().zip(x).zip(&mask[from..]) {
            *o = if m <= T::zero() { T::zero() } else { v };
        }
    }
}

/// Computes `y`, plus the bias, rectified where asked for.
pub(super) fn run<T: Element>(
    shape: &Shape,
    kernel: &Kernel<T>,
    x: Input<'_, T>,
    filters: &Filters<T>,
    bias: Option<&[T]>,
    relu: bool,
    y: &mut [T],
) {
    let [down, across] = shape.tiles();
    let all = shape.batch * down;
    if all * across * shape.outputs == 0 {
        return;
    }
    assert_eq!(y.len(), shape.batch * shape.outputs * shape.output[0] * shape.output[1]);
    let width = kernel.columns();
    // whole rows of tiles, as many as keep the transformed input in the cache
    let most = (INPUTS / (PRODUCTS * shape.channels * width)).max(1) * width;
    let rows_each = (most / across).clamp(1, all);
    let groups = kernel.row_groups(shape.outputs);
    let panels_most = (rows_each * across).div_ceil(width);
    let y = Shared(y.as_mut_ptr());
    scratch::with(panels_most * PRODUCTS * shape.channels * width, |inputs: &mut [T]| {
        for first in (0..all).step_by(rows_each) {
            let rows = first..(first + rows_each).min(all);
            let tiles = Tiles { columns: rows.len() * across, rows };
            let panels = tiles.columns.div_ceil(width);
            let target = Shared(inputs.as_mut_ptr());
            (0..shape.channels).into_par_iter().for_each(|channel| {
                let len = tiles.rows.len() * (across + 1) + LANES;
                scratch::with(
                    len * PRODUCTS + 2 * MAX_COLUMNS + tiles.columns,
                    |buffer: &mut [T]| {
                        let lanes = kernel.lanes;
                        kernel.vectorized(InputChannel {
                            shape,
                            x,
                            channel,
                            tiles: &tiles,
                            width,
                            lanes,
                            buffer,
                            target,
                        });
                    },
                );
            });
            // few channels: patches of one panel stay in the second-level cache; many: the filters of one group do
            let by_panel = PRODUCTS * shape.channels * width <= 180_000;
            let inputs = &*inputs;
            (0..panels * groups.len()).into_par_iter().for_each(|task| {
                let (panel, group) = if by_panel {
                    (task / groups.len(), task % groups.len())
                } else {
                    (task % panels, task / panels)
                };
                let rows = groups[group].clone();
                let lanes = width.min(tiles.columns - panel * width).next_multiple_of(kernel.lanes);
                scratch::with((PRODUCTS + 2) * MAX_ROWS * MAX_COLUMNS, |buffer: &mut [T]| {
                    let (sums, lines) = buffer.split_at_mut(PRODUCTS * MAX_ROWS * MAX_COLUMNS);
                    for p in 0..PRODUCTS {
                        let a =
                            &filters.0[(PRODUCTS * rows.start + p * rows.len()) * shape.channels..];
                        let b = &inputs[(panel * PRODUCTS + p) * shape.channels * width..];
                        let (a, b) =
                            (&a[..rows.len() * shape.channels], &b[..lanes * shape.channels]);
                        let c = &mut sums[p * rows.len() * lanes..][..rows.len() * lanes];
                        for from in (0..shape.channels).step_by(CHAIN) {
                            let depth = CHAIN.min(shape.channels - from);
                            let block = Block {
                                rows: rows.len(),
                                vectors: lanes / kernel.lanes,
                                depth,
                                a: a[from * rows.len()..][..depth * rows.len()].as_ptr(),
                                b: b[from * lanes..][..depth * lanes].as_ptr(),
                                c: c.as_mut_ptr(),
                                ldc: lanes,
                                accumulate: false,
                                add: from > 0,
                                bias: std::ptr::null(),
                                relu: false,
                            };
                            // SAFETY: the slices were cut to the sizes that the block names.
                            unsafe { (kernel.block)(&block) };
                        }
                    }
                    let first = panel * width;
                    kernel.vectorized(Outputs {
                        shape,
                        rows,
                        first,
                        lanes,
                        sums,
                        lines,
                        tiles: &tiles,
                        bias,
                        relu,
                        y,
                    });
                });
            });
        }
    });
}

/// `Bᵀ x B` for the tiles of one channel.
struct InputChannel<'a, T> {
    shape: &'a Shape,
    x: Input<'a, T>,
    channel: usize,
    tiles: &'a Tiles,
    width: usize,
    lanes: usize,
    buffer: &'a mut [T],
    /// By panel, product, channel, column.
    target: Shared<T>,
}

/// `Bᵀ` times a column.
#[inline(always)]
fn spread<T: Element>(d: [T; 6]) -> [T; 6] {
    let [near, far, near2, far2] = [NEAR, FAR, NEAR2, FAR2].map(T::from_f64);
    let (product, sum) = (T::from_f64(NEAR2 * FAR2), T::from_f64(NEAR2 + FAR2));
    let (a, b) = (d[4] - far2 * d[2], near * (d[3] - far2 * d[1]));
    let (e, f) = (d[4] - near2 * d[2], far * (d[3] - near2 * d[1]));
    [
        product * d[0] - sum * d[2] + d[4],
        a + b,
        a - b,
        e + f,
        e - f,
        product * d[1] - sum * d[3] + d[5],
    ]
}

impl<T: Element> Vectorized for InputChannel<'_, T> {
    #[inline(always)]
    fn run(self) {
        let Self { shape, x, channel, tiles, width, lanes, buffer, target } = self;
        let [h, w] = shape.input;
        let [down, across] = shape.tiles();
        let pitch = across + 1;
        let len = tiles.rows.len() * pitch + LANES;
        let left = shape.padding[1];
        // the four columns of each tile by residue, for each of the six rows: 24 arrays over all tiles, a tile apart
        let (columns, rest) = buffer.split_at_mut(4 * PATCH * len);
        for (at, row) in tiles.rows.clone().enumerate() {
            let plane = ((row / down) * shape.channels + channel) * h * w;
            let top = (row % down * TILE) as isize - shape.padding[0] as isize;
            let mut line = [0isize; PATCH];
            for (i, line) in line.iter_mut().enumerate() {
                *line = top + i as isize;
            }
            let inside = line.map(|y| y >= 0 && y < h as isize);
            // tile by tile in blocks, so that the six rows are read once
            let mut from = 0;
            while from < pitch {
                const AT_ONCE: usize = 16;
                let to = (from + AT_ONCE).min(pitch);
                let mut patch = [[T::zero(); 4 * AT_ONCE]; PATCH];
                let start = (from * TILE) as isize - left as isize;
                let low = (-start).clamp(0, 4 * AT_ONCE as isize) as usize;
                let high =
                    (w as isize - start).clamp(low as isize, 4 * (to - from) as isize) as usize;
                if low < high {
                    for (i, patch) in patch.iter_mut().enumerate() {
                        if inside[i] {
                            let source = line[i] as usize * w + (start + low as isize) as usize;
                            x.copy(plane + source, &mut patch[low..high]);
                        }
                    }
                }
                let mut across_rows = [[T::zero(); 4 * AT_ONCE]; PATCH];
                for l in 0..4 * AT_ONCE {
                    let t = spread([
                        patch[0][l],
                        patch[1][l],
                        patch[2][l],
                        patch[3][l],
                        patch[4][l],
                        patch[5][l],
                    ]);
                    for i in 0..PATCH {
                        across_rows[i][l] = t[i];
                    }
                }
                for (i, values) in across_rows.iter().enumerate() {
                    for residue in 0..4 {
                        // beyond `to` this writes what the next block or row overwrites
                        let out = &mut columns[(i * 4 + residue) * len + at * pitch + from..];
                        let count = out.len().min(AT_ONCE).min(len - at * pitch - from);
                        for (o, v) in out[..count].iter_mut().zip(values.chunks_exact(4)) {
                            *o = v[residue];
                        }
                    }
                }
                from = to;
            }
        }
        // tiles with a gap between rows, then without
        let used = tiles.rows.len() * pitch;
        let (wide, dense) = rest.split_at_mut(PATCH * len);
        for i in 0..PATCH {
            let d: [&[T]; 4] = std::array::from_fn(|r| &columns[(i * 4 + r) * len..][..used + 1]);
            let (d0, d1, d2, d3) = (d[0], d[1], d[2], d[3]);
            let mut parts = wide.chunks_exact_mut(len);
            let mut next = || parts.next().map(|p| &mut p[..used]).unwrap_or_default();
            let out = [next(), next(), next(), next(), next(), next()];
            let [o0, o1, o2, o3, o4, o5] = out;
            for t in 0..used {
                let v = spread([d0[t], d1[t], d2[t], d3[t], d0[t + 1], d1[t + 1]]);
                (o0[t], o1[t], o2[t], o3[t], o4[t], o5[t]) = (v[0], v[1], v[2], v[3], v[4], v[5]);
            }
            for j in 0..PATCH {
                let source = &wide[j * len..][..len];
                for row in 0..tiles.rows.len() {
                    let (mut from, mut to, mut left) = (row * pitch, row * across, across);
                    while left >= LANES {
                        dense[to..to + LANES].copy_from_slice(&source[from..from + LANES]);
                        (from, to, left) = (from + LANES, to + LANES, left - LANES);
                    }
                    // whole vectors again; `len` and the buffer leave room
                    dense[to..to + LANES].copy_from_slice(&source[from..from + LANES]);
                }
                let mut column = 0;
                while column < tiles.columns {
                    // a narrower last panel has narrower rows
                    let lanes = width.min(tiles.columns - column).next_multiple_of(lanes);
                    let at = ((column / width) * PRODUCTS + i * PATCH + j) * shape.channels * width
                        + channel * lanes;
                    // SAFETY: inside the panel's part of `inputs`; no other task has this channel.
                    let out =
                        unsafe { std::slice::from_raw_parts_mut(target.get().add(at), lanes) };
                    out.copy_from_slice(&dense[column..column + lanes]);
                    column += width;
                }
            }
        }
    }
}

/// `Aᵀ m A` for the tiles of one panel and the outputs of one group.
struct Outputs<'a, T> {
    shape: &'a Shape,
    rows: Range<usize>,
    /// First column of the panel.
    first: usize,
    lanes: usize,
    /// By product, output, column.
    sums: &'a [T],
    /// Room for 28 rows of columns.
    lines: &'a mut [T],
    tiles: &'a Tiles,
    bias: Option<&'a [T]>,
    relu: bool,
    y: Shared<T>,
}

/// `Aᵀ` times a column.
#[inline(always)]
fn collect<T: Element>(m: [T; 6]) -> [T; 4] {
    let [near, far, near2, far2] = [NEAR, FAR, NEAR2, FAR2].map(T::from_f64);
    let (near3, far3) = (T::from_f64(NEAR2 * NEAR), T::from_f64(FAR2 * FAR));
    let (a, b, c, d) = (m[1] + m[2], m[1] - m[2], m[3] + m[4], m[3] - m[4]);
    [m[0] + a + c, near * b + far * d, near2 * a + far2 * c, near3 * b + far3 * d + m[5]]
}

impl<T: Element> Vectorized for Outputs<'_, T> {
    #[inline(always)]
    fn run(self) {
        let Self { shape, rows, first, lanes, sums, lines, tiles, bias, relu, y } = self;
        let [oh, ow] = shape.output;
        let [down, across] = shape.tiles();
        let count = lanes.min(tiles.columns - first);
        let (halves, line) = lines.split_at_mut(TILE * PATCH * lanes);
        for (r, m) in rows.clone().enumerate() {
            let base = bias.map_or(T::zero(), |b| b[m]);
            for j in 0..PATCH {
                let s: [&[T]; PATCH] = std::array::from_fn(|i| {
                    &sums[((i * PATCH + j) * rows.len() + r) * lanes..][..lanes]
                });
                let (h0, rest) = halves[j * TILE * lanes..][..TILE * lanes].split_at_mut(lanes);
                let (h1, rest) = rest.split_at_mut(lanes);
                let (h2, h3) = rest.split_at_mut(lanes);
                for l in 0..lanes {
                    let v = collect([s[0][l], s[1][l], s[2][l], s[3][l], s[4][l], s[5][l]]);
                    (h0[l], h1[l], h2[l], h3[l]) = (v[0], v[1], v[2], v[3]);
                }
            }
            for i in 0..TILE {
                let h: [&[T]; PATCH] =
                    std::array::from_fn(|j| &halves[(j * TILE + i) * lanes..][..lanes]);
                let line = &mut line[..TILE * lanes];
                for (l, out) in line.chunks_exact_mut(TILE).enumerate() {
                    let mut v = collect([h[0][l], h[1][l], h[2][l], h[3][l], h[4][l], h[5][l]]);
                    for v in &mut v {
                        *v += base;
                        *v = if relu && *v <= T::zero() { T::zero() } else { *v };
                    }
                    out.copy_from_slice(&v);
                }
                let mut at = 0;
                while at < count {
                    let (row, column) =
                        (tiles.rows.start + (first + at) / across, (first + at) % across);
                    let run = (across - column).min(count - at);
                    let down_at = row % down * TILE + i;
                    if down_at < oh {
                        let to = (((row / down) * shape.outputs + m) * oh + down_at) * ow
                            + column * TILE;
                        let len = (run * TILE).min(ow - column * TILE);
                        let source = &line[at * TILE..][..len];
                        // SAFETY: inside row `down_at` of output `m`; no other task has these tiles and outputs.
                        unsafe {
                            std::ptr::copy_nonoverlapping(source.as_ptr(), y.get().add(to), len)
                        };
                    }
                    at += run;
                }
            }
        }
    }
}
