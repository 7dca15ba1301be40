//! What happens while a plan is executed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Serialize, Serializer};

use crate::{CellId, Device, Digest};

/// Something that happened. As JSON: one object, with `event` naming the variant and cells by
/// their names.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The run begins.
    RunStarted {
        /// The pipeline's name.
        pipeline: String,
        /// How many cells it will look at.
        cells: usize,
        /// Threads that cells share.
        threads: usize,
        /// Bytes of memory that cells share.
        memory: u64,
    },
    /// The store holds the cell's result.
    CellHit {
        /// The cell.
        #[serde(serialize_with = "cell_name")]
        cell: CellId,
        /// Its key.
        key: Digest,
    },
    /// The cell runs now.
    CellStarted {
        /// The cell.
        #[serde(serialize_with = "cell_name")]
        cell: CellId,
        /// Its key.
        key: Digest,
        /// Why it runs.
        reasons: Vec<String>,
        /// Threads that it may use.
        threads: usize,
        /// Where it computes.
        device: Device,
        /// Where its output goes.
        log: PathBuf,
    },
    /// So much of it is done.
    CellProgress {
        /// The cell.
        #[serde(serialize_with = "cell_name")]
        cell: CellId,
        /// Done so far.
        done: u64,
        /// All there is; 0 when unknown.
        total: u64,
        /// What is counted.
        unit: String,
    },
    /// What it does, in a few words.
    CellNote {
        /// The cell.
        #[serde(serialize_with = "cell_name")]
        cell: CellId,
        /// The words.
        text: String,
    },
    /// A number that it told.
    CellMetric {
        /// The cell.
        #[serde(serialize_with = "cell_name")]
        cell: CellId,
        /// The number's name.
        name: String,
        /// The number.
        value: f64,
    },
    /// It has its result.
    CellFinished {
        /// The cell.
        #[serde(serialize_with = "cell_name")]
        cell: CellId,
        /// Its key.
        key: Digest,
        /// How long it took.
        seconds: f64,
        /// The last value of each number that it told.
        metrics: BTreeMap<String, f64>,
        /// Whether another process had computed it in the meantime.
        shared: bool,
    },
    /// It has no result.
    CellFailed {
        /// The cell.
        #[serde(serialize_with = "cell_name")]
        cell: CellId,
        /// Why.
        error: String,
        /// Where its output is, when it wrote some.
        log: Option<PathBuf>,
        /// The last lines of that output.
        log_tail: Vec<String>,
    },
    /// It was stopped with the run.
    CellCancelled {
        /// The cell.
        #[serde(serialize_with = "cell_name")]
        cell: CellId,
    },
    /// It did not run because a cell that it needs failed.
    CellSkipped {
        /// The cell.
        #[serde(serialize_with = "cell_name")]
        cell: CellId,
        /// The cell that failed.
        #[serde(serialize_with = "cell_name")]
        failed: CellId,
    },
    /// It was computed again and gave the same bits.
    CellVerified {
        /// The cell.
        #[serde(serialize_with = "cell_name")]
        cell: CellId,
        /// Outputs that may differ between two runs, and that were passed over.
        volatile: Vec<String>,
        /// Outputs with other bits, whose numbers are as near as those of another class of devices have to be: the largest
        /// difference of each.
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        near: BTreeMap<String, f64>,
    },
    /// It was computed again and gave other bits.
    CellDiffers {
        /// The cell.
        #[serde(serialize_with = "cell_name")]
        cell: CellId,
        /// The outputs that differ.
        outputs: Vec<Difference>,
    },
    /// It cannot be verified: the store does not hold its result.
    CellAbsent {
        /// The cell.
        #[serde(serialize_with = "cell_name")]
        cell: CellId,
        /// Whether it held one that was found damaged.
        damaged: bool,
    },
    /// Stored content was bad, or gone. What yields it runs again: in this run, unless it only
    /// verifies.
    Damage {
        /// The cell that was about to read it, or whose result it is.
        #[serde(serialize_with = "cell_name")]
        cell: CellId,
        /// What is wrong, and where the bad content is now.
        text: String,
        /// Whether this run rebuilds it; otherwise the next one that needs it does.
        rebuilt: bool,
    },
    /// Something is wrong with the remote store; the run goes on without it.
    Remote {
        /// What is wrong.
        text: String,
    },
    /// What was shown of results that the pipeline no longer has was removed.
    StaleRemoved {
        /// The folders, below the pipeline's.
        folders: Vec<PathBuf>,
    },
    /// What is shown of results that the pipeline no longer has could not be removed.
    StaleKept {
        /// Why.
        error: String,
    },
    /// The human view of a cell's results could not be brought up to date.
    ExportFailed {
        /// The cell.
        #[serde(serialize_with = "cell_name")]
        cell: CellId,
        /// Why.
        error: String,
    },
    /// What the executor has to say of itself: that a queue does not answer.
    Notice {
        /// The words.
        text: String,
    },
    /// Where cells compute that leave it to the program, and why.
    DeviceChosen {
        /// The words.
        text: String,
    },
    /// The run was asked to stop.
    Stopping {
        /// Cells that are still running.
        running: usize,
        /// Whether they are ended without waiting.
        now: bool,
    },
    /// The run is over.
    RunFinished(Summary),
}

/// An output that did not come out the same twice.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// The output's name.
    pub output: String,
    /// The digest in the store.
    pub stored: Digest,
    /// The digest of the second time.
    pub again: Option<Digest>,
    /// Where a device of another class made the stored one: how their numbers differ.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beyond: Option<String>,
}

/// How a run ended.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Summary {
    /// Cells whose results the store held.
    pub hits: usize,
    /// Cells that ran.
    pub ran: usize,
    /// Cells that failed, by name.
    pub failed: Vec<String>,
    /// Cells that did not run because of those.
    pub skipped: usize,
    /// Cells that were verified and gave the same bits.
    #[serde(skip_serializing_if = "is_zero")]
    pub verified: usize,
    /// Cells that were verified and gave other bits, by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub differing: Vec<String>,
    /// Cells that could not be verified because they have no result.
    #[serde(skip_serializing_if = "is_zero")]
    pub absent: usize,
    /// Cells whose bits differ from a lock of another kind of processor, which is no failure.
    #[serde(skip_serializing_if = "is_zero")]
    pub other_bits: usize,
    /// Cells whose results could not be shown, by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unshown: Vec<String>,
    /// Whether the run was asked to stop before its end.
    pub cancelled: bool,
    /// How long it took.
    pub seconds: f64,
}

impl Summary {
    /// Whether every wanted cell has its result, and shows it, and verified ones gave the same bits.
    pub fn is_success(&self) -> bool {
        self.failed.is_empty()
            && self.skipped == 0
            && self.differing.is_empty()
            && self.absent == 0
            && self.unshown.is_empty()
            && !self.cancelled
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

fn cell_name<S: Serializer>(cell: &CellId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(cell)
}
