//! One update of each method: its loss, and numbers about it.

use candle_core::backprop::GradStore;
use candle_core::{Result, Tensor, bail};
use sconce_core::random::Generator;
use sconce_models::networks::two_domains::{
    Domain, Forward, Outputs, TwoDomains, dann_losses, domain_labels,
};
use sconce_models::train::{Reading, Values};
use sconce_ops::device::number;
use sconce_ops::loss::{bce_with_logits, cross_entropy, weighted_sum};
use sconce_ops::tape;

use crate::losses::{Estimator, MULTIPLES, Vat, conditional_entropy, coral, kl, mmd};
use crate::method::{DirtT, Vada};

/// What an update is made of.
#[derive(Debug)]
pub struct Update {
    /// What is made small.
    pub loss: Tensor,
    /// Numbers about it, the loss first.
    pub numbers: Reading,
}

/// The examples of an update.
#[derive(Debug)]
pub struct Examples<'a> {
    /// The source's images, `(batch, 3, 28, 28)`.
    pub source: &'a Tensor,
    /// The target's.
    pub target: &'a Tensor,
    /// The source's classes, u32.
    pub classes: &'a Tensor,
}

/// Where an update's dropout and noise come from: the same for each pass of one domain's images.
pub struct Draws<'a> {
    /// For the source's images.
    pub source: Generator,
    /// For the target's.
    pub target: Generator,
    /// The generator of another purpose.
    pub of: &'a dyn Fn(&str) -> Generator,
}

impl Draws<'_> {
    fn both(&self) -> [Generator; 2] {
        [self.source.clone(), self.target.clone()]
    }
}

/// Cross-entropy of the source's labels.
pub(crate) fn source_only(
    network: &TwoDomains,
    x: &Examples<'_>,
    draws: &Draws<'_>,
) -> Result<Update> {
    let mut rng = draws.source.clone();
    let logits = network.logits(x.source, &mut Forward::train(Domain::Source, &mut rng))?;
    if network.has_own_statistics() {
        // The target's images move its statistics, and nothing else.
        let mut rng = draws.target.clone();
        let mut how = Forward { frozen: true, ..Forward::train(Domain::Target, &mut rng) };
        network.logits(x.target, &mut how)?;
    }
    let loss = cross_entropy(&logits, x.classes)?;
    let numbers = label_values(&loss, &loss, &logits, x.classes);
    Ok(Update { loss, numbers })
}

/// Ganin et al. 2016, eq. 9: see [`dann_losses`].
pub(crate) fn dann(
    network: &TwoDomains,
    x: &Examples<'_>,
    (strength, reversed): (f64, bool),
    draws: &Draws<'_>,
) -> Result<Update> {
    // Unreversed, the features learn to tell the domains apart.
    let turned = if reversed { strength } else { -strength };
    let mut rng = draws.both();
    let of = dann_losses(network, [x.source, x.target], x.classes, Some(turned), &mut rng)?;
    let loss = (&of.label + &of.domain)?;
    let (domains, n) = (of.domains.detach(), x.source.dim(0)?);
    let numbers = label_values(&loss, &of.label, &of.logits, x.classes)
        .and(move || domain_values(&domains, n))
        .and(move || Ok(vec![("strength", strength)]));
    Ok(Update { loss, numbers })
}

/// Which distance of the domains' hidden layers is made small.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Distance {
    Coral,
    Mmd,
}

/// Cross-entropy of the source's labels, and a distance between both domains' last hidden layers.
pub(crate) fn distance(
    network: &TwoDomains,
    x: &Examples<'_>,
    (distance, weight): (Distance, f64),
    draws: &Draws<'_>,
) -> Result<Update> {
    let outputs = network.both([x.source, x.target], true, &mut draws.both())?;
    let ([logits, _], [source, target]) = (all(outputs.logits)?, all(outputs.hidden)?);
    let label = cross_entropy(&logits, x.classes)?;
    let apart = match distance {
        Distance::Coral => coral(&source, &target)?,
        Distance::Mmd => mmd(&source, &target, &MULTIPLES, Estimator::Biased)?,
    };
    let loss = weighted_sum(&[(1.0, &label), (weight, &apart)])?;
    let apart = apart.detach();
    let numbers = label_values(&loss, &label, &logits, x.classes)
        .and(move || Ok(vec![("distance", number(&apart)?), ("weight", weight)]));
    Ok(Update { loss, numbers })
}

/// Cross-entropy of the source's labels and of the target's pseudo-labels, where there are any.
pub(crate) fn pseudo_labels(
    network: &TwoDomains,
    x: &Examples<'_>,
    (pseudo, weight): (Option<&Tensor>, f64),
    draws: &Draws<'_>,
) -> Result<Update> {
    let outputs = network.both([x.source, x.target], true, &mut draws.both())?;
    let [source, target] = all(outputs.logits)?;
    let label = cross_entropy(&source, x.classes)?;
    let of_target = match pseudo {
        Some(classes) => cross_entropy(&target, classes)?,
        None => label.zeros_like()?.detach(),
    };
    let loss = match pseudo {
        Some(_) => weighted_sum(&[(1.0, &label), (weight, &of_target)])?,
        None => label.clone(),
    };
    let of_target = of_target.detach();
    let numbers = label_values(&loss, &label, &source, x.classes)
        .and(move || Ok(vec![("pseudo_label_loss", number(&of_target)?)]));
    Ok(Update { loss, numbers })
}

/// Shu et al. 2018, eq. 8. `judge` is given the domain head's loss and its gradients, and updates that head alone, before the features are
/// asked to deceive it (the authors alternate likewise, in place of a reversal).
///
/// # Errors
/// When shapes do not fit, a domain has no image, or `judge` fails.
pub fn vada(
    network: &TwoDomains,
    x: &Examples<'_>,
    weights: Vada,
    draws: &Draws<'_>,
    judge: impl FnOnce(&Tensor, &GradStore) -> Result<()>,
) -> Result<Update> {
    let n = x.source.dim(0)?;
    // One domain at a time, as virtual adversarial training passes them again with the same dropout and noise.
    let Outputs { features, logits, .. } = network.each([x.source, x.target], &mut draws.both())?;
    let [source, target] = all(logits)?;
    let labels = domain_labels(n, features.dim(0)? - n, &features)?;
    let (gradients, (loss, domains)) = tape::gradients(|| {
        let domains = network.domains(&features.detach(), n, None, false)?;
        let loss = bce_with_logits(&domains, &labels)?;
        let both = (loss.detach(), domains.detach());
        Ok((loss, both))
    })?;
    judge(&loss, &gradients)?;
    let deceived = network.domains(&features, n, None, true)?;
    let domain = bce_with_logits(&deceived, &(1.0 - labels)?)?;

    let label = cross_entropy(&source, x.classes)?;
    let entropy = conditional_entropy(&target)?;
    let of_source =
        virtual_adversarial(network, (x.source, &source), Domain::Source, weights.radius, draws)?;
    let of_target =
        virtual_adversarial(network, (x.target, &target), Domain::Target, weights.radius, draws)?;
    let loss = weighted_sum(&[
        (1.0, &label),
        (weights.domain, &domain),
        (weights.source, &of_source),
        (weights.target, &entropy),
        (weights.target, &of_target),
    ])?;
    let numbers = label_values(&loss, &label, &source, x.classes)
        .and(move || domain_values(&domains, n))
        .and(scalars([
            ("entropy", &entropy),
            ("source_vat", &of_source),
            ("target_vat", &of_target),
        ]));
    Ok(Update { loss, numbers })
}

/// Shu et al. 2018, eq. 14: the target alone, held near the teacher's predictions. Nothing is learned from the source.
pub(crate) fn dirt_t(
    [network, teacher]: [&TwoDomains; 2],
    x: &Examples<'_>,
    weights: DirtT,
    draws: &Draws<'_>,
) -> Result<Update> {
    if network.has_own_statistics() {
        // What the weights make of the source moves with them, so that its statistics are measured on.
        let mut rng = draws.source.clone();
        let mut how = Forward { frozen: true, ..Forward::train(Domain::Source, &mut rng) };
        network.logits(x.source, &mut how)?;
    }
    let x = x.target;
    let mut rng = draws.target.clone();
    let logits = network.logits(x, &mut Forward::train(Domain::Target, &mut rng))?;
    let taught = teacher.logits(x, &mut Forward::eval(Domain::Target))?;
    let entropy = conditional_entropy(&logits)?;
    let vat = virtual_adversarial(network, (x, &logits), Domain::Target, weights.radius, draws)?;
    let apart = kl(&taught, &logits)?;
    let loss = weighted_sum(&[
        (weights.target, &entropy),
        (weights.target, &vat),
        (weights.teacher, &apart),
    ])?;
    let numbers = scalars([
        ("loss", &loss),
        ("entropy", &entropy),
        ("target_vat", &vat),
        ("teacher_divergence", &apart),
    ]);
    Ok(Update { loss, numbers: Reading::new(numbers) })
}

/// How much predictions change where images are moved against them: see [`Vat`]. Dropout and noise are those of the pass that
/// `logits` are from, and the running statistics stay.
fn virtual_adversarial(
    network: &TwoDomains,
    (x, logits): (&Tensor, &Tensor),
    domain: Domain,
    radius: f64,
    draws: &Draws<'_>,
) -> Result<Tensor> {
    let (masks, purpose) = match domain {
        Domain::Source => (&draws.source, "perturbation of the source"),
        Domain::Target => (&draws.target, "perturbation of the target"),
    };
    let forward = |x: &Tensor, frozen: bool| {
        let mut rng = masks.clone();
        network.logits(x, &mut Forward { domain, rng: Some(&mut rng), moves: false, frozen })
    };
    Vat::new(radius).loss(
        x,
        logits,
        |x| forward(x, true),
        |x| forward(x, false),
        &mut (draws.of)(purpose),
    )
}

/// Both domains' tensors.
fn all([source, target]: [Option<Tensor>; 2]) -> Result<[Tensor; 2]> {
    match (source, target) {
        (Some(source), Some(target)) => Ok([source, target]),
        _ => bail!("the network gave no logits of one domain"),
    }
}

/// The loss, the labels' part of it, and the part of the images with the right label.
fn label_values(loss: &Tensor, label: &Tensor, logits: &Tensor, classes: &Tensor) -> Reading {
    let losses = scalars([("loss", loss), ("label_loss", label)]);
    let (logits, classes) = (logits.detach(), classes.clone());
    Reading::new(losses).and(move || {
        let right = logits.argmax(1)?.eq(&classes)?.to_vec1::<u8>()?;
        let hits = right.iter().map(|&hit| f64::from(hit)).sum::<f64>();
        Ok(vec![("label_accuracy", hits / right.len().max(1) as f64)])
    })
}

/// What reads these scalars.
fn scalars<const N: usize>(
    of: [(&'static str, &Tensor); N],
) -> impl FnOnce() -> Result<Values> + 'static {
    let of = of.map(|(name, scalar)| (name, scalar.detach()));
    move || of.into_iter().map(|(name, scalar)| Ok((name, number(&scalar)?))).collect()
}

/// Binary cross-entropy and accuracy of "is of the target domain" on each domain; the first `n` logits are the source's.
fn domain_values(logits: &Tensor, n: usize) -> Result<Values> {
    let logits = logits.to_vec1::<f32>()?;
    let (source, target) = logits.split_at(n.min(logits.len()));
    let mean = |logits: &[f32], of: fn(f64) -> f64| {
        logits.iter().map(|&x| of(f64::from(x))).sum::<f64>() / logits.len().max(1) as f64
    };
    let of_target = |x: f64| f64::from(u8::from(x > 0.0));
    Ok(vec![
        ("domain_loss_source", mean(source, softplus)),
        ("domain_loss_target", mean(target, |x| softplus(-x))),
        ("domain_accuracy_source", 1.0 - mean(source, of_target)),
        ("domain_accuracy_target", mean(target, of_target)),
    ])
}

/// `ln(1 + exp(x))`, without overflow.
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

#[cfg(test)]
mod tests;
