use candle_core::{Error, Result, Tensor, Var, bail};
use sconce_core::random::Generator;
use sconce_models::init::Init;
use sconce_ops::sum::sum_keepdim;
use sconce_ops::tape;

use super::kl;

/// Virtual adversarial training: a network shall say of an image what it says of its neighbours, above all in the
/// direction in which it changes its mind the most.
///
/// Miyato et al., "Virtual adversarial training: a regularization method for supervised and semi-supervised learning",
/// 2018, equations 5 and 6 and algorithm 1; on both domains in Shu et al., "A DIRT-T approach to unsupervised domain
/// adaptation", 2018, with a radius of 3.5.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Vat {
    /// Euclidean length of an image's perturbation, in the units of the network's input.
    pub radius: f64,
    /// Length of the step at which the divergence's gradient is taken, in the same units.
    pub xi: f64,
    /// Steps of the power method.
    pub steps: usize,
}

impl Vat {
    /// The length [`xi`](Self::xi) where nothing speaks for another.
    ///
    /// The authors of VADA take 1e-6, where in single precision the probabilities' differences drown in rounding. Of the
    /// practical's network after two epochs of 10,000 digits (standardised), 256 digits of MNIST and of a
    /// likeness of MNIST-M on made-up patches, medians of the
    /// cosine between the direction that single precision finds and the one of double precision at the same ξ, and the
    /// one at ξ → 0; the mean divergence that a perturbation of length 3.5 makes (.0001 in random directions):
    ///
    /// | ξ | source: same ξ, ξ → 0 | divergence | target: same ξ, ξ → 0 | divergence |
    /// |---|---|---|---|---|
    /// | 1e-6 | .167, .167 | .0927 | −.106, −.106 | .0628 |
    /// | 1e-3 | .899, .898 | .1230 | .9996, .9996 | .0783 |
    /// | 1e-2 | .998, .998 | .1253 | 1.0000, .9999 | .0782 |
    /// | 1e-1 | 1.000, .999 | .1241 | 1.0000, .9977 | .0781 |
    /// | 1 | 1.000, .994 | .1254 | 1.0000, .9717 | .0763 |
    /// | 10 | 1.000, .949 | .1233 | 1.0000, .7360 | .0658 |
    ///
    /// Of the source's digits nine in ten have a cosine above .998 at 1, above .58 at .1: the surest need the longest steps.
    pub const XI: f64 = 1.0;

    /// One power step at a distance of [`XI`](Self::XI).
    pub fn new(radius: f64) -> Self {
        Self { radius, xi: Self::XI, steps: 1 }
    }

    /// For each image of `x` `(batch, …)` the vector of length `radius` that changes its predictions the most, to second
    /// order: `(batch, …)`, without gradient.
    ///
    /// A random direction `d` of length 1, then `steps` times `d ← g / ‖g‖` with `g` the gradient of
    /// `KL(p(x) ‖ p(x + ξd))` to the image at `x + ξd`; all of it image by image. `logits` `(batch, classes)` are what the
    /// network says of `x`; `forward` gives those of other images. An image whose gradient is 0 (one that the network is
    /// so sure of that its probabilities are 0 and 1) is not perturbed.
    ///
    /// Give a `forward` of constants, since what it needs of the network's own gradients would be computed for nothing;
    /// a network keeps copies of constants, so build it anew when they have changed. One that draws dropout or noise anew
    /// has a gradient also at `d = 0`, and that one decides: what the authors of VADA do.
    ///
    /// ```
    /// use candle_core::{Device, Tensor};
    /// use sconce_adaptation::losses::Vat;
    /// use sconce_core::random::generator;
    ///
    /// // of two numbers the network looks at the first alone
    /// let network = |x: &Tensor| x.matmul(&Tensor::new(&[[1f32, -1.], [0., 0.]], &Device::Cpu)?);
    /// let x = Tensor::new(&[[0.1f32, 5.]], &Device::Cpu)?;
    /// let found = Vat::new(2.0).perturbation(&x, &network(&x)?, network, &mut generator(1, "vat"))?;
    /// let found = found.to_vec2::<f32>()?;
    /// assert!((found[0][0].abs() - 2.).abs() < 1e-6 && found[0][1] == 0.);
    /// # Ok::<(), candle_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// When a number of `self` cannot be used, `forward` fails or does not depend on its input, or the shapes differ.
    pub fn perturbation(
        &self,
        x: &Tensor,
        logits: &Tensor,
        mut forward: impl FnMut(&Tensor) -> Result<Tensor>,
        rng: &mut Generator,
    ) -> Result<Tensor> {
        self.check()?;
        let (x, logits) = (x.detach(), logits.detach());
        let normal = Init::Normal { mean: 0.0, std: 1.0 };
        let drawn = normal.draw(x.dims(), rng, x.device()).map_err(Error::wrap)?;
        let mut direction = unit(&drawn.to_dtype(x.dtype())?)?;
        for _ in 0..self.steps {
            let near = Var::from_tensor(&(&x + (direction * self.xi)?)?)?;
            let (gradients, ()) = tape::gradients(|| Ok((kl(&logits, &forward(&near)?)?, ())))?;
            let Some(gradient) = gradients.get(&near) else {
                bail!("virtual adversarial training expects logits that depend on the images");
            };
            direction = unit(gradient)?;
        }
        direction * self.radius
    }

    /// Mean `KL(p(x) ‖ p(x + r))` with `r` the [`perturbation`](Self::perturbation) that `frozen` leads to, and
    /// `forward` what the gradient is asked of. No gradient flows to `logits`.
    ///
    /// # Errors
    /// As there.
    pub fn loss(
        &self,
        x: &Tensor,
        logits: &Tensor,
        frozen: impl FnMut(&Tensor) -> Result<Tensor>,
        mut forward: impl FnMut(&Tensor) -> Result<Tensor>,
        rng: &mut Generator,
    ) -> Result<Tensor> {
        let perturbation = self.perturbation(x, logits, frozen, rng)?;
        kl(logits, &forward(&(x + perturbation)?)?)
    }

    /// Refuses numbers that cannot be used.
    ///
    /// # Errors
    /// When one is not above 0.
    pub fn check(&self) -> Result<()> {
        let Self { radius, xi, steps } = *self;
        let usable = |length: f64| length > 0.0 && length.is_finite();
        if !(usable(radius) && usable(xi) && steps > 0) {
            bail!(
                "virtual adversarial training expects a radius, a length ξ and steps above 0, got {radius}, {xi} and {steps}"
            );
        }
        Ok(())
    }
}

/// Each row of `(batch, …)` divided by its Euclidean length; a row of zeros stays.
fn unit(x: &Tensor) -> Result<Tensor> {
    let rows = x.detach().flatten_from(1)?;
    // squares of tiny gradients would be 0
    let largest = rows.abs()?.max_keepdim(1)?.maximum(f64::from(f32::MIN_POSITIVE))?;
    let rows = rows.broadcast_div(&largest)?;
    let length = sum_keepdim(&rows.sqr()?, 1)?.sqrt()?.maximum(1.0)?;
    rows.broadcast_div(&length)?.reshape(x.dims())
}

#[cfg(test)]
mod tests;
