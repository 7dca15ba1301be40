//! EfficientNet-Lite0: EfficientNet-B0 (Tan and Le, "EfficientNet", 2019) without squeeze-and-excitation and with ReLU6
//! in place of Swish, as Google published it for phones in 2020.

use candle_core::Tensor;
use sconce_core::{Error, Result};
use sconce_ops::conv::{Conv2d, DepthwiseConv2d, conv2d, depthwise_conv2d, same_padding};
use sconce_ops::linear::linear;
use sconce_ops::pool::global_avg_pool2d;

use super::layers::Rectifier;
use super::{Pass, places};
use crate::{Network, Tensors};

/// The name, as in timm.
pub(crate) const NAME: &str = "efficientnet_lite0";

/// `(kernel, stride of the first, expansion, output channels, blocks)` of each stage.
const STAGES: [(usize, usize, usize, usize, usize); 7] = [
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
];
const STEM: usize = 32;
const HEAD: usize = 1280;
/// TensorFlow's.
const EPS: f64 = 1e-3;

const TAPS: [&str; 20] = [
    "stem", "block1", "block2", "block3", "block4", "block5", "block6", "block7", "block8",
    "block9", "block10", "block11", "block12", "block13", "block14", "block15", "block16", "head",
    "features", "logits",
];

/// EfficientNet-Lite0, 4,652,008 parameters, input `(batch, 3, height, width)`.
///
/// Taps: `stem`, `block1` … `block16`, `head` (1280 maps), `features` (their means), `logits`. Tensor names are those of
/// `efficientnet_lite_pytorch`: `_conv_stem`, `_bn0`, `_blocks.0._depthwise_conv`, …, `_fc`. Batch normalisation is that
/// of evaluation, and part of the convolution before it.
pub(crate) struct EfficientNetLite0 {
    stem: Layer,
    blocks: Vec<Block>,
    head: Layer,
    classifier: (Tensor, Tensor),
}

/// A convolution with the batch normalisation behind it.
struct Layer {
    weight: Tensor,
    bias: Tensor,
    stride: usize,
    depthwise: bool,
    relu6: bool,
}

/// An inverted residual block: 1×1 to more channels, depthwise, 1×1 to few, and the input added where shapes agree.
struct Block {
    layers: Vec<Layer>,
    residual: bool,
}

impl Layer {
    fn new(
        tensors: &Tensors,
        [conv, norm]: [String; 2],
        shape: [usize; 4],
        stride: usize,
        relu6: bool,
    ) -> Result<Self> {
        let channels = shape[0];
        let weight = tensors.get(&[&format!("{conv}.weight")], &shape)?;
        let [scale, shift, mean, variance] = ["weight", "bias", "running_mean", "running_var"]
            .map(|part| tensors.get(&[&format!("{norm}.{part}")], &[channels]));
        let fold = |scale: &Tensor, shift: &Tensor, mean: &Tensor, variance: &Tensor| {
            let scale = (scale / (variance + EPS)?.sqrt()?)?;
            let bias = (shift - (mean * &scale)?)?;
            Ok((weight.broadcast_mul(&scale.reshape((channels, 1, 1, 1))?)?, bias))
        };
        let folded: candle_core::Result<_> = fold(&scale?, &shift?, &mean?, &variance?);
        let (weight, bias) = folded.map_err(Error::other)?;
        // Of the shapes that occur, only a depthwise filter has one input channel.
        Ok(Self { weight, bias, stride, depthwise: shape[1] == 1, relu6 })
    }

    fn forward(&self, x: &Tensor, rectifier: Rectifier) -> candle_core::Result<Tensor> {
        let (_, _, height, width) = x.dims4()?;
        let kernel = self.weight.dim(2)?;
        let padding = [height, width].map(|size| same_padding(size, kernel, self.stride));
        let y = if self.depthwise {
            let conv = DepthwiseConv2d { stride: self.stride, padding };
            let y = depthwise_conv2d(x, &self.weight, &conv)?;
            y.broadcast_add(&self.bias.reshape((1, (), 1, 1))?)?
        } else {
            let [[above, below], [left, right]] = padding;
            let x = match padding {
                [[0, 0], [0, 0]] => x.clone(),
                _ => x.pad_with_zeros(2, above, below)?.pad_with_zeros(3, left, right)?,
            };
            conv2d(&x, &self.weight, Some(&self.bias), &Conv2d::new().stride(self.stride))?
        };
        if self.relu6 { rectifier.forward(&y)?.minimum(6f32) } else { Ok(y) }
    }
}

impl EfficientNetLite0 {
    pub(crate) fn new(tensors: &Tensors) -> Result<Self> {
        let pair = |conv: String, norm: String| [conv, norm];
        let stem = Layer::new(
            tensors,
            pair("_conv_stem".into(), "_bn0".into()),
            [STEM, 3, 3, 3],
            2,
            true,
        )?;
        let mut blocks = Vec::new();
        let mut input = STEM;
        for (kernel, first, expansion, output, count) in STAGES {
            for place in 0..count {
                let name = |part: &str| format!("_blocks.{}.{part}", blocks.len());
                let stride = if place == 0 { first } else { 1 };
                let wide = input * expansion;
                let mut layers = Vec::with_capacity(3);
                if expansion > 1 {
                    let names = pair(name("_expand_conv"), name("_bn0"));
                    layers.push(Layer::new(tensors, names, [wide, input, 1, 1], 1, true)?);
                }
                let names = pair(name("_depthwise_conv"), name("_bn1"));
                layers.push(Layer::new(tensors, names, [wide, 1, kernel, kernel], stride, true)?);
                let names = pair(name("_project_conv"), name("_bn2"));
                layers.push(Layer::new(tensors, names, [output, wide, 1, 1], 1, false)?);
                blocks.push(Block { layers, residual: stride == 1 && input == output });
                input = output;
            }
        }
        let names = pair("_conv_head".into(), "_bn1".into());
        let head = Layer::new(tensors, names, [HEAD, input, 1, 1], 1, true)?;
        let classes = tensors.find("_fc.weight").and_then(|w| w.dims().first()).copied();
        let classes = classes.unwrap_or(1000);
        let weight = tensors.get(&["_fc.weight"], &[classes, HEAD])?;
        Ok(Self {
            stem,
            blocks,
            head,
            classifier: (weight, tensors.get(&["_fc.bias"], &[classes])?),
        })
    }

    fn tap(&self, place: usize, x: &Tensor, rectifier: Rectifier) -> candle_core::Result<Tensor> {
        let last = self.blocks.len();
        match place {
            0 => self.stem.forward(x, rectifier),
            block if block <= last => {
                let Block { layers, residual } = &self.blocks[block - 1];
                let mut y = x.clone();
                for layer in layers {
                    y = layer.forward(&y, rectifier)?;
                }
                if *residual { y + x } else { Ok(y) }
            }
            place if place == last + 1 => self.head.forward(x, rectifier),
            place if place == last + 2 => global_avg_pool2d(x),
            _ => linear(x, &self.classifier.0, Some(&self.classifier.1)),
        }
    }
}

impl Network for EfficientNetLite0 {
    fn architecture(&self) -> &str {
        NAME
    }

    fn taps(&self) -> Vec<&'static str> {
        TAPS.to_vec()
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
        let mut x = x.clone();
        for place in first..wanted.iter().max().map_or(0, |last| last + 1) {
            x = self.tap(place, &x, pass.rectifier)?;
            for (output, _) in outputs.iter_mut().zip(&wanted).filter(|(_, at)| **at == place) {
                *output = Some(x.clone());
            }
        }
        Ok(outputs.into_iter().flatten().collect())
    }
}
