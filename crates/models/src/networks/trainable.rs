//! Layers of variables, for the networks that are trained from nothing.

use candle_core::{Result, Tensor, Var};
use sconce_ops::norm::{BatchNorm, RunningStatistics};

use crate::init::Init;
use crate::variables::Variables;

/// Batch normalisation with a rectifier, its variables and its running statistics.
#[derive(Debug, Clone)]
pub(crate) struct Norm {
    op: BatchNorm,
    weight: Var,
    bias: Var,
    mean: Var,
    var: Var,
}

impl Norm {
    /// Named as in PyTorch; the weight drawn from `weight`, the bias 0. `slope` is the rectifier's below zero.
    pub(crate) fn new(
        variables: &mut Variables,
        name: &str,
        channels: usize,
        weight: Init,
        slope: f64,
    ) -> sconce_core::Result<Self> {
        Ok(Self {
            op: BatchNorm::default().rectified(slope),
            weight: variables.parameter(&format!("{name}.weight"), &[channels], weight)?,
            bias: variables.parameter(&format!("{name}.bias"), &[channels], Init::Constant(0.0))?,
            mean: variables.state(&format!("{name}.running_mean"), &[channels], 0.0)?,
            var: variables.state(&format!("{name}.running_var"), &[channels], 1.0)?,
        })
    }

    /// In train mode the running statistics move by a tenth. `of` decides whether parameters get gradients.
    pub(crate) fn forward(
        &self,
        x: &Tensor,
        train: bool,
        of: impl Fn(&Var) -> Tensor,
    ) -> Result<Tensor> {
        let (weight, bias) = (of(&self.weight), of(&self.bias));
        let running = RunningStatistics {
            mean: self.mean.as_detached_tensor(),
            var: self.var.as_detached_tensor(),
        };
        if !train {
            return self.op.eval(x, &weight, &bias, &running);
        }
        let (y, batch) = self.op.train(x, &weight, &bias)?;
        let moved = running.updated(&batch, 0.1)?;
        self.mean.set(&moved.mean)?;
        self.var.set(&moved.var)?;
        Ok(y)
    }
}

/// A weight and a bias.
#[derive(Debug, Clone)]
pub(crate) struct Affine {
    pub(crate) weight: Var,
    pub(crate) bias: Var,
}

impl Affine {
    /// PyTorch's default distributions for a weight of this shape, `(out, in, …)`.
    pub(crate) fn new(
        variables: &mut Variables,
        name: &str,
        shape: &[usize],
    ) -> sconce_core::Result<Self> {
        let fan_in = shape.iter().skip(1).product();
        let out = shape.first().copied().unwrap_or_default();
        let bias = Init::pytorch_bias(fan_in);
        Ok(Self {
            weight: variables.parameter(&format!("{name}.weight"), shape, Init::PytorchDefault)?,
            bias: variables.parameter(&format!("{name}.bias"), &[out], bias)?,
        })
    }

    pub(crate) fn linear(&self, x: &Tensor) -> Result<Tensor> {
        sconce_ops::linear::linear(x, &self.weight, Some(&self.bias))
    }
}

/// Numbers that PyTorch scripts can make too.
#[cfg(test)]
pub(crate) mod deterministic {
    use super::*;
    use candle_core::Device;

    fn tensor(shape: &[usize], f: impl Fn(f64) -> f64) -> Tensor {
        let values: Vec<f32> =
            (0..shape.iter().product::<usize>()).map(|i| f(i as f64) as f32).collect();
        Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
    }

    /// Sets parameter `k` to `scale * sin(arange * .37 + k)`.
    pub(crate) fn sines(variables: &Variables, scale: f64) {
        for (k, v) in variables.trained().enumerate() {
            let values = tensor(v.var.dims(), |i| (i * 0.37 + k as f64).sin() * scale);
            v.var.set(&values).unwrap();
        }
    }

    /// `cos(arange * .91)`.
    pub(crate) fn cosines(shape: &[usize]) -> Tensor {
        tensor(shape, |i| (i * 0.91).cos())
    }
}
