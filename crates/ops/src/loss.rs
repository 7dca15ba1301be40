//! Losses from logits, stable at any size of the logits.

use crate::cpu::{self, has_kernels};
use crate::device::tensor_like;
use crate::sum::mean_all;
use candle_core::{D, DType, Result, Tensor, bail};

/// Binary cross-entropy of each logit `x` with target `t`: `max(x, 0) − x·t + ln(1 + exp(−|x|))`.
///
/// Both of one shape, which the result has; targets in 0 to 1, without gradient. The gradient is `sigmoid(x) − t`.
/// PyTorch's `binary_cross_entropy_with_logits(reduction="none")`.
pub fn bce_with_logits_each(logits: &Tensor, targets: &Tensor) -> Result<Tensor> {
    if logits.dims() != targets.dims() {
        bail!(
            "binary cross-entropy expects logits and targets of one shape, got {:?} and {:?}",
            logits.dims(),
            targets.dims()
        );
    }
    let targets = targets.detach().to_dtype(logits.dtype())?;
    if has_kernels(logits) {
        return cpu::loss::bce_with_logits(logits, targets);
    }
    let zeros = logits.zeros_like()?;
    let positive = logits.gt(&zeros)?.where_cond(logits, &zeros)?;
    // -|x| = x - 2 max(x, 0): its derivative at 0 makes the whole's sigmoid(0) - t
    let softplus = ((logits - (&positive * 2.0)?)?.exp()? + 1.0)?.log()?;
    (positive - logits.mul(&targets)?)? + softplus
}

/// The mean of [`bce_with_logits_each`], a scalar.
pub fn bce_with_logits(logits: &Tensor, targets: &Tensor) -> Result<Tensor> {
    mean_all(&bce_with_logits_each(logits, targets)?)
}

/// Cross-entropy of each row of logits `(batch, classes)` with a class `(batch)` of u32:
/// `ln Σ exp(x) − x[class]`, `(batch)`.
///
/// The gradient is `softmax(x) − onehot(class)`. PyTorch's `cross_entropy(reduction="none")`. A class that there is not is an
/// error on the CPU, and a loss that is not a number on other devices.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use sconce_ops::loss::cross_entropy_each;
///
/// let logits = Tensor::new(&[[0f32, 0.], [100., 0.]], &Device::Cpu)?;
/// let classes = Tensor::new(&[1u32, 0], &Device::Cpu)?;
/// let losses = cross_entropy_each(&logits, &classes)?.to_vec1::<f32>()?;
/// assert_eq!(losses, [std::f32::consts::LN_2, 0.]);
/// # Ok::<(), candle_core::Error>(())
/// ```
pub fn cross_entropy_each(logits: &Tensor, classes: &Tensor) -> Result<Tensor> {
    let (n, c) = logits.dims2()?;
    if classes.dims() != [n] || classes.dtype() != DType::U32 {
        bail!(
            "cross-entropy expects {n} classes of u32, got {:?} of {:?}",
            classes.dims(),
            classes.dtype()
        );
    }
    // A class that there is not is seen on the processor; elsewhere nobody waits for the device, and its loss is not a number.
    if logits.device().is_cpu() {
        let list = classes.to_vec1::<u32>()?;
        if let Some(class) = list.iter().find(|&&class| class as usize >= c) {
            bail!("cross-entropy expects classes below {c}, got {class}");
        }
        if has_kernels(logits) {
            return cpu::loss::cross_entropy(logits, list);
        }
    }
    cross_entropy_composed(logits, classes)
}

fn cross_entropy_composed(logits: &Tensor, classes: &Tensor) -> Result<Tensor> {
    let (n, c) = logits.dims2()?;
    let shifted = logits.broadcast_sub(&logits.detach().max_keepdim(D::Minus1)?)?;
    let log_sum = shifted.exp()?.sum_keepdim(D::Minus1)?.log()?.squeeze(1)?;
    let last = Tensor::full(c as u32 - 1, n, classes.device())?;
    let known = classes.minimum(&last)?;
    let losses = (log_sum - shifted.gather(&known.unsqueeze(1)?.contiguous()?, 1)?.squeeze(1)?)?;
    let no_number = tensor_like(vec![f64::NAN; n], n, logits)?;
    classes.eq(&known)?.where_cond(&losses, &no_number)
}

/// The mean of [`cross_entropy_each`], a scalar.
pub fn cross_entropy(logits: &Tensor, classes: &Tensor) -> Result<Tensor> {
    mean_all(&cross_entropy_each(logits, classes)?)
}

/// The logarithm of the softmax over the last dimension, of any shape: `x − ln Σ exp(x)`. The gradient passes.
///
/// Of f32 on the processor the same bits on every one.
pub fn log_softmax(logits: &Tensor) -> Result<Tensor> {
    if has_kernels(logits) && logits.dtype() == DType::F32 && logits.rank() > 0 {
        return cpu::sum::log_softmax(&logits.contiguous()?);
    }
    log_softmax_composed(logits)
}

fn log_softmax_composed(logits: &Tensor) -> Result<Tensor> {
    // the largest is a constant here: it cancels
    let shifted = logits.broadcast_sub(&logits.detach().max_keepdim(D::Minus1)?)?;
    shifted.broadcast_sub(&shifted.exp()?.sum_keepdim(D::Minus1)?.log()?)
}

/// `Σ weight · loss` of losses of one shape and type, with the gradient that each weight says.
///
/// Also a weight of 0 leaves its loss in the graph, so that variables that only lead to it get a gradient of zeros, as
/// in PyTorch: weight decay, momentum and Adam's means go on. candle's own `loss * 0.0` leaves no gradient there, which
/// an optimiser cannot tell from a variable that took no part. A loss that is not a number stays so under a weight of 0.
///
/// ```
/// use candle_core::{Device, Var};
/// use sconce_ops::loss::weighted_sum;
///
/// let (x, y) = (Var::new(3f32, &Device::Cpu)?, Var::new(5f32, &Device::Cpu)?);
/// let total = weighted_sum(&[(2.0, x.as_tensor()), (0.0, y.as_tensor())])?;
/// assert_eq!(total.to_scalar::<f32>()?, 6.);
/// let gradients = total.backward()?;
/// assert_eq!(gradients.get(&y).unwrap().to_scalar::<f32>()?, 0.);
/// # Ok::<(), candle_core::Error>(())
/// ```
///
/// # Errors
/// When there is no loss, or shapes or types differ.
pub fn weighted_sum(losses: &[(f64, &Tensor)]) -> Result<Tensor> {
    let mut sum: Option<Tensor> = None;
    for &(weight, loss) in losses {
        let weighted = match weight {
            1.0 => loss.clone(),
            0.0 => (loss * loss.zeros_like()?)?,
            weight => (loss * weight)?,
        };
        sum = Some(match sum {
            Some(sum) => (sum + weighted)?,
            None => weighted,
        });
    }
    match sum {
        Some(sum) => Ok(sum),
        None => bail!("a weighted sum expects at least one loss"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{
        check_gradients, gradient_of, gradients, max_difference, random, strided,
    };
    use candle_core::{Device, Var};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 32, ..Default::default() })]

        #[test]
        fn gradients_are_finite_differences(n in 1..5usize, c in 1..6usize, seed in any::<u64>()) {
            let x = strided(&(random(seed, &[n, c]).unwrap() * 4.0).unwrap()).unwrap();
            let t = random(seed ^ 1, &[n, c]).unwrap().abs().unwrap();
            check_gradients(std::slice::from_ref(&x), |a| bce_with_logits_each(&strided(&a[0])?, &t)).unwrap();
            let classes: Vec<u32> = (0..n as u64).map(|i| (seed.wrapping_add(i * 7) % c as u64) as u32).collect();
            let classes = Tensor::new(classes, &Device::Cpu).unwrap();
            check_gradients(&[x], |a| cross_entropy_each(&strided(&a[0])?, &classes)).unwrap();
        }
    }

    /// x = torch.tensor([-200., -3., 0., .5, 90.], requires_grad=True); t = torch.tensor([1., 0., .25, 1., 0.])
    /// y = torch.nn.functional.binary_cross_entropy_with_logits(x, t, reduction="none"); y.sum().backward()
    #[test]
    fn binary_numbers_are_pytorchs() -> Result<()> {
        for dtype in [DType::F32, DType::BF16] {
            let x = Tensor::new(&[-200f32, -3.0, 0.0, 0.5, 90.0], &Device::Cpu)?.to_dtype(dtype)?;
            let t = Tensor::new(&[1f32, 0.0, 0.25, 1.0, 0.0], &Device::Cpu)?;
            let y = Tensor::new(
                &[200f32, 0.04858735, std::f32::consts::LN_2, 0.474_077, 90.0],
                &Device::Cpu,
            )?;
            let g = Tensor::new(&[-1f32, 0.04742587, 0.25, -0.37754068, 1.0], &Device::Cpu)?;
            // bf16 takes the path of other devices
            let tolerance = if dtype == DType::F32 { 1e-7 } else { 1e-2 };
            assert!(max_difference(&bce_with_logits_each(&x, &t)?, &y)? < tolerance);
            assert!(
                max_difference(&gradient_of(&x, |x| bce_with_logits_each(x, &t))?, &g)? < tolerance
            );
        }
        Ok(())
    }

    /// On x86 with AVX2 the bits are those of candle's operations.
    #[test]
    fn log_softmax_equals_the_composed() -> Result<()> {
        let x = (random(8, &[6, 77])?.to_dtype(DType::F32)? * 9.0)?;
        let exact = |a: &Tensor, b: &Tensor| -> Result<()> {
            let off = max_difference(a, b)?;
            let tolerance = if cfg!(target_arch = "x86_64") { 0.0 } else { 1e-5 };
            assert!(off <= tolerance, "{off}");
            Ok(())
        };
        exact(&log_softmax(&x)?, &log_softmax_composed(&x)?)?;
        let gradient =
            |f: fn(&Tensor) -> Result<Tensor>| gradients(std::slice::from_ref(&x), |a| f(&a[0]));
        exact(&gradient(log_softmax)?[0], &gradient(log_softmax_composed)?[0])?;
        check_gradients(&[random(9, &[2, 3, 4])?], |a| log_softmax(&a[0]))
    }

    /// x = torch.tensor([[1., 2., 3.], [1000., 0., -1000.]], requires_grad=True)
    /// y = torch.nn.functional.cross_entropy(x, torch.tensor([0, 1]), reduction="none"); y.sum().backward()
    #[test]
    fn class_numbers_are_pytorchs() -> Result<()> {
        let classes = Tensor::new(&[0u32, 1], &Device::Cpu)?;
        for (dtype, tolerance) in [(DType::F32, 1e-7), (DType::BF16, 2e-2)] {
            let x = Tensor::new(&[[1f32, 2.0, 3.0], [1000.0, 0.0, -1000.0]], &Device::Cpu)?
                .to_dtype(dtype)?;
            let y = Tensor::new(&[2.407_606f32, 1000.0], &Device::Cpu)?;
            let g = [[-0.9099694f32, 0.24472848, 0.66524094], [1.0, -1.0, 0.0]];
            let g = Tensor::new(&g, &Device::Cpu)?;
            assert!(max_difference(&cross_entropy_each(&x, &classes)?, &y)? < tolerance);
            let got = gradient_of(&x, |x| cross_entropy_each(x, &classes))?;
            assert!(max_difference(&got, &g)? < tolerance);
        }
        Ok(())
    }

    #[test]
    fn a_weight_of_zero_leaves_gradients_of_zeros() -> Result<()> {
        let vars = [random(1, &[2, 3])?, random(2, &[2, 3])?, random(3, &[2, 3])?];
        let vars = vars.iter().map(Var::from_tensor).collect::<Result<Vec<_>>>()?;
        let losses = vars.iter().map(|v| v.sqr()?.sum_all()).collect::<Result<Vec<_>>>()?;
        let weights = [1.0, 0.0, -0.25];
        let terms: Vec<(f64, &Tensor)> = weights.into_iter().zip(&losses).collect();
        let gradients = weighted_sum(&terms)?.backward()?;
        for (weight, var) in weights.into_iter().zip(&vars) {
            let got = gradients.get(var).expect("a gradient");
            assert_eq!(max_difference(got, &(var.as_tensor() * (2.0 * weight))?)?, 0.0);
        }
        // what this function is for: candle's own product has none
        assert!((&losses[0] * 0.0)?.backward()?.get(&vars[0]).is_none());
        let nan = Tensor::new(f64::NAN, &Device::Cpu)?;
        assert!(weighted_sum(&[(0.0, &nan)])?.to_scalar::<f64>()?.is_nan());
        assert!(weighted_sum(&[]).is_err());
        Ok(())
    }

    #[test]
    fn wrong_targets_are_refused() -> Result<()> {
        let x = random(1, &[2, 3])?;
        for classes in [&[0u32, 3][..], &[0]] {
            assert!(cross_entropy(&x, &Tensor::new(classes, &Device::Cpu)?).is_err());
        }
        // where nobody looks at the classes
        let losses = cross_entropy_composed(&x, &Tensor::new(&[1u32, 3], &Device::Cpu)?)?;
        let losses = losses.to_vec1::<f64>()?;
        assert!(losses[0].is_finite() && losses[1].is_nan(), "{losses:?}");
        assert!(cross_entropy(&x, &Tensor::new(&[0f32, 1.0], &Device::Cpu)?).is_err());
        assert!(bce_with_logits(&x, &random(1, &[2])?).is_err());
        Ok(())
    }
}
