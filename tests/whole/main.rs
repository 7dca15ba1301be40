//! Whole-program tests: the `sconce` command as people use it, with worker processes.
#![cfg(unix)]

mod bench;
mod damage;
mod documents;
mod face;
mod kills;
mod layout;
mod runs;
mod stops;
#[cfg(feature = "chapters")]
mod training;
