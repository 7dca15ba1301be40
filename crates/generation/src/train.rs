//! Training of two networks, from an image set to a generator.

use std::time::Duration;

use candle_core::Device;
use rand::seq::SliceRandom;
use sconce_core::error::IoResultExt;
use sconce_core::{Context, Error, Result};
use sconce_data::resize::{Filter, Fit};
use sconce_data::{Channels, Color, ImageSet, Preprocessing, Table, Weights};
use sconce_models::average::Average;
use sconce_models::images::Images;
use sconce_models::networks::dcgan::{
    Discriminator, DiscriminatorLayout, GanLosses, Generator, GeneratorLayout, Initialisation,
    Objective, one_hot,
};
use sconce_models::optim::Optimiser;
use sconce_models::train::{Defaults, History, Training, TrainingParameters};
use sconce_models::variables::{Variables, write_weights};

use crate::course::{COMPARED, Course};
use crate::latent;
use crate::sample::{Mode, sample};
use crate::stages::places;
use crate::task::{Averaged, Looks, Playing, Trained};
use crate::verdict::{Verdict, nearest};

/// What a training of two networks is, besides epochs and optimiser. Channels and classes are the images'.
pub(crate) struct Play<'a> {
    pub(crate) split: &'a str,
    pub(crate) generator: GeneratorLayout,
    pub(crate) discriminator: DiscriminatorLayout,
    /// Of the generator and the discriminator.
    pub(crate) learning_rates: [f64; 2],
    pub(crate) initialisation: Initialisation,
    pub(crate) objective: Objective,
    /// Decay of the average of the generator's weights; 0 for none.
    pub(crate) average: f64,
    pub(crate) sample_every: usize,
    pub(crate) samples: usize,
    pub(crate) mode: Mode,
    pub(crate) record_every: usize,
    /// Time between checkpoints to go on from.
    pub(crate) every: Duration,
}

/// What comes of it.
pub(crate) struct Played {
    pub(crate) history: History,
    pub(crate) losses: Table,
    pub(crate) verdicts: Table,
    pub(crate) samples: ImageSet,
    pub(crate) generator: Weights,
    pub(crate) discriminator: Weights,
    pub(crate) verdict: Verdict,
    /// Numbers that the verdict rests on, and the last losses, where there are such.
    pub(crate) metrics: Vec<(&'static str, f64)>,
    /// Mean seconds of an update, of those that this process did; none where it did none.
    pub(crate) step_seconds: Option<f64>,
}

/// Samples 0 to 255 to −1 to 1, `size` pixels wide and high.
pub(crate) fn preprocessing(color: Color, size: usize) -> Preprocessing {
    let channels = match color {
        Color::Grey => Channels::Grey,
        Color::Rgb => Channels::Rgb,
    };
    Preprocessing {
        channels,
        scale: 1.0,
        mean: vec![0.5; channels.count()],
        std: vec![0.5; channels.count()],
        instance: false,
        size: Some(size),
        fit: Fit::Stretch,
        filter: Filter::default(),
    }
}

/// Trains a generator against a discriminator on images of one split.
///
/// # Errors
/// When images do not fit, or the training fails.
pub(crate) fn play<K: Defaults>(
    ctx: &Context,
    how: &Play<'_>,
    training: &TrainingParameters<K>,
    images: &ImageSet,
) -> Result<Played> {
    play_by(ctx, how, training, images, |training, task| training.run(ctx, task))
}

/// The same, by a loop of the caller's.
fn play_by<K: Defaults>(
    ctx: &Context,
    how: &Play<'_>,
    training: &TrainingParameters<K>,
    images: &ImageSet,
    run: impl FnOnce(&Training, &mut Playing<'_>) -> Result<History>,
) -> Result<Played> {
    let device = sconce_models::device(ctx.device())?;
    let (color, size) = (images.color(), how.generator.size);
    let chosen = chosen(images, how)?;
    let preprocessing = preprocessing(color, size);
    if training.batch > chosen.len() {
        let of = if how.split.is_empty() {
            String::new()
        } else {
            format!(" in the split `{}`", how.split)
        };
        let message = format!(
            "expected at most {}, as many as there are images{of}, got {}",
            chosen.len(),
            training.batch
        );
        return Err(Error::parameter("training.batch", message));
    }
    let loaded = Images::load(images, &chosen, &preprocessing)?;
    let classes = &images.examples().classes;
    let generator = GeneratorLayout { channels: color.channels(), ..how.generator };
    let discriminator = DiscriminatorLayout { channels: color.channels(), ..how.discriminator };
    let told = generator.classes.max(discriminator.classes);
    let of_g = Variables::drawn(
        &generator.parameters(how.initialisation),
        seed(ctx, "generator"),
        &device,
    )?;
    let of_d = Variables::drawn(
        &discriminator.parameters(how.initialisation),
        seed(ctx, "discriminator"),
        &device,
    )?;
    let averaged = match how.average {
        0.0 => None,
        decay => Some(averaged(decay, generator, &of_g)?),
    };
    let labels: Vec<u32> = match told {
        0 => Vec::new(),
        told => (0..how.samples).map(|i| (i % told) as u32).collect(),
    };
    let noise = latent::noise(how.samples, generator.latent, &mut ctx.rng("noise of samples"));
    let looks = Looks {
        every: how.sample_every,
        noise: latent::tensor(&noise, &device)?,
        classes: match generator.classes {
            0 => None,
            count => Some(one_hot(&labels, count, &device).map_err(Error::other)?),
        },
        mode: how.mode,
    };
    let training_loop = Training {
        // Batch norm cannot do with one image.
        drop_last: true,
        schedule: training.schedule,
        checkpoint_every: how.every,
        ..Training::new(loaded.len(), training.batch, training.epochs)
    };
    let real_distance = real_distance(ctx, &loaded, how.samples)?;
    let pixels = generator.channels * size * size;
    let mut task = Playing {
        generator: Trained {
            network: Generator::new(generator, &of_g)?,
            variables: &of_g,
            optimiser: Optimiser::new(training.optimiser, &of_g)?,
            learning_rate: how.learning_rates[0],
        },
        discriminator: Trained {
            network: Discriminator::new(discriminator, &of_d)?,
            variables: &of_d,
            optimiser: Optimiser::new(training.optimiser, &of_d)?,
            learning_rate: how.learning_rates[1],
        },
        averaged,
        objective: how.objective,
        images: &loaded,
        classes: told,
        looks,
        course: Course::new(how.record_every, pixels, real_distance),
        steps: training_loop.steps_per_epoch() * training.epochs,
        told: Verdict::Stable,
        tell: &|text| ctx.note(text),
        timed: (0, Duration::ZERO),
        unread: vec![],
        numbers: vec![],
        last: None,
        kept: None,
    };
    let mut history = run(&training_loop, &mut task)?;
    let write = |variables: &Variables, name: &str| {
        let folder = ctx.scratch().join(name);
        std::fs::create_dir_all(&folder).at(&folder)?;
        let classes = if told > 0 { classes.as_slice() } else { &[] };
        write_weights(variables, &folder, &format!("dcgan_{name}"), &preprocessing, classes)
    };
    let signs = task.course.signs();
    let verdict = Verdict::of(signs);
    let verdict =
        verdict.ok_or_else(|| Error::message("no update was made: nothing can be told of it"))?;
    let mut metrics: Vec<_> =
        signs.ranking.map(|ranking| ("ranking", ranking)).into_iter().collect();
    metrics.push(("diversity", signs.diversity));
    if let Some(GanLosses { discriminator, generator, real, fake, .. }) = task.last {
        metrics.extend([("discriminator_loss", discriminator), ("generator_loss", generator)]);
        metrics.extend([("real", real), ("fake", fake)]);
    }
    if let Some(step) = task.course.diverged {
        let look = task.course.last_look().unwrap_or_default();
        ctx.note(format!(
            "with update {step} a loss, a weight or an image was no number: nothing counts from there on, and both networks are \
             those of the last look, after {look} updates"
        ));
        metrics.push(("diverged_at", step as f64));
        // Later epochs have no numbers of their own.
        history.rows.truncate((step - 1) / training_loop.steps_per_epoch());
    }
    Ok(Played {
        losses: task.course.losses()?,
        verdicts: task.course.verdicts()?,
        samples: task.course.images(
            size,
            color,
            (if told > 0 { classes } else { &[] }, &labels),
        )?,
        generator: write(task.best()?.1, "generator")?,
        discriminator: write(&of_d, "discriminator")?,
        verdict,
        metrics,
        step_seconds: task.step_seconds(),
        history,
    })
}

/// A seed for the parameters of one of the networks: they are not to be drawn alike.
fn seed(ctx: &Context, network: &str) -> u64 {
    sconce_core::random::stage_seed(ctx.seed(), network)
}

/// The images to train on.
fn chosen(images: &ImageSet, how: &Play<'_>) -> Result<Vec<usize>> {
    let examples = images.examples();
    let chosen = places(examples, "split", how.split)?;
    if how.generator.classes > 0 || how.discriminator.classes > 0 {
        let wrong =
            |error: Error| Error::Input { slot: "images".into(), message: error.to_string() };
        examples.check_told_apart(&chosen).map_err(wrong)?;
    }
    Ok(chosen)
}

fn averaged(decay: f64, layout: GeneratorLayout, variables: &Variables) -> Result<Averaged> {
    let copies = variables.still()?;
    let generator = Generator::new(layout, &copies)?;
    Ok(Averaged { average: Average::new(decay, variables)?, variables: copies, generator })
}

/// What diversity is measured by: of as many real images as are looked at, drawn by the seed.
fn real_distance(ctx: &Context, images: &Images, count: usize) -> Result<f64> {
    let mut rows: Vec<usize> = (0..images.len()).collect();
    rows.shuffle(&mut ctx.rng("real images for diversity"));
    rows.truncate(count.min(COMPARED));
    let real = images.batch(&rows, &Device::Cpu, |_| sconce_models::train::View::default())?;
    let size = images.shape().iter().product();
    let values = real.flatten_all().and_then(|t| t.to_vec1::<f32>()).map_err(Error::other)?;
    let samples: Vec<u8> = values.into_iter().map(sample).collect::<Result<_>>()?;
    Ok(nearest(&samples, size))
}

#[cfg(test)]
mod tests;
