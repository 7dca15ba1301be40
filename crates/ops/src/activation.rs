//! Rectifiers, with PyTorch's gradient at zero, and the hyperbolic tangent.

use crate::cpu::{self, has_kernels};
use candle_core::backend::BackendStorage;
use candle_core::{
    CpuStorage, CudaStorage, CustomOp1, DType, Layout, MetalStorage, Result, Shape, Tensor,
};

/// `max(x, 0)`, with gradient 0 at 0 (candle's is 1 there).
///
/// Any shape. Nair and Hinton, "Rectified linear units improve restricted Boltzmann machines", 2010.
pub fn relu(x: &Tensor) -> Result<Tensor> {
    leaky_relu(x, 0.0)
}

/// `x` where it is positive and `slope · x` elsewhere, with gradient `slope` at 0.
///
/// Any shape. Maas, Hannun and Ng, "Rectifier nonlinearities improve neural network acoustic models", 2013.
pub fn leaky_relu(x: &Tensor, slope: f64) -> Result<Tensor> {
    if has_kernels(x) { cpu::activation::leaky_relu(x, slope) } else { composed(x, slope) }
}

/// The hyperbolic tangent of each element: of f32 on the processor the same bits on every one ([`crate::elementary::tanh`]), else
/// candle's.
pub fn tanh(x: &Tensor) -> Result<Tensor> {
    if has_kernels(x) && x.dtype() == DType::F32 { cpu::activation::tanh(x) } else { x.tanh() }
}

/// `max(x, 0)`, whose gradient passes only where both it and `x` are positive.
///
/// Any shape. Springenberg, Dosovitskiy, Brox and Riedmiller, "Striving for simplicity: the all convolutional net", 2015.
pub fn guided_relu(x: &Tensor) -> Result<Tensor> {
    relu(x)?.apply_op1(PositiveGradient)
}

/// The identity, with the positive part of the gradient.
struct PositiveGradient;

impl CustomOp1 for PositiveGradient {
    fn name(&self) -> &'static str {
        "positive-gradient"
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok((s.try_clone(l)?, l.shape().clone()))
    }

    fn cuda_fwd(&self, s: &CudaStorage, l: &Layout) -> Result<(CudaStorage, Shape)> {
        Ok((s.try_clone(l)?, l.shape().clone()))
    }

    fn metal_fwd(&self, s: &MetalStorage, l: &Layout) -> Result<(MetalStorage, Shape)> {
        Ok((s.try_clone(l)?, l.shape().clone()))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        relu(grad).map(Some)
    }
}

/// [`leaky_relu`] from candle's operations, for other devices and types.
fn composed(x: &Tensor, slope: f64) -> Result<Tensor> {
    // not the number 0, which would go to the device each time
    let zeros = x.zeros_like()?;
    let not_above = x.le(&zeros)?;
    let below = if slope == 0.0 { zeros } else { (x * slope)? };
    not_above.where_cond(&below, x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{gradient_of, max_difference};
    use candle_core::{DType, Device};

    #[test]
    fn values_and_gradients_are_pytorchs() -> Result<()> {
        // torch.nn.functional.leaky_relu(x, .2) and relu(x), gradients of the sum
        let x = Tensor::new(&[-2.0f32, -0.0, 0.0, 3.0, f32::NEG_INFINITY], &Device::Cpu)?;
        for f in [leaky_relu, composed as fn(&Tensor, f64) -> Result<Tensor>] {
            assert_eq!(f(&x, 0.2)?.to_vec1::<f32>()?[..4], [-0.4, 0.0, 0.0, 3.0]);
            assert_eq!(
                gradient_of(&x, |x| f(x, 0.2))?.to_vec1::<f32>()?,
                [0.2, 0.2, 0.2, 1.0, 0.2]
            );
            assert_eq!(f(&x, 0.0)?.to_vec1::<f32>()?, [0.0, 0.0, 0.0, 3.0, 0.0]);
            assert_eq!(
                gradient_of(&x, |x| f(x, 0.0))?.to_vec1::<f32>()?,
                [0.0, 0.0, 0.0, 1.0, 0.0]
            );
            assert!(
                f(&Tensor::new(&[f32::NAN], &Device::Cpu)?, 0.0)?.to_vec1::<f32>()?[0].is_nan()
            );
        }
        Ok(())
    }

    #[test]
    fn guided_gradients_are_positive_twice() -> Result<()> {
        let x = Tensor::new(&[-1.0f32, 2.0, 3.0, 0.0], &Device::Cpu)?;
        let upstream = Tensor::new(&[5.0f32, -5.0, 7.0, 7.0], &Device::Cpu)?;
        assert_eq!(guided_relu(&x)?.to_vec1::<f32>()?, [0.0, 2.0, 3.0, 0.0]);
        let gradient = gradient_of(&x, |x| guided_relu(x)?.mul(&upstream))?;
        assert_eq!(gradient.to_vec1::<f32>()?, [0.0, 0.0, 7.0, 0.0]);
        Ok(())
    }

    #[test]
    fn large_transposed_input_equals_composition() -> Result<()> {
        let x = Tensor::arange(-40_000f64, 40_000.0, &Device::Cpu)?.reshape((200, 400))?.t()?;
        let d = max_difference(&leaky_relu(&x, 0.1)?, &composed(&x, 0.1)?)?;
        assert_eq!(d, 0.0);
        assert_eq!(relu(&x.to_dtype(DType::BF16)?)?.dtype(), DType::BF16);
        Ok(())
    }
}
