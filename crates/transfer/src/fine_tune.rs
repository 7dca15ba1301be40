//! Fine-tuning: a trained network learns other classes.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use sconce_core::{Context, Result};
use sconce_data::{ImageSet, Preprocessing, Weights};
use sconce_models::images::Images;
use sconce_models::optim::Method;
use sconce_models::schedule::Schedule;
use sconce_models::train::{Augmentation, Classifier, History, Monitor, Training};
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
pub struct FineTuning<'a> {
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
    /// The optimiser.
    pub optimiser: Method,
    /// Size of the updates.
    pub learning_rate: f64,
    /// What it is multiplied by as training goes on.
    pub schedule: Schedule,
    /// What it is multiplied by for all layers but the last.
    pub backbone_rate: f64,
    /// The part of each label that is spread over all classes.
    pub label_smoothing: f64,
    /// Times that all images are seen.
    pub epochs: usize,
    /// Images in an update.
    pub batch: usize,
    /// How images are changed at random.
    pub augmentation: Augmentation,
    /// Whether predictions are of an image and its mirror image.
    pub mirror: bool,
    /// What chooses the best epoch, if something does.
    pub monitor: Option<Monitor>,
    /// Time between checkpoints.
    pub checkpoint_every: Duration,
    /// See [`Training::shared`].
    pub shared: Option<PathBuf>,
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
pub fn fine_tune(
    ctx: &Context,
    images: &ImageSet,
    weights: &Weights,
    how: &FineTuning<'_>,
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
    let mut task = Classifier::new(
        |x: &candle_core::Tensor| network.forward_to(x, "logits"),
        &variables,
        how.optimiser,
        how.learning_rate,
        &train,
        (!held_out.is_empty()).then_some(&held_out),
    )?
    .augment(how.augmentation)
    .smooth_labels(how.label_smoothing)
    .mirror(how.mirror);
    let head = format!("{}.", architecture.head().unwrap_or_default());
    let rate = |name: &str| if name.starts_with(&head) { 1.0 } else { how.backbone_rate };
    task.optimiser().set_rates(rate);
    let training = Training {
        schedule: how.schedule,
        monitor: how.monitor.clone(),
        checkpoint_every: how.checkpoint_every,
        shared: how.shared.clone(),
        ..Training::new(train.len(), how.batch, how.epochs)
    };
    let history = training.run(ctx, &mut task)?;
    let logits = task.logits(&load(how.test)?)?;
    let best = |row: Vec<f32>| {
        let row: Vec<f64> = row.into_iter().map(f64::from).collect();
        crate::svm::argmax(&row)
    };
    let predicted = logits.into_iter().map(best).collect();
    let name = architecture.name();
    let weights = write_weights(&variables, ctx.scratch(), name, how.preprocessing, classes)?;
    Ok(FineTuned { history, predicted, weights })
}
