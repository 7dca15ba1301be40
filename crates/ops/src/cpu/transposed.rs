//! Matrices transposed on the processor, by blocks of a vector's size.

use super::conv::lanes;
use super::kernel::Element;
use super::{PARALLEL_FROM, Shared, by_dtype, contiguous, team, uninit};
use crate::tape::apply1;
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

/// [`crate::transposed::transposed`] of a contiguous tensor.
pub(crate) fn transposed(x: &Tensor) -> Result<Tensor> {
    apply1(x, Transposed)
}

struct Transposed;

/// Columns of a matrix that one thread takes at a time: some vectors, and some lines of the cache.
const STRIP: usize = 64;

fn forward<T: Element>(
    s: &CpuStorage,
    l: &Layout,
    [rows, columns]: [usize; 2],
) -> Result<CpuStorage> {
    let x = contiguous::<T>(s, l)?;
    let mut out = uninit::<T>(x.len());
    let size = rows * columns;
    if let Some(matrices) = x.len().checked_div(size) {
        let strips = columns.div_ceil(STRIP);
        let shared = Shared(out.as_mut_ptr());
        let strip = |task: usize| {
            let (matrix, strip) = (task / strips, task % strips);
            let first = strip * STRIP;
            let size_here = [rows, STRIP.min(columns - first)];
            let from = (x[matrix * size + first..].as_ptr(), columns);
            // SAFETY: the rows of this matrix's result are written that no other task writes, and lie inside of it.
            unsafe {
                let to = (shared.get().add(matrix * size + first * rows), rows);
                lanes::transpose(&T::kernel(), size_here, from, to);
            }
        };
        let tasks = matrices * strips;
        if x.len() < PARALLEL_FROM { (0..tasks).for_each(strip) } else { team::each(tasks, strip) }
    }
    Ok(T::to_cpu_storage_owned(out))
}

impl CustomOp1 for Transposed {
    fn name(&self) -> &'static str {
        "transposed"
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> Result<(CpuStorage, Shape)> {
        let mut dims = l.dims().to_vec();
        let last = dims.len() - 1;
        let size = [dims[last - 1], dims[last]];
        dims.swap(last - 1, last);
        Ok((by_dtype!(s.dtype(), forward(s, l, size))?, dims.into()))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        crate::transposed::transposed(grad).map(Some)
    }
}
