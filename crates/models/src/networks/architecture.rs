//! What a network is before it has parameters.

use std::fmt::Debug;

use candle_core::Tensor;
use sconce_core::Result;

use super::Network;
use crate::Tensors;
use crate::init::Init;

/// A network before it has parameters: one row of [`NETWORKS`](super::NETWORKS).
///
/// With [`Variables`](crate::variables::Variables) (drawn by a seed or taken from weights, frozen or trained) or with
/// the tensors of a file it becomes a [`Network`].
pub trait Architecture: Debug + Send + Sync {
    /// The name, as in torchvision or timm.
    fn name(&self) -> &'static str;

    /// Names of the outputs that can be taken, from the input on.
    fn taps(&self) -> Vec<&'static str>;

    /// Channels, height and width of the input that it was published with.
    fn input(&self) -> [usize; 3];

    /// The number of classes that it was published with; none when it tells no classes apart.
    fn classes(&self) -> Option<usize>;

    /// How it can be trained by cross-entropy.
    fn trainable(&self) -> Trainable;

    /// All parameters of the published network, from the input on; the last layer's come last.
    fn parameters(&self) -> Vec<Parameter>;

    /// Gives `parameters` those sizes that are not the network's own, but its weights'.
    fn adapt(&self, parameters: &mut Vec<Parameter>, tensors: &Tensors) {
        let _ = (parameters, tensors);
    }

    /// Whether a tensor that no parameter names shows that the weights are another network's. By default weights of a
    /// layer do; masks, counters and other buffers do not.
    fn is_foreign(&self, name: &str, tensor: &Tensor) -> bool {
        name.ends_with(".weight") && tensor.rank() > 1
    }

    /// The network of these tensors, which [`fit`](super::fit::fit) has checked and named as [`parameters`](Self::parameters).
    ///
    /// # Errors
    /// When the device has no room.
    fn build(&self, tensors: &Tensors) -> Result<Box<dyn Network>>;

    /// The name of the last layer, which tells classes apart: what stands before `.weight`. None where a network cannot
    /// get another one.
    fn head(&self) -> Option<String> {
        if self.trainable() == Trainable::No {
            return None;
        }
        let last = self.parameters().pop()?;
        last.name.strip_suffix(".bias").map(str::to_owned)
    }

    /// The parameters of the same network for so many classes.
    fn parameters_for(&self, classes: usize) -> Vec<Parameter> {
        let mut parameters = self.parameters();
        if let Some(head) = self.head() {
            parameters.iter_mut().filter(|p| p.is_of(&head)).for_each(|p| p.shape[0] = classes);
        }
        parameters
    }

    /// The name of the first convolution's weights, the ones that see the image.
    fn first_convolution(&self) -> Option<String> {
        self.parameters().into_iter().find(|p| p.shape.len() == 4).map(|p| p.name)
    }
}

/// How a network can be trained to tell classes apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trainable {
    /// All of it, from drawn parameters or from published ones.
    FromNothing,
    /// All of it, from published parameters: its batch normalisation keeps the published means and variances, as is usual
    /// in fine-tuning, and a network drawn by a seed has none.
    FromWeights,
    /// Not by cross-entropy: it tells no classes apart.
    No,
}

/// What a parameter belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// A convolution or transposed convolution.
    Convolution,
    /// A fully connected layer.
    FullyConnected,
    /// Scales, shifts and running statistics.
    Normalisation,
    /// Tokens and positions of a transformer.
    Embedding,
}

/// One parameter tensor of a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Its name, torchvision's where that has the network: `features.0.weight`.
    pub name: String,
    /// Names that other libraries give it.
    pub aliases: Vec<String>,
    /// The tap that it first counts for: `conv1_1`.
    pub layer: &'static str,
    /// What it belongs to.
    pub group: Group,
    /// Its shape; a convolution's is `(out, in, height, width)`, a fully connected layer's `(out, in)`.
    pub shape: Vec<usize>,
    /// How it is drawn before training.
    pub init: Init,
    /// Whether training by gradients changes it; running means and variances are state.
    pub trained: bool,
    /// Whether the network also works without it, and then ends earlier.
    pub optional: bool,
}

impl Parameter {
    /// Numbers in it.
    pub fn count(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it is the weight or the bias of the layer called `layer`.
    pub fn is_of(&self, layer: &str) -> bool {
        self.name.strip_prefix(layer).is_some_and(|rest| rest.starts_with('.'))
    }

    /// All its names, its own first.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.name.as_str()).chain(self.aliases.iter().map(String::as_str))
    }

    /// Its tensor, under any of its names.
    pub(crate) fn find<'a>(&self, tensors: &'a Tensors) -> Option<(&'a str, &'a Tensor)> {
        self.names().find_map(|name| tensors.entry(name))
    }
}

/// Parameters in the making, layer by layer.
#[derive(Debug)]
pub(crate) struct Parameters {
    pub(crate) list: Vec<Parameter>,
    layer: &'static str,
    optional: bool,
}

impl Parameters {
    pub(crate) fn new() -> Self {
        Self { list: Vec::new(), layer: "", optional: false }
    }

    /// What follows counts for this tap.
    pub(crate) fn layer(&mut self, layer: &'static str) -> &mut Self {
        self.layer = layer;
        self
    }

    /// What follows can be left out.
    pub(crate) fn optional(&mut self) -> &mut Self {
        self.optional = true;
        self
    }

    pub(crate) fn push(
        &mut self,
        name: impl Into<String>,
        group: Group,
        shape: &[usize],
        init: Init,
    ) -> &mut Parameter {
        self.list.push(Parameter {
            name: name.into(),
            aliases: Vec::new(),
            layer: self.layer,
            group,
            shape: shape.to_vec(),
            init,
            trained: true,
            optional: self.optional,
        });
        let last = self.list.len() - 1;
        &mut self.list[last]
    }

    /// A weight of this shape, `(out, in, …)`, and its bias: PyTorch's default distributions, with the fan-in of the
    /// weight for both.
    pub(crate) fn affine(&mut self, names: &[&str], shape: &[usize]) {
        let fan_in = shape.iter().skip(1).product();
        let group = match shape.len() {
            4 => Group::Convolution,
            _ => Group::FullyConnected,
        };
        let pairs = [
            ("weight", shape, Init::PytorchDefault),
            ("bias", &shape[..1], Init::pytorch_bias(fan_in)),
        ];
        for (part, shape, init) in pairs {
            let mut names = names.iter().map(|name| format!("{name}.{part}"));
            let first = names.next().unwrap_or_default();
            self.push(first, group, shape, init).aliases = names.collect();
        }
    }

    /// A convolution without bias.
    pub(crate) fn convolution(&mut self, name: &str, shape: [usize; 4], init: Init) {
        self.push(format!("{name}.weight"), Group::Convolution, &shape, init);
    }

    /// A fully connected layer without bias.
    pub(crate) fn matrix(&mut self, name: &str, shape: [usize; 2], init: Init) {
        self.push(format!("{name}.weight"), Group::FullyConnected, &shape, init);
    }

    /// Scale and shift of a normalisation.
    pub(crate) fn norm(&mut self, name: &str, width: usize, scale: Init) {
        self.push(format!("{name}.weight"), Group::Normalisation, &[width], scale);
        self.push(format!("{name}.bias"), Group::Normalisation, &[width], Init::Constant(0.0));
    }

    /// Scale, shift, running mean and running variance.
    pub(crate) fn batch_norm(&mut self, name: &str, width: usize, scale: Init) {
        self.norm(name, width, scale);
        for (part, value) in [("running_mean", 0.0), ("running_var", 1.0)] {
            let name = format!("{name}.{part}");
            let init = Init::Constant(value);
            self.push(name, Group::Normalisation, &[width], init).trained = false;
        }
    }
}
