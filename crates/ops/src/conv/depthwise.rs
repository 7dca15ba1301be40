//! Depthwise convolution: each channel has a filter of its own.

use crate::cpu::has_kernels;
use crate::slices::{every, margin};
use crate::tape::apply2;
use candle_core::{Result, Tensor, bail};

/// The settings of a depthwise convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DepthwiseConv2d {
    /// Distance between windows, in both directions.
    pub stride: usize,
    /// Rows of zeros above and below, columns left and right: `[[above, below], [left, right]]`.
    pub padding: [[usize; 2]; 2],
}

impl Default for DepthwiseConv2d {
    fn default() -> Self {
        Self { stride: 1, padding: [[0; 2]; 2] }
    }
}

/// Zeros before and after `input` numbers, so that a window of `kernel` gives `⌈input / stride⌉` outputs; an odd one
/// goes behind. TensorFlow's `SAME`.
pub fn same_padding(input: usize, kernel: usize, stride: usize) -> [usize; 2] {
    let stride = stride.max(1);
    let total = (input.div_ceil(stride).max(1) - 1) * stride + kernel;
    let total = total.saturating_sub(input);
    [total / 2, total - total / 2]
}

/// Cross-correlation of each channel of `x` with its own filter, as PyTorch's `conv2d` with `groups = channels`:
/// `y[n, c, i, j] = Σ w[c, 0, u, v] · x[n, c, i·stride + u − above, j·stride + v − left]`.
///
/// `x` is `(batch, channels, height, width)`, `w` `(channels, 1, kernel height, kernel width)`. Gradients go to both.
/// Howard et al., "MobileNets", 2017.
pub fn depthwise_conv2d(x: &Tensor, w: &Tensor, conv: &DepthwiseConv2d) -> Result<Tensor> {
    let op = Depthwise::new(x.dims(), w.dims(), conv)?;
    if has_kernels(x) && x.dtype() == w.dtype() {
        return apply2([&x.contiguous()?, &w.contiguous()?], op);
    }
    composed(x, w, conv, &op)
}

/// From candle's operations: a sum over the places of the filter. (candle's own is a convolution for each channel.)
fn composed(x: &Tensor, w: &Tensor, conv: &DepthwiseConv2d, op: &Depthwise) -> Result<Tensor> {
    let x = margin(&margin(x, 2, conv.padding[0], 0.0)?, 3, conv.padding[1], 0.0)?;
    let mut sum: Option<Tensor> = None;
    for ky in 0..op.kernel[0] {
        let rows = every(&x, 2, ky, conv.stride, op.output[0])?;
        for kx in 0..op.kernel[1] {
            let tap = every(&rows, 3, kx, conv.stride, op.output[1])?;
            let weight = w.narrow(2, ky, 1)?.narrow(3, kx, 1)?.reshape((1, op.channels, 1, 1))?;
            let term = tap.broadcast_mul(&weight)?;
            sum = Some(match sum {
                Some(sum) => (sum + term)?,
                None => term,
            });
        }
    }
    // a filter without places is refused before
    sum.map_or_else(|| bail!("a depthwise convolution expects a filter"), Ok)
}

/// Sizes, `[vertical, horizontal]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Depthwise {
    pub(crate) planes: usize,
    pub(crate) channels: usize,
    pub(crate) input: [usize; 2],
    pub(crate) output: [usize; 2],
    pub(crate) kernel: [usize; 2],
    pub(crate) stride: usize,
    pub(crate) before: [usize; 2],
}

impl Depthwise {
    fn new(x: &[usize], w: &[usize], conv: &DepthwiseConv2d) -> Result<Self> {
        let (&[batch, channels, h, wd], &[filters, 1, kh, kw]) = (x, w) else {
            bail!(
                "a depthwise convolution expects (batch, channels, height, width) and (channels, 1, kh, kw), got {x:?} \
                 and {w:?}"
            );
        };
        if channels != filters {
            bail!("a depthwise convolution expects a filter for each channel, got {w:?} for {x:?}");
        }
        let (input, kernel) = ([h, wd], [kh, kw]);
        let mut output = [0; 2];
        for d in 0..2 {
            let padded = input[d] + conv.padding[d][0] + conv.padding[d][1];
            if conv.stride == 0 || kernel[d] == 0 || padded < kernel[d] {
                bail!(
                    "a depthwise convolution expects a stride of at least 1 and an input no smaller than its kernel, got \
                     stride {}, {padded} with padding for kernel {}",
                    conv.stride,
                    kernel[d]
                );
            }
            output[d] = (padded - kernel[d]) / conv.stride + 1;
        }
        let before = [conv.padding[0][0], conv.padding[1][0]];
        Ok(Self {
            planes: batch * channels,
            channels,
            input,
            output,
            kernel,
            stride: conv.stride,
            before,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check_gradients, max_difference, random};
    use candle_core::DType;

    /// candle's own grouped convolution is the reference.
    #[test]
    fn equals_a_grouped_convolution() {
        for (seed, (size, kernel, stride)) in
            [([7, 5], 3, 1), ([8, 9], 3, 2), ([6, 7], 5, 1), ([9, 12], 5, 2), ([2, 2], 5, 2)]
                .into_iter()
                .enumerate()
        {
            let x = random(seed as u64, &[2, 3, size[0], size[1]]).unwrap();
            let w = random(40 + seed as u64, &[3, 1, kernel, kernel]).unwrap();
            let padding = size.map(|size| same_padding(size, kernel, stride));
            let conv = DepthwiseConv2d { stride, padding };
            let y = depthwise_conv2d(&x, &w, &conv).unwrap();
            assert_eq!(y.dims()[2..], size.map(|size| size.div_ceil(stride)));
            let [[above, below], [left, right]] = padding;
            let padded = x.pad_with_zeros(2, above, below).unwrap();
            let padded = padded.pad_with_zeros(3, left, right).unwrap();
            let expected = padded.conv2d(&w, 0, stride, 1, 3).unwrap();
            assert!(max_difference(&y, &expected).unwrap() < 1e-12);
            let single = [&x, &w].map(|t| t.to_dtype(DType::F32).unwrap());
            let single = depthwise_conv2d(&single[0], &single[1], &conv).unwrap();
            assert!(max_difference(&single, &expected).unwrap() < 1e-5);
            let composed = crate::device::composed(|| depthwise_conv2d(&x, &w, &conv)).unwrap();
            assert!(max_difference(&composed, &expected).unwrap() < 1e-12);
        }
    }

    #[test]
    fn gradients_equal_finite_differences() {
        for (size, kernel, stride) in [(5, 3, 1), (6, 3, 2), (5, 5, 2)] {
            let inputs = [
                random(1, &[2, 2, size, size]).unwrap(),
                random(2, &[2, 1, kernel, kernel]).unwrap(),
            ];
            let conv = DepthwiseConv2d { stride, padding: [same_padding(size, kernel, stride); 2] };
            check_gradients(&inputs, |inputs| depthwise_conv2d(&inputs[0], &inputs[1], &conv))
                .unwrap();
        }
    }

    #[test]
    fn wrong_shapes_are_told() {
        let (x, w) = (random(1, &[1, 2, 4, 4]).unwrap(), random(2, &[3, 1, 3, 3]).unwrap());
        let error = depthwise_conv2d(&x, &w, &DepthwiseConv2d::default()).unwrap_err().to_string();
        assert!(error.contains("a filter for each channel"), "{error}");
        let w = random(2, &[2, 1, 5, 5]).unwrap();
        let error = depthwise_conv2d(&x, &w, &DepthwiseConv2d::default()).unwrap_err().to_string();
        assert!(error.contains("4 with padding for kernel 5"), "{error}");
    }
}
