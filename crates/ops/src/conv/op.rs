//! The convolutions as candle operations on the CPU.

use super::direct;
use super::frozen::{Forms, kept};
use super::geometry::Sizes;
use super::winograd::Input;
use super::{Algorithm, Conv2d, indirect, is_exact, pooled, scatter, weight, winograd};
use crate::cpu::{PARALLEL_FROM, by_dtype, contiguous, has_kernels, tensor, uninit, with_data};
use crate::kernel::Element;
use crate::scratch;
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp2, CustomOp3, DType, Layout, Result, Shape, Tensor};
use rayon::prelude::*;
use std::any::Any;
use std::sync::{Arc, OnceLock};

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
        forms,
    };
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
    let op = Convolve {
        sizes,
        relu,
        pooled: None,
        transposed: true,
        algorithm: Algorithm::Fastest,
        precise_values: false,
        forms: None,
    };
    op.apply(x, w, b)
}

struct Convolve {
    sizes: Sizes,
    relu: bool,
    /// Pooled by 2×2, not for a transposed convolution: the places of the largest elements, once there are such.
    pooled: Option<OnceLock<Box<dyn Any + Send + Sync>>>,
    transposed: bool,
    algorithm: Algorithm,
    /// Whether values are rounded as little as direct sums, however gradients are computed.
    precise_values: bool,
    /// Forms of the weight to use and to keep.
    forms: Option<Arc<Forms<f32>>>,
}

/// From the larger side to the smaller, for sizes that are the operation's but for the batch.
fn shrink<T: Element>(
    op: &Convolve,
    s: &Sizes,
    forms: &Forms<T>,
    (x, w, b): (&[T], &[T], Option<&[T]>),
    relu: bool,
    y: &mut [T],
) {
    let (kernel, ready) = (T::kernel(), op.forms.is_some());
    let precise = op.precise_values && !op.transposed;
    let shape = |s: &Sizes| {
        let shape = winograd::Shape::forward(s)?;
        if precise { shape.precise() } else { Some(shape) }
    };
    // decided for the whole batch, whatever part of it this is
    let pays = |shape: &winograd::Shape| op.may_be_fast::<T>() && shape.pays(ready);
    let fast = shape(&op.sizes).filter(pays).and_then(|_| shape(s));
    if let Some(shape) = fast {
        let forms = if precise { &forms.precise_filters } else { &forms.filters };
        let filters = kept(forms, || winograd::transform(&shape, &kernel, w));
        winograd::run(&shape, &kernel, Input { x, mask: None }, filters, b, relu, y);
        return;
    }
    let sliding = s.forward();
    if indirect::pays(&sliding, s.kernel, &kernel) {
        let packed = kept(&forms.packed, || indirect::pack(&sliding, &kernel, w));
        indirect::run(&[(sliding, packed)], &kernel, x, b, relu, y);
    } else {
        let packed = kept(&forms.packed, || direct::pack(&sliding, &kernel, w));
        direct::run(&sliding, &kernel, x, packed, b, relu, y);
    }
}

/// Likewise, then pooled; and the places of the largest elements.
fn shrink_and_pool<T: Element>(
    op: &Convolve,
    forms: &Forms<T>,
    (x, w, b): (&[T], &[T], Option<&[T]>),
) -> (Vec<T>, Vec<T>) {
    let s = &op.sizes;
    let elements = s.outputs * s.output[0] * s.output[1];
    let kept = s.outputs * (s.output[0] / 2) * (s.output[1] / 2);
    let (mut largest, mut places) = (uninit(s.batch * kept), uninit(s.batch * kept));
    let images = pooled::images(elements, s.batch);
    scratch::with(images * elements, |y: &mut [T]| {
        for first in (0..s.batch).step_by(images) {
            let part = Sizes { batch: images.min(s.batch - first), ..*s };
            let x = &x[first * s.channels * s.input[0] * s.input[1]..];
            let x = &x[..part.batch * s.channels * s.input[0] * s.input[1]];
            let y = &mut y[..part.batch * elements];
            shrink(op, &part, forms, (x, w, b), op.relu, y);
            let range = first * kept..(first + part.batch) * kept;
            let (largest, places) = (&mut largest[range.clone()], &mut places[range]);
            pooled::pool(&T::kernel(), s.output, y, largest, places);
        }
    });
    (largest, places)
}

/// From the smaller side to the larger. Where `mask` is not positive, `x` counts as zero.
fn grow<T: Element>(
    op: &Convolve,
    forms: &Forms<T>,
    (x, w, b): (&[T], &[T], Option<&[T]>),
    mask: Option<&[T]>,
    relu: bool,
) -> Vec<T> {
    let (s, kernel) = (&op.sizes, T::kernel());
    let mut y = uninit(s.batch * s.channels * s.input[0] * s.input[1]);
    if let Some(shape) = op.grows_fast::<T>() {
        let filters = kept(&forms.transposed_filters, || winograd::transform(&shape, &kernel, w));
        winograd::run(&shape, &kernel, Input { x, mask }, filters, b, relu, &mut y);
        return y;
    }
    masked(x, mask, |x| {
        let parts = s.transposed();
        let pays = |part| indirect::pays(part, s.kernel, &kernel);
        let indirect = parts.first().is_some_and(pays) && s.output != [1; 2];
        if !indirect && scatter::pays(s) {
            return scatter::run(s, &kernel, x, w, b, relu, &mut y);
        }
        let pack = if indirect { indirect::pack } else { direct::pack };
        let packed = kept(&forms.transposed_packed, || {
            parts.iter().map(|part| pack(part, &kernel, w)).collect()
        });
        let parts: Vec<_> = parts.into_iter().zip(packed).collect();
        if indirect {
            return indirect::run(&parts, &kernel, x, b, relu, &mut y);
        }
        for (sliding, packed) in &parts {
            direct::run(sliding, &kernel, x, packed, b, relu, &mut y);
        }
    });
    y
}

/// Calls `f` with a copy of `x` that is zero where `mask` is not positive; without a mask with `x` itself.
fn masked<T: Element, R>(x: &[T], mask: Option<&[T]>, f: impl FnOnce(&[T]) -> R) -> R {
    let Some(mask) = mask else { return f(x) };
    scratch::with(x.len(), |copy: &mut [T]| {
        let part = |((copy, x), mask): ((&mut [T], &[T]), &[T])| {
            for ((o, &v), &m) in copy.iter_mut().zip(x).zip(mask) {
                *o = if m <= T::zero() { T::zero() } else { v };
            }
        };
        const PART: usize = PARALLEL_FROM / 2;
        if x.len() < PARALLEL_FROM {
            part(((copy, x), mask));
        } else {
            let parts = copy.par_chunks_mut(PART).zip(x.par_chunks(PART));
            parts.zip(mask.par_chunks(PART)).for_each(part);
        }
        f(copy)
    })
}

impl Convolve {
    /// Whether another method than the direct sum is allowed: in f32, unless forbidden.
    fn may_be_fast<T: Element>(&self) -> bool {
        T::DTYPE == DType::F32 && self.algorithm == Algorithm::Fastest && !is_exact()
    }

    /// Whether and how [`grow`] uses Winograd's method.
    fn grows_fast<T: Element>(&self) -> Option<winograd::Shape> {
        winograd::Shape::transposed(&self.sizes)
            .filter(|shape| self.may_be_fast::<T>() && shape.pays(self.forms.is_some()))
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
    fn with_forms<T: Element, R>(&self, f: impl FnOnce(&Forms<T>) -> R) -> R {
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
        shrink(self, s, forms, args, relu, &mut y);
        y
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
