//! Whole-program tests: the `sconce` command as people use it, with worker processes.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

mod bench;
mod cancel;
mod cluster;
mod compare;
mod credentials;
mod damage;
mod dependencies;
mod devices;
mod documents;
#[cfg(feature = "chapters")]
mod domains;
mod exports;
mod face;
#[cfg(feature = "chapters")]
mod generated;
mod kills;
mod language;
mod layout;
mod lock;
mod mutations;
mod names;
mod page;
mod played;
mod queue;
mod queue_remote;
mod remote;
mod runs;
#[cfg(feature = "remote")]
mod s3;
mod spans;
mod stops;
#[cfg(feature = "chapters")]
mod studies;
mod sweep;
mod terminal;
#[cfg(feature = "chapters")]
mod training;
mod uploads;
mod warm;
mod watch;
