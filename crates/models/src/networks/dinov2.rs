//! DINOv2's ViT-S/14 (Oquab et al., "DINOv2: learning robust visual features without supervision", 2023).
//!
//! Not through candle-transformers 0.11.1, whose model takes one image at a time, asks for a classifier that the published
//! weights do not have, uses the tanh form of GELU and an epsilon of 1e-5 where the authors use the exact form and 1e-6,
//! and resizes position embeddings by nearest neighbour where they interpolate by cubics.

use candle_core::{D, Tensor, bail};
use sconce_core::{Error, Result};
use sconce_ops::activation::{gelu, softmax};
use sconce_ops::channels::scale_channels;
use sconce_ops::conv::Conv2d;
use sconce_ops::linear::matmul;
use sconce_ops::sum::add;
use sconce_ops::tape::reshape;
use sconce_ops::transposed::transposed;

use super::architecture::{Architecture, Group, Parameter, Parameters, Trainable};
use super::layers::{Conv, LayerNorm, Linear, Weights};
use super::taps::Wanted;
use super::{Network, Pass};
use crate::Tensors;
use crate::init::Init;

const WIDTH: usize = 384;
const HEADS: usize = 6;
const PATCH: usize = 14;
const EPS: f64 = 1e-6;
/// The authors add this to the number of patches before they divide by that of the embeddings.
const OFFSET: f64 = 0.1;

/// The name, as in the authors' torch.hub.
const NAME: &str = "dinov2_vits14";
const TAPS: [&str; 16] = [
    "block1", "block2", "block3", "block4", "block5", "block6", "block7", "block8", "block9",
    "block10", "block11", "block12", "patches", "cls", "features", "logits",
];
/// The authors' linear classifier on `features`.
const HEAD: &str = "linear_head";
const DEPTH: usize = 12;

/// The vision transformer, 22,056,576 parameters. Input `(batch, 3, height, width)`, both multiples of 14; tensor names as
/// in the authors' torch.hub and in timm.
///
/// Taps: `block1` … `block12` and, normalised, `patches`, all `(batch, 384, height / 14, width / 14)`; `cls`, the
/// normalised class token `(batch, 384)`; `features`, `cls` and the mean of `patches` `(batch, 768)`, what the authors
/// train linear classifiers on; `logits` of such a classifier, `linear_head`, where the weights have one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dinov2;

/// The authors' initialisation, whose cut at ±2 a normal distribution of .02 does not reach.
const WEIGHT: Init = Init::Normal { mean: 0.0, std: 0.02 };
const ZERO: Init = Init::Constant(0.0);
const ONE: Init = Init::Constant(1.0);
/// Patches on a side of the published position embeddings.
const SIDE: usize = 37;

impl Architecture for Dinov2 {
    fn name(&self) -> &'static str {
        NAME
    }

    fn taps(&self) -> Vec<&'static str> {
        TAPS.to_vec()
    }

    fn input(&self) -> [usize; 3] {
        [3, SIDE * PATCH, SIDE * PATCH]
    }

    fn classes(&self) -> Option<usize> {
        None
    }

    fn trainable(&self) -> Trainable {
        Trainable::FromNothing
    }

    fn parameters(&self) -> Vec<Parameter> {
        let mut parameters = Parameters::new();
        let linear = |parameters: &mut Parameters, name: &str, shape: &[usize]| {
            let group = if shape.len() == 4 { Group::Convolution } else { Group::FullyConnected };
            parameters.push(format!("{name}.weight"), group, shape, WEIGHT);
            parameters.push(format!("{name}.bias"), group, &shape[..1], ZERO);
        };
        let tokens = 1 + SIDE * SIDE;
        parameters.layer(TAPS[0]);
        parameters.push(
            "cls_token",
            Group::Embedding,
            &[1, 1, WIDTH],
            Init::Normal { mean: 0.0, std: 1e-6 },
        );
        parameters.push("pos_embed", Group::Embedding, &[1, tokens, WIDTH], WEIGHT);
        linear(&mut parameters, "patch_embed.proj", &[WIDTH, 3, PATCH, PATCH]);
        for (block, tap) in TAPS.into_iter().enumerate().take(DEPTH) {
            parameters.layer(tap);
            let name = |part: &str| format!("blocks.{block}.{part}");
            parameters.norm(&name("norm1"), WIDTH, ONE);
            linear(&mut parameters, &name("attn.qkv"), &[3 * WIDTH, WIDTH]);
            linear(&mut parameters, &name("attn.proj"), &[WIDTH, WIDTH]);
            parameters.push(name("ls1.gamma"), Group::Normalisation, &[WIDTH], LAYER_SCALE);
            parameters.norm(&name("norm2"), WIDTH, ONE);
            linear(&mut parameters, &name("mlp.fc1"), &[4 * WIDTH, WIDTH]);
            linear(&mut parameters, &name("mlp.fc2"), &[WIDTH, 4 * WIDTH]);
            parameters.push(name("ls2.gamma"), Group::Normalisation, &[WIDTH], LAYER_SCALE);
        }
        parameters.layer("patches").norm("norm", WIDTH, ONE);
        parameters.layer("logits").optional();
        linear(&mut parameters, HEAD, &[1000, 2 * WIDTH]);
        parameters.list
    }

    /// Position embeddings of any square.
    fn adapt(&self, parameters: &mut Vec<Parameter>, tensors: &Tensors) {
        let tokens = tensors.find("pos_embed").and_then(|t| t.dims().get(1).copied());
        let side = tokens.unwrap_or(0).saturating_sub(1).isqrt();
        let positions = parameters.iter_mut().find(|p| p.name == "pos_embed");
        if let (Some(positions), true) = (positions, side > 0) {
            positions.shape[1] = 1 + side * side;
        }
    }

    fn is_foreign(&self, name: &str, tensor: &Tensor) -> bool {
        // of the variant with registers, which has all the other tensors too
        name == "register_tokens" || name.ends_with(".weight") && tensor.rank() > 1
    }

    fn build(&self, tensors: &Tensors) -> Result<Box<dyn Network>> {
        Built::new(tensors).map(|network| Box::new(network) as Box<dyn Network>)
    }
}

/// Of the scales behind attention and perceptron.
const LAYER_SCALE: Init = Init::Constant(1e-5);

/// The network with its parameters.
struct Built {
    patches: Conv,
    cls_token: Tensor,
    /// `(1, 1 + side², width)`
    positions: Tensor,
    side: usize,
    blocks: Vec<Block>,
    norm: LayerNorm,
    head: Option<Linear>,
}

struct Block {
    norm1: LayerNorm,
    qkv: Linear,
    projection: Linear,
    scale1: Tensor,
    norm2: LayerNorm,
    fc1: Linear,
    fc2: Linear,
    scale2: Tensor,
}

impl Built {
    fn new(tensors: &Tensors) -> Result<Self> {
        let get = |name: &str| tensors.get(name);
        let norm = |name: &str| LayerNorm::new(tensors, name, EPS);
        let linear = |name: &str| Linear::named(tensors, name);
        let positions = get("pos_embed")?;
        let side = (positions.dims()[1] - 1).isqrt();
        let blocks = (0..DEPTH).map(|i| {
            let name = |part: &str| format!("blocks.{i}.{part}");
            Ok(Block {
                norm1: norm(&name("norm1"))?,
                qkv: linear(&name("attn.qkv"))?,
                projection: linear(&name("attn.proj"))?,
                scale1: get(&name("ls1.gamma"))?,
                norm2: norm(&name("norm2"))?,
                fc1: linear(&name("mlp.fc1"))?,
                fc2: linear(&name("mlp.fc2"))?,
                scale2: get(&name("ls2.gamma"))?,
            })
        });
        let head = match tensors.contains(&format!("{HEAD}.weight")) {
            true => Some(linear(HEAD)?),
            false => None,
        };
        Ok(Self {
            patches: Conv::new(
                Weights::named(tensors, "patch_embed.proj")?,
                Conv2d::new().stride(PATCH),
            )
            .map_err(Error::other)?,
            cls_token: get("cls_token")?,
            positions,
            side,
            blocks: blocks.collect::<Result<_>>()?,
            norm: norm("norm")?,
            head,
        })
    }

    /// Tokens `(batch, 1 + rows · columns, width)`, the class token first.
    fn embed(&self, x: &Tensor) -> candle_core::Result<(Tensor, usize, usize)> {
        let (batch, _, height, width) = x.dims4()?;
        if height % PATCH != 0 || width % PATCH != 0 || height * width == 0 {
            bail!(
                "expected a height and width that are multiples of {PATCH}, found {height} × {width}"
            );
        }
        let (rows, columns) = (height / PATCH, width / PATCH);
        let patches = self.patches.forward(x)?;
        let patches = transposed(&reshape(&patches, (batch, WIDTH, rows * columns))?)?;
        let cls = self.cls_token.broadcast_as((batch, 1, WIDTH))?;
        let tokens = Tensor::cat(&[cls, patches], 1)?;
        Ok((tokens.broadcast_add(&self.positions(rows, columns)?)?, rows, columns))
    }

    /// Position embeddings of `rows × columns` patches, interpolated where the weights are of another number.
    fn positions(&self, rows: usize, columns: usize) -> candle_core::Result<Tensor> {
        let side = self.side;
        if (rows, columns) == (side, side) {
            return Ok(self.positions.clone());
        }
        let device = self.positions.device();
        let down = Tensor::from_vec(cubic(side, rows), (rows, side), device)?;
        let across = Tensor::from_vec(cubic(side, columns), (columns, side), device)?;
        let cls = self.positions.narrow(1, 0, 1)?;
        let grid = self.positions.narrow(1, 1, side * side)?.reshape((side, side * WIDTH))?;
        let grid = matmul(&down, &grid)?.reshape((rows, side, WIDTH))?.transpose(0, 1)?;
        let grid = matmul(&across, &grid.contiguous()?.reshape((side, rows * WIDTH))?)?;
        let grid = grid.reshape((columns, rows, WIDTH))?.transpose(0, 1)?.contiguous()?;
        Tensor::cat(&[cls, grid.reshape((1, rows * columns, WIDTH))?], 1)
    }
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
        self.head.as_ref()?.weight.dims().first().copied()
    }

    fn forward_pass(
        &self,
        x: &Tensor,
        pass: &Pass<'_>,
        taps: &[&str],
    ) -> candle_core::Result<Vec<Tensor>> {
        if *pass != Pass::default() {
            bail!(
                "{NAME} can be run only as a whole, with plain gradients: no Grad-CAM (its maps go on beside a class \
                 token), no guided backpropagation (it has no ReLU)"
            );
        }
        let mut wanted = Wanted::new(self, pass, taps)?;
        let (mut tokens, rows, columns) = self.embed(x)?;
        let maps = |tokens: &Tensor| -> candle_core::Result<Tensor> {
            let patches = transposed(&tokens.narrow(1, 1, rows * columns)?)?;
            patches.reshape(((), WIDTH, rows, columns))
        };
        for (i, block) in self.blocks.iter().take(wanted.end()).enumerate() {
            tokens = block.forward(&tokens)?;
            wanted.keep(i, || maps(&tokens))?;
        }
        if wanted.end() > DEPTH {
            let tokens = self.norm.forward(&tokens)?;
            let cls = || tokens.narrow(1, 0, 1)?.squeeze(1)?.contiguous();
            let features = || {
                let mean = tokens.narrow(1, 1, rows * columns)?.mean(1)?;
                Tensor::cat(&[cls()?, mean], 1)
            };
            wanted.keep(DEPTH, || maps(&tokens))?;
            wanted.keep(DEPTH + 1, cls)?;
            wanted.keep(DEPTH + 2, features)?;
            if let Some(head) = &self.head {
                wanted.keep(DEPTH + 3, || head.forward(&features()?))?;
            }
        }
        Ok(wanted.outputs())
    }
}

impl Block {
    fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let attended = self.attend(&self.norm1.forward(x)?)?;
        let x = add(x, &scale_channels(&attended, &self.scale1, 2)?)?;
        let hidden = gelu(&self.fc1.forward(&self.norm2.forward(&x)?)?)?;
        add(&x, &scale_channels(&self.fc2.forward(&hidden)?, &self.scale2, 2)?)
    }

    fn attend(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let (batch, tokens, _) = x.dims3()?;
        let head = WIDTH / HEADS;
        let qkv = self.qkv.forward(x)?.reshape((batch, tokens, 3, HEADS, head))?;
        let part = |i: usize| -> candle_core::Result<Tensor> {
            qkv.narrow(2, i, 1)?.squeeze(2)?.transpose(1, 2)?.contiguous()
        };
        let q = (part(0)? * (1.0 / (head as f64).sqrt()))?;
        let weights = matmul(&q, &part(1)?.transpose(D::Minus2, D::Minus1)?)?;
        let attended = matmul(&softmax(&weights)?, &part(2)?)?;
        let attended = attended.transpose(1, 2)?.contiguous()?.reshape((batch, tokens, WIDTH))?;
        self.projection.forward(&attended)
    }
}

/// Cubic interpolation (A = −0.75) of `from` numbers to `to`, `(to, from)`, as PyTorch's
/// `interpolate(mode="bicubic", scale_factor=(to + 0.1) / from)` on one axis.
fn cubic(from: usize, to: usize) -> Vec<f32> {
    const A: f64 = -0.75;
    let near = |x: f64| ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0;
    let far = |x: f64| ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A;
    let scale = from as f64 / (to as f64 + OFFSET);
    let mut weights = vec![0f32; from * to];
    for (i, row) in weights.chunks_exact_mut(from.max(1)).enumerate() {
        let at = scale * (i as f64 + 0.5) - 0.5;
        let first = at.floor();
        let t = at - first;
        for (tap, weight) in
            [far(t + 1.0), near(t), near(1.0 - t), far(2.0 - t)].into_iter().enumerate()
        {
            let place = (first + tap as f64 - 1.0).clamp(0.0, from as f64 - 1.0) as usize;
            row[place] += weight as f32;
        }
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::*;

    /// PyTorch 2.15: `x = torch.tensor([1., 5, 2, 8, 3, 9, 4]).reshape(1, 1, 7, 1)`,
    /// `F.interpolate(x, mode="bicubic", scale_factor=(4.1 / 7, 1.)).flatten()`.
    #[test]
    fn interpolates_as_pytorch() {
        let x = [1f32, 5.0, 2.0, 8.0, 3.0, 9.0, 4.0];
        let found: Vec<f32> =
            cubic(7, 4).chunks(7).map(|row| row.iter().zip(x).map(|(w, x)| w * x).sum()).collect();
        let expected = [2.529_623_5, 2.182_557_3, 3.609_279, 7.225_696];
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-5, "{found} {expected}");
        }
    }
}
