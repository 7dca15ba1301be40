//! The one training loop: a chapter gives it a [`Task`], it does the rest.

mod augment;
mod checkpoint;
mod classifier;
mod history;
mod order;
mod parameters;
#[cfg(test)]
mod tests;
mod unread;

use std::path::PathBuf;
use std::time::{Duration, Instant};

pub use augment::{Augmentation, View, Window};
pub use classifier::Classifier;
pub use history::{Direction, History, Monitor};
pub use order::{hold_out, order};
pub use parameters::{Checkpoints, Defaults, TrainingParameters};
use sconce_core::random::{Generator, generator};
use sconce_core::{Context, Error, Result};
use tracing::{debug_span, trace_span};
pub use unread::{Reading, Unread};

use crate::Tensors;
use crate::schedule::{Position, Schedule};
use checkpoint::Place;

/// What is trained: the part that differs between studies.
pub trait Task {
    /// Does one update from a batch.
    ///
    /// # Errors
    /// Whatever goes wrong; the training stops.
    fn step(&mut self, batch: &Batch<'_>) -> Result<()>;

    /// Numbers about each update since they were last asked for, in their order; of each the loss first, and the same names.
    /// The history holds each number's mean over the epoch, weighted by the batches' sizes. An update that failed has none.
    ///
    /// # Errors
    /// Whatever goes wrong; the training stops.
    fn numbers(&mut self) -> Result<Vec<Values>>;

    /// Whether [`numbers`](Self::numbers) waits for a device, which then has nothing to do until it is told the next update. They
    /// are asked for once a second then, after 256 updates, and before [`validate`](Self::validate) and
    /// [`snapshot`](Self::snapshot); else after each update.
    fn waits(&self) -> bool {
        false
    }

    /// Looks at the model after an epoch and returns numbers about it, such as the accuracy on held-out examples.
    ///
    /// # Errors
    /// Whatever goes wrong; the training stops.
    fn validate(&mut self, epoch: usize) -> Result<Values> {
        let _ = epoch;
        Ok(Values::new())
    }

    /// Copies of everything that [`step`](Self::step) and [`numbers`](Self::numbers) change: variables and what optimisers remember.
    ///
    /// # Errors
    /// When the device has no room.
    fn snapshot(&self) -> Result<Tensors>;

    /// Sets everything from a snapshot.
    ///
    /// # Errors
    /// When something is missing or has another shape.
    fn restore(&mut self, snapshot: &Tensors) -> Result<()>;
}

/// Numbers by name, in the order of the history's columns; the same names each time.
pub type Values = Vec<(&'static str, f64)>;

/// The examples of one update, and how far the training is.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    /// Places of the examples.
    pub rows: &'a [usize],
    /// How far the training is.
    pub position: Position,
    /// The epoch, from 0.
    pub epoch: usize,
    /// What the schedule multiplies learning rates by.
    pub factor: f64,
    seed: u64,
}

impl Batch<'_> {
    /// The generator of `purpose` (dropout, noise, …) for this very update: nothing of it need be saved.
    pub fn rng(&self, purpose: &str) -> Generator {
        generator(self.seed, &format!("step {} {purpose}", self.position.step))
    }
}

/// How a training runs.
#[derive(Debug, Clone)]
pub struct Training {
    /// Times that all examples are seen.
    pub epochs: usize,
    /// Number of examples.
    pub examples: usize,
    /// Examples in a batch.
    pub batch: usize,
    /// Whether a last batch that is not full is left out.
    pub drop_last: bool,
    /// What learning rates are multiplied by.
    pub schedule: Schedule,
    /// Which number decides about the best epoch, if one does; its weights are in the model afterwards.
    pub monitor: Option<Monitor>,
    /// Time between checkpoints. It never changes the result.
    pub checkpoint_every: Duration,
    /// A folder that trainings share which differ only in `epochs`, of [`Context::shared_checkpoint`]: a longer one
    /// begins with the end of a shorter one, where the schedule does not depend on the number of epochs.
    pub shared: Option<PathBuf>,
}

impl Training {
    /// Batches of `batch` out of `examples`, `epochs` times; the last of an epoch may be smaller. A constant learning
    /// rate, no monitor, a checkpoint each 20 seconds.
    pub fn new(examples: usize, batch: usize, epochs: usize) -> Self {
        Self {
            epochs,
            examples,
            batch,
            drop_last: false,
            schedule: Schedule::Constant,
            monitor: None,
            checkpoint_every: Duration::from_secs_f64(CHECKPOINT_SECONDS),
            shared: None,
        }
    }

    /// Updates in an epoch.
    pub fn steps_per_epoch(&self) -> usize {
        match self.drop_last {
            true => self.examples / self.batch.max(1),
            false => self.examples.div_ceil(self.batch.max(1)),
        }
    }

    fn check(&self) -> Result<()> {
        self.schedule.check()?;
        if self.batch == 0 {
            return Err(Error::parameter("batch", "expected at least 1, got 0"));
        }
        if self.steps_per_epoch() == 0 && self.epochs > 0 {
            let Self { batch, examples, .. } = *self;
            if examples == 0 {
                return Err(Error::message("expected examples to train on, found none"));
            }
            let message =
                format!("expected at most {examples}, all examples to train on, got {batch}");
            return Err(Error::parameter("training.batch", message));
        }
        Ok(())
    }

    /// Trains `task`, from the last checkpoint of an interrupted run if there is one, or from the end of a shorter
    /// training in [`shared`](Self::shared).
    /// Either way the result has the same bits as a training from the start.
    ///
    /// The order of epoch `e` is [`order`]`(ctx.seed(), "examples", e, examples)`. Progress, loss and remaining time
    /// are reported through `ctx`.
    ///
    /// # Errors
    /// When the task fails, a number is no longer finite, a checkpoint cannot be written, or the run is to stop.
    pub fn run(&self, ctx: &Context, task: &mut dyn Task) -> Result<History> {
        self.check()?;
        let place = Place::new(ctx, self.shared.clone().filter(|_| !self.schedule.needs_total()));
        let mut state = State::default();
        if let Some(saved) = place.load(self.epochs)? {
            ctx.note(format!("going on after {} updates", saved.state.step));
            task.restore(&saved.task)?;
            state = saved.state;
            // Where it goes on with another training's end, the journal has none of its epochs.
            for (epoch, row) in state.history.rows.iter().enumerate() {
                let step = (epoch + 1) * self.steps_per_epoch();
                let values = row.iter().map(|(name, value)| (name.as_str(), *value));
                ctx.point(step, Some(epoch + 1), values);
            }
        }
        let saved = Instant::now();
        let mut runner = Runner { training: self, ctx, place, saved, fresh: true, unread: vec![] };
        runner.run(task, &mut state)?;
        if let Some(best) = &state.best {
            task.restore(&best.task)?;
        }
        Ok(state.history)
    }
}

/// Updates from one that has a span to the next: all of them would fill a trace.
const STEPS_APART: usize = 10;

/// Updates whose numbers are not read yet, at most: each holds some memory.
const UNREAD: usize = 256;

/// The time between checkpoints where a stage says nothing else, in seconds.
pub const CHECKPOINT_SECONDS: f64 = 20.0;

/// A stage's parameter `checkpoint_seconds` as a time.
///
/// # Errors
/// When it is negative, infinite or not a number.
pub fn checkpoint_time(seconds: f64) -> Result<Duration> {
    Duration::try_from_secs_f64(seconds).map_err(|_| {
        let found = format!("expected at least 0 seconds, got {seconds}");
        Error::parameter("checkpoint_seconds", found)
    })
}

/// All that a training is besides its task.
#[derive(Debug, Clone, Default)]
struct State {
    /// Updates done.
    step: usize,
    /// Sums of the current epoch's numbers, weighted by batch sizes, and the examples seen.
    sums: Vec<(String, f64)>,
    seen: usize,
    history: History,
    best: Option<Best>,
}

#[derive(Debug, Clone)]
struct Best {
    value: f64,
    task: Tensors,
}

struct Runner<'a> {
    training: &'a Training,
    ctx: &'a Context,
    place: Place,
    saved: Instant,
    /// Whether the state is as it was loaded or last saved.
    fresh: bool,
    /// The examples of each update whose numbers were not read yet. They are no part of a state that is saved.
    unread: Vec<usize>,
}

impl Runner<'_> {
    fn run(&mut self, task: &mut dyn Task, state: &mut State) -> Result<()> {
        let per_epoch = self.training.steps_per_epoch();
        let total = per_epoch * self.training.epochs;
        let (start, first) = (Instant::now(), state.step);
        let mut noted = start;
        let mut rows = Vec::new();
        let mut span = None;
        while state.step < total && !state.stopped(self.training) {
            let (epoch, within) = (state.step / per_epoch, state.step % per_epoch);
            if rows.is_empty() || within == 0 {
                // The last one ends before the next begins.
                drop(span.take());
                span = Some(debug_span!("epoch", epoch = epoch + 1).entered());
                rows = order(self.ctx.seed(), "examples", epoch, self.training.examples);
            }
            let step = within
                .is_multiple_of(STEPS_APART)
                .then(|| trace_span!("step", step = state.step).entered());
            self.step(task, state, &rows, epoch, within)?;
            drop(step);
            if within + 1 == per_epoch {
                self.end_epoch(task, state, epoch)?;
            }
            if noted.elapsed() > Duration::from_secs(1) {
                self.read(task, state)?;
                noted = Instant::now();
                let each = start.elapsed().as_secs_f64() / (state.step - first) as f64;
                self.ctx.note(state.line(
                    epoch,
                    self.training.epochs,
                    each * (total - state.step) as f64,
                ));
            }
            let going_on = self.ctx.progress(state.step, total, "steps");
            if going_on.is_err() || self.saved.elapsed() >= self.training.checkpoint_every {
                self.save(task, state)?;
            }
            going_on?;
        }
        self.place.finish(self.training.epochs, self.fresh, task, state)
    }

    fn step(
        &mut self,
        task: &mut dyn Task,
        state: &mut State,
        rows: &[usize],
        epoch: usize,
        within: usize,
    ) -> Result<()> {
        let Training { batch, epochs, .. } = *self.training;
        let from = within * batch;
        let rows = &rows[from..(from + batch).min(rows.len())];
        let steps_per_epoch = self.training.steps_per_epoch();
        let position = Position { step: state.step, steps_per_epoch, epochs };
        let factor = self.training.schedule.factor(position);
        let batch = Batch { rows, position, epoch, factor, seed: self.ctx.seed() };
        if let Err(error) = task.step(&batch) {
            // It may have failed because an update before gave no number.
            return Err(self.earlier(task, state).unwrap_or(error));
        }
        self.fresh = false;
        state.step += 1;
        self.unread.push(rows.len());
        match task.waits() && self.unread.len() < UNREAD {
            true => Ok(()),
            false => self.read(task, state),
        }
    }

    /// What the numbers of the updates before one that failed say against them, if they can be read and do.
    fn earlier(&self, task: &mut dyn Task, state: &State) -> Option<Error> {
        let all = if self.unread.is_empty() { vec![] } else { task.numbers().ok()? };
        let first = state.step - self.unread.len();
        let mut unread = (first + 1..=state.step).zip(&all);
        unread.find_map(|(done, values)| self.divergence(done, values))
    }

    /// That a number of update `done`, counted from 1, is none.
    fn divergence(&self, done: usize, values: &Values) -> Option<Error> {
        let (name, value) = values.iter().find(|(_, value)| !value.is_finite())?;
        let epoch = (done - 1) / self.training.steps_per_epoch() + 1;
        Some(Error::message(format!(
            "the training diverged: {name} is {value} in epoch {epoch}, update {done}; a smaller learning rate may help"
        )))
    }

    /// Takes in the numbers of the updates since they were last read, all of one epoch.
    fn read(&mut self, task: &mut dyn Task, state: &mut State) -> Result<()> {
        let unread = std::mem::take(&mut self.unread);
        let all = if unread.is_empty() { vec![] } else { task.numbers()? };
        if all.len() != unread.len() {
            let (expected, got) = (unread.len(), all.len());
            let message = format!("expected the numbers of {expected} updates, got those of {got}");
            return Err(Error::message(message));
        }
        let first = state.step - unread.len();
        for (done, (values, examples)) in (first + 1..).zip(all.iter().zip(unread)) {
            if let Some(error) = self.divergence(done, values) {
                return Err(error);
            }
            self.ctx.point(done, None, values.iter().copied());
            state.add(values, examples)?;
        }
        Ok(())
    }

    fn end_epoch(&mut self, task: &mut dyn Task, state: &mut State, epoch: usize) -> Result<()> {
        self.read(task, state)?;
        let mut values: Vec<(String, f64)> =
            state.sums.drain(..).map(|(name, sum)| (name, sum / state.seen as f64)).collect();
        state.seen = 0;
        let validation = debug_span!("validate").in_scope(|| task.validate(epoch))?;
        values.extend(validation.into_iter().map(|(name, value)| (name.to_owned(), value)));
        for (name, value) in &values {
            self.ctx.metric(name, *value);
        }
        let point = values.iter().map(|(name, value)| (name.as_str(), *value));
        self.ctx.point(state.step, Some(epoch + 1), point);
        state.history.push(values)?;
        if let Some(monitor) = &self.training.monitor {
            let value = state.history.last(&monitor.metric)?;
            let better = match &state.best {
                Some(best) => monitor.direction.is_better(value, best.value),
                None => true,
            };
            if better {
                state.best = Some(Best { value, task: task.snapshot()? });
                state.history.best = Some(epoch);
            }
        }
        Ok(())
    }

    fn save(&mut self, task: &mut dyn Task, state: &mut State) -> Result<()> {
        let _span = debug_span!("checkpoint").entered();
        self.read(task, state)?;
        self.place.save(&task.snapshot()?, state)?;
        self.saved = Instant::now();
        Ok(())
    }
}

impl State {
    fn add(&mut self, values: &Values, weight: usize) -> Result<()> {
        if self.sums.is_empty() {
            self.sums = values.iter().map(|(name, _)| ((*name).to_owned(), 0.0)).collect();
        }
        let same = self.sums.len() == values.len()
            && self.sums.iter().zip(values).all(|((a, _), (b, _))| a == b);
        if !same {
            return Err(Error::message("expected the same numbers of each update"));
        }
        for ((_, sum), (_, value)) in self.sums.iter_mut().zip(values) {
            *sum += value * weight as f64;
        }
        self.seen += weight;
        Ok(())
    }

    /// Whether the best epoch is too long ago.
    fn stopped(&self, training: &Training) -> bool {
        let patience = training.monitor.as_ref().and_then(|monitor| monitor.patience);
        match (patience, self.history.best) {
            (Some(patience), Some(best)) => self.history.len() - 1 - best >= patience,
            _ => false,
        }
    }

    /// The current state in words.
    fn line(&self, epoch: usize, epochs: usize, seconds_left: f64) -> String {
        let mut line = format!("epoch {}/{epochs}", epoch + 1);
        if let Some((name, sum)) = self.sums.first().filter(|_| self.seen > 0) {
            line += &format!(", {name} {:.4}", sum / self.seen as f64);
        } else if let Some((name, value)) = self.history.rows.last().and_then(|row| row.first()) {
            line += &format!(", {name} {value:.4}");
        }
        let seconds = seconds_left as u64;
        line + &match seconds {
            0..60 => format!(", {seconds} s left"),
            60..3600 => format!(", {} min {:02} s left", seconds / 60, seconds % 60),
            _ => format!(", {} h {:02} min left", seconds / 3600, seconds / 60 % 60),
        }
    }
}
