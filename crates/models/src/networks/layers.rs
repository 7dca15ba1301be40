//! The layers that networks are made of: the one place that chooses whose operations run.

use candle_core::{Result, Tensor};
use sconce_core::Error;
use sconce_ops::activation::{guided_relu, relu};
use sconce_ops::conv::{Conv2d, FrozenConv2d, conv2d, conv2d_max_pool2d};
use sconce_ops::linear::{linear, matmul};
use sconce_ops::norm::layer_norm;
use sconce_ops::pool::{Pool2d, global_avg_pool2d, max_pool2d};
use sconce_ops::sum::spread;
use sconce_ops::transposed::transposed;

use crate::Tensors;

/// How gradients pass a rectifier.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Rectifier {
    /// As its derivative says.
    #[default]
    Plain,
    /// Only where they are positive too: guided backpropagation. Springenberg et al., "Striving for simplicity", 2015.
    Guided,
}

impl Rectifier {
    pub(crate) fn forward(self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Plain => relu(x),
            Self::Guided => guided_relu(x),
        }
    }
}

/// What a convolution's weight `(out, in, kernel, kernel)` and bias `(out)` are.
#[derive(Clone, Debug)]
pub(crate) enum Weights {
    /// Themselves.
    Plain(Tensor, Tensor),
    /// Those of a convolution without bias and the batch normalisation of evaluation behind it, as one.
    Normalised {
        weight: Tensor,
        /// Scale and shift, running mean and variance: `(out)` each.
        norm: [Tensor; 4],
        eps: f64,
    },
}

impl Weights {
    /// Of the parameters `name.weight` and `name.bias`.
    pub(crate) fn named(tensors: &Tensors, name: &str) -> sconce_core::Result<Self> {
        let part = |part: &str| tensors.get(&format!("{name}.{part}"));
        Ok(Self::Plain(part("weight")?, part("bias")?))
    }

    /// Of the parameters `conv.weight`, and of the batch normalisation `norm`.
    pub(crate) fn normalised(
        tensors: &Tensors,
        [conv, norm]: [&str; 2],
        eps: f64,
    ) -> sconce_core::Result<Self> {
        let weight = tensors.get(&format!("{conv}.weight"))?;
        let part = |part: &str| tensors.get(&format!("{norm}.{part}"));
        let norm = [part("weight")?, part("bias")?, part("running_mean")?, part("running_var")?];
        let all = Self::Normalised { weight, norm, eps };
        // one multiplication for all images, where nothing can change
        if all.is_live() { Ok(all) } else { all.settled().map_err(Error::other) }
    }

    /// Whether training may change them.
    fn is_live(&self) -> bool {
        match self {
            Self::Plain(weight, bias) => weight.track_op() || bias.track_op(),
            Self::Normalised { weight, norm, .. } => {
                weight.track_op() || norm.iter().any(Tensor::track_op)
            }
        }
    }

    fn settled(&self) -> Result<Self> {
        self.now().map(|(weight, bias)| Self::Plain(weight, bias))
    }

    /// Weight and bias as they are now. The gradient goes to all that they are made of.
    pub(crate) fn now(&self) -> Result<(Tensor, Tensor)> {
        match self {
            Self::Plain(weight, bias) => Ok((weight.clone(), bias.clone())),
            Self::Normalised { weight, norm: [scale, shift, mean, variance], eps } => {
                let scale = (scale / (variance + *eps)?.sqrt()?)?;
                let bias = (shift - (mean * &scale)?)?;
                let scale = spread(&scale.reshape(((), 1, 1, 1))?, weight.shape())?;
                Ok((weight.mul(&scale)?, bias))
            }
        }
    }
}

/// A convolution with bias.
#[derive(Clone, Debug)]
pub(crate) enum Conv {
    /// Of tensors that training may change.
    Live { weights: Weights, conv: Conv2d },
    /// Of constants, with and without a rectifier: what the kernels make of the weight is kept, see [`FrozenConv2d`].
    Frozen { plain: FrozenConv2d, rectified: FrozenConv2d },
}

impl Conv {
    /// A frozen one where neither weight nor bias leads to a variable.
    pub(crate) fn new(weights: Weights, conv: Conv2d) -> Result<Self> {
        if weights.is_live() {
            return Ok(Self::Live { weights, conv });
        }
        let (weight, bias) = weights.now()?;
        let plain = FrozenConv2d::new(&weight, Some(&bias), conv)?;
        Ok(Self::Frozen { rectified: plain.relu(true), plain })
    }

    /// `x ∗ weight + bias`.
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Frozen { plain, .. } => plain.forward(x),
            Self::Live { weights, conv } => {
                let (weight, bias) = weights.now()?;
                conv2d(x, &weight, Some(&bias), conv)
            }
        }
    }

    /// `relu(x ∗ weight + bias)`, then maximum pooling.
    pub(crate) fn forward_relu_max_pool(&self, x: &Tensor, pool: &Pool2d) -> Result<Tensor> {
        match self {
            Self::Frozen { rectified, .. } => rectified.forward_max_pool2d(x, pool),
            Self::Live { weights, conv } => {
                let (weight, bias) = weights.now()?;
                conv2d_max_pool2d(x, &weight, Some(&bias), &conv.relu(true), pool)
            }
        }
    }

    /// `relu(x ∗ weight + bias)` of both, concatenated along the channels.
    fn side_by_side_relu(both: [&Self; 2], x: &Tensor, rectifier: Rectifier) -> Result<Tensor> {
        use Conv::Frozen;
        match (both, rectifier) {
            ([Frozen { rectified: a, .. }, Frozen { rectified: b, .. }], Rectifier::Plain) => {
                FrozenConv2d::forward_side_by_side(&[a, b], x)
            }
            ([Frozen { plain: a, .. }, Frozen { plain: b, .. }], Rectifier::Guided) => {
                rectifier.forward(&FrozenConv2d::forward_side_by_side(&[a, b], x)?)
            }
            ([a, b], _) => {
                let maps = [a.forward_relu(x, rectifier)?, b.forward_relu(x, rectifier)?];
                Tensor::cat(&maps, 1)
            }
        }
    }

    /// `relu(x ∗ weight + bias)`.
    pub(crate) fn forward_relu(&self, x: &Tensor, rectifier: Rectifier) -> Result<Tensor> {
        match (self, rectifier) {
            (Self::Frozen { rectified, .. }, Rectifier::Plain) => rectified.forward(x),
            (Self::Frozen { plain, .. }, Rectifier::Guided) => {
                rectifier.forward(&plain.forward(x)?)
            }
            (Self::Live { weights, conv }, Rectifier::Plain) => {
                let (weight, bias) = weights.now()?;
                conv2d(x, &weight, Some(&bias), &conv.relu(true))
            }
            (Self::Live { .. }, Rectifier::Guided) => rectifier.forward(&self.forward(x)?),
        }
    }
}

/// A fully connected layer: weight `(out, in)`, bias `(out)`.
#[derive(Clone, Debug)]
pub(crate) struct Linear {
    pub(crate) weight: Tensor,
    pub(crate) bias: Tensor,
}

impl Linear {
    /// Of the parameters `name.weight` and `name.bias`.
    pub(crate) fn named(tensors: &Tensors, name: &str) -> sconce_core::Result<Self> {
        let part = |part: &str| tensors.get(&format!("{name}.{part}"));
        Ok(Self { weight: part("weight")?, bias: part("bias")? })
    }

    /// `x weightᵀ + bias` for `x` of shape `(…, in)`.
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        linear(x, &self.weight, Some(&self.bias))
    }
}

/// Layer normalisation over the last dimension (Ba, Kiros and Hinton, 2016): weight and bias `(width)`.
#[derive(Clone, Debug)]
pub(crate) struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
    eps: f64,
}

impl LayerNorm {
    /// Of the parameters `name.weight` and `name.bias`.
    pub(crate) fn new(tensors: &Tensors, name: &str, eps: f64) -> sconce_core::Result<Self> {
        let part = |part: &str| tensors.get(&format!("{name}.{part}"));
        Ok(Self { weight: part("weight")?, bias: part("bias")?, eps })
    }

    /// `(x − mean) / √(variance + eps) · weight + bias`.
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        layer_norm(x, &self.weight, &self.bias, self.eps)
    }
}

/// SqueezeNet's module: a 1×1 "squeeze", then 1×1 and 3×3 "expand" side by side.
#[derive(Clone, Debug)]
pub(crate) struct Fire {
    pub(crate) squeeze: Conv,
    pub(crate) expand1x1: Conv,
    pub(crate) expand3x3: Conv,
}

/// What one step of a sequential network computes.
#[derive(Clone, Debug)]
pub(crate) enum Layer {
    ConvRelu(Conv),
    Fire(Box<Fire>),
    MaxPool(Pool2d),
    /// Mean over height and width: `(batch, channels)`.
    GlobalAvgPool,
    /// PyTorch's `AdaptiveAvgPool2d(size)`, flattened to `(batch, channels · size²)`.
    AdaptiveAvgPool(usize),
    Linear(Linear),
    Relu,
}

impl Layer {
    pub(crate) fn forward(&self, x: &Tensor, rectifier: Rectifier) -> Result<Tensor> {
        match self {
            Self::ConvRelu(conv) => conv.forward_relu(x, rectifier),
            Self::Fire(fire) => {
                let x = fire.squeeze.forward_relu(x, rectifier)?;
                Conv::side_by_side_relu([&fire.expand1x1, &fire.expand3x3], &x, rectifier)
            }
            Self::MaxPool(pool) => max_pool2d(x, pool),
            Self::GlobalAvgPool => global_avg_pool2d(x),
            Self::AdaptiveAvgPool(size) => adaptive_avg_pool(x, *size)?.flatten_from(1),
            Self::Linear(linear) => linear.forward(x),
            Self::Relu => rectifier.forward(x),
        }
    }
}

/// Means over `size × size` windows that start at `⌊i·n/size⌋` and end before `⌈(i+1)·n/size⌉`, as PyTorch's.
fn adaptive_avg_pool(x: &Tensor, size: usize) -> Result<Tensor> {
    let (batch, channels, height, width) = x.dims4()?;
    if (height, width) == (size, size) {
        return Ok(x.clone());
    }
    let means = |length: usize| {
        let mut weights = vec![0f32; size * length];
        for i in 0..size {
            let window = i * length / size..((i + 1) * length).div_ceil(size);
            let weight = 1.0 / window.len() as f32;
            weights[i * length..][window].fill(weight);
        }
        Tensor::from_vec(weights, (size, length), x.device())?.to_dtype(x.dtype())
    };
    // rows · x · columnsᵀ, as two matrix products, which have gradients.
    let y = matmul(&x.reshape((batch * channels * height, width))?, &means(width)?.t()?)?;
    let y = y.reshape((batch * channels, height, size))?;
    let y = transposed(&y)?;
    let y = matmul(&y.reshape((batch * channels * size, height))?, &means(height)?.t()?)?;
    transposed(&y.reshape((batch, channels, size, size))?)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    /// `torch.nn.functional.adaptive_avg_pool2d(torch.arange(20.).reshape(1, 1, 4, 5), 3)`.
    #[test]
    fn adaptive_pooling_has_pytorchs_windows() {
        let x = Tensor::arange(0f32, 20., &Device::Cpu).unwrap().reshape((1, 1, 4, 5)).unwrap();
        let y = adaptive_avg_pool(&x, 3).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(y, [3.0, 4.5, 6.0, 8.0, 9.5, 11.0, 13.0, 14.5, 16.0]);
    }
}
