//! Losses from logits, stable at any size of the logits.

use crate::cpu::{by_dtype, contiguous, has_kernels, tensor, with_data};
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, D, DType, Layout, Result, Shape, Tensor};
use candle_core::{WithDType, bail};

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
        return logits.contiguous()?.apply_op1(Bce { targets });
    }
    let positive = logits.gt(0.0)?.where_cond(logits, &logits.zeros_like()?)?;
    // -|x| = x - 2 max(x, 0): its derivative at 0 makes the whole's sigmoid(0) - t
    let softplus = ((logits - (&positive * 2.0)?)?.exp()? + 1.0)?.log()?;
    (positive - logits.mul(&targets)?)? + softplus
}

/// The mean of [`bce_with_logits_each`], a scalar.
pub fn bce_with_logits(logits: &Tensor, targets: &Tensor) -> Result<Tensor> {
    bce_with_logits_each(logits, targets)?.mean_all()
}

/// Cross-entropy of each row of logits `(batch, classes)` with a class `(batch)` of u32:
/// `ln Σ exp(x) − x[class]`, `(batch)`.
///
/// The gradient is `softmax(x) − onehot(class)`. PyTorch's `cross_entropy(reduction="none")`.
pub fn cross_entropy_each(logits: &Tensor, classes: &Tensor) -> Result<Tensor> {
    let (n, c) = logits.dims2()?;
    if classes.dims() != [n] || classes.dtype() != DType::U32 {
        bail!(
            "cross-entropy expects {n} classes of u32, got {:?} of {:?}",
            classes.dims(),
            classes.dtype()
        );
    }
    let list = classes.to_vec1::<u32>()?;
    if let Some(class) = list.iter().find(|&&class| class as usize >= c) {
        bail!("cross-entropy expects classes below {c}, got {class}");
    }
    if has_kernels(logits) {
        return logits.contiguous()?.apply_op1(CrossEntropy { classes: list });
    }
    let shifted = logits.broadcast_sub(&logits.detach().max_keepdim(D::Minus1)?)?;
    let log_sum = shifted.exp()?.sum_keepdim(D::Minus1)?.log()?.squeeze(1)?;
    log_sum - shifted.gather(&classes.unsqueeze(1)?.contiguous()?, 1)?.squeeze(1)?
}

/// The mean of [`cross_entropy_each`], a scalar.
pub fn cross_entropy(logits: &Tensor, classes: &Tensor) -> Result<Tensor> {
    cross_entropy_each(logits, classes)?.mean_all()
}

struct Bce {
    targets: Tensor,
}

fn bce_forward<T: WithDType>(op: &Bce, s: &CpuStorage, l: &Layout) -> Result<CpuStorage> {
    let x = contiguous::<T>(s, l)?;
    let y = with_data::<T, _>(&op.targets, |t| {
        let one = |(&x, &t): (&T, &T)| {
            let (x, t) = (x.to_f64(), t.to_f64());
            T::from_f64(x.max(0.0) - x * t + (-x.abs()).exp().ln_1p())
        };
        Ok(x.iter().zip(t).map(one).collect())
    })?;
    Ok(T::to_cpu_storage_owned(y))
}

fn bce_backward<T: WithDType>(op: &Bce, x: &Tensor, grad: &Tensor) -> Result<Tensor> {
    let out = with_data::<T, _>(x, |x| {
        with_data::<T, _>(&op.targets, |t| {
            with_data::<T, _>(grad, |g| {
                let one = |((&x, &t), &g): ((&T, &T), &T)| {
                    T::from_f64(g.to_f64() * (sigmoid(x.to_f64()) - t.to_f64()))
                };
                Ok(x.iter().zip(t).zip(g).map(one).collect())
            })
        })
    })?;
    tensor(out, x.shape())
}

/// 1 / (1 + exp(-x)), without overflow.
fn sigmoid(x: f64) -> f64 {
    let e = (-x.abs()).exp();
    if x >= 0.0 { 1.0 / (1.0 + e) } else { e / (1.0 + e) }
}

impl CustomOp1 for Bce {
    fn name(&self) -> &'static str {
        "bce-with-logits"
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok((by_dtype!(s.dtype(), bce_forward(self, s, l))?, l.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        by_dtype!(x.dtype(), bce_backward(self, x, grad)).map(Some)
    }
}

struct CrossEntropy {
    classes: Vec<u32>,
}

/// The largest of a row and the logarithm of `Σ exp(x − largest)`.
fn log_sum<T: WithDType>(row: &[T]) -> (f64, f64) {
    let largest = row.iter().map(|v| v.to_f64()).fold(f64::NEG_INFINITY, f64::max);
    (largest, row.iter().map(|v| (v.to_f64() - largest).exp()).sum::<f64>().ln())
}

fn entropy_forward<T: WithDType>(
    op: &CrossEntropy,
    s: &CpuStorage,
    l: &Layout,
) -> Result<CpuStorage> {
    let x = contiguous::<T>(s, l)?;
    let (_, c) = l.shape().dims2()?;
    let one = |(row, &class): (&[T], &u32)| {
        let (largest, log) = log_sum(row);
        T::from_f64(largest - row[class as usize].to_f64() + log)
    };
    Ok(T::to_cpu_storage_owned(x.chunks(c.max(1)).zip(&op.classes).map(one).collect()))
}

fn entropy_backward<T: WithDType>(op: &CrossEntropy, x: &Tensor, grad: &Tensor) -> Result<Tensor> {
    let (_, c) = x.dims2()?;
    let out = with_data::<T, _>(x, |x| {
        with_data::<T, _>(grad, |grad| {
            let mut out = Vec::with_capacity(x.len());
            for ((row, &class), g) in x.chunks(c.max(1)).zip(&op.classes).zip(grad) {
                let (largest, log) = log_sum(row);
                out.extend(row.iter().enumerate().map(|(i, v)| {
                    let p = (v.to_f64() - largest - log).exp();
                    T::from_f64(g.to_f64() * (p - f64::from(i == class as usize)))
                }));
            }
            Ok(out)
        })
    })?;
    tensor(out, x.shape())
}

impl CustomOp1 for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross-entropy"
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, _) = l.shape().dims2()?;
        Ok((by_dtype!(s.dtype(), entropy_forward(self, s, l))?, n.into()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        by_dtype!(x.dtype(), entropy_backward(self, x, grad)).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check_gradients, gradient_of, max_difference, random, strided};
    use candle_core::Device;
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
    fn wrong_targets_are_refused() -> Result<()> {
        let x = random(1, &[2, 3])?;
        for classes in [&[0u32, 3][..], &[0]] {
            assert!(cross_entropy(&x, &Tensor::new(classes, &Device::Cpu)?).is_err());
        }
        assert!(cross_entropy(&x, &Tensor::new(&[0f32, 1.0], &Device::Cpu)?).is_err());
        assert!(bce_with_logits(&x, &random(1, &[2])?).is_err());
        Ok(())
    }
}
