//! Rectifiers, the hyperbolic tangent and GELU on the processor.

use super::kernel::Element;
use super::{by_dtype, contiguous, map, tensor, with_data, zip};
use crate::elementary::branchless;
use crate::tape::apply1;
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

/// [`crate::activation::leaky_relu`].
pub(crate) fn leaky_relu(x: &Tensor, slope: f64) -> Result<Tensor> {
    apply1(&x.contiguous()?, LeakyRelu { slope })
}

struct LeakyRelu {
    slope: f64,
}

fn forward<T: Element>(op: &LeakyRelu, s: &CpuStorage, l: &Layout) -> Result<CpuStorage> {
    let (slope, zero) = (T::from_f64(op.slope), T::zero());
    let x = contiguous::<T>(s, l)?;
    // written so that NaN passes through; a slope of 0 must not turn -inf into NaN
    Ok(T::to_cpu_storage_owned(if op.slope == 0.0 {
        map(x, move |v| if v <= zero { zero } else { v })
    } else {
        map(x, move |v| if v <= zero { v * slope } else { v })
    }))
}

fn backward<T: Element>(op: &LeakyRelu, x: &Tensor, grad: &Tensor) -> Result<Tensor> {
    let (slope, zero) = (T::from_f64(op.slope), T::zero());
    let out = with_data::<T, _>(x, |x| {
        with_data::<T, _>(grad, |g| {
            Ok(if op.slope == 0.0 {
                zip(x, g, move |v, g| if v <= zero { zero } else { g })
            } else {
                zip(x, g, move |v, g| if v <= zero { g * slope } else { g })
            })
        })
    })?;
    tensor(out, x.shape())
}

impl CustomOp1 for LeakyRelu {
    fn name(&self) -> &'static str {
        "leaky-relu"
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok((by_dtype!(s.dtype(), forward(self, s, l))?, l.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        by_dtype!(x.dtype(), backward(self, x, grad)).map(Some)
    }
}

/// [`crate::activation::tanh`] of an f32 tensor.
pub(crate) fn tanh(x: &Tensor) -> Result<Tensor> {
    apply1(&x.contiguous()?, Tanh)
}

struct Tanh;

impl CustomOp1 for Tanh {
    fn name(&self) -> &'static str {
        "tanh"
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> Result<(CpuStorage, Shape)> {
        let y = map(contiguous::<f32>(s, l)?, crate::elementary::tanh);
        Ok((CpuStorage::F32(y), l.shape().clone()))
    }

    fn bwd(&self, _: &Tensor, y: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let dx = with_data::<f32, _>(y, |y| {
            with_data::<f32, _>(grad, |g| Ok(zip(y, g, |y, g| -(g * (y * y - 1.0)))))
        })?;
        tensor::<f32>(dx, y.shape()).map(Some)
    }
}

/// [`crate::activation::gelu`] of an f32 tensor.
pub(crate) fn gelu(x: &Tensor) -> Result<Tensor> {
    apply1(&x.contiguous()?, Gelu)
}

struct Gelu;

impl CustomOp1 for Gelu {
    fn name(&self) -> &'static str {
        "gelu"
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> Result<(CpuStorage, Shape)> {
        let y = map(contiguous::<f32>(s, l)?, branchless::gelu);
        Ok((CpuStorage::F32(y), l.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let dx = with_data::<f32, _>(x, |x| {
            with_data::<f32, _>(grad, |g| Ok(zip(x, g, |x, g| g * branchless::gelu_slope(x))))
        })?;
        tensor::<f32>(dx, x.shape()).map(Some)
    }
}

/// [`crate::activation::at_most`].
pub(crate) fn at_most(x: &Tensor, most: f64) -> Result<Tensor> {
    apply1(&x.contiguous()?, AtMost { most })
}

struct AtMost {
    most: f64,
}

fn bounded<T: Element>(op: &AtMost, s: &CpuStorage, l: &Layout) -> Result<CpuStorage> {
    let most = T::from_f64(op.most);
    // written so that NaN passes through
    let y = map(contiguous::<T>(s, l)?, move |v| if v >= most { most } else { v });
    Ok(T::to_cpu_storage_owned(y))
}

fn below<T: Element>(op: &AtMost, x: &Tensor, grad: &Tensor) -> Result<Tensor> {
    let (most, zero) = (T::from_f64(op.most), T::zero());
    let dx = with_data::<T, _>(x, |x| {
        with_data::<T, _>(grad, |g| Ok(zip(x, g, move |v, g| if v >= most { zero } else { g })))
    })?;
    tensor(dx, x.shape())
}

impl CustomOp1 for AtMost {
    fn name(&self) -> &'static str {
        "at-most"
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok((by_dtype!(s.dtype(), bounded(self, s, l))?, l.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        by_dtype!(x.dtype(), below(self, x, grad)).map(Some)
    }
}
