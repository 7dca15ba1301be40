//! Running a plan: what the store does not hold is computed, upstream first.
//!
//! [`execute`] walks the cells. One whose inputs are known has a key; if the store holds the key's
//! receipt the cell is a hit, otherwise a [`Runner`] computes it: a worker process of the same
//! binary, or this process in tests. [`run_cell`] is what both do, and it can be repeated: it
//! takes the key's lock, looks for the receipt again, and only then works.
//!
//! Nothing here prints: what happens is told as [`Event`]s.

mod budget;
mod event;
mod export;
mod failure;
mod file;
mod interrupt;
mod options;
mod process;
mod resolved;
mod run;
mod runner;
mod schedule;
mod serve;
mod settle;
mod walk;

pub use budget::{machine_memory, machine_threads};
pub use event::{Difference, Event, Summary};
pub use export::shown_at;
pub use failure::Failure;
pub use file::snapshots;
pub use interrupt::Interrupt;
pub use options::Options;
pub use process::Processes;
#[cfg(unix)]
pub(crate) use process::signal_name;
pub use resolved::{Mode, Request, ResolvedCell, Settings};
pub use run::{Outcome, run_cell};
pub use runner::{InProcess, Runner, Told};
pub use schedule::execute;
pub use serve::serve;

#[cfg(test)]
mod tests;
