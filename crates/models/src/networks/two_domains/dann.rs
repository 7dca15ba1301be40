//! The losses of domain-adversarial training.

use candle_core::{Result, Tensor, bail};
use sconce_core::random::Generator;
use sconce_ops::loss::{bce_with_logits, cross_entropy};

use super::{Domain, Forward, TwoDomains};

/// What both domains' images give, in train mode.
#[derive(Debug, Clone)]
pub struct Outputs {
    /// Features of the source's images, then of the target's: one row an image.
    pub features: Tensor,
    /// The label head's last hidden layer; the target's only where somebody needs it.
    pub hidden: [Option<Tensor>; 2],
    /// Logits of the classes; the target's only where somebody needs them.
    pub logits: [Option<Tensor>; 2],
}

impl TwoDomains {
    /// Both domains' images through features and label head, in train mode.
    ///
    /// Without batch norm, or with statistics together, they go as one batch through the features. Batch norm in the label
    /// head sees the target too, so that its statistics are those of the images that are tested; else the target passes
    /// the label head only where `target_labels` asks for it. Dropout and noise are drawn from the first generator, and for
    /// a target that passes alone from the second.
    ///
    /// # Errors
    /// When shapes do not fit or a domain has no image.
    pub fn both(
        &self,
        [source, target]: [&Tensor; 2],
        target_labels: bool,
        rng: &mut [Generator; 2],
    ) -> Result<Outputs> {
        let (n, m) = check_both(source, target)?;
        let target_labels = target_labels || self.is_normed();
        if self.has_own_statistics() {
            return self.each([source, target], rng);
        }
        let [of_both, _] = rng;
        let mut how = Forward::train(Domain::Target, of_both);
        let features = self.features(&Tensor::cat(&[source, target], 0)?, &mut how)?;
        let halves =
            |x: &Tensor| -> Result<[Tensor; 2]> { Ok([x.narrow(0, 0, n)?, x.narrow(0, n, m)?]) };
        if target_labels {
            let [hidden, logits] = self.labels(&features, &mut how)?;
            return Ok(Outputs {
                features,
                hidden: halves(&hidden)?.map(Some),
                logits: halves(&logits)?.map(Some),
            });
        }
        let [hidden, logits] = self.labels(&features.narrow(0, 0, n)?, &mut how)?;
        Ok(Outputs { features, hidden: [Some(hidden), None], logits: [Some(logits), None] })
    }

    /// Each domain's images by themselves through features and label head, in train mode, with dropout and noise from a
    /// generator of their own: what a further pass of one domain's images can draw again.
    ///
    /// # Errors
    /// When shapes do not fit or a domain has no image.
    pub fn each(
        &self,
        [source, target]: [&Tensor; 2],
        [of_source, of_target]: &mut [Generator; 2],
    ) -> Result<Outputs> {
        check_both(source, target)?;
        let one = |x: &Tensor, domain, rng: &mut Generator| -> Result<[Tensor; 3]> {
            let mut how = Forward::train(domain, rng);
            let features = self.features(x, &mut how)?;
            let [hidden, logits] = self.labels(&features, &mut how)?;
            Ok([features, hidden, logits])
        };
        let [fs, hs, ls] = one(source, Domain::Source, of_source)?;
        let [ft, ht, lt] = one(target, Domain::Target, of_target)?;
        Ok(Outputs {
            features: Tensor::cat(&[fs, ft], 0)?,
            hidden: [Some(hs), Some(ht)],
            logits: [Some(ls), Some(lt)],
        })
    }
}

/// The numbers of images, of which no domain may have none.
fn check_both(source: &Tensor, target: &Tensor) -> Result<(usize, usize)> {
    let (n, m) = (source.dim(0)?, target.dim(0)?);
    if n == 0 || m == 0 {
        bail!("a step expects images of both domains, got {n} and {m}");
    }
    Ok((n, m))
}

/// The losses of an update of DANN, each a scalar, and the logits that they are of.
#[derive(Debug, Clone)]
pub struct DannLosses {
    /// Cross-entropy of the source images' labels.
    pub label: Tensor,
    /// Binary cross-entropy of the domain of source (0) and target (1) images.
    pub domain: Tensor,
    /// Logits of the source's classes, `(batch, classes)`.
    pub logits: Tensor,
    /// Logits of "is of the target domain": the source's images, then the target's.
    pub domains: Tensor,
}

/// Cross-entropy of the source's labels, and binary cross-entropy of the domains of both behind the reversal (Ganin et al.,
/// "Domain-adversarial training of neural networks", 2016, eq. 9): their sum is what is made small.
///
/// `source` and `target` are `(batch, 3, 28, 28)`, `labels` the source's classes, u32. With a `strength` of `None` the
/// gradient of the domains is not reversed.
///
/// # Errors
/// When shapes do not fit or a domain has no image.
pub fn dann_losses(
    network: &TwoDomains,
    [source, target]: [&Tensor; 2],
    labels: &Tensor,
    strength: Option<f64>,
    rng: &mut [Generator; 2],
) -> Result<DannLosses> {
    let (n, m) = (source.dim(0)?, target.dim(0)?);
    let outputs = network.both([source, target], false, rng)?;
    let [Some(logits), _] = outputs.logits else { bail!("the network gave no logits") };
    let label = cross_entropy(&logits, labels)?;
    let domains = network.domains(&outputs.features, n, strength, false)?;
    let domain = bce_with_logits(&domains, &domain_labels(n, m, source)?)?;
    Ok(DannLosses { label, domain, logits, domains })
}

/// What the domain head is to say: 0 for each of `n` source images, then 1 for each of `m` target images.
///
/// # Errors
/// When the device has no room.
pub fn domain_labels(n: usize, m: usize, like: &Tensor) -> Result<Tensor> {
    let labels: Vec<f32> = (0..n + m).map(|i| if i < n { 0.0 } else { 1.0 }).collect();
    Tensor::from_vec(labels, n + m, like.device())
}
