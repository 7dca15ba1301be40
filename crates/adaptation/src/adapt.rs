//! Training on two domains, from image sets to what the network says.

mod start;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

use rand::seq::SliceRandom;
use sconce_core::error::IoResultExt;
use sconce_core::{Context, Error, Result};
use sconce_data::evaluation::argmax;
use sconce_data::{Examples, Features, ImageSet, Preprocessing, Table, Weights};
use sconce_models::average::Average;
use sconce_models::images::Images;
use sconce_models::networks::Architecture;
use sconce_models::networks::two_domains::{Domain, Layout, Statistics, TwoDomains};
use sconce_models::optim::Optimiser;
use sconce_models::train::{Defaults, History, Training, TrainingParameters, Unread};
use sconce_models::variables::{Variables, write_weights};

use crate::method::Method;
use crate::task::{Adapting, Pseudo, Still};
use crate::watch::{Checkpoints, Watched};
use start::variables;

/// What a training on two domains is, besides epochs and optimiser.
pub(crate) struct Adaptation<'a> {
    pub(crate) layout: Layout,
    pub(crate) method: Method,
    pub(crate) statistics: Statistics,
    pub(crate) dropout: f64,
    pub(crate) feature_noise: f64,
    pub(crate) average: f64,
    pub(crate) split: &'a str,
    pub(crate) test_split: &'a str,
    pub(crate) watched: usize,
    pub(crate) checkpoint_epochs: usize,
    pub(crate) preprocessing: &'a Preprocessing,
    /// Whether mean and deviation are each domain's own.
    pub(crate) per_domain: bool,
    pub(crate) weights: Option<&'a Weights>,
    /// The same network with the source's batch statistics.
    pub(crate) source_weights: Option<&'a Weights>,
    /// Time between checkpoints to go on from.
    pub(crate) every: Duration,
    pub(crate) shared: Option<PathBuf>,
}

impl Adaptation<'_> {
    /// The network of these variables, with its dropout and noise.
    fn network(&self, variables: &Variables) -> Result<TwoDomains> {
        let mut network = TwoDomains::new(self.layout, self.statistics, variables)?;
        (network.dropout, network.noise) = (self.dropout, self.feature_noise);
        Ok(network)
    }

    /// A copy that no optimiser changes.
    fn still(&self, variables: &Variables) -> Result<Still> {
        let copies = variables.still()?;
        Ok(Still { network: self.network(&copies)?, variables: copies })
    }
}

/// What comes of it; pairs are of source and target.
pub(crate) struct Adapted {
    pub(crate) history: History,
    pub(crate) checkpoints: Table,
    pub(crate) logits: [Features; 2],
    pub(crate) weights: [Weights; 2],
    pub(crate) metrics: Vec<(String, f64)>,
}

/// The images of one domain.
struct OfDomain {
    train: Images,
    watched: Watched,
    preprocessing: Preprocessing,
}

/// Both domains' images, and the variables that are trained.
struct Prepared<'a> {
    how: &'a Adaptation<'a>,
    source: OfDomain,
    target: OfDomain,
    classes: Vec<String>,
    variables: Variables,
}

/// Trains a network on both domains.
///
/// # Errors
/// When images or weights do not fit, or the training fails.
pub(crate) fn adapt<K: Defaults>(
    ctx: &Context,
    how: &Adaptation<'_>,
    training: &TrainingParameters<K>,
    images: [&ImageSet; 2],
) -> Result<Adapted> {
    let prepared = Prepared::new(ctx, how, images)?;
    let mut task = prepared.task(training, ctx.seed())?;
    let history = prepared.training(training).run(ctx, &mut task)?;
    prepared.finish(ctx, &task, history)
}

impl<'a> Prepared<'a> {
    fn new(
        ctx: &Context,
        how: &'a Adaptation<'a>,
        [source, target]: [&ImageSet; 2],
    ) -> Result<Self> {
        let device = sconce_models::device(ctx.device())?;
        let classes = source.examples().classes.clone();
        // From here on nobody knows the target's labels.
        let unlabelled =
            Examples { classes: classes.clone(), ..target.examples().without_labels() };
        let target = &target.with_examples(unlabelled)?;
        let variables = variables(how, &classes, ctx.seed(), &device)?;
        let source = load(ctx, how, ("source", source))?;
        let target = load(ctx, how, ("target", target))?;
        Ok(Self { how, source, target, classes, variables })
    }

    fn task<K: Defaults>(
        &self,
        training: &TrainingParameters<K>,
        seed: u64,
    ) -> Result<Adapting<'_>> {
        let Self { how, source, target, variables, .. } = self;
        let averaged = match how.average {
            0.0 => None,
            decay => Some((Average::new(decay, variables)?, how.still(variables)?)),
        };
        let teacher = match how.method {
            Method::DirtT(_) => Some(how.still(variables)?),
            _ => None,
        };
        Ok(Adapting {
            method: how.method,
            network: how.network(variables)?,
            variables,
            optimiser: Optimiser::new(training.optimiser, variables)?,
            learning_rate: training.learning_rate,
            seed,
            source: &source.train,
            target: &target.train,
            watched: [&source.watched, &target.watched],
            checkpoint_epochs: how.checkpoint_epochs,
            epochs: training.epochs,
            checkpoints: Checkpoints::default(),
            averaged,
            teacher,
            pseudo: Pseudo::default(),
            step: 0,
            unread: Unread::default(),
            target_order: None,
        })
    }

    fn training<K: Defaults>(&self, training: &TrainingParameters<K>) -> Training {
        Training {
            // Batch norm cannot do with one image, and both domains give as many.
            drop_last: true,
            schedule: training.schedule,
            checkpoint_every: self.how.every,
            shared: self.how.shared.clone(),
            ..Training::new(self.source.train.len(), training.batch, training.epochs)
        }
    }

    fn finish(&self, ctx: &Context, task: &Adapting<'_>, history: History) -> Result<Adapted> {
        let Self { how, source, target, classes, .. } = self;
        let checkpoints = &task.checkpoints;
        let logits = [
            checkpoints.features(0, source.watched.examples.clone())?,
            checkpoints.features(1, target.watched.examples.clone())?,
        ];
        let mut metrics: Vec<(String, f64)> = history.rows.last().cloned().unwrap_or_default();
        if let Some(accuracy) = last_accuracy(&logits[0], how.test_split)? {
            metrics.push(("source_accuracy".to_owned(), accuracy));
        }
        let best = task.best_variables()?;
        let write = |domain: Domain, name: &str, preprocessing: &Preprocessing| {
            let folder = ctx.scratch().join(name);
            std::fs::create_dir_all(&folder).at(&folder)?;
            let own = TwoDomains::of_domain(best, domain)?;
            write_weights(&own, &folder, how.layout.name(), preprocessing, classes)
        };
        Ok(Adapted {
            history,
            checkpoints: checkpoints.table()?,
            weights: [
                write(Domain::Source, "source", &source.preprocessing)?,
                write(Domain::Target, "target", &target.preprocessing)?,
            ],
            logits,
            metrics,
        })
    }
}

/// The images of a domain: those to train on, and those that are watched.
fn load(
    ctx: &Context,
    how: &Adaptation<'_>,
    (slot, images): (&str, &ImageSet),
) -> Result<OfDomain> {
    let examples = images.examples();
    let wrong = |message: String| Error::Input { slot: slot.into(), message };
    let of_split = |key: &str, name: &str| {
        let found = match name {
            "" => Ok((0..images.len()).collect()),
            name => examples.in_split(name),
        };
        found.map_err(|error| wrong(format!("`{key}`: {error}")))
    };
    let chosen = of_split("split", how.split)?;
    if slot == "source" {
        examples.check_told_apart(&chosen).map_err(|error| wrong(error.to_string()))?;
    }
    if chosen.is_empty() {
        return Err(wrong(format!("expected images in the split `{}`", how.split)));
    }
    let preprocessing = match how.per_domain {
        true => measured(images, &chosen, how.preprocessing)?,
        false => how.preprocessing.clone(),
    };
    let test = match how.test_split {
        "" => Vec::new(),
        name => of_split("test_split", name)?,
    };
    // Images to test on are watched anyway, and nobody is watched twice.
    let mut drawn = chosen.clone();
    drawn.retain(|place| test.binary_search(place).is_err());
    drawn.shuffle(&mut ctx.rng(&format!("watched images of the {slot}")));
    drawn.truncate(how.watched);
    drawn.sort_unstable();
    drawn.extend(test);
    if drawn.is_empty() {
        let message = "expected images to watch: none is in `test_split`, and `watched` is 0";
        return Err(wrong(message.to_owned()));
    }
    Ok(OfDomain {
        train: Images::load(images, &chosen, &preprocessing)?,
        watched: Watched {
            examples: examples.select(&drawn),
            images: Images::load(images, &drawn, &preprocessing)?,
        },
        preprocessing,
    })
}

/// The preprocessing with mean and deviation of these images, channel by channel.
fn measured(images: &ImageSet, chosen: &[usize], like: &Preprocessing) -> Result<Preprocessing> {
    let plain = Preprocessing { mean: vec![0.0; 3], std: vec![1.0; 3], ..like.clone() };
    let (mut sums, mut squares, mut count) = ([0f64; 3], [0f64; 3], 0usize);
    for &place in chosen {
        let samples = plain.apply(&images.decode(place)?)?;
        let plane = samples.len() / 3;
        for (channel, samples) in samples.chunks(plane.max(1)).enumerate().take(3) {
            for &sample in samples {
                sums[channel] += f64::from(sample);
                squares[channel] += f64::from(sample).powi(2);
            }
        }
        count += plane;
    }
    let mean = sums.map(|sum| sum / count.max(1) as f64);
    let std: Vec<f32> = (0..3)
        .map(|c| (squares[c] / count.max(1) as f64 - mean[c].powi(2)).max(0.0).sqrt() as f32)
        .collect();
    if std.contains(&0.0) {
        return Err(Error::message("expected images that are not all of one colour"));
    }
    Ok(Preprocessing { mean: mean.map(|m| m as f32).to_vec(), std, ..like.clone() })
}

/// The part of the labelled images of a split that the last checkpoint tells right; none without such a split.
fn last_accuracy(logits: &Features, split: &str) -> Result<Option<f64>> {
    let examples = logits.examples();
    if split.is_empty() || !examples.is_labelled() {
        return Ok(None);
    }
    let rows = examples.in_split(split)?;
    let labels = examples.labels_of(&rows)?;
    let classes = logits.shape().last().copied().unwrap_or(1);
    let right = rows.iter().zip(labels).filter(|&(&row, label)| {
        let row = logits.row(row);
        argmax(&row[row.len() - classes..]) == label as usize
    });
    Ok(Some(right.count() as f64 / rows.len().max(1) as f64))
}
