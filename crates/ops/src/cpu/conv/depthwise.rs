//! Depthwise convolution on the processor: a row of outputs for one place of the filter at a time.

use crate::conv::depthwise::Depthwise;
use crate::cpu::{build, by_dtype, contiguous, tensor, with_data};
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, WithDType};
use std::ops::Range;

impl Depthwise {
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
