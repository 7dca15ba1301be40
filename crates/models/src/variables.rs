//! The tensors that training changes, by name.

use std::path::Path;

use candle_core::{Device, Tensor, Var};
use sconce_core::error::ResultExt;
use sconce_core::{Error, Result, random};
use sconce_data::{Preprocessing, Weights, WeightsInfo};

use crate::Tensors;
use crate::init::Init;

/// The tensors that training changes: parameters, which get gradients, and state such as running means. Both in the
/// order in which they were made, by name.
///
/// Each parameter is drawn from a generator of its own, of the seed and its name: a new layer changes no other's draw.
#[derive(Debug, Clone)]
pub struct Variables {
    seed: u64,
    device: Device,
    list: Vec<Variable>,
}

/// One of [`Variables`].
#[derive(Debug, Clone)]
pub struct Variable {
    /// Its name, as in a PyTorch state dictionary: `features.0.weight`.
    pub name: String,
    /// The tensor; clones share it.
    pub var: Var,
    /// Whether an optimiser changes it.
    pub trained: bool,
}

impl Variables {
    /// None yet, to be drawn under `seed`.
    pub fn new(seed: u64, device: &Device) -> Self {
        Self { seed, device: device.clone(), list: Vec::new() }
    }

    /// Where they are.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// All, in the order in which they were made.
    pub fn iter(&self) -> impl Iterator<Item = &Variable> {
        self.list.iter()
    }

    /// Those that an optimiser changes.
    pub fn trained(&self) -> impl Iterator<Item = &Variable> {
        self.list.iter().filter(|variable| variable.trained)
    }

    /// Makes a parameter.
    ///
    /// # Errors
    /// When the name is taken, or [`Init::draw`] fails.
    pub fn parameter(&mut self, name: &str, shape: &[usize], init: Init) -> Result<Var> {
        let mut rng = random::generator(self.seed, &format!("initial {name}"));
        let drawn = init.draw(shape, &mut rng, &self.device)?;
        self.insert(name, &drawn, true)
    }

    /// Makes a tensor that no optimiser changes, such as a running mean, of one value.
    ///
    /// # Errors
    /// When the name is taken.
    pub fn state(&mut self, name: &str, shape: &[usize], value: f64) -> Result<Var> {
        let tensor = Tensor::full(value as f32, shape, &self.device).map_err(Error::other)?;
        self.insert(name, &tensor, false)
    }

    /// Adds a tensor with a copy of these values.
    ///
    /// # Errors
    /// When the name is taken.
    pub fn insert(&mut self, name: &str, values: &Tensor, trained: bool) -> Result<Var> {
        if self.list.iter().any(|variable| variable.name == name) {
            return Err(Error::message(format!("there is already a variable `{name}`")));
        }
        let copy = values.to_device(&self.device).and_then(|t| t.force_contiguous());
        let var = copy.and_then(|t| Var::from_tensor(&t)).map_err(Error::other)?;
        self.list.push(Variable { name: name.to_owned(), var: var.clone(), trained });
        Ok(var)
    }

    /// Puts copies of all into `into`, each under its name behind `prefix`.
    ///
    /// # Errors
    /// When the device has no room.
    pub fn save(&self, prefix: &str, into: &mut Tensors) -> Result<()> {
        for Variable { name, var, .. } in &self.list {
            into.insert(format!("{prefix}{name}"), copy(var)?);
        }
        Ok(())
    }

    /// Sets all from what [`save`](Self::save) put there.
    ///
    /// # Errors
    /// When one is missing or has another shape.
    pub fn restore(&self, prefix: &str, from: &Tensors) -> Result<()> {
        for Variable { name, var, .. } in &self.list {
            set(var, from, &format!("{prefix}{name}"))?;
        }
        Ok(())
    }
}

/// Sets a variable from the tensor called `name`.
pub(crate) fn set(var: &Var, from: &Tensors, name: &str) -> Result<()> {
    let saved = from.get(&[name], var.dims())?;
    saved.to_device(var.device()).and_then(|saved| var.set(&saved)).map_err(Error::other)
}

/// Weights of an architecture from variables of its names: the file is made in `folder`.
///
/// # Errors
/// When the file cannot be written.
pub fn write_weights(
    variables: &Variables,
    folder: &Path,
    architecture: &str,
    preprocessing: &Preprocessing,
    classes: &[String],
) -> Result<Weights> {
    let path = folder.join("model.safetensors");
    let tensors = variables.iter().map(|v| (v.name.as_str(), v.var.as_tensor()));
    safetensors::serialize_to_file(tensors, None, &path)
        .map_err(Error::other)
        .doing(|| format!("writing {}", path.display()))?;
    let info = WeightsInfo {
        architecture: architecture.to_owned(),
        preprocessing: preprocessing.clone(),
        classes: classes.to_vec(),
    };
    Weights::open(&path, info)
}

/// The same values in memory of their own.
pub(crate) fn copy(tensor: &Tensor) -> Result<Tensor> {
    tensor.detach().copy().map_err(Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_depend_on_the_seed_and_the_name_alone() {
        let draw = |seed, names: &[&str]| {
            let mut variables = Variables::new(seed, &Device::Cpu);
            let mut last = vec![];
            for name in names {
                let v = variables.parameter(name, &[2, 3], Init::PytorchDefault).unwrap();
                last = v.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            }
            last
        };
        assert_eq!(draw(1, &["a", "b"]), draw(1, &["b"]));
        assert_ne!(draw(1, &["a"]), draw(1, &["b"]));
        assert_ne!(draw(1, &["a"]), draw(2, &["a"]));
    }

    #[test]
    fn snapshots_are_copies() {
        let mut variables = Variables::new(1, &Device::Cpu);
        let v = variables.parameter("a", &[3], Init::Constant(1.0)).unwrap();
        let state = variables.state("mean", &[2], 0.0).unwrap();
        let mut before = Tensors::default();
        variables.save("x.", &mut before).unwrap();
        v.set(&(v.as_tensor() + 1.0).unwrap()).unwrap();
        state.set(&(state.as_tensor() + 1.0).unwrap()).unwrap();
        assert_eq!(before.find("x.a").unwrap().to_vec1::<f32>().unwrap(), [1.0; 3]);
        variables.restore("x.", &before).unwrap();
        assert_eq!(v.to_vec1::<f32>().unwrap(), [1.0; 3]);
        assert_eq!(state.to_vec1::<f32>().unwrap(), [0.0; 2]);
        assert_eq!(variables.trained().count(), 1);
        assert!(variables.parameter("a", &[3], Init::Constant(1.0)).is_err());
        assert!(variables.restore("", &before).is_err());
    }
}
