//! The transposed convolution as one matrix product, whose rows are then added where each tap puts them.
//!
//! It gathers nothing, and so wins where gathering costs most: for images a few pixels wide, for few channels on the
//! larger side, and for strides that would cut the work into several sliding sums.

use super::geometry::Sizes;
use super::lanes::interleave;
use crate::cpu::kernel::{Block, Element, Kernel, Vectorized};
use crate::cpu::{Shared, scratch, team};
use std::ops::Range;

/// Elements of the product at a time: they stay in the last-level cache.
const PRODUCT: usize = 1 << 20;
/// Elements of the product of one task: they stay in the second-level cache.
const OWN_PRODUCT: usize = 1 << 17;
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
    let groups = kernel.row_groups(rows);
    let places = Places::new(s);
    scratch::with(s.outputs * rows, |packed: &mut [T]| {
        pack(s.outputs, rows, &groups, weight, packed);
        let job =
            Job { s, kernel, x, packed, groups: &groups, places: &places, finish: (bias, relu) };
        let width = kernel.columns();
        let sample = s.channels * plane;
        // many small images: each task multiplies and adds a few, whose product stays in its second-level cache
        let few = (2 * width).div_ceil(pixels);
        let tasks = s.batch.div_ceil(few);
        if rows * few * pixels <= OWN_PRODUCT && tasks >= 2 * rayon::current_num_threads() {
            team::all(y.chunks_mut(few * sample).enumerate(), |(part, y)| {
                let columns = y.len() / sample * pixels;
                let pitch = columns.next_multiple_of(width);
                scratch::with(pitch * rows, |product: &mut [T]| {
                    let target = Shared(product.as_mut_ptr());
                    for from in (0..columns).step_by(width) {
                        job.multiply(part * few, [from, columns], pitch, target);
                    }
                    for (image, y) in y.chunks_mut(sample).enumerate() {
                        job.add(product, pitch, image, y);
                    }
                });
            });
            return;
        }
        let images = (PRODUCT / (rows * pixels).max(1)).clamp(1, s.batch);
        scratch::with((images * pixels).next_multiple_of(width) * rows, |product: &mut [T]| {
            for (part, y) in y.chunks_mut(images * sample).enumerate() {
                let columns = y.len() / sample * pixels;
                let pitch = columns.next_multiple_of(width);
                let target = Shared(product.as_mut_ptr());
                team::each(columns.div_ceil(width), |panel| {
                    job.multiply(part * images, [panel * width, columns], pitch, target);
                });
                let product = &*product;
                team::all(y.chunks_mut(sample).enumerate(), |(image, y)| {
                    job.add(product, pitch, image, y);
                });
            }
        });
    });
}

struct Job<'a, T: 'static> {
    s: &'a Sizes,
    kernel: &'a Kernel<T>,
    x: &'a [T],
    packed: &'a [T],
    groups: &'a [Range<usize>],
    places: &'a Places,
    /// The bias, and whether negative results become zero.
    finish: (Option<&'a [T]>, bool),
}

impl<T: Element> Job<'_, T> {
    /// The panel of the product that begins at `from`, of `columns` that are counted from `image` on.
    fn multiply(&self, image: usize, [from, columns]: [usize; 2], pitch: usize, target: Shared<T>) {
        let (s, width) = (self.s, self.kernel.columns());
        let pixels = s.output[0] * s.output[1];
        let lanes = width.min(columns - from);
        scratch::with(s.outputs * width, |right: &mut [T]| {
            let x = &self.x[image * s.outputs * pixels..];
            let outputs = s.outputs;
            self.kernel.vectorized(Columns { x, outputs, pixels, from, lanes, width, right });
            for depth in (0..s.outputs).step_by(DEPTH) {
                let deep = DEPTH.min(s.outputs - depth);
                for group in self.groups {
                    let a = &self.packed[s.outputs * group.start + depth * group.len()..]
                        [..deep * group.len()];
                    let block = Block {
                        rows: group.len(),
                        vectors: self.kernel.vectors,
                        depth: deep,
                        a: a.as_ptr(),
                        b: right[depth * width..][..deep * width].as_ptr(),
                        // SAFETY: row `group.start` and column `from` are inside the product; no other task has these
                        // columns.
                        c: unsafe { target.get().add(group.start * pitch + from) },
                        ldc: pitch,
                        accumulate: depth > 0,
                        add: false,
                        bias: std::ptr::null(),
                        relu: false,
                    };
                    // SAFETY: as above; the slices were cut to the sizes that the block names.
                    unsafe { (self.kernel.block)(&block) };
                }
            }
        });
    }

    /// Adds the product's rows for its image number `image` into the planes of `y`.
    fn add(&self, product: &[T], pitch: usize, image: usize, y: &mut [T]) {
        let Self { s, places, finish, .. } = *self;
        scratch::with(s.stride[1] * places.line, |line: &mut [T]| {
            let image = image * s.output[0] * s.output[1];
            let scatter = Scatter { s, places, product, pitch, image, finish, line, y };
            self.kernel.vectorized(scatter);
        });
    }
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

/// Where each tap's products go.
struct Places {
    /// For each row of the larger side: the taps that reach it, and the row of the smaller side that each takes there.
    down: Vec<Vec<(usize, usize)>>,
    /// For each horizontal tap: where its first product goes in a line whose columns are sorted by residue of the stride,
    /// so that each tap adds neighbours to neighbours.
    across: Vec<usize>,
    /// Columns of one residue, with room on both sides for products that padding cuts off.
    line: usize,
    /// Room on the left.
    margin: usize,
}

impl Places {
    fn new(s: &Sizes) -> Self {
        let down = |row: usize| {
            let taps = (0..s.kernel[0]).filter_map(|tap| {
                let from = (row + s.padding[0]).checked_sub(tap * s.dilation[0])?;
                let i = from / s.stride[0];
                (from % s.stride[0] == 0 && i < s.output[0]).then_some((tap, i))
            });
            taps.collect()
        };
        // column j of the product goes to (j + whole) · stride + residue
        let step = s.stride[1] as isize;
        let shifts = (0..s.kernel[1])
            .map(|tap| (tap * s.dilation[1]) as isize - s.padding[1] as isize)
            .map(|shift| (shift.div_euclid(step), shift.rem_euclid(step) as usize));
        let shifts: Vec<(isize, usize)> = shifts.collect();
        let least = shifts.iter().map(|s| s.0).min().unwrap_or(0).min(0);
        let most = shifts.iter().map(|s| s.0).max().unwrap_or(0).max(0);
        let margin = least.unsigned_abs();
        let columns = s.input[1].div_ceil(s.stride[1]);
        let line = margin + columns.max(most as usize + s.output[1]);
        let place = |(whole, residue)| residue * line + (whole - least) as usize;
        Self {
            down: (0..s.input[0]).map(down).collect(),
            across: shifts.into_iter().map(place).collect(),
            line,
            margin,
        }
    }
}

/// Adds the rows of one image into its planes.
struct Scatter<'a, T> {
    s: &'a Sizes,
    places: &'a Places,
    product: &'a [T],
    pitch: usize,
    /// The image's first column of the product.
    image: usize,
    /// What sums begin with for each channel, and whether negative ones become zero.
    finish: (Option<&'a [T]>, bool),
    line: &'a mut [T],
    y: &'a mut [T],
}

impl<T: Element> Vectorized for Scatter<'_, T> {
    #[inline(always)]
    fn run(self) {
        let Self { s, places, product, pitch, image, finish: (bias, relu), line, y } = self;
        let ([height, width], columns) = (s.input, s.output[1]);
        let (area, across) = (s.kernel[0] * s.kernel[1], s.kernel[1]);
        for (channel, y) in y.chunks_exact_mut(height * width).enumerate() {
            let base = bias.map_or(T::zero(), |b| b[channel]);
            for (y, down) in y.chunks_exact_mut(width).zip(&places.down) {
                line.fill(base);
                for &(tap, i) in down {
                    let first = (channel * area + tap * across) * pitch + image + i * columns;
                    for (tap, &place) in places.across.iter().enumerate() {
                        let source = &product[first + tap * pitch..][..columns];
                        add(&mut line[place..][..columns], source);
                    }
                }
                if relu {
                    line.iter_mut().for_each(|v| *v = if *v <= T::zero() { T::zero() } else { *v });
                }
                let mut residues = line.chunks_exact(places.line).map(|l| &l[places.margin..]);
                match s.stride[1] {
                    1 => y.copy_from_slice(&line[places.margin..][..width]),
                    2 => {
                        let mut next = || residues.next().unwrap_or_default();
                        interleave(next(), next(), y);
                    }
                    step => {
                        for (residue, line) in residues.enumerate() {
                            let y = y.iter_mut().skip(residue).step_by(step);
                            y.zip(line).for_each(|(y, &v)| *y = v);
                        }
                    }
                }
            }
        }
    }
}

/// Adds each element; the lengths of small images without a loop.
#[inline(always)]
fn add<T: Element>(out: &mut [T], x: &[T]) {
    #[inline(always)]
    fn all<T: Element>(out: &mut [T], x: &[T]) {
        out.iter_mut().zip(x).for_each(|(o, &v)| *o += v);
    }
    match out.len() {
        4 => all(&mut out[..4], &x[..4]),
        8 => all(&mut out[..8], &x[..8]),
        16 => all(&mut out[..16], &x[..16]),
        _ => all(out, x),
    }
}
