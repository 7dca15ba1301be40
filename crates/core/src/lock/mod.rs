//! Expected results of a pipeline: `transfer.lock` beside `transfer.toml`.
//!
//! For each profile that was locked, the file has a table of the cells and the digest of each output. `sconce lock` writes it from
//! the store, and a run that is held to it ([`Options::lock`](crate::run::Options::lock)) fails with the first cell on each path that
//! differs, and says what differs: the kind's version, the parameters, the inputs, or the bits alone.
//!
//! What an output holds that may differ between two runs (how long a fit took) cannot be locked, and neither can the outputs of
//! cells that read it: such a cell [varies](LockedCell::varies). Bits of floating-point results hold for a kind of machine
//! ([`describe`](crate::processor::describe)); on another one, differing bits are counted and do not fail.

mod file;
mod hold;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::key::KeyParts;
use crate::plan::{CellIndex, PerCell, Plan};
use crate::store::Receipt;
use crate::{Digest, canonical};

pub use file::{LockFile, lock_path, profile_name};
pub use hold::{Change, Held};

/// What the cells of a pipeline with one set of profiles yielded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Locked {
    /// The kind of processor that the bits are of.
    pub processor: String,
    /// The version of Sconce that wrote it.
    pub sconce: String,
    /// What each cell yielded, by name.
    #[serde(rename = "cell")]
    pub cells: BTreeMap<String, LockedCell>,
}

/// What one cell yielded, and from what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedCell {
    /// `kind@version`.
    pub kind: String,
    /// Digest of parameters, seed, axes and environment variables, as far as the key has them; its first 12 digits.
    pub parameters: String,
    /// Digest of what the inputs hold; its first 12 digits. None where the cell varies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs: Option<String>,
    /// Whether it reads what may differ between two runs. Then its outputs are not locked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub varies: bool,
    /// Digests of the outputs, but for those that may differ between two runs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub outputs: BTreeMap<String, Digest>,
}

impl LockedCell {
    /// What a receipt says.
    pub fn of(receipt: &Receipt, varies: bool) -> Self {
        let parts = &receipt.parts;
        let fixed = receipt.outputs.iter().filter(|(_, output)| !varies && !output.volatile);
        Self {
            kind: kind(parts),
            parameters: parameters(parts),
            inputs: (!varies).then(|| inputs(parts)),
            varies,
            outputs: fixed.map(|(name, output)| (name.clone(), output.digest)).collect(),
        }
    }
}

/// `kind@version`.
fn kind(parts: &KeyParts) -> String {
    format!("{}@{}", parts.kind, parts.version)
}

fn parameters(parts: &KeyParts) -> String {
    let told = json!([parts.recipe, parts.parameters, parts.seed, parts.axes, parts.environment]);
    canonical::digest(&told).short()
}

fn inputs(parts: &KeyParts) -> String {
    canonical::digest(&json!([parts.inputs, parts.content])).short()
}

/// Which cells read, by any way, what may differ between two runs.
pub fn varying(plan: &Plan) -> PerCell<bool> {
    let mut varies = PerCell::filled(plan, false);
    for cell in plan.indices() {
        let reads = |(upstream, source): (CellIndex, &crate::plan::Source)| {
            let volatile = |output: &&crate::Output| output.name == source.output;
            varies[upstream]
                || plan[upstream].outputs.iter().find(volatile).is_some_and(|one| one.volatile)
        };
        varies[cell] = plan.sources(cell).into_iter().any(reads);
    }
    varies
}
