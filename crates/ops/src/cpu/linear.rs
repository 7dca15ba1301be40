//! The fully connected layer on the processor.

use super::kernel::Element;
use super::product::{Matrix, Target, product, product_of_each_row};
use super::{by_dtype, contiguous, tensor, uninit, with_data};
use crate::tape::{apply2, apply3};
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor, WithDType};

/// [`crate::linear::linear`] of checked arguments; `x` is a matrix.
pub(crate) fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let (x, weight) = (x.contiguous()?, weight.contiguous()?);
    let op = Linear { each_row: !weight.track_op() };
    match bias {
        Some(bias) => apply3([&x, &weight, &bias.contiguous()?], op),
        None => apply2([&x, &weight], op),
    }
}

struct Linear {
    /// Whether each row of `x` is summed by itself, so that its bits do not depend on the others: where the weight is constant.
    each_row: bool,
}

fn multiply<T: Element>(a: Matrix<'_, T>, b: Matrix<'_, T>, target: Target<'_, T>, each_row: bool) {
    match each_row {
        true => product_of_each_row(a, b, target),
        false => product(a, b, target, true),
    }
}

fn matrix_product<T: Element>(
    a: Matrix<'_, T>,
    b: Matrix<'_, T>,
    each_row: bool,
) -> Result<Tensor> {
    let (m, n) = (a.rows, b.columns);
    if a.columns == 0 {
        return tensor(vec![T::zero(); m * n], (m, n));
    }
    let mut out = uninit(m * n);
    multiply(a, b, Target { out: &mut out, pitch: n, add: false }, each_row);
    tensor(out, (m, n))
}

fn forward<T: Element>(
    op: &Linear,
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
    let target = Target { out: &mut y, pitch: out, add: true };
    multiply(Matrix::new(x, n, inside), Matrix::new(w, out, inside).t(), target, op.each_row);
    Ok((T::to_cpu_storage_owned(y), (n, out).into()))
}

fn backward<T: Element>(
    x: &Tensor,
    weight: &Tensor,
    grad: &Tensor,
) -> Result<(Option<Tensor>, Option<Tensor>)> {
    let ((n, inside), out) = (x.dims2()?, weight.dims()[0]);
    with_data::<T, _>(grad, |g| {
        let g = Matrix::new(g, n, out);
        let each_row = !weight.track_op();
        let for_x = || {
            with_data::<T, _>(weight, |w| matrix_product(g, Matrix::new(w, out, inside), each_row))
        };
        let for_weight =
            || with_data::<T, _>(x, |x| matrix_product(g.t(), Matrix::new(x, n, inside), false));
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
        by_dtype!(s1.dtype(), forward(self, (s1, l1), (s2, l2), None))
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
        by_dtype!(s1.dtype(), forward(self, (s1, l1), (s2, l2), Some((s3, l3))))
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
