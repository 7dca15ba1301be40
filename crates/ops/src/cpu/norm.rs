//! Batch normalisation on the processor.

use super::kernel::{Element, Vectorized};
use super::{PARALLEL_FROM, build, by_dtype, contiguous, team, tensor, with_data};
use crate::norm::{BatchNorm, BatchStatistics, Sizes};
use crate::tape::apply3;
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp3, DType, Device, Layout, Result, Shape, Tensor, WithDType};
use std::ops::Range;

/// [`BatchNorm::train`] of checked arguments.
pub(crate) fn train(
    norm: &BatchNorm,
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    s: &Sizes,
) -> Result<(Tensor, BatchStatistics)> {
    let x = x.contiguous()?;
    let moments = by_dtype!(x.dtype(), moments(&x, s))?;
    let (mean, var): (Vec<f64>, Vec<f64>) = moments.into_iter().unzip();
    let of = |v: &[f64]| Tensor::from_slice(v, s.channels, &Device::Cpu)?.to_dtype(x.dtype());
    let statistics = BatchStatistics { mean: of(&mean)?, var: of(&var)?, count: s.batch * s.plane };
    let op = Normalise::new(norm, mean, &var, true);
    Ok((apply3([&x, &weight.contiguous()?, &bias.contiguous()?], op)?, statistics))
}

/// [`BatchNorm::eval`] of checked arguments.
pub(crate) fn eval(
    norm: &BatchNorm,
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    [mean, var]: [&Tensor; 2],
) -> Result<Tensor> {
    let numbers = |t: &Tensor| t.to_dtype(DType::F64)?.to_vec1::<f64>();
    let op = Normalise::new(norm, numbers(mean)?, &numbers(var)?, false);
    apply3([&x.contiguous()?, &weight.contiguous()?, &bias.contiguous()?], op)
}

/// `f` of each channel, with the range of each of its planes, in parallel.
fn by_channel<R: Send>(
    s: &Sizes,
    f: impl Fn(usize, &mut dyn Iterator<Item = Range<usize>>) -> R + Sync,
) -> Vec<R> {
    let one = |c: usize| {
        let from = move |n: usize| (n * s.channels + c) * s.plane;
        f(c, &mut (0..s.batch).map(|n| from(n)..from(n) + s.plane))
    };
    if s.channels * s.batch * s.plane < PARALLEL_FROM {
        return (0..s.channels).map(one).collect();
    }
    team::map(s.channels, one)
}

const LANES: usize = 16;

/// `N` sums over pairs of numbers, in lanes: vectorised, and the same on every machine.
#[derive(Clone, Copy)]
struct Sums<const N: usize>([[f64; LANES]; N]);

impl<const N: usize> Sums<N> {
    fn new() -> Self {
        Self([[0.0; LANES]; N])
    }

    /// Adds `f` of each pair; `a` and `b` are of one length.
    fn add<T: Element>(&mut self, a: &[T], b: &[T], f: impl Fn(T, T) -> [T; N]) {
        T::kernel().vectorized(Add { sums: self, a, b, f });
    }

    fn total(&self) -> [f64; N] {
        self.0.map(|lanes| lanes.iter().sum())
    }
}

struct Add<'a, T, F, const N: usize> {
    sums: &'a mut Sums<N>,
    a: &'a [T],
    b: &'a [T],
    f: F,
}

impl<T: WithDType, F: Fn(T, T) -> [T; N], const N: usize> Vectorized for Add<'_, T, F, N> {
    #[inline(always)]
    fn run(self) {
        let Self { sums, a, b, f } = self;
        let mut lanes = [[T::zero(); LANES]; N];
        let (whole_a, rest_a) = a.as_chunks::<LANES>();
        let (whole_b, rest_b) = b.as_chunks::<LANES>();
        for (a, b) in whole_a.iter().zip(whole_b) {
            for i in 0..LANES {
                let values = f(a[i], b[i]);
                for n in 0..N {
                    lanes[n][i] += values[n];
                }
            }
        }
        for (i, (&a, &b)) in rest_a.iter().zip(rest_b).enumerate() {
            let values = f(a, b);
            for n in 0..N {
                lanes[n][i] += values[n];
            }
        }
        for (sums, lanes) in sums.0.iter_mut().zip(&lanes) {
            for (sum, lane) in sums.iter_mut().zip(lanes) {
                *sum += lane.to_f64();
            }
        }
    }
}

/// Mean and biased variance of each channel: the squares are summed around the mean.
pub(crate) fn moments<T: Element>(x: &Tensor, s: &Sizes) -> Result<Vec<(f64, f64)>> {
    with_data::<T, _>(x, |x| {
        Ok(by_channel(s, |_, planes| {
            let planes: Vec<&[T]> = planes.map(|plane| &x[plane]).collect();
            let count = (s.batch * s.plane) as f64;
            let mut sum = Sums::<1>::new();
            planes.iter().for_each(|v| sum.add(v, v, |v, _| [v]));
            let centre = T::from_f64(sum.total()[0] / count);
            let mut around = Sums::<2>::new();
            for v in planes {
                around.add(v, v, move |v, _| [v - centre, (v - centre) * (v - centre)]);
            }
            let [off, squares] = around.total().map(|sum| sum / count);
            (centre.to_f64() + off, (squares - off * off).max(0.0))
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
    fn new(norm: &BatchNorm, mean: Vec<f64>, var: &[f64], train: bool) -> Self {
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

fn forward<T: Element>(
    op: &Normalise,
    s: &Sizes,
    args: [(&CpuStorage, &Layout); 3],
) -> Result<CpuStorage> {
    let [x, weight, bias] = args.map(|(s, l)| contiguous::<T>(s, l));
    let (x, affine) = (x?, op.affine(weight?, bias?));
    let sample = s.channels * s.plane;
    // without a rectifier the slope is 1: one loop for both
    let slope = T::from_f64(op.slope.unwrap_or(1.0));
    let y = build(x.len(), sample, |n, out| {
        let x = &x[n * sample..][..sample];
        T::kernel().vectorized(NormaliseSample { affine: &affine, plane: s.plane, slope, x, out });
    });
    Ok(T::to_cpu_storage_owned(y))
}

fn backward<T: Element>(
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
            // Σ g and Σ g · x̂
            let sums: Vec<(f64, f64)> = by_channel(s, |c, planes| {
                let (behind, mean) = (behind(affine[c], slope), T::from_f64(op.mean[c]));
                let mut sums = Sums::new();
                for plane in planes {
                    sums.add(&x[plane.clone()], &grad[plane], move |x, g| {
                        let g = behind(x, g);
                        [g, g * (x - mean)]
                    });
                }
                let [g, gx] = sums.total();
                (g, gx * op.rate[c])
            });
            let per_channel = |f: &dyn Fn(&(f64, f64)) -> f64| {
                tensor(sums.iter().map(|s| T::from_f64(f(s))).collect(), s.channels)
            };
            let grad_weight = args[1].track_op().then(|| per_channel(&|s| s.1)).transpose()?;
            let grad_bias = args[2].track_op().then(|| per_channel(&|s| s.0)).transpose()?;
            if !args[0].track_op() {
                return Ok([None, grad_weight, grad_bias]);
            }
            // scale · (g − Σg/count − x̂ · Σgx̂/count) with x̂ = (x − mean) · rate; in eval mode scale · g
            let count = (s.batch * s.plane) as f64;
            let mixed = (0..s.channels).map(|c| {
                let by_x = if op.train { -sums[c].1 / count * op.rate[c] } else { 0.0 };
                let constant = if op.train { -sums[c].0 / count - by_x * op.mean[c] } else { 0.0 };
                [affine[c], (T::from_f64(by_x), T::from_f64(constant))]
            });
            let numbers: Vec<[(T, T); 2]> = mixed.collect();
            let (numbers, plane) = (numbers.as_slice(), s.plane);
            let sample = s.channels * s.plane;
            let dx = build(x.len(), sample, |n, out| {
                let (x, g) = (&x[n * sample..][..sample], &grad[n * sample..][..sample]);
                T::kernel().vectorized(InputGradient { numbers, plane, slope, x, g, out });
            });
            Ok([Some(tensor(dx, args[0].shape())?), grad_weight, grad_bias])
        })
    })
}

/// `x · scale + shift` of each channel of a sample, and the rectifier.
struct NormaliseSample<'a, T> {
    /// Each channel's scale and shift.
    affine: &'a [(T, T)],
    plane: usize,
    slope: T,
    x: &'a [T],
    out: &'a mut [T],
}

impl<T: Element> Vectorized for NormaliseSample<'_, T> {
    #[inline(always)]
    fn run(self) {
        let Self { affine, plane, slope, x, out } = self;
        let channels = out.chunks_exact_mut(plane).zip(x.chunks_exact(plane));
        for ((out, x), &(scale, shift)) in channels.zip(affine) {
            for (o, &x) in out.iter_mut().zip(x) {
                let y = x * scale + shift;
                *o = if y <= T::zero() { y * slope } else { y };
            }
        }
    }
}

/// The gradient behind the rectifier made one before it, for a channel of this scale and shift.
#[inline(always)]
fn behind<T: Element>((scale, shift): (T, T), slope: T) -> impl Fn(T, T) -> T + Copy {
    move |x, g| if x * scale + shift <= T::zero() { g * slope } else { g }
}

/// The gradient of one sample's input.
struct InputGradient<'a, T> {
    /// Each channel's scale and shift, and what its gradient has of `x` and of 1.
    numbers: &'a [[(T, T); 2]],
    plane: usize,
    slope: T,
    x: &'a [T],
    g: &'a [T],
    out: &'a mut [T],
}

impl<T: Element> Vectorized for InputGradient<'_, T> {
    #[inline(always)]
    fn run(self) {
        let Self { numbers, plane, slope, x, g, out } = self;
        let planes = x.chunks_exact(plane).zip(g.chunks_exact(plane));
        let planes = out.chunks_exact_mut(plane).zip(planes);
        for ((out, (x, g)), &[(scale, shift), (by_x, constant)]) in planes.zip(numbers) {
            let behind = behind((scale, shift), slope);
            let pairs = out.iter_mut().zip(x).zip(g);
            if by_x == T::zero() && constant == T::zero() {
                pairs.for_each(|((o, &x), &g)| *o = scale * behind(x, g));
            } else {
                pairs.for_each(|((o, &x), &g)| *o = scale * (behind(x, g) + x * by_x + constant));
            }
        }
    }
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
