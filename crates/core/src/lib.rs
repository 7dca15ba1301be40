//! The pipeline engine: spec → plan → key → store → execute → receipt.
//!
//! A [pipeline](spec) is one TOML file of stages. Each stage has a [kind](stage::Kind): one Rust
//! type that implements [`Stage`]. The engine expands matrices into cells, computes each cell's
//! key from its parameters and the content of its inputs, and runs what the store does not hold.
//!
//! This crate knows no tensors.

pub mod artifact;
pub mod canonical;
pub mod cell;
pub mod context;
pub mod digest;
pub mod error;
pub mod execute;
pub mod input;
pub mod kinds;
pub mod plan;
pub mod random;
pub mod receipt;
pub mod spec;
pub mod stage;
pub mod store;

pub use artifact::{Anything, Artifact, Files, Folder, Member};
pub use cell::{CellId, Coordinates};
pub use context::{Context, Device, Gathered, Reporter, Update};
pub use digest::Digest;
pub use error::{Error, Result};
pub use input::{Input, Inputs, NamedInputs};
pub use stage::{AnyStage, Kind, Output, Resources, Slot, Stage, Threads};
pub use store::Store;
