//! Rectifiers, with PyTorch's gradient at zero, the hyperbolic tangent, GELU and softmax.

use crate::cpu::{self, has_kernels};
use crate::tape::apply1;
use candle_core::backend::BackendStorage;
use candle_core::{
    CpuStorage, CudaStorage, CustomOp1, D, DType, Layout, MetalStorage, Result, Shape, Tensor, bail,
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

/// The smaller of each element and `most`; the gradient passes below it. Behind a rectifier, with 6, ReLU6 (Krizhevsky,
/// "Convolutional deep belief networks on CIFAR-10", 2010).
pub fn at_most(x: &Tensor, most: f64) -> Result<Tensor> {
    if has_kernels(x) {
        return cpu::activation::at_most(x, most);
    }
    let most = x.ones_like()?.affine(most, 0.0)?;
    // written so that NaN passes through
    x.ge(&most)?.where_cond(&most, x)
}

/// The hyperbolic tangent of each element: of f32 on the processor the same bits on every one ([`crate::elementary::tanh`]), else
/// candle's.
pub fn tanh(x: &Tensor) -> Result<Tensor> {
    if has_kernels(x) && x.dtype() == DType::F32 { cpu::activation::tanh(x) } else { x.tanh() }
}

/// `x Φ(x)`, where `Φ` is the part of a standard normal distribution below `x`: PyTorch's `gelu` without approximation.
///
/// Any shape. Hendrycks and Gimpel, "Gaussian error linear units", 2016. Of f32 on the processor within 10⁻⁶ of the largest
/// value, with the same bits on every one; else candle's.
pub fn gelu(x: &Tensor) -> Result<Tensor> {
    if has_kernels(x) && x.dtype() == DType::F32 { cpu::activation::gelu(x) } else { x.gelu_erf() }
}

/// `exp(xᵢ) / Σⱼ exp(xⱼ)` over the last dimension, of any shape. The gradient passes (through candle's `softmax_last_dim` it does
/// not). Of f32 on the processor the same bits on every one.
///
/// # Errors
/// For a scalar.
pub fn softmax(x: &Tensor) -> Result<Tensor> {
    if x.rank() == 0 {
        bail!("softmax expects at least one dimension, got a scalar");
    }
    if has_kernels(x) && x.dtype() == DType::F32 {
        return cpu::softmax::softmax(&x.contiguous()?);
    }
    let exponentials = x.broadcast_sub(&x.detach().max_keepdim(D::Minus1)?)?.exp()?;
    exponentials.broadcast_div(&exponentials.sum_keepdim(D::Minus1)?)
}

/// `max(x, 0)`, whose gradient passes only where both it and `x` are positive.
///
/// Any shape. Springenberg, Dosovitskiy, Brox and Riedmiller, "Striving for simplicity: the all convolutional net", 2015.
pub fn guided_relu(x: &Tensor) -> Result<Tensor> {
    apply1(&relu(x)?, PositiveGradient)
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
    use crate::testing::{check_gradients, gradient_of, gradients, max_difference, random};
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
    fn what_is_at_most_some_number_has_a_gradient_below_it() -> Result<()> {
        let x = Tensor::new(&[-1.0f32, 5.9, 6.0, 7.0, f32::INFINITY], &Device::Cpu)?;
        let both = || -> Result<_> {
            let gradient = gradient_of(&x, |x| at_most(x, 6.0))?;
            Ok([at_most(&x, 6.0)?.to_vec1::<f32>()?, gradient.to_vec1()?])
        };
        let want = [[-1.0f32, 5.9, 6.0, 6.0, 6.0], [1.0, 1.0, 0.0, 0.0, 0.0]];
        assert_eq!(both()?, want);
        assert_eq!(crate::device::composed(both)?, want);
        let none = Tensor::new(&[f32::NAN], &Device::Cpu)?;
        let of_none = || at_most(&none, 6.0)?.to_vec1::<f32>();
        assert!(of_none()?[0].is_nan() && crate::device::composed(of_none)?[0].is_nan());
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

    /// torch.nn.functional.gelu(x), its gradient of the sum, and torch.softmax(x, -1), in f64.
    #[test]
    fn gelu_and_softmax_are_pytorchs() -> Result<()> {
        let x = Tensor::new(&[-3.0f32, -0.5, 0.0, 0.25, 2.0], &Device::Cpu)?;
        let close = |found: &Tensor, want: [f32; 5]| -> Result<()> {
            let off = max_difference(found, &Tensor::new(&want, &Device::Cpu)?)?;
            assert!(off < 2e-7, "{found} {want:?}");
            Ok(())
        };
        close(&gelu(&x)?, [-0.004_049_694, -0.154_268_77, 0.0, 0.149_676_58, 1.954_499_7])?;
        let slopes = [-0.011_945_647, 0.132_504_88, 0.5, 0.695_373_35, 1.085_231_8];
        close(&gradient_of(&x, gelu)?, slopes)?;
        let shares = [0.004_819_938_4, 0.058_718_87, 0.096_811_05, 0.124_307_85, 0.715_342_3];
        close(&softmax(&x)?, shares)?;
        assert!(softmax(&Tensor::new(1f32, &Device::Cpu)?).is_err());
        Ok(())
    }

    /// Both kernels against the composition in f64, whose gradients are held to differences.
    #[test]
    fn gelu_and_softmax_equal_their_compositions() -> Result<()> {
        check_gradients(&[random(1, &[3, 5])?], |a| softmax(&a[0]))?;
        check_gradients(&[random(2, &[3, 5])?], |a| gelu(&(&a[0] * 3.0)?))?;
        let f: [fn(&Tensor) -> Result<Tensor>; 2] = [softmax, gelu];
        for f in f {
            for shape in [&[2usize, 3, 70][..], &[1], &[300, 257], &[5, 1]] {
                let x = (random(3, shape)? * 6.0)?;
                let single = x.to_dtype(DType::F32)?;
                assert!(max_difference(&f(&x)?, &f(&single)?)? < 2e-6);
                let [wide, narrow] = [x, single].map(|x| gradients(&[x], |a| f(&a[0])));
                assert!(max_difference(&wide?[0], &narrow?[0])? < 2e-6);
            }
        }
        let far = Tensor::new(&[f32::NEG_INFINITY, 0.0, -200.0, 1e30], &Device::Cpu)?;
        assert_eq!(softmax(&far)?.to_vec1::<f32>()?, [0.0, 0.0, 0.0, 1.0]);
        Ok(())
    }
}
