//! Networks that are lists of layers.

use std::borrow::Cow;

use candle_core::Tensor;
use sconce_core::{Error, Result};
use sconce_ops::conv::Conv2d;
use sconce_ops::pool::Pool2d;

use super::architecture::{Architecture, Parameter, Parameters, Trainable};
use super::layers::{Conv, Fire, Layer, Linear, Rectifier, Weights};
use super::taps::Wanted;
use super::{Network, Pass};
use crate::Tensors;

/// A network as a list of steps: its layers, their sizes, names and taps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sequential {
    pub(crate) name: &'static str,
    pub(crate) input: [usize; 3],
    pub(crate) classes: Option<usize>,
    pub(crate) trainable: Trainable,
    pub(crate) steps: fn() -> Vec<Step>,
    /// The name of the network without the steps that can be left out.
    pub(crate) shortened: Option<&'static str>,
    /// What names of layers begin with that weights may have beyond the network's.
    pub(crate) beyond: &'static [&'static str],
}

/// One step, and the name under which its output can be taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) tap: &'static str,
    pub(crate) op: Op,
    /// Whether weights may end before it.
    pub(crate) optional: bool,
}

/// Names of a layer's tensors without `.weight` and `.bias`: torchvision's first.
pub(crate) type Names = &'static [&'static str];

/// What a step computes, with the sizes of its parameters.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Op {
    ConvRelu {
        names: Names,
        input: usize,
        output: usize,
        kernel: usize,
        stride: usize,
        padding: usize,
    },
    Fire {
        name: &'static str,
        input: usize,
        squeeze: usize,
        expand: usize,
    },
    MaxPool(Pool2d),
    GlobalAvgPool,
    AdaptiveAvgPool(usize),
    Linear {
        names: Names,
        input: usize,
        output: usize,
    },
    Relu,
}

/// A step that is always there.
pub(crate) fn step(tap: &'static str, op: Op) -> Step {
    Step { tap, op, optional: false }
}

impl Architecture for Sequential {
    fn name(&self) -> &'static str {
        self.name
    }

    fn taps(&self) -> Vec<&'static str> {
        (self.steps)().iter().map(|step| step.tap).collect()
    }

    fn input(&self) -> [usize; 3] {
        self.input
    }

    fn classes(&self) -> Option<usize> {
        self.classes
    }

    fn trainable(&self) -> Trainable {
        self.trainable
    }

    fn parameters(&self) -> Vec<Parameter> {
        let mut parameters = Parameters::new();
        for Step { tap, op, optional } in (self.steps)() {
            parameters.layer(tap);
            if optional {
                parameters.optional();
            }
            op.parameters(&mut parameters);
        }
        parameters.list
    }

    fn is_foreign(&self, name: &str, tensor: &Tensor) -> bool {
        let beyond = self.beyond.iter().any(|prefix| name.starts_with(prefix));
        name.ends_with(".weight") && tensor.rank() > 1 && !beyond
    }

    fn build(&self, tensors: &Tensors) -> Result<Box<dyn Network>> {
        let mut steps = (self.steps)();
        let mut name = self.name;
        let is_there =
            |step: &Step| step.op.layers().iter().all(|layer| tensors.contains(&weight(layer)));
        if let (Some(shortened), false) = (self.shortened, steps.iter().all(is_there)) {
            steps.retain(|step| !step.optional);
            name = shortened;
        }
        let last = steps.iter().filter_map(|step| step.op.layers().pop()).next_back();
        let rows = last.and_then(|layer| tensors.find(&weight(&layer))?.dims().first().copied());
        let classes = rows.filter(|_| steps.iter().any(|step| step.tap == "logits"));
        let layers = steps.iter().map(|step| Ok((step.tap, step.op.build(tensors)?)));
        Ok(Box::new(Chain { name, classes, layers: layers.collect::<Result<_>>()? }))
    }
}

fn weight(layer: &str) -> String {
    format!("{layer}.weight")
}

impl Op {
    /// Names of the layers with parameters.
    fn layers(&self) -> Vec<Cow<'static, str>> {
        match *self {
            Self::ConvRelu { names, .. } | Self::Linear { names, .. } => vec![names[0].into()],
            Self::Fire { name, .. } => {
                let part = |part: &str| format!("{name}.{part}").into();
                ["squeeze", "expand1x1", "expand3x3"].map(part).into()
            }
            Self::MaxPool(_) | Self::GlobalAvgPool | Self::AdaptiveAvgPool(_) | Self::Relu => {
                vec![]
            }
        }
    }

    fn parameters(&self, parameters: &mut Parameters) {
        match *self {
            Self::ConvRelu { names, input, output, kernel, .. } => {
                parameters.affine(names, &[output, input, kernel, kernel]);
            }
            Self::Fire { input, squeeze, expand, .. } => {
                let shapes =
                    [[squeeze, input, 1, 1], [expand, squeeze, 1, 1], [expand, squeeze, 3, 3]];
                for (name, shape) in self.layers().iter().zip(shapes) {
                    parameters.affine(&[name], &shape);
                }
            }
            Self::Linear { names, input, output } => parameters.affine(names, &[output, input]),
            Self::MaxPool(_) | Self::GlobalAvgPool | Self::AdaptiveAvgPool(_) | Self::Relu => {}
        }
    }

    fn build(&self, tensors: &Tensors) -> Result<Layer> {
        let names = self.layers();
        let affine = |layer: usize| -> Result<(Tensor, Tensor)> {
            let name = names.get(layer).map_or("", |name| name);
            Ok((tensors.get(&weight(name))?, tensors.get(&format!("{name}.bias"))?))
        };
        let conv = |layer: usize, stride, padding| -> Result<Conv> {
            let settings = Conv2d::new().stride(stride).padding(padding);
            let (weight, bias) = affine(layer)?;
            Conv::new(Weights::Plain(weight, bias), settings).map_err(Error::other)
        };
        Ok(match *self {
            Self::ConvRelu { stride, padding, .. } => Layer::ConvRelu(conv(0, stride, padding)?),
            Self::Fire { .. } => Layer::Fire(Box::new(Fire {
                squeeze: conv(0, 1, 0)?,
                expand1x1: conv(1, 1, 0)?,
                expand3x3: conv(2, 1, 1)?,
            })),
            Self::MaxPool(pool) => Layer::MaxPool(pool),
            Self::GlobalAvgPool => Layer::GlobalAvgPool,
            Self::AdaptiveAvgPool(size) => Layer::AdaptiveAvgPool(size),
            Self::Linear { .. } => {
                let (weight, bias) = affine(0)?;
                Layer::Linear(Linear { weight, bias })
            }
            Self::Relu => Layer::Relu,
        })
    }
}

/// The layers with their parameters.
struct Chain {
    name: &'static str,
    classes: Option<usize>,
    layers: Vec<(&'static str, Layer)>,
}

impl Network for Chain {
    fn architecture(&self) -> &str {
        self.name
    }

    fn taps(&self) -> Vec<&'static str> {
        self.layers.iter().map(|(tap, _)| *tap).collect()
    }

    fn classes(&self) -> Option<usize> {
        self.classes
    }

    fn forward_pass(
        &self,
        x: &Tensor,
        pass: &Pass<'_>,
        taps: &[&str],
    ) -> candle_core::Result<Vec<Tensor>> {
        let mut wanted = Wanted::new(self, pass, taps)?;
        let mut x = x.clone();
        let mut i = wanted.first();
        while i < wanted.end() {
            let layer = &self.layers[i].1;
            let behind = self.layers[..wanted.end()].get(i + 1).filter(|_| !wanted.contains(i));
            x = match (layer, behind.map(|(_, layer)| layer), pass.rectifier) {
                // one operation where nobody asks for what lies between
                (Layer::ConvRelu(conv), Some(Layer::MaxPool(pool)), Rectifier::Plain) => {
                    i += 1;
                    conv.forward_relu_max_pool(&x, pool)?
                }
                _ => layer.forward(&x, pass.rectifier)?,
            };
            wanted.keep(i, || Ok(x.clone()))?;
            i += 1;
        }
        Ok(wanted.outputs())
    }
}
