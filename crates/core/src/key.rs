//! Keys, and what they are made of.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{CellId, Coordinates, Digest, canonical};

/// All that decides a cell's result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeyParts {
    /// The kind's name.
    pub kind: String,
    /// The kind's version.
    pub version: u32,
    /// Parameters after defaults, without inputs and cosmetic ones.
    pub parameters: Value,
    /// Content of the inputs by slot.
    pub inputs: BTreeMap<String, Vec<InputPart>>,
    /// The seed, for kinds whose result depends on it.
    pub seed: Option<u64>,
    /// Axes that are no parameters, for kinds that read them.
    #[serde(default, skip_serializing_if = "Coordinates::is_empty")]
    pub axes: Coordinates,
    /// Values of the environment variables that count; null for one that is not set.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, Option<String>>,
    /// Content of the local file or folder, for kind `file`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Digest>,
}

/// One artifact of an input slot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InputPart {
    /// Digest of the artifact's tree.
    pub digest: Digest,
    /// For gathering inputs: the stage and the place along the gathered axes, which the stage sees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<CellId>,
}

impl KeyParts {
    /// The key.
    pub fn key(&self) -> Digest {
        // Serialising cannot fail: all maps have string keys and the numbers are finite.
        canonical::digest(&json!({ "sconce": 1, "parts": self }))
    }
}
