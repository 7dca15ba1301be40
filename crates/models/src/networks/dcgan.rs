//! Deep convolutional GAN (Radford, Metz and Chintala, "Unsupervised representation learning with deep convolutional
//! generative adversarial networks", 2016) for 32×32 images.

use candle_core::{Result, Tensor, Var};
use sconce_ops::activation::leaky_relu;
use sconce_ops::conv::{Conv2d, ConvTranspose2d, conv_transpose2d, conv2d};
use sconce_ops::loss::bce_with_logits;

use super::trainable::Norm;
use crate::init::Init;
use crate::optim::Optimiser;
use crate::variables::Variables;

/// The paper's initialisation: weights of convolutions from N(0, 0.02), of batch norms from N(1, 0.02).
const WEIGHT: Init = Init::Normal { mean: 0.0, std: 0.02 };
const SCALE: Init = Init::Normal { mean: 1.0, std: 0.02 };

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

impl Generator {
    /// Names as in a PyTorch `Sequential`: `0.weight`, `1.weight` (batch norm), `3.weight`, …
    ///
    /// # Errors
    /// When a name among `variables` is taken.
    pub fn new(
        variables: &mut Variables,
        latent: usize,
        width: usize,
        channels: usize,
    ) -> sconce_core::Result<Self> {
        let sizes = [latent, 4 * width, 2 * width, width, channels];
        let weight = |variables: &mut Variables, i: usize| {
            let name = format!("{}.weight", 3 * i);
            variables.parameter(&name, &[sizes[i], sizes[i + 1], 4, 4], WEIGHT)
        };
        let norm = |variables: &mut Variables, i: usize| {
            Norm::new(variables, &(3 * i + 1).to_string(), sizes[i + 1], SCALE, 0.0)
        };
        let first = (weight(variables, 0)?, norm(variables, 0)?);
        let second = (weight(variables, 1)?, norm(variables, 1)?);
        let third = (weight(variables, 2)?, norm(variables, 2)?);
        let last = weight(variables, 3)?;
        Ok(Self {
            latent,
            weights: [first.0, second.0, third.0, last],
            norms: [first.1, second.1, third.1],
        })
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
    /// Names as in a PyTorch `Sequential`: `0.weight`, `2.weight`, `3.weight` (batch norm), `5.weight`, …
    ///
    /// # Errors
    /// When a name among `variables` is taken.
    pub fn new(
        variables: &mut Variables,
        width: usize,
        channels: usize,
    ) -> sconce_core::Result<Self> {
        let weight = |variables: &mut Variables, name: &str, out: usize, inside: usize| {
            variables.parameter(&format!("{name}.weight"), &[out, inside, 4, 4], WEIGHT)
        };
        let norm = |variables: &mut Variables, name: &str, channels: usize| {
            Norm::new(variables, name, channels, SCALE, SLOPE)
        };
        let first = weight(variables, "0", width, channels)?;
        let second = (weight(variables, "2", 2 * width, width)?, norm(variables, "3", 2 * width)?);
        let third =
            (weight(variables, "5", 4 * width, 2 * width)?, norm(variables, "6", 4 * width)?);
        let last = weight(variables, "8", 1, 4 * width)?;
        Ok(Self { weights: [first, second.0, third.0, last], norms: [second.1, third.1] })
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
        let halve = Conv2d::new().stride(2).padding(1);
        let mut x = leaky_relu(&conv2d(images, &of(first), None, &halve)?, SLOPE)?;
        for (weight, norm) in [second, third].into_iter().zip(&self.norms) {
            x = norm.forward(&conv2d(&x, &of(weight), None, &halve)?, train, of)?;
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
        let (mut of_g, mut of_d) = (Variables::new(1, &device), Variables::new(2, &device));
        let g = Generator::new(&mut of_g, 6, 4, 1).unwrap();
        let d = Discriminator::new(&mut of_d, 4, 1).unwrap();
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
        let mut variables = Variables::new(2, &Device::Cpu);
        let d = Discriminator::new(&mut variables, 4, 1).unwrap();
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
