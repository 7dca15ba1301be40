//! Sums over the last dimensions on the processor.

use super::kernel::Element;
use super::{by_dtype, contiguous, team, with_data, zip};
use crate::tape::{apply1, apply2};
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Tensor};

/// The sums over as many of the last dimensions, which become 1, of an f32 tensor.
pub(crate) fn sum_last(x: &Tensor, dims: usize) -> Result<Tensor> {
    apply1(x, SumLast { dims })
}

/// [`crate::sum::add`] of contiguous tensors of one shape and type.
pub(crate) fn add(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    apply2([a, b], Add)
}

struct Add;

fn pairs<T: Element>(a: (&CpuStorage, &Layout), b: (&CpuStorage, &Layout)) -> Result<CpuStorage> {
    let (a, b) = (contiguous::<T>(a.0, a.1)?, contiguous::<T>(b.0, b.1)?);
    Ok(T::to_cpu_storage_owned(zip::<T>(a, b, |a, b| a + b)))
}

impl CustomOp2 for Add {
    fn name(&self) -> &'static str {
        "add"
    }

    fn cpu_fwd(
        &self,
        a: &CpuStorage,
        la: &Layout,
        b: &CpuStorage,
        lb: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        Ok((by_dtype!(a.dtype(), pairs((a, la), (b, lb)))?, la.shape().clone()))
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let of = |x: &Tensor| x.track_op().then(|| grad.clone());
        Ok((of(a), of(b)))
    }
}

/// Sums side by side, in every version: candle takes as many on every processor, but joins them by the width of vectors.
const LANES: usize = 32;

/// Terms that are 32 apart in chains of their own; then chains 8, 16 and 4 apart are joined, then four neighbours; then what
/// is left follows. What candle does with AVX2, on every processor.
#[inline(always)]
pub(crate) fn sum(x: &[f32]) -> f32 {
    let (whole, rest) = x.as_chunks::<LANES>();
    let mut lanes = [0f32; LANES];
    for part in whole {
        for (lane, v) in lanes.iter_mut().zip(part) {
            *lane += v;
        }
    }
    let eight = |l: usize| (lanes[l] + lanes[8 + l]) + (lanes[16 + l] + lanes[24 + l]);
    let four = |l: usize| eight(l) + eight(4 + l);
    let joined = (four(0) + four(1)) + (four(2) + four(3));
    rest.iter().fold(joined, |sum, v| sum + v)
}

struct SumLast {
    dims: usize,
}

impl SumLast {
    fn shape(&self, of: &[usize]) -> Vec<usize> {
        let kept = of.len() - self.dims;
        of.iter().enumerate().map(|(at, &dim)| if at < kept { dim } else { 1 }).collect()
    }
}

/// Elements below which one thread is quicker than several.
const PARALLEL_FROM: usize = 1 << 16;

impl CustomOp1 for SumLast {
    fn name(&self) -> &'static str {
        "sum"
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = contiguous::<f32>(s, l)?;
        let shape = self.shape(l.dims());
        let count: usize = shape.iter().product();
        let sums: Vec<f32> = match x.len().checked_div(count).unwrap_or(0) {
            0 => vec![0.0; count],
            each if x.len() < PARALLEL_FROM => x.chunks_exact(each).map(sum).collect(),
            each => team::map(count, |i| sum(&x[i * each..][..each])),
        };
        Ok((CpuStorage::F32(sums), shape.into()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        grad.broadcast_as(x.shape()).map(Some)
    }
}

/// [`crate::loss::log_softmax`] of an f32 matrix of rows.
pub(crate) fn log_softmax(x: &Tensor) -> Result<Tensor> {
    apply1(x, LogSoftmax)
}

struct LogSoftmax;

/// A row less its largest, the exponentials of that, and their sum.
fn shifted(row: &[f32]) -> (Vec<f32>, Vec<f32>, f32) {
    let mut largest = row.first().copied().unwrap_or(0.0);
    for &v in row {
        if largest < v {
            largest = v;
        }
    }
    let shifted: Vec<f32> = row.iter().map(|v| v - largest).collect();
    let exponentials: Vec<f32> = shifted.iter().map(|v| v.exp()).collect();
    let total = sum(&exponentials);
    (shifted, exponentials, total)
}

impl CustomOp1 for LogSoftmax {
    fn name(&self) -> &'static str {
        "log-softmax"
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> Result<(CpuStorage, Shape)> {
        let width = l.dims().last().copied().unwrap_or(1).max(1);
        let one = |row| {
            let (shifted, _, total) = shifted(row);
            let log = total.ln();
            shifted.into_iter().map(move |v| v - log)
        };
        let out = contiguous::<f32>(s, l)?.chunks_exact(width).flat_map(one).collect();
        Ok((CpuStorage::F32(out), l.shape().clone()))
    }

    /// `g − softmax(x) · Σ g`.
    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let width = x.dims().last().copied().unwrap_or(1).max(1);
        let out = with_data::<f32, _>(x, |x| {
            with_data::<f32, _>(grad, |grad| {
                let one = |(row, grad): (&[f32], &[f32])| -> Vec<f32> {
                    let (_, exponentials, total) = shifted(row);
                    let each = -sum(grad) / total;
                    grad.iter().zip(exponentials).map(|(g, e)| g + each * e).collect()
                };
                Ok(x.chunks_exact(width).zip(grad.chunks_exact(width)).flat_map(one).collect())
            })
        })?;
        super::tensor::<f32>(out, x.shape()).map(Some)
    }
}
