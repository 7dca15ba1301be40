//! Named tensors that a network is built from.

use std::collections::BTreeMap;

use candle_core::safetensors::Load as _;
use candle_core::{DType, Device, Tensor};
use safetensors::Dtype::{BF16, F16, F32, F64, I64, U8, U32};
use sconce_core::{Error, Result};
use sconce_data::Weights;

/// Tensors by name, in single precision. For training, put in variables' tensors: networks keep what they get.
#[derive(Clone, Debug, Default)]
pub struct Tensors {
    by_name: BTreeMap<String, Tensor>,
    /// Names and types of tensors that were left out.
    of_other_types: BTreeMap<String, String>,
}

impl Tensors {
    /// The tensors of a safetensors file, given as its bytes. Those of types that networks do not compute with (masks of
    /// BOOL, counters of I32, …) are left out.
    ///
    /// # Errors
    /// When the bytes are no such file or the device has no room.
    pub fn from_safetensors(bytes: &[u8], device: &Device) -> Result<Self> {
        let file = safetensors::SafeTensors::deserialize(bytes).map_err(Error::other)?;
        let mut tensors = Self::default();
        for (name, view) in file.iter() {
            if !matches!(view.dtype(), F64 | F32 | F16 | BF16 | I64 | U32 | U8) {
                tensors.of_other_types.insert(name.to_owned(), format!("{:?}", view.dtype()));
                continue;
            }
            let tensor = view.load(device).and_then(|tensor| tensor.to_dtype(DType::F32));
            tensors.insert(name, tensor.map_err(Error::other)?);
        }
        Ok(tensors)
    }

    /// The tensors of an artifact.
    ///
    /// # Errors
    /// As [`Tensors::from_safetensors`].
    pub fn from_weights(weights: &Weights, device: &Device) -> Result<Self> {
        Self::from_safetensors(weights.bytes(), device)
    }

    /// The tensors in order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.by_name.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// Whether there is a tensor of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// The tensor of this name, if there is one.
    pub fn find(&self, name: &str) -> Option<&Tensor> {
        self.by_name.get(name)
    }

    /// The tensor of this name, with the name as it is kept.
    pub(crate) fn entry(&self, name: &str) -> Option<(&str, &Tensor)> {
        self.by_name.get_key_value(name).map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// The type of the tensor of this name, if it is one that networks do not compute with.
    pub(crate) fn of_other_type(&self, name: &str) -> Option<&str> {
        self.of_other_types.get(name).map(String::as_str)
    }

    /// Adds a tensor, or puts it in the place of the one with this name.
    pub fn insert(&mut self, name: impl Into<String>, tensor: Tensor) {
        self.by_name.insert(name.into(), tensor);
    }

    /// The tensor of this name.
    ///
    /// # Errors
    /// When there is none.
    pub fn get(&self, name: &str) -> Result<Tensor> {
        self.find(name).cloned().ok_or_else(|| {
            let first: Vec<_> = self.by_name.keys().take(4).map(String::as_str).collect();
            let (count, first) = (self.by_name.len(), first.join(", "));
            Error::message(format!("no tensor `{name}`; there are {count}: {first}, …"))
        })
    }

    /// The tensor of this name, which must have this shape.
    ///
    /// # Errors
    /// When there is none, or it has another shape.
    pub fn shaped(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let tensor = self.get(name)?;
        if tensor.dims() == shape {
            return Ok(tensor);
        }
        let found = tensor.dims();
        Err(Error::message(format!("tensor `{name}`: expected shape {shape:?}, found {found:?}")))
    }

    /// Sums the weights of convolution `name` over its input channels, so that it takes one grey channel and gives what
    /// it gave for that channel three times over.
    ///
    /// # Errors
    /// When there is no such tensor of four dimensions.
    pub fn sum_input_channels(&mut self, name: &str) -> Result<()> {
        let Some(tensor) = self.by_name.get_mut(name).filter(|tensor| tensor.rank() == 4) else {
            return Err(Error::message(format!("no convolution weights `{name}` in the weights")));
        };
        *tensor = tensor.sum_keepdim(1).map_err(Error::other)?;
        Ok(())
    }
}

impl FromIterator<(String, Tensor)> for Tensors {
    fn from_iter<I: IntoIterator<Item = (String, Tensor)>>(tensors: I) -> Self {
        Self { by_name: tensors.into_iter().collect(), of_other_types: BTreeMap::new() }
    }
}
