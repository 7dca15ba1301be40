//! The training loop's task: both networks, and what is kept on the way.

use std::time::{Duration, Instant};

use candle_core::{Device, Tensor};
use sconce_core::{Error, Result};
use sconce_models::Tensors;
use sconce_models::average::Average;
use sconce_models::images::Images;
use sconce_models::networks::dcgan::{
    Discriminator, Examples, GanLosses, Generator, Objective, Side, one_hot, step,
};
use sconce_models::optim::Optimiser;
use sconce_models::train::{Batch, Task, Values, View};
use sconce_models::variables::Variables;

use crate::course::Course;
use crate::latent;
use crate::sample::{self, Mode};
use crate::verdict::Verdict;

/// A network with its variables.
pub(crate) struct Trained<'a, N> {
    pub(crate) network: N,
    pub(crate) variables: &'a Variables,
    pub(crate) optimiser: Optimiser,
    pub(crate) learning_rate: f64,
}

impl<N> Trained<'_, N> {
    fn side(&mut self, factor: f64) -> Side<'_, N> {
        Side {
            network: &self.network,
            optimiser: &mut self.optimiser,
            learning_rate: self.learning_rate * factor,
        }
    }
}

/// The average of a generator's weights, and a generator of it.
pub(crate) struct Averaged {
    pub(crate) average: Average,
    pub(crate) variables: Variables,
    pub(crate) generator: Generator,
}

/// What images are looked at on the way: from the same noise, and of the same classes.
pub(crate) struct Looks {
    /// Updates from one look to the next; the start and the end are looked at too.
    pub(crate) every: usize,
    /// `(images, latent)`.
    pub(crate) noise: Tensor,
    /// `(images, classes)`.
    pub(crate) classes: Option<Tensor>,
    pub(crate) mode: Mode,
}

/// What a training of two networks needs besides the loop.
pub(crate) struct Playing<'a> {
    pub(crate) generator: Trained<'a, Generator>,
    pub(crate) discriminator: Trained<'a, Discriminator>,
    pub(crate) averaged: Option<Averaged>,
    pub(crate) objective: Objective,
    pub(crate) images: &'a Images,
    /// Classes that a network is told; 0 for none.
    pub(crate) classes: usize,
    pub(crate) looks: Looks,
    pub(crate) course: Course,
    /// Updates that the training has.
    pub(crate) steps: usize,
    /// The last losses that were numbers.
    pub(crate) last: GanLosses,
    /// The verdict that was told last.
    pub(crate) told: Verdict,
    /// Tells people how it goes.
    pub(crate) tell: &'a dyn Fn(String),
    /// Updates of this process, and what they took. No result but a time.
    pub(crate) timed: (usize, Duration),
}

impl Playing<'_> {
    fn device(&self) -> &Device {
        self.generator.variables.device()
    }

    /// The generator that counts, and its variables: of the averaged weights where there are such.
    pub(crate) fn best(&self) -> Result<(&Generator, &Variables)> {
        match &self.averaged {
            Some(averaged) => {
                averaged.variables.restore("", &averaged.average.tensors()?)?;
                Ok((&averaged.generator, &averaged.variables))
            }
            None => Ok((&self.generator.network, self.generator.variables)),
        }
    }

    /// Mean seconds of an update of this process.
    pub(crate) fn step_seconds(&self) -> Option<f64> {
        let (count, time) = self.timed;
        (count > 0).then(|| time.as_secs_f64() / count as f64)
    }

    /// Looks at images after `step` updates.
    fn look(&mut self, step: usize) -> Result<()> {
        let Looks { noise, classes, mode, .. } = &self.looks;
        let (generator, _) = self.best()?;
        let batch = noise.dim(0).map_err(Error::other)?.min(256);
        let samples = sample::images(generator, noise, classes.as_ref(), *mode, batch);
        match samples {
            Ok(samples) => self.course.look(step, samples),
            // What a diverged generator gives is no image.
            Err(_) if self.course.diverged.is_some() => {}
            Err(error) => return Err(error),
        }
        self.judge(step);
        Ok(())
    }

    /// Tells a verdict that is another one than before, so that a game that is lost can be ended early. Before the first update
    /// nothing is lost.
    fn judge(&mut self, step: usize) {
        let verdict = Verdict::of(self.course.signs());
        if step > 0 && verdict != self.told {
            self.told = verdict;
            let updates = if step == 1 { "update" } else { "updates" };
            (self.tell)(format!("after {step} {updates}: {verdict}"));
        }
    }

    fn update(&mut self, batch: &Batch<'_>) -> Result<GanLosses> {
        let device = self.device().clone();
        let images = self.images.batch(batch.rows, &device, |_| View::default())?;
        let latent = self.generator.network.layout().latent;
        let noise = latent::noise(batch.rows.len(), latent, &mut batch.rng("noise"));
        let noise = latent::tensor(&noise, &device)?;
        let classes = match self.classes {
            0 => None,
            count => {
                let of: Vec<u32> = batch
                    .rows
                    .iter()
                    .filter_map(|&row| self.images.labels().get(row).copied())
                    .collect();
                Some(one_hot(&of, count, &device).map_err(Error::other)?)
            }
        };
        let x = Examples { images: &images, noise: &noise, classes: classes.as_ref() };
        let (mut g, mut d) =
            (self.generator.side(batch.factor), self.discriminator.side(batch.factor));
        let rng = &mut batch.rng("noise of penalties");
        step(&mut g, &mut d, &x, &self.objective, rng).map_err(Error::other)
    }
}

impl Task for Playing<'_> {
    fn step(&mut self, batch: &Batch<'_>) -> Result<Values> {
        let before = batch.position.step;
        if before == 0 && !self.course.has_look(0) {
            self.look(0)?;
        }
        let done = before + 1;
        if self.course.diverged.is_none() {
            let began = Instant::now();
            let losses = self.update(batch)?;
            self.timed = (self.timed.0 + 1, self.timed.1 + began.elapsed());
            match losses.is_finite() {
                true => {
                    self.last = losses;
                    if let Some(averaged) = &self.averaged {
                        averaged.average.update().map_err(Error::other)?;
                    }
                }
                // From here on nothing is updated: the verdict tells it.
                false => {
                    self.course.diverged = Some(done);
                    self.judge(done);
                }
            }
        }
        if self.course.diverged.is_none() {
            self.course.push(done, &self.last);
            if done.is_multiple_of(self.looks.every) || done == self.steps {
                self.look(done)?;
            }
        }
        Ok(GanLosses::NAMES.into_iter().zip(self.last.numbers()).collect())
    }

    fn snapshot(&self) -> Result<Tensors> {
        let mut all = Tensors::default();
        self.generator.variables.save("generator.", &mut all)?;
        self.generator.optimiser.save("generator_optimiser.", &mut all)?;
        self.discriminator.variables.save("discriminator.", &mut all)?;
        self.discriminator.optimiser.save("discriminator_optimiser.", &mut all)?;
        if let Some(averaged) = &self.averaged {
            averaged.average.save("average.", &mut all)?;
        }
        self.course.save(&mut all)?;
        let last = Tensor::new(&self.last.numbers(), &Device::Cpu).map_err(Error::other)?;
        all.insert("last", last);
        Ok(all)
    }

    fn restore(&mut self, snapshot: &Tensors) -> Result<()> {
        self.generator.variables.restore("generator.", snapshot)?;
        self.generator.optimiser.restore("generator_optimiser.", snapshot)?;
        self.discriminator.variables.restore("discriminator.", snapshot)?;
        self.discriminator.optimiser.restore("discriminator_optimiser.", snapshot)?;
        if let Some(averaged) = &mut self.averaged {
            averaged.average.restore("average.", snapshot)?;
        }
        self.course.restore(snapshot)?;
        let last = snapshot.get("last")?.to_vec1::<f64>().map_err(Error::other)?;
        let last = <[f64; 6]>::try_from(last);
        let last = last.map_err(|_| Error::message("the checkpoint holds no last losses"))?;
        self.last = GanLosses::of(last);
        Ok(())
    }
}
