//! The gradient of a convolution's weight.

use super::band::{Band, CHUNK};
use super::direct::Shared;
use super::geometry::{Sizes, Sliding};
use crate::kernel::{Correlation, Element, Kernel, MAX_COLUMNS, MAX_ROWS, Vectorized};
use crate::scratch;
use rayon::prelude::*;

/// Elements of the copies made of some images at a time: they stay in the last-level cache.
const COPIES: usize = 1 << 20;

/// `dw[m, c, ky, kx] = Σ g[n, m, oy, ox] · x[n, c, oy·stride − padding + ky·dilation, …]`, in the order of `n`, `oy`, `ox`,
/// whatever the number of threads. `x` is the larger side and `g` the other.
pub(super) fn gradient<T: Element>(
    sizes: &Sizes,
    kernel: &Kernel<T>,
    x: &[T],
    g: &[T],
    out: &mut [T],
) {
    let s = sizes.forward();
    let (area, width) = (s.area(), kernel.columns());
    out.fill(T::zero());
    if s.batch * s.output[0] * s.output[1] == 0 || out.is_empty() {
        return;
    }
    let band = Band::new(&s, s.grid[0]);
    let pixels = s.output[0] * s.output[1];
    let panels = s.outputs.div_ceil(width);
    let (x_len, g_len) = (s.channels * band.channel, panels * pixels * width);
    let images = (COPIES / (x_len + g_len)).clamp(1, s.batch);
    let offsets: Vec<usize> = (0..s.channels * area)
        .map(|i| {
            let (c, tap) = (i / area, i % area);
            let (ty, tx) = (s.taps[0][tap / s.taps[1].len()], s.taps[1][tap % s.taps[1].len()]);
            c * band.channel + band.tap([ty.offset, tx.offset])
        })
        .collect();
    let groups = kernel.row_groups(offsets.len());
    // sums as (panel, place in the filter, output of the panel)
    scratch::with(panels * offsets.len() * width, |sums: &mut [T]| {
        sums.fill(T::zero());
        scratch::with(images * x_len + CHUNK, |bands: &mut [T]| {
            scratch::with(images * g_len, |columns: &mut [T]| {
                for first in (0..s.batch).step_by(images) {
                    let count = images.min(s.batch - first);
                    copy(&s, kernel, &band, first, x, &mut bands[..count * x_len]);
                    columns[..count * g_len].par_chunks_mut(pixels * width).enumerate().for_each(
                        |(i, out)| {
                            let (image, panel) = (first + i / panels, i % panels);
                            let outputs = width.min(s.outputs - panel * width);
                            let g = &g[(image * s.outputs + panel * width) * pixels..]
                                [..outputs * pixels];
                            kernel.vectorized(Transpose {
                                g,
                                pixels,
                                outputs,
                                lanes: kernel.lanes,
                                out,
                            });
                        },
                    );
                    let target = Shared(sums.as_mut_ptr());
                    let (bands, columns) = (&*bands, &*columns);
                    (0..panels * groups.len()).into_par_iter().for_each(|task| {
                        let (panel, group) = (task / groups.len(), &groups[task % groups.len()]);
                        let outputs = width.min(s.outputs - panel * width);
                        let vectors = outputs.div_ceil(kernel.lanes);
                        let mut acc = [T::zero(); MAX_ROWS * MAX_COLUMNS];
                        let row = vectors * kernel.lanes;
                        let sum = Correlation {
                            offsets: &offsets[group.clone()],
                            vectors,
                            x: bands.as_ptr(),
                            stride: band.size[1],
                            g: columns[panel * pixels * width..].as_ptr(),
                            height: s.output[0],
                            width: s.output[1],
                            images: count,
                            next_x: x_len,
                            next_g: g_len,
                            c: acc.as_mut_ptr(),
                        };
                        // SAFETY: each offset plus the last row and column of windows is inside an image's band, of
                        // which there are `count`; `columns` holds one group of `row` elements for each of their pixels.
                        unsafe { (kernel.correlate)(&sum) };
                        for (r, place) in group.clone().enumerate() {
                            for (o, &v) in acc[r * row..][..outputs].iter().enumerate() {
                                // SAFETY: inside `sums`; no other task has this panel and place.
                                unsafe {
                                    *target
                                        .get()
                                        .add((panel * offsets.len() + place) * width + o) += v
                                };
                            }
                        }
                    });
                }
            });
        });
        for (m, out) in out.chunks_exact_mut(offsets.len()).enumerate() {
            let sums = &sums[m / width * offsets.len() * width + m % width..];
            for (o, &v) in out.iter_mut().zip(sums.iter().step_by(width)) {
                *o = v;
            }
        }
    });
}

/// The padded copies of some images.
fn copy<T: Element>(
    s: &Sliding,
    kernel: &Kernel<T>,
    band: &Band,
    first: usize,
    x: &[T],
    out: &mut [T],
) {
    let size = s.channels * s.input[0] * s.input[1];
    out.par_chunks_mut(band.channel).enumerate().for_each(|(i, out)| {
        let (image, c) = (first + i / s.channels, i % s.channels);
        band.fill(s, kernel, &x[image * size..][..size], c..c + 1, 0, out);
    });
}

/// `(outputs, pixels)` to `(pixels, outputs)`, the latter filled with zeros to whole vectors.
struct Transpose<'a, T> {
    g: &'a [T],
    pixels: usize,
    outputs: usize,
    lanes: usize,
    out: &'a mut [T],
}

impl<T: Element> Vectorized for Transpose<'_, T> {
    #[inline(always)]
    fn run(self) {
        const TILE: usize = 8;
        let Self { g, pixels, outputs, lanes, out } = self;
        let row = outputs.next_multiple_of(lanes);
        let (whole, tall) = (pixels / TILE * TILE, outputs / TILE * TILE);
        for o in (0..tall).step_by(TILE) {
            for p in (0..whole).step_by(TILE) {
                let mut tile = [[T::zero(); TILE]; TILE];
                for (i, tile) in tile.iter_mut().enumerate() {
                    tile.copy_from_slice(&g[(o + i) * pixels + p..][..TILE]);
                }
                for j in 0..TILE {
                    let column: [T; TILE] = std::array::from_fn(|i| tile[i][j]);
                    out[(p + j) * row + o..][..TILE].copy_from_slice(&column);
                }
            }
        }
        for o in 0..row {
            let from = if o < tall { whole } else { 0 };
            for p in from..pixels {
                out[p * row + o] = if o < outputs { g[o * pixels + p] } else { T::zero() };
            }
        }
    }
}

/// `db[m] = Σ g[n, m, …]`, image by image.
pub(super) fn bias<T: Element>(outputs: usize, pixels: usize, g: &[T]) -> Vec<T> {
    let mut out = vec![T::zero(); outputs];
    if pixels == 0 {
        return out;
    }
    out.par_iter_mut().enumerate().for_each(|(m, out)| {
        for plane in g.chunks_exact(pixels).skip(m).step_by(outputs) {
            // several sums side by side, in a fixed order
            let mut sums = [T::zero(); 16];
            let parts = plane.chunks_exact(16);
            let rest = parts.remainder().iter().fold(T::zero(), |s, &v| s + v);
            for part in parts {
                sums.iter_mut().zip(part).for_each(|(s, &v)| *s += v);
            }
            *out += sums.into_iter().fold(rest, |s, v| s + v);
        }
    });
    out
}
