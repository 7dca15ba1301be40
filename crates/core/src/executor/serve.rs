//! The worker's side of a run: `sconce exec`.
//!
//! A worker writes JSON lines: what the stage tells, then one line with the outcome. Its standard
//! error is the cell's log. When it is supervised, its standard input is its life line: the line
//! `cancel` asks it to stop, and the end of the input means that its parent is dead, so it ends
//! itself and the processes that it started.

use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::strays;
use crate::Kinds;
use crate::run::{Failure, Outcome, Request, run_cell};
use crate::span::Span;
use crate::store::Store;
use crate::{Digest, Reporter, Update};

/// Progress and metrics are told so often at most.
const PACE: Duration = Duration::from_millis(50);

/// A line that a worker writes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Line {
    /// What the stage tells.
    Update(Update),
    /// Stored content was found bad.
    Damage(String),
    /// Something that took time has ended, where the parent wants to know.
    Span(Span),
    /// The cell was computed; its receipt is in the store.
    Ran(Digest),
    /// Another process had computed it.
    Shared(Digest),
    /// It was computed in private.
    Verified(BTreeMap<String, Digest>),
    /// It has no result.
    Failed(Failure),
}

/// Computes the cell of `request` and tells `lines` of it. `control` is the life line of a
/// supervised worker, after the line with the request. Returns whether the cell has its result.
///
/// Children of this process that are left then are ended; on Linux theirs too, and those in sessions of
/// their own.
pub fn serve(
    store: &Store,
    kinds: &Kinds,
    request: &Request,
    control: Option<Box<dyn BufRead + Send>>,
    lines: &Arc<Lines>,
) -> bool {
    let cancelled = Arc::new(AtomicBool::new(false));
    strays::adopt();
    if let Some(control) = control {
        let cancelled = Arc::clone(&cancelled);
        // It ends with the process.
        std::thread::spawn(move || listen(control, &cancelled));
    }
    let reporter: Arc<dyn Reporter> = Arc::clone(lines) as _;
    let outcome = run_cell(store, kinds, request, &reporter, &cancelled);
    strays::end_all();
    for damage in store.take_damage() {
        lines.write(&Line::Damage(damage.to_string()));
    }
    let (line, good) = match outcome {
        Ok(Outcome::Ran(receipt)) => (Line::Ran(receipt.key), true),
        Ok(Outcome::Shared(receipt)) => (Line::Shared(receipt.key), true),
        Ok(Outcome::Verified(digests)) => (Line::Verified(digests), true),
        Err(error) => (Line::Failed(error.into()), false),
    };
    lines.write(&line);
    good
}

fn listen(control: Box<dyn BufRead + Send>, cancelled: &AtomicBool) {
    for line in control.lines() {
        match line {
            Ok(line) if line.trim() == "cancel" => cancelled.store(true, Ordering::Relaxed),
            Ok(_) => {}
            Err(_) => break,
        }
    }
    super::local::end_own_group();
}

/// The lines that a worker writes.
pub struct Lines {
    out: Mutex<Box<dyn Write + Send>>,
    /// When each thing was last told.
    told: Mutex<BTreeMap<String, Instant>>,
}

impl Lines {
    /// Lines to `out`.
    pub fn new(out: Box<dyn Write + Send>) -> Self {
        Self { out: Mutex::new(out), told: Mutex::default() }
    }

    /// Tells of a span that has ended.
    pub fn span(&self, span: Span) {
        self.write(&Line::Span(span));
    }

    fn write(&self, line: &Line) {
        let Ok(mut text) = serde_json::to_string(line) else { return };
        text.push('\n');
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        // A parent that no longer reads is dead, and the life line says so.
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }

    /// Whether this was not told a moment ago.
    fn is_due(&self, name: &str) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        match told.get_mut(name) {
            Some(last) if now.duration_since(*last) < PACE => false,
            Some(last) => {
                *last = now;
                true
            }
            None => {
                told.insert(name.to_owned(), now);
                true
            }
        }
    }
}

impl Reporter for Lines {
    fn report(&self, update: Update) {
        let due = match &update {
            Update::Progress { done, total, .. } => done == total || self.is_due(""),
            Update::Metric { name, .. } => self.is_due(name),
            Update::Note { .. } => true,
            // It is in the journal, which who wants to see it reads.
            Update::Point { .. } => false,
        };
        if due {
            self.write(&Line::Update(update));
        }
    }
}
