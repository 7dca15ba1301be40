//! The pipeline engine.
//!
//! A pipeline is one TOML file of stages. Each stage has a [kind](stage::Kind): one Rust
//! type that implements [`Stage`]. The engine expands matrices into cells, computes each cell's
//! key from its parameters and the content of its inputs, and runs what the store does not hold.
//!
//! [text] → [plan] → [key] → [stage] → [store] → [run] → [executor]
//!
//! This crate knows no tensors.

#![allow(
    clippy::disallowed_methods,
    reason = "the engine reads the clock and the environment, so that no stage does"
)]

#[cfg(test)]
extern crate self as sconce_core;

pub mod canonical;
pub mod cell;
pub mod clock;
pub mod digest;
pub mod error;
pub mod executor;
pub mod key;
pub mod kinds;
pub mod lock;
mod mutex;
pub mod plan;
pub mod processor;
pub mod quantity;
pub mod random;
pub mod run;
pub mod span;
pub mod stage;
pub mod store;
pub mod sweep;
pub mod system;
pub mod text;

pub use cell::{CellId, Coordinates};
pub use digest::Digest;
pub use error::{Error, Result};
pub use plan::{DeviceClasses, LoadOptions, load};
pub use quantity::ByteSize;
pub use stage::artifact::{Anything, Artifact, Files, Folder, Member};
pub use stage::context::{Context, Gathered};
pub use stage::device::{Device, DeviceChoice, DeviceClass};
pub use stage::input::{Input, Inputs, NamedInputs};
pub use stage::kinds::Kinds;
pub use stage::{
    AnyStage, Kind, Out, Output, Reporter, Resources, Sibling, Slot, Stage, Threads, Update, Yields,
};
pub use store::Store;
