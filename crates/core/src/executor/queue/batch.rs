//! What is recorded of a batch: `batch.json` with what all need to know, `tasks.jsonl` with a line of
//! cells for each element, `job` with the queue's number, `told-N.jsonl` with what the job of element N
//! says, `claim-N` with the number of the job that has the element, `beat-N` as its sign of life,
//! `moved.jsonl` with the cells that are in a later batch or in none, `cancel` when it was asked for, and
//! `cancelled.json` with the keys for which that was asked.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Ask, Known};
use crate::run::{Again, Failure, Request};
use crate::store::{Store, Submissions};
use crate::{CellId, Digest, Error, Result, clock};

pub(super) const HEAD: &str = "batch.json";
const TASKS: &str = "tasks.jsonl";
const JOB: &str = "job";
pub(super) const MOVED: &str = "moved.jsonl";
pub(super) const CANCEL: &str = "cancel";
const CANCELLED: &str = "cancelled.json";

/// What all need to know of a batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Head {
    /// The queue that it is for.
    pub queue: String,
    /// When it was made, in seconds since 1970.
    pub made: f64,
    /// The pipeline of its first cell.
    pub pipeline: String,
    /// What each element asks for.
    pub ask: Ask,
    /// The keys of each element's cells.
    pub keys: Vec<Vec<Digest>>,
}

/// A cell of a batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// The cell, and what is to be done with it.
    pub request: Request,
    /// Where what it prints goes.
    pub log: PathBuf,
    /// Bytes of memory that it asked for first.
    pub memory: u64,
    /// How often it was handed over again.
    pub again: u32,
    /// When its checkpoint was written, when it was handed over.
    pub checkpoint: Option<f64>,
}

/// A batch as it is recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// The folder's name.
    pub id: String,
    /// What all need to know.
    pub head: Head,
}

/// A line of a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Note {
    pub(super) key: Digest,
    pub(super) what: What,
}

/// What a job says of a cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum What {
    /// It begins with the cell.
    Started,
    /// The cell was computed; its receipt is in the store.
    Ran,
    /// Another process had computed it.
    Shared,
    /// It was computed in private.
    Verified(BTreeMap<String, Again>),
    /// It has no result.
    Failed(Failure),
    /// It was stopped, so many seconds after the job's beginning, because the job's time will be over or
    /// its place is wanted.
    Stopped { after: f64 },
}

impl What {
    pub(super) fn is_end(&self) -> bool {
        !matches!(self, Self::Started | Self::Stopped { .. })
    }
}

impl Batch {
    /// Records a batch: the tasks first, so that one with a head is whole.
    pub(super) fn record(
        submissions: &Submissions,
        head: Head,
        tasks: &[Vec<Task>],
    ) -> Result<Self> {
        let id = fresh(submissions)?;
        let mut lines = Vec::new();
        for element in tasks {
            serde_json::to_writer(&mut lines, element)?;
            lines.push(b'\n');
        }
        submissions.put(&id, TASKS, &lines)?;
        submissions.put(&id, HEAD, &serde_json::to_vec(&head)?)?;
        Ok(Self { id, head })
    }

    /// A recorded batch; none where it is not whole or over.
    pub fn read(submissions: &Submissions, id: &str) -> Result<Option<Self>> {
        let Some(bytes) = submissions.read(id, HEAD)? else { return Ok(None) };
        Ok(serde_json::from_slice(&bytes).ok().map(|head| Self { id: id.to_owned(), head }))
    }

    /// The cells of all elements.
    pub fn tasks(submissions: &Submissions, id: &str) -> Result<Vec<Vec<Task>>> {
        let bytes = submissions.read(id, TASKS)?.unwrap_or_default();
        let lines = bytes.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| Ok(serde_json::from_slice(line)?)).collect()
    }

    /// The cells of one element.
    pub(super) fn element(
        submissions: &Submissions,
        id: &str,
        element: usize,
    ) -> Result<Vec<Task>> {
        let bytes = submissions.read(id, TASKS)?.unwrap_or_default();
        let line = bytes.split(|&byte| byte == b'\n').nth(element).filter(|line| !line.is_empty());
        let line =
            line.ok_or_else(|| Error::message(format!("batch {id} has no element {element}")))?;
        Ok(serde_json::from_slice(line)?)
    }

    /// The name by which the queue knows it.
    pub fn name(&self) -> String {
        format!("sconce-{}", self.id)
    }

    /// What a queue is asked.
    pub fn known(&self, submissions: &Submissions) -> Result<Known> {
        let job = submissions.read(&self.id, JOB)?;
        let job = job.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
        Ok(Known { name: self.name(), job, elements: self.head.keys.len() })
    }

    pub(super) fn put_job(&self, submissions: &Submissions, job: &str) -> Result<()> {
        submissions.put(&self.id, JOB, job.as_bytes())
    }

    /// Keys that this batch no longer has to bring.
    pub(super) fn settled(&self, submissions: &Submissions) -> Result<BTreeSet<Digest>> {
        let mut settled = cancelled(submissions, &self.id);
        for name in submissions.names(&self.id)? {
            if name == MOVED || name.starts_with("told-") {
                let (bytes, _) = submissions.lines_after(&self.id, &name, 0)?;
                let ends = notes(&bytes).filter(|note| name == MOVED || note.what.is_end());
                settled.extend(ends.map(|note| note.key));
            }
        }
        Ok(settled)
    }

    /// Where a key is.
    pub(super) fn element_of(&self, key: &Digest) -> Option<usize> {
        self.head.keys.iter().position(|keys| keys.contains(key))
    }
}

/// The cells of a batch that are not wanted any more. A file server that gives no answer names none.
pub(super) fn cancelled(submissions: &Submissions, batch: &str) -> BTreeSet<Digest> {
    let bytes = submissions.read(batch, CANCELLED).ok().flatten().unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}

/// The notes in whole lines. What is none, such as a line that was cut short, is passed over.
pub(super) fn notes(bytes: &[u8]) -> impl Iterator<Item = Note> {
    bytes.split(|&byte| byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok())
}

/// Makes a folder of a name that nobody else has. Names sort by time.
fn fresh(submissions: &Submissions) -> Result<String> {
    for attempt in 0_u32.. {
        let (time, process) = (clock::now(), std::process::id());
        let mixed = Digest::of(format!("{time} {process} {attempt}").as_bytes());
        let id = format!("{:010x}-{}", (time * 16.0) as u64, &mixed.hex()[..6]);
        if submissions.make(&id)? {
            return Ok(id);
        }
    }
    Err(Error::message("no name is free for a batch"))
}

/// A cell that is in a queue, for people.
#[derive(Debug, Clone, PartialEq)]
pub struct InQueue {
    /// The batch.
    pub batch: Batch,
    /// The element of the batch.
    pub element: usize,
    /// The cell.
    pub cell: CellId,
    /// Its pipeline.
    pub pipeline: String,
    /// Its key.
    pub key: Digest,
    /// The queue's number of the batch, where it is known.
    pub job: Option<String>,
    /// How often it was handed over again.
    pub again: u32,
    /// Whether its job has begun with it.
    pub started: bool,
}

/// All cells that the store records as being in a queue.
pub fn in_queue(store: &Store) -> Result<Vec<InQueue>> {
    let submissions = store.submissions();
    let mut found = Vec::new();
    for id in submissions.batches()? {
        let Some(batch) = Batch::read(&submissions, &id)? else { continue };
        if submissions.read(&id, CANCEL)?.is_some() {
            continue;
        }
        let settled = batch.settled(&submissions)?;
        let job = batch.known(&submissions)?.job;
        for (element, tasks) in Batch::tasks(&submissions, &id)?.into_iter().enumerate() {
            let (bytes, _) = submissions.lines_after(&id, &format!("told-{element}.jsonl"), 0)?;
            let started: BTreeSet<Digest> = notes(&bytes).map(|note| note.key).collect();
            for task in tasks {
                let key = task.request.cell.parts.key();
                if settled.contains(&key) {
                    continue;
                }
                found.push(InQueue {
                    batch: batch.clone(),
                    element,
                    cell: task.request.cell.cell,
                    pipeline: task.request.cell.pipeline,
                    key,
                    job: job.clone(),
                    again: task.again,
                    started: started.contains(&key),
                });
            }
        }
    }
    Ok(found)
}

/// Notes that some cells of a batch are not wanted any more: its jobs pass over those that they have not
/// begun, and one whose cells are all of that kind ends.
pub fn mark_cells_cancelled(store: &Store, batch: &str, keys: &[Digest]) -> Result<()> {
    let submissions = store.submissions();
    let _lock = submissions.lock()?;
    let mut all = cancelled(&submissions, batch);
    all.extend(keys);
    submissions.put(batch, CANCELLED, &serde_json::to_vec(&all)?)
}

/// Notes that a batch was cancelled: its jobs end by themselves, and nobody hands its cells over again.
pub fn mark_cancelled(store: &Store, batch: &str) -> Result<()> {
    store.submissions().put(batch, CANCEL, b"")
}
