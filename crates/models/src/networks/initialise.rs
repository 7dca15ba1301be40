//! From an architecture to variables.

use candle_core::Device;
use sconce_core::Result;

use crate::init::Init;
use crate::variables::{Variable, Variables};
use crate::{Architecture, Tensors};

/// Makes the parameters of an architecture with PyTorch's default distributions: weights uniform within `±1/√fan_in`,
/// biases too, with the fan-in of their weight.
///
/// # Errors
/// None for the architectures of this crate.
pub fn initialise(architecture: &Architecture, seed: u64, device: &Device) -> Result<Variables> {
    let mut variables = Variables::new(seed, device);
    let mut fan_in = 1;
    for parameter in architecture.parameters() {
        let init = match parameter.shape.as_slice() {
            [_] => Init::pytorch_bias(fan_in),
            [_, inside @ ..] => {
                fan_in = inside.iter().product();
                Init::PytorchDefault
            }
            [] => Init::Constant(0.0),
        };
        variables.parameter(&parameter.name, &parameter.shape, init)?;
    }
    Ok(variables)
}

/// The variables' tensors, to build a network of: it changes with them. Those that are not trained get no gradient and
/// cost none.
pub fn live(variables: &Variables) -> Tensors {
    let tensor = |v: &Variable| match v.trained {
        true => v.var.as_tensor().clone(),
        false => v.var.as_detached_tensor(),
    };
    variables.iter().map(|v| (v.name.clone(), tensor(v))).collect()
}
