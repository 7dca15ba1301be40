//! The two networks as rows of the table of networks.

use candle_core::{Result, Tensor, bail};

use super::{
    Condition, Discriminator, DiscriminatorLayout, Generator, GeneratorLayout, Initialisation,
    Normalisation,
};
use crate::Tensors;
use crate::networks::architecture::{Architecture, Parameter, Trainable};
use crate::networks::{Network, Pass, taps};
use crate::variables::{Origin, Variables};

/// The generator for 32×32 images in grey from 100 numbers, as in the paper; weights may be of any other layout.
pub(crate) const GENERATOR: Part = Part::Generator(GeneratorLayout {
    latent: 100,
    width: 64,
    channels: 1,
    size: 32,
    classes: 0,
    norm: Normalisation::Batch,
});

/// The discriminator for 32×32 images in grey; weights may be of any other layout.
pub(crate) const DISCRIMINATOR: Part = Part::Discriminator(DiscriminatorLayout {
    width: 64,
    channels: 1,
    size: 32,
    condition: Condition::None,
    classes: 0,
    norm: Normalisation::Batch,
    norm_first: false,
});

const IMAGE: &str = "image";
const REAL: &str = "real";

/// One of the two networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// From noise to images.
    Generator(GeneratorLayout),
    /// From images to a logit.
    Discriminator(DiscriminatorLayout),
}

impl Part {
    /// The same with the layout of these tensors.
    fn of(self, tensors: &Tensors) -> sconce_core::Result<Self> {
        Ok(match self {
            Self::Generator(_) => Self::Generator(GeneratorLayout::of(tensors)?),
            Self::Discriminator(_) => Self::Discriminator(DiscriminatorLayout::of(tensors)?),
        })
    }

    fn output(&self) -> &'static str {
        match self {
            Self::Generator(_) => IMAGE,
            Self::Discriminator(_) => REAL,
        }
    }
}

impl Architecture for Part {
    fn name(&self) -> &'static str {
        match self {
            Self::Generator(_) => "dcgan_generator",
            Self::Discriminator(_) => "dcgan_discriminator",
        }
    }

    fn taps(&self) -> Vec<&'static str> {
        vec![self.output()]
    }

    fn input(&self) -> [usize; 3] {
        match *self {
            Self::Generator(GeneratorLayout { latent, .. }) => [latent, 1, 1],
            Self::Discriminator(DiscriminatorLayout { channels, size, .. }) => {
                [channels, size, size]
            }
        }
    }

    fn classes(&self) -> Option<usize> {
        None
    }

    fn trainable(&self) -> Trainable {
        Trainable::No
    }

    fn parameters(&self) -> Vec<Parameter> {
        match self {
            Self::Generator(layout) => layout.parameters(Initialisation::default()),
            Self::Discriminator(layout) => layout.parameters(Initialisation::default()),
        }
    }

    fn adapt(&self, parameters: &mut Vec<Parameter>, tensors: &Tensors) {
        if let Ok(found) = self.of(tensors) {
            *parameters = found.parameters();
        }
    }

    fn build(&self, tensors: &Tensors) -> sconce_core::Result<Box<dyn Network>> {
        let part = self.of(tensors)?;
        let device = tensors.get("0.weight")?.device().clone();
        let frozen = |_: &Parameter| Origin::Frozen;
        let variables = Variables::of(&part.parameters(), tensors, 0, &device, frozen)?;
        Ok(match part {
            Self::Generator(layout) => Box::new(Generator::new(layout, &variables)?),
            Self::Discriminator(layout) => Box::new(Discriminator::new(layout, &variables)?),
        })
    }
}

/// The one output of a part, in evaluation mode.
fn only(
    network: &dyn Network,
    pass: &Pass<'_>,
    names: &[&str],
    output: impl Fn() -> Result<Tensor>,
) -> Result<Vec<Tensor>> {
    if *pass != Pass::default() {
        bail!("{} can be run only as a whole, with plain gradients", network.architecture());
    }
    taps::run(network, &output()?, pass, names, |_, x| Ok(x.clone()))
}

impl Network for Generator {
    fn architecture(&self) -> &str {
        GENERATOR.name()
    }

    fn taps(&self) -> Vec<&'static str> {
        vec![IMAGE]
    }

    fn classes(&self) -> Option<usize> {
        None
    }

    fn forward_pass(&self, x: &Tensor, pass: &Pass<'_>, taps: &[&str]) -> Result<Vec<Tensor>> {
        only(self, pass, taps, || self.forward(&x.flatten_from(1)?, None, false))
    }
}

impl Network for Discriminator {
    fn architecture(&self) -> &str {
        DISCRIMINATOR.name()
    }

    fn taps(&self) -> Vec<&'static str> {
        vec![REAL]
    }

    fn classes(&self) -> Option<usize> {
        None
    }

    fn forward_pass(&self, x: &Tensor, pass: &Pass<'_>, taps: &[&str]) -> Result<Vec<Tensor>> {
        only(self, pass, taps, || self.forward(x, None, false))
    }
}
