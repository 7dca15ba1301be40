//! What networks of two domains are made of, unit by unit.

use sconce_core::Result;

use super::{Statistics, TwoDomains};
use crate::Tensors;
use crate::init::Init;
use crate::networks::architecture::{Architecture, Parameter, Parameters, Trainable};
use crate::networks::taps;
use crate::networks::{Network, Pass, Rectifier};
use candle_core::{Tensor, bail};

/// The units of a network: those up to the features, then the label head. The domain head is the same in all: features,
/// 100 with ReLU, 1.
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    name: &'static str,
    units: fn() -> Vec<Unit>,
    /// Numbers of one image's features.
    width: usize,
    /// Whether the domain head has batch norm, too.
    domain_norm: bool,
}

/// One unit; its tap is the name under which its output can be taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unit {
    pub(super) tap: &'static str,
    pub(super) op: Op,
}

/// What a unit computes. A convolution and a rectified linear unit have a batch norm in front of their rectifier where
/// they name one, and then no bias.
#[derive(Debug, Clone, Copy)]
pub(super) enum Op {
    Conv {
        name: &'static str,
        norm: Option<&'static str>,
        sizes: [usize; 3],
        slope: f64,
        padding: usize,
    },
    Linear {
        name: &'static str,
        norm: Option<&'static str>,
        sizes: [usize; 2],
        rectified: bool,
    },
    MaxPool,
    GlobalAvgPool,
    Flatten,
    Dropout,
    /// Of whole maps.
    Dropout2d,
    Noise,
}

/// The tap that label head and domain head begin with.
pub(super) const FEATURES: &str = "features";
pub(super) const LOGITS: &str = "logits";
const DOMAIN_HIDDEN: usize = 100;

/// The practical's network, of Ganin et al., "Domain-adversarial training of neural networks", 2016 (MNIST): convolution 5×5
/// 3 → 32, ReLU, maximum pooling 2, the same 32 → 48, 2352 features; label head 2352-100-100-10.
pub const DANN: Layout =
    Layout { name: "dann", units: || dann(false), width: 48 * 7 * 7, domain_norm: false };

/// The same with batch norm behind both convolutions and both hidden layers of the label head.
pub const DANN_BN: Layout =
    Layout { name: "dann_bn", units: || dann(true), width: 48 * 7 * 7, domain_norm: false };

/// A wider network for the same, after the public program fungtion/DANN: convolutions 5×5 without padding, 3 → 64 and 64 → 50,
/// each with batch norm, ReLU and maximum pooling 2, dropout of whole maps behind the second; 800 features; label head
/// 800-100-100-10 with batch norm, and dropout behind its first layer; batch norm in the domain head, too.
pub const DANN_WIDE: Layout =
    Layout { name: "dann_wide", units: dann_wide, width: 50 * 4 * 4, domain_norm: true };

/// The small network of Shu et al., "A DIRT-T approach to unsupervised domain adaptation", 2018 (appendix B, digits): three
/// blocks of three convolutions 3×3 of 64 maps with batch norm and LeakyReLU 0.1; maximum pooling, dropout and noise behind the
/// first two, whose 3136 numbers are the features; global average pooling and one linear layer. Unlike there, the logits have no
/// batch norm (the authors' program has one behind the last layer, too), images are of 28 pixels, and running statistics are
/// PyTorch's (momentum 0.1, ε 1e-5).
pub const VADA: Layout =
    Layout { name: "vada", units: vada, width: 64 * 7 * 7, domain_norm: false };

/// All layouts.
pub const LAYOUTS: [&Layout; 4] = [&DANN, &DANN_BN, &DANN_WIDE, &VADA];

fn dann(normed: bool) -> Vec<Unit> {
    // Names count as in a PyTorch `Sequential` of convolution, (batch norm,) ReLU, pooling.
    let norm = |name| normed.then_some(name);
    let names: [&'static str; 5] = match normed {
        false => ["features.0", "features.3", "label.0", "label.2", "label.4"],
        true => ["features.0", "features.4", "label.0", "label.3", "label.6"],
    };
    let conv = |tap, name, norm, sizes| Unit {
        tap,
        op: Op::Conv { name, norm, sizes, slope: 0.0, padding: 2 },
    };
    let linear = |tap, name, norm, sizes, rectified| Unit {
        tap,
        op: Op::Linear { name, norm, sizes, rectified },
    };
    let plain = |tap, op| Unit { tap, op };
    vec![
        conv("conv1", names[0], norm("features.1"), [3, 32, 5]),
        plain("pool1", Op::MaxPool),
        conv("conv2", names[1], norm("features.5"), [32, 48, 5]),
        plain("pool2", Op::MaxPool),
        plain(FEATURES, Op::Flatten),
        linear("relu1", names[2], norm("label.1"), [48 * 7 * 7, 100], true),
        plain("dropout1", Op::Dropout),
        linear("relu2", names[3], norm("label.4"), [100, 100], true),
        plain("dropout2", Op::Dropout),
        linear(LOGITS, names[4], None, [100, 10], false),
    ]
}

fn dann_wide() -> Vec<Unit> {
    let plain = |tap, op| Unit { tap, op };
    let conv = |tap, name, norm, sizes| Unit {
        tap,
        op: Op::Conv { name, norm: Some(norm), sizes, slope: 0.0, padding: 0 },
    };
    let linear = |tap, name, norm, sizes, rectified| Unit {
        tap,
        op: Op::Linear { name, norm, sizes, rectified },
    };
    vec![
        conv("conv1", "features.0", "features.1", [3, 64, 5]),
        plain("pool1", Op::MaxPool),
        conv("conv2", "features.4", "features.5", [64, 50, 5]),
        // Before or behind ReLU and pooling, whole maps are dropped alike.
        plain("dropout1", Op::Dropout2d),
        plain("pool2", Op::MaxPool),
        plain(FEATURES, Op::Flatten),
        linear("relu1", "label.0", Some("label.1"), [50 * 4 * 4, 100], true),
        plain("dropout2", Op::Dropout),
        linear("relu2", "label.4", Some("label.5"), [100, 100], true),
        linear(LOGITS, "label.7", None, [100, 10], false),
    ]
}

fn vada() -> Vec<Unit> {
    const WIDTH: usize = 64;
    let plain = |tap, op| Unit { tap, op };
    let conv = |(tap, name, norm): (&'static str, &'static str, &'static str), input| {
        let sizes = [input, WIDTH, 3];
        Unit { tap, op: Op::Conv { name, norm: Some(norm), sizes, slope: 0.1, padding: 1 } }
    };
    let names = [
        ("conv1_1", "conv1_1", "norm1_1"),
        ("conv1_2", "conv1_2", "norm1_2"),
        ("conv1_3", "conv1_3", "norm1_3"),
        ("conv2_1", "conv2_1", "norm2_1"),
        ("conv2_2", "conv2_2", "norm2_2"),
        ("conv2_3", "conv2_3", "norm2_3"),
        ("conv3_1", "conv3_1", "norm3_1"),
        ("conv3_2", "conv3_2", "norm3_2"),
        ("conv3_3", "conv3_3", "norm3_3"),
    ];
    let mut units = Vec::new();
    for (i, name) in names.into_iter().enumerate() {
        units.push(conv(name, if i == 0 { 3 } else { WIDTH }));
        if let (2 | 5, block) = (i, usize::from(i == 5)) {
            units.push(plain(["pool1", "pool2"][block], Op::MaxPool));
            units.push(plain(["dropout1", "dropout2"][block], Op::Dropout));
            units.push(plain(["noise1", FEATURES][block], Op::Noise));
        }
    }
    units.push(plain("pool3", Op::GlobalAvgPool));
    let op = Op::Linear { name: "fc", norm: None, sizes: [WIDTH, 10], rectified: false };
    units.push(plain(LOGITS, op));
    units
}

impl Layout {
    pub(super) fn units(&self) -> Vec<Unit> {
        (self.units)()
    }

    /// Whether it has batch norm.
    pub fn is_normed(&self) -> bool {
        let normed =
            |op| matches!(op, Op::Conv { norm: Some(_), .. } | Op::Linear { norm: Some(_), .. });
        self.units().iter().any(|unit| normed(unit.op))
    }

    /// Whether a batch norm stands behind single numbers, of which a batch has one an image: training it takes two images.
    pub fn norms_rows(&self) -> bool {
        let normed = |op| matches!(op, Op::Linear { norm: Some(_), .. });
        self.domain_norm || self.units().iter().any(|unit| normed(unit.op))
    }

    /// Whether noise can be added within it.
    pub fn has_noise(&self) -> bool {
        self.units().iter().any(|unit| matches!(unit.op, Op::Noise))
    }

    /// Whether the domain head has batch norm.
    pub(super) fn has_domain_norm(&self) -> bool {
        self.domain_norm
    }

    /// The name of the domain head's last layer.
    pub(super) fn domain_last(&self) -> &'static str {
        if self.domain_norm { "domain.3" } else { "domain.2" }
    }

    /// Numbers of one image's features.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The layout of this name.
    ///
    /// # Errors
    /// When there is none; the message lists them.
    pub fn named(name: &str) -> Result<&'static Self> {
        LAYOUTS.into_iter().find(|layout| layout.name == name).ok_or_else(|| {
            let known: Vec<_> = LAYOUTS.iter().map(|layout| layout.name).collect();
            let known = known.join(", ");
            sconce_core::Error::parameter(
                "architecture",
                format!("expected a network of two domains ({known}), got `{name}`"),
            )
        })
    }

    /// All parameters for `classes` classes: features, label head, domain head, and where each domain has statistics of
    /// its own, the source's.
    pub fn domain_parameters(&self, classes: usize, statistics: Statistics) -> Vec<Parameter> {
        let mut all = self.parameters_for(classes);
        let mut domain = Parameters::new();
        domain.layer("domain");
        if self.domain_norm {
            domain.matrix("domain.0", [DOMAIN_HIDDEN, self.width], Init::PytorchDefault);
            domain.batch_norm("domain.1", DOMAIN_HIDDEN, Init::Constant(1.0));
        } else {
            domain.affine(&["domain.0"], &[DOMAIN_HIDDEN, self.width]);
        }
        domain.affine(&[self.domain_last()], &[1, DOMAIN_HIDDEN]);
        all.append(&mut domain.list);
        if statistics == Statistics::Apart {
            let of_source =
                |p: &Parameter| Parameter { name: format!("{SOURCE}{}", p.name), ..p.clone() };
            let statistics: Vec<_> = all.iter().filter(|p| !p.trained).map(of_source).collect();
            all.extend(statistics);
        }
        all
    }
}

/// What names of the source's running statistics begin with, where the domains have their own.
pub(super) const SOURCE: &str = "source.";

/// As a network for the classes of one domain: in eval mode, with the running statistics that its weights bring.
impl Architecture for Layout {
    fn name(&self) -> &'static str {
        self.name
    }

    fn taps(&self) -> Vec<&'static str> {
        self.units().iter().map(|unit| unit.tap).collect()
    }

    fn input(&self) -> [usize; 3] {
        [3, 28, 28]
    }

    fn classes(&self) -> Option<usize> {
        Some(10)
    }

    fn trainable(&self) -> Trainable {
        Trainable::FromWeights
    }

    fn parameters(&self) -> Vec<Parameter> {
        let mut all = Parameters::new();
        for Unit { tap, op } in self.units() {
            all.layer(tap);
            match op {
                Op::Conv { name, norm: None, sizes: [input, output, kernel], .. } => {
                    all.affine(&[name], &[output, input, kernel, kernel]);
                }
                Op::Conv { name, norm: Some(norm), sizes: [input, output, kernel], .. } => {
                    all.convolution(name, [output, input, kernel, kernel], Init::PytorchDefault);
                    all.batch_norm(norm, output, Init::Constant(1.0));
                }
                Op::Linear { name, norm: None, sizes: [input, output], .. } => {
                    all.affine(&[name], &[output, input]);
                }
                Op::Linear { name, norm: Some(norm), sizes: [input, output], .. } => {
                    all.matrix(name, [output, input], Init::PytorchDefault);
                    all.batch_norm(norm, output, Init::Constant(1.0));
                }
                _ => {}
            }
        }
        all.list
    }

    fn is_foreign(&self, name: &str, tensor: &Tensor) -> bool {
        name.ends_with(".weight") && tensor.rank() > 1 && !name.starts_with("domain.")
    }

    fn build(&self, tensors: &Tensors) -> Result<Box<dyn Network>> {
        let last = self.parameters().pop();
        let classes = last.and_then(|last| tensors.find(&last.name)?.dim(0).ok());
        let network = TwoDomains::of_tensors(*self, tensors)?;
        Ok(Box::new(OneDomain { network, layout: *self, classes }))
    }
}

struct OneDomain {
    network: TwoDomains,
    layout: Layout,
    classes: Option<usize>,
}

impl Network for OneDomain {
    fn architecture(&self) -> &str {
        self.layout.name
    }

    fn taps(&self) -> Vec<&'static str> {
        Architecture::taps(&self.layout)
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
        if pass.rectifier == Rectifier::Guided {
            bail!(
                "no guided backpropagation through {}: its ReLUs are one operation with batch norm",
                self.layout.name
            );
        }
        taps::run(self, x, pass, taps, |place, x| self.network.eval_unit(place, x))
    }
}
