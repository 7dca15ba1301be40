use candle_core::{DType, Device};
use sconce_core::random::generator;
use sconce_ops::activation::relu;
use sconce_ops::conv::{Conv2d, conv2d};
use sconce_ops::linear::linear;

use super::*;

/// Normal numbers of this deviation, in f64.
fn normal(purpose: &str, shape: &[usize], std: f64) -> Tensor {
    let drawn = Init::Normal { mean: 0.0, std };
    let drawn = drawn.draw(shape, &mut generator(3, purpose), &Device::Cpu).unwrap();
    drawn.to_dtype(DType::F64).unwrap()
}

fn rows(x: &Tensor) -> Vec<Vec<f64>> {
    x.flatten_from(1).and_then(|x| x.to_dtype(DType::F64)?.to_vec2()).unwrap()
}

/// Of each image the cosine between its two vectors.
fn cosines(a: &Tensor, b: &Tensor) -> Vec<f64> {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let cosine = |(a, b): (Vec<f64>, Vec<f64>)| dot(&a, &b) / (dot(&a, &a) * dot(&b, &b)).sqrt();
    rows(a).into_iter().zip(rows(b)).map(cosine).collect()
}

fn lengths(x: &Tensor) -> Vec<f64> {
    rows(x).iter().map(|row| row.iter().map(|v| v * v).sum::<f64>().sqrt()).collect()
}

/// A convolution and a linear layer, sure of itself as a trained network is, and images for it.
struct Small {
    filters: Tensor,
    weight: Tensor,
    x: Tensor,
}

impl Small {
    fn new(dtype: DType) -> Result<Self> {
        Ok(Self {
            filters: normal("filters", &[8, 3, 5, 5], 0.1).to_dtype(dtype)?,
            weight: normal("weight", &[10, 8 * 12 * 12], 0.1).to_dtype(dtype)?,
            x: normal("x", &[16, 3, 12, 12], 1.0).to_dtype(dtype)?,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let features = relu(&conv2d(x, &self.filters, None, &Conv2d::new().padding(2))?)?;
        linear(&features.flatten_from(1)?, &self.weight, None)
    }

    fn perturbation(&self, vat: &Vat) -> Result<Tensor> {
        let logits = self.forward(&self.x)?;
        vat.perturbation(&self.x, &logits, |x| self.forward(x), &mut generator(5, "vat"))
    }

    /// What the perturbation makes of the divergence.
    fn divergence(&self, perturbation: &Tensor) -> Result<f64> {
        let to = self.forward(&(&self.x + perturbation)?)?;
        kl(&self.forward(&self.x)?, &to)?.to_dtype(DType::F64)?.to_scalar()
    }
}

/// For logits `Wx` the divergence is `½ rᵀWᵀ(diag p − ppᵀ)Wr` to second order, so that one step gives that matrix times
/// the first direction.
#[test]
fn one_step_multiplies_by_the_fisher_matrix() -> Result<()> {
    let w = normal("w", &[3, 4], 1.0);
    let x = normal("x", &[5, 4], 1.0);
    let forward = |x: &Tensor| x.matmul(&w.t()?);
    let logits = forward(&x)?;
    let (p, w) = (candle_p(&logits)?, w.to_vec2::<f64>()?);
    for steps in [1, 2] {
        let vat = Vat { radius: 2.0, xi: 1e-6, steps };
        let found = vat.perturbation(&x, &logits, forward, &mut generator(7, "vat"))?;
        let draw = Init::Normal { mean: 0.0, std: 1.0 };
        let start = draw.draw(&[5, 4], &mut generator(7, "vat"), &Device::Cpu).unwrap();
        let mut want = rows(&start);
        for (want, p) in want.iter_mut().zip(&p) {
            for _ in 0..steps {
                let z: Vec<f64> = w.iter().map(|w| (0..4).map(|i| w[i] * want[i]).sum()).collect();
                let mean: f64 = (0..3).map(|k| p[k] * z[k]).sum();
                for (i, want) in want.iter_mut().enumerate() {
                    *want = (0..3).map(|k| w[k][i] * p[k] * (z[k] - mean)).sum();
                }
            }
        }
        let want = Tensor::new(want, &Device::Cpu)?;
        for (cosine, length) in cosines(&found, &want).into_iter().zip(lengths(&found)) {
            // 1e-6 times the third derivative, and 1e-16 / 1e-6 of rounding
            assert!(cosine > 1.0 - 1e-8 && (length - 2.0).abs() < 1e-12, "{cosine} {length}");
        }
    }
    Ok(())
}

/// `exp x / Σ exp x`, row by row.
fn candle_p(logits: &Tensor) -> Result<Vec<Vec<f64>>> {
    let softmax = |row: Vec<f64>| {
        let sum: f64 = row.iter().map(|x| x.exp()).sum();
        row.iter().map(|x| x.exp() / sum).collect()
    };
    Ok(rows(logits).into_iter().map(softmax).collect())
}

/// The reason for [`Vat::XI`]: in single precision a step of 1e-6 finds little but rounding.
#[test]
fn single_precision_finds_the_direction_of_double_precision() -> Result<()> {
    let (single, double) = (Small::new(DType::F32)?, Small::new(DType::F64)?);
    let smallest = |xi: f64| -> Result<f64> {
        let vat = Vat { xi, ..Vat::new(1.0) };
        let (a, b) = (single.perturbation(&vat)?, double.perturbation(&vat)?);
        assert!(lengths(&a).iter().all(|length| (length - 1.0).abs() < 1e-6));
        Ok(cosines(&a, &b).into_iter().fold(1.0, f64::min))
    };
    assert!(smallest(Vat::XI)? > 0.9999);
    assert!(smallest(1e-6)? < 0.9);
    Ok(())
}

#[test]
fn the_direction_is_worse_than_a_random_one() -> Result<()> {
    let network = Small::new(DType::F64)?;
    let vat = Vat::new(1.0);
    let random = unit(&normal("random", &[16, 3, 12, 12], 1.0))?;
    let found = network.perturbation(&vat)?;
    let (worst, usual) = (network.divergence(&found)?, network.divergence(&random)?);
    assert!(worst > 5.0 * usual, "{worst} {usual}");
    // a draw of its own, and the same one again
    assert_eq!(rows(&found), rows(&network.perturbation(&vat)?));
    let other = vat.perturbation(
        &network.x,
        &network.forward(&network.x)?,
        |x| network.forward(x),
        &mut generator(6, "vat"),
    )?;
    assert!(rows(&found) != rows(&other));
    Ok(())
}

/// The gradient of the loss is that of the divergence at the perturbed images: none by way of the perturbation, none to
/// the clean logits.
#[test]
fn gradients_flow_through_the_perturbed_images_alone() -> Result<()> {
    let network = Small::new(DType::F64)?;
    let weight = Var::from_tensor(&network.weight)?;
    let live = Small { weight: weight.as_tensor().clone(), ..Small::new(DType::F64)? };
    let vat = Vat::new(1.0);
    let logits = live.forward(&live.x)?;
    let mut rng = generator(5, "vat");
    let loss = vat.loss(&live.x, &logits, |x| network.forward(x), |x| live.forward(x), &mut rng)?;
    let perturbation = network.perturbation(&vat)?;
    let divergence = network.divergence(&perturbation)?;
    assert!((loss.to_scalar::<f64>()? - divergence).abs() < 1e-12);
    let gradient = loss.backward()?.get(&weight).expect("a gradient").flatten_all()?;
    let gradient = gradient.to_vec1::<f64>()?;
    let values = weight.flatten_all()?.to_vec1::<f64>()?;
    // the clean logits stay, the perturbation too
    for i in [0, 77, 5000, 11519] {
        let moved = |by: f64| -> Result<f64> {
            let mut values = values.clone();
            values[i] += by;
            let weight = Tensor::from_vec(values, weight.shape(), &Device::Cpu)?;
            let moved = Small { weight, ..Small::new(DType::F64)? };
            kl(&network.forward(&network.x)?, &moved.forward(&(&network.x + &perturbation)?)?)?
                .to_scalar()
        };
        let want = (moved(1e-5)? - moved(-1e-5)?) / 2e-5;
        assert!((gradient[i] - want).abs() < 1e-8, "{i}: {} {want}", gradient[i]);
    }
    // through variables too the perturbation is a constant
    let logits = live.forward(&live.x)?;
    let found =
        vat.perturbation(&live.x, &logits, |x| live.forward(x), &mut generator(5, "vat"))?;
    assert!(!found.track_op());
    assert!(cosines(&found, &perturbation).iter().all(|cosine| *cosine > 1.0 - 1e-12));
    Ok(())
}

#[test]
fn tiny_gradients_have_directions_and_none_has_none() -> Result<()> {
    // gradients of about 1e-20, whose squares single precision does not have
    let x = Tensor::new(&[[3e-20f32, -4e-20], [0.0, 0.0], [0.0, 1e30]], &Device::Cpu)?;
    let found = rows(&unit(&x)?);
    for (found, want) in found.concat().into_iter().zip([0.6, -0.8, 0.0, 0.0, 0.0, 1.0]) {
        assert!((found - want).abs() < 1e-6, "{found} {want}");
    }
    Ok(())
}

#[test]
fn what_cannot_be_used_is_refused() -> Result<()> {
    let network = Small::new(DType::F32)?;
    let good = Vat::new(1.0);
    for vat in [
        Vat { radius: 0.0, ..good },
        Vat { radius: f64::NAN, ..good },
        Vat { xi: -1.0, ..good },
        Vat { steps: 0, ..good },
    ] {
        assert!(network.perturbation(&vat).is_err());
    }
    let logits = network.forward(&network.x)?;
    let constant = |_: &Tensor| Ok(logits.clone());
    let mut rng = generator(1, "vat");
    assert!(good.perturbation(&network.x, &logits, constant, &mut rng).is_err());
    let other = |_: &Tensor| network.forward(&network.x)?.narrow(0, 0, 3);
    assert!(good.perturbation(&network.x, &logits, other, &mut rng).is_err());
    Ok(())
}
