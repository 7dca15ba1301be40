//! Domain-adversarial network for digits (Ganin et al., "Domain-adversarial training of neural networks", 2016).

use candle_core::{Result, Tensor, bail};
use sconce_ops::activation::relu;
use sconce_ops::loss::{bce_with_logits, cross_entropy};
use sconce_ops::pool::Pool2d;
use sconce_ops::reversal::gradient_reversal;

use super::architecture::{Architecture, Parameter, Parameters, Trainable};
use super::sequential::{Op, Sequential, Step, step};
use super::trainable::Affine;
use super::{Network, Pass};
use crate::optim::Optimiser;
use crate::variables::Variables;

/// Features of an image.
const FEATURES: usize = 48 * 7 * 7;

/// The features and the label head, a network for the classes of one domain. Input `(batch, 3, 28, 28)`, 10 classes.
///
/// Taps: `conv1`, `pool1`, `conv2`, `pool2`, `features` (2352 numbers), `fc1`, `relu1`, `fc2`, `relu2`, `logits`.
pub(crate) const DANN: Sequential = Sequential {
    name: "dann",
    input: [3, 28, 28],
    classes: Some(10),
    trainable: Trainable::FromNothing,
    steps,
    shortened: None,
    beyond: &["domain."],
};

fn steps() -> Vec<Step> {
    let conv = |tap, names, input, output| {
        step(tap, Op::ConvRelu { names, input, output, kernel: 5, stride: 1, padding: 2 })
    };
    let linear = |tap, names, input, output| step(tap, Op::Linear { names, input, output });
    let pool = |tap| step(tap, Op::MaxPool(Pool2d::new(2, 2)));
    vec![
        conv("conv1", &["features.0"], 3, 32),
        pool("pool1"),
        conv("conv2", &["features.3"], 32, 48),
        pool("pool2"),
        step("features", Op::AdaptiveAvgPool(7)),
        linear("fc1", &["label.0"], FEATURES, 100),
        step("relu1", Op::Relu),
        linear("fc2", &["label.2"], 100, 100),
        step("relu2", Op::Relu),
        linear("logits", &["label.4"], 100, 10),
    ]
}

/// Features, a head for labels and one for domains. Input `(batch, 3, 28, 28)`.
///
/// Features: convolution 5×5 (padding 2) 3 → 32, ReLU, maximum pooling 2, the same 32 → 48, flattened to 2352.
/// Label head 2352-100-100-10, domain head 2352-100-1, with ReLU between.
pub struct Dann {
    /// Features and label head.
    network: Box<dyn Network>,
    domain: [Affine; 2],
}

/// The losses of one update.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DannLosses {
    /// Cross-entropy of the source images' labels.
    pub label: f64,
    /// Binary cross-entropy of the domain of source (0) and target (1) images.
    pub domain: f64,
    /// Part of the source images with the right label.
    pub accuracy: f64,
}

impl Dann {
    /// The parameters for `classes` classes: those of the network `dann`, and the domain head's.
    pub fn parameters(classes: usize) -> Vec<Parameter> {
        let mut domain = Parameters::new();
        domain.layer("domain").affine(&["domain.0"], &[100, FEATURES]);
        domain.affine(&["domain.2"], &[1, 100]);
        DANN.parameters_for(classes).into_iter().chain(domain.list).collect()
    }

    /// The network of these variables, which are those of [`parameters`](Self::parameters).
    ///
    /// # Errors
    /// When one is missing.
    pub fn new(variables: &Variables) -> sconce_core::Result<Self> {
        let domain = [Affine::new(variables, "domain.0")?, Affine::new(variables, "domain.2")?];
        Ok(Self { network: DANN.build(&variables.live())?, domain })
    }

    /// `(batch, 2352)`.
    ///
    /// # Errors
    /// When the input has another shape than `(batch, 3, 28, 28)`.
    pub fn features(&self, x: &Tensor) -> Result<Tensor> {
        self.network.forward_to(x, "features")
    }

    /// Logits of the labels from features: `(batch, classes)`.
    ///
    /// # Errors
    /// When the features have another shape.
    pub fn labels(&self, features: &Tensor) -> Result<Tensor> {
        let pass = Pass { from: Some("features"), ..Pass::default() };
        match self.network.forward_pass(features, &pass, &["logits"])?.pop() {
            Some(logits) => Ok(logits),
            None => bail!("the network gave no logits"),
        }
    }

    /// Logits of "is of the target domain" from features: `(batch)`. The gradient that reaches the features is turned
    /// around and multiplied by `strength`.
    ///
    /// # Errors
    /// When the features have another shape.
    pub fn domains(&self, features: &Tensor, strength: f64) -> Result<Tensor> {
        let [first, last] = &self.domain;
        last.linear(&relu(&first.linear(&gradient_reversal(features, strength)?)?)?)?.squeeze(1)
    }

    /// One update: cross-entropy of the source's labels plus binary cross-entropy of the domains of both.
    ///
    /// `source` and `target` are `(batch, 3, 28, 28)`, `labels` the source's classes, u32.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn step(
        &self,
        optimiser: &mut Optimiser,
        [source, target]: [&Tensor; 2],
        labels: &Tensor,
        strength: f64,
        learning_rate: f64,
    ) -> Result<DannLosses> {
        let (n, m) = (source.dim(0)?, target.dim(0)?);
        if n == 0 || m == 0 {
            bail!("a step of DANN expects images of both domains, got {n} and {m}");
        }
        let features = self.features(&Tensor::cat(&[source, target], 0)?)?;
        let logits = self.labels(&features.narrow(0, 0, n)?)?;
        let label = cross_entropy(&logits, labels)?;
        let device = source.device();
        let domains: Vec<f32> = (0..n + m).map(|i| if i < n { 0.0 } else { 1.0 }).collect();
        let domains = Tensor::from_vec(domains, n + m, device)?;
        let domain = bce_with_logits(&self.domains(&features, strength)?, &domains)?;
        optimiser.step(&(&label + &domain)?.backward()?, learning_rate)?;
        let right = logits.argmax(1)?.eq(labels)?.to_vec1::<u8>()?;
        Ok(DannLosses {
            label: f64::from(label.to_scalar::<f32>()?),
            domain: f64::from(domain.to_scalar::<f32>()?),
            accuracy: right.iter().map(|&hit| f64::from(hit)).sum::<f64>() / n as f64,
        })
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::networks::trainable::deterministic::{cosines, sines};
    use crate::optim::{Method, Sgd};

    /// The same network in PyTorch; parameter `k` in the order of their making is `.05 * sin(arange * .37 + k)`, images
    /// are `cos(arange * .91)`, those of the target times −.5; SGD(lr=.1, momentum=.9), reversal by .5; three steps:
    /// cross_entropy(label(h[:3]), [0, 3, 9]), bce_with_logits(domain(Reversal.apply(h, .5)).squeeze(1), [0]*3 + [1]*3)
    #[test]
    fn losses_of_three_steps_are_pytorchs() {
        let variables = Variables::drawn(&Dann::parameters(10), 1, &Device::Cpu).unwrap();
        let network = Dann::new(&variables).unwrap();
        sines(&variables, 0.05);
        let sgd = Method::Sgd(Sgd { momentum: 0.9, ..Sgd::default() });
        let mut optimiser = Optimiser::new(sgd, &variables).unwrap();
        let source = cosines(&[3, 3, 28, 28]);
        let target = (&source * -0.5).unwrap();
        let labels = Tensor::new(&[0u32, 3, 9], &Device::Cpu).unwrap();
        for (label, domain) in [
            (2.25811767578125, 0.6934844851493835),
            (2.226755380630493, 0.6961207389831543),
            (2.137842893600464, 0.6483232378959656),
        ] {
            let got = network.step(&mut optimiser, [&source, &target], &labels, 0.5, 0.1).unwrap();
            assert!((got.label - label).abs() < 1e-4, "{} {label}", got.label);
            assert!((got.domain - domain).abs() < 1e-4, "{} {domain}", got.domain);
        }
    }
}
