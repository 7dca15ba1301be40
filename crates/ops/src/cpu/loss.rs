//! Losses from logits on the processor.

use super::{by_dtype, contiguous, tensor, with_data};
use crate::tape::apply1;
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, WithDType};

/// [`crate::loss::bce_with_logits_each`] of checked arguments of one type.
pub(crate) fn bce_with_logits(logits: &Tensor, targets: Tensor) -> Result<Tensor> {
    apply1(&logits.contiguous()?, Bce { targets })
}

/// [`crate::loss::cross_entropy_each`] of checked arguments.
pub(crate) fn cross_entropy(logits: &Tensor, classes: Vec<u32>) -> Result<Tensor> {
    apply1(&logits.contiguous()?, CrossEntropy { classes })
}

struct Bce {
    targets: Tensor,
}

fn bce_forward<T: WithDType>(op: &Bce, s: &CpuStorage, l: &Layout) -> Result<CpuStorage> {
    let x = contiguous::<T>(s, l)?;
    let y = with_data::<T, _>(&op.targets, |t| {
        let one = |(&x, &t): (&T, &T)| {
            let (x, t) = (x.to_f64(), t.to_f64());
            T::from_f64(x.max(0.0) - x * t + (-x.abs()).exp().ln_1p())
        };
        Ok(x.iter().zip(t).map(one).collect())
    })?;
    Ok(T::to_cpu_storage_owned(y))
}

fn bce_backward<T: WithDType>(op: &Bce, x: &Tensor, grad: &Tensor) -> Result<Tensor> {
    let out = with_data::<T, _>(x, |x| {
        with_data::<T, _>(&op.targets, |t| {
            with_data::<T, _>(grad, |g| {
                let one = |((&x, &t), &g): ((&T, &T), &T)| {
                    T::from_f64(g.to_f64() * (sigmoid(x.to_f64()) - t.to_f64()))
                };
                Ok(x.iter().zip(t).zip(g).map(one).collect())
            })
        })
    })?;
    tensor(out, x.shape())
}

/// 1 / (1 + exp(-x)), without overflow.
fn sigmoid(x: f64) -> f64 {
    let e = (-x.abs()).exp();
    if x >= 0.0 { 1.0 / (1.0 + e) } else { e / (1.0 + e) }
}

impl CustomOp1 for Bce {
    fn name(&self) -> &'static str {
        "bce-with-logits"
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok((by_dtype!(s.dtype(), bce_forward(self, s, l))?, l.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        by_dtype!(x.dtype(), bce_backward(self, x, grad)).map(Some)
    }
}

struct CrossEntropy {
    classes: Vec<u32>,
}

/// The largest of a row and the logarithm of `Σ exp(x − largest)`.
fn log_sum<T: WithDType>(row: &[T]) -> (f64, f64) {
    let largest = row.iter().map(|v| v.to_f64()).fold(f64::NEG_INFINITY, f64::max);
    (largest, row.iter().map(|v| (v.to_f64() - largest).exp()).sum::<f64>().ln())
}

fn entropy_forward<T: WithDType>(
    op: &CrossEntropy,
    s: &CpuStorage,
    l: &Layout,
) -> Result<CpuStorage> {
    let x = contiguous::<T>(s, l)?;
    let (_, c) = l.shape().dims2()?;
    let one = |(row, &class): (&[T], &u32)| {
        let (largest, log) = log_sum(row);
        T::from_f64(largest - row[class as usize].to_f64() + log)
    };
    Ok(T::to_cpu_storage_owned(x.chunks(c.max(1)).zip(&op.classes).map(one).collect()))
}

fn entropy_backward<T: WithDType>(op: &CrossEntropy, x: &Tensor, grad: &Tensor) -> Result<Tensor> {
    let (_, c) = x.dims2()?;
    let out = with_data::<T, _>(x, |x| {
        with_data::<T, _>(grad, |grad| {
            let mut out = Vec::with_capacity(x.len());
            for ((row, &class), g) in x.chunks(c.max(1)).zip(&op.classes).zip(grad) {
                let (largest, log) = log_sum(row);
                out.extend(row.iter().enumerate().map(|(i, v)| {
                    let p = (v.to_f64() - largest - log).exp();
                    T::from_f64(g.to_f64() * (p - f64::from(i == class as usize)))
                }));
            }
            Ok(out)
        })
    })?;
    tensor(out, x.shape())
}

impl CustomOp1 for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross-entropy"
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, _) = l.shape().dims2()?;
        Ok((by_dtype!(s.dtype(), entropy_forward(self, s, l))?, n.into()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        by_dtype!(x.dtype(), entropy_backward(self, x, grad)).map(Some)
    }
}
