//! Weights averaged over training: what is evaluated in place of the last ones.

use candle_core::Var;
use sconce_core::{Error, Result};

use crate::Tensors;
use crate::optim::update::update;
use crate::variables::{Variables, copy, set};

/// Exponential moving averages of the trained ones among variables: `a ← a + (1 − decay) · (v − a)` after each update.
///
/// They begin as the variables are when it is made, without correction for that: after `t` updates the beginning still
/// counts for `decayᵗ`. So does TensorFlow's `ExponentialMovingAverage`, and with it VADA (Shu et al., 2018, decay 0.998)
/// and Polyak averaging in generators. What is not trained (running means of batch normalisation, averages themselves)
/// is taken as it is.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use sconce_models::average::Average;
/// use sconce_models::init::Init;
/// use sconce_models::variables::Variables;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut variables = Variables::new(0, &Device::Cpu);
/// let x = variables.parameter("x", &[1], Init::Constant(1.0))?;
/// let average = Average::new(0.75, &variables)?;
/// x.set(&Tensor::new(&[3f32], &Device::Cpu)?)?;
/// average.update()?;
/// assert_eq!(average.tensors()?.get("x")?.to_vec1::<f32>()?, [1.5]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Average {
    decay: f64,
    list: Vec<Averaged>,
}

#[derive(Debug)]
struct Averaged {
    name: String,
    /// The variable itself.
    var: Var,
    /// Its average, if it is trained.
    average: Option<Var>,
}

impl Average {
    /// Averages of the trained ones among `variables`, as they are now.
    ///
    /// # Errors
    /// When `decay` is not at least 0 and below 1, or the device has no room.
    pub fn new(decay: f64, variables: &Variables) -> Result<Self> {
        if !(0.0..1.0).contains(&decay) {
            let found = format!("expected at least 0 and below 1, got {decay}");
            return Err(Error::parameter("decay", found));
        }
        let averaged = |variable: &crate::variables::Variable| {
            let start = || Var::from_tensor(&copy(&variable.var)?).map_err(Error::other);
            let average = variable.trained.then(start).transpose()?;
            Ok(Averaged { name: variable.name.clone(), var: variable.var.clone(), average })
        };
        Ok(Self { decay, list: variables.iter().map(averaged).collect::<Result<_>>()? })
    }

    /// Takes in the variables as they are now.
    ///
    /// # Errors
    /// When the device fails.
    pub fn update(&self) -> candle_core::Result<()> {
        let part = 1.0 - self.decay;
        for (average, var) in self.averages() {
            let value = var.as_detached_tensor();
            update(
                average,
                &value,
                &value,
                |a, v, _| a + part as f32 * (v - a),
                |a, v, _| a + ((v - a)? * part)?,
            )?;
        }
        Ok(())
    }

    /// Copies of the averages, and of the other variables as they are, to build a network of: it does not change with
    /// them.
    ///
    /// # Errors
    /// When the device has no room.
    pub fn tensors(&self) -> Result<Tensors> {
        let mut tensors = Tensors::default();
        for Averaged { name, var, average } in &self.list {
            tensors.insert(name.as_str(), copy(average.as_ref().unwrap_or(var))?);
        }
        Ok(tensors)
    }

    /// Puts copies of the averages into `into`, each under its variable's name behind `prefix`.
    ///
    /// # Errors
    /// When the device has no room.
    pub fn save(&self, prefix: &str, into: &mut Tensors) -> Result<()> {
        for (name, average) in self.named() {
            into.insert(format!("{prefix}{name}"), copy(average)?);
        }
        Ok(())
    }

    /// Sets the averages from what [`save`](Self::save) put there.
    ///
    /// # Errors
    /// When one is missing or has another shape.
    pub fn restore(&self, prefix: &str, from: &Tensors) -> Result<()> {
        self.named().try_for_each(|(name, average)| set(average, from, &format!("{prefix}{name}")))
    }

    fn averages(&self) -> impl Iterator<Item = (&Var, &Var)> {
        self.list.iter().filter_map(|one| Some((one.average.as_ref()?, &one.var)))
    }

    fn named(&self) -> impl Iterator<Item = (&str, &Var)> {
        self.list.iter().filter_map(|one| Some((one.name.as_str(), one.average.as_ref()?)))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device, Tensor};

    use super::*;
    use crate::init::Init;

    fn values(tensors: &Tensors, name: &str) -> Vec<f64> {
        let tensor = tensors.get(name).and_then(|t| t.to_dtype(DType::F64).map_err(Error::other));
        tensor.unwrap().to_vec1().unwrap()
    }

    /// A variable of 0, 1, 4, 9, … and a state of the same.
    fn run(dtype: DType, restart_at: Option<usize>) -> Tensors {
        let zeros = Tensor::zeros(2, dtype, &Device::Cpu).unwrap();
        let mut variables = Variables::new(0, &Device::Cpu);
        let trained = variables.insert("trained", &zeros, true).unwrap();
        let state = variables.insert("state", &zeros, false).unwrap();
        let mut average = Average::new(0.9, &variables).unwrap();
        for step in 0..5 {
            if restart_at == Some(step) {
                let mut saved = Tensors::default();
                average.save("average.", &mut saved).unwrap();
                assert_eq!(saved.iter().count(), 1);
                average = Average::new(0.9, &variables).unwrap();
                average.restore("average.", &saved).unwrap();
            }
            let value = (zeros.ones_like().unwrap() * (step * step) as f64).unwrap();
            trained.set(&value).unwrap();
            state.set(&value).unwrap();
            average.update().unwrap();
        }
        average.tensors().unwrap()
    }

    #[test]
    fn averages_are_the_sum_of_their_weights() {
        // (1 − decay) Σ decay^(4 − k) k², the start was 0
        let want: f64 = (0..5).map(|k| 0.1 * 0.9f64.powi(4 - k) * f64::from(k * k)).sum();
        for (dtype, tolerance) in [(DType::F64, 1e-15), (DType::F32, 1e-6)] {
            let tensors = run(dtype, None);
            for got in values(&tensors, "trained") {
                assert!((got - want).abs() < tolerance * want, "{dtype:?}: {got} {want}");
            }
            assert_eq!(values(&tensors, "state"), [16.0; 2]);
            for restart in 0..5 {
                let again = run(dtype, Some(restart));
                assert_eq!(values(&again, "trained"), values(&tensors, "trained"));
            }
        }
    }

    #[test]
    fn tensors_are_copies_and_wrong_decays_are_refused() {
        let mut variables = Variables::new(0, &Device::Cpu);
        let x = variables.parameter("x", &[1], Init::Constant(1.0)).unwrap();
        let average = Average::new(0.5, &variables).unwrap();
        let before = average.tensors().unwrap();
        x.set(&Tensor::new(&[2f32], &Device::Cpu).unwrap()).unwrap();
        average.update().unwrap();
        assert_eq!(values(&before, "x"), [1.0]);
        assert_eq!(values(&average.tensors().unwrap(), "x"), [1.5]);
        assert_eq!(x.to_vec1::<f32>().unwrap(), [2.0]);
        assert!(average.restore("nothing.", &before).is_err());
        for decay in [-0.1, 1.0, f64::NAN] {
            assert!(Average::new(decay, &variables).is_err());
        }
    }
}
