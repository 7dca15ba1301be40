//! ConvNeXt-T (Liu et al., "A ConvNet for the 2020s", 2022), as in timm.

use candle_core::{D, Tensor};
use sconce_core::{Error, Result};
use sconce_ops::activation::gelu;
use sconce_ops::channels::{add_to_channels, scale_channels};
use sconce_ops::conv::{Conv2d, DepthwiseConv2d, depthwise_conv2d};
use sconce_ops::sum::{add, mean};
use sconce_ops::tape::reshape;
use sconce_ops::transposed::transposed;

use super::architecture::{Architecture, Group, Parameter, Parameters, Trainable};
use super::layers::{Conv, LayerNorm, Linear, Rectifier, Weights};
use super::taps::run;
use super::{Network, Pass, no_guided};
use crate::Tensors;
use crate::init::Init;

/// ConvNeXt-T: 28,589,128 parameters, input `(batch, 3, height, width)`.
///
/// Taps: `stem`, `stage1` … `stage4`, `features` (the means of `stage4`'s 768 maps, before the last normalisation), `logits`
/// where the weights have a last layer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConvNextTiny;

const NAME: &str = "convnext_tiny";
const TAPS: [&str; 7] = ["stem", "stage1", "stage2", "stage3", "stage4", "features", "logits"];
const WIDTHS: [usize; 4] = [96, 192, 384, 768];
const BLOCKS: [usize; 4] = [3, 3, 9, 3];
const EPS: f64 = 1e-6;
/// The authors': a normal distribution cut off at ±2 here has no other numbers.
const WEIGHT: Init = Init::Normal { mean: 0.0, std: 0.02 };
const ONE: Init = Init::Constant(1.0);
/// Of the scale behind each block.
const LAYER_SCALE: Init = Init::Constant(1e-6);

impl Architecture for ConvNextTiny {
    fn name(&self) -> &'static str {
        NAME
    }

    fn taps(&self) -> Vec<&'static str> {
        TAPS.to_vec()
    }

    fn input(&self) -> [usize; 3] {
        [3, 224, 224]
    }

    fn classes(&self) -> Option<usize> {
        Some(1000)
    }

    fn trainable(&self) -> Trainable {
        Trainable::FromNothing
    }

    fn parameters(&self) -> Vec<Parameter> {
        let mut parameters = Parameters::new();
        let affine = |parameters: &mut Parameters, name: &str, shape: &[usize]| {
            let group = if shape.len() == 4 { Group::Convolution } else { Group::FullyConnected };
            parameters.push(format!("{name}.weight"), group, shape, WEIGHT);
            parameters.push(format!("{name}.bias"), group, &shape[..1], Init::Constant(0.0));
        };
        parameters.layer("stem");
        affine(&mut parameters, "stem.0", &[WIDTHS[0], 3, 4, 4]);
        parameters.norm("stem.1", WIDTHS[0], ONE);
        for (stage, (&width, blocks)) in WIDTHS.iter().zip(BLOCKS).enumerate() {
            parameters.layer(TAPS[1 + stage]);
            if stage > 0 {
                let before = WIDTHS[stage - 1];
                let name = |i: usize| format!("stages.{stage}.downsample.{i}");
                parameters.norm(&name(0), before, ONE);
                affine(&mut parameters, &name(1), &[width, before, 2, 2]);
            }
            for block in 0..blocks {
                let name = |part: &str| format!("stages.{stage}.blocks.{block}.{part}");
                affine(&mut parameters, &name("conv_dw"), &[width, 1, 7, 7]);
                parameters.norm(&name("norm"), width, ONE);
                affine(&mut parameters, &name("mlp.fc1"), &[4 * width, width]);
                affine(&mut parameters, &name("mlp.fc2"), &[width, 4 * width]);
                parameters.push(name("gamma"), Group::Normalisation, &[width], LAYER_SCALE);
            }
        }
        parameters.layer("logits").optional().norm("head.norm", WIDTHS[3], ONE);
        affine(&mut parameters, "head.fc", &[1000, WIDTHS[3]]);
        parameters.list
    }

    fn build(&self, tensors: &Tensors) -> Result<Box<dyn Network>> {
        let norm = |name: String| LayerNorm::new(tensors, &name, EPS);
        let conv = |name: String, stride: usize| -> Result<Conv> {
            let weights = Weights::named(tensors, &name)?;
            Conv::new(weights, Conv2d::new().stride(stride)).map_err(Error::other)
        };
        let linear = |name: String| Linear::named(tensors, &name);
        let mut stages = Vec::with_capacity(4);
        for (stage, blocks) in BLOCKS.into_iter().enumerate() {
            let name = |i: usize| format!("stages.{stage}.downsample.{i}");
            let downsample = match stage {
                0 => None,
                _ => Some((norm(name(0))?, conv(name(1), 2)?)),
            };
            let block = |block: usize| {
                let name = |part: &str| format!("stages.{stage}.blocks.{block}.{part}");
                Ok(Block {
                    depthwise: (
                        tensors.get(&name("conv_dw.weight"))?,
                        tensors.get(&name("conv_dw.bias"))?,
                    ),
                    norm: norm(name("norm"))?,
                    wide: linear(name("mlp.fc1"))?,
                    narrow: linear(name("mlp.fc2"))?,
                    scale: tensors.get(&name("gamma"))?,
                })
            };
            let blocks = (0..blocks).map(block).collect::<Result<_>>()?;
            stages.push(Stage { downsample, blocks });
        }
        let head = match tensors.contains("head.fc.weight") {
            true => Some((norm("head.norm".into())?, linear("head.fc".into())?)),
            false => None,
        };
        let stem = (conv("stem.0".into(), 4)?, norm("stem.1".into())?);
        Ok(Box::new(Built { stem, stages, head }))
    }
}

/// A depthwise convolution, then two fully connected layers at each pixel, scaled and added to the input.
struct Block {
    /// Weight and bias.
    depthwise: (Tensor, Tensor),
    norm: LayerNorm,
    wide: Linear,
    narrow: Linear,
    scale: Tensor,
}

impl Block {
    fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let (weight, bias) = &self.depthwise;
        let conv = DepthwiseConv2d { stride: 1, padding: [[3; 2]; 2] };
        let y = add_to_channels(&rows(&depthwise_conv2d(x, weight, &conv)?)?, bias, 2)?;
        let y = self.norm.forward(&y)?;
        let y = self.narrow.forward(&gelu(&self.wide.forward(&y)?)?)?;
        add(&maps(&scale_channels(&y, &self.scale, 2)?, x.dims())?, x)
    }
}

struct Stage {
    downsample: Option<(LayerNorm, Conv)>,
    blocks: Vec<Block>,
}

/// The network with its parameters.
struct Built {
    stem: (Conv, LayerNorm),
    stages: Vec<Stage>,
    head: Option<(LayerNorm, Linear)>,
}

/// Normalises maps `(batch, channels, height, width)` over their channels.
fn over_channels(norm: &LayerNorm, x: &Tensor) -> candle_core::Result<Tensor> {
    maps(&norm.forward(&rows(x)?)?, x.dims())
}

/// Maps `(batch, channels, height, width)` as rows `(batch, height · width, channels)`.
fn rows(x: &Tensor) -> candle_core::Result<Tensor> {
    let (batch, channels, height, width) = x.dims4()?;
    transposed(&reshape(x, (batch, channels, height * width))?)
}

/// Rows as maps of this shape.
fn maps(rows: &Tensor, shape: &[usize]) -> candle_core::Result<Tensor> {
    reshape(&transposed(rows)?, shape)
}

impl Network for Built {
    fn architecture(&self) -> &str {
        NAME
    }

    fn taps(&self) -> Vec<&'static str> {
        let end = if self.head.is_some() { TAPS.len() } else { TAPS.len() - 1 };
        TAPS[..end].to_vec()
    }

    fn classes(&self) -> Option<usize> {
        self.head.as_ref()?.1.weight.dims().first().copied()
    }

    fn forward_pass(
        &self,
        x: &Tensor,
        pass: &Pass<'_>,
        taps: &[&str],
    ) -> candle_core::Result<Vec<Tensor>> {
        if pass.rectifier == Rectifier::Guided {
            return no_guided(self);
        }
        run(self, x, pass, taps, |place, x| match (place, &self.head) {
            (0, _) => over_channels(&self.stem.1, &self.stem.0.forward(x)?),
            (1..=4, _) => {
                let Stage { downsample, blocks } = &self.stages[place - 1];
                let mut x = match downsample {
                    Some((norm, conv)) => conv.forward(&over_channels(norm, x)?)?,
                    None => x.clone(),
                };
                for block in blocks {
                    x = block.forward(&x)?;
                }
                Ok(x)
            }
            (5, _) => mean(&x.mean(D::Minus2)?, D::Minus1),
            (_, Some((norm, head))) => head.forward(&norm.forward(x)?),
            (_, None) => Ok(x.clone()),
        })
    }
}
