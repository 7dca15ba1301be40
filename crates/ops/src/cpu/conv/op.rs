//! The convolutions as candle operations on the CPU.

use super::algorithm::{grow, masked, shrink, shrink_and_pool};
use super::forms::Forms;
use super::geometry::Sizes;
use super::joined::Part;
use super::target::Target;
use super::{pooled, weight};
use crate::conv::{Algorithm, Conv2d};
use crate::cpu::kernel::Element;
use crate::cpu::{by_dtype, contiguous, has_kernels, tensor, uninit, with_data};
use crate::tape::{apply2, apply3};
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor};
use std::any::Any;
use std::sync::{Arc, OnceLock};

/// Whether all are CPU tensors of one type that has kernels.
pub(crate) fn applies(x: &Tensor, w: &Tensor, b: Option<&Tensor>) -> bool {
    let like_x = |t: &Tensor| has_kernels(t) && t.dtype() == x.dtype();
    like_x(x) && like_x(w) && b.is_none_or(like_x)
}

/// The convolution of checked arguments.
pub(crate) fn conv2d(
    x: &Tensor,
    w: &Tensor,
    b: Option<&Tensor>,
    conv: &Conv2d,
    sizes: Sizes,
    forms: Option<Arc<Forms<f32>>>,
    pooled: bool,
) -> Result<Tensor> {
    let op = Convolve {
        sizes,
        relu: conv.relu,
        pooled: pooled.then(OnceLock::new),
        transposed: false,
        algorithm: conv.algorithm,
        // see `Algorithm::Fastest`
        precise_values: x.track_op() && !w.track_op(),
        constant: !w.track_op(),
        forms,
    };
    op.apply(x, w, b)
}

/// The convolution of checked arguments as one of several, see [`super::joined`].
pub(crate) fn part(
    x: &Tensor,
    (w, b): (&Tensor, Option<&Tensor>),
    conv: &Conv2d,
    sizes: Sizes,
    forms: Arc<Forms<f32>>,
) -> Result<Part> {
    let op = Convolve {
        sizes,
        relu: conv.relu,
        pooled: None,
        transposed: false,
        algorithm: conv.algorithm,
        precise_values: x.track_op(),
        constant: true,
        forms: Some(forms),
    };
    Ok(Part { op, weight: w.contiguous()?, bias: b.map(Tensor::contiguous).transpose()? })
}

/// The transposed convolution of checked arguments: `sizes` are those of the convolution that it transposes.
pub(crate) fn conv_transpose2d(
    x: &Tensor,
    w: &Tensor,
    b: Option<&Tensor>,
    sizes: Sizes,
    relu: bool,
) -> Result<Tensor> {
    let op = Convolve {
        sizes,
        relu,
        pooled: None,
        transposed: true,
        algorithm: Algorithm::Fastest,
        precise_values: false,
        constant: !w.track_op(),
        forms: None,
    };
    op.apply(x, w, b)
}

pub(super) struct Convolve {
    pub(super) sizes: Sizes,
    pub(super) relu: bool,
    /// Pooled by 2×2, not for a transposed convolution: the places of the largest elements, once there are such.
    pooled: Option<OnceLock<Box<dyn Any + Send + Sync>>>,
    pub(super) transposed: bool,
    pub(super) algorithm: Algorithm,
    /// Whether values are rounded as little as direct sums, however gradients are computed.
    pub(super) precise_values: bool,
    /// Whether no gradient is asked of the weight.
    pub(super) constant: bool,
    /// Forms of the weight to use and to keep.
    pub(super) forms: Option<Arc<Forms<f32>>>,
}

impl Convolve {
    fn apply(self, x: &Tensor, w: &Tensor, b: Option<&Tensor>) -> Result<Tensor> {
        let (x, w) = (x.contiguous()?, w.contiguous()?);
        match b {
            Some(b) => apply3([&x, &w, &b.contiguous()?], self),
            None => apply2([&x, &w], self),
        }
    }

    fn shape(&self) -> Shape {
        let s = &self.sizes;
        let (channels, size) = match (self.transposed, &self.pooled) {
            (true, _) => (s.channels, s.input),
            (false, None) => (s.outputs, s.output),
            (false, Some(_)) => (s.outputs, s.output.map(|n| n / 2)),
        };
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
        let args = (x, w, b);
        Ok(T::to_cpu_storage_owned(self.with_forms(|forms| match &self.pooled {
            None if self.transposed => grow(self, forms, args, None, self.relu),
            None => self.shrunk(forms, args, self.relu),
            Some(kept) => {
                let (largest, places) = shrink_and_pool(self, forms, args);
                // of an operation that candle applies once
                let _ = kept.set(Box::new(places));
                largest
            }
        })))
    }

    /// Calls `f` with the forms that are kept, or with some of its own.
    pub(super) fn with_forms<T: Element, R>(&self, f: impl FnOnce(&Forms<T>) -> R) -> R {
        match self.forms.as_deref().and_then(Forms::of) {
            Some(forms) => f(forms),
            None => f(&Forms::default()),
        }
    }

    /// [`shrink`] of the whole batch.
    fn shrunk<T: Element>(
        &self,
        forms: &Forms<T>,
        args: (&[T], &[T], Option<&[T]>),
        relu: bool,
    ) -> Vec<T> {
        let s = &self.sizes;
        let mut y = uninit(s.batch * s.outputs * s.output[0] * s.output[1]);
        shrink(self, s, forms, args, relu, Target::whole(&mut y, s.batch));
        y
    }

    /// The gradient of a convolution's input from that of its result.
    pub(super) fn of_input<T: Element>(&self, g: &[T], w: &[T]) -> Vec<T> {
        self.with_forms(|forms| grow(self, forms, (g, w, None), None, false))
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
        with_data::<T, _>(grad, |g| {
            let places = self.pooled.as_ref().and_then(OnceLock::get);
            if let Some(places) = places.and_then(|places| places.downcast_ref::<Vec<T>>()) {
                return with_data::<T, _>(res, |largest| {
                    let (kernel, size) = (T::kernel(), self.sizes.output);
                    let g = pooled::spread(&kernel, size, [largest, places, g], self.relu);
                    self.gradients(x, w, &g, None, bias)
                });
            }
            if !self.relu {
                return self.gradients(x, w, g, None, bias);
            }
            with_data::<T, _>(res, |y| {
                // Winograd's method applies the rectifier's mask while it reads
                let only_x = !w.track_op() && !bias && !self.transposed;
                if only_x && self.grows_fast::<T>().is_some() {
                    return self.gradients(x, w, g, Some(y), bias);
                }
                masked(g, Some(y), |g| self.gradients(x, w, g, None, bias))
            })
        })
    }

    /// The same behind the rectifier; `mask` is for the gradient of `x` alone.
    fn gradients<T: Element>(
        &self,
        x: &Tensor,
        w: &Tensor,
        g: &[T],
        mask: Option<&[T]>,
        bias: bool,
    ) -> Result<Grads> {
        let s = &self.sizes;
        let for_x = |w: &[T]| {
            let args = (g, w, None);
            Ok(self.with_forms(|forms| match self.transposed {
                true => self.shrunk(forms, args, false),
                false => grow(self, forms, args, mask, false),
            }))
        };
        let dx = match x.track_op() {
            true => Some(tensor(with_data::<T, _>(w, for_x)?, x.shape())?),
            false => None,
        };
        let for_w = |x: &[T]| {
            let mut dw = uninit(w.elem_count());
            let (large, small) = if self.transposed { (g, x) } else { (x, g) };
            weight::gradient(s, &T::kernel(), large, small, &mut dw);
            Ok(dw)
        };
        let dw = match w.track_op() {
            true => Some(tensor(with_data::<T, _>(x, for_w)?, w.shape())?),
            false => None,
        };
        let (channels, size) =
            if self.transposed { (s.channels, s.input) } else { (s.outputs, s.output) };
        let for_bias = || tensor(weight::bias(channels, size[0] * size[1], g), channels);
        Ok((dx, dw, bias.then(for_bias).transpose()?))
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
