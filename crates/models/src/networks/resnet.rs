//! ResNet (He, Zhang, Ren and Sun, "Deep residual learning for image recognition", 2016), as in torchvision.

use candle_core::{D, Tensor};
use sconce_core::{Error, Result};
use sconce_ops::conv::Conv2d;
use sconce_ops::pool::{Pool2d, max_pool2d};
use sconce_ops::sum::{add, mean};

use super::architecture::{Architecture, Parameter, Parameters, Trainable};
use super::layers::{Conv, Linear, Rectifier, Weights};
use super::taps::run;
use super::{Network, Pass};
use crate::Tensors;
use crate::init::Init;

/// A ResNet: input `(batch, 3, height, width)`, tensor names as in torchvision.
///
/// Taps: `conv1` (normalised, after its ReLU), `pool1`, `layer1` … `layer4`, `features` (the means of `layer4`'s maps: 512
/// or 2048 numbers), `logits` where the weights have a last layer. Batch normalisation is that of evaluation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ResNet {
    name: &'static str,
    /// Blocks in each of the four layers.
    blocks: [usize; 4],
    /// Blocks of 1×1, 3×3 and 1×1 in place of two 3×3; four times as many maps come out.
    bottleneck: bool,
}

/// 11,689,512 parameters.
pub(crate) const RESNET18: ResNet =
    ResNet { name: "resnet18", blocks: [2, 2, 2, 2], bottleneck: false };

/// 25,557,032 parameters.
pub(crate) const RESNET50: ResNet =
    ResNet { name: "resnet50", blocks: [3, 4, 6, 3], bottleneck: true };

const TAPS: [&str; 8] =
    ["conv1", "pool1", "layer1", "layer2", "layer3", "layer4", "features", "logits"];
const EPS: f64 = 1e-5;

/// The sizes of one block.
struct Sizes {
    name: String,
    layer: &'static str,
    input: usize,
    output: usize,
    stride: usize,
    /// Filters, input channels, kernel and stride of each convolution.
    convolutions: Vec<[usize; 4]>,
}

impl Sizes {
    /// Whether the input gets a convolution of its own before it is added.
    fn downsamples(&self) -> bool {
        self.stride != 1 || self.input != self.output
    }
}

impl ResNet {
    fn sizes(&self) -> Vec<Sizes> {
        let mut all = Vec::new();
        let mut input = 64;
        for (layer, &blocks) in self.blocks.iter().enumerate() {
            let width = 64 << layer;
            let output = if self.bottleneck { 4 * width } else { width };
            for block in 0..blocks {
                let stride = if block == 0 && layer > 0 { 2 } else { 1 };
                let convolutions = match self.bottleneck {
                    true => {
                        vec![[width, input, 1, 1], [width, width, 3, stride], [output, width, 1, 1]]
                    }
                    false => vec![[width, input, 3, stride], [width, width, 3, 1]],
                };
                let name = format!("layer{}.{block}", layer + 1);
                all.push(Sizes {
                    name,
                    layer: TAPS[2 + layer],
                    input,
                    output,
                    stride,
                    convolutions,
                });
                input = output;
            }
        }
        all
    }
}

impl Architecture for ResNet {
    fn name(&self) -> &'static str {
        self.name
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
        Trainable::FromWeights
    }

    fn parameters(&self) -> Vec<Parameter> {
        const INIT: Init = Init::KaimingNormal;
        const SCALE: Init = Init::Constant(1.0);
        let mut parameters = Parameters::new();
        parameters.layer("conv1").convolution("conv1", [64, 3, 7, 7], INIT);
        parameters.batch_norm("bn1", 64, SCALE);
        let mut width = 64;
        for sizes in self.sizes() {
            parameters.layer(sizes.layer);
            for (i, [filters, input, kernel, _]) in sizes.convolutions.iter().copied().enumerate() {
                let name = |part: &str| format!("{}.{part}{}", sizes.name, i + 1);
                parameters.convolution(&name("conv"), [filters, input, kernel, kernel], INIT);
                parameters.batch_norm(&name("bn"), filters, SCALE);
            }
            if sizes.downsamples() {
                let name = |i: usize| format!("{}.downsample.{i}", sizes.name);
                parameters.convolution(&name(0), [sizes.output, sizes.input, 1, 1], INIT);
                parameters.batch_norm(&name(1), sizes.output, SCALE);
            }
            width = sizes.output;
        }
        parameters.layer("logits").optional().affine(&["fc"], &[1000, width]);
        parameters.list
    }

    fn build(&self, tensors: &Tensors) -> Result<Box<dyn Network>> {
        let normalised = |conv: &str, norm: &str, stride, padding| {
            let how = Conv2d::new().stride(stride).padding(padding);
            let weights = Weights::normalised(tensors, [conv, norm], EPS)?;
            Conv::new(weights, how).map_err(Error::other)
        };
        let mut layers: [Vec<Block>; 4] = Default::default();
        for sizes in self.sizes() {
            let name = &sizes.name;
            let convolutions =
                sizes.convolutions.iter().enumerate().map(|(i, &[.., kernel, stride])| {
                    let (conv, norm) =
                        (format!("{name}.conv{}", i + 1), format!("{name}.bn{}", i + 1));
                    normalised(&conv, &norm, stride, kernel / 2)
                });
            let convolutions = convolutions.collect::<Result<_>>()?;
            let [conv, norm] = [0, 1].map(|i| format!("{name}.downsample.{i}"));
            let shortcut = match sizes.downsamples() {
                true => Some(normalised(&conv, &norm, sizes.stride, 0)?),
                false => None,
            };
            let layer = TAPS[2..6].iter().position(|tap| *tap == sizes.layer).unwrap_or(0);
            layers[layer].push(Block { convolutions, shortcut });
        }
        let head = match tensors.contains("fc.weight") {
            true => Some(Linear::named(tensors, "fc")?),
            false => None,
        };
        let stem = normalised("conv1", "bn1", 2, 3)?;
        Ok(Box::new(Built { name: self.name, stem, layers, head }))
    }
}

/// Convolutions, each with its batch normalisation, with ReLU between them, and the input added before the last ReLU.
struct Block {
    convolutions: Vec<Conv>,
    shortcut: Option<Conv>,
}

impl Block {
    fn forward(&self, x: &Tensor, rectifier: Rectifier) -> candle_core::Result<Tensor> {
        let mut y = x.clone();
        if let Some((last, before)) = self.convolutions.split_last() {
            for conv in before {
                y = conv.forward_relu(&y, rectifier)?;
            }
            y = last.forward(&y)?;
        }
        let x = match &self.shortcut {
            Some(shortcut) => shortcut.forward(x)?,
            None => x.clone(),
        };
        rectifier.forward(&add(&x, &y)?)
    }
}

/// A ResNet with its parameters.
struct Built {
    name: &'static str,
    stem: Conv,
    layers: [Vec<Block>; 4],
    head: Option<Linear>,
}

impl Network for Built {
    fn architecture(&self) -> &str {
        self.name
    }

    fn taps(&self) -> Vec<&'static str> {
        let end = if self.head.is_some() { TAPS.len() } else { TAPS.len() - 1 };
        TAPS[..end].to_vec()
    }

    fn classes(&self) -> Option<usize> {
        self.head.as_ref()?.weight.dims().first().copied()
    }

    fn forward_pass(
        &self,
        x: &Tensor,
        pass: &Pass<'_>,
        taps: &[&str],
    ) -> candle_core::Result<Vec<Tensor>> {
        run(self, x, pass, taps, |place, x| match (place, &self.head) {
            (0, _) => self.stem.forward_relu(x, pass.rectifier),
            (1, _) => max_pool2d(x, &Pool2d::new(3, 2).padding(1)),
            (2..=5, _) => {
                let mut x = x.clone();
                for block in &self.layers[place - 2] {
                    x = block.forward(&x, pass.rectifier)?;
                }
                Ok(x)
            }
            (6, _) => mean(&mean(x, D::Minus1)?, D::Minus1),
            (_, Some(head)) => head.forward(x),
            (_, None) => Ok(x.clone()),
        })
    }
}
