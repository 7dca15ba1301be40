//! Cuts and margins from candle's operations, with right gradients on every device.

use candle_core::{Result, Tensor};

/// `count` indices of a dimension, `step` apart.
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
    let at: Vec<u32> = (0..count).map(|i| (from + i * step) as u32).collect();
    x.contiguous()?.index_select(&Tensor::from_vec(at, count, x.device())?, d)
}

/// A value added before and behind a dimension.
pub(crate) fn margin(x: &Tensor, d: usize, sizes: [usize; 2], fill: f64) -> Result<Tensor> {
    let piece = |size: usize| -> Result<Tensor> {
        let mut dims = x.dims().to_vec();
        dims[d] = size;
        Tensor::full(fill, dims, x.device())?.to_dtype(x.dtype())
    };
    match sizes {
        [0, 0] => Ok(x.clone()),
        [0, after] => Tensor::cat(&[x, &piece(after)?], d),
        [before, 0] => Tensor::cat(&[&piece(before)?, x], d),
        [before, after] => Tensor::cat(&[&piece(before)?, x, &piece(after)?], d),
    }
}
