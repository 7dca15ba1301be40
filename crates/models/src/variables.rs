//! The tensors that training changes, by name.

use std::path::Path;

use candle_core::{Device, Tensor, Var};
use sconce_core::error::ResultExt;
use sconce_core::{Error, Result, random};
use sconce_data::finite::NotFinite;
use sconce_data::{Preprocessing, Weights, WeightsInfo};

use crate::Tensors;
use crate::init::Init;
use crate::networks::{Architecture, LastLayer, Parameter, fit};

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

/// Where a parameter of a network comes from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Origin {
    /// Drawn by the seed, to be trained.
    Drawn(Init),
    /// Taken from weights, and left as it is.
    Frozen,
    /// Taken from weights, to be trained.
    Trained,
}

impl Variables {
    /// None yet, to be drawn under `seed`.
    pub fn new(seed: u64, device: &Device) -> Self {
        Self { seed, device: device.clone(), list: Vec::new() }
    }

    /// The parameters of a network: each drawn under `seed`, or taken from `tensors`, as `how` says.
    ///
    /// # Errors
    /// When one that is to be taken is missing, or a draw fails.
    pub fn of(
        parameters: &[Parameter],
        tensors: &Tensors,
        seed: u64,
        device: &Device,
        how: impl Fn(&Parameter) -> Origin,
    ) -> Result<Self> {
        let mut variables = Self::new(seed, device);
        for parameter in parameters {
            let (name, shape) = (parameter.name.as_str(), parameter.shape.as_slice());
            let (values, trained) = match how(parameter) {
                Origin::Drawn(init) => (variables.draw(name, shape, init)?, true),
                Origin::Frozen => (tensors.shaped(name, shape)?, false),
                Origin::Trained => (tensors.shaped(name, shape)?, true),
            };
            variables.insert(name, &values, trained && parameter.trained)?;
        }
        Ok(variables)
    }

    /// The parameters of a network drawn under `seed`, each as it says.
    ///
    /// # Errors
    /// When two have the same name.
    pub fn drawn(parameters: &[Parameter], seed: u64, device: &Device) -> Result<Self> {
        let how = |parameter: &Parameter| Origin::Drawn(parameter.init);
        Self::of(parameters, &Tensors::default(), seed, device, how)
    }

    /// The parameters of `architecture` from `tensors`, with a new last layer for `classes` classes (weights from
    /// N(0, 0.01), bias 0, as torchvision initialises SqueezeNet's); only that layer is trained unless `all` are.
    ///
    /// # Errors
    /// When the network cannot be trained so, or the tensors are not its own.
    pub fn with_new_head(
        architecture: &dyn Architecture,
        tensors: &Tensors,
        classes: usize,
        all: bool,
        seed: u64,
        device: &Device,
    ) -> Result<Self> {
        let name = architecture.name();
        let head = architecture.head();
        let head =
            head.ok_or_else(|| Error::message(format!("{name} has no last layer to train")))?;
        let fitted = fit(architecture, tensors, LastLayer::Replaced)?;
        let new = architecture.parameters_for(classes).into_iter().filter(|p| p.is_of(&head));
        let parameters: Vec<Parameter> = fitted.parameters.into_iter().chain(new).collect();
        Self::of(&parameters, &fitted.tensors, seed, device, |parameter| {
            match (parameter.is_of(&head), parameter.shape.len(), all) {
                (true, 1, _) => Origin::Drawn(Init::Constant(0.0)),
                (true, _, _) => Origin::Drawn(Init::Normal { mean: 0.0, std: 0.01 }),
                (false, _, true) => Origin::Trained,
                (false, _, false) => Origin::Frozen,
            }
        })
    }

    /// The tensors, to build a network of: it changes with them. Those that are not trained get no gradient and cost none.
    pub fn live(&self) -> Tensors {
        let tensor = |v: &Variable| match v.trained {
            true => v.var.as_tensor().clone(),
            false => v.var.as_detached_tensor(),
        };
        self.iter().map(|v| (v.name.clone(), tensor(v))).collect()
    }

    /// The variable of this name.
    ///
    /// # Errors
    /// When there is none.
    pub fn get(&self, name: &str) -> Result<Var> {
        let found = self.list.iter().find(|variable| variable.name == name);
        let var = found.map(|variable| variable.var.clone());
        var.ok_or_else(|| Error::message(format!("there is no variable `{name}`")))
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
        let drawn = self.draw(name, shape, init)?;
        self.insert(name, &drawn, true)
    }

    fn draw(&self, name: &str, shape: &[usize], init: Init) -> Result<Tensor> {
        let mut rng = random::generator(self.seed, &format!("initial {name}"));
        init.draw(shape, &mut rng, &self.device)
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

    /// Copies of all that no optimiser changes.
    ///
    /// # Errors
    /// When the device has no room.
    pub fn still(&self) -> Result<Self> {
        let mut copies = Self::new(self.seed, &self.device);
        for variable in &self.list {
            copies.insert(&variable.name, variable.var.as_tensor(), false)?;
        }
        Ok(copies)
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
    let saved = from.shaped(name, var.dims())?;
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
    for variable in variables.iter() {
        let values = variable.var.flatten_all().and_then(|v| v.to_vec1::<f32>());
        let count = NotFinite::of(&values.map_err(Error::other)?);
        count.check(|| format!("the network's `{}`", variable.name))?;
    }
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
    use crate::{architecture, from_tensors};

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
        let zeros = Tensor::zeros(2, candle_core::DType::F32, &Device::Cpu).unwrap();
        let state = variables.insert("mean", &zeros, false).unwrap();
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

    #[test]
    fn only_the_head_is_new_and_trained() {
        let device = Device::Cpu;
        for (name, head) in [("squeezenet1_1", "classifier.1."), ("lenet5", "fc3.")] {
            let architecture = architecture(name).unwrap();
            let old = Variables::drawn(&architecture.parameters(), 1, &device).unwrap().live();
            let variables =
                Variables::with_new_head(architecture, &old, 7, false, 2, &device).unwrap();
            let trained: Vec<_> = variables.trained().map(|v| v.name.clone()).collect();
            assert_eq!(format!("{}.", architecture.head().unwrap()), head);
            assert_eq!(trained, [format!("{head}weight"), format!("{head}bias")]);
            let all = Variables::with_new_head(architecture, &old, 7, true, 2, &device).unwrap();
            assert_eq!(all.trained().count(), architecture.parameters().len());
            let network = from_tensors(name, &variables.live()).unwrap();
            let side = if name == "lenet5" { 28 } else { 64 };
            let channels = if name == "lenet5" { 1 } else { 3 };
            let x =
                Tensor::ones((2, channels, side, side), candle_core::DType::F32, &device).unwrap();
            let y = network.forward_to(&x, "logits").unwrap();
            assert_eq!(y.dims(), [2, 7]);
            let gradients = y.sum_all().unwrap().backward().unwrap();
            for v in variables.iter() {
                assert_eq!(gradients.get(&v.var).is_some(), v.trained, "{}", v.name);
            }
        }
    }
}
