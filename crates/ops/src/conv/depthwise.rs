//! Depthwise convolution: each channel has a filter of its own.

use crate::cpu::{build, by_dtype, contiguous, has_kernels, tensor, with_data};
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, WithDType, bail};
use std::ops::Range;

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
        return x.contiguous()?.apply_op2(&w.contiguous()?, op);
    }
    let [[above, below], [left, right]] = conv.padding;
    let x = x.pad_with_zeros(2, above, below)?.pad_with_zeros(3, left, right)?;
    x.conv2d(w, 0, conv.stride, 1, op.channels)
}

/// Sizes, `[vertical, horizontal]`.
#[derive(Debug, Clone, Copy)]
struct Depthwise {
    planes: usize,
    channels: usize,
    input: [usize; 2],
    output: [usize; 2],
    kernel: [usize; 2],
    stride: usize,
    before: [usize; 2],
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

    /// The outputs whose input at place `k` of the filter lies inside, along dimension `d`.
    fn inside(&self, d: usize, k: usize) -> Range<usize> {
        let (s, before) = (self.stride, self.before[d]);
        let from = before.saturating_sub(k).div_ceil(s);
        let end = (self.input[d] + before).saturating_sub(k).div_ceil(s).min(self.output[d]);
        from.min(end)..end
    }

    /// Calls `f(place of the filter, places of a row of outputs, place of their first input)`.
    fn rows(&self, mut f: impl FnMut(usize, Range<usize>, usize)) {
        for u in 0..self.kernel[0] {
            for i in self.inside(0, u) {
                let row = (i * self.stride + u - self.before[0]) * self.input[1];
                for v in 0..self.kernel[1] {
                    let columns = self.inside(1, v);
                    if columns.is_empty() {
                        continue;
                    }
                    let first = row + columns.start * self.stride + v - self.before[1];
                    let out = i * self.output[1];
                    f(u * self.kernel[1] + v, out + columns.start..out + columns.end, first);
                }
            }
        }
    }

    fn sizes(&self) -> [usize; 3] {
        [self.input, self.output, self.kernel].map(|[a, b]| a * b)
    }

    fn forward<T: WithDType>(&self, x: &[T], w: &[T]) -> Vec<T> {
        let [input, output, kernel] = self.sizes();
        build(self.planes * output, output, |plane, out| {
            let x = &x[plane * input..][..input];
            let w = &w[plane % self.channels * kernel..][..kernel];
            out.fill(T::zero());
            self.rows(|k, places, first| {
                let weight = w[k];
                let x = x[first..].iter().step_by(self.stride);
                out[places].iter_mut().zip(x).for_each(|(o, &x)| *o += weight * x);
            });
        })
    }

    fn input_gradient<T: WithDType>(&self, grad: &[T], w: &[T]) -> Vec<T> {
        let [input, output, kernel] = self.sizes();
        build(self.planes * input, input, |plane, dx| {
            let grad = &grad[plane * output..][..output];
            let w = &w[plane % self.channels * kernel..][..kernel];
            dx.fill(T::zero());
            self.rows(|k, places, first| {
                let weight = w[k];
                let dx = dx[first..].iter_mut().step_by(self.stride);
                grad[places].iter().zip(dx).for_each(|(&g, dx)| *dx += weight * g);
            });
        })
    }

    fn weight_gradient<T: WithDType>(&self, grad: &[T], x: &[T]) -> Vec<T> {
        let [input, output, kernel] = self.sizes();
        build(self.channels * kernel, kernel, |channel, dw| {
            dw.fill(T::zero());
            for plane in (channel..self.planes).step_by(self.channels) {
                let (x, grad) = (&x[plane * input..][..input], &grad[plane * output..][..output]);
                self.rows(|k, places, first| {
                    let x = x[first..].iter().step_by(self.stride);
                    let products = grad[places].iter().zip(x).map(|(&g, &x)| g * x);
                    products.for_each(|product| dw[k] += product);
                });
            }
        })
    }
}

fn forward<T: WithDType>(
    op: &Depthwise,
    (x, xl): (&CpuStorage, &Layout),
    (w, wl): (&CpuStorage, &Layout),
) -> Result<CpuStorage> {
    Ok(T::to_cpu_storage_owned(op.forward(contiguous::<T>(x, xl)?, contiguous::<T>(w, wl)?)))
}

/// Gradients to the input and to the weight, each only where a variable stands behind it.
fn backward<T: WithDType>(
    op: &Depthwise,
    x: &Tensor,
    w: &Tensor,
    grad: &Tensor,
) -> Result<(Option<Tensor>, Option<Tensor>)> {
    with_data::<T, _>(grad, |grad| {
        let dx = match x.track_op() {
            true => Some(with_data::<T, _>(w, |w| tensor(op.input_gradient(grad, w), x.shape()))?),
            false => None,
        };
        let dw = match w.track_op() {
            true => Some(with_data::<T, _>(x, |x| tensor(op.weight_gradient(grad, x), w.shape()))?),
            false => None,
        };
        Ok((dx, dw))
    })
}

impl CustomOp2 for Depthwise {
    fn name(&self) -> &'static str {
        "depthwise-conv2d"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        xl: &Layout,
        w: &CpuStorage,
        wl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let y = by_dtype!(x.dtype(), forward(self, (x, xl), (w, wl)))?;
        let batch = self.planes / self.channels.max(1);
        Ok((y, (batch, self.channels, self.output[0], self.output[1]).into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        by_dtype!(x.dtype(), backward(self, x, w, grad))
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
