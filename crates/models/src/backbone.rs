//! Networks of candle-transformers as feature extractors: ResNet, ConvNeXt, DINOv2.

use std::collections::HashMap;

use candle_core::{DType, Tensor, bail};
use candle_nn::{Func, LayerNorm, Linear, Module, VarBuilder};
use candle_transformers::models::{convnext, dinov2, resnet};
use sconce_core::error::ResultExt;
use sconce_core::{Error, Result};

use crate::{Network, Tensors};

/// Names of the networks: tensor names are torchvision's for ResNet, timm's for ConvNeXt and the authors' for DINOv2.
pub(crate) const BACKBONES: [&str; 4] = ["resnet18", "resnet50", "convnext_tiny", "dinov2_vits14"];

/// A network with two taps: `features`, one row an image before the last layer, and `logits` where the weights
/// have a last layer.
///
/// `features` are the mean over space (ResNet: 512 or 2048 numbers; ConvNeXt-T: 768, before its last normalisation), or for
/// DINOv2 ViT-S/14 the class token and the mean of the patches' (2 × 384). DINOv2's positions are interpolated to other sizes
/// than 518 by the nearest one, where the authors' code is bicubic.
pub(crate) struct Backbone {
    name: &'static str,
    body: Body,
    norm: Option<LayerNorm>,
    head: Option<Linear>,
}

enum Body {
    Function(Func<'static>),
    /// With the identity in the place of the head; the width of the features.
    Dino(Box<dinov2::DinoVisionTransformer>, usize),
}

impl Backbone {
    /// The network called `name` with these tensors; `None` when the name is none of this module's.
    pub(crate) fn new(name: &str, tensors: &Tensors) -> Option<Result<Self>> {
        let name = BACKBONES.into_iter().find(|known| *known == name)?;
        Some(Self::build(name, tensors).map_err(Error::other).doing(|| format!("building {name}")))
    }

    fn build(name: &'static str, tensors: &Tensors) -> candle_core::Result<Self> {
        let mut by_name: HashMap<String, Tensor> =
            tensors.iter().map(|(name, tensor)| (name.to_owned(), tensor.clone())).collect();
        let Some(device) = by_name.values().next().map(|tensor| tensor.device().clone()) else {
            bail!("no tensors in the weights");
        };
        if name.starts_with("dinov2") {
            // candle's network ends in a linear layer on the features wanted: let it pass them on.
            let eye = Tensor::eye(DINO_FEATURES, DType::F32, &device)?;
            let rest = Tensor::zeros((1000 - DINO_FEATURES, DINO_FEATURES), DType::F32, &device)?;
            by_name.insert("head.weight".into(), Tensor::cat(&[eye, rest], 0)?);
            by_name.insert("head.bias".into(), Tensor::zeros(1000, DType::F32, &device)?);
        }
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
            "resnet18" => (
                Body::Function(resnet::resnet18_no_final_layer(vb.clone())?),
                None,
                linear(512, vb.pp("fc"))?,
            ),
            "resnet50" => (
                Body::Function(resnet::resnet50_no_final_layer(vb.clone())?),
                None,
                linear(2048, vb.pp("fc"))?,
            ),
            "convnext_tiny" => {
                let body =
                    convnext::convnext_no_final_layer(&convnext::Config::tiny(), vb.clone())?;
                let head = linear(768, vb.pp("head.fc"))?;
                let norm = match head {
                    Some(_) => Some(candle_nn::layer_norm(768, 1e-6, vb.pp("head.norm"))?),
                    None => None,
                };
                (Body::Function(body), norm, head)
            }
            "dinov2_vits14" => {
                (Body::Dino(Box::new(dinov2::vit_small(vb)?), DINO_FEATURES), None, None)
            }
            other => bail!("unknown network `{other}`"),
        };
        Ok(Self { name, body, norm, head })
    }
}

/// Width of DINOv2 ViT-S/14's class token and mean patch together.
const DINO_FEATURES: usize = 2 * 384;

impl Network for Backbone {
    fn architecture(&self) -> &str {
        self.name
    }

    fn taps(&self) -> Vec<&'static str> {
        if self.head.is_some() { vec!["features", "logits"] } else { vec!["features"] }
    }

    fn forward_taps(&self, x: &Tensor, taps: &[&str]) -> candle_core::Result<Vec<Tensor>> {
        for tap in taps {
            crate::network::place_of_tap(self, tap)?;
        }
        let features = match &self.body {
            Body::Function(function) => function.forward(x)?,
            // candle's network takes one image at a time.
            Body::Dino(dino, width) => {
                let images = (0..x.dim(0)?).map(|i| dino.forward(&x.narrow(0, i, 1)?));
                let outputs = images.collect::<candle_core::Result<Vec<_>>>()?;
                Tensor::cat(&outputs, 0)?.narrow(1, 0, *width)?
            }
        };
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
