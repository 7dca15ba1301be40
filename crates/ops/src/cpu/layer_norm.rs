//! Layer normalisation on the processor.

use super::kernel::{Element, Vectorized};
use super::{build, by_dtype, contiguous, team, tensor, with_data};
use crate::tape::apply3;
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, WithDType};

/// [`crate::norm::layer_norm`] of checked arguments of one type.
pub(crate) fn layer_norm(x: &Tensor, weight: &Tensor, bias: &Tensor, eps: f64) -> Result<Tensor> {
    apply3([&x.contiguous()?, &weight.contiguous()?, &bias.contiguous()?], LayerNorm { eps })
}

struct LayerNorm {
    eps: f64,
}

/// Numbers that one thread takes at a time: whole rows, about as many. Gradients to weight and bias are summed by parts, so that
/// it belongs to the result.
const PART: usize = 1 << 14;

/// Numbers of a part of rows of `width`.
fn part_of(width: usize) -> usize {
    (PART / width.max(1)).max(1) * width.max(1)
}

const LANES: usize = 16;

/// `Σ f(a, b)` of pairs, in lanes of their own type and then in f64.
#[inline(always)]
fn total<T: WithDType>(a: &[T], b: &[T], f: impl Fn(T, T) -> T) -> f64 {
    let mut lanes = [T::zero(); LANES];
    let (whole_a, rest_a) = a.as_chunks::<LANES>();
    let (whole_b, rest_b) = b.as_chunks::<LANES>();
    for (a, b) in whole_a.iter().zip(whole_b) {
        for i in 0..LANES {
            lanes[i] += f(a[i], b[i]);
        }
    }
    for (i, (&a, &b)) in rest_a.iter().zip(rest_b).enumerate() {
        lanes[i] += f(a, b);
    }
    lanes.iter().map(|lane| lane.to_f64()).sum()
}

/// A row's mean, and one over its deviation.
#[inline(always)]
fn moments<T: WithDType>(row: &[T], eps: f64) -> (T, T) {
    let count = row.len() as f64;
    let mean = T::from_f64(total(row, row, |v, _| v) / count);
    let variance = total(row, row, |v, _| (v - mean) * (v - mean)) / count;
    (mean, T::from_f64((variance + eps).sqrt().recip()))
}

struct Forward<'a, T> {
    x: &'a [T],
    weight: &'a [T],
    bias: &'a [T],
    eps: f64,
    out: &'a mut [T],
}

impl<T: Element> Vectorized for Forward<'_, T> {
    #[inline(always)]
    fn run(self) {
        let Self { x, weight, bias, eps, out } = self;
        let width = weight.len();
        for (x, out) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
            let (mean, rate) = moments(x, eps);
            for (((o, &x), &w), &b) in out.iter_mut().zip(x).zip(weight).zip(bias) {
                *o = (x - mean) * rate * w + b;
            }
        }
    }
}

/// The gradient to rows: `rate (g w − mean(g w) − x̂ mean(g w x̂))`.
struct ToRows<'a, T> {
    x: &'a [T],
    grad: &'a [T],
    weight: &'a [T],
    eps: f64,
    out: &'a mut [T],
    /// Of one row: `x̂`.
    row: &'a mut [T],
}

impl<T: Element> Vectorized for ToRows<'_, T> {
    #[inline(always)]
    fn run(self) {
        let Self { x, grad, weight, eps, out, row } = self;
        let width = weight.len();
        let rows = x.chunks_exact(width).zip(grad.chunks_exact(width));
        for ((x, g), out) in rows.zip(out.chunks_exact_mut(width)) {
            let (mean, rate) = moments(x, eps);
            for (((o, n), (&x, &g)), &w) in
                out.iter_mut().zip(row.iter_mut()).zip(x.iter().zip(g)).zip(weight)
            {
                *o = g * w;
                *n = (x - mean) * rate;
            }
            let count = width as f64;
            let along = T::from_f64(total(out, row, |g, _| g) / count);
            let by_x = T::from_f64(total(out, row, |g, n| g * n) / count);
            for (o, &n) in out.iter_mut().zip(row.iter()) {
                *o = rate * (*o - along - n * by_x);
            }
        }
    }
}

/// Adds each row's part of the gradients to weight, `Σ g x̂`, and bias, `Σ g`.
struct ToWeights<'a, T> {
    x: &'a [T],
    grad: &'a [T],
    eps: f64,
    weight: &'a mut [T],
    bias: &'a mut [T],
}

impl<T: Element> Vectorized for ToWeights<'_, T> {
    #[inline(always)]
    fn run(self) {
        let Self { x, grad, eps, weight, bias } = self;
        let width = weight.len();
        for (x, g) in x.chunks_exact(width).zip(grad.chunks_exact(width)) {
            let (mean, rate) = moments(x, eps);
            for ((dw, db), (&x, &g)) in weight.iter_mut().zip(bias.iter_mut()).zip(x.iter().zip(g))
            {
                *dw += g * ((x - mean) * rate);
                *db += g;
            }
        }
    }
}

fn forward<T: Element>(op: &LayerNorm, args: [(&CpuStorage, &Layout); 3]) -> Result<CpuStorage> {
    let [x, weight, bias] = args.map(|(s, l)| contiguous::<T>(s, l));
    let (x, weight, bias) = (x?, weight?, bias?);
    let part = part_of(weight.len());
    let y = build(x.len(), part, |i, out: &mut [T]| {
        let x = &x[i * part..][..out.len()];
        T::kernel().vectorized(Forward { x, weight, bias, eps: op.eps, out });
    });
    Ok(T::to_cpu_storage_owned(y))
}

fn backward<T: Element>(
    op: &LayerNorm,
    args: [&Tensor; 3],
    grad: &Tensor,
) -> Result<[Option<Tensor>; 3]> {
    let eps = op.eps;
    let [x, weight, bias] = args.map(Tensor::track_op);
    with_data::<T, _>(args[0], |data| {
        with_data::<T, _>(grad, |grad| {
            let width = args[1].elem_count();
            let part = part_of(width);
            let to_rows = |w: &[T]| {
                let dx = build(data.len(), part, |i, out: &mut [T]| {
                    let range = i * part..i * part + out.len();
                    let (x, grad) = (&data[range.clone()], &grad[range]);
                    let row = &mut vec![T::zero(); width];
                    T::kernel().vectorized(ToRows { x, grad, weight: w, eps, out, row });
                });
                tensor(dx, args[0].shape())
            };
            let dx = if x { Some(with_data::<T, _>(args[1], to_rows)?) } else { None };
            if !weight && !bias {
                return Ok([dx, None, None]);
            }
            let parts = team::map(data.len().div_ceil(part), |i| {
                let range = i * part..data.len().min((i + 1) * part);
                let (x, grad) = (&data[range.clone()], &grad[range]);
                let mut sums = [vec![T::zero(); width], vec![T::zero(); width]];
                let [weight, bias] = &mut sums;
                T::kernel().vectorized(ToWeights { x, grad, eps, weight, bias });
                sums
            });
            let mut sums = [vec![T::zero(); width], vec![T::zero(); width]];
            for part in parts {
                for (sums, part) in sums.iter_mut().zip(part) {
                    sums.iter_mut().zip(part).for_each(|(sum, v)| *sum += v);
                }
            }
            let [dw, db] = sums.map(|sums| tensor(sums, args[1].shape()));
            let asked = |asked: bool, t: Result<Tensor>| if asked { t.map(Some) } else { Ok(None) };
            Ok([dx, asked(weight, dw)?, asked(bias, db)?])
        })
    })
}

impl CustomOp3 for LayerNorm {
    fn name(&self) -> &'static str {
        "layer-norm"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let args = [(s1, l1), (s2, l2), (s3, l3)];
        Ok((by_dtype!(s1.dtype(), forward(self, args))?, l1.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [x, weight, bias] = by_dtype!(x.dtype(), backward(self, [x, weight, bias], grad))?;
        Ok((x, weight, bias))
    }
}
