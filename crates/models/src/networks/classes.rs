//! Networks for other classes than they were trained on.

use candle_core::Device;
use sconce_core::{Error, Result};

use super::architecture::Op;
use crate::init::Init;
use crate::variables::Variables;
use crate::{Architecture, Tensors};

impl Architecture {
    /// The same network with so many outputs of its last layer with parameters.
    pub fn with_classes(&self, classes: usize) -> Self {
        let mut changed = self.clone();
        for step in changed.steps.iter_mut().rev() {
            if let Op::ConvRelu { output, .. } | Op::Linear { output, .. } = &mut step.op {
                *output = classes;
                break;
            }
        }
        changed
    }

    /// The name of its last layer with parameters: what stands before `.weight`.
    pub fn head(&self) -> Option<String> {
        let parameters = self.parameters();
        parameters.last().map(|last| last.name.trim_end_matches(".bias").to_owned())
    }

    /// The same network with as many outputs as `tensors` have rows for its last layer.
    pub(crate) fn with_classes_of(self, tensors: &Tensors) -> Self {
        let parameters = self.parameters();
        let last = parameters.last().and_then(|last| tensors.find(&last.name));
        match last.and_then(|bias| bias.dims().first()) {
            Some(&classes) => self.with_classes(classes),
            None => self,
        }
    }
}

/// The parameters of `architecture` from `tensors`, with a fresh last layer for `classes` classes (weights from
/// N(0, 0.01), bias 0, as torchvision initialises SqueezeNet's); only that layer is trained unless `all` are.
///
/// # Errors
/// When a tensor is missing or has another shape.
pub fn with_new_head(
    architecture: &Architecture,
    tensors: &Tensors,
    classes: usize,
    all: bool,
    seed: u64,
    device: &Device,
) -> Result<Variables> {
    let changed = architecture.with_classes(classes).parameters();
    let head = architecture.head().ok_or_else(|| {
        Error::message(format!("{} has no parameters to train", architecture.name()))
    })?;
    let mut variables = Variables::new(seed, device);
    for parameter in changed {
        let (name, shape) = (parameter.name.as_str(), parameter.shape.as_slice());
        if name == format!("{head}.weight") {
            variables.parameter(name, shape, Init::Normal { mean: 0.0, std: 0.01 })?;
        } else if name == format!("{head}.bias") {
            variables.parameter(name, shape, Init::Constant(0.0))?;
        } else {
            variables.insert(name, &tensors.get(&[name], shape)?, all)?;
        }
    }
    Ok(variables)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{from_tensors, initialise, lenet5, live, squeezenet1_1};
    use candle_core::Tensor;

    #[test]
    fn only_the_head_is_new_and_trained() {
        let device = Device::Cpu;
        for (architecture, head) in [(squeezenet1_1(), "classifier.1."), (lenet5(), "fc3.")] {
            let old = live(&initialise(&architecture, 1, &device).unwrap());
            let variables = with_new_head(&architecture, &old, 7, false, 2, &device).unwrap();
            let trained: Vec<_> = variables.trained().map(|v| v.name.clone()).collect();
            assert_eq!(format!("{}.", architecture.head().unwrap()), head);
            assert_eq!(trained, [format!("{head}weight"), format!("{head}bias")]);
            let all = with_new_head(&architecture, &old, 7, true, 2, &device).unwrap();
            assert_eq!(all.trained().count(), architecture.parameters().len());
            let network = from_tensors(architecture.name(), &live(&variables)).unwrap();
            let side = if architecture.name() == "lenet5" { 28 } else { 64 };
            let channels = if architecture.name() == "lenet5" { 1 } else { 3 };
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
