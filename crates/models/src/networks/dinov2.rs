//! DINOv2's ViT-S/14 (Oquab et al., "DINOv2: learning robust visual features without supervision", 2023).
//!
//! Not through candle-transformers 0.11.1, whose model takes one image at a time, asks for a classifier that the published
//! weights do not have, uses the tanh form of GELU and an epsilon of 1e-5 where the authors use the exact form and 1e-6,
//! and resizes position embeddings by nearest neighbour where they interpolate by cubics.

use candle_core::{D, Tensor, bail};
use candle_nn::{LayerNorm, Linear, Module};
use sconce_core::{Error, Result};

use super::place_of_tap;
use crate::{Network, Tensors};

const WIDTH: usize = 384;
const HEADS: usize = 6;
const PATCH: usize = 14;
const EPS: f64 = 1e-6;
/// The authors add this to the number of patches before they divide by that of the embeddings.
const OFFSET: f64 = 0.1;

/// The name, as in the authors' torch.hub.
pub(crate) const NAME: &str = "dinov2_vits14";
const TAPS: [&str; 15] = [
    "block1", "block2", "block3", "block4", "block5", "block6", "block7", "block8", "block9",
    "block10", "block11", "block12", "patches", "cls", "features",
];
const DEPTH: usize = 12;

/// The vision transformer. Input `(batch, 3, height, width)`, both multiples of 14; tensor names as in the authors'
/// torch.hub and in timm.
///
/// Taps: `block1` … `block12` and, normalised, `patches`, all `(batch, 384, height / 14, width / 14)`; `cls`, the
/// normalised class token `(batch, 384)`; `features`, `cls` and the mean of `patches` `(batch, 768)`, what the authors
/// train linear classifiers on.
pub(crate) struct Dinov2 {
    patch_weight: Tensor,
    patch_bias: Tensor,
    cls_token: Tensor,
    /// `(1, 1 + side², width)`
    positions: Tensor,
    side: usize,
    blocks: Vec<Block>,
    norm: LayerNorm,
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

impl Dinov2 {
    pub(crate) fn new(tensors: &Tensors) -> Result<Self> {
        let get = |name: &str, shape: &[usize]| tensors.get(&[name], shape);
        let norm = |name: &str| -> Result<LayerNorm> {
            let weight = get(&format!("{name}.weight"), &[WIDTH])?;
            Ok(LayerNorm::new(weight, get(&format!("{name}.bias"), &[WIDTH])?, EPS))
        };
        let linear = |name: &str, input: usize, output: usize| -> Result<Linear> {
            let weight = get(&format!("{name}.weight"), &[output, input])?;
            Ok(Linear::new(weight, Some(get(&format!("{name}.bias"), &[output])?)))
        };
        let tokens = tensors.find("pos_embed").and_then(|t| t.dims().get(1).copied());
        let side = tokens.unwrap_or(0).saturating_sub(1).isqrt();
        let blocks = (0..DEPTH).map(|i| {
            let name = |part: &str| format!("blocks.{i}.{part}");
            Ok(Block {
                norm1: norm(&name("norm1"))?,
                qkv: linear(&name("attn.qkv"), WIDTH, 3 * WIDTH)?,
                projection: linear(&name("attn.proj"), WIDTH, WIDTH)?,
                scale1: get(&name("ls1.gamma"), &[WIDTH])?,
                norm2: norm(&name("norm2"))?,
                fc1: linear(&name("mlp.fc1"), WIDTH, 4 * WIDTH)?,
                fc2: linear(&name("mlp.fc2"), 4 * WIDTH, WIDTH)?,
                scale2: get(&name("ls2.gamma"), &[WIDTH])?,
            })
        });
        let bias = get("patch_embed.proj.bias", &[WIDTH])?;
        Ok(Self {
            patch_weight: get("patch_embed.proj.weight", &[WIDTH, 3, PATCH, PATCH])?,
            patch_bias: bias.reshape((1, WIDTH, 1, 1)).map_err(Error::other)?,
            cls_token: get("cls_token", &[1, 1, WIDTH])?,
            positions: get("pos_embed", &[1, 1 + side * side, WIDTH])?,
            side,
            blocks: blocks.collect::<Result<_>>()?,
            norm: norm("norm")?,
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
        let patches = x.conv2d(&self.patch_weight, 0, PATCH, 1, 1)?;
        let patches = patches.broadcast_add(&self.patch_bias)?.flatten_from(2)?.transpose(1, 2)?;
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
        let grid = down.matmul(&grid)?.reshape((rows, side, WIDTH))?.transpose(0, 1)?;
        let grid = across.matmul(&grid.contiguous()?.reshape((side, rows * WIDTH))?)?;
        let grid = grid.reshape((columns, rows, WIDTH))?.transpose(0, 1)?.contiguous()?;
        Tensor::cat(&[cls, grid.reshape((1, rows * columns, WIDTH))?], 1)
    }
}

impl Network for Dinov2 {
    fn architecture(&self) -> &str {
        NAME
    }

    fn taps(&self) -> Vec<&'static str> {
        TAPS.to_vec()
    }

    fn forward_taps(&self, x: &Tensor, taps: &[&str]) -> candle_core::Result<Vec<Tensor>> {
        let mut wanted = Vec::with_capacity(taps.len());
        for tap in taps {
            wanted.push(place_of_tap(self, tap)?);
        }
        let last = wanted.iter().max().map_or(0, |last| last + 1);
        let (mut tokens, rows, columns) = self.embed(x)?;
        let maps = |tokens: &Tensor| -> candle_core::Result<Tensor> {
            let patches = tokens.narrow(1, 1, rows * columns)?.transpose(1, 2)?.contiguous()?;
            patches.reshape(((), WIDTH, rows, columns))
        };
        let mut outputs = vec![None; taps.len()];
        let mut keep = |place: usize, output: &dyn Fn() -> candle_core::Result<Tensor>| {
            for (slot, _) in outputs.iter_mut().zip(&wanted).filter(|(_, at)| **at == place) {
                *slot = Some(output()?);
            }
            Ok::<(), candle_core::Error>(())
        };
        for (i, block) in self.blocks.iter().take(last).enumerate() {
            tokens = block.forward(&tokens)?;
            keep(i, &|| maps(&tokens))?;
        }
        if last > DEPTH {
            let tokens = self.norm.forward(&tokens)?;
            let cls = || tokens.narrow(1, 0, 1)?.squeeze(1)?.contiguous();
            keep(DEPTH, &|| maps(&tokens))?;
            keep(DEPTH + 1, &cls)?;
            keep(DEPTH + 2, &|| {
                let mean = tokens.narrow(1, 1, rows * columns)?.mean(1)?;
                Tensor::cat(&[cls()?, mean], 1)
            })?;
        }
        Ok(outputs.into_iter().flatten().collect())
    }
}

impl Block {
    fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let attended = self.attend(&self.norm1.forward(x)?)?;
        let x = (x + attended.broadcast_mul(&self.scale1)?)?;
        let hidden = self.fc1.forward(&self.norm2.forward(&x)?)?.gelu_erf()?;
        &x + self.fc2.forward(&hidden)?.broadcast_mul(&self.scale2)?
    }

    fn attend(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let (batch, tokens, _) = x.dims3()?;
        let head = WIDTH / HEADS;
        let qkv = self.qkv.forward(x)?.reshape((batch, tokens, 3, HEADS, head))?;
        let part = |i: usize| -> candle_core::Result<Tensor> {
            qkv.narrow(2, i, 1)?.squeeze(2)?.transpose(1, 2)?.contiguous()
        };
        let q = (part(0)? * (1.0 / (head as f64).sqrt()))?;
        let weights = q.matmul(&part(1)?.transpose(D::Minus2, D::Minus1)?.contiguous()?)?;
        let attended = candle_nn::ops::softmax_last_dim(&weights)?.matmul(&part(2)?)?;
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
