//! Pooling over the last two dimensions of `(batch, channels, height, width)`, with PyTorch's sizes and gradients.

use crate::cpu::{self, has_kernels};
use crate::device::tensor_like;
use crate::slices::{every, margin};
use crate::tape::reshape;
use candle_core::{Result, Tensor, bail};
use std::ops::Range;

/// The windows of a pooling; each array is `[vertical, horizontal]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool2d {
    /// Size of a window.
    pub kernel: [usize; 2],
    /// Distance between windows.
    pub stride: [usize; 2],
    /// Rows and columns added on each side: -∞ for the maximum, 0 for the average. At most half the kernel.
    pub padding: [usize; 2],
    /// Whether a last window that reaches past the padded input counts, if it starts inside the input or before it.
    pub ceil_mode: bool,
}

impl Pool2d {
    /// Square windows without padding.
    pub fn new(kernel: usize, stride: usize) -> Self {
        Self { kernel: [kernel; 2], stride: [stride; 2], padding: [0; 2], ceil_mode: false }
    }

    /// The same windows with this padding on all sides.
    pub fn padding(self, padding: usize) -> Self {
        Self { padding: [padding; 2], ..self }
    }

    /// The same windows with or without the partial last one.
    pub fn ceil_mode(self, ceil_mode: bool) -> Self {
        Self { ceil_mode, ..self }
    }

    /// Height and width of the result for an input of this height and width (PyTorch's rule).
    pub fn output_size(&self, input: [usize; 2]) -> Result<[usize; 2]> {
        let mut out = [0; 2];
        for d in 0..2 {
            let (k, s, p, n) = (self.kernel[d], self.stride[d], self.padding[d], input[d]);
            if k == 0 || s == 0 {
                bail!(
                    "pooling expects a kernel and a stride of at least 1, got kernel {k} and stride {s}"
                );
            }
            if 2 * p > k {
                bail!(
                    "pooling expects a padding of at most half the kernel, got padding {p} for kernel {k}"
                );
            }
            if n == 0 || n + 2 * p < k {
                bail!(
                    "pooling expects an input of at least kernel - 2 * padding, got {n} for kernel {k}, padding {p}"
                );
            }
            let span = n + 2 * p - k;
            out[d] = span / s + 1;
            if self.ceil_mode && !span.is_multiple_of(s) && out[d] * s < n + p {
                out[d] += 1;
            }
        }
        Ok(out)
    }

    /// The rows (`d` = 0) or columns (`d` = 1) of the input that window `i` covers.
    pub(crate) fn covered(&self, d: usize, i: usize, len: usize) -> Range<usize> {
        let from = i * self.stride[d];
        from.saturating_sub(self.padding[d])..(from + self.kernel[d] - self.padding[d]).min(len)
    }

    /// What the mean of the window `[oy, ox]` divides by, for an input of this height and width.
    pub(crate) fn divisor(
        &self,
        input: [usize; 2],
        count_include_pad: bool,
        [oy, ox]: [usize; 2],
    ) -> f64 {
        let mut n = 1;
        for (d, i) in [(0, oy), (1, ox)] {
            n *= if count_include_pad {
                let from = i * self.stride[d];
                (from + self.kernel[d]).min(input[d] + 2 * self.padding[d]) - from
            } else {
                self.covered(d, i, input[d]).len()
            };
        }
        n as f64
    }
}

/// Largest element of each window; of several equal ones the first in row-major order takes the gradient.
///
/// `x` is `(batch, channels, height, width)`; the result has the height and width of [`Pool2d::output_size`].
/// (candle divides the gradient by the window's size, and has none where kernel and stride differ.)
///
/// ```
/// use candle_core::{Device, Tensor};
/// use sconce_ops::pool::{Pool2d, max_pool2d};
///
/// let x = Tensor::new(&[[[[1f32, 2., 0.], [3., 4., 5.], [0., 7., 6.]]]], &Device::Cpu)?;
/// let pool = Pool2d::new(2, 2).ceil_mode(true);
/// let y = max_pool2d(&x, &pool)?;
/// assert_eq!(y.reshape((2, 2))?.to_vec2::<f32>()?, [[4., 5.], [7., 6.]]);
/// # Ok::<(), candle_core::Error>(())
/// ```
pub fn max_pool2d(x: &Tensor, pool: &Pool2d) -> Result<Tensor> {
    let (_, _, h, w) = x.dims4()?;
    pool.output_size([h, w])?;
    if has_kernels(x) { cpu::pool::max_pool2d(x, pool) } else { max_composed(x, pool) }
}

/// Mean of each window. With `count_include_pad` the divisor counts padded zeros, else only elements of the input.
///
/// `x` is `(batch, channels, height, width)`; the result has the height and width of [`Pool2d::output_size`].
pub fn avg_pool2d(x: &Tensor, pool: &Pool2d, count_include_pad: bool) -> Result<Tensor> {
    let (_, _, h, w) = x.dims4()?;
    pool.output_size([h, w])?;
    if has_kernels(x) {
        cpu::pool::avg_pool2d(x, pool, count_include_pad)
    } else {
        average_composed(x, pool, count_include_pad)
    }
}

/// Mean over height and width: `(batch, channels, height, width)` to `(batch, channels)`.
pub fn global_avg_pool2d(x: &Tensor) -> Result<Tensor> {
    let (n, c, h, w) = x.dims4()?;
    if h * w == 0 {
        bail!("global average pooling expects at least one pixel, got {h}x{w}");
    }
    let whole = Pool2d { kernel: [h, w], stride: [h, w], padding: [0; 2], ceil_mode: false };
    reshape(&avg_pool2d(x, &whole, true)?, (n, c))
}

/// One tensor of the result's shape for each place in the window, in row-major order, from candle's operations.
fn places(x: &Tensor, pool: &Pool2d, fill: f64) -> Result<Vec<Tensor>> {
    let (_, _, h, w) = x.dims4()?;
    let out = pool.output_size([h, w])?;
    let mut x = x.clone();
    for (d, len) in [(2, h), (3, w)] {
        let i = d - 2;
        let reach = (out[i] - 1) * pool.stride[i] + pool.kernel[i];
        let before = pool.padding[i];
        x = margin(&x, d, [before, reach.saturating_sub(before + len)], fill)?;
    }
    let mut all = Vec::with_capacity(pool.kernel[0] * pool.kernel[1]);
    for ky in 0..pool.kernel[0] {
        let rows = every(&x, 2, ky, pool.stride[0], out[0])?;
        for kx in 0..pool.kernel[1] {
            all.push(every(&rows, 3, kx, pool.stride[1], out[1])?);
        }
    }
    Ok(all)
}

fn max_composed(x: &Tensor, pool: &Pool2d) -> Result<Tensor> {
    let places = places(x, pool, f64::NEG_INFINITY)?;
    places[1..].iter().try_fold(places[0].clone(), |m, v| v.gt(&m)?.where_cond(v, &m))
}

fn average_composed(x: &Tensor, pool: &Pool2d, count_include_pad: bool) -> Result<Tensor> {
    let (_, _, h, w) = x.dims4()?;
    let [oh, ow] = pool.output_size([h, w])?;
    let divisor = |i: usize| pool.divisor([h, w], count_include_pad, [i / ow, i % ow]);
    let places = places(x, pool, 0.0)?;
    let sum = places[1..].iter().try_fold(places[0].clone(), |sum, v| sum + v)?;
    let weights: Vec<f64> = (0..oh * ow).map(|i| divisor(i).recip()).collect();
    if weights.iter().all(|weight| *weight == weights[0]) {
        return sum * weights[0];
    }
    sum.broadcast_mul(&tensor_like(weights, (oh, ow), x)?)
}

#[cfg(test)]
mod tests;
