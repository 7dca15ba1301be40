//! Networks that have forgotten what they learned.

use candle_core::Device;
use sconce_core::{Error, Result};
use sconce_models::Tensors;
use sconce_models::init::Init;
use sconce_models::variables::Variables;

/// The parameters of `architecture` from `tensors`, with those of all layers from the logits back to `through` drawn anew:
/// weights normal of deviation `√(2 / fan_in)` (He et al., 2015), biases 0. Through the first layer, nothing is left of
/// what was learned.
///
/// Adebayo et al., "Sanity checks for saliency maps", 2018, section 3.1: cascading randomisation. Each parameter has a
/// generator of its own, so that cascades of different depth share what both have randomised.
///
/// # Errors
/// When there is no such layer, or a tensor is missing.
pub fn randomised(
    architecture: &str,
    tensors: &Tensors,
    through: &str,
    seed: u64,
    device: &Device,
) -> Result<Variables> {
    let architecture = sconce_models::architecture(architecture)?;
    let taps: Vec<_> = architecture.taps().collect();
    let Some(first) = taps.iter().position(|tap| *tap == through) else {
        return Err(Error::parameter(
            "through",
            format!("{} has no `{through}`; there are: {}", architecture.name(), taps.join(", ")),
        ));
    };
    let mut variables = Variables::new(seed, device);
    for (parameter, tensor) in architecture.named(tensors)? {
        let place = taps.iter().position(|tap| *tap == parameter.layer);
        if place.is_some_and(|place| place >= first) {
            let init = match tensor.rank() {
                1 => Init::Constant(0.0),
                _ => Init::KaimingNormal,
            };
            variables.parameter(&parameter.name, tensor.dims(), init)?;
        } else {
            variables.insert(&parameter.name, &tensor, false)?;
        }
    }
    Ok(variables)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::squeezenet;

    #[test]
    fn a_cascade_reaches_as_far_as_it_says() {
        let tensors = Tensors::from_weights(&squeezenet(64), &Device::Cpu).unwrap();
        let values = |variables: &Variables, name: &str| {
            let found = variables.iter().find(|v| v.name == name).unwrap();
            found.var.flatten_all().unwrap().to_vec1::<f32>().unwrap()
        };
        let with = |through, seed| {
            randomised("squeezenet1_1", &tensors, through, seed, &Device::Cpu).unwrap()
        };
        let (head, deep, all) = (with("conv10", 1), with("fire9", 1), with("conv1", 1));
        let old = |name: &str| {
            tensors.find(name).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap()
        };
        let squeeze = "features.12.squeeze.weight";
        assert_eq!(values(&head, squeeze), old(squeeze));
        assert_ne!(values(&deep, squeeze), old(squeeze));
        assert_eq!(values(&deep, "features.11.squeeze.weight"), old("features.11.squeeze.weight"));
        assert_eq!(values(&all, squeeze), values(&deep, squeeze));
        assert_ne!(values(&with("conv1", 2), squeeze), values(&deep, squeeze));
        for (name, tensor) in tensors.iter() {
            let new = values(&all, name);
            assert_ne!(new, old(name), "{name}");
            if tensor.rank() == 4 {
                let fan_in = tensor.elem_count() / tensor.dims()[0];
                let variance = new.iter().map(|v| v * v).sum::<f32>() / new.len() as f32;
                let ratio = variance * fan_in as f32 / 2.0;
                assert!((0.8..1.25).contains(&ratio), "{name}: {ratio}");
            }
        }
        let error = randomised("squeezenet1_1", &tensors, "relu6", 1, &Device::Cpu).unwrap_err();
        assert!(error.to_string().starts_with("parameter `through`: squeezenet1_1 has no `relu6`"));
    }
}
