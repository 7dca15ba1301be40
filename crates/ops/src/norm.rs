//! Batch normalisation in train and eval mode, with an optional rectifier fused behind it.

use crate::activation::leaky_relu;
use crate::cpu::{build, by_dtype, contiguous, has_kernels, tensor, with_data};
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp3, DType, Device, Layout, Result, Shape, Tensor};
use candle_core::{WithDType, bail};
use rayon::prelude::*;

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
        let x = x.contiguous()?;
        let moments = by_dtype!(x.dtype(), moments(&x, &s))?;
        let (mean, var): (Vec<f64>, Vec<f64>) = moments.into_iter().unzip();
        let of = |v: &[f64]| Tensor::from_slice(v, s.channels, &Device::Cpu)?.to_dtype(x.dtype());
        let statistics = BatchStatistics { mean: of(&mean)?, var: of(&var)?, count };
        let op = Normalise::new(*self, mean, &var, true);
        Ok((x.apply_op3(&weight.contiguous()?, &bias.contiguous()?, op)?, statistics))
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
        let numbers = |t: &Tensor| t.to_dtype(DType::F64)?.to_vec1::<f64>();
        let op = Normalise::new(*self, numbers(&mean)?, &numbers(&var)?, false);
        x.contiguous()?.apply_op3(&weight.contiguous()?, &bias.contiguous()?, op)
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
struct Sizes {
    batch: usize,
    channels: usize,
    plane: usize,
    rank: usize,
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

    fn of(dims: &[usize]) -> Result<Self> {
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

    /// `f` of each channel, with the range of each of its planes, in parallel.
    fn by_channel<R: Send>(
        &self,
        f: impl Fn(usize, &mut dyn Iterator<Item = std::ops::Range<usize>>) -> R + Sync,
    ) -> Vec<R> {
        let one = |c: usize| {
            let from = move |n: usize| (n * self.channels + c) * self.plane;
            f(c, &mut (0..self.batch).map(|n| from(n)..from(n) + self.plane))
        };
        (0..self.channels).into_par_iter().map(one).collect()
    }
}

const LANES: usize = 16;

/// Sum of `f` of pairs of numbers, in lanes: vectorised, and the same on every machine.
#[inline(always)]
fn sum<T: WithDType>(a: &[T], b: &[T], f: impl Fn(T, T) -> T) -> f64 {
    let mut lanes = [T::zero(); LANES];
    let (whole_a, rest_a) = a.as_chunks::<LANES>();
    let (whole_b, rest_b) = b.as_chunks::<LANES>();
    for (a, b) in whole_a.iter().zip(whole_b) {
        for i in 0..LANES {
            lanes[i] += f(a[i], b[i]);
        }
    }
    for (i, (&a, &b)) in rest_a.iter().zip(rest_b).enumerate() {
        lanes[i] += f(a, b);
    }
    lanes.iter().map(|v| v.to_f64()).sum()
}

/// Mean and biased variance of each channel: plane by plane around its own mean, combined in f64 (Chan et al., 1983).
fn moments<T: WithDType>(x: &Tensor, s: &Sizes) -> Result<Vec<(f64, f64)>> {
    with_data::<T, _>(x, |x| {
        Ok(s.by_channel(|_, planes| {
            let (mut count, mut mean, mut squares) = (0.0, 0.0, 0.0);
            for plane in planes {
                let v = &x[plane];
                let n = v.len() as f64;
                let centre = T::from_f64(sum(v, v, |v, _| v) / n);
                let off = sum(v, v, |v, _| v - centre) / n;
                let around = sum(v, v, |v, _| (v - centre) * (v - centre)) - n * off * off;
                let delta = centre.to_f64() + off - mean;
                let total = count + n;
                mean += delta * n / total;
                squares += around.max(0.0) + delta * delta * count * n / total;
                count = total;
            }
            (mean, squares / count)
        }))
    })
}

struct Normalise {
    slope: Option<f64>,
    mean: Vec<f64>,
    /// 1 / √(var + eps).
    rate: Vec<f64>,
    /// Whether mean and variance are the batch's own.
    train: bool,
}

impl Normalise {
    fn new(norm: BatchNorm, mean: Vec<f64>, var: &[f64], train: bool) -> Self {
        let rate = var.iter().map(|v| (v + norm.eps).sqrt().recip()).collect();
        Self { slope: norm.slope, mean, rate, train }
    }

    /// `y = x · scale + shift`, each channel's.
    fn affine<T: WithDType>(&self, weight: &[T], bias: &[T]) -> Vec<(T, T)> {
        let one = |c: usize| {
            let scale = weight[c].to_f64() * self.rate[c];
            (T::from_f64(scale), T::from_f64(bias[c].to_f64() - self.mean[c] * scale))
        };
        (0..weight.len()).map(one).collect()
    }
}

fn forward<T: WithDType>(
    op: &Normalise,
    s: &Sizes,
    args: [(&CpuStorage, &Layout); 3],
) -> Result<CpuStorage> {
    let [x, weight, bias] = args.map(|(s, l)| contiguous::<T>(s, l));
    let (x, affine) = (x?, op.affine(weight?, bias?));
    let sample = s.channels * s.plane;
    let slope = op.slope.map(T::from_f64);
    let y = build(x.len(), sample, |n, out| {
        let x = &x[n * sample..][..sample];
        for (c, (out, x)) in out.chunks_mut(s.plane).zip(x.chunks(s.plane)).enumerate() {
            let (scale, shift) = affine[c];
            match slope {
                None => out.iter_mut().zip(x).for_each(|(o, &x)| *o = x * scale + shift),
                Some(slope) => out.iter_mut().zip(x).for_each(|(o, &x)| {
                    let y = x * scale + shift;
                    *o = if y <= T::zero() { y * slope } else { y };
                }),
            }
        }
    });
    Ok(T::to_cpu_storage_owned(y))
}

fn backward<T: WithDType>(
    op: &Normalise,
    s: &Sizes,
    args: [&Tensor; 3],
    grad: &Tensor,
) -> Result<[Option<Tensor>; 3]> {
    let [x, weight, bias] = args;
    let affine = with_data::<T, _>(weight, |w| with_data::<T, _>(bias, |b| Ok(op.affine(w, b))))?;
    // without a rectifier the slope is 1: one loop for both
    let slope = T::from_f64(op.slope.unwrap_or(1.0));
    with_data::<T, _>(x, |x| {
        with_data::<T, _>(grad, |grad| {
            let behind = |c: usize| {
                let (scale, shift) = affine[c];
                move |x: T, g: T| if x * scale + shift <= T::zero() { g * slope } else { g }
            };
            // Σ g and Σ g · x̂
            let sums: Vec<(f64, f64)> = s.by_channel(|c, planes| {
                let (behind, mean) = (behind(c), T::from_f64(op.mean[c]));
                let (mut g_sum, mut gx_sum) = (0.0, 0.0);
                for plane in planes {
                    let (x, g) = (&x[plane.clone()], &grad[plane]);
                    g_sum += sum(x, g, behind);
                    gx_sum += sum(x, g, |x, g| behind(x, g) * (x - mean));
                }
                (g_sum, gx_sum * op.rate[c])
            });
            let per_channel = |f: &dyn Fn(&(f64, f64)) -> f64| {
                tensor(sums.iter().map(|s| T::from_f64(f(s))).collect(), s.channels)
            };
            let grad_weight = args[1].track_op().then(|| per_channel(&|s| s.1)).transpose()?;
            let grad_bias = args[2].track_op().then(|| per_channel(&|s| s.0)).transpose()?;
            if !args[0].track_op() {
                return Ok([None, grad_weight, grad_bias]);
            }
            let count = (s.batch * s.plane) as f64;
            let sample = s.channels * s.plane;
            let dx = build(x.len(), sample, |n, out| {
                for c in 0..s.channels {
                    let from = n * sample + c * s.plane;
                    let (x, g) = (&x[from..][..s.plane], &grad[from..][..s.plane]);
                    let out = &mut out[c * s.plane..][..s.plane];
                    let behind = behind(c);
                    let scale = affine[c].0;
                    if op.train {
                        // scale · (g − Σg/count − x̂ · Σgx̂/count) with x̂ = (x − mean) · rate
                        let by_x = -sums[c].1 / count * op.rate[c];
                        let constant = T::from_f64(-sums[c].0 / count - by_x * op.mean[c]);
                        let by_x = T::from_f64(by_x);
                        for ((o, &x), &g) in out.iter_mut().zip(x).zip(g) {
                            *o = scale * (behind(x, g) + x * by_x + constant);
                        }
                    } else {
                        for ((o, &x), &g) in out.iter_mut().zip(x).zip(g) {
                            *o = scale * behind(x, g);
                        }
                    }
                }
            });
            Ok([Some(tensor(dx, args[0].shape())?), grad_weight, grad_bias])
        })
    })
}

impl CustomOp3 for Normalise {
    fn name(&self) -> &'static str {
        "batch-norm"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let sizes = Sizes::of(l1.dims())?;
        let args = [(s1, l1), (s2, l2), (s3, l3)];
        Ok((by_dtype!(s1.dtype(), forward(self, &sizes, args))?, l1.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let sizes = Sizes::of(x.dims())?;
        let [x, weight, bias] =
            by_dtype!(x.dtype(), backward(self, &sizes, [x, weight, bias], grad))?;
        Ok((x, weight, bias))
    }
}

#[cfg(test)]
mod tests;
