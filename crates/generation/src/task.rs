//! The training loop's task: both networks, and what is kept on the way.

use std::time::{Duration, Instant};

use candle_core::{Device, Tensor};
use sconce_core::{Error, Result};
use sconce_models::Tensors;
use sconce_models::average::Average;
use sconce_models::images::Images;
use sconce_models::networks::dcgan::{
    Discriminator, Examples, GanLosses, Generator, Objective, Side, UnreadLosses, one_hot, step,
};
use sconce_models::optim::Optimiser;
use sconce_models::train::{Batch, Task, Values, View};
use sconce_models::variables::Variables;

use crate::course::Course;
use crate::latent;
use crate::sample::{self, Mode};
use crate::verdict::Verdict;

/// What stands before the names of the networks that are kept, in a snapshot.
const KEPT: &str = "kept.";

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
    /// Updates whose losses were not read yet, by their number, counted from 1.
    pub(crate) unread: Vec<(usize, UnreadLosses)>,
    /// Numbers of updates that the loop did not ask for yet.
    pub(crate) numbers: Vec<Values>,
    /// The last losses that were numbers.
    pub(crate) last: Option<GanLosses>,
    /// Both networks at the last look: what is left of a training that diverges.
    pub(crate) kept: Option<Tensors>,
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
        let pixels = sample::pixels(generator, noise, classes.as_ref(), *mode, batch)?;
        // An update can give losses that are numbers and weights that are none.
        if !pixels.iter().all(|value| value.is_finite()) || !self.is_finite()? {
            return self.diverge(step, step);
        }
        let samples = pixels.into_iter().map(sample::sample).collect::<Result<_>>()?;
        self.course.look(step, samples);
        self.kept = Some(self.networks(KEPT)?);
        self.judge(step);
        Ok(())
    }

    /// Whether all parameters of both networks, and what belongs to them, are numbers.
    fn is_finite(&self) -> Result<bool> {
        for variable in self.generator.variables.iter().chain(self.discriminator.variables.iter()) {
            let values = variable.var.flatten_all().and_then(|values| values.to_vec1::<f32>());
            if !values.map_err(Error::other)?.iter().all(|value| value.is_finite()) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Ends the updates with number `step`, of which `done` gave losses. What is kept are the networks of the last look: nobody knows
    /// how long they have been on their way to what is no number.
    fn diverge(&mut self, step: usize, done: usize) -> Result<()> {
        let Some(kept) = &self.kept else {
            return Err(Error::message("the networks give no numbers before the first update"));
        };
        self.set_networks(KEPT, kept)?;
        self.course.diverged = Some(step);
        self.course.end_record(done);
        self.judge(step);
        Ok(())
    }

    /// Copies of both networks and of the average, under their names behind `prefix`.
    fn networks(&self, prefix: &str) -> Result<Tensors> {
        let mut all = Tensors::default();
        self.generator.variables.save(&format!("{prefix}generator."), &mut all)?;
        self.discriminator.variables.save(&format!("{prefix}discriminator."), &mut all)?;
        if let Some(averaged) = &self.averaged {
            averaged.average.save(&format!("{prefix}average."), &mut all)?;
        }
        Ok(all)
    }

    /// Sets them from what [`networks`](Self::networks) gave.
    fn set_networks(&self, prefix: &str, from: &Tensors) -> Result<()> {
        self.generator.variables.restore(&format!("{prefix}generator."), from)?;
        self.discriminator.variables.restore(&format!("{prefix}discriminator."), from)?;
        if let Some(averaged) = &self.averaged {
            averaged.average.restore(&format!("{prefix}average."), from)?;
        }
        Ok(())
    }

    /// Tells a verdict that is another one than before, so that a game that is lost can be ended early. Before the first update
    /// nothing is lost.
    fn judge(&mut self, step: usize) {
        let verdict = Verdict::of(self.course.signs());
        if let Some(verdict) = verdict.filter(|verdict| step > 0 && *verdict != self.told) {
            self.told = verdict;
            let updates = if step == 1 { "update" } else { "updates" };
            (self.tell)(format!("after {step} {updates}: {verdict}"));
        }
    }

    /// Takes in the losses of the updates since they were last read. Those behind one that gave no number count for nothing.
    fn read(&mut self) -> Result<()> {
        let began = Instant::now();
        let unread = std::mem::take(&mut self.unread);
        let losses = unread.into_iter().map(|(done, losses)| Ok((done, losses.read()?)));
        let losses: Vec<_> = losses.collect::<candle_core::Result<_>>().map_err(Error::other)?;
        self.timed.1 += began.elapsed();
        for (done, losses) in losses {
            match (self.course.diverged, losses.is_finite()) {
                (Some(_), _) => {}
                (None, true) => {
                    self.last = Some(losses);
                    self.course.push(done, &losses);
                }
                // From here on nothing is updated: the verdict tells it.
                (None, false) => self.diverge(done, done - 1)?,
            }
            self.tell_numbers();
        }
        Ok(())
    }

    /// Gives the loop the last losses. None where there are none: zeros would pass for losses.
    fn tell_numbers(&mut self) {
        let last = self.last.map(|losses| GanLosses::NAMES.into_iter().zip(losses.numbers()));
        self.numbers.push(last.into_iter().flatten().collect());
    }

    fn update(&mut self, batch: &Batch<'_>) -> Result<UnreadLosses> {
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
    fn step(&mut self, batch: &Batch<'_>) -> Result<()> {
        let before = batch.position.step;
        if before == 0 && self.course.last_look().is_none() {
            self.look(0)?;
        }
        if self.course.diverged.is_some() {
            self.tell_numbers();
            return Ok(());
        }
        let (began, done) = (Instant::now(), before + 1);
        let losses = self.update(batch)?;
        self.timed = (self.timed.0 + 1, self.timed.1 + began.elapsed());
        if let Some(averaged) = &self.averaged {
            averaged.average.update().map_err(Error::other)?;
        }
        self.unread.push((done, losses));
        if done.is_multiple_of(self.looks.every) || done == self.steps {
            self.read()?;
            if self.course.diverged.is_none() {
                if done == self.steps {
                    self.course.end_record(done);
                }
                self.look(done)?;
            }
        }
        Ok(())
    }

    fn numbers(&mut self) -> Result<Vec<Values>> {
        self.read()?;
        Ok(std::mem::take(&mut self.numbers))
    }

    fn waits(&self) -> bool {
        !self.device().is_cpu()
    }

    fn snapshot(&self) -> Result<Tensors> {
        let mut all = self.networks("")?;
        self.generator.optimiser.save("generator_optimiser.", &mut all)?;
        self.discriminator.optimiser.save("discriminator_optimiser.", &mut all)?;
        for (name, tensor) in self.kept.iter().flat_map(Tensors::iter) {
            all.insert(name, tensor.clone());
        }
        self.course.save(&mut all)?;
        if let Some(last) = self.last {
            let last = Tensor::new(&last.numbers(), &Device::Cpu).map_err(Error::other)?;
            all.insert("last", last);
        }
        Ok(all)
    }

    fn restore(&mut self, snapshot: &Tensors) -> Result<()> {
        self.set_networks("", snapshot)?;
        self.generator.optimiser.restore("generator_optimiser.", snapshot)?;
        self.discriminator.optimiser.restore("discriminator_optimiser.", snapshot)?;
        let kept = snapshot.iter().filter(|(name, _)| name.starts_with(KEPT));
        let kept: Vec<_> = kept.map(|(name, tensor)| (name.to_owned(), tensor.clone())).collect();
        self.kept = (!kept.is_empty()).then(|| kept.into_iter().collect());
        self.course.restore(snapshot)?;
        self.last = match snapshot.contains("last") {
            true => {
                let last = snapshot.get("last")?.to_vec1::<f64>().map_err(Error::other)?;
                let last = <[f64; 6]>::try_from(last);
                let last = last.map_err(|_| Error::message("the checkpoint holds no last losses"));
                Some(GanLosses::of(last?))
            }
            false => None,
        };
        Ok(())
    }
}
