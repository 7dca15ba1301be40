use crate::device::tensor_like;
use candle_core::{Result, Tensor};

/// `count` indices of a dimension, `step` apart. (By views alone: a list of indices would have to go to the device each time.)
pub(crate) fn every(
    x: &Tensor,
    d: usize,
    from: usize,
    step: usize,
    count: usize,
) -> Result<Tensor> {
    if step == 1 {
        return x.narrow(d, from, count)?.contiguous();
    }
    let there = (x.dim(d)? - from).min(count * step);
    let x = x.narrow(d, from, there)?.pad_with_zeros(d, 0, count * step - there)?;
    let mut dims = x.dims().to_vec();
    dims[d] = count;
    dims.insert(d + 1, step);
    x.contiguous()?.reshape(dims)?.narrow(d + 1, 0, 1)?.squeeze(d + 1)?.contiguous()
}

/// A value added before and behind a dimension.
pub(crate) fn margin(x: &Tensor, d: usize, sizes: [usize; 2], fill: f64) -> Result<Tensor> {
    let piece = |size: usize| -> Result<Tensor> {
        let mut dims = x.dims().to_vec();
        dims[d] = size;
        match fill {
            0.0 => Tensor::zeros(dims, x.dtype(), x.device()),
            fill => tensor_like(vec![fill; dims.iter().product()], dims, x),
        }
    };
    match sizes {
        [0, 0] => Ok(x.clone()),
        [0, after] => Tensor::cat(&[x, &piece(after)?], d),
        [before, 0] => Tensor::cat(&[&piece(before)?, x], d),
        [before, after] => Tensor::cat(&[&piece(before)?, x, &piece(after)?], d),
    }
}

/// A dimension from its end to its beginning; for short ones, such as a filter's.
pub(crate) fn mirrored(x: &Tensor, d: usize) -> Result<Tensor> {
    let len = x.dim(d)?;
    let places = (0..len).rev().map(|at| x.narrow(d, at, 1)).collect::<Result<Vec<_>>>()?;
    Tensor::cat(&places, d)
}
