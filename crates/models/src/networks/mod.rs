//! Networks whose inner outputs can be taken by name.

mod architecture;
mod backbone;
mod classes;
pub mod dann;
pub mod dcgan;
mod dinov2;
mod efficientnet_lite;
mod initialise;
mod layers;
mod lenet;
#[cfg(test)]
mod made_up_tests;
#[cfg(test)]
mod published_tests;
#[cfg(test)]
mod reference_tests;
mod squeezenet;
mod trainable;
mod vgg;

use candle_core::{Device, Tensor, bail};
use sconce_core::{Error, Result};
use sconce_data::Weights;

pub use architecture::{Architecture, Group, Parameter};
use backbone::BACKBONES;
pub use classes::with_new_head;
pub use initialise::{initialise, live};
use layers::Layer;
pub use layers::Rectifier;
pub use lenet::lenet5;
pub use squeezenet::squeezenet1_1;
pub use vgg::{vgg16, vgg16_features};

use crate::Tensors;

/// A network with named outputs ("taps") on the way from the image to the logits.
pub trait Network: Send + Sync {
    /// The name, as in torchvision or timm.
    fn architecture(&self) -> &str;

    /// Names of the outputs that can be taken, from the input on.
    fn taps(&self) -> Vec<&'static str>;

    /// The outputs called `taps`, in that order, for `x` of shape `(batch, channels, height, width)`. Nothing beyond the
    /// last of them is computed.
    ///
    /// # Errors
    /// When there is no such tap (the message lists them) or the input has a wrong shape.
    fn forward_taps(&self, x: &Tensor, taps: &[&str]) -> candle_core::Result<Vec<Tensor>>;

    /// The outputs called `taps`, as [`Network::forward_taps`], but on a part of the way or with other gradients.
    ///
    /// # Errors
    /// As [`Network::forward_taps`]; also when `pass` asks for more than the network can, or when a tap does not lie behind `pass.from`.
    fn forward_pass(
        &self,
        x: &Tensor,
        pass: &Pass<'_>,
        taps: &[&str],
    ) -> candle_core::Result<Vec<Tensor>> {
        if *pass == Pass::default() {
            return self.forward_taps(x, taps);
        }
        let name = self.architecture();
        bail!(
            "{name} can be run only as a whole, with plain gradients: no Grad-CAM, no guided backpropagation"
        )
    }

    /// The output called `tap`. See [`Network::forward_taps`].
    ///
    /// # Errors
    /// As [`Network::forward_taps`].
    fn forward_to(&self, x: &Tensor, tap: &str) -> candle_core::Result<Tensor> {
        match self.forward_taps(x, &[tap])?.pop() {
            Some(output) => Ok(output),
            None => bail!("no output for tap `{tap}`"),
        }
    }
}

/// Which part of a network is run, and how gradients pass its rectifiers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pass<'a> {
    /// The tap whose output the input is; without it the input is the image.
    pub from: Option<&'a str>,
    /// The rectifiers' gradients.
    pub rectifier: Rectifier,
}

/// A network that is a list of layers.
pub(crate) struct Sequential {
    name: &'static str,
    layers: Vec<(&'static str, Layer)>,
}

impl Sequential {
    pub(crate) fn new(architecture: &Architecture, tensors: &Tensors) -> Result<Self> {
        Ok(Self { name: architecture.name(), layers: architecture.build(tensors)? })
    }
}

impl Network for Sequential {
    fn architecture(&self) -> &str {
        self.name
    }

    fn taps(&self) -> Vec<&'static str> {
        self.layers.iter().map(|(tap, _)| *tap).collect()
    }

    fn forward_taps(&self, x: &Tensor, taps: &[&str]) -> candle_core::Result<Vec<Tensor>> {
        self.forward_pass(x, &Pass::default(), taps)
    }

    fn forward_pass(
        &self,
        x: &Tensor,
        pass: &Pass<'_>,
        taps: &[&str],
    ) -> candle_core::Result<Vec<Tensor>> {
        let (first, wanted) = places(self, pass, taps)?;
        let mut outputs = vec![None; taps.len()];
        let count = wanted.iter().max().map_or(0, |last| last + 1);
        let mut x = x.clone();
        let mut i = first;
        while i < count {
            let layer = &self.layers[i].1;
            let behind = self.layers[..count].get(i + 1).filter(|_| !wanted.contains(&i));
            x = match (layer, behind.map(|(_, layer)| layer), pass.rectifier) {
                // one operation where nobody asks for what lies between
                (Layer::ConvRelu(conv), Some(Layer::MaxPool(pool)), Rectifier::Plain) => {
                    i += 1;
                    conv.forward_relu_max_pool(&x, pool)?
                }
                _ => layer.forward(&x, pass.rectifier)?,
            };
            for (output, _) in outputs.iter_mut().zip(&wanted).filter(|(_, place)| **place == i) {
                *output = Some(x.clone());
            }
            i += 1;
        }
        Ok(outputs.into_iter().flatten().collect())
    }
}

/// The place of `tap` among the network's taps.
pub(crate) fn place_of_tap(network: &dyn Network, tap: &str) -> candle_core::Result<usize> {
    let taps = network.taps();
    match taps.iter().position(|name| *name == tap) {
        Some(place) => Ok(place),
        None => {
            bail!("{} has no tap `{tap}`; there are: {}", network.architecture(), taps.join(", "))
        }
    }
}

/// The place of the first tap that is computed, and those of `taps`, which have to lie behind it.
pub(crate) fn places(
    network: &dyn Network,
    pass: &Pass<'_>,
    taps: &[&str],
) -> candle_core::Result<(usize, Vec<usize>)> {
    let first = match pass.from {
        Some(tap) => place_of_tap(network, tap)? + 1,
        None => 0,
    };
    let mut wanted = Vec::with_capacity(taps.len());
    for tap in taps {
        let place = place_of_tap(network, tap)?;
        if place < first {
            bail!("`{tap}` does not lie behind `{}`", pass.from.unwrap_or_default());
        }
        wanted.push(place);
    }
    Ok((first, wanted))
}

/// The sequential architectures.
pub(crate) fn architectures() -> [Architecture; 4] {
    [squeezenet1_1(), vgg16(), vgg16_features(), lenet5()]
}

/// The sequential architecture called `name`.
///
/// # Errors
/// When there is none; the message lists them.
pub fn architecture(name: &str) -> Result<Architecture> {
    if let Some(found) = architectures().into_iter().find(|known| known.name() == name) {
        return Ok(found);
    }
    if BACKBONES.contains(&name) {
        return Err(Error::message(format!("the layers of {name} are not listed")));
    }
    let known: Vec<_> = architectures().iter().map(Architecture::name).chain(BACKBONES).collect();
    Err(Error::message(format!("unknown architecture `{name}`; known are: {}", known.join(", "))))
}

/// The network that `weights` are of, on `device`.
///
/// `vgg16` weights without the fully connected layers give the network up to `pool5`.
///
/// # Errors
/// When the architecture is unknown, or a tensor is missing or has another shape.
pub fn load(weights: &Weights, device: &Device) -> Result<Box<dyn Network>> {
    let tensors = Tensors::from_weights(weights, device)?;
    from_tensors(&weights.info.architecture, &tensors)
}

/// The network of this architecture with these tensors. See [`load`].
///
/// # Errors
/// As [`load`].
pub fn from_tensors(name: &str, tensors: &Tensors) -> Result<Box<dyn Network>> {
    if let Some(network) = backbone::load(name, tensors) {
        return network;
    }
    let mut found = architecture(name)?;
    if name == "vgg16" && !tensors.iter().any(|(name, _)| is_head(name)) {
        found = vgg16_features();
    }
    let found = found.with_classes_of(tensors);
    Ok(Box::new(Sequential::new(&found, tensors)?))
}

fn is_head(name: &str) -> bool {
    ["classifier.", "pre_logits.", "head."].iter().any(|prefix| name.starts_with(prefix))
}
