//! The transposed convolution as one matrix product, whose rows are then added where each tap puts them.
//!
//! It gathers nothing, and so wins where gathering costs most: for images a few pixels wide, for few channels on the
//! larger side, and for strides that would cut the work into several sliding sums.

use super::direct::Shared;
use super::geometry::Sizes;
use crate::kernel::{Block, Element, Kernel, Vectorized};
use crate::scratch;
use rayon::prelude::*;
use std::ops::Range;

/// Elements of the product at a time: they stay in the last-level cache.
const PRODUCT: usize = 1 << 20;
/// Depth of one block: the right side stays in the first-level cache.
const DEPTH: usize = 256;

/// Whether this is expected to be faster than sliding sums.
pub(super) fn pays(s: &Sizes) -> bool {
    s.kernel[0] * s.kernel[1] > 1 && (s.stride != [1; 2] || s.channels < 8 || s.output[1] < 8)
}

/// Computes `y` on the larger side from `x` on the smaller, plus the bias, rectified where asked for.
pub(super) fn run<T: Element>(
    s: &Sizes,
    kernel: &Kernel<T>,
    x: &[T],
    weight: &[T],
    bias: Option<&[T]>,
    relu: bool,
    y: &mut [T],
) {
    let pixels = s.output[0] * s.output[1];
    let rows = s.channels * s.kernel[0] * s.kernel[1];
    let plane = s.input[0] * s.input[1];
    if s.batch * plane * s.channels == 0 {
        return;
    }
    assert_eq!(x.len(), s.batch * s.outputs * pixels);
    assert_eq!(weight.len(), s.outputs * rows);
    assert_eq!(y.len(), s.batch * s.channels * plane);
    let width = kernel.columns();
    let images = (PRODUCT / (rows * pixels).max(1)).clamp(1, s.batch);
    let pitch_most = (images * pixels).next_multiple_of(width);
    let groups = kernel.row_groups(rows);
    scratch::with(s.outputs * rows, |packed: &mut [T]| {
        pack(s.outputs, rows, &groups, weight, packed);
        let packed = &*packed;
        scratch::with(pitch_most * rows, |product: &mut [T]| {
            for (part, y) in y.chunks_mut(images * s.channels * plane).enumerate() {
                let count = y.len() / (s.channels * plane);
                let columns = count * pixels;
                let pitch = columns.next_multiple_of(width);
                let x = &x[part * images * s.outputs * pixels..][..s.outputs * columns];
                let target = Shared(product.as_mut_ptr());
                (0..columns.div_ceil(width)).into_par_iter().for_each(|panel| {
                    let from = panel * width;
                    let lanes = width.min(columns - from);
                    scratch::with(s.outputs * width, |right: &mut [T]| {
                        kernel.vectorized(Columns {
                            x,
                            outputs: s.outputs,
                            pixels,
                            from,
                            lanes,
                            width,
                            right,
                        });
                        for depth in (0..s.outputs).step_by(DEPTH) {
                            let deep = DEPTH.min(s.outputs - depth);
                            for group in &groups {
                                let a = &packed[s.outputs * group.start + depth * group.len()..]
                                    [..deep * group.len()];
                                let block = Block {
                                    rows: group.len(),
                                    vectors: kernel.vectors,
                                    depth: deep,
                                    a: a.as_ptr(),
                                    b: right[depth * width..][..deep * width].as_ptr(),
                                    // SAFETY: row `group.start` and column `from` are inside the product; no other
                                    // task has these columns.
                                    c: unsafe { target.get().add(group.start * pitch + from) },
                                    ldc: pitch,
                                    accumulate: depth > 0,
                                    add: false,
                                    bias: std::ptr::null(),
                                    relu: false,
                                };
                                // SAFETY: as above; the slices were cut to the sizes that the block names.
                                unsafe { (kernel.block)(&block) };
                            }
                        }
                    });
                });
                let product = &*product;
                y.par_chunks_mut(plane).enumerate().for_each(|(i, y)| {
                    let (image, channel) = (i / s.channels, i % s.channels);
                    let base = bias.map_or(T::zero(), |b| b[channel]);
                    // the columns of a row by residue of the stride, so that each tap adds neighbours to neighbours
                    scratch::with(s.stride[1] * s.input[1].div_ceil(s.stride[1]), |line| {
                        let (place, finish) = ([image, channel], (base, relu));
                        kernel.vectorized(Scatter { s, product, pitch, place, finish, line, y });
                    });
                });
            }
        });
    });
}

/// By group of rows, output, row; the weight is `(outputs, rows)`.
fn pack<T: Element>(
    outputs: usize,
    rows: usize,
    groups: &[Range<usize>],
    weight: &[T],
    out: &mut [T],
) {
    for group in groups {
        let out = &mut out[outputs * group.start..][..outputs * group.len()];
        for (out, row) in out.chunks_exact_mut(group.len()).zip(weight.chunks_exact(rows)) {
            out.copy_from_slice(&row[group.clone()]);
        }
    }
}

/// Copies `lanes` columns, counted over images and pixels, of all outputs side by side.
struct Columns<'a, T> {
    x: &'a [T],
    outputs: usize,
    pixels: usize,
    from: usize,
    lanes: usize,
    width: usize,
    right: &'a mut [T],
}

impl<T: Element> Vectorized for Columns<'_, T> {
    #[inline(always)]
    fn run(self) {
        let Self { x, outputs, pixels, from, lanes, width, right } = self;
        let mut lane = 0;
        while lane < lanes {
            let (image, pixel) = ((from + lane) / pixels, (from + lane) % pixels);
            let len = (pixels - pixel).min(lanes - lane);
            let x = &x[image * outputs * pixels + pixel..];
            match len {
                1 => {
                    for (out, &v) in
                        right[lane..].iter_mut().step_by(width).zip(x.iter().step_by(pixels))
                    {
                        *out = v;
                    }
                }
                16 | 32 => {
                    for k in 0..outputs {
                        for l in (0..len).step_by(16) {
                            let x = &x[k * pixels + l..][..16];
                            right[k * width + lane + l..][..16].copy_from_slice(x);
                        }
                    }
                }
                _ => {
                    for k in 0..outputs {
                        right[k * width + lane..][..len].copy_from_slice(&x[k * pixels..][..len]);
                    }
                }
            }
            lane += len;
        }
        // what no pixel uses must still be numbers
        if lanes < width {
            right.chunks_exact_mut(width).for_each(|row| row[lanes..].fill(T::zero()));
        }
    }
}

/// Adds the rows of one image and channel into its plane.
struct Scatter<'a, T> {
    s: &'a Sizes,
    product: &'a [T],
    pitch: usize,
    /// Image and channel.
    place: [usize; 2],
    /// What sums begin with, and whether negative ones become zero.
    finish: (T, bool),
    line: &'a mut [T],
    y: &'a mut [T],
}

impl<T: Element> Vectorized for Scatter<'_, T> {
    #[inline(always)]
    fn run(self) {
        let Self { s, product, pitch, place: [image, channel], finish: (base, relu), line, y } =
            self;
        let (pixels, area) = (s.output[0] * s.output[1], s.kernel[0] * s.kernel[1]);
        let width = s.input[1];
        let finish = |v: T| if relu && v <= T::zero() { T::zero() } else { v };
        let (step, across) = (s.stride[1], s.input[1].div_ceil(s.stride[1]));
        for (row, y) in y.chunks_exact_mut(width).enumerate() {
            line.fill(base);
            for ky in 0..s.kernel[0] {
                let Some(from) = (row + s.padding[0]).checked_sub(ky * s.dilation[0]) else {
                    continue;
                };
                let (i, rest) = (from / s.stride[0], from % s.stride[0]);
                if rest != 0 || i >= s.output[0] {
                    continue;
                }
                for kx in 0..s.kernel[1] {
                    // column j of the product goes to j·step + shift
                    let shift = (kx * s.dilation[1]) as isize - s.padding[1] as isize;
                    let residue = shift.rem_euclid(step as isize) as usize;
                    let to = shift.div_euclid(step as isize);
                    let skip = (-to).max(0) as usize;
                    let first = to.max(0) as usize;
                    let columns = (width - residue.min(width)).div_ceil(step);
                    if skip >= s.output[1] || first >= columns {
                        continue;
                    }
                    let len = (s.output[1] - skip).min(columns - first);
                    let at = (channel * area + ky * s.kernel[1] + kx) * pitch;
                    let source = &product[at + image * pixels + i * s.output[1] + skip..][..len];
                    let out = &mut line[residue * across + first..][..len];
                    out.iter_mut().zip(source).for_each(|(o, &v)| *o += v);
                }
            }
            match step {
                1 => y.iter_mut().zip(line.iter()).for_each(|(y, &v)| *y = finish(v)),
                2 => {
                    let (even, odd) = line.split_at(across);
                    for ((y, &a), &b) in y.chunks_exact_mut(2).zip(even).zip(odd) {
                        (y[0], y[1]) = (finish(a), finish(b));
                    }
                    if width % 2 == 1 {
                        y[width - 1] = finish(even[across - 1]);
                    }
                }
                _ => {
                    for (j, y) in y.iter_mut().enumerate() {
                        *y = finish(line[j % step * across + j / step]);
                    }
                }
            }
        }
    }
}
