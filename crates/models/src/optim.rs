//! Optimisers: PyTorch's updates, with their state to save and restore.

mod adam;
mod sgd;
pub(crate) mod update;

pub use adam::Adam;
use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};
use schemars::JsonSchema;
use sconce_core::{Error, Result};
use serde::{Deserialize, Serialize};
pub use sgd::Sgd;

use crate::Tensors;
use crate::variables::{Variable, Variables, copy, set};

/// An optimiser by name, with its numbers: `{ sgd = { momentum = 0.9 } }`, `{ adam = { betas = [0.5, 0.999] } }`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Method {
    /// Stochastic gradient descent.
    Sgd(Sgd),
    /// Adam.
    Adam(Adam),
}

impl Method {
    /// Refuses numbers that cannot be used.
    ///
    /// # Errors
    /// [`Error::Parameter`] with the name of the number.
    pub fn check(&self) -> Result<()> {
        let within = |name: &str, value: f64, below_one: bool| {
            if value >= 0.0 && value.is_finite() && (value < 1.0 || !below_one) {
                return Ok(());
            }
            let upper = if below_one { " and below 1" } else { "" };
            Err(Error::parameter(name, format!("expected at least 0{upper}, got {value}")))
        };
        match self {
            Self::Sgd(sgd) => {
                within("momentum", sgd.momentum, true)?;
                within("weight_decay", sgd.weight_decay, false)
            }
            Self::Adam(adam) => {
                within("betas", adam.betas[0], true)?;
                within("betas", adam.betas[1], true)?;
                within("eps", adam.eps, false)?;
                within("weight_decay", adam.weight_decay, false)
            }
        }
    }

    fn slots(&self) -> &'static [&'static str] {
        match self {
            Self::Sgd(sgd) if sgd.momentum == 0.0 => &[],
            Self::Sgd(_) => &["momentum"],
            Self::Adam(_) => &["mean", "square"],
        }
    }
}

/// An optimiser at work on variables.
///
/// ```
/// use candle_core::Device;
/// use sconce_models::init::Init;
/// use sconce_models::optim::{Method, Optimiser, Sgd};
/// use sconce_models::variables::Variables;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut variables = Variables::new(0, &Device::Cpu);
/// let x = variables.parameter("x", &[1], Init::Constant(3.0))?;
/// let mut optimiser = Optimiser::new(Method::Sgd(Sgd { momentum: 0.0, ..Sgd::default() }), &variables)?;
/// // x ← x − 0.1 · d(x²)/dx = 3 − 0.1 · 6
/// optimiser.step(&x.sqr()?.sum_all()?.backward()?, 0.1)?;
/// assert!((x.to_vec1::<f32>()?[0] - 2.4).abs() < 1e-6);
/// # Ok(())
/// # }
/// ```
pub struct Optimiser {
    method: Method,
    parameters: Vec<Parameter>,
}

struct Parameter {
    name: String,
    var: Var,
    /// Updates that it has had; none for a parameter without gradient so far.
    steps: u32,
    /// What learning rates are multiplied by.
    rate: f64,
    /// One tensor for each of the method's slots, of the parameter's shape.
    slots: Vec<Var>,
}

impl Optimiser {
    /// An optimiser of the trained ones among `variables`.
    ///
    /// # Errors
    /// When a number of the method cannot be used.
    pub fn new(method: Method, variables: &Variables) -> Result<Self> {
        method.check()?;
        let parameter = |Variable { name, var, .. }: &Variable| {
            let slot = |_: &&str| Var::zeros(var.shape(), var.dtype(), var.device());
            let slots = method.slots().iter().map(slot).collect::<candle_core::Result<_>>();
            let slots = slots.map_err(Error::other)?;
            Ok(Parameter { name: name.clone(), var: var.clone(), steps: 0, rate: 1.0, slots })
        };
        let parameters = variables.trained().map(parameter).collect::<Result<_>>()?;
        Ok(Self { method, parameters })
    }

    /// Sets what learning rates are multiplied by, for each parameter by its name; 1 before.
    pub fn set_rates(&mut self, rate: impl Fn(&str) -> f64) {
        for parameter in &mut self.parameters {
            parameter.rate = rate(&parameter.name);
        }
    }

    /// Updates all variables that have a gradient; the others stay as they are, and so does what is remembered of them.
    ///
    /// A gradient of zeros is a gradient: weight decay, momentum and means go on. So a loss whose weight begins at 0 has to
    /// stay in the graph, which [`sconce_ops::loss::weighted_sum`] sees to; candle's `loss * 0.0` leaves no gradient.
    ///
    /// # Errors
    /// When a gradient does not fit.
    pub fn step(&mut self, gradients: &GradStore, learning_rate: f64) -> candle_core::Result<()> {
        for parameter in &mut self.parameters {
            let Some(gradient) = gradients.get(&parameter.var) else { continue };
            parameter.steps += 1;
            let Parameter { var, steps, rate, slots, .. } = parameter;
            let learning_rate = learning_rate * *rate;
            match (&self.method, slots.as_slice()) {
                (Method::Sgd(sgd), slots) => {
                    sgd.update(var, gradient, slots.first(), learning_rate)?;
                }
                (Method::Adam(adam), [mean, square]) => {
                    adam.update(var, gradient, [mean, square], *steps, learning_rate)?;
                }
                (Method::Adam(_), _) => {}
            }
        }
        Ok(())
    }

    /// Puts copies of all that it remembers into `into`, under names behind `prefix`.
    ///
    /// # Errors
    /// When the device has no room.
    pub fn save(&self, prefix: &str, into: &mut Tensors) -> Result<()> {
        for Parameter { name, var, steps, slots, .. } in &self.parameters {
            let count = Tensor::new(*steps, var.device()).map_err(Error::other)?;
            into.insert(format!("{prefix}steps.{name}"), count);
            for (slot, kind) in slots.iter().zip(self.method.slots()) {
                into.insert(format!("{prefix}{kind}.{name}"), copy(slot)?);
            }
        }
        Ok(())
    }

    /// Sets all that it remembers from what [`save`](Self::save) put there.
    ///
    /// # Errors
    /// When something is missing or has another shape.
    pub fn restore(&mut self, prefix: &str, from: &Tensors) -> Result<()> {
        for Parameter { name, steps, slots, .. } in &mut self.parameters {
            let count = from.shaped(&format!("{prefix}steps.{name}"), &[])?;
            *steps = count.to_scalar().map_err(Error::other)?;
            for (slot, kind) in slots.iter().zip(self.method.slots()) {
                set(slot, from, &format!("{prefix}{kind}.{name}"))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::excessive_precision, reason = "numbers as PyTorch prints them")]
mod tests;
