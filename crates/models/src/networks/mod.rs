//! Networks whose inner outputs can be taken by name: one table, [`NETWORKS`], one [`Architecture`] a row, and one way
//! from parameters to a [`Network`].
//!
//! | network | input | classes | trained by cross-entropy | Grad-CAM | guided backpropagation |
//! |---|---|---|---|---|---|
//! | `squeezenet1_1` | 3 × 224 × 224 | 1000 | from nothing or from weights | yes | yes |
//! | `vgg16` | 3 × 224 × 224 | 1000 | from nothing or from weights | yes | yes |
//! | `vgg16_features` | 3 × 224 × 224 | | no: it has no last layer | | |
//! | `lenet5` | 1 × 28 × 28 | 10 | from nothing or from weights | yes | yes |
//! | `resnet18`, `resnet50` | 3 × 224 × 224 | 1000 | from weights, with their batch statistics | yes | yes |
//! | `convnext_tiny` | 3 × 224 × 224 | 1000 | from nothing or from weights | yes | no: it has no ReLU |
//! | `dinov2_vits14` | 3 × 518 × 518 | | from nothing or from weights, with a new last layer | no | no |
//! | `efficientnet_lite0` | 3 × 224 × 224 | 1000 | from weights, with their batch statistics | yes | yes |
//! | `dann` | 3 × 28 × 28 | 10 | from nothing or from weights; with two domains by [`two_domains`] | yes | yes |
//! | `dann_bn`, `dann_wide`, `vada` | 3 × 28 × 28 | 10 | from weights, with their batch statistics; with two domains by [`two_domains`] | yes | no |
//! | `dcgan_generator` | 100 × 1 × 1 | | no: by [`dcgan::step`] | | |
//! | `dcgan_discriminator` | 1 × 32 × 32 | | no: by [`dcgan::step`] | | |
//!
//! All explanations that need plain gradients or outputs alone work with every network that has `logits`.
//!
//! ```
//! use candle_core::{DType, Device, Tensor};
//! use sconce_models::variables::Variables;
//! use sconce_models::{architecture, from_tensors};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let lenet = architecture("lenet5")?;
//! let variables = Variables::drawn(&lenet.parameters(), 7, &Device::Cpu)?;
//! let network = from_tensors("lenet5", &variables.live())?;
//! let digits = Tensor::zeros((2, 1, 28, 28), DType::F32, &Device::Cpu)?;
//! let outputs = network.forward_taps(&digits, &["pool2", "logits"])?;
//! assert_eq!(outputs[0].dims(), [2, 16, 5, 5]);
//! assert_eq!(outputs[1].dims(), [2, 10]);
//! # Ok(())
//! # }
//! ```

mod architecture;
mod convnext;
mod dann;
pub mod dcgan;
#[cfg(test)]
mod device_tests;
mod dinov2;
mod efficientnet_lite;
mod fit;
mod layers;
mod lenet;
#[cfg(test)]
mod made_up_tests;
#[cfg(test)]
mod processor_tests;
#[cfg(test)]
mod published_tests;
#[cfg(test)]
mod reference_tests;
mod resnet;
mod sequential;
mod squeezenet;
mod taps;
mod trainable;
pub mod two_domains;
mod vgg;

use candle_core::{DType, Device, Tensor, bail};
use sconce_core::{Error, Result};
use sconce_data::Weights;
use sconce_data::classes::Outputs;

pub use architecture::{Architecture, Group, Parameter, Trainable};
pub use fit::{Fitted, LastLayer, fit};
pub use layers::Rectifier;

use crate::Tensors;

/// All networks.
pub const NETWORKS: &[&dyn Architecture] = &[
    &squeezenet::SQUEEZENET1_1,
    &vgg::VGG16,
    &vgg::VGG16_FEATURES,
    &lenet::LENET5,
    &resnet::RESNET18,
    &resnet::RESNET50,
    &convnext::ConvNextTiny,
    &dinov2::Dinov2,
    &efficientnet_lite::EfficientNetLite0,
    &dann::DANN,
    &two_domains::DANN_BN,
    &two_domains::DANN_WIDE,
    &two_domains::VADA,
    &dcgan::GENERATOR,
    &dcgan::DISCRIMINATOR,
];

/// A network with named outputs ("taps") on the way from the image to the logits.
pub trait Network: Send + Sync {
    /// The name, as in torchvision or timm.
    fn architecture(&self) -> &str;

    /// Names of the outputs that can be taken, from the input on.
    fn taps(&self) -> Vec<&'static str>;

    /// How many classes the network tells apart: the length of its logits. None without logits.
    fn classes(&self) -> Option<usize>;

    /// The outputs called `taps`, in that order, for `x` of shape `(batch, channels, height, width)`. Nothing beyond the
    /// last of them is computed.
    ///
    /// # Errors
    /// When there is no such tap (the message lists them) or the input has a wrong shape.
    fn forward_taps(&self, x: &Tensor, taps: &[&str]) -> candle_core::Result<Vec<Tensor>> {
        self.forward_pass(x, &Pass::default(), taps)
    }

    /// The outputs called `taps`, as [`Network::forward_taps`], but on a part of the way or with other gradients.
    ///
    /// # Errors
    /// As [`Network::forward_taps`]; also when `pass` asks for more than the network can, or when a tap does not lie behind `pass.from`.
    fn forward_pass(
        &self,
        x: &Tensor,
        pass: &Pass<'_>,
        taps: &[&str],
    ) -> candle_core::Result<Vec<Tensor>>;

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

/// Refuses guided backpropagation through a network without rectifiers.
fn no_guided<T>(network: &dyn Network) -> candle_core::Result<T> {
    bail!("{} has no ReLU: no guided backpropagation", network.architecture())
}

/// The network called `name`.
///
/// # Errors
/// When there is none; the message lists them.
pub fn architecture(name: &str) -> Result<&'static dyn Architecture> {
    NETWORKS.iter().copied().find(|known| known.name() == name).ok_or_else(|| {
        let known: Vec<_> = NETWORKS.iter().map(|known| known.name()).collect();
        Error::message(format!("unknown architecture `{name}`; known are: {}", known.join(", ")))
    })
}

/// The network that `weights` are of, on `device`.
///
/// Weights without the last layers give a network that ends earlier, where it can: VGG16 with `pool5`, ResNet, ConvNeXt and
/// DINOv2 with `features`.
///
/// # Errors
/// When the architecture is unknown, the weights are not its own (see [`fit`]), or they name another number of classes
/// than the network tells apart.
pub fn load(weights: &Weights, device: &Device) -> Result<Box<dyn Network>> {
    let tensors = Tensors::from_weights(weights, device)?;
    let network = from_tensors(&weights.info.architecture, &tensors)?;
    Outputs { names: &weights.info.classes, count: network.classes() }.check()?;
    Ok(network)
}

/// Refuses a side of the input (the parameter `key`) that the network cannot take to `tap`: one image of zeros is sent
/// there.
///
/// # Errors
/// Names the parameter, and what the network said.
pub fn check_size(
    network: &dyn Network,
    (key, size): (&str, usize),
    channels: usize,
    tap: &str,
    device: &Device,
) -> Result<()> {
    let zeros = Tensor::zeros((1, channels, size, size), DType::F32, device);
    let passed = zeros.and_then(|zeros| network.forward_to(&zeros, tap));
    passed.map(drop).map_err(|error| {
        let message = error.to_string();
        let cause = message.lines().next().unwrap_or_default();
        let name = network.architecture();
        Error::parameter(key, format!("{name} cannot take {size} × {size} pixels: {cause}"))
    })
}

/// The network of this name with these tensors. See [`load`].
///
/// # Errors
/// As [`load`].
pub fn from_tensors(name: &str, tensors: &Tensors) -> Result<Box<dyn Network>> {
    let architecture = architecture(name)?;
    architecture.build(&fit(architecture, tensors, LastLayer::Kept)?.tensors)
}
