//! Who computes cells.
//!
//! A run asks an [`Executor`] whether there is room for a cell, submits it, and hears what becomes of
//! it. What there is to share (threads, memory, accelerators, places in a queue) lies behind
//! [`Executor::capacity`]: the run knows of none of it. [`Machine`] is this machine, by worker
//! [`Processes`] or [`InProcess`]; [`queue::Cluster`] is the queue of a cluster, and [`Routes`] sends
//! each cell to the one that it asks for.

mod budget;
mod in_process;
mod local;
mod machine;
pub mod queue;
mod routes;
mod serve;
mod settler;
mod worker;

use std::path::{Path, PathBuf};

pub(crate) use budget::Budget;
pub use budget::{Limits, Share, machine_memory, machine_threads};
pub use in_process::InProcess;
pub use local::Processes;
pub use machine::Machine;
pub use routes::Routes;
pub use serve::{Lines, serve, serve_all};

use crate::run::{Failure, Outcome, Request};
use crate::{Resources, Update};

/// What is told about a cell that was submitted.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// What the stage tells.
    Update(Update),
    /// Stored content was found bad.
    Damage(String),
    /// It is over: the last that is told. The store holds the receipt of a cell that ran.
    Done(Result<Outcome, Failure>),
}

/// A cell to be computed.
pub struct Submission {
    /// The cell, and what is to be done with it.
    pub request: Request,
    /// Where what it prints goes.
    pub log: PathBuf,
    /// Takes what is told, from any thread; [`Told::Done`] once, last.
    pub tell: Box<dyn Fn(Told) + Send + Sync>,
}

/// Computes cells, several at once, somewhere. One run uses it, or several at once, which then share
/// its room.
pub trait Executor {
    /// What it has in all.
    fn limits(&self) -> &Limits;

    /// Room for a further cell with these needs, taken until the cell is over; none while it has to
    /// wait for others. An executor without any other cell always has room. `waiting` says how many cells with
    /// these needs wait, this one included: they may share what one of them could use alone.
    fn capacity(&self, needs: &Resources, waiting: usize) -> Option<Share>;

    /// Starts a cell in the room that it was given, and returns at once.
    fn submit(&self, cell: Submission, share: Share);

    /// Asks all submitted cells to end. Each still tells that it is over.
    fn cancel(&self);

    /// Ends all submitted cells at once. Each still tells that it is over.
    fn kill(&self);

    /// What it has to say of itself, since the last time: that a queue does not answer.
    fn notices(&self) -> Vec<String> {
        Vec::new()
    }

    /// Waits until the results of all cells that are over are on the disk. Returns what went wrong.
    fn finish(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Computes one cell and returns when that is done: what a thread of a [`Machine`] waits for.
pub trait Runner: Send + Sync + 'static {
    /// Computes one cell. What it prints goes to `log`; `tell` is called for each thing that it
    /// tells, but not for its end.
    fn run(
        &self,
        request: &Request,
        log: &Path,
        tell: &(dyn Fn(Told) + Send + Sync),
    ) -> Result<Outcome, Failure>;

    /// Asks all running cells to end. No further one will be started.
    fn cancel(&self);

    /// Ends all running cells at once.
    fn kill(&self);

    /// See [`Executor::finish`].
    fn finish(&self) -> Vec<String> {
        Vec::new()
    }
}
