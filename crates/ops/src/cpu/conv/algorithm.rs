//! Which algorithm computes a convolution of which sizes: Winograd's, sums that read their input where it lies, sums over
//! gathered patches, or scattered ones.

use super::direct;
use super::forms::{Forms, kept};
use super::geometry::Sizes;
use super::op::Convolve;
use super::target::Target;
use super::winograd::Input;
use super::{indirect, pooled, scatter, winograd};
use crate::conv::{Algorithm, is_exact};
use crate::cpu::kernel::Element;
use crate::cpu::{PARALLEL_FROM, Zip, scratch, team, uninit};
use candle_core::DType;

/// From the larger side to the smaller, for sizes that are the operation's but for the batch.
pub(super) fn shrink<T: Element>(
    op: &Convolve,
    s: &Sizes,
    forms: &Forms<T>,
    (x, w, b): (&[T], &[T], Option<&[T]>),
    relu: bool,
    y: Target<'_, T>,
) {
    let kernel = T::kernel();
    let precise = op.precise_values && !op.transposed;
    let shape = |s: &Sizes| {
        let shape = winograd::Shape::forward(s)?;
        if precise { shape.precise() } else { Some(shape) }
    };
    if let Some(shape) = shape(s).filter(|shape| op.is_fast::<T>(shape)) {
        let forms = if precise { &forms.precise_filters } else { &forms.filters };
        let filters = kept(forms, || winograd::transform(&shape, &kernel, w));
        winograd::run(&shape, &kernel, Input { x, mask: None }, filters, b, relu, y);
        return;
    }
    let sliding = s.forward();
    if indirect::pays(&sliding, s.kernel) {
        let packed = kept(&forms.packed, || indirect::pack(&sliding, &kernel, w));
        indirect::run(&[(sliding, packed)], &kernel, x, b, relu, y);
    } else {
        let packed = kept(&forms.packed, || direct::pack(&sliding, &kernel, w));
        direct::run(&sliding, &kernel, x, packed, b, relu, y);
    }
}

/// Likewise, then pooled; and the places of the largest elements.
pub(super) fn shrink_and_pool<T: Element>(
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
            shrink(op, &part, forms, (x, w, b), op.relu, Target::whole(y, part.batch));
            let range = first * kept..(first + part.batch) * kept;
            let (largest, places) = (&mut largest[range.clone()], &mut places[range]);
            pooled::pool(&T::kernel(), s.output, y, largest, places);
        }
    });
    (largest, places)
}

/// From the smaller side to the larger. Where `mask` is not positive, `x` counts as zero.
pub(super) fn grow<T: Element>(
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
        let y_all = Target::whole(&mut y, s.batch);
        winograd::run(&shape, &kernel, Input { x, mask }, filters, b, relu, y_all);
        return y;
    }
    masked(x, mask, |x| {
        let parts = s.transposed();
        let pays = |part| indirect::pays(part, s.kernel);
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
            return indirect::run(&parts, &kernel, x, b, relu, Target::whole(&mut y, s.batch));
        }
        for (sliding, packed) in &parts {
            direct::run(sliding, &kernel, x, packed, b, relu, Target::whole(&mut y, s.batch));
        }
    });
    y
}

/// Calls `f` with a copy of `x` that is zero where `mask` is not positive; without a mask with `x` itself.
pub(super) fn masked<T: Element, R>(x: &[T], mask: Option<&[T]>, f: impl FnOnce(&[T]) -> R) -> R {
    let Some(mask) = mask else { return f(x) };
    scratch::with(x.len(), |copy: &mut [T]| {
        let behind = |x: T, m: T| if m <= T::zero() { T::zero() } else { x };
        let part = |((out, a), b): ((&mut [T], &[T]), &[T])| {
            T::kernel().vectorized(Zip { a, b, out, f: behind });
        };
        const PART: usize = PARALLEL_FROM / 2;
        if x.len() < PARALLEL_FROM {
            part(((copy, x), mask));
        } else {
            let parts = copy.chunks_mut(PART).zip(x.chunks(PART));
            team::all(parts.zip(mask.chunks(PART)), part);
        }
        f(copy)
    })
}

impl Convolve {
    /// Whether another method than the direct sum is allowed, in f32, unless forbidden, and pays.
    ///
    /// It is decided for the whole batch, whatever part of it is computed. Where the weight is constant, the bits of an image must not
    /// depend on who else is in the batch, so that it is decided for one image, and as if filters were there already.
    fn is_fast<T: Element>(&self, shape: &winograd::Shape) -> bool {
        let (images, ready) = if self.constant { (1, true) } else { (self.sizes.batch, false) };
        T::DTYPE == DType::F32
            && self.algorithm == Algorithm::Fastest
            && !is_exact()
            && shape.pays(images, ready)
    }

    /// Whether and how [`grow`] uses Winograd's method.
    pub(super) fn grows_fast<T: Element>(&self) -> Option<winograd::Shape> {
        winograd::Shape::transposed(&self.sizes).filter(|shape| self.is_fast::<T>(shape))
    }
}
