//! Linear maps of the rows and columns of images: resizing and blurring, with their gradients.

use crate::cpu::has_kernels;
use crate::device::tensor_like;
use crate::tape::apply1;
use candle_core::{Result, Tensor, bail};
use std::sync::Arc;

/// A sparse matrix that makes a line of `len` numbers out of one of `input`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Line {
    pub(crate) input: usize,
    /// Where the terms of each output begin, and the end.
    pub(crate) from: Vec<usize>,
    /// Place in the input and weight.
    pub(crate) terms: Vec<(usize, f64)>,
}

impl Line {
    /// `terms(i)` lists the places and weights of output `i`.
    fn new(input: usize, len: usize, mut terms: impl FnMut(usize) -> Vec<(usize, f64)>) -> Self {
        let mut line = Self { input, from: vec![0], terms: vec![] };
        for i in 0..len {
            line.terms.extend(terms(i));
            line.from.push(line.terms.len());
        }
        line
    }

    pub(crate) fn len(&self) -> usize {
        self.from.len() - 1
    }

    fn of(&self, i: usize) -> &[(usize, f64)] {
        &self.terms[self.from[i]..self.from[i + 1]]
    }

    pub(crate) fn transposed(&self) -> Self {
        let mut terms = vec![vec![]; self.input];
        for i in 0..self.len() {
            for &(at, weight) in self.of(i) {
                terms[at].push((i, weight));
            }
        }
        Self::new(self.len(), self.input, |i| std::mem::take(&mut terms[i]))
    }

    fn dense(&self, like: &Tensor) -> Result<Tensor> {
        let mut matrix = vec![0.0; self.len() * self.input];
        for i in 0..self.len() {
            for &(at, weight) in self.of(i) {
                matrix[i * self.input + at] += weight;
            }
        }
        tensor_like(matrix, (self.len(), self.input), like)
    }
}

/// One map of the columns (vertical) and one of the rows (horizontal) of each plane.
#[derive(Debug, Clone)]
pub(crate) struct Separable {
    pub(crate) name: &'static str,
    pub(crate) vertical: Arc<Line>,
    pub(crate) horizontal: Arc<Line>,
}

impl Separable {
    fn apply(self, x: &Tensor) -> Result<Tensor> {
        if has_kernels(x) {
            return apply1(&x.contiguous()?, self);
        }
        let (n, c, h, w) = x.dims4()?;
        let rows = x.reshape((n * c * h, w))?.matmul(&self.horizontal.dense(x)?.t()?)?;
        let rows = rows.reshape((n * c, h, ()))?;
        let y = self.vertical.dense(x)?.broadcast_matmul(&rows)?;
        y.reshape((n, c, self.vertical.len(), self.horizontal.len()))
    }
}

fn resize(
    name: &'static str,
    x: &Tensor,
    [height, width]: [usize; 2],
    line: impl Fn(usize, usize) -> Line,
) -> Result<Tensor> {
    let (_, _, h, w) = x.dims4()?;
    if h * w == 0 || height * width == 0 {
        bail!("resizing expects sizes of at least 1, got {h}x{w} to {height}x{width}");
    }
    let (vertical, horizontal) = (Arc::new(line(h, height)), Arc::new(line(w, width)));
    Separable { name, vertical, horizontal }.apply(x)
}

/// Resizes `(batch, channels, height, width)` to `[height, width]` by linear interpolation between pixel centres.
///
/// PyTorch's `interpolate(mode="bilinear", align_corners=False)`; with `antialias` the triangle is as wide as the step
/// between outputs when it shrinks (PyTorch's `antialias=True`, Pillow's `BILINEAR`).
///
/// ```
/// use candle_core::{Device, Tensor};
/// use sconce_ops::separable::resize_bilinear;
///
/// let x = Tensor::new(&[[[[0f32, 1.]]]], &Device::Cpu)?;
/// let y = resize_bilinear(&x, [1, 4], false)?;
/// assert_eq!(y.flatten_all()?.to_vec1::<f32>()?, [0., 0.25, 0.75, 1.]);
/// # Ok::<(), candle_core::Error>(())
/// ```
pub fn resize_bilinear(x: &Tensor, size: [usize; 2], antialias: bool) -> Result<Tensor> {
    resize("resize-bilinear", x, size, |input, len| {
        if antialias { triangle_line(input, len) } else { bilinear_line(input, len) }
    })
}

/// Resizes `(batch, channels, height, width)` to `[height, width]`: output `i` is input `⌊i · input / output⌋`.
///
/// PyTorch's `interpolate(mode="nearest")`.
pub fn resize_nearest(x: &Tensor, size: [usize; 2]) -> Result<Tensor> {
    resize("resize-nearest", x, size, |input, len| {
        Line::new(input, len, |i| vec![(i * input / len, 1.0)])
    })
}

fn bilinear_line(input: usize, len: usize) -> Line {
    let scale = input as f64 / len as f64;
    Line::new(input, len, |i| {
        let at = ((i as f64 + 0.5) * scale - 0.5).max(0.0);
        let low = (at as usize).min(input - 1);
        let high = (low + 1).min(input - 1);
        let t = at - low as f64;
        if high == low { vec![(low, 1.0)] } else { vec![(low, 1.0 - t), (high, t)] }
    })
}

fn triangle_line(input: usize, len: usize) -> Line {
    let scale = input as f64 / len as f64;
    let reach = scale.max(1.0);
    Line::new(input, len, |i| {
        let centre = (i as f64 + 0.5) * scale;
        let from = ((centre - reach + 0.5) as isize).max(0) as usize;
        let to = ((centre + reach + 0.5) as usize).min(input);
        let weight = |j: usize| (1.0 - ((j as f64 - centre + 0.5) / reach).abs()).max(0.0);
        let total: f64 = (from..to).map(weight).sum();
        (from..to).map(|j| (j, weight(j) / total)).collect()
    })
}

/// Blurs `(batch, channels, height, width)` with a Gaussian of standard deviation `sigma` pixels, cut off to `kernel`
/// pixels (odd) and normalised; the image is continued by reflection without its edge.
///
/// torchvision's `gaussian_blur`. Height and width must be above `kernel / 2`.
pub fn gaussian_blur(x: &Tensor, kernel: usize, sigma: f64) -> Result<Tensor> {
    let (_, _, h, w) = x.dims4()?;
    if kernel.is_multiple_of(2) || !(sigma > 0.0 && sigma.is_finite()) {
        bail!("blurring expects an odd kernel and a positive sigma, got {kernel} and {sigma}");
    }
    let half = kernel / 2;
    if h.min(w) <= half {
        bail!("blurring with kernel {kernel} expects an image above {half} pixels, got {h}x{w}");
    }
    let weight = |k: usize| (-0.5 * ((k as f64 - half as f64) / sigma).powi(2)).exp();
    let total: f64 = (0..kernel).map(weight).sum();
    let line = |len: usize| {
        Arc::new(Line::new(len, len, |i| {
            (0..kernel).map(|k| (reflect(i + k, half, len), weight(k) / total)).collect()
        }))
    };
    Separable { name: "gaussian-blur", vertical: line(h), horizontal: line(w) }.apply(x)
}

/// Place `i − half` of a line of `len`, continued by reflection without its edge.
fn reflect(i: usize, half: usize, len: usize) -> usize {
    let at = i.abs_diff(half);
    if at < len { at } else { 2 * (len - 1) - at }
}

#[cfg(test)]
mod tests;
