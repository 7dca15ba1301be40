//! Networks that are no plain lists of layers: candle-transformers' ResNet and ConvNeXt, [DINOv2](super::dinov2) and
//! [EfficientNet-Lite](super::efficientnet_lite).

use std::collections::HashMap;

use candle_core::{DType, Tensor, bail};
use candle_nn::{Func, LayerNorm, Linear, Module, VarBuilder};
use candle_transformers::models::{convnext, resnet};
use sconce_core::error::ResultExt;
use sconce_core::{Error, Result};

use super::dinov2::{self, Dinov2};
use super::efficientnet_lite::{self, EfficientNetLite0};
use crate::{Network, Tensors};

/// Names of the networks: tensor names are torchvision's for ResNet, timm's for ConvNeXt, the authors' for DINOv2 and
/// `efficientnet_lite_pytorch`'s for EfficientNet-Lite.
pub(crate) const BACKBONES: [&str; 5] =
    ["resnet18", "resnet50", "convnext_tiny", dinov2::NAME, efficientnet_lite::NAME];

/// The network called `name` with these tensors; `None` when the name is none of this module's.
pub(crate) fn load(name: &str, tensors: &Tensors) -> Option<Result<Box<dyn Network>>> {
    let name = BACKBONES.into_iter().find(|known| *known == name)?;
    let network: Result<Box<dyn Network>> = if name == dinov2::NAME {
        Dinov2::new(tensors).map(|network| Box::new(network) as Box<dyn Network>)
    } else if name == efficientnet_lite::NAME {
        EfficientNetLite0::new(tensors).map(|network| Box::new(network) as Box<dyn Network>)
    } else {
        Backbone::build(name, tensors)
            .map(|network| Box::new(network) as Box<dyn Network>)
            .map_err(Error::other)
    };
    Some(network.doing(|| format!("building {name}")))
}

/// A network with two taps: `features`, one row an image before the last layer, and `logits` where the weights
/// have a last layer.
///
/// `features` are the mean over space (ResNet: 512 or 2048 numbers; ConvNeXt-T: 768, before its last normalisation).
struct Backbone {
    name: &'static str,
    body: Func<'static>,
    norm: Option<LayerNorm>,
    head: Option<Linear>,
}

impl Backbone {
    fn build(name: &'static str, tensors: &Tensors) -> candle_core::Result<Self> {
        let by_name: HashMap<String, Tensor> =
            tensors.iter().map(|(name, tensor)| (name.to_owned(), tensor.clone())).collect();
        let Some(device) = by_name.values().next().map(|tensor| tensor.device().clone()) else {
            bail!("no tensors in the weights");
        };
        let vb = VarBuilder::from_tensors(by_name, DType::F32, &device);
        let linear = |width: usize, vb: VarBuilder<'_>| -> candle_core::Result<Option<Linear>> {
            let Ok(weight) = vb.get_unchecked("weight") else { return Ok(None) };
            if weight.dims().get(1) != Some(&width) {
                bail!(
                    "the last layer's weight: expected (classes, {width}), found {:?}",
                    weight.dims()
                );
            }
            let bias = vb.get(weight.dim(0)?, "bias")?;
            Ok(Some(Linear::new(weight, Some(bias))))
        };
        let (body, norm, head) = match name {
            "resnet18" => {
                (resnet::resnet18_no_final_layer(vb.clone())?, None, linear(512, vb.pp("fc"))?)
            }
            "resnet50" => {
                (resnet::resnet50_no_final_layer(vb.clone())?, None, linear(2048, vb.pp("fc"))?)
            }
            "convnext_tiny" => {
                let body =
                    convnext::convnext_no_final_layer(&convnext::Config::tiny(), vb.clone())?;
                let head = linear(768, vb.pp("head.fc"))?;
                let norm = match head {
                    Some(_) => Some(candle_nn::layer_norm(768, 1e-6, vb.pp("head.norm"))?),
                    None => None,
                };
                (body, norm, head)
            }
            other => bail!("unknown network `{other}`"),
        };
        Ok(Self { name, body, norm, head })
    }
}

impl Network for Backbone {
    fn architecture(&self) -> &str {
        self.name
    }

    fn taps(&self) -> Vec<&'static str> {
        if self.head.is_some() { vec!["features", "logits"] } else { vec!["features"] }
    }

    fn forward_taps(&self, x: &Tensor, taps: &[&str]) -> candle_core::Result<Vec<Tensor>> {
        for tap in taps {
            super::place_of_tap(self, tap)?;
        }
        let features = self.body.forward(x)?;
        let outputs = taps.iter().map(|tap| match (&self.head, *tap) {
            (Some(head), "logits") => match &self.norm {
                Some(norm) => head.forward(&norm.forward(&features)?),
                None => head.forward(&features),
            },
            _ => Ok(features.clone()),
        });
        outputs.collect()
    }
}
