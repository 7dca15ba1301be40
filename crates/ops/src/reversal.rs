//! The gradient reversal layer of domain-adversarial training.

use crate::cpu::{by_dtype, has_kernels};
use crate::tape::apply1;
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, WithDType};

/// `x` itself, whose gradient is multiplied by `−strength`; at a strength of 0 there is one, of zeros, as in PyTorch.
///
/// Any shape. Ganin and Lempitsky, "Unsupervised domain adaptation by backpropagation", 2015.
///
/// ```
/// use candle_core::{Device, Var};
/// use sconce_ops::reversal::gradient_reversal;
///
/// let x = Var::new(&[1f32, 2.], &Device::Cpu)?;
/// let y = gradient_reversal(&x, 0.5)?;
/// assert_eq!(y.to_vec1::<f32>()?, [1., 2.]);
/// let gradients = y.sum_all()?.backward()?;
/// assert_eq!(gradients.get(&x).unwrap().to_vec1::<f32>()?, [-0.5, -0.5]);
/// # Ok::<(), candle_core::Error>(())
/// ```
pub fn gradient_reversal(x: &Tensor, strength: f64) -> Result<Tensor> {
    if has_kernels(x) {
        return apply1(&x.contiguous()?, Reversal { strength });
    }
    // x·(−s) + (x·(1 + s)) without history: the value of x, the gradient of the first term
    let turned = match strength {
        // by a tensor: candle drops what is multiplied by the number 0 from the graph
        0.0 => (x * x.zeros_like()?)?,
        strength => (x * -strength)?,
    };
    turned + (x.detach() * (1.0 + strength))?
}

struct Reversal {
    strength: f64,
}

fn copy<T: WithDType>(s: &CpuStorage, l: &Layout) -> Result<CpuStorage> {
    Ok(T::to_cpu_storage(crate::cpu::contiguous::<T>(s, l)?))
}

impl CustomOp1 for Reversal {
    fn name(&self) -> &'static str {
        "gradient-reversal"
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok((by_dtype!(s.dtype(), copy(s, l))?, l.shape().clone()))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        (grad * -self.strength).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{gradients, max_difference, random, strided};
    use candle_core::DType;

    #[test]
    fn the_value_stays_and_the_gradient_turns() -> Result<()> {
        let x = strided(&random(1, &[3, 5])?)?;
        for (dtype, tolerance) in [(DType::F64, 0.0), (DType::BF16, 0.02)] {
            let x = x.to_dtype(dtype)?;
            assert!(max_difference(&gradient_reversal(&x, 0.3)?, &x)? <= tolerance);
            let straight = gradients(std::slice::from_ref(&x), |a| a[0].contiguous()? * 1.0)?;
            for strength in [0.3, 0.0] {
                let turn = |a: &[Tensor]| gradient_reversal(&a[0], strength);
                let turned = gradients(std::slice::from_ref(&x), turn)?;
                assert!(max_difference(&turned[0], &(&straight[0] * -strength)?)? <= tolerance);
            }
        }
        Ok(())
    }
}
