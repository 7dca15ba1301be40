//! Who computes cells: this process, or worker processes on this machine.

mod budget;
mod in_process;
mod local;
mod serve;

use std::path::Path;

pub(crate) use budget::{Budget, Share};
pub use budget::{machine_memory, machine_threads};
pub use in_process::InProcess;
pub use local::Processes;
#[cfg(unix)]
pub(crate) use local::signal_name;
pub use serve::{Lines, serve};

use crate::Update;
use crate::run::{Failure, Outcome, Request};

/// What is told about a cell while it is computed.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// What the stage tells.
    Update(Update),
    /// Stored content was found bad.
    Damage(String),
}

/// Computes cells, several at once.
pub trait Runner: Sync {
    /// Computes one cell and returns when that is done. What it prints goes to `log`; `tell` is
    /// called for each thing that it tells.
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
}
