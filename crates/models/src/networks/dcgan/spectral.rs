//! Spectral norm: weights divided by their largest singular value.

use candle_core::{Result, Tensor, Var};
use sconce_ops::device::number;
use sconce_ops::linear::matmul;
use sconce_ops::sum::{spread, sum_all};

/// Kept above 0 in lengths, as PyTorch does.
const EPSILON: f64 = 1e-12;

fn normalised(x: &Tensor) -> Result<Tensor> {
    let length = sum_all(&x.sqr()?)?.sqrt()?;
    match x.device().is_cpu() {
        true => x / number(&length)?.max(EPSILON),
        false => normalised_there(x, &length),
    }
}

/// The same where nobody waits for a device to know the length. Last digits differ.
fn normalised_there(x: &Tensor, length: &Tensor) -> Result<Tensor> {
    x.broadcast_div(&length.maximum(EPSILON)?)
}

/// `weight / σ` with `σ = uᵀ W v`, where `W` is the weight as a matrix `(out, rest)` and `u`, `v` near its first singular
/// vectors by one step of power iteration, which moves `u` where `moving` (Miyato et al. 2018, algorithm 1).
///
/// The gradient passes through `σ`, not through `u` and `v`: PyTorch's `spectral_norm`.
pub(super) fn divided(weight: &Tensor, u: &Var, moving: bool) -> Result<Tensor> {
    let matrix = weight.flatten_from(1)?;
    let fixed = matrix.detach();
    let of_u = |u: &Tensor| normalised(&matmul(&fixed.t()?, &u.unsqueeze(1)?)?.squeeze(1)?);
    let mut left = u.as_detached_tensor();
    let right = of_u(&left)?;
    if moving {
        left = normalised(&matmul(&fixed, &right.unsqueeze(1)?)?.squeeze(1)?)?;
        u.set(&left)?;
    }
    let left = left.copy()?;
    let sigma = matmul(&left.unsqueeze(0)?, &matmul(&matrix, &right.unsqueeze(1)?)?)?;
    weight.div(&spread(&sigma.reshape(vec![1; weight.rank()])?, weight.shape())?)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::networks::trainable::deterministic::cosines;

    #[test]
    fn a_device_finds_the_same_lengths() {
        for x in [cosines(&[7]), Tensor::zeros(7, candle_core::DType::F32, &Device::Cpu).unwrap()] {
            let length = sum_all(&x.sqr().unwrap()).unwrap().sqrt().unwrap();
            let [here, there] = [normalised(&x), normalised_there(&x, &length)];
            let [here, there] = [here, there].map(|x| x.unwrap().to_vec1::<f32>().unwrap());
            for (here, there) in here.iter().zip(&there) {
                assert!((here - there).abs() <= 1e-7, "{here} {there}");
            }
        }
    }

    /// w = torch.cos(torch.arange(24.) * .91).reshape(4, 3, 2).requires_grad_(); u = torch.cos(torch.arange(4.) * .91)
    /// m = w.flatten(1); n = lambda x: x / x.norm()
    /// with torch.no_grad(): v = n(m.T @ u); u = n(m @ v)
    /// y = w / (u @ m @ v); (y * torch.sin(torch.arange(24.)).reshape(4, 3, 2)).sum().backward()
    /// print(u, y.flatten()[::7], w.grad.flatten()[::7])
    #[test]
    fn numbers_and_gradients_are_pytorchs() {
        let weight = Var::from_tensor(&cosines(&[4, 3, 2])).unwrap();
        let u = Var::from_tensor(&cosines(&[4])).unwrap();
        let y = divided(weight.as_tensor(), &u, true).unwrap();
        let sines: Vec<f32> = (0..24).map(|i| (i as f32).sin()).collect();
        let sines = Tensor::from_vec(sines, (4, 3, 2), &Device::Cpu).unwrap();
        let gradients = y.mul(&sines).unwrap().sum_all().unwrap().backward().unwrap();
        let numbers = |t: &Tensor, step| -> Vec<f32> {
            t.flatten_all().unwrap().to_vec1::<f32>().unwrap().into_iter().step_by(step).collect()
        };
        let close = |got: Vec<f32>, want: &[f32]| {
            assert_eq!(got.len(), want.len());
            got.iter()
                .zip(want)
                .for_each(|(g, w)| assert!((g - w).abs() < 1e-5, "{got:?} {want:?}"));
        };
        close(numbers(&u, 1), &U);
        close(numbers(&y, 7), &Y);
        close(numbers(gradients.get(&weight).unwrap(), 7), &G);
        // at rest, u stays
        let before = numbers(&u, 1);
        divided(weight.as_tensor(), &u, false).unwrap();
        assert_eq!(numbers(&u, 1), before);
    }

    const U: [f32; 4] = [0.692_982_2, 0.464_453_67, -0.061_428_554, -0.547_982_63];
    const Y: [f32; 4] = [0.400_736_75, 0.399_227_56, 0.394_711_32, 0.387_222_14];
    const G: [f32; 4] = [-0.540_410_5, 0.089_650_24, 0.377_256_93, -0.085_464_63];
}
