//! The fully connected layer on the processor, by the `gemm` crate.

use super::{by_dtype, contiguous, tensor, uninit, with_data};
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor, WithDType};
use gemm::{Parallelism, gemm};

/// [`crate::linear::linear`] of checked arguments; `x` is a matrix.
pub(crate) fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let (x, weight) = (x.contiguous()?, weight.contiguous()?);
    match bias {
        Some(bias) => x.apply_op3(&weight, &bias.contiguous()?, Linear),
        None => x.apply_op2(&weight, Linear),
    }
}

struct Linear;

/// A matrix as rows, columns and the distances between them.
#[derive(Clone, Copy)]
struct Matrix<'a, T> {
    data: &'a [T],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a, T> Matrix<'a, T> {
    fn new(data: &'a [T], rows: usize, columns: usize) -> Self {
        assert_eq!(data.len(), rows * columns);
        Self { data, rows, columns, row_stride: columns, column_stride: 1 }
    }

    fn t(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }
}

/// Multiplications below which one thread is quicker than several.
const PARALLEL_FROM: usize = 1 << 17;

/// `out = a · b`, or `out += a · b`; `out` is row-major.
///
/// gemm splits rows and columns among the threads and never a sum, so that their number changes no bit.
fn product<T: WithDType>(a: Matrix<'_, T>, b: Matrix<'_, T>, out: &mut [T], add: bool) {
    assert_eq!(a.columns, b.rows);
    assert_eq!(out.len(), a.rows * b.columns);
    let (m, n, k) = (a.rows, b.columns, a.columns);
    let parallel = match m * n * k {
        few if few < PARALLEL_FROM => Parallelism::None,
        _ => Parallelism::Rayon(rayon::current_num_threads()),
    };
    // SAFETY: `out` is m × n row-major, `a` and `b` cover m × k and k × n elements with these strides: checked above and
    // in `Matrix::new`. `out` is borrowed mutably, so it overlaps neither. With `add` false it is not read.
    unsafe {
        gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            n as isize,
            add,
            a.data.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            T::one(),
            T::one(),
            false,
            false,
            false,
            parallel,
        );
    }
}

fn matrix_product<T: WithDType>(a: Matrix<'_, T>, b: Matrix<'_, T>) -> Result<Tensor> {
    let (m, n) = (a.rows, b.columns);
    if a.columns == 0 {
        return tensor(vec![T::zero(); m * n], (m, n));
    }
    let mut out = uninit(m * n);
    product(a, b, &mut out, false);
    tensor(out, (m, n))
}

fn forward<T: WithDType>(
    x: (&CpuStorage, &Layout),
    weight: (&CpuStorage, &Layout),
    bias: Option<(&CpuStorage, &Layout)>,
) -> Result<(CpuStorage, Shape)> {
    let ((n, inside), out) = (x.1.shape().dims2()?, weight.1.dims()[0]);
    let (x, w) = (contiguous::<T>(x.0, x.1)?, contiguous::<T>(weight.0, weight.1)?);
    let mut y = vec![T::zero(); n * out];
    if let Some((s, l)) = bias {
        let bias = contiguous::<T>(s, l)?;
        y.chunks_mut(out.max(1)).for_each(|row| row.copy_from_slice(bias));
    }
    product(Matrix::new(x, n, inside), Matrix::new(w, out, inside).t(), &mut y, true);
    Ok((T::to_cpu_storage_owned(y), (n, out).into()))
}

fn backward<T: WithDType>(
    x: &Tensor,
    weight: &Tensor,
    grad: &Tensor,
) -> Result<(Option<Tensor>, Option<Tensor>)> {
    let ((n, inside), out) = (x.dims2()?, weight.dims()[0]);
    with_data::<T, _>(grad, |g| {
        let g = Matrix::new(g, n, out);
        let for_x =
            || with_data::<T, _>(weight, |w| matrix_product(g, Matrix::new(w, out, inside)));
        let for_weight =
            || with_data::<T, _>(x, |x| matrix_product(g.t(), Matrix::new(x, n, inside)));
        Ok((x.track_op().then(for_x).transpose()?, weight.track_op().then(for_weight).transpose()?))
    })
}

/// Sums of the columns.
fn column_sums<T: WithDType>(grad: &Tensor) -> Result<Tensor> {
    let columns = grad.dim(1)?;
    let sums = with_data::<T, _>(grad, |g| {
        let mut sums = vec![T::zero(); columns];
        for row in g.chunks(columns.max(1)) {
            sums.iter_mut().zip(row).for_each(|(sum, &v)| *sum += v);
        }
        Ok(sums)
    })?;
    tensor(sums, columns)
}

impl CustomOp2 for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        by_dtype!(s1.dtype(), forward((s1, l1), (s2, l2), None))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        by_dtype!(x.dtype(), backward(x, weight, grad))
    }
}

impl CustomOp3 for Linear {
    fn name(&self) -> &'static str {
        "linear-bias"
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
        by_dtype!(s1.dtype(), forward((s1, l1), (s2, l2), Some((s3, l3))))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (for_x, for_weight) = by_dtype!(x.dtype(), backward(x, weight, grad))?;
        let for_bias = || by_dtype!(x.dtype(), column_sums(grad));
        Ok((for_x, for_weight, bias.track_op().then(for_bias).transpose()?))
    }
}
