//! EfficientNet-Lite0: EfficientNet-B0 (Tan and Le, "EfficientNet", 2019) without squeeze-and-excitation and with ReLU6
//! in place of Swish, as Google published it for phones in 2020.

use candle_core::Tensor;
use sconce_core::{Error, Result};
use sconce_ops::activation::at_most;
use sconce_ops::channels::add_to_channels;
use sconce_ops::conv::{Conv2d, DepthwiseConv2d, depthwise_conv2d, same_padding};
use sconce_ops::pool::global_avg_pool2d;
use sconce_ops::sum::add;

use super::architecture::{Architecture, Parameter, Parameters, Trainable};
use super::layers::{Conv, Linear, Rectifier, Weights};
use super::taps::run;
use super::{Network, Pass};
use crate::Tensors;
use crate::init::Init;

/// The name, as in timm.
const NAME: &str = "efficientnet_lite0";

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
#[derive(Clone, Copy, Debug)]
pub(crate) struct EfficientNetLite0;

/// The sizes of one layer and the names of its convolution and batch normalisation.
struct Sizes {
    names: [String; 2],
    shape: [usize; 4],
    stride: usize,
    relu6: bool,
}

/// The sizes of one block, and whether its input is added.
struct BlockSizes {
    layers: Vec<Sizes>,
    residual: bool,
}

/// The stem, the blocks, the head.
fn sizes() -> (Sizes, Vec<BlockSizes>, Sizes) {
    let named = |conv: String, norm: String, shape, stride, relu6| Sizes {
        names: [conv, norm],
        shape,
        stride,
        relu6,
    };
    let stem = named("_conv_stem".into(), "_bn0".into(), [STEM, 3, 3, 3], 2, true);
    let mut blocks = Vec::new();
    let mut input = STEM;
    for (kernel, first, expansion, output, count) in STAGES {
        for place in 0..count {
            let name = |part: &str| format!("_blocks.{}.{part}", blocks.len());
            let stride = if place == 0 { first } else { 1 };
            let wide = input * expansion;
            let mut layers = Vec::with_capacity(3);
            if expansion > 1 {
                let shape = [wide, input, 1, 1];
                layers.push(named(name("_expand_conv"), name("_bn0"), shape, 1, true));
            }
            let shape = [wide, 1, kernel, kernel];
            layers.push(named(name("_depthwise_conv"), name("_bn1"), shape, stride, true));
            let shape = [output, wide, 1, 1];
            layers.push(named(name("_project_conv"), name("_bn2"), shape, 1, false));
            blocks.push(BlockSizes { layers, residual: stride == 1 && input == output });
            input = output;
        }
    }
    let head = named("_conv_head".into(), "_bn1".into(), [HEAD, input, 1, 1], 1, true);
    (stem, blocks, head)
}

impl Architecture for EfficientNetLite0 {
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
        Trainable::FromWeights
    }

    fn parameters(&self) -> Vec<Parameter> {
        let mut parameters = Parameters::new();
        let mut layer = |tap, Sizes { names: [conv, norm], shape, .. }: &Sizes| {
            parameters.layer(tap).convolution(conv, *shape, Init::KaimingNormal);
            parameters.batch_norm(norm, shape[0], Init::Constant(1.0));
        };
        let (stem, blocks, head) = sizes();
        layer(TAPS[0], &stem);
        for (tap, block) in TAPS[1..].iter().zip(&blocks) {
            block.layers.iter().for_each(|sizes| layer(tap, sizes));
        }
        layer("head", &head);
        parameters.layer("logits").affine(&["_fc"], &[1000, HEAD]);
        parameters.list
    }

    fn build(&self, tensors: &Tensors) -> Result<Box<dyn Network>> {
        let (stem, blocks, head) = sizes();
        let block = |BlockSizes { layers, residual }: BlockSizes| {
            let layers = layers.into_iter().map(|sizes| Layer::new(tensors, sizes));
            Ok(Block { layers: layers.collect::<Result<_>>()?, residual })
        };
        Ok(Box::new(Built {
            stem: Layer::new(tensors, stem)?,
            blocks: blocks.into_iter().map(block).collect::<Result<_>>()?,
            head: Layer::new(tensors, head)?,
            classifier: Linear::named(tensors, "_fc")?,
        }))
    }
}

/// The network with its parameters.
struct Built {
    stem: Layer,
    blocks: Vec<Block>,
    head: Layer,
    classifier: Linear,
}

/// A convolution with the batch normalisation behind it.
struct Layer {
    of: Convolution,
    kernel: usize,
    stride: usize,
    relu6: bool,
}

enum Convolution {
    Full(Conv),
    Depthwise(Weights),
}

/// An inverted residual block: 1×1 to more channels, depthwise, 1×1 to few, and the input added where shapes agree.
struct Block {
    layers: Vec<Layer>,
    residual: bool,
}

impl Layer {
    fn new(tensors: &Tensors, sizes: Sizes) -> Result<Self> {
        let Sizes { names: [conv, norm], shape, stride, relu6 } = sizes;
        // Of the shapes that occur, only a depthwise filter has one input channel.
        let weights = Weights::normalised(tensors, [&conv, &norm], EPS)?;
        let of = if shape[1] == 1 {
            Convolution::Depthwise(weights)
        } else {
            let how = Conv2d::new().stride(stride);
            Convolution::Full(Conv::new(weights, how).map_err(Error::other)?)
        };
        Ok(Self { of, kernel: shape[2], stride, relu6 })
    }

    fn forward(&self, x: &Tensor, rectifier: Rectifier) -> candle_core::Result<Tensor> {
        let (_, _, height, width) = x.dims4()?;
        let padding = [height, width].map(|size| same_padding(size, self.kernel, self.stride));
        let rectified = match &self.of {
            Convolution::Depthwise(weights) => {
                let (weight, bias) = weights.now()?;
                let conv = DepthwiseConv2d { stride: self.stride, padding };
                let y = depthwise_conv2d(x, &weight, &conv)?;
                let y = add_to_channels(&y, &bias, 1)?;
                if self.relu6 { rectifier.forward(&y)? } else { y }
            }
            Convolution::Full(conv) => {
                let [[above, below], [left, right]] = padding;
                let x = match padding {
                    [[0, 0], [0, 0]] => x.clone(),
                    _ => x.pad_with_zeros(2, above, below)?.pad_with_zeros(3, left, right)?,
                };
                if self.relu6 { conv.forward_relu(&x, rectifier)? } else { conv.forward(&x)? }
            }
        };
        if self.relu6 { at_most(&rectified, 6.0) } else { Ok(rectified) }
    }
}

impl Built {
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
                if *residual { add(&y, x) } else { Ok(y) }
            }
            place if place == last + 1 => self.head.forward(x, rectifier),
            place if place == last + 2 => global_avg_pool2d(x),
            _ => self.classifier.forward(x),
        }
    }
}

impl Network for Built {
    fn architecture(&self) -> &str {
        NAME
    }

    fn taps(&self) -> Vec<&'static str> {
        TAPS.to_vec()
    }

    fn classes(&self) -> Option<usize> {
        self.classifier.weight.dims().first().copied()
    }

    fn forward_pass(
        &self,
        x: &Tensor,
        pass: &Pass<'_>,
        taps: &[&str],
    ) -> candle_core::Result<Vec<Tensor>> {
        run(self, x, pass, taps, |place, x| self.tap(place, x, pass.rectifier))
    }
}
