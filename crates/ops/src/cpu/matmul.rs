//! Matrix products of tensors on the processor, matrix by matrix.

use super::kernel::Element;
use super::product::{Matrix, Target, product};
use super::{by_dtype, tensor, uninit};
use crate::tape::apply2;
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Storage, Tensor, bail};

/// [`crate::linear::matmul`] of checked arguments.
pub(crate) fn matmul(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    apply2([&evenly_spaced(a)?, &evenly_spaced(b)?], Matmul)
}

/// The tensor with matrices that are equally far apart, copied where they are not.
fn evenly_spaced(x: &Tensor) -> Result<Tensor> {
    if distance(x.layout()).is_some() { Ok(x.clone()) } else { x.contiguous() }
}

/// How far apart the matrices of a layout lie, where one number says it.
fn distance(layout: &Layout) -> Option<usize> {
    let outer = layout.dims().len() - 2;
    let mut dims = layout.dims()[..outer].iter().zip(layout.stride()).rev();
    let mut dims = dims.by_ref().filter(|(dim, _)| **dim != 1);
    let Some((&count, &distance)) = dims.next() else { return Some(0) };
    let mut next = count * distance;
    for (&count, &stride) in dims {
        if stride != next {
            return None;
        }
        next = count * stride;
    }
    Some(distance)
}

struct Matmul;

/// Matrices of one size, equally far apart.
struct Matrices<'a, T> {
    data: &'a [T],
    size: [usize; 2],
    strides: [usize; 2],
    distance: usize,
}

impl<'a, T: Element> Matrices<'a, T> {
    fn new(storage: &'a CpuStorage, layout: &Layout) -> Result<Self> {
        let (outer, dims, stride) = (layout.dims().len() - 2, layout.dims(), layout.stride());
        let Some(distance) = distance(layout) else {
            bail!("expected matrices that are equally far apart, got strides {stride:?}")
        };
        Ok(Self {
            data: &storage.as_slice::<T>()?[layout.start_offset()..],
            size: [dims[outer], dims[outer + 1]],
            strides: [stride[outer], stride[outer + 1]],
            distance,
        })
    }

    fn t(self) -> Self {
        let ([rows, columns], [by_row, by_column]) = (self.size, self.strides);
        Self { size: [columns, rows], strides: [by_column, by_row], ..self }
    }

    fn get(&self, at: usize) -> Matrix<'a, T> {
        Matrix {
            data: &self.data[at * self.distance..],
            rows: self.size[0],
            columns: self.size[1],
            row_stride: self.strides[0],
            column_stride: self.strides[1],
        }
    }

    /// `count` products, one behind the other.
    fn times(&self, other: &Self, count: usize) -> Vec<T> {
        let (m, n) = (self.size[0], other.size[1]);
        let mut out = uninit(count * m * n);
        for (at, out) in out.chunks_exact_mut((m * n).max(1)).enumerate() {
            let target = Target { out, pitch: n, add: false };
            product(self.get(at), other.get(at), target, true);
        }
        out
    }
}

fn count(dims: &[usize]) -> usize {
    dims[..dims.len() - 2].iter().product()
}

fn forward<T: Element>(
    (a, al): (&CpuStorage, &Layout),
    (b, bl): (&CpuStorage, &Layout),
) -> Result<CpuStorage> {
    let (a, b) = (Matrices::<T>::new(a, al)?, Matrices::<T>::new(b, bl)?);
    Ok(T::to_cpu_storage_owned(a.times(&b, count(al.dims()))))
}

fn with_matrices<T: Element, R>(
    x: &Tensor,
    f: impl FnOnce(Matrices<'_, T>) -> Result<R>,
) -> Result<R> {
    let x = evenly_spaced(x)?;
    let (storage, layout) = x.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => f(Matrices::new(storage, layout)?),
        _ => bail!("expected a tensor on the cpu"),
    }
}

fn backward<T: Element>(
    a: &Tensor,
    b: &Tensor,
    grad: &Tensor,
) -> Result<(Option<Tensor>, Option<Tensor>)> {
    let count = count(grad.dims());
    with_matrices::<T, _>(grad, |g| {
        let for_a = || with_matrices(b, |b| tensor(g.times(&b.t(), count), a.shape()));
        let for_b = || with_matrices(a, |a| tensor(a.t().times(&g, count), b.shape()));
        Ok((a.track_op().then(for_a).transpose()?, b.track_op().then(for_b).transpose()?))
    })
}

impl CustomOp2 for Matmul {
    fn name(&self) -> &'static str {
        "matmul"
    }

    fn cpu_fwd(
        &self,
        a: &CpuStorage,
        al: &Layout,
        b: &CpuStorage,
        bl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let mut shape = al.dims().to_vec();
        shape.pop();
        shape.extend(bl.dims().last());
        Ok((by_dtype!(a.dtype(), forward((a, al), (b, bl)))?, shape.into()))
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        by_dtype!(a.dtype(), backward(a, b, grad))
    }
}
