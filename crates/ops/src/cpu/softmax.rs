//! Softmax over the last dimension on the processor.

use super::kernel::{Element, Vectorized};
use super::{build, contiguous, sum, tensor, with_data};
use crate::elementary::branchless::exp;
use crate::tape::apply1;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

/// [`crate::activation::softmax`] of a contiguous f32 tensor.
pub(crate) fn softmax(x: &Tensor) -> Result<Tensor> {
    apply1(x, Softmax)
}

struct Softmax;

/// Numbers that one thread takes at a time: whole rows, about as many.
const PART: usize = 1 << 13;

/// The width of a row, and the numbers of a part.
fn sizes(shape: &[usize]) -> (usize, usize) {
    let width = shape.last().copied().unwrap_or(1).max(1);
    (width, (PART / width).max(1) * width)
}

/// Softmax of each row of `width`.
struct Rows<'a> {
    x: &'a [f32],
    width: usize,
    out: &'a mut [f32],
}

impl Vectorized for Rows<'_> {
    #[inline(always)]
    fn run(self) {
        let Self { x, width, out } = self;
        for (x, out) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
            let largest = largest(x);
            for (o, &v) in out.iter_mut().zip(x) {
                *o = exp(v - largest);
            }
            let total = sum::sum(out);
            for o in out {
                *o /= total;
            }
        }
    }
}

/// The largest of a row.
#[inline(always)]
fn largest(row: &[f32]) -> f32 {
    let (whole, rest) = row.as_chunks::<16>();
    let mut lanes = [f32::NEG_INFINITY; 16];
    for part in whole {
        for (lane, &v) in lanes.iter_mut().zip(part) {
            *lane = if *lane < v { v } else { *lane };
        }
    }
    lanes.iter().chain(rest).fold(f32::NEG_INFINITY, |most, &v| if most < v { v } else { most })
}

/// `y (g − Σ g y)` of each row.
struct Gradients<'a> {
    y: &'a [f32],
    grad: &'a [f32],
    width: usize,
    out: &'a mut [f32],
}

impl Vectorized for Gradients<'_> {
    #[inline(always)]
    fn run(self) {
        let Self { y, grad, width, out } = self;
        let rows = y.chunks_exact(width).zip(grad.chunks_exact(width));
        for ((y, g), out) in rows.zip(out.chunks_exact_mut(width)) {
            for ((o, &y), &g) in out.iter_mut().zip(y).zip(g) {
                *o = y * g;
            }
            let total = sum::sum(out);
            for ((o, &y), &g) in out.iter_mut().zip(y).zip(g) {
                *o = y * (g - total);
            }
        }
    }
}

impl CustomOp1 for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = contiguous::<f32>(s, l)?;
        let (width, part) = sizes(l.dims());
        let y = build(x.len(), part, |i, out: &mut [f32]| {
            let x = &x[i * part..][..out.len()];
            f32::kernel().vectorized(Rows { x, width, out });
        });
        Ok((CpuStorage::F32(y), l.shape().clone()))
    }

    fn bwd(&self, _: &Tensor, y: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let (width, part) = sizes(y.dims());
        let dx = with_data::<f32, _>(y, |y| {
            with_data::<f32, _>(grad, |grad| {
                Ok(build(y.len(), part, |i, out: &mut [f32]| {
                    let (y, grad) = (&y[i * part..][..out.len()], &grad[i * part..][..out.len()]);
                    f32::kernel().vectorized(Gradients { y, grad, width, out });
                }))
            })
        })?;
        tensor::<f32>(dx, y.shape()).map(Some)
    }
}
