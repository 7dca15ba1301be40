//! Cells that somebody waits for, and the batches that they are in.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::batch::{Batch, Task, What};
use super::sight::Sight;
use super::{Ask, Cause, Known, slurm};
use crate::Digest;
use crate::executor::{Share, Submission};

/// A cell that somebody waits for.
pub(super) struct Followed {
    pub(super) submission: Box<Submission>,
    pub(super) share: Share,
    pub(super) batch: String,
    pub(super) element: usize,
    /// The last note about it.
    pub(super) told: String,
    /// A job said that it has a result, which is not to be seen yet.
    pub(super) claimed: Option<(What, Instant)>,
}

/// A batch with followed cells.
pub(super) struct Live {
    pub(super) batch: Batch,
    pub(super) tasks: Vec<Vec<Task>>,
    pub(super) job: Option<String>,
    /// When it was last handed over without an answer, where it has no number.
    pub(super) unsure: Option<Instant>,
    pub(super) sights: Vec<Sight>,
    /// Cells of it that are followed.
    pub(super) waiting: usize,
    /// How far the notes of each element are read.
    pub(super) read: Vec<u64>,
    /// Cells that their job began with.
    pub(super) started: BTreeSet<Digest>,
    /// Cells that their job stopped, so many seconds after its beginning.
    pub(super) stopped: BTreeMap<Digest, f64>,
}

/// A cell that is to be handed over.
pub(super) struct Fresh {
    pub(super) submission: Box<Submission>,
    pub(super) share: Share,
    pub(super) task: Task,
    pub(super) ask: Ask,
}

impl Live {
    pub(super) fn new(batch: Batch, tasks: Vec<Vec<Task>>, job: Option<String>) -> Self {
        let elements = tasks.len();
        Self {
            batch,
            job,
            unsure: None,
            waiting: 0,
            sights: vec![Sight::default(); elements],
            read: vec![0; elements],
            tasks,
            started: BTreeSet::new(),
            stopped: BTreeMap::new(),
        }
    }

    pub(super) fn known(&self) -> Known {
        Known { name: self.batch.name(), job: self.job.clone(), elements: self.tasks.len() }
    }

    /// What ended a cell. A job that is told that its time will be over stops its cell and ends by itself.
    pub(super) fn cause_of(&self, key: &Digest, cause: Cause) -> Cause {
        // The notice comes up to a minute early.
        const EARLY: f64 = 60.0;
        match (cause, self.stopped.get(key)) {
            (Cause::Well | Cause::Failed | Cause::Killed, Some(after)) => {
                let seconds = self.batch.head.ask.seconds;
                let over = seconds.is_some_and(|all| {
                    after + slurm::notice(Some(all)) as f64 + EARLY >= all as f64
                });
                if over { Cause::Time } else { Cause::Lost }
            }
            _ => cause,
        }
    }

    /// The queue's number of an element, for people.
    pub(super) fn job_of(&self, element: usize) -> String {
        match &self.job {
            Some(job) if !job.is_empty() => format!("job {job}_{element}"),
            _ => format!("{}, element {element}", self.batch.name()),
        }
    }
}

pub(super) fn key_of(task: &Task) -> Digest {
    task.request.cell.parts.key()
}
