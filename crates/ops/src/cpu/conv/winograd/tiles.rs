//! The loops of Winograd's method over filters, tiles of the input and tiles of the result: `P × P` points, `M × M` results
//! a tile.

use super::points::{collect, spread, values};
use super::{FILTER, LANES, Shape};
use crate::cpu::Shared;
use crate::cpu::kernel::{Element, Kernel, Vectorized};
use std::ops::Range;

/// Tiles whose input is read together.
const AT_ONCE: usize = 16;

/// One group of outputs.
pub(super) struct FilterRows<'a, T, const P: usize> {
    pub(super) shape: &'a Shape,
    pub(super) weight: &'a [T],
    pub(super) rows: Range<usize>,
    pub(super) out: &'a mut [T],
}

impl<T: Element, const P: usize> Vectorized for FilterRows<'_, T, P> {
    #[inline(always)]
    fn run(self) {
        let Self { shape, weight, rows, out } = self;
        let (count, channels) = (rows.len(), shape.channels);
        for c in 0..channels {
            let mut w = [[[T::zero(); LANES]; FILTER]; FILTER];
            for (r, m) in rows.clone().enumerate() {
                let filter =
                    &weight[m * shape.weight[0] + c * shape.weight[1]..][..FILTER * FILTER];
                for (i, w) in w.as_flattened_mut().iter_mut().enumerate() {
                    w[r] = if shape.mirrored { filter[FILTER * FILTER - 1 - i] } else { filter[i] };
                }
            }
            let mut half = [[[T::zero(); LANES]; FILTER]; P];
            for j in 0..FILTER {
                for l in 0..LANES {
                    let v: [T; P] = values(std::array::from_fn::<T, FILTER, _>(|i| w[i][j][l]));
                    for i in 0..P {
                        half[i][j][l] = v[i];
                    }
                }
            }
            for (i, half) in half.iter().enumerate() {
                let mut full = [[T::zero(); LANES]; P];
                for l in 0..LANES {
                    let v: [T; P] = values(std::array::from_fn::<T, FILTER, _>(|j| half[j][l]));
                    for j in 0..P {
                        full[j][l] = v[j];
                    }
                }
                for (j, full) in full.iter().enumerate() {
                    let at = ((i * P + j) * channels + c) * count;
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
pub(super) struct Tiles {
    pub(super) rows: Range<usize>,
    pub(super) columns: usize,
}

/// What is convolved: `x`, or zero where `mask`, of the same shape, is not positive.
#[derive(Clone, Copy)]
pub(in crate::cpu::conv) struct Input<'a, T> {
    pub(in crate::cpu::conv) x: &'a [T],
    pub(in crate::cpu::conv) mask: Option<&'a [T]>,
}

impl<T: Element> Input<'_, T> {
    /// Copies to the places of `wanted` what lies there when the first place is at `from`.
    #[inline(always)]
    fn copy(&self, from: isize, wanted: Range<usize>, out: &mut [T]) {
        let from = (from + wanted.start as isize) as usize;
        let out = &mut out[wanted];
        let x = &self.x[from..][..out.len()];
        match self.mask {
            None => out.copy_from_slice(x),
            Some(mask) => {
                for ((o, &x), &mask) in out.iter_mut().zip(x).zip(&mask[from..]) {
                    *o = if mask <= T::zero() { T::zero() } else { x };
                }
            }
        }
    }
}

/// `Bᵀ x B` for the tiles of one channel.
///
/// `W` is `M · AT_ONCE`.
pub(super) struct InputChannel<'a, T: 'static, const P: usize, const M: usize, const W: usize> {
    pub(super) shape: &'a Shape,
    pub(super) x: Input<'a, T>,
    pub(super) channel: usize,
    pub(super) tiles: &'a Tiles,
    pub(super) width: usize,
    pub(super) kernel: &'a Kernel<T>,
    pub(super) buffer: &'a mut [T],
    /// By panel, product, channel, column.
    pub(super) target: Shared<T>,
}

impl<T: Element, const P: usize, const M: usize, const W: usize> Vectorized
    for InputChannel<'_, T, P, M, W>
{
    #[inline(always)]
    fn run(self) {
        let Self { shape, x, channel, tiles, width, kernel, buffer, target } = self;
        let [h, w] = shape.input;
        let [down, across] = shape.tiles();
        // tiles overlap
        let more = (P - 1) / M;
        let pitch = across + more;
        let len = tiles.rows.len() * pitch + LANES;
        let left = shape.padding[1];
        // the columns of each tile by residue, for each of its rows: M · P arrays over all tiles, a tile apart
        let (columns, rest) = buffer.split_at_mut(M * P * len);
        let (wide, rest) = rest.split_at_mut(P * len);
        // rows of tiles that are narrow share a block
        let together = (AT_ONCE / pitch).max(1);
        for at in (0..tiles.rows.len()).step_by(together) {
            let rows = at..(at + together).min(tiles.rows.len());
            // tile by tile in blocks, so that the rows are read once
            let mut from = 0;
            while from < pitch {
                let to = (from + AT_ONCE).min(pitch);
                let mut patch = [[T::zero(); W]; P];
                let start = (from * M) as isize - left as isize;
                let low = (-start).clamp(0, W as isize) as usize;
                let high =
                    (w as isize - start).clamp(low as isize, (M * (to - from)) as isize) as usize;
                for (place, row) in rows.clone().map(|at| tiles.rows.start + at).enumerate() {
                    let plane = ((row / down) * shape.channels + channel) * h * w;
                    let top = (row % down * M) as isize - shape.padding[0] as isize;
                    for (i, patch) in patch.iter_mut().enumerate() {
                        let y = top + i as isize;
                        if low < high && y >= 0 && y < h as isize {
                            let source = (plane + y as usize * w) as isize + start;
                            x.copy(source, low..high, &mut patch[place * pitch * M..]);
                        }
                    }
                }
                let mut across_rows = [[T::zero(); W]; P];
                for l in 0..W {
                    let t = spread(std::array::from_fn::<T, P, _>(|i| patch[i][l]));
                    for i in 0..P {
                        across_rows[i][l] = t[i];
                    }
                }
                for (i, values) in across_rows.iter().enumerate() {
                    // beyond `to` this writes what the next block or row overwrites; `len` leaves room
                    let lines = &mut columns[i * M * len + at * pitch + from..];
                    assert!(lines.len() >= (M - 1) * len + AT_ONCE);
                    for tile in (0..AT_ONCE).step_by(kernel.lanes) {
                        let (values, line) = (&values[tile * M..], &mut lines[tile..]);
                        // SAFETY: `W` is `AT_ONCE · M`, and the lines were measured.
                        unsafe {
                            (kernel.deinterleave)(M, values.as_ptr(), line.as_mut_ptr(), len)
                        };
                    }
                }
                from = to;
            }
        }
        // the other direction, without the gap between rows
        let room = tiles.columns + LANES;
        for i in 0..P {
            let d: [&[T]; P] = std::array::from_fn(|j| &columns[(i * M + j % M) * len + j / M..]);
            if together == 1 {
                for row in 0..tiles.rows.len() {
                    let rows = [(row * pitch, across), (row * across, room)];
                    spread_line(d, rows[0], rest, rows[1]);
                }
            } else {
                // all at once, and then without the gaps
                spread_line(d, (0, tiles.rows.len() * pitch), wide, (0, len));
                for j in 0..P {
                    let (from, to) = (&wide[j * len..][..len], &mut rest[j * room..][..room]);
                    for row in 0..tiles.rows.len() {
                        // beyond the row this writes what the next one overwrites; there is room behind the last
                        to[row * across..][..AT_ONCE / 2]
                            .copy_from_slice(&from[row * pitch..][..AT_ONCE / 2]);
                    }
                }
            }
            for j in 0..P {
                let dense = &rest[j * room..][..room];
                let mut column = 0;
                while column < tiles.columns {
                    // a narrower last panel has narrower rows
                    let lanes = width.min(tiles.columns - column).next_multiple_of(kernel.lanes);
                    let at = ((column / width) * (P * P) + i * P + j) * shape.channels * width
                        + channel * lanes;
                    // SAFETY: inside the panel's part of `inputs`; no other task has this channel.
                    let out =
                        unsafe { std::slice::from_raw_parts_mut(target.get().add(at), lanes) };
                    let dense = &dense[column..column + lanes];
                    match lanes {
                        // without a loop
                        16 => out[..16].copy_from_slice(&dense[..16]),
                        32 => out[..32].copy_from_slice(&dense[..32]),
                        _ => out.copy_from_slice(dense),
                    }
                    column += width;
                }
            }
        }
    }
}

/// `d B` for `count` tiles from `from` on, to lines of `room` from `to` on; what is written behind them counts for nothing.
#[inline(always)]
fn spread_line<T: Element, const P: usize>(
    d: [&[T]; P],
    (from, count): (usize, usize),
    lines: &mut [T],
    (to, room): (usize, usize),
) {
    for at in (0..count).step_by(LANES) {
        let mut v = [[T::zero(); LANES]; P];
        for (v, d) in v.iter_mut().zip(d) {
            v.copy_from_slice(&d[from + at..][..LANES]);
        }
        let mut out = [[T::zero(); LANES]; P];
        for l in 0..LANES {
            let t = spread(std::array::from_fn::<T, P, _>(|j| v[j][l]));
            for j in 0..P {
                out[j][l] = t[j];
            }
        }
        for (j, out) in out.iter().enumerate() {
            lines[j * room + to + at..][..LANES].copy_from_slice(out);
        }
    }
}

/// `Aᵀ m A` for the tiles of one panel and the outputs of one group.
pub(super) struct Outputs<'a, T: 'static, const P: usize, const M: usize> {
    pub(super) shape: &'a Shape,
    pub(super) rows: Range<usize>,
    /// First column of the panel.
    pub(super) first: usize,
    pub(super) lanes: usize,
    pub(super) kernel: &'a Kernel<T>,
    /// By product, output, column.
    pub(super) sums: &'a [T],
    /// Room for 28 rows of columns.
    pub(super) lines: &'a mut [T],
    pub(super) tiles: &'a Tiles,
    pub(super) bias: Option<&'a [T]>,
    pub(super) relu: bool,
    /// And the distance between its images.
    pub(super) y: (Shared<T>, usize),
}

impl<T: Element, const P: usize, const M: usize> Vectorized for Outputs<'_, T, P, M> {
    #[inline(always)]
    fn run(self) {
        match self.kernel.lanes {
            16 => self.in_vectors::<16>(),
            8 => self.in_vectors::<8>(),
            4 => self.in_vectors::<4>(),
            // f64 on ARM
            _ => self.in_vectors::<2>(),
        }
    }
}

impl<T: Element, const P: usize, const M: usize> Outputs<'_, T, P, M> {
    /// `L` are the kernel's lanes.
    #[inline(always)]
    fn in_vectors<const L: usize>(self) {
        let Self { shape, rows, first, lanes, kernel, sums, lines, tiles, bias, relu, y } = self;
        let (y, image) = y;
        assert!(kernel.lanes == L && lanes % L == 0);
        let [oh, ow] = shape.output;
        let [down, across] = shape.tiles();
        let count = lanes.min(tiles.columns - first);
        let (halves, line) = lines.split_at_mut(M * P * lanes);
        for (r, m) in rows.clone().enumerate() {
            let base = bias.map_or(T::zero(), |b| b[m]);
            for j in 0..P {
                let s: [&[T]; P] = std::array::from_fn(|i| {
                    &sums[((i * P + j) * rows.len() + r) * lanes..][..lanes]
                });
                let half = &mut halves[j * M * lanes..][..M * lanes];
                for at in (0..lanes).step_by(L) {
                    let v = collected::<T, P, M, L>(s, at);
                    for (i, v) in v.iter().enumerate() {
                        half[i * lanes + at..][..L].copy_from_slice(v);
                    }
                }
            }
            for i in 0..M {
                let h: [&[T]; P] = std::array::from_fn(|j| &halves[(j * M + i) * lanes..][..lanes]);
                let line = &mut line[..M * lanes];
                for at in (0..lanes).step_by(L) {
                    let mut v = collected::<T, P, M, L>(h, at);
                    for v in &mut v {
                        for v in v {
                            *v += base;
                            *v = if relu && *v <= T::zero() { T::zero() } else { *v };
                        }
                    }
                    let out = &mut line[M * at..][..M * L];
                    // SAFETY: `v` has `M` rows of the kernel's lanes, `out` as many elements.
                    unsafe { (kernel.interleave)(M, v.as_ptr().cast(), L, out.as_mut_ptr()) };
                }
                let mut at = 0;
                while at < count {
                    let (row, column) =
                        (tiles.rows.start + (first + at) / across, (first + at) % across);
                    let run = (across - column).min(count - at);
                    let down_at = row % down * M + i;
                    if down_at < oh {
                        let to = (row / down) * image + (m * oh + down_at) * ow + column * M;
                        let len = (run * M).min(ow - column * M);
                        let source = &line[at * M..][..len];
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

/// `Aᵀ m` for `L` tiles from `at` on.
#[inline(always)]
fn collected<T: Element, const P: usize, const M: usize, const L: usize>(
    m: [&[T]; P],
    at: usize,
) -> [[T; L]; M] {
    let mut read = [[T::zero(); L]; P];
    for (read, m) in read.iter_mut().zip(m) {
        read.copy_from_slice(&m[at..at + L]);
    }
    let mut out = [[T::zero(); L]; M];
    for l in 0..L {
        let v: [T; M] = collect(std::array::from_fn::<T, P, _>(|i| read[i][l]));
        for i in 0..M {
            out[i][l] = v[i];
        }
    }
    out
}
