//! Computing one cell.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tracing::debug_span;

use super::nearness::nearness;
use super::{Failure, Mode, Nearness, Request, ResolvedCell, Waiting};
use crate::Kinds;
use crate::clock;
use crate::error::{IoResultExt, ResultExt};
use crate::mutex::relock;
use crate::stage::context::Job;
use crate::stage::{sibling, text};
use crate::store::{Claim, Ending, JournalWriter, OutputRecord, Receipt, Results, Store};
use crate::{
    AnyStage, Context, Coordinates, Digest, Error, Files, Gathered, Output, Reporter, Result,
    Update,
};

/// What came of a cell.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It was computed, and its receipt is in the store.
    Ran(Box<Receipt>),
    /// The store held its receipt by the time that its turn came.
    Shared(Box<Receipt>),
    /// It was computed in private: its outputs.
    Verified(BTreeMap<String, Again>),
}

/// An output that was computed again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Again {
    /// The digest of its content.
    pub digest: Digest,
    /// How far it is from what the store has, where that came from a device of another class and has other bits.
    pub nearness: Option<Nearness>,
}

/// Computes one cell, unless another process has done so. Safe to repeat and to kill at any point:
/// the receipt is written last.
///
/// # Errors
/// [`Error::Cancelled`] when `cancelled` was set, [`Error::Damaged`] when the content of an input
/// is bad, and whatever the stage says; a panic of the stage is an error too.
pub fn run_cell(
    store: &Store,
    kinds: &Kinds,
    request: &Request,
    reporter: &Arc<dyn Reporter>,
    cancelled: &Arc<AtomicBool>,
) -> Result<Outcome> {
    let cell = &request.cell;
    let (key, results) = (cell.parts.key(), store.results());
    let _span = debug_span!("cell", cell = %cell.cell, kind = cell.parts.kind, key = %key.short())
        .entered();
    let _claim = match request.mode {
        Mode::Verify => None,
        Mode::Run | Mode::Force => {
            let span = debug_span!("lock");
            Some(span.in_scope(|| claim(results, &key, reporter.as_ref(), cancelled))?)
        }
    };
    if request.mode == Mode::Run
        && let Some(receipt) = results.receipt(&key)?
    {
        // What another process left there on its way, and may still write: what cannot go now is left to `gc`.
        let _ = store.remove_checkpoint(&key);
        return Ok(Outcome::Shared(Box::new(receipt)));
    }
    let journal = match request.mode {
        Mode::Verify => None,
        Mode::Run | Mode::Force => {
            Some(store.write_journal(&key, &cell.pipeline, &cell.cell.to_string()))
        }
    };
    let recorded = Arc::new(Recorded { to: Arc::clone(reporter), journal: Mutex::new(journal) });
    let reporter: Arc<dyn Reporter> = Arc::clone(&recorded) as _;
    let outcome = compute(store, kinds, request, &reporter, cancelled);
    recorded.end(&outcome);
    outcome
}

/// Tells on what a cell tells, and notes it in the journal.
struct Recorded {
    to: Arc<dyn Reporter>,
    journal: Mutex<Option<JournalWriter>>,
}

impl Reporter for Recorded {
    fn report(&self, update: Update) {
        if let Some(journal) = relock(&self.journal).as_mut() {
            journal.tell(&update);
        }
        self.to.report(update);
    }
}

/// Whether this process is about to be killed, with what it started.
static KILLED: AtomicBool = AtomicBool::new(false);

/// From now on a cell's end is not noted: what fails now does so because it is killed.
pub(crate) fn will_be_killed() {
    KILLED.store(true, Ordering::SeqCst);
}

impl Recorded {
    fn end(&self, outcome: &Result<Outcome>) {
        if outcome.is_err() && KILLED.load(Ordering::SeqCst) {
            return;
        }
        let Some(journal) = relock(&self.journal).take() else { return };
        match outcome {
            Ok(_) => journal.end(Ending::Done, String::new()),
            Err(error) => match Failure::of(error) {
                Failure::Cancelled => journal.end(Ending::Stopped, String::new()),
                failure => journal.end(Ending::Failed, failure.to_string()),
            },
        }
    }
}

/// Computes a cell whose claim this process has.
fn compute(
    store: &Store,
    kinds: &Kinds,
    request: &Request,
    reporter: &Arc<dyn Reporter>,
    cancelled: &Arc<AtomicBool>,
) -> Result<Outcome> {
    let cell = &request.cell;
    let (key, results) = (cell.parts.key(), store.results());
    let inputs = debug_span!("inputs").in_scope(|| inputs(results, cell))?;
    let stage = stage(kinds, cell, &inputs)?;
    let outputs = stage.outputs();
    let scratch = store.scratch(&key)?;
    let output_root = scratch.path().join("out");
    let private = scratch.path().join("scratch");
    std::fs::create_dir_all(&private).at(&private)?;
    let waiting = |one: &Waiting| (one.parameters.clone(), store.checkpoint(&one.key));
    let ctx = Context::new(Job {
        coordinates: cell.cell.coordinates.clone(),
        inputs,
        outputs: outputs.clone(),
        output_root: output_root.clone(),
        scratch: private,
        checkpoint: match request.mode {
            Mode::Verify => scratch.path().join("checkpoint"),
            Mode::Run | Mode::Force => store.checkpoint(&key),
        },
        mirror: cell.settings.mirror.clone(),
        seed: cell.parts.seed.unwrap_or_default(),
        threads: cell.settings.threads,
        device: cell.settings.device,
        environment: cell
            .parts
            .environment
            .iter()
            .filter_map(|(name, value)| Some((name.clone(), value.clone()?)))
            .collect(),
        reporter: Arc::clone(reporter),
        cancelled: Arc::clone(cancelled),
        metrics: Mutex::default(),
        siblings: match request.mode {
            Mode::Run => request.siblings.iter().map(waiting).collect(),
            Mode::Force | Mode::Verify => Vec::new(),
        },
    });
    ctx.check_cancelled()?;
    let (clock, started) = (Instant::now(), clock::now() as u64);
    let run = || catch_unwind(AssertUnwindSafe(|| stage.run(&ctx)));
    let class = cell.settings.device.class();
    let taken = request.mode == Mode::Run
        && sibling::take(&store.checkpoint(&key), class, &outputs, &output_root);
    if !taken {
        make_folders(&outputs, &output_root)?;
        debug_span!("run")
            .in_scope(run)
            .unwrap_or_else(|panic| Err(panicked(&cell.parts.kind, panic.as_ref())))?;
    }
    let seconds = clock.elapsed().as_secs_f64();
    let _commit = debug_span!("commit").entered();
    if request.mode == Mode::Verify {
        check_stored(results, &key)?;
        return again(results, cell, &outputs, &output_root).map(Outcome::Verified);
    }
    let receipt = Receipt {
        key,
        parts: cell.parts.clone(),
        cell: cell.cell.clone(),
        pipeline: cell.pipeline.clone(),
        outputs: import(results, &outputs, &output_root)?,
        metrics: ctx.into_metrics(),
        device: cell.settings.device,
        threads: cell.settings.threads,
        started,
        seconds,
        sconce: env!("CARGO_PKG_VERSION").to_owned(),
    };
    results.put_receipt(&receipt)?;
    // Another process may be writing there on its way: what cannot go now is left to `gc`.
    let _ = store.remove_checkpoint(&key);
    Ok(Outcome::Ran(Box::new(receipt)))
}

fn make_folders(outputs: &[Output], root: &Path) -> Result<()> {
    for folder in outputs.iter().map(|output| root.join(&*output.name)) {
        std::fs::create_dir_all(&folder).at(&folder)?;
    }
    Ok(())
}

/// The parsed stage, of the version that the key was made for, with metrics put into its texts.
fn stage(
    kinds: &Kinds,
    cell: &ResolvedCell,
    inputs: &BTreeMap<String, Vec<Gathered<Files>>>,
) -> Result<Box<dyn AnyStage>> {
    let parts = &cell.parts;
    let kind = kinds.get(&parts.kind).ok_or_else(|| {
        Error::message(format!("this version of sconce has no kind `{}`", parts.kind))
    })?;
    if kind.version != parts.version {
        return Err(Error::message(format!(
            "the cell was planned for version {} of kind `{}`, and this sconce has version {}",
            parts.version, parts.kind, kind.version
        )));
    }
    let mut parameters = cell.parameters.clone();
    text::fill(kind, &mut parameters, inputs)?;
    kind.from_json(parameters).doing(|| "reading the parameters".to_owned())
}

/// Waits for the right to compute `key`; tells so when another process has it.
pub(super) fn claim(
    results: &dyn Results,
    key: &Digest,
    reporter: &dyn Reporter,
    cancelled: &AtomicBool,
) -> Result<Claim> {
    if let Some(claim) = results.claim(key)? {
        return Ok(claim);
    }
    let text = "waiting for another process that computes the same".to_owned();
    reporter.report(Update::Note { text });
    let mut pause = Duration::from_millis(1);
    loop {
        if cancelled.load(Ordering::Relaxed) {
            return Err(Error::Cancelled);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
        if let Some(claim) = results.claim(key)? {
            return Ok(claim);
        }
    }
}

/// The verified content of the inputs, by slot.
fn inputs(
    results: &dyn Results,
    cell: &ResolvedCell,
) -> Result<BTreeMap<String, Vec<Gathered<Files>>>> {
    let mut inputs = BTreeMap::new();
    for (slot, parts) in &cell.parts.inputs {
        let mut artifacts = Vec::with_capacity(parts.len());
        for part in parts {
            let _span = debug_span!("hash", slot).entered();
            let artifact =
                results.files(&part.digest).doing(|| format!("reading input `{slot}`"))?;
            let (stage, coordinates) = match &part.from {
                Some(from) => (from.stage.clone(), from.coordinates.clone()),
                None => (String::new(), Coordinates::none()),
            };
            artifacts.push(Gathered { stage, coordinates, artifact });
        }
        inputs.insert(slot.clone(), artifacts);
    }
    Ok(inputs)
}

/// Takes the outputs into the store. Each has to hold a file.
fn import(
    results: &dyn Results,
    outputs: &[Output],
    root: &Path,
) -> Result<BTreeMap<String, OutputRecord>> {
    let mut records = BTreeMap::new();
    for output in outputs {
        let _span = debug_span!("hash", output = &*output.name).entered();
        let imported = results
            .import(&root.join(&*output.name))
            .doing(|| format!("storing output `{}`", output.name))?;
        if imported.files == 0 {
            return Err(nothing_written(output));
        }
        let record = OutputRecord {
            artifact: output.artifact.to_string(),
            digest: imported.digest,
            size: imported.size,
            files: imported.files,
            volatile: output.volatile,
        };
        records.insert(output.name.to_string(), record);
    }
    Ok(records)
}

/// Reads all that the store has of a result: whether its bits are still what they were.
fn check_stored(results: &dyn Results, key: &Digest) -> Result<()> {
    let Some(receipt) = results.recorded(key)? else { return Ok(()) };
    for (name, output) in &receipt.outputs {
        results.files(&output.digest).doing(|| format!("reading the stored output `{name}`"))?;
    }
    Ok(())
}

/// The outputs beside those that the store has: by their bits, and by their numbers where a device of another class made the
/// stored ones.
fn again(
    results: &dyn Results,
    cell: &ResolvedCell,
    outputs: &[Output],
    root: &Path,
) -> Result<BTreeMap<String, Again>> {
    let stored = results.recorded(&cell.parts.key())?;
    let class = cell.settings.device.class();
    let other = stored.filter(|receipt| receipt.device.class() != class);
    let one = |output: &Output| {
        let files = Files::from_folder(&root.join(&*output.name))?;
        if files.is_empty() {
            return Err(nothing_written(output));
        }
        let digest = files.digest();
        let stored = other.as_ref().and_then(|receipt| receipt.outputs.get(&*output.name));
        let nearness = match stored.filter(|stored| stored.digest != digest) {
            Some(stored) => Some(nearness(&results.files(&stored.digest)?, &files)?),
            None => None,
        };
        Ok((output.name.to_string(), Again { digest, nearness }))
    };
    outputs.iter().map(one).collect()
}

fn nothing_written(output: &Output) -> Error {
    Error::message(format!("the stage wrote nothing to its output `{}`", output.name))
}

fn panicked(kind: &str, panic: &(dyn Any + Send)) -> Error {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    Error::message(format!("kind `{kind}` panicked, which is a bug: {text}"))
}
