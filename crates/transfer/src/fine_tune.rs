//! Fine-tuning: a trained network learns other classes.

use schemars::JsonSchema;
use sconce_core::{Context, Result};
use sconce_data::evaluation::argmax;
use sconce_data::{ImageSet, Preprocessing, Weights};
use sconce_models::images::Images;
use sconce_models::train::{Augmentation, Checkpoints, Defaults, History, TrainingParameters};
use sconce_models::variables::{Variables, write_weights};
use sconce_models::{Tensors, architecture, check_size, from_tensors};
use serde::{Deserialize, Serialize};

/// What of a network is trained.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// The new last layer.
    Head,
    /// All layers.
    #[default]
    All,
}

/// How a network is fine-tuned.
pub struct FineTuning<'a, K: Defaults> {
    /// What is trained.
    pub part: Part,
    /// Places of the images to train on.
    pub train: &'a [usize],
    /// Places of the images to validate on.
    pub held_out: &'a [usize],
    /// Places of the images to predict at the end.
    pub test: &'a [usize],
    /// How an image becomes the network's input.
    pub preprocessing: &'a Preprocessing,
    /// How it is trained.
    pub training: &'a TrainingParameters<K>,
    /// What the learning rate is multiplied by for all layers but the last.
    pub backbone_rate: f64,
    /// The part of each label that is spread over all classes.
    pub label_smoothing: f64,
    /// How images are changed at random.
    pub augmentation: Augmentation,
    /// Whether predictions are of an image and its mirror image.
    pub mirror: bool,
    /// Where and how often the training keeps its state.
    pub checkpoints: Checkpoints,
}

/// A network that was fine-tuned.
pub struct FineTuned {
    /// Loss and accuracy of each epoch.
    pub history: History,
    /// The class predicted for each test image.
    pub predicted: Vec<usize>,
    /// The network.
    pub weights: Weights,
}

/// Replaces the last layer of the network that `weights` are of by one for the images' classes and trains.
///
/// # Errors
/// When images or weights cannot be used, or the training fails.
pub fn fine_tune<K: Defaults>(
    ctx: &Context,
    images: &ImageSet,
    weights: &Weights,
    how: &FineTuning<'_, K>,
) -> Result<FineTuned> {
    let device = sconce_models::device(ctx.device())?;
    let architecture = architecture(&weights.info.architecture)?;
    let classes = &images.examples().classes;
    let tensors = Tensors::from_weights(weights, &device)?;
    let all = how.part == Part::All;
    let variables =
        Variables::with_new_head(architecture, &tensors, classes.len(), all, ctx.seed(), &device)?;
    drop(tensors);
    let network = from_tensors(architecture.name(), &variables.live())?;
    if let Some(size) = how.preprocessing.size {
        let channels = how.preprocessing.channels.count();
        check_size(&*network, ("size", size), channels, "logits", &device)?;
    }
    let load = |chosen: &[usize]| Images::load(images, chosen, how.preprocessing);
    let (train, held_out) = (load(how.train)?, load(how.held_out)?);
    let forward = |x: &candle_core::Tensor| network.forward_to(x, "logits");
    let task = how.training.classifier(forward, &variables, &train, &held_out)?;
    let mut task =
        task.augment(how.augmentation).smooth_labels(how.label_smoothing).mirror(how.mirror);
    let head = format!("{}.", architecture.head().unwrap_or_default());
    let rate = |name: &str| if name.starts_with(&head) { 1.0 } else { how.backbone_rate };
    task.optimiser().set_rates(rate);
    let checkpoints = how.checkpoints.clone();
    let history = how.training.run(ctx, &mut task, (&train, &held_out), checkpoints)?;
    let logits = task.logits(&load(how.test)?)?;
    let predicted = logits.iter().map(|row| argmax(row)).collect();
    let name = architecture.name();
    let weights = write_weights(&variables, ctx.scratch(), name, how.preprocessing, classes)?;
    Ok(FineTuned { history, predicted, weights })
}
