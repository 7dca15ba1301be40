//! The store: content-addressed blobs, receipts, and what helps to find them again.

mod local;
mod receipt;

pub(crate) use local::hash;
pub use local::{
    Changes, CheckReport, Count, Damage, GcLimits, GcReport, Imported, KeyLock, Scratch, Snapshot,
    Store, Usage,
};
pub use receipt::{OutputRecord, Receipt};
