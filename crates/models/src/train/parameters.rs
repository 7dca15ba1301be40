//! The parameters of a training, the same for all kinds that train.

use std::marker::PhantomData;
use std::path::PathBuf;
use std::time::Duration;

use candle_core::Tensor;
use schemars::JsonSchema;
use sconce_core::{Context, Error, Result};
use serde::{Deserialize, Serialize};

use super::{Classifier, Direction, History, Monitor, Task, Training, hold_out};
use crate::images::Images;
use crate::optim::Method;
use crate::schedule::Schedule;
use crate::variables::Variables;

/// What a kind that trains says where a pipeline says nothing.
pub trait Defaults {
    /// Times that all training images are seen.
    fn epochs() -> usize;
    /// Images in an update.
    fn batch() -> usize;
    /// The optimiser.
    fn optimiser() -> Method;
    /// Size of the updates.
    fn learning_rate() -> f64;
}

/// How a network is trained: `training = { epochs = 20, optimiser = { adam = {} }, learning_rate = 1e-3 }`. What is left out
/// is as the kind `K` says.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound = "K: Defaults")]
pub struct TrainingParameters<K: Defaults> {
    /// Times that all training images are seen.
    #[serde(default = "K::epochs")]
    pub epochs: usize,
    /// Images in an update.
    #[serde(default = "K::batch")]
    pub batch: usize,
    /// The optimiser and its numbers: `{ sgd = { momentum = 0.9, weight_decay = 1e-4 } }` or `{ adam = {} }`.
    #[serde(default = "K::optimiser")]
    pub optimiser: Method,
    /// Size of the updates.
    #[serde(default = "K::learning_rate")]
    pub learning_rate: f64,
    /// What the learning rate is multiplied by as training goes on: `"constant"`, `"dann"`,
    /// `{ step = { epochs = 10 } }`, `{ cosine = {} }`, `{ warm-up = { epochs = 1 } }`, …
    #[serde(default)]
    pub schedule: Schedule,
    /// Part of the training images that is held out, drawn by the seed, to choose the best epoch; 0 for the last epoch.
    #[serde(default)]
    pub validation: f64,
    /// Epochs without a better validation accuracy after which the training stops.
    #[serde(default)]
    pub patience: Option<usize>,
    #[serde(skip)]
    kind: PhantomData<fn() -> K>,
}

impl<K: Defaults> Default for TrainingParameters<K> {
    fn default() -> Self {
        Self {
            epochs: K::epochs(),
            batch: K::batch(),
            optimiser: K::optimiser(),
            learning_rate: K::learning_rate(),
            schedule: Schedule::default(),
            validation: 0.0,
            patience: None,
            kind: PhantomData,
        }
    }
}

impl<K: Defaults> TrainingParameters<K> {
    /// Refuses numbers that cannot be used.
    ///
    /// # Errors
    /// [`Error::Parameter`] with the path of the number: `training.batch`.
    pub fn check(&self) -> Result<()> {
        let wrong = |name: &str, message: String| {
            Err(Error::parameter(format!("training.{name}"), message))
        };
        if self.batch == 0 {
            return wrong("batch", "expected at least 1, got 0".into());
        }
        if !(self.learning_rate.is_finite() && self.learning_rate > 0.0) {
            let found = format!("expected a positive number, got {}", self.learning_rate);
            return wrong("learning_rate", found);
        }
        if !(0.0..1.0).contains(&self.validation) {
            return wrong("validation", "expected at least 0 and below 1".into());
        }
        if self.patience.is_some() && self.validation == 0.0 {
            return wrong("patience", "expected `training.validation` above 0 with it".into());
        }
        self.optimiser.check().and_then(|()| self.schedule.check()).map_err(|error| match error {
            Error::Parameter { key, message } => {
                Error::parameter(format!("training.{key}"), message)
            }
            other => other,
        })
    }

    /// The places to train on, and those that are held out.
    pub fn hold_out(&self, places: Vec<usize>, seed: u64) -> (Vec<usize>, Vec<usize>) {
        hold_out(places, self.validation, seed)
    }

    /// The task of telling classes apart; see [`Classifier::new`].
    ///
    /// # Errors
    /// As [`Classifier::new`].
    pub fn classifier<'a, F: FnMut(&Tensor) -> candle_core::Result<Tensor>>(
        &self,
        forward: F,
        variables: &'a Variables,
        images: &'a Images,
        held_out: &'a Images,
    ) -> Result<Classifier<'a, F>> {
        let validation = (!held_out.is_empty()).then_some(held_out);
        Classifier::new(forward, variables, self.optimiser, self.learning_rate, images, validation)
    }

    /// Trains `task`, a [`classifier`](Self::classifier), on so many images. The best epoch on those held out decides where
    /// there are any.
    ///
    /// # Errors
    /// As [`Training::run`].
    pub fn run(
        &self,
        ctx: &Context,
        task: &mut dyn Task,
        (images, held_out): (&Images, &Images),
        checkpoints: Checkpoints,
    ) -> Result<History> {
        let monitor = (!held_out.is_empty()).then(|| Monitor {
            metric: "validation_accuracy".to_owned(),
            direction: Direction::Higher,
            patience: self.patience,
        });
        let training = Training {
            schedule: self.schedule,
            monitor,
            checkpoint_every: checkpoints.every,
            shared: checkpoints.shared,
            ..Training::new(images.len(), self.batch, self.epochs)
        };
        training.run(ctx, task)
    }
}

/// Where and how often a training keeps its state.
#[derive(Debug, Clone)]
pub struct Checkpoints {
    /// Time between checkpoints. It never changes the result.
    pub every: Duration,
    /// See [`Training::shared`].
    pub shared: Option<PathBuf>,
}
