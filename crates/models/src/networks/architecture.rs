//! What a sequential network is made of, before there are weights.

use candle_core::Tensor;
use sconce_core::{Error, Result};
use sconce_ops::conv::Conv2d;
use sconce_ops::pool::Pool2d;

use super::layers::{Conv, Fire, Layer, Linear};
use crate::Tensors;

/// A network as a list of steps: its layers, their sizes, names and taps.
#[derive(Clone, Debug)]
pub struct Architecture {
    pub(crate) name: &'static str,
    pub(crate) steps: Vec<Step>,
}

/// One step, and the name under which its output can be taken.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) tap: &'static str,
    pub(crate) op: Op,
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

/// Whether a parameter belongs to a convolution or to a fully connected layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// A convolution.
    Convolution,
    /// A fully connected layer.
    FullyConnected,
}

/// One parameter tensor of a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// torchvision's name: `features.0.weight`.
    pub name: String,
    /// The tap of the step that it belongs to: `conv1_1`.
    pub layer: &'static str,
    /// What it belongs to.
    pub group: Group,
    /// Its shape; a convolution's is `(out, in, height, width)`, a fully connected layer's `(out, in)`.
    pub shape: Vec<usize>,
}

impl Parameter {
    /// Numbers in it.
    pub fn count(&self) -> usize {
        self.shape.iter().product()
    }
}

impl Architecture {
    /// The name, as in torchvision.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Names of the outputs that can be taken, from the input on.
    pub fn taps(&self) -> impl Iterator<Item = &'static str> {
        self.steps.iter().map(|step| step.tap)
    }

    /// All parameters, from the input on.
    pub fn parameters(&self) -> Vec<Parameter> {
        let mut parameters = Vec::new();
        for Step { tap, op } in &self.steps {
            for tensor in op.tensors() {
                parameters.push(Parameter {
                    name: tensor.names[0].clone(),
                    layer: tap,
                    group: tensor.group,
                    shape: tensor.shape,
                });
            }
        }
        parameters
    }

    /// All parameters with their tensors, which may go by other libraries' names and have another number of classes.
    ///
    /// # Errors
    /// When a tensor is missing or has another shape.
    pub fn named(&self, tensors: &Tensors) -> Result<Vec<(Parameter, Tensor)>> {
        let same = self.clone().with_classes_of(tensors);
        let mut named = Vec::new();
        for (parameter, needed) in
            same.parameters().into_iter().zip(same.steps.iter().flat_map(|step| step.op.tensors()))
        {
            let names: Vec<_> = needed.names.iter().map(String::as_str).collect();
            named.push((parameter, tensors.get(&names, &needed.shape)?));
        }
        Ok(named)
    }

    /// The name of the first convolution's weights, the ones that see the image.
    pub fn first_convolution(&self) -> Option<String> {
        self.parameters().into_iter().find(|p| p.shape.len() == 4).map(|p| p.name)
    }

    /// The layers with their tensors. Fewer channels of the input than the architecture says are allowed, as after
    /// [`Tensors::sum_input_channels`].
    pub(crate) fn build(&self, tensors: &Tensors) -> Result<Vec<(&'static str, Layer)>> {
        let grey =
            self.first_convolution().and_then(|name| tensors.find(&name)?.dims().get(1).copied());
        let mut layers = Vec::with_capacity(self.steps.len());
        for (i, step) in self.steps.iter().enumerate() {
            let op = match (step.op, grey) {
                (Op::ConvRelu { names, output, kernel, stride, padding, .. }, Some(input @ 1))
                    if i == 0 =>
                {
                    Op::ConvRelu { names, input, output, kernel, stride, padding }
                }
                (op, _) => op,
            };
            layers.push((step.tap, op.build(tensors)?));
        }
        Ok(layers)
    }
}

/// A parameter that an [`Op`] needs.
struct Needed {
    names: Vec<String>,
    shape: Vec<usize>,
    group: Group,
}

impl Op {
    /// The parameters: weight, bias, weight, bias, …
    fn tensors(&self) -> Vec<Needed> {
        let conv = |names: Vec<String>, output: usize, input: usize, kernel: usize| {
            let shapes = [vec![output, input, kernel, kernel], vec![output]];
            pair(&names, shapes, Group::Convolution)
        };
        match *self {
            Self::ConvRelu { names, input, output, kernel, .. } => {
                conv(names.iter().map(ToString::to_string).collect(), output, input, kernel).into()
            }
            Self::Fire { name, input, squeeze, expand } => {
                let part = |part: &str| vec![format!("{name}.{part}")];
                let mut tensors = Vec::with_capacity(6);
                tensors.extend(conv(part("squeeze"), squeeze, input, 1));
                tensors.extend(conv(part("expand1x1"), expand, squeeze, 1));
                tensors.extend(conv(part("expand3x3"), expand, squeeze, 3));
                tensors
            }
            Self::Linear { names, input, output } => {
                let names: Vec<_> = names.iter().map(ToString::to_string).collect();
                pair(&names, [vec![output, input], vec![output]], Group::FullyConnected).into()
            }
            Self::MaxPool(_) | Self::GlobalAvgPool | Self::AdaptiveAvgPool(_) | Self::Relu => {
                Vec::new()
            }
        }
    }

    fn build(&self, tensors: &Tensors) -> Result<Layer> {
        let mut found = Vec::new();
        for needed in self.tensors() {
            let names: Vec<_> = needed.names.iter().map(String::as_str).collect();
            found.push(tensors.get(&names, &needed.shape)?);
        }
        let mut found = found.into_iter();
        let mut next = || {
            found.next().ok_or_else(|| Error::message("a layer has fewer parameters than it needs"))
        };
        let mut conv = |stride, padding| -> Result<Conv> {
            let settings = Conv2d::new().stride(stride).padding(padding);
            Conv::new(next()?, next()?, settings).map_err(Error::other)
        };
        Ok(match *self {
            Self::ConvRelu { stride, padding, .. } => Layer::ConvRelu(conv(stride, padding)?),
            Self::Fire { .. } => Layer::Fire(Box::new(Fire {
                squeeze: conv(1, 0)?,
                expand1x1: conv(1, 0)?,
                expand3x3: conv(1, 1)?,
            })),
            Self::MaxPool(pool) => Layer::MaxPool(pool),
            Self::GlobalAvgPool => Layer::GlobalAvgPool,
            Self::AdaptiveAvgPool(size) => Layer::AdaptiveAvgPool(size),
            Self::Linear { .. } => Layer::Linear(Linear { weight: next()?, bias: next()? }),
            Self::Relu => Layer::Relu,
        })
    }
}

fn pair(names: &[String], [weight, bias]: [Vec<usize>; 2], group: Group) -> [Needed; 2] {
    let with = |suffix: &str| names.iter().map(|name| format!("{name}.{suffix}")).collect();
    [
        Needed { names: with("weight"), shape: weight, group },
        Needed { names: with("bias"), shape: bias, group },
    ]
}
