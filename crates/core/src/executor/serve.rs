//! The worker's side of a run: `sconce exec`.
//!
//! A worker writes JSON lines: what the stage tells, then one line with the outcome. Its standard
//! error is the cell's log. When it is supervised, its standard input is its life line: each line is a cell
//! to compute, one after the other, and the line `cancel` asks it to stop. The end of the input means that
//! nobody wants more of it: it ends, and while it computes it ends itself at once with the processes that it
//! started, because then its parent is dead.

use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::Kinds;
use crate::run::{Again, Failure, Outcome, Request, run_cell};
use crate::span::Span;
use crate::store::Store;
use crate::system::strays;
use crate::{Digest, Error, Reporter, Result, Update};

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
    Verified(BTreeMap<String, Again>),
    /// It has no result.
    Failed(Failure),
}

/// What a supervised worker is to do: a line of its standard input.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Order {
    pub(super) request: Request,
    /// Where standard error is to go; none where it goes there already.
    #[serde(default)]
    pub(super) log: Option<PathBuf>,
    /// Whether whoever started the worker waits for the disk ([`Store::settle`]).
    #[serde(default)]
    pub(super) deferred: bool,
    /// Whether the worker is to end after it.
    #[serde(default)]
    pub(super) last: bool,
}

/// The line that asks a worker to stop.
pub(super) const CANCEL: &str = "cancel";

/// Computes the cell of `request` and tells `lines` of it. Returns whether the cell has its result.
///
/// Children of this process that are left then are ended; on Linux theirs too, and those in sessions of
/// their own.
pub fn serve(store: &Store, kinds: &Kinds, request: &Request, lines: &Arc<Lines>) -> bool {
    strays::adopt();
    let outcome = compute(store, kinds, request, &Arc::default(), lines);
    tell(outcome, lines)
}

/// Computes the cells that a supervised worker is told on `control`, its life line, and tells `lines` of
/// them. Before a cell that has a log of its own, `redirect` makes standard error go there. Returns whether
/// the last cell has its result.
pub fn serve_all(
    store: &Store,
    kinds: &Kinds,
    control: impl BufRead + Send + 'static,
    redirect: &dyn Fn(&Path) -> std::io::Result<()>,
    lines: &Arc<Lines>,
) -> bool {
    strays::adopt();
    let (orders, taken) = mpsc::channel();
    let life = Arc::new(LifeLine::default());
    let (listener, told) = (Arc::clone(&life), Arc::clone(lines));
    // It ends with the process.
    std::thread::spawn(move || listener.listen(control, &orders, &told));
    let mut good = false;
    for Order { request, log, deferred, last } in taken {
        let store = if deferred { store.deferring() } else { store.clone() };
        let redirected = log.as_deref().map_or(Ok(()), redirect);
        let outcome = match redirected {
            Ok(()) => compute(&store, kinds, &request, &life.cancelled, lines),
            Err(error) => Err(Error::message(format!("cannot write the cell's log: {error}"))),
        };
        // Before the line after which the next cell may be told.
        life.at_work.store(false, Ordering::SeqCst);
        good = tell(outcome, lines);
        if last {
            break;
        }
    }
    good
}

fn compute(
    store: &Store,
    kinds: &Kinds,
    request: &Request,
    cancelled: &Arc<AtomicBool>,
    lines: &Arc<Lines>,
) -> Result<Outcome> {
    let reporter: Arc<dyn Reporter> = Arc::clone(lines) as _;
    lines.begin();
    let outcome = run_cell(store, kinds, request, &reporter, cancelled);
    strays::end_all();
    for damage in store.take_damage() {
        lines.write(&Line::Damage(damage.to_string()));
    }
    outcome
}

fn tell(outcome: Result<Outcome>, lines: &Lines) -> bool {
    let (line, good) = match outcome {
        Ok(Outcome::Ran(receipt)) => (Line::Ran(receipt.key), true),
        Ok(Outcome::Shared(receipt)) => (Line::Shared(receipt.key), true),
        Ok(Outcome::Verified(digests)) => (Line::Verified(digests), true),
        Err(error) => (Line::Failed(error.into()), false),
    };
    lines.write(&line);
    good
}

/// What the life line has told.
#[derive(Default)]
struct LifeLine {
    cancelled: Arc<AtomicBool>,
    /// Whether a cell was told whose outcome was not.
    at_work: AtomicBool,
}

impl LifeLine {
    fn listen(&self, control: impl BufRead, orders: &Sender<Order>, lines: &Lines) {
        for line in control.lines() {
            let Ok(line) = line else { break };
            if line.trim() == CANCEL {
                self.cancelled.store(true, Ordering::Relaxed);
                continue;
            }
            match serde_json::from_str(&line) {
                Ok(order) => {
                    self.at_work.store(true, Ordering::SeqCst);
                    if orders.send(order).is_err() {
                        // The last cell is over, and the process about to end.
                        return;
                    }
                }
                Err(error) => {
                    let failure = Failure::message(format!("not a resolved cell: {error}"));
                    lines.write(&Line::Failed(failure));
                }
            }
        }
        if self.at_work.load(Ordering::SeqCst) {
            super::worker::end_own_group();
        }
    }
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

    /// Forgets what was told of the cell before.
    fn begin(&self) {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clear();
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
