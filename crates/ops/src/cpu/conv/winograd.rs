//! Winograd's method F(m×m, 3×3): each m×m tile of the result from a tile of the input with (m + 2)² products in place
//! of 9 m².
//!
//! `y = Aᵀ [Σ_c (G w Gᵀ) ⊙ (Bᵀ x B)] A`. Lavin and Gray, "Fast algorithms for convolutional neural networks", 2015,
//! section 4. The sum over channels is one matrix product for each product of a tile.
//!
//! The channels are summed in groups: with the points of `points.rs` that makes the error of F(4×4, 3×3) nine times smaller,
//! no larger than the direct sum's (1.0e-6 against 1.4e-6 of the largest value, 256 channels).

mod points;
mod tiles;

use super::geometry::Sizes;
use super::target::Target;
use crate::cpu::kernel::{Block, Element, Kernel, MAX_COLUMNS, MAX_ROWS};
use crate::cpu::{Shared, scratch, team};
use std::ops::Range;
pub(super) use tiles::Input;
use tiles::{FilterRows, InputChannel, Outputs, Tiles};

/// Elements of the transformed input at a time: they stay in the last-level cache.
const INPUTS: usize = 2 << 20;
/// Filters that are transformed together.
const LANES: usize = 16;
/// Channels of one chain of multiply-adds.
const CHAIN: usize = 64;

/// Rows and columns of a filter.
const FILTER: usize = 3;

/// Sizes of tiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    /// F(4×4, 3×3): 36 products for 16 results in place of 144.
    Four3,
    /// F(2×2, 3×3): 16 products for 4 results in place of 36; rounds less.
    Two3,
}

impl Method {
    /// Rows and columns of a tile of the result.
    fn tile(self) -> usize {
        if self == Self::Four3 { 4 } else { 2 }
    }

    /// Products of a tile.
    fn products(self) -> usize {
        (self.tile() + FILTER - 1).pow(2)
    }
}

/// The sizes of a convolution of stride 1, forwards or for the gradient of its input.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    method: Method,
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
        let area = FILTER * FILTER;
        Self::applies(s).then_some(Self {
            method: Method::Four3,
            batch: s.batch,
            channels: s.channels,
            outputs: s.outputs,
            input: s.input,
            output: s.output,
            padding: s.padding,
            weight: [s.channels * area, area],
            mirrored: false,
        })
    }

    /// Its transpose, likewise.
    pub(super) fn transposed(s: &Sizes) -> Option<Self> {
        let area = FILTER * FILTER;
        Self::applies(s).then_some(Self {
            method: Method::Four3,
            batch: s.batch,
            channels: s.outputs,
            outputs: s.channels,
            input: s.output,
            output: s.input,
            padding: s.padding.map(|p| FILTER.saturating_sub(1 + p)),
            weight: [area, s.channels * area],
            mirrored: true,
        })
    }

    fn applies(s: &Sizes) -> bool {
        let fits = |p: usize| p < FILTER;
        let plain = s.stride == [1; 2] && s.dilation == [1; 2];
        plain && s.kernel == [FILTER; 2] && s.padding.into_iter().all(fits)
    }

    /// The same with smaller tiles, whose results are rounded less, if there are such.
    pub(super) fn precise(self) -> Option<Self> {
        (self.method == Method::Four3).then_some(Self { method: Method::Two3, ..self })
    }

    /// Rows and columns of tiles of an image.
    fn tiles(&self) -> [usize; 2] {
        self.output.map(|n| n.div_ceil(self.method.tile()))
    }

    /// Whether it is expected to be faster than the direct sum for so many images; `ready` says that the filters are
    /// transformed already.
    ///
    /// In the direct sum's multiplications and additions for each pair of output and channel, as measured on an AMD EPYC 9004
    /// (`benches/layers`).
    pub(super) fn pays(&self, images: usize, ready: bool) -> bool {
        let [rows, columns] = self.tiles();
        let tiles = (images * rows * columns) as f64;
        let pixels = (images * self.output[0] * self.output[1]) as f64;
        let (channels, outputs) = (self.channels as f64, self.outputs as f64);
        let each = self.method.products() as f64;
        let products = 1.55 * (tiles / 16.0).ceil() * 16.0 * each;
        let transforms = tiles * (850.0 / outputs + 630.0 / channels) * each / 36.0;
        // filters that leave the caches are bound by the memory, once written and once read
        let large = each * channels * outputs > (4 << 20) as f64;
        let filters = each / 36.0
            * match (ready, large) {
                (true, false) => 100.0,
                (true, true) => 450.0,
                (false, false) => 850.0,
                (false, true) => 1200.0,
            };
        products + transforms + filters < pixels * (FILTER * FILTER) as f64
    }
}

/// Transformed filters: by group of outputs, product, channel, output.
#[derive(Debug)]
pub(super) struct Filters<T>(Vec<T>);

/// `G w Gᵀ` for all filters.
pub(super) fn transform<T: Element>(shape: &Shape, kernel: &Kernel<T>, weight: &[T]) -> Filters<T> {
    match shape.method {
        Method::Four3 => transform_by::<T, 6>(shape, kernel, weight),
        Method::Two3 => transform_by::<T, 4>(shape, kernel, weight),
    }
}

fn transform_by<T: Element, const P: usize>(
    shape: &Shape,
    kernel: &Kernel<T>,
    weight: &[T],
) -> Filters<T> {
    let mut out = crate::cpu::uninit(P * P * shape.outputs * shape.channels);
    let mut rest = out.as_mut_slice();
    let mut parts = vec![];
    for rows in kernel.row_groups(shape.outputs) {
        let (part, after) = rest.split_at_mut(P * P * shape.channels * rows.len());
        parts.push((rows, part));
        rest = after;
    }
    let each = |(rows, out): (Range<usize>, &mut [T])| {
        kernel.vectorized(FilterRows::<T, P> { shape, weight, rows, out })
    };
    if shape.outputs * shape.channels < 1 << 10 {
        parts.into_iter().for_each(each);
    } else {
        team::all(parts, each);
    }
    Filters(out)
}

/// Computes `y`, plus the bias, rectified where asked for.
pub(super) fn run<T: Element>(
    shape: &Shape,
    kernel: &Kernel<T>,
    x: Input<'_, T>,
    filters: &Filters<T>,
    bias: Option<&[T]>,
    relu: bool,
    y: Target<'_, T>,
) {
    match shape.method {
        Method::Four3 => run_by::<T, 6, 4, 64>(shape, kernel, x, filters, (bias, relu), y),
        Method::Two3 => run_by::<T, 4, 2, 32>(shape, kernel, x, filters, (bias, relu), y),
    }
}

fn run_by<T: Element, const P: usize, const M: usize, const W: usize>(
    shape: &Shape,
    kernel: &Kernel<T>,
    x: Input<'_, T>,
    filters: &Filters<T>,
    (bias, relu): (Option<&[T]>, bool),
    y: Target<'_, T>,
) {
    let products = P * P;
    let [down, across] = shape.tiles();
    let all = shape.batch * down;
    if all * across * shape.outputs == 0 {
        return;
    }
    let y = y.planes(shape.batch, shape.outputs * shape.output[0] * shape.output[1]);
    let width = kernel.columns();
    // whole rows of tiles, as many as keep the transformed input in the cache
    let most = (INPUTS / (products * shape.channels * width)).max(1) * width;
    let rows_each = (most / across).clamp(1, all);
    let groups = kernel.row_groups(shape.outputs);
    let panels_most = (rows_each * across).div_ceil(width);
    scratch::with(panels_most * products * shape.channels * width, |inputs: &mut [T]| {
        for first in (0..all).step_by(rows_each) {
            let rows = first..(first + rows_each).min(all);
            let tiles = Tiles { columns: rows.len() * across, rows };
            let panels = tiles.columns.div_ceil(width);
            let target = Shared(inputs.as_mut_ptr());
            team::each(shape.channels, |channel| {
                let len = tiles.rows.len() * (across + (P - 1) / M) + LANES;
                let room = P * ((M + 1) * len + tiles.columns + LANES);
                scratch::with(room, |buffer: &mut [T]| {
                    kernel.vectorized(InputChannel::<T, P, M, W> {
                        shape,
                        x,
                        channel,
                        tiles: &tiles,
                        width,
                        kernel,
                        buffer,
                        target,
                    });
                });
            });
            // few channels: patches of one panel stay in the second-level cache; many: the filters of one group do
            let by_panel = products * shape.channels * width <= 180_000;
            let inputs = &*inputs;
            team::each(panels * groups.len(), |task| {
                let (panel, group) = if by_panel {
                    (task / groups.len(), task % groups.len())
                } else {
                    (task % panels, task / panels)
                };
                let rows = groups[group].clone();
                let lanes = width.min(tiles.columns - panel * width).next_multiple_of(kernel.lanes);
                scratch::with((products + 2) * MAX_ROWS * MAX_COLUMNS, |buffer: &mut [T]| {
                    let (sums, lines) = buffer.split_at_mut(products * MAX_ROWS * MAX_COLUMNS);
                    for p in 0..products {
                        let a =
                            &filters.0[(products * rows.start + p * rows.len()) * shape.channels..];
                        let b = &inputs[(panel * products + p) * shape.channels * width..];
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
                    kernel.vectorized(Outputs::<T, P, M> {
                        shape,
                        rows,
                        first,
                        lanes,
                        kernel,
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

#[cfg(test)]
mod tests;
