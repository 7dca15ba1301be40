//! The record of a run, written while it goes on.
//!
//! A run that is not recorded, because the store cannot be written or the disk is full, is as good:
//! nothing here makes it fail.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use super::{Event, Summary, git};
use crate::clock::now;
use crate::plan::Plan;
use crate::store::{
    Invocation, RunCell, RunCounts, RunEnd, RunLog, RunRecord, RunState, Store, hash,
};
use crate::{CellId, Digest};

/// So long git may take to answer after the last cell.
const PATIENCE: Duration = Duration::from_millis(500);

/// Writes what happens into the record of the run.
pub(super) struct Recorder {
    log: RunLog,
    record: RunRecord,
    folder: PathBuf,
    /// The keys and beginnings of the cells that run.
    running: BTreeMap<String, (Digest, f64)>,
    /// Where git tells whether something was changed; asked when the first cell runs.
    git: Option<Receiver<Option<bool>>>,
}

impl Recorder {
    /// Begins the record of a run over `cells` cells.
    pub(super) fn begin(
        plan: &Plan,
        store: &Store,
        invocation: &Invocation,
        cells: usize,
    ) -> Option<Self> {
        let mut record = RunRecord {
            id: 0,
            pipeline: plan.pipeline.clone(),
            invocation: invocation.clone(),
            file_digest: hash::of_path(&invocation.file).ok().map(|(digest, _)| digest),
            commit: git::head(&plan.folder),
            sconce: env!("CARGO_PKG_VERSION").to_owned(),
            process: std::process::id(),
            started: now(),
            seconds: None,
            cells,
            counts: RunCounts::default(),
            end: RunEnd::Running,
            error: None,
        };
        let log = store.begin_run(&mut record).ok().flatten()?;
        let folder = plan.folder.clone();
        Some(Self { log, record, folder, running: BTreeMap::new(), git: None })
    }

    /// Notes what happened.
    pub(super) fn event(&mut self, event: &Event) {
        self.hear_git(Duration::ZERO);
        let counts = &mut self.record.counts;
        let cell = match event {
            Event::CellHit { cell, key } => {
                counts.fresh += 1;
                of(cell, RunState::Fresh, Some(*key))
            }
            Event::CellStarted { cell, key, .. } => {
                let started = now();
                self.running.insert(cell.to_string(), (*key, started));
                self.ask_git();
                RunCell { started: Some(started), ..of(cell, RunState::Running, Some(*key)) }
            }
            Event::CellFinished { cell, shared: true, key, .. } => {
                counts.fresh += 1;
                self.running.remove(&cell.to_string());
                of(cell, RunState::Fresh, Some(*key))
            }
            Event::CellFinished { cell, shared: false, .. } => {
                counts.ran += 1;
                self.over(cell, RunState::Ran)
            }
            Event::CellFailed { cell, error, .. } => {
                counts.failed += 1;
                RunCell { error: Some(error.clone()), ..self.over(cell, RunState::Failed) }
            }
            Event::CellCancelled { cell } => {
                counts.interrupted += 1;
                self.over(cell, RunState::Interrupted)
            }
            Event::CellSkipped { cell, .. } => {
                counts.skipped += 1;
                of(cell, RunState::Skipped, None)
            }
            _ => return,
        };
        let _ = self.log.cell(&cell);
    }

    /// The run is over.
    pub(super) fn end(mut self, summary: &Summary) {
        self.hear_git(PATIENCE);
        self.record.seconds = Some(summary.seconds);
        self.record.end = match summary {
            _ if summary.cancelled => RunEnd::Interrupted,
            _ if summary.is_success() => RunEnd::Succeeded,
            _ => RunEnd::Failed,
        };
        let _ = self.log.end(&self.record);
    }

    /// The run could not go on.
    pub(super) fn fail(mut self, error: &crate::Error, seconds: f64) {
        self.record.seconds = Some(seconds);
        self.record.end = RunEnd::Failed;
        self.record.error = Some(error.to_string());
        let _ = self.log.end(&self.record);
    }

    fn over(&mut self, cell: &CellId, state: RunState) -> RunCell {
        match self.running.remove(&cell.to_string()) {
            Some((key, started)) => {
                RunCell { started: Some(started), ended: Some(now()), ..of(cell, state, Some(key)) }
            }
            None => of(cell, state, None),
        }
    }

    /// Asks git, in a thread of its own, whether something was changed. A run in which nothing
    /// runs does without.
    fn ask_git(&mut self) {
        if self.git.is_some() || self.record.commit.is_none() {
            return;
        }
        let (sender, receiver) = mpsc::channel();
        self.git = Some(receiver);
        let folder = self.folder.clone();
        std::thread::spawn(move || sender.send(git::is_dirty(&folder)));
    }

    fn hear_git(&mut self, patience: Duration) {
        let (Some(git), Some(commit)) = (&self.git, &mut self.record.commit) else { return };
        if commit.dirty.is_none()
            && let Ok(dirty) = git.recv_timeout(patience)
        {
            commit.dirty = dirty;
            let _ = self.log.commit(commit);
            // Answered, whatever the answer.
            self.git = None;
        }
    }
}

fn of(cell: &CellId, state: RunState, key: Option<Digest>) -> RunCell {
    RunCell { cell: cell.clone(), state, key, started: None, ended: None, error: None }
}
