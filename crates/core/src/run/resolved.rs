//! A cell with all that decides and drives it: what a worker is told.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::key::KeyParts;
use crate::{CellId, Device, Digest};

/// A cell whose inputs are known. It can run on any machine that sees the store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResolvedCell {
    /// The pipeline's name.
    pub pipeline: String,
    /// The cell's name.
    pub cell: CellId,
    /// All parameters after defaults, with the slots' names in place of the edges.
    pub parameters: Value,
    /// What its key is made of; the kind and the inputs' content among them.
    pub parts: KeyParts,
    /// How it runs.
    pub settings: Settings,
}

/// How a cell runs. Nothing here changes its result.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Threads that it may use.
    pub threads: usize,
    /// Where it computes.
    pub device: Device,
    /// The user's mirror folder.
    #[serde(default)]
    pub mirror: Option<PathBuf>,
    /// Whether a worker that computed it may compute further cells ([`Stage::SMALL`](crate::Stage::SMALL)).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub small: bool,
}

/// What is to be done with a cell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Compute it unless the store holds its result.
    #[default]
    Run,
    /// Compute it and replace what the store holds.
    Force,
    /// Compute it in private and tell the outputs' digests; the store stays as it is.
    Verify,
}

/// A cell and what is to be done with it: `sconce exec` reads this.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// What is to be done.
    #[serde(default)]
    pub mode: Mode,
    /// The cell.
    pub cell: ResolvedCell,
    /// Cells that wait for this one, which may write their outputs on its way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub siblings: Vec<Waiting>,
}

/// A cell that waits until another one is over ([`Stage::TOGETHER`](crate::Stage::TOGETHER)).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Waiting {
    /// Its key.
    pub key: Digest,
    /// All its parameters after defaults, with the slots' names in place of the edges.
    pub parameters: Value,
}
