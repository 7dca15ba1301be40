//! Sums over the last dimensions on the processor.

use super::{contiguous, team, with_data};
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

/// The sums over as many of the last dimensions, which become 1, of an f32 tensor.
pub(crate) fn sum_last(x: &Tensor, dims: usize) -> Result<Tensor> {
    x.apply_op1(SumLast { dims })
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
    x.apply_op1(LogSoftmax)
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
