//! Batch normalisation in train and eval mode, with an optional rectifier fused behind it, and layer normalisation.

use crate::activation::leaky_relu;
use crate::cpu::{self, has_kernels};
use crate::sum::mean_keepdim;
use candle_core::{D, DType, Device, Result, Tensor, bail};

/// Batch normalisation `y = weight · (x − mean) / √(var + eps) + bias`, channel by channel.
///
/// `x` is `(batch, channels, …)`, `weight` and `bias` are `(channels)`. In train mode mean and (biased) variance are
/// those of the batch and the gradient goes through them; in eval mode they are given and constant.
///
/// Ioffe and Szegedy, "Batch normalization", 2015; numbers as in PyTorch's `batch_norm`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BatchNorm {
    /// Added to the variance.
    pub eps: f64,
    /// Slope below zero of a leaky rectifier that follows (0 for ReLU); none where there is no rectifier.
    /// Fused, it costs no pass over memory.
    pub slope: Option<f64>,
}

impl Default for BatchNorm {
    /// `eps` 1e-5, no rectifier.
    fn default() -> Self {
        Self { eps: 1e-5, slope: None }
    }
}

/// Layer normalisation of each row of the last dimension: `y = weight · (x − mean) / √(var + eps) + bias`, with the row's own mean and
/// biased variance.
///
/// `x` is `(…, width)`, `weight` and `bias` are `(width)`. Gradients go to all three. Ba, Kiros and Hinton, "Layer normalization",
/// 2016; numbers as in PyTorch's `layer_norm`.
///
/// # Errors
/// When the shapes do not fit.
pub fn layer_norm(x: &Tensor, weight: &Tensor, bias: &Tensor, eps: f64) -> Result<Tensor> {
    let width = x.dims().last().copied().unwrap_or(0);
    if width == 0 || weight.dims() != [width] || bias.dims() != [width] {
        bail!(
            "layer norm expects (…, width), and width numbers a parameter, got {:?}, {:?} and {:?}",
            x.dims(),
            weight.dims(),
            bias.dims()
        );
    }
    if has_kernels(x) && x.dtype() == weight.dtype() && x.dtype() == bias.dtype() {
        return cpu::layer_norm::layer_norm(x, weight, bias, eps);
    }
    let x = x.broadcast_sub(&mean_keepdim(x, D::Minus1)?)?;
    let variance = mean_keepdim(&x.sqr()?, D::Minus1)?;
    let x = x.broadcast_div(&(variance + eps)?.sqrt()?)?;
    x.broadcast_mul(weight)?.broadcast_add(bias)
}

/// What a batch tells of each channel; without history.
#[derive(Debug, Clone)]
pub struct BatchStatistics {
    /// Mean, `(channels)`.
    pub mean: Tensor,
    /// Biased variance (divided by `count`), `(channels)`.
    pub var: Tensor,
    /// Numbers in a channel.
    pub count: usize,
}

/// Averages over batches that eval mode uses.
#[derive(Debug, Clone)]
pub struct RunningStatistics {
    /// Mean, `(channels)`.
    pub mean: Tensor,
    /// Unbiased variance, `(channels)`.
    pub var: Tensor,
}

impl RunningStatistics {
    /// Mean 0 and variance 1, where PyTorch starts.
    pub fn new(channels: usize, dtype: DType, device: &Device) -> Result<Self> {
        Ok(Self {
            mean: Tensor::zeros(channels, dtype, device)?,
            var: Tensor::ones(channels, dtype, device)?,
        })
    }

    /// `(1 − momentum) · running + momentum · batch`, the batch's variance made unbiased (PyTorch; momentum 0.1 there).
    pub fn updated(&self, batch: &BatchStatistics, momentum: f64) -> Result<Self> {
        let unbiased = batch.count as f64 / (batch.count as f64 - 1.0);
        let mix = |old: &Tensor, new: &Tensor, scale: f64| {
            ((old * (1.0 - momentum))? + (new * (momentum * scale))?)?
                .detach()
                .to_dtype(old.dtype())
        };
        Ok(Self {
            mean: mix(&self.mean, &batch.mean, 1.0)?,
            var: mix(&self.var, &batch.var, unbiased)?,
        })
    }
}

impl BatchNorm {
    /// A rectifier of this slope below zero behind the normalisation; 0 is ReLU.
    pub fn rectified(self, slope: f64) -> Self {
        Self { slope: Some(slope), ..self }
    }

    /// Normalises with the batch's own mean and variance, and returns them. At least two numbers a channel.
    ///
    /// ```
    /// use candle_core::{Device, Tensor};
    /// use sconce_ops::norm::BatchNorm;
    ///
    /// let x = Tensor::new(&[[1f32, 2.], [3., 6.]], &Device::Cpu)?;
    /// let (weight, bias) = (Tensor::new(&[1f32, 1.], &Device::Cpu)?, Tensor::new(&[0f32, 5.], &Device::Cpu)?);
    /// let (y, statistics) = BatchNorm { eps: 0.0, slope: None }.train(&x, &weight, &bias)?;
    /// assert_eq!(statistics.mean.to_vec1::<f32>()?, [2., 4.]);
    /// assert_eq!(statistics.var.to_vec1::<f32>()?, [1., 4.]);
    /// assert_eq!(y.to_vec2::<f32>()?, [[-1., 4.], [1., 6.]]);
    /// # Ok::<(), candle_core::Error>(())
    /// ```
    pub fn train(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
    ) -> Result<(Tensor, BatchStatistics)> {
        let s = Sizes::new(x, [weight, bias])?;
        let count = s.batch * s.plane;
        if count < 2 {
            bail!(
                "batch norm expects more than one number a channel when training, got {:?}",
                x.dims()
            );
        }
        if !has_kernels(x) {
            return self.train_composed(x, weight, bias, &s);
        }
        cpu::norm::train(self, x, weight, bias, &s)
    }

    /// Normalises with these statistics.
    pub fn eval(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        statistics: &RunningStatistics,
    ) -> Result<Tensor> {
        let s = Sizes::new(x, [weight, bias])?;
        Sizes::new(x, [&statistics.mean, &statistics.var])?;
        let (mean, var) = (statistics.mean.detach(), statistics.var.detach());
        if !has_kernels(x) {
            let y = x.broadcast_sub(&s.column(&mean)?)?;
            return self.scale_composed(&y, &var, weight, bias, &s);
        }
        cpu::norm::eval(self, x, weight, bias, [&mean, &var])
    }

    fn train_composed(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        s: &Sizes,
    ) -> Result<(Tensor, BatchStatistics)> {
        let rows = x.reshape((s.batch, s.channels, s.plane))?;
        let average = |t: &Tensor| t.mean_keepdim(2)?.mean_keepdim(0);
        let mean = average(&rows)?;
        let centred = rows.broadcast_sub(&mean)?;
        let var = average(&centred.sqr()?)?;
        let flat = |t: &Tensor| t.detach().reshape(s.channels);
        let statistics =
            BatchStatistics { mean: flat(&mean)?, var: flat(&var)?, count: s.batch * s.plane };
        let y = self.scale_composed(&centred.reshape(x.shape())?, &var, weight, bias, s)?;
        Ok((y, statistics))
    }

    fn scale_composed(
        &self,
        centred: &Tensor,
        var: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        s: &Sizes,
    ) -> Result<Tensor> {
        let scale = s.column(weight)?.div(&(s.column(var)? + self.eps)?.sqrt()?)?;
        let y = centred.broadcast_mul(&scale)?.broadcast_add(&s.column(bias)?)?;
        match self.slope {
            Some(slope) => leaky_relu(&y, slope),
            None => Ok(y),
        }
    }
}

/// An input as `batch × channels × plane`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) batch: usize,
    pub(crate) channels: usize,
    pub(crate) plane: usize,
    pub(crate) rank: usize,
}

impl Sizes {
    fn new(x: &Tensor, of_channels: [&Tensor; 2]) -> Result<Self> {
        let s = Self::of(x.dims())?;
        for t in of_channels {
            if t.dims() != [s.channels] {
                bail!("batch norm expects {} numbers a parameter, got {:?}", s.channels, t.dims());
            }
        }
        Ok(s)
    }

    pub(crate) fn of(dims: &[usize]) -> Result<Self> {
        let &[batch, channels, ref rest @ ..] = dims else {
            bail!("batch norm expects at least 2 dimensions, got {dims:?}")
        };
        Ok(Self { batch, channels, plane: rest.iter().product(), rank: dims.len() })
    }

    /// Numbers of the channels, shaped to broadcast against the input.
    fn column(&self, t: &Tensor) -> Result<Tensor> {
        let mut dims = vec![1; self.rank];
        dims[1] = self.channels;
        t.reshape(dims)
    }
}

#[cfg(test)]
mod tests;
