//! Whole-program tests: the `sconce` command as people use it, with worker processes.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

mod bench;
mod cluster;
mod compare;
mod damage;
mod dependencies;
mod devices;
mod documents;
mod exports;
mod face;
mod kills;
mod language;
mod layout;
mod lock;
mod mutations;
mod names;
mod page;
mod queue;
mod remote;
mod runs;
mod spans;
mod stops;
#[cfg(feature = "chapters")]
mod studies;
mod sweep;
#[cfg(feature = "chapters")]
mod training;
mod warm;
mod watch;
