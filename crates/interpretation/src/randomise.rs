//! Networks that have forgotten what they learned.

use candle_core::Device;
use sconce_core::{Error, Result};
use sconce_models::init::Init;
use sconce_models::variables::{Origin, Variables};
use sconce_models::{Group, LastLayer, Tensors};

/// The parameters of `architecture` from `tensors`, with those of all layers from the logits back to `through` drawn anew:
/// weights normal of deviation `√(2 / fan_in)` (He et al., 2015), biases 0, normalisations and embeddings as before training.
/// Through the first layer, nothing is left of what was learned.
///
/// Adebayo et al., "Sanity checks for saliency maps", 2018, section 3.1: cascading randomisation. Each parameter has a
/// generator of its own, so that cascades of different depth share what both have randomised.
///
/// # Errors
/// When there is no such layer, nothing to draw from it on, or the tensors are not the network's.
pub fn randomised(
    architecture: &str,
    tensors: &Tensors,
    through: &str,
    seed: u64,
    device: &Device,
) -> Result<Variables> {
    let architecture = sconce_models::architecture(architecture)?;
    let fitted = sconce_models::fit(architecture, tensors, LastLayer::Kept)?;
    let taps = architecture.build(&fitted.tensors)?.taps();
    let refused = |message: String| Error::parameter("through", message);
    let Some(first) = taps.iter().position(|tap| *tap == through) else {
        let (name, taps) = (architecture.name(), taps.join(", "));
        return Err(refused(format!("{name} has no `{through}`; there are: {taps}")));
    };
    let drawn = &taps[first..];
    if !fitted.parameters.iter().any(|parameter| drawn.contains(&parameter.layer)) {
        return Err(refused(format!("no layer with parameters from `{through}` on")));
    }
    Variables::of(&fitted.parameters, &fitted.tensors, seed, device, |parameter| {
        match (drawn.contains(&parameter.layer), parameter.group, parameter.shape.len()) {
            (false, ..) => Origin::Frozen,
            (_, Group::Normalisation | Group::Embedding, _) => Origin::Drawn(parameter.init),
            (_, _, 1) => Origin::Drawn(Init::Constant(0.0)),
            _ => Origin::Drawn(Init::KaimingNormal),
        }
    })
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
        let error = randomised("squeezenet1_1", &tensors, "logits", 1, &Device::Cpu).unwrap_err();
        assert!(error.to_string().contains("no layer with parameters from `logits` on"));
        let error = randomised("squeezenet1_1", &tensors, "relu6", 1, &Device::Cpu).unwrap_err();
        assert!(error.to_string().starts_with("parameter `through`: squeezenet1_1 has no `relu6`"));
    }
}
