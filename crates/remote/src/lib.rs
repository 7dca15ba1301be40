//! Results that machines share: a store in a bucket (S3 and what speaks it, GCS, Azure) or on a shared
//! folder, behind the store of each machine.
//!
//! [`Shared`] is a [`Remote`](sconce_core::store::Remote). What lies in the bucket, below a prefix:
//!
//! | object | what |
//! |---|---|
//! | `format` | the format; a newer one is refused |
//! | `results/ab/<key>` | one result: its receipt, where its content is, and content of up to 256 KiB itself |
//! | `bundles/<digest>` | many results behind one another, up to 8 MiB |
//! | `index/<digest>` | which keys a bundle holds, and where |
//! | `chunks/ab/<digest>[.z]` | up to 8 MiB of content: many small files, or a part of a large one; `.z` is deflated |
//! | `claims/<key>` | who computes a key, and until when |
//! | `pins/<pipeline>` | keys that no collection removes |
//! | `collected` | when results were last removed |
//!
//! **What makes it right.** Every object but `claims` and `format` is whole by itself and checked by its own
//! digest; chunks and bundles are named by theirs, so that putting one twice is one. A result is put after
//! the chunks that it names, as one object: it is there as a whole or not at all, whoever else writes.
//! Conditions on a put and claims save work and keep the first of two results; nothing is wrong without
//! them. No object is ever put in parts: a large file is many chunks, so there is nothing to complete,
//! to resume or to abort, and what is there is skipped the next time.
//!
//! There is no queue and no server: every machine speaks to the bucket itself.

mod bucket;
mod chunk;
mod claim;
mod collect;
mod fetch;
mod index;
mod link;
mod location;
mod profile;
mod push;
mod record;
mod shared;
mod transport;

#[cfg(test)]
mod tests;

pub use bucket::Calls;
pub use collect::{Collected, Limits, Size};
pub use location::{Location, LocationError};
pub use push::Pushed;
pub use shared::{Access, Shared};
