//! Depthwise convolution on the processor: a row of outputs for one place of the filter at a time, by vectors.

use crate::conv::depthwise::Depthwise;
use crate::cpu::kernel::{Element, Vectorized};
use crate::cpu::{PARALLEL_FROM, build, by_dtype, contiguous, team, tensor, with_data};
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};
use std::ops::Range;

impl Depthwise {
    /// The outputs whose input at place `k` of the filter lies inside, along dimension `d`.
    #[inline(always)]
    fn inside(&self, d: usize, k: usize) -> Range<usize> {
        let (s, before) = (self.stride, self.before[d]);
        let from = before.saturating_sub(k).div_ceil(s);
        let end = (self.input[d] + before).saturating_sub(k).div_ceil(s).min(self.output[d]);
        from.min(end)..end
    }

    /// Calls `f(place of the filter, places of a row of outputs, place of their first input)`.
    #[inline(always)]
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

    fn forward<T: Element>(&self, x: &[T], w: &[T]) -> Vec<T> {
        let [input, output, kernel] = self.sizes();
        build(self.planes * output, output, |plane, out| {
            let x = &x[plane * input..][..input];
            let w = &w[plane % self.channels * kernel..][..kernel];
            T::kernel().vectorized(Forward { op: self, x, w, out });
        })
    }

    fn input_gradient<T: Element>(&self, grad: &[T], w: &[T]) -> Vec<T> {
        let [input, output, kernel] = self.sizes();
        build(self.planes * input, input, |plane, dx| {
            let grad = &grad[plane * output..][..output];
            let w = &w[plane % self.channels * kernel..][..kernel];
            T::kernel().vectorized(ToInput { op: self, grad, w, dx });
        })
    }

    fn weight_gradient<T: Element>(&self, grad: &[T], x: &[T]) -> Vec<T> {
        let [input, output, kernel] = self.sizes();
        let one = |channel: usize| {
            let mut lanes = vec![[T::zero(); LANES]; kernel];
            for plane in (channel..self.planes).step_by(self.channels) {
                let (x, grad) = (&x[plane * input..][..input], &grad[plane * output..][..output]);
                T::kernel().vectorized(ToWeight { op: self, grad, x, lanes: &mut lanes });
            }
            lanes
        };
        let all = if grad.len() < PARALLEL_FROM {
            (0..self.channels).map(one).collect()
        } else {
            team::map(self.channels, one)
        };
        let joined = |lanes: [T; LANES]| lanes.into_iter().fold(T::zero(), |sum, lane| sum + lane);
        all.into_iter().flatten().map(joined).collect()
    }
}

/// Sums side by side of a weight's gradient.
const LANES: usize = 16;

/// One plane, a row of outputs for one place of the filter at a time.
struct Forward<'a, T> {
    op: &'a Depthwise,
    x: &'a [T],
    w: &'a [T],
    out: &'a mut [T],
}

impl<T: Element> Vectorized for Forward<'_, T> {
    #[inline(always)]
    fn run(self) {
        let Self { op, x, w, out } = self;
        out.fill(T::zero());
        op.rows(|k, places, first| {
            let (weight, out) = (w[k], &mut out[places]);
            // a step of 1 that the compiler sees is a vector
            if op.stride == 1 {
                for (o, &x) in out.iter_mut().zip(&x[first..]) {
                    *o += weight * x;
                }
            } else {
                let x = x[first..].iter().step_by(op.stride);
                out.iter_mut().zip(x).for_each(|(o, &x)| *o += weight * x);
            }
        });
    }
}

/// The gradient to one plane of the input.
struct ToInput<'a, T> {
    op: &'a Depthwise,
    grad: &'a [T],
    w: &'a [T],
    dx: &'a mut [T],
}

impl<T: Element> Vectorized for ToInput<'_, T> {
    #[inline(always)]
    fn run(self) {
        let Self { op, grad, w, dx } = self;
        dx.fill(T::zero());
        op.rows(|k, places, first| {
            let (weight, grad) = (w[k], &grad[places]);
            if op.stride == 1 {
                for (dx, &g) in dx[first..].iter_mut().zip(grad) {
                    *dx += weight * g;
                }
            } else {
                let dx = dx[first..].iter_mut().step_by(op.stride);
                grad.iter().zip(dx).for_each(|(&g, dx)| *dx += weight * g);
            }
        });
    }
}

/// What one plane adds to the gradient of its filter, for each place in lanes: the i-th product of a row goes to lane i modulo
/// their number.
struct ToWeight<'a, T> {
    op: &'a Depthwise,
    grad: &'a [T],
    x: &'a [T],
    lanes: &'a mut [[T; LANES]],
}

impl<T: Element> Vectorized for ToWeight<'_, T> {
    #[inline(always)]
    fn run(self) {
        let Self { op, grad, x, lanes } = self;
        op.rows(|k, places, first| {
            let (lanes, grad) = (&mut lanes[k], &grad[places]);
            if op.stride == 1 {
                let (whole_g, rest_g) = grad.as_chunks::<LANES>();
                let (whole_x, rest_x) = x[first..][..grad.len()].as_chunks::<LANES>();
                for (g, x) in whole_g.iter().zip(whole_x) {
                    for i in 0..LANES {
                        lanes[i] += g[i] * x[i];
                    }
                }
                lanes.iter_mut().zip(rest_g).zip(rest_x).for_each(|((l, &g), &x)| *l += g * x);
            } else {
                let x = x[first..].iter().step_by(op.stride);
                grad.iter().zip(x).enumerate().for_each(|(i, (&g, &x))| lanes[i % LANES] += g * x);
            }
        });
    }
}

fn forward<T: Element>(
    op: &Depthwise,
    (x, xl): (&CpuStorage, &Layout),
    (w, wl): (&CpuStorage, &Layout),
) -> Result<CpuStorage> {
    Ok(T::to_cpu_storage_owned(op.forward(contiguous::<T>(x, xl)?, contiguous::<T>(w, wl)?)))
}

/// Gradients to the input and to the weight, each only where a variable stands behind it.
fn backward<T: Element>(
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
