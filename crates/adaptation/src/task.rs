//! The training loop's task: both domains' images, the method's updates, and what is watched.

use candle_core::backprop::GradStore;
use candle_core::{Device, Tensor};
use sconce_core::{Error, Result};
use sconce_data::evaluation::argmax;
use sconce_models::Tensors;
use sconce_models::average::Average;
use sconce_models::images::Images;
use sconce_models::networks::two_domains::{Domain, TwoDomains};
use sconce_models::optim::Optimiser;
use sconce_models::train::{Batch, Reading, Task, Unread, Values, View, order};
use sconce_models::variables::Variables;
use sconce_ops::tape;

use crate::method::{Dann, DirtT, Method, PseudoLabels};
use crate::update::{self, Distance, Draws, Examples, Update};
use crate::watch::{self, Checkpoints, Watched};

/// What a training needs besides the loop.
pub(crate) struct Adapting<'a> {
    pub(crate) method: Method,
    pub(crate) network: TwoDomains,
    pub(crate) variables: &'a Variables,
    pub(crate) optimiser: Optimiser,
    pub(crate) learning_rate: f64,
    pub(crate) seed: u64,
    pub(crate) source: &'a Images,
    pub(crate) target: &'a Images,
    pub(crate) watched: [&'a Watched; 2],
    /// Epochs from one checkpoint to the next.
    pub(crate) checkpoint_epochs: usize,
    pub(crate) epochs: usize,
    pub(crate) checkpoints: Checkpoints,
    /// The average of the weights, and a network of it: what is watched and written where there is one.
    pub(crate) averaged: Option<(Average, Still)>,
    /// DIRT-T's teacher.
    pub(crate) teacher: Option<Still>,
    /// The target's images with a pseudo-label.
    pub(crate) pseudo: Pseudo,
    /// Updates done.
    pub(crate) step: usize,
    pub(crate) unread: Unread,
    /// The order in which the target's images come in one of its epochs.
    pub(crate) target_order: Option<(usize, Vec<usize>)>,
}

/// A network of variables that no optimiser changes.
pub(crate) struct Still {
    pub(crate) variables: Variables,
    pub(crate) network: TwoDomains,
}

impl Still {
    /// Takes over what the tensors of these names are.
    fn set(&self, tensors: &Tensors) -> Result<()> {
        self.variables.restore("", tensors)
    }
}

/// Which images of the target have pseudo-labels, and which.
#[derive(Debug, Default)]
pub(crate) struct Pseudo {
    rows: Vec<u32>,
    classes: Vec<u32>,
}

impl Adapting<'_> {
    fn device(&self) -> &Device {
        self.variables.device()
    }

    /// The network that counts: of the averaged weights where there are such.
    pub(crate) fn best(&self) -> Result<&TwoDomains> {
        match &self.averaged {
            Some((average, still)) => {
                still.set(&average.tensors()?)?;
                Ok(&still.network)
            }
            None => Ok(&self.network),
        }
    }

    /// The variables that count.
    pub(crate) fn best_variables(&self) -> Result<&Variables> {
        self.best()?;
        Ok(self.averaged.as_ref().map_or(self.variables, |(_, still)| &still.variables))
    }

    /// The target's images of an update: as many as the source has, in epochs of their own. A target of less than one batch
    /// is taken again from its start.
    fn target_rows(&mut self, step: usize, count: usize) -> Vec<usize> {
        let per_epoch = (self.target.len() / count).max(1);
        let epoch = step / per_epoch;
        if self.target_order.as_ref().is_none_or(|(of, _)| *of != epoch) {
            let rows = order(self.seed, "target examples", epoch, self.target.len());
            self.target_order = Some((epoch, rows));
        }
        let rows = self.target_order.as_ref().map_or(&[][..], |(_, rows)| rows);
        rows.iter().cycle().skip(step % per_epoch * count).take(count).copied().collect()
    }

    /// Images with pseudo-labels for an update, and those labels; where none has one, any images, and no labels.
    fn pseudo_rows(&mut self, step: usize, count: usize) -> (Vec<usize>, Option<Vec<u32>>) {
        let there = self.pseudo.rows.len();
        if there == 0 {
            return (self.target_rows(step, count), None);
        }
        let per_epoch = (there / count).max(1);
        let rows = order(self.seed, "pseudo-labelled examples", step / per_epoch, there);
        let from = step % per_epoch * count;
        let chosen: Vec<usize> = rows.into_iter().cycle().skip(from).take(count).collect();
        let classes = chosen.iter().map(|&i| self.pseudo.classes[i]).collect();
        (chosen.iter().map(|&i| self.pseudo.rows[i] as usize).collect(), Some(classes))
    }

    /// Labels the target's images by what the network says now, where it is as sure as `threshold`.
    fn label(&mut self, threshold: f64) -> Result<()> {
        let logits = watch::logits(self.best()?, self.target, Domain::Target, self.device())?;
        let logits = logits.to_vec2::<f32>().map_err(Error::other)?;
        self.pseudo = Pseudo::default();
        for (row, logits) in logits.iter().enumerate() {
            let (class, probability) = surest(logits);
            if probability >= threshold {
                self.pseudo.rows.push(row as u32);
                self.pseudo.classes.push(class);
            }
        }
        Ok(())
    }

    /// The gradients of an update's loss, and numbers about it.
    fn update(&mut self, batch: &Batch<'_>) -> Result<(GradStore, Reading)> {
        let device = self.device().clone();
        let step = batch.position.step;
        let count = batch.rows.len();
        let source = self.source.batch(batch.rows, &device, |_| View::default())?;
        let classes = self.source.classes(batch.rows, &device)?;
        let (rows, pseudo) = match self.method {
            Method::PseudoLabels(_) => self.pseudo_rows(step, count),
            _ => (self.target_rows(step, count), None),
        };
        let target = self.target.batch(&rows, &device, |_| View::default())?;
        let x = Examples { source: &source, target: &target, classes: &classes };
        let of = |purpose: &str| batch.rng(purpose);
        let draws = Draws {
            source: of("dropout of the source"),
            target: of("dropout of the target"),
            of: &of,
        };
        let network = &self.network;
        let rate = self.learning_rate * batch.factor;
        let update = || match self.method {
            Method::SourceOnly {} => update::source_only(network, &x, &draws),
            Method::Dann(Dann { strength, growth, reversed }) => {
                let strength = strength * growth.factor(batch.position.progress());
                update::dann(network, &x, (strength, reversed), &draws)
            }
            Method::Coral(of) | Method::Mmd(of) => {
                let weight = of.weight * of.growth.factor(batch.position.progress());
                let distance = match self.method {
                    Method::Coral(_) => Distance::Coral,
                    _ => Distance::Mmd,
                };
                update::distance(network, &x, (distance, weight), &draws)
            }
            Method::PseudoLabels(PseudoLabels { weight, .. }) => {
                let pseudo = pseudo.map(|classes| Tensor::new(classes, &device));
                let pseudo = pseudo.transpose()?;
                let selected = self.pseudo.rows.len() as f64 / self.target.len().max(1) as f64;
                update::pseudo_labels(network, &x, (pseudo.as_ref(), weight), &draws).map(
                    |Update { loss, numbers }| {
                        let numbers = numbers.and(move || Ok(vec![("pseudo_labelled", selected)]));
                        Update { loss, numbers }
                    },
                )
            }
            Method::Vada(weights) => {
                let optimiser = &mut self.optimiser;
                update::vada(network, &x, weights, &draws, |_, gradients| {
                    optimiser.step(gradients, rate)
                })
            }
            Method::DirtT(weights) => match &self.teacher {
                Some(teacher) => update::dirt_t([network, &teacher.network], &x, weights, &draws),
                None => Err(candle_core::Error::Msg("there is no teacher".into())),
            },
        };
        tape::gradients(|| update().map(|Update { loss, numbers }| (loss, numbers)))
            .map_err(Error::other)
    }

    /// What changes between updates: pseudo-labels and teachers.
    fn refresh(&mut self, batch: &Batch<'_>) -> Result<()> {
        let at = batch.position;
        match self.method {
            Method::PseudoLabels(PseudoLabels { threshold, refresh, .. }) => {
                let begins = at.step.is_multiple_of(at.steps_per_epoch);
                let due = batch.epoch == 0 || refresh > 0 && batch.epoch.is_multiple_of(refresh);
                if begins && due { self.label(threshold) } else { Ok(()) }
            }
            Method::DirtT(DirtT { refresh, .. }) if at.step.is_multiple_of(refresh) => {
                let mut now = Tensors::default();
                match &self.averaged {
                    Some((average, _)) => now = average.tensors()?,
                    None => self.variables.save("", &mut now)?,
                }
                self.teacher.as_ref().map_or(Ok(()), |teacher| teacher.set(&now))
            }
            _ => Ok(()),
        }
    }
}

/// The most probable class, the first of several, and its probability.
fn surest(logits: &[f32]) -> (u32, f64) {
    let best = argmax(logits);
    let most = logits.get(best).map_or(0.0, |&logit| f64::from(logit));
    let sum: f64 = logits.iter().map(|&logit| (f64::from(logit) - most).exp()).sum();
    (best as u32, sum.recip())
}

impl Task for Adapting<'_> {
    fn step(&mut self, batch: &Batch<'_>) -> Result<()> {
        self.refresh(batch)?;
        let (gradients, numbers) = self.update(batch)?;
        let rate = self.learning_rate * batch.factor;
        self.optimiser.step(&gradients, rate).map_err(Error::other)?;
        if let Some((average, _)) = &self.averaged {
            average.update().map_err(Error::other)?;
        }
        self.step = batch.position.step + 1;
        self.unread.push(numbers);
        Ok(())
    }

    fn numbers(&mut self) -> Result<Vec<Values>> {
        self.unread.read()
    }

    fn waits(&self) -> bool {
        !self.device().is_cpu()
    }

    fn validate(&mut self, epoch: usize) -> Result<Values> {
        let done = epoch + 1;
        if done.is_multiple_of(self.checkpoint_epochs) || done == self.epochs {
            let network = self.best()?;
            let domains = [Domain::Source, Domain::Target];
            let logits = |i: usize| {
                watch::logits(network, &self.watched[i].images, domains[i], self.device())
            };
            let logits = [logits(0)?, logits(1)?];
            self.checkpoints.push(done, self.step, logits);
        }
        Ok(Values::new())
    }

    fn snapshot(&self) -> Result<Tensors> {
        let mut all = Tensors::default();
        self.variables.save("model.", &mut all)?;
        self.optimiser.save("optimiser.", &mut all)?;
        if let Some((average, _)) = &self.averaged {
            average.save("average.", &mut all)?;
        }
        if let Some(teacher) = &self.teacher {
            teacher.variables.save("teacher.", &mut all)?;
        }
        if let Method::PseudoLabels(_) = self.method {
            for (name, list) in [("rows", &self.pseudo.rows), ("classes", &self.pseudo.classes)] {
                let list = Tensor::new(list.as_slice(), &Device::Cpu).map_err(Error::other)?;
                all.insert(format!("pseudo.{name}"), list);
            }
        }
        self.checkpoints.save(&mut all)?;
        Ok(all)
    }

    fn restore(&mut self, snapshot: &Tensors) -> Result<()> {
        self.variables.restore("model.", snapshot)?;
        self.optimiser.restore("optimiser.", snapshot)?;
        if let Some((average, _)) = &mut self.averaged {
            average.restore("average.", snapshot)?;
        }
        if let Some(teacher) = &self.teacher {
            teacher.variables.restore("teacher.", snapshot)?;
        }
        if let Method::PseudoLabels(_) = self.method {
            let list = |name: &str| {
                let list = snapshot.get(&format!("pseudo.{name}"))?;
                list.to_vec1::<u32>().map_err(Error::other)
            };
            self.pseudo = Pseudo { rows: list("rows")?, classes: list("classes")? };
        }
        self.checkpoints = Checkpoints::restore(snapshot)?;
        Ok(())
    }
}
