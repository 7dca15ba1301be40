//! What is recorded of a run: what was asked, from which state of the code, and how it ended.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{CellId, Digest};

/// What was asked of a run on the command line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invocation {
    /// The pipeline file, absolute.
    pub file: PathBuf,
    /// The profiles that were laid over it, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub profiles: Vec<String>,
    /// The settings, as they were written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sets: Vec<String>,
    /// The stages and cells that were asked for; empty for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub wanted: Vec<String>,
    /// The stages and cells that had to run although their results were there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub force: Vec<String>,
}

/// The state of the git repository that holds the pipeline file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// The commit's full hash.
    pub hash: String,
    /// The branch that was checked out, if one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// Whether tracked files had changes that were not committed. None where nothing ran, so that
    /// nobody asked, and where git did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dirty: Option<bool>,
}

/// What a run came to for a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunState {
    /// The store held its result.
    Fresh,
    /// It runs now.
    Running,
    /// It ran.
    Ran,
    /// It ran and has no result.
    Failed,
    /// It did not run because a cell that it needs failed.
    Skipped,
    /// It was stopped with the run, or the run was killed while it ran.
    Interrupted,
}

/// One cell of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunCell {
    /// The cell.
    pub cell: CellId,
    /// What became of it.
    pub state: RunState,
    /// Its key: the store has the receipt of a fresh cell and of one that ran. None for a cell that
    /// was skipped, and for one that failed before its key was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Digest>,
    /// When it began, in seconds since 1970; none for one that did not run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<f64>,
    /// When it was over, in seconds since 1970; none for one that did not run or still runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<f64>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// How many cells of a run came to which state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunCounts {
    /// The store held their results.
    pub fresh: usize,
    /// They ran.
    pub ran: usize,
    /// They failed.
    pub failed: usize,
    /// They were skipped because others failed.
    pub skipped: usize,
    /// They were stopped with the run, or when it was killed.
    pub interrupted: usize,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunEnd {
    /// It goes on: its process holds the run's lock.
    Running,
    /// All wanted cells have their results.
    Succeeded,
    /// A cell failed, or the run could not go on.
    Failed,
    /// It was asked to stop.
    Interrupted,
    /// Its process was gone before it could say how it ended.
    Killed,
}

/// One run, without its cells: [`Store::run_cells`](super::Store::run_cells) gives those.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// The run's number: 1 for the first run of a store.
    pub id: u64,
    /// The pipeline's name.
    pub pipeline: String,
    /// What was asked.
    pub invocation: Invocation,
    /// BLAKE3 of the pipeline file, if it could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_digest: Option<Digest>,
    /// The git repository around the pipeline file; none where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<Commit>,
    /// The version of Sconce.
    pub sconce: String,
    /// The number of the process.
    pub process: u32,
    /// When it began, in seconds since 1970.
    pub started: f64,
    /// How long it took in seconds; none while it runs and when it was killed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// How many cells were wanted, those that they need among them.
    pub cells: usize,
    /// How many of them came to which state so far.
    pub counts: RunCounts,
    /// How it ended.
    pub end: RunEnd,
    /// Why it could not go on, where no single cell was to blame.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}
