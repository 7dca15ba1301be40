//! Searches over parameters: which values are tried, and which trials go on.
//!
//! A trial is a list of settings, as `--set` takes them: its cells are ordinary cells, cached and
//! resumed like any other. [`space`] draws the values, [`halving`] decides which trials get a larger
//! budget; nothing here runs anything. The same seed gives the same trials, and more trials begin with
//! the same ones.

pub mod halving;
pub mod space;

pub use halving::Halving;
pub use space::{Dimension, Objective, Range, draw};
