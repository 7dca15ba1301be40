use schemars::JsonSchema;
use sconce_core::{Context, Error, Input, Resources, Result, Stage, outputs};
use sconce_data::resize::{Filter, Fit};
use sconce_data::{Channels, Features, ImageSet, Metrics, Preprocessing, Table, Weights};
use sconce_models::networks::two_domains::{Layout, Statistics};
use sconce_models::optim::{Method as OptimiserMethod, Sgd};
use sconce_models::train::{CHECKPOINT_SECONDS, Defaults, TrainingParameters, checkpoint_time};
use serde::{Deserialize, Serialize};

use crate::adapt::{Adaptation, adapt};
use crate::method::Method;

/// Trains a network on labelled images of a source domain and on images of a target domain without labels.
///
/// The labels of the target's images are taken off before anything else: `evaluate-logits` alone reads them. The bound that
/// target labels would give is a stage of this kind with the target's images as `source`, and `method = { source-only = {} }`.
/// What the network says of watched images is kept at checkpoints, for `evaluate-logits` and `validators`. An interrupted
/// training goes on where it was, with the same result.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Adapt {
    /// The images of the source, with classes.
    pub source: Input<ImageSet>,
    /// The images of the target. Classes that they have are not looked at.
    pub target: Input<ImageSet>,
    /// Weights to go on from, of the same network, classes and preprocessing: where `pseudo-labels` and `dirt-t` begin.
    #[serde(default)]
    pub weights: Option<Input<Weights>>,
    /// The same network with the source's batch statistics, which the source's begin with: the output `source_weights` of the
    /// stage that `weights` are of. `dirt-t` asks for it where batch statistics are apart; elsewhere the source's begin with the
    /// target's, and training on the source moves them.
    #[serde(default)]
    pub source_weights: Option<Input<Weights>>,
    /// The network: `dann` (the practical's), `dann_bn` (with batch norm), `dann_wide` (more maps, no padding, batch norm in the
    /// domain head, too) or `vada` (nine convolutions with batch norm).
    #[serde(default = "dann")]
    pub architecture: String,
    /// How the target's images are used: `{ source-only = {} }`, `{ dann = {} }`, `{ coral = {} }`, `{ mmd = {} }`,
    /// `{ pseudo-labels = {} }`, `{ vada = {} }`, `{ dirt-t = {} }`, each with its numbers.
    #[serde(default)]
    pub method: Method,
    /// Whose batch statistics batch norm uses: those of both domains `together`, or each domain's `apart`. It changes results.
    #[serde(default)]
    pub batch_statistics: Statistics,
    /// Part of the numbers that dropout drops: behind the hidden layers of the label head, or behind the first two blocks of
    /// `vada`; in `dann_wide` of the maps of the second convolution, and of the numbers behind the label head's first layer.
    #[serde(default)]
    pub dropout: f64,
    /// Deviation of the normal noise behind the first two blocks of `vada`.
    #[serde(default)]
    pub feature_noise: f64,
    /// Decay of the exponential moving average of the weights that are watched and written in place of the last update's; 0
    /// for none.
    #[serde(default)]
    pub average: f64,
    /// The split of both domains to train on; empty for all images.
    #[serde(default = "train")]
    pub split: String,
    /// The split of both domains that is watched, all of it; empty for none.
    #[serde(default = "test")]
    pub test_split: String,
    /// How it is trained: epochs of the source's images, batch (of each domain), optimiser, learning rate, schedule.
    #[serde(default)]
    pub training: TrainingParameters<Adapt>,
    /// Epochs from one checkpoint to the next; the last epoch is always one.
    #[serde(default = "one")]
    pub checkpoint_epochs: usize,
    /// Images of each domain's training split that are watched beside those of `test_split`, drawn by the seed.
    #[serde(default = "two_thousand")]
    pub watched: usize,
    /// How an image becomes the network's input; MNIST's mean and deviation for all channels by default, 28 pixels.
    #[serde(default = "mnist")]
    pub preprocessing: Preprocessing,
    /// Whether mean and deviation are those of `preprocessing` (`as-given`), those of each domain's training images
    /// (`per-domain`), or each image's own (`instance`).
    #[serde(default)]
    pub standardise: Standardise,
    /// Seconds between checkpoints that an interrupted training goes on from. It changes no result.
    #[serde(default = "checkpoint_seconds")]
    #[schemars(extend("x-sconce-cosmetic" = true))]
    pub checkpoint_seconds: f64,
}

/// Where mean and deviation of the input come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Standardise {
    /// From `preprocessing`, for both domains.
    #[default]
    AsGiven,
    /// From each domain's own training images, channel by channel.
    PerDomain,
    /// From each image, channel by channel: instance normalisation of the input.
    Instance,
}

fn checkpoint_seconds() -> f64 {
    CHECKPOINT_SECONDS
}

fn dann() -> String {
    "dann".to_owned()
}

fn train() -> String {
    "train".to_owned()
}

fn test() -> String {
    "test".to_owned()
}

fn one() -> usize {
    1
}

fn two_thousand() -> usize {
    2000
}

impl Defaults for Adapt {
    fn epochs() -> usize {
        20
    }

    fn batch() -> usize {
        64
    }

    fn optimiser() -> OptimiserMethod {
        OptimiserMethod::Sgd(Sgd::default())
    }

    fn learning_rate() -> f64 {
        0.01
    }
}

fn mnist() -> Preprocessing {
    Preprocessing {
        channels: Channels::Rgb,
        scale: 1.0,
        mean: vec![0.1307; 3],
        std: vec![0.3081; 3],
        instance: false,
        size: Some(28),
        fit: Fit::Stretch,
        filter: Filter::default(),
    }
}

outputs! { Adapt:
    /// The trained network, with the target's batch statistics.
    WEIGHTS: Weights = "weights";
    /// The same with the source's batch statistics, where they are apart. `dirt-t`, which learns nothing from the source,
    /// measures them all the same with the weights of each update.
    SOURCE_WEIGHTS: Weights = "source_weights";
    /// Losses and accuracies of each epoch.
    HISTORY: Table = "history";
    /// A row a checkpoint: its number, epochs and updates done.
    CHECKPOINTS: Table = "checkpoints";
    /// Logits of the source's watched images: a row an image, of one list of logits a checkpoint.
    SOURCE_LOGITS: Features = "source_logits";
    /// Logits of the target's watched images, without labels.
    TARGET_LOGITS: Features = "target_logits";
    /// The last epoch's numbers, and the accuracy on the source's watched test images.
    METRICS: Metrics = "metrics";
}

impl Stage for Adapt {
    const KIND: &'static str = "adapt";
    // 2: VADA passes each domain by itself, and nobody is watched twice. 3: rows of constant weights by themselves.
    const VERSION: u32 = 3;
    const SEEDED: bool = true;

    fn resources(&self) -> Resources {
        Resources::heavy(2 * Resources::GIB)
    }

    fn check(&self) -> Result<()> {
        let layout = Layout::named(&self.architecture)?;
        self.method.check()?;
        self.training.check()?;
        checkpoint_time(self.checkpoint_seconds)?;
        self.preprocessing.check()?;
        let wrong = |key: &str, message: String| Err(Error::parameter(key, message));
        if !layout.is_normed() && self.batch_statistics == Statistics::Apart {
            let message =
                format!("`{}` has no batch norm: expected another architecture", self.architecture);
            return wrong("batch_statistics", message);
        }
        if matches!(self.method, Method::Vada(_) | Method::DirtT(_))
            && layout.is_normed()
            && self.batch_statistics != Statistics::Apart
        {
            let message = "virtual adversarial training looks at one domain at a time: expected `apart` with batch norm";
            return wrong("batch_statistics", message.into());
        }
        for (key, value) in [("dropout", self.dropout), ("average", self.average)] {
            if !(0.0..1.0).contains(&value) {
                return wrong(key, format!("expected at least 0 and below 1, got {value}"));
            }
        }
        if !(self.feature_noise.is_finite() && self.feature_noise >= 0.0) {
            return wrong(
                "feature_noise",
                format!("expected at least 0, got {}", self.feature_noise),
            );
        }
        if self.feature_noise > 0.0 && !layout.has_noise() {
            let message = format!(
                "`{}` has no place for noise: expected 0, or another architecture",
                self.architecture
            );
            return wrong("feature_noise", message);
        }
        if self.watched == 0 && self.test_split.is_empty() {
            let message = "expected images to watch: 1 or more, or a `test_split`";
            return wrong("watched", message.into());
        }
        if self.checkpoint_epochs == 0 {
            return wrong("checkpoint_epochs", "expected at least 1, got 0".into());
        }
        if self.training.epochs == 0 {
            return wrong("training.epochs", "expected at least 1, got 0".into());
        }
        if self.training.validation != 0.0 {
            let message = "the source's images say nothing of the target: expected 0; `choose-checkpoint` chooses a checkpoint";
            return wrong("training.validation", message.into());
        }
        if self.preprocessing.channels.count() != 3 || self.preprocessing.size != Some(28) {
            let message =
                "expected three channels and `size = 28`, which all networks of two domains take";
            return wrong("preprocessing", message.into());
        }
        if self.method.needs_weights() && self.weights.is_none() {
            let name = self.method.name();
            return wrong(
                "weights",
                format!("`{name}` goes on from a trained network: expected a stage"),
            );
        }
        self.check_batch(layout)?;
        self.check_source_weights()
    }

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        let source = ctx.input(&self.source)?;
        let target = ctx.input(&self.target)?;
        let weights = self.weights.as_ref().map(|weights| ctx.input(weights)).transpose()?;
        let of_source = self.source_weights.as_ref().map(|weights| ctx.input(weights));
        let source_weights = of_source.transpose()?;
        let instance = self.preprocessing.instance || self.standardise == Standardise::Instance;
        let preprocessing = Preprocessing { instance, ..self.preprocessing.clone() };
        let prefix_is_shared = !self.method.needs_total()
            && self.training.epochs.is_multiple_of(self.checkpoint_epochs);
        let adaptation = Adaptation {
            layout: *Layout::named(&self.architecture)?,
            method: self.method,
            statistics: self.batch_statistics,
            dropout: self.dropout,
            feature_noise: self.feature_noise,
            average: self.average,
            split: &self.split,
            test_split: &self.test_split,
            watched: self.watched,
            checkpoint_epochs: self.checkpoint_epochs,
            preprocessing: &preprocessing,
            per_domain: self.standardise == Standardise::PerDomain,
            weights: weights.as_ref(),
            source_weights: source_weights.as_ref(),
            every: checkpoint_time(self.checkpoint_seconds)?,
            shared: match prefix_is_shared {
                true => Some(ctx.shared_checkpoint(self, &["training.epochs"])?),
                false => None,
            },
        };
        let adapted = adapt(ctx, &adaptation, &self.training, [&source, &target])?;
        for (name, value) in &adapted.metrics {
            ctx.metric(name, *value);
        }
        let mut metrics = Metrics::default();
        adapted.metrics.iter().for_each(|(name, value)| metrics.set(name, *value));
        ctx.write(Self::METRICS, &metrics)?;
        ctx.write(Self::HISTORY, &adapted.history.table()?)?;
        ctx.write(Self::CHECKPOINTS, &adapted.checkpoints)?;
        let [source_logits, target_logits] = &adapted.logits;
        ctx.write(Self::SOURCE_LOGITS, source_logits)?;
        ctx.write(Self::TARGET_LOGITS, target_logits)?;
        let [source_weights, target_weights] = &adapted.weights;
        ctx.write(Self::SOURCE_WEIGHTS, source_weights)?;
        ctx.write(Self::WEIGHTS, target_weights)
    }
}

impl Adapt {
    /// One image is enough for most methods, but not where it is to differ from others.
    fn check_batch(&self, layout: &Layout) -> Result<()> {
        // Both domains are one batch, but for methods that train on one of them alone.
        let shared = self.batch_statistics == Statistics::Together
            && !matches!(self.method, Method::SourceOnly {});
        let why = match self.method {
            _ if self.training.batch != 1 => return Ok(()),
            Method::Coral(_) => "a covariance is one of several images",
            _ if layout.norms_rows() && !shared => {
                "batch norm behind a hidden layer takes several images"
            }
            _ => return Ok(()),
        };
        Err(Error::parameter("training.batch", format!("{why}: expected at least 2, got 1")))
    }

    fn check_source_weights(&self) -> Result<()> {
        let wrong = |message: &str| Err(Error::parameter("source_weights", message));
        let apart = self.batch_statistics == Statistics::Apart;
        match (&self.source_weights, &self.weights, self.method) {
            (Some(_), None, _) => wrong("expected `weights` beside it: the same with the target's"),
            (Some(_), ..) if !apart => wrong("expected `batch_statistics = \"apart\"` beside it"),
            // No result has a key without them whose source was told by the target's statistics.
            (None, _, Method::DirtT(_)) if apart => wrong(
                "`dirt-t` goes on from the source's batch statistics, too: expected the output `source_weights` of the stage of \
                 `weights`",
            ),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
