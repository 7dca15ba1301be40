//! The convolutions as candle operations on the CPU.

use super::direct;
use super::frozen::{Forms, kept};
use super::geometry::Sizes;
use super::{Algorithm, Conv2d, is_exact, scatter, weight, winograd};
use crate::cpu::{by_dtype, contiguous, has_kernels, tensor, uninit, with_data, zip};
use crate::kernel::Element;
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp2, CustomOp3, DType, Layout, Result, Shape, Tensor};
use std::sync::Arc;

/// Whether all are CPU tensors of one type that has kernels.
pub(super) fn applies(x: &Tensor, w: &Tensor, b: Option<&Tensor>) -> bool {
    let like_x = |t: &Tensor| has_kernels(t) && t.dtype() == x.dtype();
    like_x(x) && like_x(w) && b.is_none_or(like_x)
}

/// The convolution of checked arguments.
pub(super) fn conv2d(
    x: &Tensor,
    w: &Tensor,
    b: Option<&Tensor>,
    conv: &Conv2d,
    sizes: Sizes,
    forms: Option<Arc<Forms<f32>>>,
) -> Result<Tensor> {
    let op =
        Convolve { sizes, relu: conv.relu, transposed: false, algorithm: conv.algorithm, forms };
    op.apply(x, w, b)
}

/// The transposed convolution of checked arguments: `sizes` are those of the convolution that it transposes.
pub(super) fn conv_transpose2d(
    x: &Tensor,
    w: &Tensor,
    b: Option<&Tensor>,
    sizes: Sizes,
    relu: bool,
) -> Result<Tensor> {
    let op = Convolve { sizes, relu, transposed: true, algorithm: Algorithm::Fastest, forms: None };
    op.apply(x, w, b)
}

struct Convolve {
    sizes: Sizes,
    relu: bool,
    transposed: bool,
    algorithm: Algorithm,
    /// Forms of the weight to use and to keep.
    forms: Option<Arc<Forms<f32>>>,
}

/// From the larger side to the smaller.
fn shrink<T: Element>(op: &Convolve, x: &[T], w: &[T], b: Option<&[T]>, relu: bool) -> Vec<T> {
    let (s, kernel) = (&op.sizes, T::kernel());
    let mut y = uninit(s.batch * s.outputs * s.output[0] * s.output[1]);
    let (own, old) = (Forms::default(), op.forms.as_deref().and_then(Forms::of));
    let forms = old.unwrap_or(&own);
    let fast = winograd::Shape::forward(s)
        .filter(|shape| op.may_be_fast::<T>() && shape.pays(old.is_some()));
    if let Some(shape) = fast {
        let filters = kept(&forms.filters, || winograd::transform(&shape, &kernel, w));
        winograd::run(&shape, &kernel, x, filters, b, relu, &mut y);
    } else {
        let sliding = s.forward();
        let packed = kept(&forms.packed, || direct::pack(&sliding, &kernel, w));
        direct::run(&sliding, &kernel, x, packed, b, relu, &mut y);
    }
    y
}

/// From the smaller side to the larger.
fn grow<T: Element>(op: &Convolve, x: &[T], w: &[T], b: Option<&[T]>, relu: bool) -> Vec<T> {
    let (s, kernel) = (&op.sizes, T::kernel());
    let mut y = uninit(s.batch * s.channels * s.input[0] * s.input[1]);
    let (own, old) = (Forms::default(), op.forms.as_deref().and_then(Forms::of));
    let forms = old.unwrap_or(&own);
    let fast = winograd::Shape::transposed(s)
        .filter(|shape| op.may_be_fast::<T>() && shape.pays(old.is_some()));
    if let Some(shape) = fast {
        let filters = kept(&forms.transposed_filters, || winograd::transform(&shape, &kernel, w));
        winograd::run(&shape, &kernel, x, filters, b, relu, &mut y);
    } else if scatter::pays(s) {
        scatter::run(s, &kernel, x, w, b, relu, &mut y);
    } else if s.stride == [1; 2] {
        for sliding in s.transposed() {
            let packed = kept(&forms.transposed_packed, || direct::pack(&sliding, &kernel, w));
            direct::run(&sliding, &kernel, x, packed, b, relu, &mut y);
        }
    } else {
        for sliding in s.transposed() {
            direct::run(&sliding, &kernel, x, &direct::pack(&sliding, &kernel, w), b, relu, &mut y);
        }
    }
    y
}

impl Convolve {
    /// Whether another method than the direct sum is allowed: in f32, unless forbidden.
    fn may_be_fast<T: Element>(&self) -> bool {
        T::DTYPE == DType::F32 && self.algorithm == Algorithm::Fastest && !is_exact()
    }

    fn apply(self, x: &Tensor, w: &Tensor, b: Option<&Tensor>) -> Result<Tensor> {
        let (x, w) = (x.contiguous()?, w.contiguous()?);
        match b {
            Some(b) => x.apply_op3(&w, &b.contiguous()?, self),
            None => x.apply_op2(&w, self),
        }
    }

    fn shape(&self) -> Shape {
        let s = &self.sizes;
        let (channels, size) =
            if self.transposed { (s.channels, s.input) } else { (s.outputs, s.output) };
        (s.batch, channels, size[0], size[1]).into()
    }

    fn forward<T: Element>(
        &self,
        x: (&CpuStorage, &Layout),
        w: (&CpuStorage, &Layout),
        b: Option<(&CpuStorage, &Layout)>,
    ) -> Result<CpuStorage> {
        let (x, w) = (contiguous::<T>(x.0, x.1)?, contiguous::<T>(w.0, w.1)?);
        let b = b.map(|b| contiguous::<T>(b.0, b.1)).transpose()?;
        let run = if self.transposed { grow } else { shrink };
        Ok(T::to_cpu_storage_owned(run(self, x, w, b, self.relu)))
    }

    /// Gradients to `x`, `w` and the bias, each where asked for.
    fn backward<T: Element>(
        &self,
        args: [&Tensor; 2],
        res: &Tensor,
        grad: &Tensor,
        bias: bool,
    ) -> Result<Grads> {
        let [x, w] = args;
        let s = &self.sizes;
        let masked;
        let grad = if self.relu {
            let zero = T::zero();
            let mask = |y: &[T]| {
                with_data::<T, _>(grad, |g| Ok(zip(y, g, |y, g| if y <= zero { zero } else { g })))
            };
            masked = tensor(with_data::<T, _>(res, mask)?, res.shape())?;
            &masked
        } else {
            grad
        };
        with_data::<T, _>(grad, |g| {
            let dx = if x.track_op() {
                let run = if self.transposed { shrink } else { grow };
                Some(tensor(
                    with_data::<T, _>(w, |w| Ok(run(self, g, w, None, false)))?,
                    x.shape(),
                )?)
            } else {
                None
            };
            let dw = if w.track_op() {
                let mut dw = uninit(w.elem_count());
                with_data::<T, _>(x, |x| {
                    let (large, small) = if self.transposed { (g, x) } else { (x, g) };
                    weight::gradient(s, &T::kernel(), large, small, &mut dw);
                    Ok(())
                })?;
                Some(tensor(dw, w.shape())?)
            } else {
                None
            };
            let db = if bias {
                let (channels, size) =
                    if self.transposed { (s.channels, s.input) } else { (s.outputs, s.output) };
                Some(tensor(weight::bias(channels, size[0] * size[1], g), channels)?)
            } else {
                None
            };
            Ok((dx, dw, db))
        })
    }
}

type Grads = (Option<Tensor>, Option<Tensor>, Option<Tensor>);

impl CustomOp2 for Convolve {
    fn name(&self) -> &'static str {
        "convolution"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        w: &CpuStorage,
        lw: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        fn forward<T: Element>(
            op: &Convolve,
            x: (&CpuStorage, &Layout),
            w: (&CpuStorage, &Layout),
        ) -> Result<CpuStorage> {
            op.forward::<T>(x, w, None)
        }
        Ok((by_dtype!(x.dtype(), forward(self, (x, lx), (w, lw)))?, self.shape()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        res: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (dx, dw, _) = by_dtype!(x.dtype(), backward(self, [x, w], res, grad, false))?;
        Ok((dx, dw))
    }
}

impl CustomOp3 for Convolve {
    fn name(&self) -> &'static str {
        "convolution"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        w: &CpuStorage,
        lw: &Layout,
        b: &CpuStorage,
        lb: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        fn forward<T: Element>(
            op: &Convolve,
            args: [(&CpuStorage, &Layout); 3],
        ) -> Result<CpuStorage> {
            op.forward::<T>(args[0], args[1], Some(args[2]))
        }
        Ok((by_dtype!(x.dtype(), forward(self, [(x, lx), (w, lw), (b, lb)]))?, self.shape()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        b: &Tensor,
        res: &Tensor,
        grad: &Tensor,
    ) -> Result<Grads> {
        by_dtype!(x.dtype(), backward(self, [x, w], res, grad, b.track_op()))
    }
}

fn backward<T: Element>(
    op: &Convolve,
    args: [&Tensor; 2],
    res: &Tensor,
    grad: &Tensor,
    bias: bool,
) -> Result<Grads> {
    op.backward::<T>(args, res, grad, bias)
}
