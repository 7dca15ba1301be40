//! Networks that learn from images of two domains: features, a head for labels, and one that tells the domains apart.

mod dann;
mod layout;
mod norm;
#[cfg(test)]
mod tests;

use candle_core::{Result, Tensor, bail};
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};
use schemars::JsonSchema;
use sconce_core::random::Generator;
use sconce_ops::activation::{leaky_relu, relu};
use sconce_ops::conv::{Conv2d, conv2d, conv2d_max_pool2d};
use sconce_ops::dropout::{dropout, dropout2d};
use sconce_ops::linear::linear;
use sconce_ops::pool::{Pool2d, global_avg_pool2d, max_pool2d};
use sconce_ops::reversal::gradient_reversal;
use serde::{Deserialize, Serialize};

pub use dann::{DannLosses, Outputs, dann_losses, domain_labels};
pub use layout::{DANN, DANN_BN, DANN_WIDE, LAYOUTS, Layout, VADA};
use layout::{FEATURES, Op, SOURCE};
use norm::Norm;

use crate::Tensors;
use crate::variables::Variables;

/// Which domain images are of. It matters where the domains have batch statistics of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Domain {
    /// The one with labels.
    Source,
    /// The one without.
    Target,
}

/// Whose batch statistics batch norm uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Statistics {
    /// Those of both domains' images in one batch, and one running mean and variance.
    #[default]
    Together,
    /// Each domain its own, with scale and shift shared.
    Apart,
}

/// How images go through the network.
#[derive(Debug)]
pub struct Forward<'a> {
    /// Whose statistics are used, and moved.
    pub domain: Domain,
    /// In training: where dropout and noise come from; `None` in eval mode.
    pub rng: Option<&'a mut Generator>,
    /// Whether training moves the running statistics.
    pub moves: bool,
    /// Whether the parameters are constants: no gradient reaches them, and none is computed.
    pub frozen: bool,
}

impl<'a> Forward<'a> {
    /// In eval mode, without gradients to parameters.
    pub fn eval(domain: Domain) -> Self {
        Self { domain, rng: None, moves: false, frozen: true }
    }

    /// In train mode; running statistics move.
    pub fn train(domain: Domain, rng: &'a mut Generator) -> Self {
        Self { domain, rng: Some(rng), moves: true, frozen: false }
    }

    fn of(&self, parameter: &Tensor) -> Tensor {
        if self.frozen { parameter.detach() } else { parameter.clone() }
    }
}

/// A network of two domains, of variables that training changes.
#[derive(Debug, Clone)]
pub struct TwoDomains {
    units: Vec<Built>,
    /// The first unit of the label head.
    head: usize,
    /// None where weights have none.
    domain: Option<DomainHead>,
    statistics: Statistics,
    /// Part of the numbers that dropout drops.
    pub dropout: f64,
    /// Deviation of the noise behind the first two blocks of `vada`.
    pub noise: f64,
}

#[derive(Debug, Clone)]
enum Built {
    Conv { weight: Tensor, then: Then, conv: Conv2d, slope: f64 },
    Linear { weight: Tensor, then: Then, rectified: bool },
    MaxPool,
    GlobalAvgPool,
    Flatten,
    Dropout,
    Dropout2d,
    Noise,
}

/// What tells the domains apart: a hidden layer with ReLU, and one number.
#[derive(Debug, Clone)]
struct DomainHead {
    hidden: Tensor,
    then: Then,
    last: Affine,
}

/// What follows a product.
#[derive(Debug, Clone)]
enum Then {
    Bias(Tensor),
    Norm(Norm),
}

#[derive(Debug, Clone)]
struct Affine {
    weight: Tensor,
    bias: Tensor,
}

impl Affine {
    fn new(tensors: &Tensors, name: &str) -> sconce_core::Result<Self> {
        let part = |part: &str| tensors.get(&format!("{name}.{part}"));
        Ok(Self { weight: part("weight")?, bias: part("bias")? })
    }
}

/// Where parameters are: the tensors, and the variables that they live in where the network is trained.
struct Parts<'a> {
    tensors: &'a Tensors,
    variables: Option<&'a Variables>,
}

impl Built {
    fn new(op: Op, parts: &Parts<'_>, apart: bool) -> sconce_core::Result<Self> {
        let weight = |name: &str| parts.tensors.get(&format!("{name}.weight"));
        let then = |name: &str, norm: Option<&str>, slope| -> sconce_core::Result<Then> {
            Ok(match norm {
                Some(norm) => Then::Norm(Norm::new(parts, norm, slope, apart)?),
                None => Then::Bias(parts.tensors.get(&format!("{name}.bias"))?),
            })
        };
        Ok(match op {
            Op::Conv { name, norm, slope, padding, .. } => Self::Conv {
                weight: weight(name)?,
                then: then(name, norm, slope)?,
                conv: Conv2d::new().padding(padding),
                slope,
            },
            Op::Linear { name, norm, rectified, .. } => {
                Self::Linear { weight: weight(name)?, then: then(name, norm, 0.0)?, rectified }
            }
            Op::MaxPool => Self::MaxPool,
            Op::GlobalAvgPool => Self::GlobalAvgPool,
            Op::Flatten => Self::Flatten,
            Op::Dropout => Self::Dropout,
            Op::Dropout2d => Self::Dropout2d,
            Op::Noise => Self::Noise,
        })
    }
}

const POOL: fn() -> Pool2d = || Pool2d::new(2, 2);

impl TwoDomains {
    /// The network of these variables, which are those of [`Layout::domain_parameters`].
    ///
    /// # Errors
    /// When one is missing.
    pub fn new(
        layout: Layout,
        statistics: Statistics,
        variables: &Variables,
    ) -> sconce_core::Result<Self> {
        let parts = Parts { tensors: &variables.live(), variables: Some(variables) };
        Self::of_parts(layout, statistics, &parts)
    }

    /// The network of tensors that no training changes, with one set of statistics.
    pub(super) fn of_tensors(layout: Layout, tensors: &Tensors) -> sconce_core::Result<Self> {
        Self::of_parts(layout, Statistics::Together, &Parts { tensors, variables: None })
    }

    fn of_parts(
        layout: Layout,
        statistics: Statistics,
        parts: &Parts<'_>,
    ) -> sconce_core::Result<Self> {
        let units = layout.units();
        let apart = statistics == Statistics::Apart && layout.is_normed();
        let domain = match parts.tensors.contains("domain.0.weight") {
            true => Some(DomainHead {
                hidden: parts.tensors.get("domain.0.weight")?,
                then: match layout.has_domain_norm() {
                    true => Then::Norm(Norm::new(parts, "domain.1", 0.0, apart)?),
                    false => Then::Bias(parts.tensors.get("domain.0.bias")?),
                },
                last: Affine::new(parts.tensors, layout.domain_last())?,
            }),
            false => None,
        };
        let features = units.iter().position(|unit| unit.tap == FEATURES);
        let built = units.iter().map(|unit| Built::new(unit.op, parts, apart));
        Ok(Self {
            head: features.map_or(units.len(), |place| place + 1),
            units: built.collect::<sconce_core::Result<_>>()?,
            domain,
            statistics,
            dropout: 0.0,
            noise: 0.0,
        })
    }

    /// Whether each domain has batch statistics of its own.
    pub fn has_own_statistics(&self) -> bool {
        self.statistics == Statistics::Apart && self.is_normed()
    }

    /// Whether it has batch norm.
    pub fn is_normed(&self) -> bool {
        let normed = |unit: &Built| {
            matches!(
                unit,
                Built::Conv { then: Then::Norm(_), .. } | Built::Linear { then: Then::Norm(_), .. }
            )
        };
        self.units.iter().any(normed)
    }

    /// From images `(batch, 3, 28, 28)` to what both heads take.
    ///
    /// # Errors
    /// When the input has another shape.
    pub fn features(&self, x: &Tensor, how: &mut Forward<'_>) -> Result<Tensor> {
        self.run(0..self.head, x, how)
    }

    /// From features to the label head's last hidden layer, `(batch, numbers)`, and to its logits, `(batch, classes)`.
    ///
    /// # Errors
    /// When the features have another shape.
    pub fn labels(&self, features: &Tensor, how: &mut Forward<'_>) -> Result<[Tensor; 2]> {
        let last = self.units.len() - 1;
        let hidden = self.run(self.head..last, features, how)?;
        let logits = self.run(last..last + 1, &hidden, how)?;
        Ok([hidden, logits])
    }

    /// Logits of the classes of images, `(batch, classes)`.
    ///
    /// # Errors
    /// When the input has another shape.
    pub fn logits(&self, x: &Tensor, how: &mut Forward<'_>) -> Result<Tensor> {
        self.run(0..self.units.len(), x, how)
    }

    /// Logits of "is of the target domain" in train mode from features, whose first `n` rows are the source's: `(batch)`. The
    /// gradient that reaches the features is turned around and multiplied by `strength`, or passes as it is where there is
    /// none; a frozen head gets no gradient, and its running statistics stay.
    ///
    /// # Errors
    /// When the features have another shape.
    pub fn domains(
        &self,
        features: &Tensor,
        n: usize,
        strength: Option<f64>,
        frozen: bool,
    ) -> Result<Tensor> {
        let flat = features.flatten_from(1)?;
        let x = match strength {
            Some(strength) => gradient_reversal(&flat, strength)?,
            None => flat,
        };
        let Some(DomainHead { hidden, then, last }) = &self.domain else {
            bail!("these weights have no domain head");
        };
        let of = |parameter: &Tensor| if frozen { parameter.detach() } else { parameter.clone() };
        let y = match then {
            Then::Bias(bias) => relu(&linear(&x, &of(hidden), Some(&of(bias)))?)?,
            Then::Norm(norm) => {
                let y = linear(&x, &of(hidden), None)?;
                let normed = |y: &Tensor, domain| norm.train(y, domain, !frozen, of);
                if self.has_own_statistics() {
                    let source = normed(&y.narrow(0, 0, n)?, Domain::Source)?;
                    let target = normed(&y.narrow(0, n, y.dim(0)? - n)?, Domain::Target)?;
                    Tensor::cat(&[source, target], 0)?
                } else {
                    normed(&y, Domain::Target)?
                }
            }
        };
        linear(&y, &of(&last.weight), Some(&of(&last.bias)))?.squeeze(1)
    }

    /// What one unit computes in eval mode, with the target's statistics.
    pub(crate) fn eval_unit(&self, place: usize, x: &Tensor) -> Result<Tensor> {
        // Parameters that training may change get their gradients.
        let mut how = Forward { frozen: false, ..Forward::eval(Domain::Target) };
        self.run(place..place + 1, x, &mut how)
    }

    fn run(
        &self,
        units: std::ops::Range<usize>,
        x: &Tensor,
        how: &mut Forward<'_>,
    ) -> Result<Tensor> {
        let (mut x, mut at) = (x.clone(), units.start);
        while at < units.end {
            let behind = self.units[..units.end].get(at + 1);
            x = match (&self.units[at], behind) {
                // one operation where a pooling follows
                (
                    Built::Conv { weight, then: Then::Bias(bias), conv, slope: 0.0 },
                    Some(Built::MaxPool),
                ) => {
                    at += 1;
                    let (w, b) = (how.of(weight), how.of(bias));
                    conv2d_max_pool2d(&x, &w, Some(&b), &conv.relu(true), &POOL())?
                }
                (unit, _) => self.unit(unit, &x, how)?,
            };
            at += 1;
        }
        Ok(x)
    }

    fn unit(&self, unit: &Built, x: &Tensor, how: &mut Forward<'_>) -> Result<Tensor> {
        match unit {
            Built::Conv { weight, then: Then::Bias(bias), conv, slope } => {
                let (w, b) = (how.of(weight), how.of(bias));
                match *slope {
                    0.0 => conv2d(x, &w, Some(&b), &conv.relu(true)),
                    slope => leaky_relu(&conv2d(x, &w, Some(&b), conv)?, slope),
                }
            }
            Built::Conv { weight, then: Then::Norm(norm), conv, .. } => {
                normed(norm, &conv2d(x, &how.of(weight), None, conv)?, how)
            }
            Built::Linear { weight, then: Then::Bias(bias), rectified } => {
                let y = linear(x, &how.of(weight), Some(&how.of(bias)))?;
                if *rectified { relu(&y) } else { Ok(y) }
            }
            Built::Linear { weight, then: Then::Norm(norm), .. } => {
                normed(norm, &linear(x, &how.of(weight), None)?, how)
            }
            Built::MaxPool => max_pool2d(x, &POOL()),
            Built::GlobalAvgPool => global_avg_pool2d(x)?.flatten_from(1),
            Built::Flatten => x.flatten_from(1),
            Built::Dropout => match &mut how.rng {
                Some(rng) if self.dropout > 0.0 => dropout(x, self.dropout, rng),
                _ => Ok(x.clone()),
            },
            Built::Dropout2d => match &mut how.rng {
                Some(rng) if self.dropout > 0.0 => dropout2d(x, self.dropout, rng),
                _ => Ok(x.clone()),
            },
            Built::Noise => match &mut how.rng {
                Some(rng) if self.noise > 0.0 => noisy(x, self.noise, rng),
                _ => Ok(x.clone()),
            },
        }
    }

    /// The variables under the names of a network of one domain: with the source's statistics or the target's, and
    /// without the other's.
    ///
    /// # Errors
    /// When the device has no room.
    pub fn of_domain(variables: &Variables, domain: Domain) -> sconce_core::Result<Variables> {
        let mut one = Variables::new(0, variables.device());
        for variable in variables.iter().filter(|v| !v.name.starts_with(SOURCE)) {
            let own = variables.get(&format!("{SOURCE}{}", variable.name)).ok();
            let var =
                own.filter(|_| domain == Domain::Source).unwrap_or_else(|| variable.var.clone());
            one.insert(&variable.name, var.as_tensor(), variable.trained)?;
        }
        Ok(one)
    }
}

fn normed(norm: &Norm, x: &Tensor, how: &Forward<'_>) -> Result<Tensor> {
    let of = |parameter: &Tensor| how.of(parameter);
    match how.rng {
        Some(_) => norm.train(x, how.domain, how.moves, of),
        None => norm.eval(x, how.domain, of),
    }
}

/// `x` with normal noise of this deviation, one draw a number in row-major order.
fn noisy(x: &Tensor, deviation: f64, rng: &mut impl Rng) -> Result<Tensor> {
    let draw = |_| {
        let normal: f32 = StandardNormal.sample(rng);
        normal * deviation as f32
    };
    let noise: Vec<f32> = (0..x.elem_count()).map(draw).collect();
    x + Tensor::from_vec(noise, x.shape(), x.device())?.to_dtype(x.dtype())?
}
