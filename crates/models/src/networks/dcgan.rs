//! Deep convolutional GAN (Radford, Metz and Chintala, "Unsupervised representation learning with deep convolutional
//! generative adversarial networks", 2016) for 32×32 images.

use candle_core::{Result, Tensor, Var, bail};
use sconce_ops::activation::leaky_relu;
use sconce_ops::conv::{Conv2d, ConvTranspose2d, conv_transpose2d, conv2d};
use sconce_ops::loss::bce_with_logits;

use super::architecture::{Architecture, Parameter, Parameters, Trainable};
use super::trainable::Norm;
use super::{Network, Pass};
use crate::Tensors;
use crate::init::Init;
use crate::optim::Optimiser;
use crate::variables::{Origin, Variables};

/// The paper's initialisation: weights of convolutions from N(0, 0.02), of batch norms from N(1, 0.02).
const WEIGHT: Init = Init::Normal { mean: 0.0, std: 0.02 };
const SCALE: Init = Init::Normal { mean: 1.0, std: 0.02 };

/// The generator for 32×32 images in grey from 100 numbers, as in the paper; weights may be of any other sizes.
pub(crate) const GENERATOR: Part = Part::Generator { latent: 100, width: 64, channels: 1 };

/// The discriminator for 32×32 images in grey; weights may be of any other sizes.
pub(crate) const DISCRIMINATOR: Part = Part::Discriminator { width: 64, channels: 1 };

/// One of the two networks, in these sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// From `latent` numbers to images of `channels`.
    Generator {
        /// Size of the noise.
        latent: usize,
        /// Maps before the last layer.
        width: usize,
        /// 1 for grey, 3 for colour.
        channels: usize,
    },
    /// From images of `channels` to a logit.
    Discriminator {
        /// Maps behind the first layer.
        width: usize,
        /// 1 for grey, 3 for colour.
        channels: usize,
    },
}

impl Architecture for Part {
    fn name(&self) -> &'static str {
        match self {
            Self::Generator { .. } => "dcgan_generator",
            Self::Discriminator { .. } => "dcgan_discriminator",
        }
    }

    fn taps(&self) -> Vec<&'static str> {
        vec![self.output()]
    }

    fn input(&self) -> [usize; 3] {
        match *self {
            Self::Generator { latent, .. } => [latent, 1, 1],
            Self::Discriminator { channels, .. } => [channels, 32, 32],
        }
    }

    fn classes(&self) -> Option<usize> {
        None
    }

    fn trainable(&self) -> Trainable {
        Trainable::No
    }

    /// Names as in a PyTorch `Sequential`: `0.weight`, `1.weight` (batch norm), `3.weight`, … of the generator, `0.weight`,
    /// `2.weight`, `3.weight` (batch norm), `5.weight`, … of the discriminator.
    fn parameters(&self) -> Vec<Parameter> {
        let mut parameters = Parameters::new();
        parameters.layer(self.output());
        match *self {
            Self::Generator { latent, width, channels } => {
                let sizes = [latent, 4 * width, 2 * width, width, channels];
                for (i, name) in G_WEIGHTS.iter().enumerate() {
                    parameters.convolution(name, [sizes[i], sizes[i + 1], 4, 4], WEIGHT);
                    if let Some(norm) = G_NORMS.get(i) {
                        parameters.batch_norm(norm, sizes[i + 1], SCALE);
                    }
                }
            }
            Self::Discriminator { width, channels } => {
                let sizes = [channels, width, 2 * width, 4 * width, 1];
                for (i, name) in D_WEIGHTS.iter().enumerate() {
                    parameters.convolution(name, [sizes[i + 1], sizes[i], 4, 4], WEIGHT);
                    if let Some(norm) = i.checked_sub(1).and_then(|i| D_NORMS.get(i)) {
                        parameters.batch_norm(norm, sizes[i + 1], SCALE);
                    }
                }
            }
        }
        parameters.list
    }

    /// All sizes follow from the first and the last convolution.
    fn adapt(&self, parameters: &mut [Parameter], tensors: &Tensors) {
        let size = |name: &str, dim: usize| tensors.find(name)?.dims().get(dim).copied();
        let found = match self {
            Self::Generator { .. } => size("0.weight", 0)
                .zip(size("9.weight", 0))
                .zip(size("9.weight", 1))
                .map(|((latent, width), channels)| Self::Generator { latent, width, channels }),
            Self::Discriminator { .. } => size("0.weight", 0)
                .zip(size("0.weight", 1))
                .map(|(width, channels)| Self::Discriminator { width, channels }),
        };
        for (parameter, found) in parameters.iter_mut().zip(found.iter().flat_map(Self::parameters))
        {
            parameter.shape = found.shape;
        }
    }

    fn build(&self, tensors: &Tensors) -> sconce_core::Result<Box<dyn Network>> {
        let mut parameters = self.parameters();
        self.adapt(&mut parameters, tensors);
        let device = tensors.get("0.weight")?.device().clone();
        let variables = Variables::of(&parameters, tensors, 0, &device, |_| Origin::Frozen)?;
        Ok(match self {
            Self::Generator { .. } => Box::new(Generator::new(&variables)?),
            Self::Discriminator { .. } => Box::new(Discriminator::new(&variables)?),
        })
    }
}

impl Part {
    fn output(&self) -> &'static str {
        match self {
            Self::Generator { .. } => IMAGE,
            Self::Discriminator { .. } => REAL,
        }
    }
}

const IMAGE: &str = "image";
const REAL: &str = "real";
const G_WEIGHTS: [&str; 4] = ["0", "3", "6", "9"];
const G_NORMS: [&str; 3] = ["1", "4", "7"];
const D_WEIGHTS: [&str; 4] = ["0", "2", "5", "8"];
const D_NORMS: [&str; 2] = ["3", "6"];

/// The one output of a part, in evaluation mode.
fn only(
    network: &dyn Network,
    pass: &Pass<'_>,
    taps: &[&str],
    output: impl Fn() -> Result<Tensor>,
) -> Result<Vec<Tensor>> {
    if *pass != Pass::default() {
        bail!("{} can be run only as a whole, with plain gradients", network.architecture());
    }
    super::taps::run(network, &output()?, pass, taps, |_, x| Ok(x.clone()))
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
        only(self, pass, taps, || self.forward(x, false))
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
        only(self, pass, taps, || self.forward(x, false))
    }
}

/// From noise to images.
///
/// Transposed convolutions `latent → 4·width (4×4, stride 1) → 2·width → width → channels (4×4, stride 2, padding 1)`
/// without bias, batch norm and ReLU between them, tanh at the end: `(batch, latent, 1, 1)` to
/// `(batch, channels, 32, 32)` in −1 to 1.
#[derive(Debug, Clone)]
pub struct Generator {
    latent: usize,
    weights: [Var; 4],
    norms: [Norm; 3],
}

/// Variables `name.weight`.
fn weights(variables: &Variables, names: [&str; 4]) -> sconce_core::Result<[Var; 4]> {
    let [a, b, c, d] = names.map(|name| variables.get(&format!("{name}.weight")));
    Ok([a?, b?, c?, d?])
}

impl Generator {
    /// The network of these variables, which are those of a [`Part::Generator`].
    ///
    /// # Errors
    /// When one is missing.
    pub fn new(variables: &Variables) -> sconce_core::Result<Self> {
        let weights = weights(variables, G_WEIGHTS)?;
        let [a, b, c] = G_NORMS.map(|name| Norm::new(variables, name, 0.0));
        let latent = weights[0].dims().first().copied().unwrap_or_default();
        Ok(Self { latent, weights, norms: [a?, b?, c?] })
    }

    /// Size of the noise.
    pub fn latent(&self) -> usize {
        self.latent
    }

    /// Images from noise. In train mode batch norm uses the batch and its running statistics move.
    ///
    /// # Errors
    /// When the noise has another shape than `(batch, latent, 1, 1)`.
    pub fn forward(&self, noise: &Tensor, train: bool) -> Result<Tensor> {
        let mut x = noise.clone();
        for (i, weight) in self.weights.iter().enumerate() {
            let conv = if i == 0 { ConvTranspose2d::new(1, 0) } else { ConvTranspose2d::new(2, 1) };
            x = conv_transpose2d(&x, weight, None, &conv)?;
            if let Some(norm) = self.norms.get(i) {
                x = norm.forward(&x, train, |var| var.as_tensor().clone())?;
            }
        }
        x.tanh()
    }
}

/// From images to the logit of "is real".
///
/// Convolutions `channels → width → 2·width → 4·width (4×4, stride 2, padding 1) → 1 (4×4)` without bias, LeakyReLU 0.2
/// behind each but the last, batch norm before it from the second on: `(batch, channels, 32, 32)` to `(batch)`.
#[derive(Debug, Clone)]
pub struct Discriminator {
    weights: [Var; 4],
    norms: [Norm; 2],
}

const SLOPE: f64 = 0.2;

impl Discriminator {
    /// The network of these variables, which are those of a [`Part::Discriminator`].
    ///
    /// # Errors
    /// When one is missing.
    pub fn new(variables: &Variables) -> sconce_core::Result<Self> {
        let [a, b] = D_NORMS.map(|name| Norm::new(variables, name, SLOPE));
        Ok(Self { weights: weights(variables, D_WEIGHTS)?, norms: [a?, b?] })
    }

    /// Logits of "is real", `(batch)`. In train mode batch norm uses the batch and its running statistics move.
    ///
    /// # Errors
    /// When the images have another shape.
    pub fn forward(&self, images: &Tensor, train: bool) -> Result<Tensor> {
        self.judge(images, train, |var| var.as_tensor().clone())
    }

    /// The same without gradients to the discriminator's own parameters, which then cost nothing.
    ///
    /// # Errors
    /// When the images have another shape.
    pub fn forward_frozen(&self, images: &Tensor, train: bool) -> Result<Tensor> {
        self.judge(images, train, Var::as_detached_tensor)
    }

    fn judge(
        &self,
        images: &Tensor,
        train: bool,
        of: impl Fn(&Var) -> Tensor + Copy,
    ) -> Result<Tensor> {
        let [first, second, third, last] = &self.weights;
        let strided = Conv2d::new().stride(2).padding(1);
        let mut x = leaky_relu(&conv2d(images, &of(first), None, &strided)?, SLOPE)?;
        for (weight, norm) in [second, third].into_iter().zip(&self.norms) {
            x = norm.forward(&conv2d(&x, &of(weight), None, &strided)?, train, of)?;
        }
        conv2d(&x, &of(last), None, &Conv2d::new())?.flatten_all()
    }
}

/// The numbers of one update.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GanLosses {
    /// Binary cross-entropy of the discriminator on real and on generated images, added.
    pub discriminator: f64,
    /// Binary cross-entropy of "is real" on generated images, after the discriminator's update.
    pub generator: f64,
    /// Mean probability of "is real" for real images, before the update.
    pub real: f64,
    /// Mean probability of "is real" for generated images, before the update.
    pub fake: f64,
}

/// One update of the discriminator on `images` and on as many generated ones, then one of the generator (non-saturating
/// loss).
///
/// `images` are `(batch, channels, 32, 32)` in −1 to 1, `noise` is `(batch, latent, 1, 1)`.
///
/// # Errors
/// When shapes do not fit.
pub fn step(
    (generator, of_generator): (&Generator, &mut Optimiser),
    (discriminator, of_discriminator): (&Discriminator, &mut Optimiser),
    images: &Tensor,
    noise: &Tensor,
    learning_rate: f64,
) -> Result<GanLosses> {
    let generated = generator.forward(noise, true)?;
    let number = |t: &Tensor| t.to_dtype(candle_core::DType::F64)?.to_scalar::<f64>();
    let probability = |logits: &Tensor| {
        let logits = logits.detach().to_vec1::<f32>()?;
        let sum: f64 = logits.iter().map(|&x| 1.0 / (1.0 + (-f64::from(x)).exp())).sum();
        Ok::<_, candle_core::Error>(sum / logits.len().max(1) as f64)
    };
    let on_real = discriminator.forward(images, true)?;
    let on_fake = discriminator.forward(&generated.detach(), true)?;
    let real_loss = bce_with_logits(&on_real, &on_real.ones_like()?.detach())?;
    let fake_loss = bce_with_logits(&on_fake, &on_fake.zeros_like()?.detach())?;
    let loss = (&real_loss + &fake_loss)?;
    of_discriminator.step(&loss.backward()?, learning_rate)?;
    let judged = discriminator.forward_frozen(&generated, true)?;
    let deceit = bce_with_logits(&judged, &judged.ones_like()?.detach())?;
    of_generator.step(&deceit.backward()?, learning_rate)?;
    Ok(GanLosses {
        discriminator: number(&loss)?,
        generator: number(&deceit)?,
        real: probability(&on_real)?,
        fake: probability(&on_fake)?,
    })
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::networks::trainable::deterministic::{cosines, sines};
    use crate::optim::{Adam, Method};

    /// The same networks in PyTorch with width 4, noise of 6; parameter `k` of each is `.3 * sin(arange * .37 + k)`,
    /// images and noise are `cos(arange * .91)`, Adam(2e-3, betas=(.5, .999)); three steps, then
    /// g[1].running_mean[:3], d[3].running_var[:3], g.eval()(noise).flatten()[::500]
    #[test]
    fn numbers_of_three_steps_are_pytorchs() {
        let device = Device::Cpu;
        let generator = Part::Generator { latent: 6, width: 4, channels: 1 };
        let discriminator = Part::Discriminator { width: 4, channels: 1 };
        let of_g = Variables::drawn(&generator.parameters(), 1, &device).unwrap();
        let of_d = Variables::drawn(&discriminator.parameters(), 2, &device).unwrap();
        let g = Generator::new(&of_g).unwrap();
        let d = Discriminator::new(&of_d).unwrap();
        sines(&of_g, 0.3);
        sines(&of_d, 0.3);
        let adam = Method::Adam(Adam { betas: [0.5, 0.999], ..Adam::default() });
        let mut og = Optimiser::new(adam, &of_g).unwrap();
        let mut od = Optimiser::new(adam, &of_d).unwrap();
        let (images, noise) = (cosines(&[4, 1, 32, 32]), cosines(&[4, 6, 1, 1]));
        let close = |got: &[f64], want: &[f64]| {
            assert_eq!(got.len(), want.len());
            for (got, want) in got.iter().zip(want) {
                assert!((got - want).abs() < 1e-3 * want.abs().max(0.1), "{got} {want}");
            }
        };
        for want in [
            [1.4207580, 0.8629593, 0.4686067, 0.4734236],
            [1.3650717, 0.7718861, 0.4928529, 0.4804651],
            [1.4990413, 0.6536282, 0.5201957, 0.5666307],
        ] {
            let got = step((&g, &mut og), (&d, &mut od), &images, &noise, 2e-3).unwrap();
            close(&[got.discriminator, got.generator, got.real, got.fake], &want);
        }
        let numbers = |t: &Tensor| -> Vec<f64> {
            let t = t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            t.into_iter().map(f64::from).collect()
        };
        let state = |variables: &Variables, name: &str| {
            let found = variables.iter().find(|v| v.name == name).unwrap();
            numbers(&found.var)[..3].to_vec()
        };
        close(&state(&of_g, "1.running_mean"), &[0.00350804, 0.00619852, 0.00737461]);
        close(&state(&of_d, "3.running_var"), &[1.7272444, 2.6085298, 1.7122742]);
        let shown: Vec<f64> =
            numbers(&g.forward(&noise, false).unwrap()).into_iter().step_by(500).collect();
        close(
            &shown,
            &[
                -0.1883671, -0.0949102, -0.1179786, -0.0320352, -0.0224899, -0.0325756, -0.0917899,
                -0.0831089, -0.0468375,
            ],
        );
    }

    #[test]
    fn a_frozen_discriminator_judges_alike_and_gets_no_gradient() {
        let part = Part::Discriminator { width: 4, channels: 1 };
        let variables = Variables::drawn(&part.parameters(), 2, &Device::Cpu).unwrap();
        let d = Discriminator::new(&variables).unwrap();
        let images = Var::from_tensor(&cosines(&[4, 1, 32, 32])).unwrap();
        let (free, frozen) = (d.forward(&images, true), d.forward_frozen(&images, true));
        let (free, frozen) = (free.unwrap(), frozen.unwrap());
        assert_eq!(free.to_vec1::<f32>().unwrap(), frozen.to_vec1::<f32>().unwrap());
        let (a, b) = (free.backward().unwrap(), frozen.backward().unwrap());
        for v in variables.trained() {
            assert!(a.get(&v.var).is_some() && b.get(&v.var).is_none(), "{}", v.name);
        }
        let bits = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(bits(a.get(&images).unwrap()), bits(b.get(&images).unwrap()));
    }
}
