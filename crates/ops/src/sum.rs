//! Sums and means of tensors, with the same bits on every processor.
//!
//! candle adds f32 along the last dimensions in an order that follows the width of the processor's vectors. Here the order
//! is one, that of candle with AVX2. All else (other dimensions, types, devices) is candle's own.

use crate::cpu::{self, has_kernels, sum::sum_last};
use crate::tape::{apply1, reshape};
use candle_core::shape::Dims;
use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result, Shape, Tensor, bail};

/// The sum over `dims`, which become 1. candle's `sum_keepdim`.
pub fn sum_keepdim<D: Dims>(x: &Tensor, dims: D) -> Result<Tensor> {
    let mut dims = dims.to_indexes(x.shape(), "sum")?;
    dims.sort_unstable();
    let first = x.rank() - dims.len().min(x.rank());
    let last = dims.iter().copied().eq(first..x.rank());
    if last && !dims.is_empty() && has_kernels(x) && x.dtype() == DType::F32 && x.is_contiguous() {
        sum_last(x, dims.len())
    } else {
        x.sum_keepdim(dims)
    }
}

/// The sum over `dims`, which go. candle's `sum`.
pub fn sum<D: Dims>(x: &Tensor, dims: D) -> Result<Tensor> {
    let dims = dims.to_indexes(x.shape(), "sum")?;
    let kept: Vec<usize> = (0..x.rank()).filter(|at| !dims.contains(at)).collect();
    let shape: Vec<usize> = kept.iter().map(|&at| x.dims()[at]).collect();
    reshape(&sum_keepdim(x, dims)?, shape)
}

/// The sum of all elements, a scalar. candle's `sum_all`.
pub fn sum_all(x: &Tensor) -> Result<Tensor> {
    sum(x, (0..x.rank()).collect::<Vec<_>>())
}

/// The mean over `dims`, which go. candle's `mean`.
pub fn mean<D: Dims>(x: &Tensor, dims: D) -> Result<Tensor> {
    let dims = dims.to_indexes(x.shape(), "mean")?;
    let count: usize = dims.iter().map(|&at| x.dims()[at]).product();
    sum(x, dims)? * (1.0 / count as f64)
}

/// The mean over `dims`, which become 1. candle's `mean_keepdim`.
pub fn mean_keepdim<D: Dims>(x: &Tensor, dims: D) -> Result<Tensor> {
    let dims = dims.to_indexes(x.shape(), "mean")?;
    let count: usize = dims.iter().map(|&at| x.dims()[at]).product();
    sum_keepdim(x, dims)? * (1.0 / count as f64)
}

/// The mean of all elements, a scalar. candle's `mean_all`.
pub fn mean_all(x: &Tensor) -> Result<Tensor> {
    sum_all(x)? / x.elem_count() as f64
}

/// `a + b` of one shape and type, as where a block's input is added to its result: an operation of this crate, so that
/// [`crate::tape`] does not go back through candle. (Of candle's additions, one behind the other, it would pass all again for each.)
///
/// # Errors
/// When shapes or types differ.
pub fn add(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    if has_kernels(a) && has_kernels(b) && a.dtype() == b.dtype() && a.dims() == b.dims() {
        cpu::sum::add(&a.contiguous()?, &b.contiguous()?)
    } else {
        a + b
    }
}

/// `x` repeated along its dimensions of 1, to `shape` of as many dimensions. candle's `broadcast_as`, but for the gradient, which
/// is a sum of this module.
///
/// # Errors
/// When the shapes do not fit.
pub fn spread<S: Into<Shape>>(x: &Tensor, shape: S) -> Result<Tensor> {
    let shape = shape.into();
    if x.rank() != shape.rank() {
        bail!("spread expects as many dimensions, got {:?} for {shape:?}", x.dims());
    }
    let view = x.broadcast_as(&shape)?;
    if x.track_op() && has_kernels(x) && x.dtype() == DType::F32 && view.dims() != x.dims() {
        apply1(x, Spread { view: view.detach() })
    } else {
        Ok(view)
    }
}

/// The values are there before: a view of them.
struct Spread {
    view: Tensor,
}

impl CustomOp1 for Spread {
    fn name(&self) -> &'static str {
        "spread"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        let values = self.view.flatten_all()?.to_vec1::<f32>()?;
        Ok((CpuStorage::F32(values), self.view.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let spread = (0..x.rank()).filter(|&at| x.dims()[at] != grad.dims()[at]);
        sum_keepdim(&grad.contiguous()?, spread.collect::<Vec<_>>()).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{gradients, random};

    /// On x86 with AVX2 the bits are candle's, too.
    #[test]
    fn equals_candle() -> Result<()> {
        let x = random(3, &[3, 5, 77])?.to_dtype(DType::F32)?;
        let pairs = [
            (sum_all(&x)?, x.sum_all()?),
            (mean_all(&x)?, x.mean_all()?),
            (sum(&x, 2)?, x.sum(2)?),
            (sum(&x, (1, 2))?, x.sum((1, 2))?),
            (sum(&x, (0, 2))?, x.sum((0, 2))?),
            (mean(&x, (1, 2))?, x.mean((1, 2))?),
            (mean_keepdim(&x, 2)?, x.mean_keepdim(2)?),
            (sum_keepdim(&x.transpose(1, 2)?, 2)?, x.transpose(1, 2)?.sum_keepdim(2)?),
        ];
        for (ours, theirs) in pairs {
            assert_eq!(ours.dims(), theirs.dims());
            let off = (ours.flatten_all()? - theirs.flatten_all()?)?.abs()?.max(0)?;
            let exact = cfg!(target_arch = "x86_64") && is_x86();
            assert!(off.to_scalar::<f32>()? <= if exact { 0.0 } else { 1e-4 });
        }
        let weight = random(4, &[3, 5, 1])?.to_dtype(DType::F32)?;
        let gradient = |f: fn(&Tensor) -> Result<Tensor>| {
            gradients(std::slice::from_ref(&x), |a| f(&a[0])?.mul(&weight))
        };
        let (ours, theirs) = (gradient(|x| sum_keepdim(x, 2))?, gradient(|x| x.sum_keepdim(2))?);
        assert_eq!(ours[0].to_vec3::<f32>()?, theirs[0].to_vec3::<f32>()?);
        Ok(())
    }

    #[test]
    fn what_is_spread_has_candles_values_and_gradient() -> Result<()> {
        for shape in [[3, 5, 1], [1, 5, 1], [3, 1, 77], [1, 1, 1], [3, 5, 77]] {
            let x = random(5, &shape)?.to_dtype(DType::F32)?;
            let weight = random(6, &[3, 5, 77])?.to_dtype(DType::F32)?;
            assert_eq!(spread(&x, (3, 5, 77))?.dims(), [3, 5, 77]);
            let of = |f: fn(&Tensor) -> Result<Tensor>| -> Result<_> {
                let values = f(&x)?.mul(&weight)?.to_vec3::<f32>()?;
                let found = gradients(std::slice::from_ref(&x), |a| f(&a[0])?.mul(&weight))?;
                Ok((values, found[0].to_dtype(DType::F64)?))
            };
            let (ours, theirs) =
                (of(|x| spread(x, (3, 5, 77)))?, of(|x| x.broadcast_as((3, 5, 77)))?);
            assert_eq!(ours.0, theirs.0);
            let off = crate::testing::max_difference(&ours.1, &theirs.1)?;
            assert!(off <= if is_x86() { 0.0 } else { 1e-4 }, "{shape:?}: {off}");
        }
        let x = random(5, &[3, 2])?;
        assert!(spread(&x, (3, 5)).is_err() && spread(&x, (1, 3, 2)).is_err());
        Ok(())
    }

    fn is_x86() -> bool {
        #[cfg(target_arch = "x86_64")]
        return is_x86_feature_detected!("avx2");
        #[cfg(not(target_arch = "x86_64"))]
        false
    }
}
