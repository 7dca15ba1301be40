//! One update of both networks.

use candle_core::{Result, Tensor};
use sconce_core::random::Generator as Rng;
use sconce_ops::device::{in_f64, number};
use sconce_ops::tape;

use super::{Discriminator, Generator, Normalisation, Objective, Updates};
use crate::init::Init;
use crate::optim::Optimiser;

/// A network with its optimiser, and the size of its updates.
pub struct Side<'a, N> {
    /// The network.
    pub network: &'a N,
    /// The optimiser of its variables.
    pub optimiser: &'a mut Optimiser,
    /// Size of the updates.
    pub learning_rate: f64,
}

/// What an update sees.
#[derive(Debug)]
pub struct Examples<'a> {
    /// Real images, `(batch, channels, size, size)` in −1 to 1.
    pub images: &'a Tensor,
    /// Noise, `(batch, latent)`.
    pub noise: &'a Tensor,
    /// The real images' classes, `(batch, classes)`, which the generated ones get too; none where neither network is told.
    pub classes: Option<&'a Tensor>,
}

/// The numbers of one update.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct GanLosses {
    /// The discriminator's loss, its penalties among it.
    pub discriminator: f64,
    /// The generator's, after the discriminator's update.
    pub generator: f64,
    /// Mean probability of "is real" for real images, before the update.
    pub real: f64,
    /// Mean probability of "is real" for generated images, before the update.
    pub fake: f64,
    /// Part of all pairs of a real and a generated image of which the real one has the larger logit, before the update: 1
    /// when the discriminator tells all apart, ½ when it tells none (the area under its ROC curve).
    pub ranking: f64,
    /// The discriminator's penalties.
    pub penalty: f64,
}

impl GanLosses {
    /// Names of the numbers, in their order.
    pub const NAMES: [&str; 6] =
        ["discriminator_loss", "generator_loss", "real", "fake", "ranking", "penalty"];

    /// The numbers, in the order of [`NAMES`](Self::NAMES).
    pub fn numbers(&self) -> [f64; 6] {
        let Self { discriminator, generator, real, fake, ranking, penalty } = *self;
        [discriminator, generator, real, fake, ranking, penalty]
    }

    /// From [`numbers`](Self::numbers).
    pub fn of([discriminator, generator, real, fake, ranking, penalty]: [f64; 6]) -> Self {
        Self { discriminator, generator, real, fake, ranking, penalty }
    }

    /// Whether all are numbers: of logits that are none a loss can be one.
    pub fn is_finite(&self) -> bool {
        self.numbers().iter().all(|number| number.is_finite())
    }
}

/// The losses of an update that were not read yet: reading them waits until a device has done it.
#[derive(Debug)]
pub struct UnreadLosses {
    discriminator: Tensor,
    generator: Tensor,
    on_real: Tensor,
    on_fake: Tensor,
    penalty: Option<Tensor>,
}

impl UnreadLosses {
    /// The numbers.
    ///
    /// # Errors
    /// When the device fails.
    pub fn read(&self) -> Result<GanLosses> {
        let logits = |logits: &Tensor| in_f64(logits)?.to_vec1();
        let (real, fake) = (logits(&self.on_real)?, logits(&self.on_fake)?);
        Ok(GanLosses {
            discriminator: number(&self.discriminator)?,
            generator: number(&self.generator)?,
            real: probability(&real),
            fake: probability(&fake),
            ranking: ranking(&real, &fake),
            penalty: self.penalty.as_ref().map_or(Ok(0.0), number)?,
        })
    }
}

/// Mean of `sigmoid`.
fn probability(logits: &[f64]) -> f64 {
    logits.iter().map(|x| 1.0 / (1.0 + (-x).exp())).sum::<f64>() / logits.len().max(1) as f64
}

/// Part of pairs whose first is larger; equal ones count by half.
fn ranking(real: &[f64], fake: &[f64]) -> f64 {
    let of = |r: &f64, f: &f64| match r.total_cmp(f) {
        std::cmp::Ordering::Greater => 1.0,
        std::cmp::Ordering::Equal => 0.5,
        std::cmp::Ordering::Less => 0.0,
    };
    let sum: f64 = real.iter().map(|r| fake.iter().map(|f| of(r, f)).sum::<f64>()).sum();
    sum / (real.len() * fake.len()).max(1) as f64
}

/// One update of the discriminator on real images and on as many generated ones, then one of the generator.
///
/// Batch norm sees real and generated images apart. A loss that is no number makes parameters that are none: nobody waits to see it,
/// so that who reads the losses has to go back. `rng` draws the noise of the penalties.
///
/// # Errors
/// When shapes do not fit.
pub fn step(
    generator: &mut Side<'_, Generator>,
    discriminator: &mut Side<'_, Discriminator>,
    x: &Examples<'_>,
    objective: &Objective,
    rng: &mut Rng,
) -> Result<UnreadLosses> {
    let (g, d) = (generator.network, discriminator.network);
    let of_g = x.classes.filter(|_| g.layout().classes > 0);
    let of_d = x.classes.filter(|_| d.layout().classes > 0);
    let Objective { loss, smoothing, updates, .. } = *objective;
    let [g_learns, d_learns] =
        [Updates::Discriminator, Updates::Generator].map(|other| updates != other);
    // a loss from which nothing is learned has no way back
    let asked = |loss: Tensor, learns: bool| if learns { loss } else { loss.detach() };
    let (gradients, losses) = tape::gradients(|| {
        let generated = asked(g.forward(x.noise, of_g, true)?, g_learns);
        let (gradients, (of_discriminator, on_real, on_fake, penalty)) = tape::gradients(|| {
            let on_real = d.forward(x.images, of_d, true)?;
            let on_fake = d.forward(&generated.detach(), of_d, true)?;
            let both = [&on_real, &on_fake];
            let penalty = penalty(d, x.images, &generated.detach(), of_d, both, objective, rng)?;
            let adversarial = loss.discriminator(&on_real, &on_fake, smoothing)?;
            let of_discriminator = match &penalty {
                Some(penalty) => (&adversarial + penalty)?,
                None => adversarial,
            };
            let [loss, on_real, on_fake] =
                [&of_discriminator, &on_real, &on_fake].map(Tensor::detach);
            let penalty = penalty.map(|penalty| penalty.detach());
            Ok((asked(of_discriminator, d_learns), (loss, on_real, on_fake, penalty)))
        })?;
        if d_learns {
            discriminator.optimiser.step(&gradients, discriminator.learning_rate)?;
        }
        let judged = d.forward_frozen(&generated, of_d, true)?;
        let again = match loss.needs_real() {
            true => Some(d.forward_frozen(x.images, of_d, true)?),
            false => None,
        };
        let deceit = loss.generator(again.as_ref(), &judged)?;
        let losses = UnreadLosses {
            discriminator: of_discriminator,
            generator: deceit.detach(),
            on_real,
            on_fake,
            penalty,
        };
        Ok((asked(deceit, g_learns), losses))
    })?;
    if g_learns {
        generator.optimiser.step(&gradients, generator.learning_rate)?;
    }
    Ok(losses)
}

/// The discriminator's penalties, weighted and added.
///
/// A pass in train mode moves the state of spectral norms, so that two passes are of two networks. With such norms both points are
/// looked at with the state at rest: their difference is the noise's alone.
fn penalty(
    d: &Discriminator,
    images: &Tensor,
    generated: &Tensor,
    classes: Option<&Tensor>,
    [on_real, on_fake]: [&Tensor; 2],
    objective: &Objective,
    rng: &mut Rng,
) -> Result<Option<Tensor>> {
    let of = objective.penalty;
    let moves = d.layout().norm == Normalisation::Spectral;
    let mut sum: Option<Tensor> = None;
    for (weight, images, here) in [(of.real, images, on_real), (of.fake, generated, on_fake)] {
        if weight == 0.0 {
            continue;
        }
        let noise = Init::Normal { mean: 0.0, std: of.sigma };
        let noise = noise.draw(images.dims(), rng, images.device());
        let noise = noise.map_err(candle_core::Error::wrap)?;
        let there = d.forward(&(images + noise)?, classes, !moves)?;
        let term = match moves {
            true => of.of(&d.forward(images, classes, false)?, &there)?,
            false => of.of(here, &there)?,
        };
        let term = (term * weight)?;
        sum = Some(match sum {
            Some(sum) => (sum + term)?,
            None => term,
        });
    }
    Ok(sum)
}
