//! The store: content-addressed blobs, receipts, and what helps to find them again.
//!
//! [`Results`] is the contract: what machines have to agree on. [`Store`] keeps it on a file system,
//! with what only one machine needs beside it. What several machines share lies behind it ([`Remote`]).

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod conforming;
mod journal;
mod local;
mod receipt;
mod remote;
mod results;
mod run_record;

pub use journal::{End, Ending, Journal, Point, Progress, Standing};
pub use local::{
    Changes, CheckReport, Count, Damage, GcLimits, GcReport, Imported, KeyLock, RunLog, Scratch,
    Snapshot, Store, Submissions, Usage,
};
pub(crate) use local::{JournalWriter, hash};
pub use receipt::{OutputRecord, Receipt};
pub use remote::Remote;
pub use results::{Claim, Results};
pub use run_record::{Commit, Invocation, RunCell, RunCounts, RunEnd, RunRecord, RunState};
