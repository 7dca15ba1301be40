//! Cells in the queue of a cluster.
//!
//! A [`Queue`] hands batches over, tells the state of many in one call, and cancels: [`Slurm`] by its
//! commands, [`Template`] by any command. [`Cluster`] is the executor on top of one. It puts cells that
//! come together into a batch: a folder in the store with the requests, one *element* a job, several
//! cells an element. A job calls [`run_element`], which computes its cells by worker processes and
//! writes what became of each beside the requests.
//!
//! What is shared is the store's folder. **The store decides success, never the queue**: a cell is done
//! when its receipt is there. It failed when the job itself said so, or when the queue, in an answer
//! that came, said that the job ended; a job that is missing is lost only after several answers without
//! it over minutes, and while it shows a sign of life it is not. A state that is not known is a running
//! one.
//!
//! **Nothing is handed over twice**, though this process may die at any point. A batch is recorded,
//! under a name of its own that the queue is told, before it is handed over, and the job's number after.
//! Who comes later takes up what is recorded; a batch without a number is looked for under its name. And
//! if the queue took a batch twice all the same, the second job finds its element claimed.

mod batch;
mod cluster;
mod element;
mod external;
mod group;
mod hand_over;
mod live;
mod settle;
mod sight;
mod slurm;
mod template;
mod watch;

use std::path::PathBuf;
use std::time::Duration;

pub use batch::{Batch, Head, InQueue, Task, in_queue, mark_cancelled, mark_cells_cancelled};
pub use cluster::{Cluster, Detach, Reins};
pub use element::{ElementEnd, run_element};
pub use group::Group;
pub use slurm::Slurm;
pub use template::Template;

use crate::Device;

/// Where cells can be handed to, in batches.
pub trait Queue: Send + Sync + 'static {
    /// Its name: `slurm`.
    fn name(&self) -> &'static str;

    /// Hands a batch over: the number that the queue gives it.
    fn submit(&self, job: &Job) -> Result<String, Refusal>;

    /// What the queue knows of batches, in one call. Of what is not told the queue knows nothing.
    ///
    /// # Errors
    /// In words, when there was no answer: then nothing is known.
    fn look(&self, batches: &[Known]) -> Result<Vec<Seen>, String>;

    /// Cancels all that is left of a batch. One that is not there is cancelled.
    ///
    /// # Errors
    /// In words, when there was no answer.
    fn cancel(&self, batch: &Known) -> Result<(), String>;

    /// The most elements of one batch.
    fn most_elements(&self) -> usize;

    /// Whether what it does not tell of is gone. A queue that cannot be asked knows nothing.
    fn is_asked(&self) -> bool {
        true
    }
}

/// A batch that is to be handed over.
#[derive(Debug, Clone)]
pub struct Job {
    /// The name by which the queue finds it again.
    pub name: String,
    /// The batch's folder.
    pub folder: PathBuf,
    /// What runs one element: the program and its arguments, to which the element's number is added.
    pub command: Vec<String>,
    /// How many elements it has, numbered from 0.
    pub elements: usize,
    /// What each asks for.
    pub ask: Ask,
    /// What it is, for people.
    pub comment: String,
}

/// What an element asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Ask {
    /// Threads.
    pub threads: usize,
    /// Bytes of memory.
    pub memory: u64,
    /// Whether a GPU.
    pub gpu: bool,
    /// Seconds at most.
    pub seconds: Option<u64>,
}

/// A batch that the queue is asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The name.
    pub name: String,
    /// The number that the queue gave, where it is known.
    pub job: Option<String>,
    /// How many elements it has.
    pub elements: usize,
}

/// Why a batch was not handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The queue will not take it as it is.
    Refused(String),
    /// It may have been taken or not.
    Unsure(String),
}

/// What a queue tells of one element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The batch's name.
    pub name: String,
    /// The element.
    pub element: usize,
    /// The batch's number.
    pub job: String,
    /// How it stands.
    pub state: State,
    /// The queue's own words: why it waits, where it runs, how it ended.
    pub words: String,
}

/// How an element stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It waits.
    Waits,
    /// It runs, or nobody knows better.
    Runs,
    /// It ended.
    Ended(Cause),
}

/// How an element ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// With status 0.
    Well,
    /// With another status.
    Failed,
    /// By a signal.
    Killed,
    /// It took more memory than it had asked for.
    Memory,
    /// Its time was over.
    Time,
    /// The machine was lost, or the queue forgot it.
    Lost,
    /// Somebody cancelled it.
    Cancelled,
}

/// How cells are handed over and watched.
#[derive(Debug, Clone)]
pub struct Habits {
    /// What runs one element: the program and its arguments, to which batch and element are added.
    pub command: Vec<String>,
    /// Cells that share a job.
    pub group: Group,
    /// Cells in the queue at once, at most.
    pub jobs: usize,
    /// Threads of a cell that takes all.
    pub threads: usize,
    /// Where cells compute that want an accelerator.
    pub device: Device,
    /// The time that a cell gets which does not say.
    pub seconds: Option<u64>,
    /// Time between two looks at the store.
    pub tick: Duration,
    /// Time between two questions to the queue.
    pub poll: Duration,
    /// A job that several answers do not name for so long is lost.
    pub lost_after: Duration,
    /// So long after a job's end its results may still come to sight.
    pub late: Duration,
    /// How often a cell is handed over again.
    pub retries: u32,
    /// The most memory that a cell gets; four times what it asked for first without it.
    pub max_memory: Option<u64>,
}

impl Default for Habits {
    fn default() -> Self {
        Self {
            command: Vec::new(),
            group: Group::Cells(1),
            jobs: 1000,
            threads: 1,
            device: Device::Cpu,
            seconds: None,
            tick: Duration::from_millis(500),
            poll: Duration::from_secs(10),
            lost_after: Duration::from_secs(300),
            late: Duration::from_secs(60),
            retries: 3,
            max_memory: None,
        }
    }
}
