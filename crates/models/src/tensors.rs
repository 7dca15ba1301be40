//! Named tensors that a network is built from.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use sconce_core::{Error, Result};
use sconce_data::Weights;

/// Tensors by name, in single precision. For training, put in variables' tensors: networks keep what they get.
#[derive(Clone, Debug, Default)]
pub struct Tensors {
    by_name: BTreeMap<String, Tensor>,
}

impl Tensors {
    /// The tensors of a safetensors file, given as its bytes.
    ///
    /// # Errors
    /// When the bytes are no such file or the device has no room.
    pub fn from_safetensors(bytes: &[u8], device: &Device) -> Result<Self> {
        let tensors = candle_core::safetensors::load_buffer(bytes, device).map_err(Error::other)?;
        let single = |(name, tensor): (String, Tensor)| {
            Ok((name, tensor.to_dtype(DType::F32).map_err(Error::other)?))
        };
        tensors.into_iter().map(single).collect()
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

    /// Adds a tensor, or puts it in the place of the one with this name.
    pub fn insert(&mut self, name: impl Into<String>, tensor: Tensor) {
        self.by_name.insert(name.into(), tensor);
    }

    /// The tensor that goes by one of `names`, in this shape. Where only ones are added or dimensions merged (a fully
    /// connected layer kept as a convolution over the whole input), it is reshaped.
    ///
    /// # Errors
    /// When there is none, or it has another shape.
    pub fn get(&self, names: &[&str], shape: &[usize]) -> Result<Tensor> {
        let Some((name, tensor)) = names.iter().find_map(|&name| Some((name, self.find(name)?)))
        else {
            let first: Vec<_> = self.by_name.keys().take(4).map(String::as_str).collect();
            return Err(Error::message(format!(
                "no tensor `{}` of shape {shape:?} in the weights; there are {}: {}, …",
                names.join("` or `"),
                self.by_name.len(),
                first.join(", ")
            )));
        };
        if tensor.dims() == shape {
            return Ok(tensor.clone());
        }
        let same_rows = tensor.dims().first() == shape.first();
        if same_rows && tensor.elem_count() == shape.iter().product::<usize>() {
            return tensor.reshape(shape).map_err(Error::other);
        }
        Err(Error::message(format!(
            "tensor `{name}`: expected shape {shape:?}, found {:?}",
            tensor.dims()
        )))
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
        Self { by_name: tensors.into_iter().collect() }
    }
}
