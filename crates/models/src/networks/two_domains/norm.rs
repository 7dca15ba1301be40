//! Batch normalisation of one or two domains.

use candle_core::{Result, Tensor, Var};
use sconce_ops::norm::{BatchNorm, RunningStatistics};

use super::layout::SOURCE;
use super::{Domain, Parts};

/// Scale and shift, and the running statistics of each domain (or one for both).
#[derive(Debug, Clone)]
pub(super) struct Norm {
    op: BatchNorm,
    weight: Tensor,
    bias: Tensor,
    target: Running,
    source: Option<Running>,
}

/// Mean and variance, and the variables that training moves them by; those share their memory.
#[derive(Debug, Clone)]
struct Running {
    statistics: RunningStatistics,
    moved: Option<[Var; 2]>,
}

/// How much a batch moves the running statistics (PyTorch's momentum).
const MOMENTUM: f64 = 0.1;

impl Norm {
    /// `slope` is that of the rectifier behind it below zero.
    pub(super) fn new(
        parts: &Parts<'_>,
        name: &str,
        slope: f64,
        apart: bool,
    ) -> sconce_core::Result<Self> {
        let running = |prefix: &str| -> sconce_core::Result<Running> {
            let names =
                ["running_mean", "running_var"].map(|part| format!("{prefix}{name}.{part}"));
            let [mean, var] = [parts.tensors.get(&names[0])?, parts.tensors.get(&names[1])?];
            let moved = match parts.variables {
                Some(variables) => Some([variables.get(&names[0])?, variables.get(&names[1])?]),
                None => None,
            };
            Ok(Running { statistics: RunningStatistics { mean, var }, moved })
        };
        Ok(Self {
            op: BatchNorm::default().rectified(slope),
            weight: parts.tensors.get(&format!("{name}.weight"))?,
            bias: parts.tensors.get(&format!("{name}.bias"))?,
            target: running("")?,
            source: if apart { Some(running(SOURCE)?) } else { None },
        })
    }

    fn running(&self, domain: Domain) -> &Running {
        match (domain, &self.source) {
            (Domain::Source, Some(source)) => source,
            _ => &self.target,
        }
    }

    /// With the batch's own mean and variance; running statistics move where `moves`.
    pub(super) fn train(
        &self,
        x: &Tensor,
        domain: Domain,
        moves: bool,
        of: impl Fn(&Tensor) -> Tensor,
    ) -> Result<Tensor> {
        let (y, batch) = self.op.train(x, &of(&self.weight), &of(&self.bias))?;
        if let (true, Running { statistics, moved: Some([mean, var]) }) =
            (moves, self.running(domain))
        {
            let moved = statistics.updated(&batch, MOMENTUM)?;
            mean.set(&moved.mean)?;
            var.set(&moved.var)?;
        }
        Ok(y)
    }

    /// With the running statistics.
    pub(super) fn eval(
        &self,
        x: &Tensor,
        domain: Domain,
        of: impl Fn(&Tensor) -> Tensor,
    ) -> Result<Tensor> {
        let statistics = &self.running(domain).statistics;
        self.op.eval(x, &of(&self.weight), &of(&self.bias), statistics)
    }
}
