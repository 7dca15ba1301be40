//! Layers of variables, for the networks that have updates of their own.

use candle_core::{Result, Tensor, Var};
use sconce_ops::norm::{BatchNorm, RunningStatistics};

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
    /// Of the variables `name.weight`, `name.bias`, `name.running_mean` and `name.running_var`. `slope` is the rectifier's
    /// below zero.
    pub(crate) fn new(variables: &Variables, name: &str, slope: f64) -> sconce_core::Result<Self> {
        let part = |part: &str| variables.get(&format!("{name}.{part}"));
        Ok(Self {
            op: BatchNorm::default().rectified(slope),
            weight: part("weight")?,
            bias: part("bias")?,
            mean: part("running_mean")?,
            var: part("running_var")?,
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

    /// By the batch's statistics, as in train mode, while the running ones stay.
    pub(crate) fn forward_of_batch(&self, x: &Tensor) -> Result<Tensor> {
        Ok(self.op.train(x, self.weight.as_tensor(), self.bias.as_tensor())?.0)
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
