//! Seeded initialisation, with PyTorch's distributions and names.

use candle_core::{Device, Tensor};
use rand::{Rng, RngExt};
use rand_distr::{Distribution, Normal};
use schemars::JsonSchema;
use sconce_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// How a parameter is drawn before training.
///
/// A weight's fan-in is `in · kernel area` of `(out, in, …)`, its fan-out `out · kernel area`; for transposed
/// convolutions, `(in, out, …)`, PyTorch takes the same dimensions, and so does this.
///
/// ```
/// use candle_core::Device;
/// use sconce_core::random::generator;
/// use sconce_models::init::Init;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut rng = generator(1, "weights");
/// let weight = Init::PytorchDefault.draw(&[8, 100], &mut rng, &Device::Cpu)?;
/// // within ±1/√fan_in
/// assert!(weight.abs()?.max_all()?.to_scalar::<f32>()? <= 0.1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Init {
    /// PyTorch's default for weights of linear layers and convolutions: `kaiming_uniform_(a=√5)`, uniform within
    /// `±1/√fan_in`.
    PytorchDefault,
    /// Uniform within `±√(6 / fan_in)`: `kaiming_uniform_` for ReLU (He et al., 2015).
    KaimingUniform,
    /// Normal of deviation `√(2 / fan_in)`: `kaiming_normal_` for ReLU.
    KaimingNormal,
    /// Uniform within `±√(6 / (fan_in + fan_out))` (Glorot and Bengio, 2010).
    XavierUniform,
    /// Normal of deviation `√(2 / (fan_in + fan_out))`.
    XavierNormal,
    /// Normal.
    Normal {
        /// Its mean.
        mean: f64,
        /// Its standard deviation.
        std: f64,
    },
    /// Uniform within `±bound`.
    Uniform {
        /// The largest absolute value.
        bound: f64,
    },
    /// One value everywhere.
    Constant(f64),
}

impl Init {
    /// PyTorch's default for the bias of a layer with this fan-in: uniform within `±1/√fan_in`.
    pub fn pytorch_bias(fan_in: usize) -> Self {
        Self::Uniform { bound: (fan_in.max(1) as f64).sqrt().recip() }
    }

    /// Draws a tensor of this shape, in f32, in row-major order.
    ///
    /// # Errors
    /// When a fan is asked of a shape with fewer than two dimensions, or a deviation or bound is negative or no number.
    pub fn draw(self, shape: &[usize], rng: &mut impl Rng, device: &Device) -> Result<Tensor> {
        let count = shape.iter().product();
        let fans = || match shape {
            [out, inside, area @ ..] => {
                let area = area.iter().product::<usize>();
                Ok(((inside * area).max(1) as f64, (out * area).max(1) as f64))
            }
            _ => Err(Error::message(format!(
                "initialisation {self:?} needs a weight of at least 2 dimensions, got shape {shape:?}"
            ))),
        };
        let values: Vec<f32> = match self {
            Self::PytorchDefault => uniform(count, fans()?.0.recip().sqrt(), rng)?,
            Self::KaimingUniform => uniform(count, (6.0 / fans()?.0).sqrt(), rng)?,
            Self::KaimingNormal => normal(count, 0.0, (2.0 / fans()?.0).sqrt(), rng)?,
            Self::XavierUniform => {
                let (fan_in, fan_out) = fans()?;
                uniform(count, (6.0 / (fan_in + fan_out)).sqrt(), rng)?
            }
            Self::XavierNormal => {
                let (fan_in, fan_out) = fans()?;
                normal(count, 0.0, (2.0 / (fan_in + fan_out)).sqrt(), rng)?
            }
            Self::Normal { mean, std } => normal(count, mean, std, rng)?,
            Self::Uniform { bound } => uniform(count, bound, rng)?,
            Self::Constant(value) => vec![value as f32; count],
        };
        Tensor::from_vec(values, shape, device).map_err(Error::other)
    }
}

fn uniform(count: usize, bound: f64, rng: &mut impl Rng) -> Result<Vec<f32>> {
    if !(bound.is_finite() && bound >= 0.0) {
        return Err(Error::message(format!("expected a bound of at least 0, got {bound}")));
    }
    Ok((0..count).map(|_| ((rng.random::<f64>() * 2.0 - 1.0) * bound) as f32).collect())
}

fn normal(count: usize, mean: f64, std: f64, rng: &mut impl Rng) -> Result<Vec<f32>> {
    let wrong = || {
        Error::message(format!(
            "expected a finite mean and a deviation of at least 0, got {mean} and {std}"
        ))
    };
    if !(mean.is_finite() && std.is_finite() && std >= 0.0) {
        return Err(wrong());
    }
    let normal = Normal::new(mean, std).map_err(|_| wrong())?;
    Ok((0..count).map(|_| normal.sample(rng) as f32).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sconce_core::random::generator;

    /// Largest absolute value, mean and deviation.
    fn summary(init: Init, shape: &[usize]) -> [f64; 3] {
        let t = init.draw(shape, &mut generator(1, "test"), &Device::Cpu).unwrap();
        let v = t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let v: Vec<f64> = v.into_iter().map(f64::from).collect();
        let mean = v.iter().sum::<f64>() / v.len() as f64;
        let var = v.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / v.len() as f64;
        [v.iter().fold(0.0, |m, v| v.abs().max(m)), mean, var.sqrt()]
    }

    #[test]
    fn distributions_have_the_bounds_and_deviations_of_their_formulas() {
        let shape = [64, 32, 5, 5];
        let (fan_in, fan_out) = (800f64, 1600f64);
        for (init, bound) in [
            (Init::PytorchDefault, fan_in.sqrt().recip()),
            (Init::KaimingUniform, (6.0 / fan_in).sqrt()),
            (Init::XavierUniform, (6.0 / (fan_in + fan_out)).sqrt()),
            (Init::Uniform { bound: 0.5 }, 0.5),
        ] {
            let [largest, mean, std] = summary(init, &shape);
            assert!(largest <= bound && largest > 0.999 * bound, "{init:?} {largest} {bound}");
            assert!(mean.abs() < 0.01 * bound && (std / bound - 3f64.sqrt().recip()).abs() < 0.01);
        }
        for (init, mean, std) in [
            (Init::KaimingNormal, 0.0, (2.0 / fan_in).sqrt()),
            (Init::XavierNormal, 0.0, (2.0 / (fan_in + fan_out)).sqrt()),
            (Init::Normal { mean: 1.0, std: 0.02 }, 1.0, 0.02),
            (Init::Constant(3.0), 3.0, 0.0),
        ] {
            let [_, m, s] = summary(init, &shape);
            assert!((m - mean).abs() < 0.02 * std.max(1e-6) && (s - std).abs() <= 0.02 * std);
        }
    }

    #[test]
    fn impossible_draws_are_refused() {
        let mut rng = generator(1, "test");
        assert!(Init::KaimingNormal.draw(&[3], &mut rng, &Device::Cpu).is_err());
        assert!(Init::Normal { mean: 0.0, std: -1.0 }.draw(&[3], &mut rng, &Device::Cpu).is_err());
        assert!(Init::Uniform { bound: f64::NAN }.draw(&[3], &mut rng, &Device::Cpu).is_err());
    }
}
