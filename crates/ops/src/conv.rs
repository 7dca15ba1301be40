//! Convolution over the last two dimensions of `(batch, channels, height, width)`, and its transpose.
//!
//! On the CPU sums are held in registers, outputs side by side, while the input is read where it lies (`indirect`); 1×1 filters
//! and few outputs go by blocked matrix products of gathered patches or of what is then added (`direct`, `scatter`), large
//! 3×3 filters of stride 1 by Winograd's method. The gradients to input, weight and bias are computed only where something
//! needs them. Sums are taken in an order that depends on the shapes alone, so that results do not change with the number
//! of threads.

mod composed;
pub(crate) mod depthwise;
mod frozen;
mod transpose;

use crate::cpu::conv::geometry::Sizes;
use crate::cpu::conv::op;
use crate::pool::{Pool2d, max_pool2d};
use candle_core::{Result, Tensor, bail};
pub use depthwise::{DepthwiseConv2d, depthwise_conv2d, same_padding};
pub use frozen::FrozenConv2d;
use std::sync::atomic::{AtomicBool, Ordering};
pub use transpose::{ConvTranspose2d, conv_transpose2d};

/// How to compute a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Algorithm {
    /// Whatever is fastest; where that is Winograd's method, sums are rounded otherwise than in the direct sum: both differ
    /// from the exact sum by some 1e-6 of the largest value, but the direct sum by less where its terms are small.
    ///
    /// Where a gradient goes to the input and none to the weight, as in the study of a network, values come from the smaller
    /// tiles of F(2×2, 3×3), which round less: rectifiers and maxima behind switch within the rounding error, and each switch
    /// is a jump in that gradient. (VGG16's gradients to eight images of ImageNet are off by at most .09 % of those in double
    /// precision, by .7 % with direct sums, by 12 % with F(4×4, 3×3).) The gradient itself, linear in what it gets, is
    /// computed in the fastest way.
    #[default]
    Fastest,
    /// The sum as it is defined.
    Direct,
}

static EXACT: AtomicBool = AtomicBool::new(false);

/// Makes all convolutions of this process [`Algorithm::Direct`], or lets each follow its own setting again.
pub fn set_exact(exact: bool) {
    EXACT.store(exact, Ordering::Relaxed);
}

/// Whether [`set_exact`] is in force.
pub fn is_exact() -> bool {
    EXACT.load(Ordering::Relaxed)
}

/// The settings of a convolution; each array is `[vertical, horizontal]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv2d {
    /// Distance between windows.
    pub stride: [usize; 2],
    /// Rows and columns of zeros on each side.
    pub padding: [usize; 2],
    /// Distance between the places of the filter.
    pub dilation: [usize; 2],
    /// Whether negative results become zero, as [`crate::activation::relu`] would make them, at no further cost.
    pub relu: bool,
    /// How to compute it.
    pub algorithm: Algorithm,
}

impl Default for Conv2d {
    fn default() -> Self {
        Self {
            stride: [1; 2],
            padding: [0; 2],
            dilation: [1; 2],
            relu: false,
            algorithm: Algorithm::Fastest,
        }
    }
}

impl Conv2d {
    /// Stride 1, no padding, no dilation, no rectifier.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with this stride in both directions.
    pub fn stride(self, stride: usize) -> Self {
        Self { stride: [stride; 2], ..self }
    }

    /// The same with this padding on all sides.
    pub fn padding(self, padding: usize) -> Self {
        Self { padding: [padding; 2], ..self }
    }

    /// The same with this dilation in both directions.
    pub fn dilation(self, dilation: usize) -> Self {
        Self { dilation: [dilation; 2], ..self }
    }

    /// The same with or without a rectifier behind it.
    pub fn relu(self, relu: bool) -> Self {
        Self { relu, ..self }
    }

    /// The same, computed in this way.
    pub fn algorithm(self, algorithm: Algorithm) -> Self {
        Self { algorithm, ..self }
    }

    /// Height and width of the result: `⌊(input + 2·padding − dilation·(kernel − 1) − 1) / stride⌋ + 1`.
    pub fn output_size(&self, input: [usize; 2], kernel: [usize; 2]) -> Result<[usize; 2]> {
        let mut out = [0; 2];
        for d in 0..2 {
            let (n, k, s, p, l) =
                (input[d], kernel[d], self.stride[d], self.padding[d], self.dilation[d]);
            if k == 0 || s == 0 || l == 0 {
                bail!(
                    "a convolution expects kernel, stride and dilation of at least 1, got {k}, {s} and {l}"
                );
            }
            if n + 2 * p < l * (k - 1) + 1 {
                bail!(
                    "a convolution expects an input no smaller than its kernel, got {n} + 2 * {p} for kernel {k}"
                );
            }
            out[d] = (n + 2 * p - l * (k - 1) - 1) / s + 1;
        }
        Ok(out)
    }

    /// The sizes for an input and a weight, or what is wrong with them.
    pub(crate) fn sizes(&self, x: &[usize], w: &[usize]) -> Result<Sizes> {
        let (&[batch, channels, h, wd], &[outputs, c, kh, kw]) = (x, w) else {
            bail!(
                "a convolution expects (batch, channels, height, width) and (out, in, kh, kw), got {x:?} and {w:?}"
            );
        };
        if channels != c {
            bail!(
                "a convolution expects as many channels as its weight, got {x:?} for a weight {w:?}"
            );
        }
        let output = self.output_size([h, wd], [kh, kw])?;
        Ok(Sizes {
            batch,
            channels,
            outputs,
            input: [h, wd],
            output,
            kernel: [kh, kw],
            stride: self.stride,
            padding: self.padding,
            dilation: self.dilation,
        })
    }
}

/// Cross-correlation of `x` with the filters `w`, plus `b`, as PyTorch's `conv2d`:
/// `y[n, m, i, j] = b[m] + Σ w[m, c, u, v] · x[n, c, i·stride + u·dilation − padding, …]`.
///
/// `x` is `(batch, in, height, width)`, `w` `(out, in, kernel height, kernel width)`, `b` `(out)`; the result is
/// `(batch, out, …)` with the height and width of [`Conv2d::output_size`]. All of one type and on one device.
/// Gradients go to those of `x`, `w` and `b` that a variable stands behind; the others cost nothing.
///
/// Winograd's method: Lavin and Gray, "Fast algorithms for convolutional neural networks", 2015.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use sconce_ops::conv::{Conv2d, conv2d};
///
/// let x = Tensor::new(&[[[[1f32, 2., 3.], [4., 5., 6.], [7., 8., 9.]]]], &Device::Cpu)?;
/// let means = Tensor::full(0.25f32, (1, 1, 2, 2), &Device::Cpu)?;
/// let y = conv2d(&x, &means, None, &Conv2d::new())?;
/// assert_eq!(y.reshape((2, 2))?.to_vec2::<f32>()?, [[3., 4.], [6., 7.]]);
/// # Ok::<(), candle_core::Error>(())
/// ```
pub fn conv2d(x: &Tensor, w: &Tensor, b: Option<&Tensor>, conv: &Conv2d) -> Result<Tensor> {
    let sizes = conv.sizes(x.dims(), w.dims())?;
    check_bias(b, sizes.outputs)?;
    if op::applies(x, w, b) {
        op::conv2d(x, w, b, conv, sizes, None, false)
    } else {
        composed::conv2d(x, w, b, conv)
    }
}

/// Maximum pooling of a convolution: [`max_pool2d`] of [`conv2d`], with the same values and gradients. By 2×2 it is one
/// operation, which is faster: what lies between is neither kept nor has a gradient of its own.
pub fn conv2d_max_pool2d(
    x: &Tensor,
    w: &Tensor,
    b: Option<&Tensor>,
    conv: &Conv2d,
    pool: &Pool2d,
) -> Result<Tensor> {
    let sizes = conv.sizes(x.dims(), w.dims())?;
    check_bias(b, sizes.outputs)?;
    if *pool == Pool2d::new(2, 2) && op::applies(x, w, b) {
        pool.output_size(sizes.output)?;
        op::conv2d(x, w, b, conv, sizes, None, true)
    } else {
        max_pool2d(&conv2d(x, w, b, conv)?, pool)
    }
}

fn check_bias(b: Option<&Tensor>, outputs: usize) -> Result<()> {
    match b {
        Some(b) if b.dims() != [outputs] => {
            bail!("a convolution expects a bias of shape [{outputs}], got {:?}", b.dims())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
pub(crate) mod tests;
