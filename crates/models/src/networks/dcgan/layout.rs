//! Sizes of the two networks, and the parameters that follow from them.

use schemars::JsonSchema;
use sconce_core::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::Tensors;
use crate::init::Init;
use crate::networks::architecture::{Group, Parameter, Parameters};

/// How a network is told the wanted class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    /// Not at all.
    #[default]
    None,
    /// By a first layer of its own, whose maps stand beside those of the noise or of the image (Mirza and Osindero,
    /// "Conditional generative adversarial nets", 2014).
    Concatenated,
    /// By the inner product of a class's vector with the features before the logit (Miyato and Koyama, "cGANs with
    /// projection discriminator", 2018, eq. 10). Of discriminators alone.
    Projected,
}

/// What stands behind the convolutions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Normalisation {
    /// Batch norm; the convolutions have no bias.
    #[default]
    Batch,
    /// None; the convolutions have a bias.
    None,
    /// None, and each weight is divided by its largest singular value (Miyato et al., "Spectral normalization for
    /// generative adversarial networks", 2018). Of discriminators alone.
    Spectral,
}

/// How parameters are drawn before training.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Initialisation {
    /// The paper's: weights of convolutions from N(0, 0.02), scales of batch norms from N(1, 0.02).
    #[default]
    Dcgan,
    /// PyTorch's own: uniform within `±1/√fan_in`, scales of 1.
    PytorchDefault,
    /// He's: normal of deviation `√(2 / fan_in)`, scales of 1.
    KaimingNormal,
}

impl Initialisation {
    fn weight(self) -> Init {
        match self {
            Self::Dcgan => Init::Normal { mean: 0.0, std: 0.02 },
            Self::PytorchDefault => Init::PytorchDefault,
            Self::KaimingNormal => Init::KaimingNormal,
        }
    }

    fn scale(self) -> Init {
        match self {
            Self::Dcgan => Init::Normal { mean: 1.0, std: 0.02 },
            Self::PytorchDefault | Self::KaimingNormal => Init::Constant(1.0),
        }
    }

    fn bias(self, fan_in: usize) -> Init {
        match self {
            Self::PytorchDefault => Init::pytorch_bias(fan_in),
            Self::Dcgan | Self::KaimingNormal => Init::Constant(0.0),
        }
    }
}

/// What a generator is: transposed convolutions of 4×4, the first from the noise to 4×4 pixels, each further one doubling
/// the side: `latent → 4·width → 2·width → width → channels` for 32 pixels, from `8·width` on for 64.
///
/// Told the class, noise and class get a first layer of half as many maps each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GeneratorLayout {
    /// Numbers of noise.
    pub latent: usize,
    /// Maps before the last layer.
    pub width: usize,
    /// 1 for grey, 3 for colour.
    pub channels: usize,
    /// Side of the images in pixels: 32 or 64.
    pub size: usize,
    /// Classes that it is told; 0 for none.
    pub classes: usize,
    /// Behind each layer but the last: batch norm or nothing.
    pub norm: Normalisation,
}

/// What a discriminator is: convolutions of 4×4 that halve the side, `channels → width → 2·width → 4·width → 1` for 32
/// pixels, up to `8·width` for 64; LeakyReLU of slope 0.2 behind each but the last.
///
/// Told the class by [`Condition::Concatenated`], image and class maps get a first layer of half as many maps each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiscriminatorLayout {
    /// Maps behind the first layer.
    pub width: usize,
    /// 1 for grey, 3 for colour.
    pub channels: usize,
    /// Side of the images in pixels: 32 or 64.
    pub size: usize,
    /// How it is told the class.
    pub condition: Condition,
    /// Classes that it is told; 0 for none.
    pub classes: usize,
    /// Behind each layer but the last, or of each weight.
    pub norm: Normalisation,
    /// Whether batch norm also stands behind the first layer, which the paper leaves out.
    pub norm_first: bool,
}

/// Names of one layer: of its convolution, and of its norm where it has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Names {
    pub(super) convolution: String,
    pub(super) norm: Option<String>,
}

/// Names as in a PyTorch `Sequential` of convolution, norm (where `normed`) and rectifier.
fn names(layers: usize, normed: impl Fn(usize) -> bool) -> Vec<Names> {
    let mut next = 0;
    let mut take = || {
        next += 1;
        (next - 1).to_string()
    };
    let layer = |i| {
        let convolution = take();
        let norm = normed(i).then(&mut take);
        take();
        Names { convolution, norm }
    };
    (0..layers).map(layer).collect()
}

/// Before the names of the first layer that sees the class.
pub(super) const CLASS: &str = "class.";
/// The vectors of the classes in a projection discriminator.
pub(super) const EMBEDDING: &str = "embedding";

/// Layers between 4×4 pixels and an image of this side.
fn doublings(size: usize) -> usize {
    size.max(4).ilog2() as usize - 2
}

/// # Errors
/// When `size` is neither 32 nor 64.
fn check_size(size: usize) -> Result<()> {
    match size {
        32 | 64 => Ok(()),
        _ => Err(Error::parameter("size", format!("expected 32 or 64 pixels, got {size}"))),
    }
}

fn at_least_one(key: &str, value: usize) -> Result<()> {
    match value {
        0 => Err(Error::parameter(key, "expected at least 1, got 0")),
        _ => Ok(()),
    }
}

impl GeneratorLayout {
    /// Refuses sizes that no generator has.
    ///
    /// # Errors
    /// [`Error::Parameter`] under the field's name.
    pub fn check(&self) -> Result<()> {
        check_size(self.size)?;
        for (key, value) in
            [("latent", self.latent), ("width", self.width), ("channels", self.channels)]
        {
            at_least_one(key, value)?;
        }
        match self.norm {
            Normalisation::Spectral => {
                Err(Error::parameter("norm", "expected `batch` or `none` of a generator"))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn names(&self) -> Vec<Names> {
        let layers = doublings(self.size) + 1;
        names(layers, |i| self.norm == Normalisation::Batch && i + 1 < layers)
    }

    /// All parameters, named as in a PyTorch `Sequential`: `0.weight`, `1.weight` (batch norm), `3.weight`, …; the class's
    /// first layer is `class.0.weight`, `class.1.weight`.
    pub fn parameters(&self, init: Initialisation) -> Vec<Parameter> {
        let names = self.names();
        let mut sizes: Vec<usize> = (0..names.len() - 1).rev().map(|i| self.width << i).collect();
        sizes.push(self.channels);
        let mut made = Made::new("image", init, self.norm != Normalisation::Batch);
        for (i, name) in names.iter().enumerate() {
            let out = sizes[i];
            match (i, self.classes) {
                (0, 0) => made.layer(name, "", [self.latent, out, 4, 4], out),
                (0, classes) => {
                    made.layer(name, "", [self.latent, out / 2, 4, 4], out / 2);
                    made.layer(name, CLASS, [classes, out / 2, 4, 4], out / 2);
                }
                _ => made.layer(name, "", [sizes[i - 1], out, 4, 4], out),
            }
        }
        made.parameters.list
    }

    /// The layout that these tensors are of.
    ///
    /// # Errors
    /// When they are no generator's.
    pub fn of(tensors: &Tensors) -> Result<Self> {
        let (first, last, layers) = ends(tensors)?;
        let class = tensors.find(&format!("{CLASS}0.weight"));
        let layout = Self {
            latent: first[0],
            width: last[0],
            channels: last[1],
            size: 2 << layers,
            classes: class.and_then(|t| t.dims().first().copied()).unwrap_or_default(),
            norm: found_norm(tensors),
        };
        layout.check().map_err(|_| foreign("generator"))?;
        Ok(layout)
    }
}

impl DiscriminatorLayout {
    /// Refuses sizes that no discriminator has.
    ///
    /// # Errors
    /// [`Error::Parameter`] under the field's name.
    pub fn check(&self) -> Result<()> {
        check_size(self.size)?;
        at_least_one("channels", self.channels)?;
        at_least_one("width", self.width)?;
        if self.condition == Condition::Concatenated && self.width == 1 {
            return Err(Error::parameter("width", "expected at least 2 with a class, got 1"));
        }
        Ok(())
    }

    pub(super) fn names(&self) -> Vec<Names> {
        let layers = doublings(self.size) + 1;
        let batch = self.norm == Normalisation::Batch;
        names(layers, |i| batch && (i > 0 || self.norm_first) && i + 1 < layers)
    }

    /// All parameters, named as in a PyTorch `Sequential`; the class's first layer is `class.0.weight`, … , the vectors of
    /// a projection `embedding.weight`, and the state of spectral norms `0.weight_u`, ….
    pub fn parameters(&self, init: Initialisation) -> Vec<Parameter> {
        let names = self.names();
        let last = names.len() - 1;
        let mut made = Made::new("real", init, self.norm != Normalisation::Batch);
        made.spectral = self.norm == Normalisation::Spectral;
        let size = |i: usize| self.width << i;
        for (i, name) in names.iter().enumerate() {
            let out = if i == last { 1 } else { size(i) };
            match (i, self.condition) {
                (0, Condition::Concatenated) => {
                    made.layer(name, "", [out / 2, self.channels, 4, 4], out / 2);
                    made.layer(name, CLASS, [out / 2, self.classes, 4, 4], out / 2);
                }
                (0, _) => made.layer(name, "", [out, self.channels, 4, 4], out),
                _ => made.layer(name, "", [out, size(i - 1), 4, 4], out),
            }
        }
        if self.condition == Condition::Projected {
            made.embedding([self.classes, size(last - 1)]);
        }
        made.parameters.list
    }

    /// The layout that these tensors are of.
    ///
    /// # Errors
    /// When they are no discriminator's.
    pub fn of(tensors: &Tensors) -> Result<Self> {
        let (first, _, layers) = ends(tensors)?;
        let dims = |name: String| tensors.find(&name).map(|t| t.dims().to_vec());
        let class = dims(format!("{CLASS}0.weight"));
        let embedding = dims(format!("{EMBEDDING}.weight"));
        let (condition, classes) = match (&class, &embedding) {
            (Some(dims), _) => (Condition::Concatenated, dims[1]),
            (None, Some(dims)) => (Condition::Projected, dims[0]),
            (None, None) => (Condition::None, 0),
        };
        let layout = Self {
            width: first[0] * if class.is_some() { 2 } else { 1 },
            channels: first[1],
            size: 2 << layers,
            condition,
            classes,
            norm: match tensors.contains("0.weight_u") {
                true => Normalisation::Spectral,
                false => found_norm(tensors),
            },
            norm_first: tensors.contains("1.running_mean"),
        };
        layout.check().map_err(|_| foreign("discriminator"))?;
        Ok(layout)
    }
}

fn foreign(what: &str) -> Error {
    Error::message(format!("expected weights of a DCGAN's {what}, found other tensors"))
}

/// Shapes of the first and the last convolution, and how many there are.
fn ends(tensors: &Tensors) -> Result<([usize; 4], [usize; 4], usize)> {
    let mut found: Vec<(usize, [usize; 4])> = tensors
        .iter()
        .filter_map(|(name, tensor)| {
            let place = name.strip_suffix(".weight")?.parse().ok()?;
            Some((place, <[usize; 4]>::try_from(tensor.dims()).ok()?))
        })
        .collect();
    found.sort_unstable();
    match found.as_slice() {
        [(0, first), .., (_, last)] => Ok((*first, *last, found.len())),
        _ => Err(foreign("network")),
    }
}

fn found_norm(tensors: &Tensors) -> Normalisation {
    match tensors.iter().any(|(name, _)| name.ends_with(".running_mean")) {
        true => Normalisation::Batch,
        false => Normalisation::None,
    }
}

/// Parameters in the making.
struct Made {
    parameters: Parameters,
    init: Initialisation,
    bias: bool,
    spectral: bool,
}

impl Made {
    fn new(tap: &'static str, init: Initialisation, bias: bool) -> Self {
        let mut parameters = Parameters::new();
        parameters.layer(tap);
        Self { parameters, init, bias, spectral: false }
    }

    /// A convolution of this shape to `out` maps, and its norm.
    fn layer(&mut self, names: &Names, prefix: &str, shape: [usize; 4], out: usize) {
        let name = format!("{prefix}{}", names.convolution);
        self.parameters.convolution(&name, shape, self.init.weight());
        if self.bias {
            let fan_in = shape[1..].iter().product();
            let init = self.init.bias(fan_in);
            self.parameters.push(format!("{name}.bias"), Group::Convolution, &[out], init);
        }
        self.singular(&name, shape[0]);
        if let Some(norm) = &names.norm {
            self.parameters.batch_norm(&format!("{prefix}{norm}"), out, self.init.scale());
        }
    }

    fn embedding(&mut self, shape: [usize; 2]) {
        self.parameters.matrix(EMBEDDING, shape, self.init.weight());
        self.singular(EMBEDDING, shape[0]);
    }

    /// The state of a spectral norm: a vector that nears the weight's first left singular vector.
    fn singular(&mut self, name: &str, rows: usize) {
        if self.spectral {
            let init = Init::Normal { mean: 0.0, std: 1.0 };
            let name = format!("{name}.weight_u");
            self.parameters.push(name, Group::Normalisation, &[rows], init).trained = false;
        }
    }
}
