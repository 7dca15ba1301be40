//! Sums and means of tensors, with the same bits on every processor.
//!
//! candle adds f32 along the last dimensions in an order that follows the width of the processor's vectors. Here the order
//! is one, that of candle with AVX2. All else (other dimensions, types, devices) is candle's own.

use crate::cpu::{has_kernels, sum::sum_last};
use candle_core::shape::Dims;
use candle_core::{DType, Result, Tensor};

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
    sum_keepdim(x, dims)?.reshape(shape)
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

    fn is_x86() -> bool {
        #[cfg(target_arch = "x86_64")]
        return is_x86_feature_detected!("avx2");
        #[cfg(not(target_arch = "x86_64"))]
        false
    }
}
