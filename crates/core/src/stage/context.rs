//! What a running stage sees: its inputs, outputs, seed, threads, device and progress.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ref_cast::{RefCastCustom, ref_cast_custom};
use serde_json::Value;

use crate::error::{IoResultExt, ResultExt};
use crate::random::{self, Generator};
use crate::stage::metrics::{self, METRICS};
use crate::stage::report::{Reporter, Silent, Update};
use crate::{
    Artifact, Coordinates, Device, Error, Files, Input, Inputs, NamedInputs, Out, Output, Result,
    Sibling, Stage, Yields, key,
};

/// One artifact of a gathering input, with the cell that it came from.
#[derive(Debug, Clone)]
pub struct Gathered<T> {
    /// The stage that yielded it.
    pub stage: String,
    /// Its place along the axes that were gathered.
    pub coordinates: Coordinates,
    /// The artifact.
    pub artifact: T,
}

/// One run of a cell: all that its [`Context`] tells.
pub(crate) struct Job {
    pub(crate) coordinates: Coordinates,
    pub(crate) inputs: BTreeMap<String, Vec<Gathered<Files>>>,
    pub(crate) outputs: Vec<Output>,
    pub(crate) output_root: PathBuf,
    pub(crate) scratch: PathBuf,
    pub(crate) checkpoint: PathBuf,
    pub(crate) mirror: Option<PathBuf>,
    pub(crate) seed: u64,
    pub(crate) threads: usize,
    pub(crate) device: Device,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) reporter: Arc<dyn Reporter>,
    pub(crate) cancelled: Arc<AtomicBool>,
    pub(crate) metrics: Mutex<BTreeMap<String, f64>>,
    /// Parameters and checkpoints of the cells that wait for this one.
    pub(crate) siblings: Vec<(Value, PathBuf)>,
}

/// What a running stage of kind `S` sees. It can be shared between threads.
///
/// Code that serves several kinds takes a plain `&Context`, which a stage's own turns into by
/// itself: it gives all but the outputs, and those are the stage's to write.
///
/// Tests make one over plain folders:
///
/// ```
/// use sconce_core::{Context, Files, Folder, Input};
///
/// # fn main() -> sconce_core::Result<()> {
/// let folder = tempfile::tempdir().unwrap();
/// # std::fs::create_dir(folder.path().join("in")).unwrap();
/// # std::fs::write(folder.path().join("in/a.txt"), "a").unwrap();
/// let files = Files::from_folder(&folder.path().join("in"))?;
/// let ctx: Context =
///     Context::in_folder(folder.path(), &[])?.with_input("images", files).with_seed(7);
/// let images = ctx.input(&Input::<Folder>::new("images"))?;
/// assert_eq!(images.0.read("a.txt")?, b"a");
/// # Ok(())
/// # }
/// ```
#[derive(RefCastCustom)]
#[repr(transparent)]
pub struct Context<S = ()> {
    pub(crate) job: Job,
    #[trivial]
    stage: PhantomData<fn() -> S>,
}

impl<S: Yields> Deref for Context<S> {
    type Target = Context;

    fn deref(&self) -> &Context {
        Context::of_job(&self.job)
    }
}

impl Context {
    pub(crate) fn new(job: Job) -> Self {
        Self { job, stage: PhantomData }
    }

    /// The same, as a stage of kind `S` sees it.
    pub(crate) fn of<S: Yields>(&self) -> &Context<S> {
        Context::of_job(&self.job)
    }
}

impl<S: Yields> Context<S> {
    /// Writes an output.
    pub fn write<T: Artifact>(&self, output: Out<S, T>, artifact: &T) -> Result<()> {
        artifact
            .save(&self.folder(output))
            .and_then(|()| self.check_numbers(output))
            .doing(|| format!("writing output `{}`", output.name()))
    }

    /// An output with names of its numbers holds no others. Builds for tests look; a training does not end in vain for it.
    fn check_numbers<T: Artifact>(&self, output: Out<S, T>) -> Result<()> {
        let declared = self.job.outputs.iter().find(|declared| declared.name == output.name());
        let Some(declared) = declared.filter(|_| cfg!(debug_assertions) && T::TYPE == METRICS)
        else {
            return Ok(());
        };
        let mut names = metrics::numbers(&self.folder(output))?.into_keys();
        match names.find(|name| !declared.may_hold(name)) {
            Some(name) => Err(Error::message(format!("its number `{name}` is not declared"))),
            None => Ok(()),
        }
    }

    /// The folder of an output, for stages that write their files themselves. It exists.
    pub fn folder<T: Artifact>(&self, output: Out<S, T>) -> PathBuf {
        self.job.output_root.join(output.name())
    }
}

impl<S: Stage> Context<S> {
    /// The cells that wait until this one is over, and whose outputs it may write on its way ([`Stage::TOGETHER`]). None where
    /// it is computed by itself.
    pub fn siblings(&self) -> Vec<Sibling<S>> {
        let class = self.job.device.class();
        let of = |(parameters, checkpoint): &(Value, PathBuf)| {
            // One that cannot be read says so when its turn comes.
            let stage = serde_json::from_value(parameters.clone()).ok()?;
            Some(Sibling::new(stage, checkpoint.clone(), class))
        };
        self.job.siblings.iter().filter_map(of).collect()
    }
}

impl<S> Context<S> {
    #[ref_cast_custom]
    fn of_job(job: &Job) -> &Self;

    /// A context over plain folders, for tests and for calling a stage without a store: outputs
    /// go to `folder/out/NAME`, scratch to `folder/scratch`.
    pub fn in_folder(folder: &Path, outputs: &[Output]) -> Result<Self> {
        let output_root = folder.join("out");
        for output in outputs {
            let path = output_root.join(&*output.name);
            std::fs::create_dir_all(&path).at(&path)?;
        }
        let scratch = folder.join("scratch");
        std::fs::create_dir_all(&scratch).at(&scratch)?;
        let job = Job {
            coordinates: Coordinates::none(),
            inputs: BTreeMap::new(),
            outputs: outputs.to_vec(),
            output_root,
            checkpoint: folder.join("checkpoint"),
            scratch,
            mirror: None,
            seed: 0,
            threads: 1,
            device: Device::Cpu,
            environment: BTreeMap::new(),
            reporter: Arc::new(Silent),
            cancelled: Arc::default(),
            metrics: Mutex::default(),
            siblings: Vec::new(),
        };
        Ok(Self { job, stage: PhantomData })
    }

    /// Adds an artifact to a slot.
    #[must_use]
    pub fn with_input(self, slot: &str, files: Files) -> Self {
        self.with_gathered(slot, "", Coordinates::none(), files)
    }

    /// Adds an artifact to a list slot, with the cell that it came from.
    #[must_use]
    pub fn with_gathered(
        mut self,
        slot: &str,
        stage: &str,
        coordinates: Coordinates,
        artifact: Files,
    ) -> Self {
        let gathered = Gathered { stage: stage.to_owned(), coordinates, artifact };
        self.job.inputs.entry(slot.to_owned()).or_default().push(gathered);
        self
    }

    /// Sets the seed.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.job.seed = seed;
        self
    }

    /// Adds a cell that waits for this one: its parameters, and a folder for what it goes on from.
    #[must_use]
    pub fn with_sibling(mut self, parameters: Value, checkpoint: PathBuf) -> Self {
        self.job.siblings.push((parameters, checkpoint));
        self
    }

    /// Sets the mirror folder.
    #[must_use]
    pub fn with_mirror(mut self, mirror: Option<PathBuf>) -> Self {
        self.job.mirror = mirror;
        self
    }

    /// Reads the artifact of an input.
    pub fn input<T: Artifact>(&self, input: &Input<T>) -> Result<T> {
        T::load(&self.files(input.edge())?).doing(|| format!("reading input `{}`", input.edge()))
    }

    /// Reads the artifact of an optional input.
    pub fn optional<T: Artifact>(&self, input: &Option<Input<T>>) -> Result<Option<T>> {
        input.as_ref().map(|input| self.input(input)).transpose()
    }

    /// Reads the artifacts of a list input, in the order of the file and of the axes.
    pub fn inputs<T: Artifact>(&self, inputs: &Inputs<T>) -> Result<Vec<Gathered<T>>> {
        let Some(slot) = inputs.edges().first() else {
            return Ok(Vec::new());
        };
        let gathered = self.job.inputs.get(slot).map_or(&[][..], Vec::as_slice);
        gathered
            .iter()
            .map(|from| {
                let artifact = T::load(&from.artifact).doing(|| {
                    let cell = crate::CellId {
                        stage: from.stage.clone(),
                        coordinates: from.coordinates.clone(),
                    };
                    format!("reading `{cell}` of input `{slot}`")
                })?;
                let Gathered { stage, coordinates, .. } = from.clone();
                Ok(Gathered { stage, coordinates, artifact })
            })
            .collect()
    }

    /// Reads the artifacts of a named input.
    pub fn named<T: Artifact>(&self, inputs: &NamedInputs<T>) -> Result<Vec<(String, T)>> {
        let read = |(name, slot): (&String, &String)| {
            let artifact =
                T::load(&self.files(slot)?).doing(|| format!("reading input `{slot}`"))?;
            Ok((name.clone(), artifact))
        };
        inputs.edges().iter().map(read).collect()
    }

    fn files(&self, slot: &str) -> Result<Files> {
        match self.job.inputs.get(slot).map(Vec::as_slice) {
            Some([one]) => Ok(one.artifact.clone()),
            _ => Err(Error::Input {
                slot: slot.to_owned(),
                message: "expected one artifact".to_owned(),
            }),
        }
    }

    /// The folder of the output of this name, for kind `command`, whose outputs the pipeline file
    /// names.
    pub(crate) fn output(&self, output: &str) -> Result<PathBuf> {
        if self.job.outputs.iter().any(|declared| declared.name == output) {
            Ok(self.job.output_root.join(output))
        } else {
            Err(Error::message(format!("the stage declares no output `{output}`")))
        }
    }

    /// The metrics that were told.
    pub(crate) fn into_metrics(self) -> BTreeMap<String, f64> {
        self.job.metrics.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// A private folder that is gone after the run.
    pub fn scratch(&self) -> &Path {
        &self.job.scratch
    }

    /// A folder that outlives an interrupted run of the same cell; it may not exist yet. Files in
    /// it are to be replaced by rename, so that a killed run leaves whole ones.
    pub fn checkpoint(&self) -> &Path {
        &self.job.checkpoint
    }

    /// A folder that all cells share which differ from this one only in the parameters `but` (such
    /// as `training.epochs`): where a longer computation finds the end of a shorter one. It may
    /// not exist yet, and its files may go at any time; they are to be replaced by rename.
    pub fn shared_checkpoint<K: Stage>(&self, stage: &K, but: &[&str]) -> Result<PathBuf> {
        let Job { inputs, seed, coordinates, .. } = &self.job;
        let digest = key::shared(stage, but, inputs, *seed, coordinates)?;
        let siblings = self.job.checkpoint.parent().unwrap_or(&self.job.checkpoint);
        Ok(siblings.join(digest.hex()))
    }

    /// The user's mirror folder, where sources may be taken from.
    pub fn mirror(&self) -> Option<&Path> {
        self.job.mirror.as_deref()
    }

    /// The cell's place along the axes.
    pub fn coordinates(&self) -> &Coordinates {
        &self.job.coordinates
    }

    /// Values of the environment variables that the stage declared.
    pub fn environment(&self) -> &BTreeMap<String, String> {
        &self.job.environment
    }

    /// The generator for `purpose`. The kind has to be [`SEEDED`](crate::Stage::SEEDED).
    pub fn rng(&self, purpose: &str) -> Generator {
        random::generator(self.job.seed, purpose)
    }

    /// The cell's seed, for generators that are derived further down.
    pub fn seed(&self) -> u64 {
        self.job.seed
    }

    /// Threads that the cell may use. rayon's global pool has as many.
    pub fn threads(&self) -> usize {
        self.job.threads
    }

    /// Where to compute.
    pub fn device(&self) -> Device {
        self.job.device
    }

    /// Tells how far the work is; an error when the run was asked to stop. Call it about once a
    /// batch.
    pub fn progress(&self, done: usize, total: usize, unit: &str) -> Result<()> {
        self.job.reporter.report(Update::Progress {
            done: done as u64,
            total: total as u64,
            unit: unit.to_owned(),
        });
        self.check_cancelled()
    }

    /// Tells what is going on.
    pub fn note(&self, text: impl Into<String>) {
        self.job.reporter.report(Update::Note { text: text.into() });
    }

    /// Tells a number of interest. The last value of each name goes into the receipt.
    pub fn metric(&self, name: &str, value: f64) {
        let mut metrics = self.job.metrics.lock().unwrap_or_else(PoisonError::into_inner);
        metrics.insert(name.to_owned(), value);
        drop(metrics);
        self.job.reporter.report(Update::Metric { name: name.to_owned(), value });
    }

    /// Tells numbers of a training after `step` steps: a point of the cell's curves, which people watch.
    /// With `epoch`, from 1, they are of that whole epoch. No result may depend on it.
    ///
    /// Call it each step: the engine keeps as many points as people can look at. A point takes the
    /// place of those that were told of later steps, so a training that goes on from a checkpoint need
    /// not care.
    pub fn point<'v>(
        &self,
        step: usize,
        epoch: Option<usize>,
        values: impl IntoIterator<Item = (&'v str, f64)>,
    ) {
        let values = values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let (step, epoch) = (step as u64, epoch.map(|epoch| epoch as u64));
        self.job.reporter.report(Update::Point { step, epoch, values });
    }

    /// An error when the run was asked to stop.
    pub fn check_cancelled(&self) -> Result<()> {
        if self.is_cancelled() { Err(Error::Cancelled) } else { Ok(()) }
    }

    /// Whether the run was asked to stop.
    pub fn is_cancelled(&self) -> bool {
        self.job.cancelled.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests;
