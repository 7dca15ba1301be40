//! What is recorded of a finished cell.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::key::KeyParts;
use crate::{CellId, Device, Digest};

/// One output of a finished cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputRecord {
    /// The artifact's type.
    pub artifact: String,
    /// Digest of the artifact's tree.
    pub digest: Digest,
    /// Sum of the files' sizes in bytes.
    pub size: u64,
    /// Number of files.
    pub files: usize,
    /// Whether two runs may differ here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub volatile: bool,
}

/// What is recorded of a finished cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// The key.
    pub key: Digest,
    /// What the key is made of.
    pub parts: KeyParts,
    /// The cell that ran; another pipeline's may share the result.
    pub cell: CellId,
    /// The pipeline that it ran in.
    pub pipeline: String,
    /// The outputs by name.
    pub outputs: BTreeMap<String, OutputRecord>,
    /// Numbers that the stage told.
    pub metrics: BTreeMap<String, f64>,
    /// Where it was computed.
    pub device: Device,
    /// With how many threads.
    pub threads: usize,
    /// When it began, seconds since 1970.
    pub started: u64,
    /// How long it took.
    pub seconds: f64,
    /// The version of Sconce.
    pub sconce: String,
}
