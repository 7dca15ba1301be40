//! Holding cells to what is locked.

use std::fmt;

use super::{Locked, LockedCell, kind, parameters, varying};
use crate::key::KeyParts;
use crate::plan::{CellIndex, PerCell, Plan};
use crate::store::Receipt;
use crate::{Digest, Result, processor};

/// How a cell differs from what is locked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The lock does not have it.
    New,
    /// The pipeline does not have it.
    Gone,
    /// It is of another kind, or its kind has another version.
    Code {
        /// `kind@version` in the lock.
        locked: String,
        /// `kind@version` now.
        now: String,
    },
    /// Its parameters, its seed, its axes or its environment are others.
    Parameters,
    /// What it reads is something else.
    Inputs,
    /// From the same inputs, by the same code, it yields something else.
    Bits {
        /// The output.
        output: String,
        /// Its digest in the lock; none where the lock does not have it.
        locked: Option<Digest>,
        /// Its digest now; none where the cell does not yield it.
        now: Option<Digest>,
    },
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short = |digest: &Option<Digest>| match digest {
            Some(digest) => digest.short(),
            None => "nothing".to_owned(),
        };
        match self {
            Self::New => f.write_str("the lock does not have it"),
            Self::Gone => f.write_str("the lock has it, and the pipeline does not"),
            Self::Code { locked, now } => write!(f, "its code changed: {locked} → {now}"),
            Self::Parameters => f.write_str("its parameters changed"),
            Self::Inputs => f.write_str("its inputs changed"),
            Self::Bits { output, locked, now } => {
                let (locked, now) = (short(locked), short(now));
                write!(f, "its bits changed: output `{output}` is {now}, locked is {locked}")
            }
        }
    }
}

/// What a run is held to.
#[derive(Debug, Clone)]
pub struct Held {
    locked: Locked,
    /// Whether the bits are of this kind of processor.
    pub same_processor: bool,
}

impl Held {
    /// Holds to `locked` on this machine.
    pub fn to(locked: Locked) -> Self {
        let same_processor = locked.processor == processor::describe();
        Self { locked, same_processor }
    }

    /// The kind of processor that the bits are of.
    pub fn processor(&self) -> &str {
        &self.locked.processor
    }

    /// What differs before anything runs, among the cells `wanted`: cells, kinds and parameters.
    ///
    /// # Errors
    /// Those of making keys.
    pub fn differing(&self, plan: &Plan, wanted: &[CellIndex]) -> Result<Vec<(String, Change)>> {
        let mut changes = Vec::new();
        for &cell in wanted {
            let parts = plan.key_parts(cell, |_, _| Ok(Digest::of(b"")), None)?;
            let name = plan[cell].id.to_string();
            let change = match self.locked.cells.get(&name) {
                None => Some(Change::New),
                Some(locked) => code(locked, &parts),
            };
            changes.extend(change.map(|change| (name, change)));
        }
        Ok(changes)
    }

    /// The cells of the lock that `plan` does not have.
    pub fn gone(&self, plan: &Plan) -> Vec<(String, Change)> {
        let have: std::collections::BTreeSet<_> =
            plan.cells().map(|(_, cell)| cell.id.to_string()).collect();
        let gone = self.locked.cells.keys().filter(|&name| !have.contains(name));
        gone.map(|name| (name.clone(), Change::Gone)).collect()
    }

    /// How the result of a cell differs from what is locked.
    pub fn change(&self, name: &str, receipt: &Receipt, varies: bool) -> Option<Change> {
        let Some(locked) = self.locked.cells.get(name) else { return Some(Change::New) };
        if let Some(change) = code(locked, &receipt.parts) {
            return Some(change);
        }
        let now = LockedCell::of(receipt, varies);
        if locked.varies != varies || locked.inputs != now.inputs {
            return Some(Change::Inputs);
        }
        let names = locked.outputs.keys().chain(now.outputs.keys());
        names
            .map(|output| (output, locked.outputs.get(output), now.outputs.get(output)))
            .find(|(_, locked, now)| locked != now)
            .map(|(output, locked, now)| Change::Bits {
                output: output.clone(),
                locked: locked.copied(),
                now: now.copied(),
            })
    }
}

fn code(locked: &LockedCell, parts: &KeyParts) -> Option<Change> {
    let now = kind(parts);
    if locked.kind != now {
        return Some(Change::Code { locked: locked.kind.clone(), now });
    }
    (locked.parameters != parameters(parts)).then_some(Change::Parameters)
}

impl Locked {
    /// What the cells of `plan` yielded, by their receipts.
    pub fn of(plan: &Plan, receipts: &PerCell<Option<Receipt>>) -> Self {
        let varies = varying(plan);
        let locked = |(cell, receipt): (CellIndex, &Option<Receipt>)| {
            let receipt = receipt.as_ref()?;
            Some((plan[cell].id.to_string(), LockedCell::of(receipt, varies[cell])))
        };
        Self {
            processor: processor::describe(),
            sconce: env!("CARGO_PKG_VERSION").to_owned(),
            cells: receipts.iter().filter_map(locked).collect(),
        }
    }

    /// How many cells are new or other than in `before`, or gone since.
    pub fn differing_cells(&self, before: &Self) -> usize {
        let changed =
            self.cells.iter().filter(|(name, cell)| before.cells.get(*name) != Some(*cell));
        let gone = before.cells.keys().filter(|name| !self.cells.contains_key(*name));
        changed.count() + gone.count()
    }

    /// The cells with other outputs than in `before` where kind, version, parameters and inputs are the same, on the same kind of
    /// processor: a kind whose results changed and whose version did not, or one that does not repeat itself.
    pub fn other_bits<'a>(&'a self, before: &'a Self) -> impl Iterator<Item = &'a str> {
        let same_processor = self.processor == before.processor;
        let cells = self.cells.iter().filter(move |_| same_processor);
        let other = |(name, cell): &(&'a String, &'a LockedCell)| {
            before.cells.get(*name).is_some_and(|before| {
                let outputs = before.outputs.clone();
                cell.outputs != outputs && LockedCell { outputs, ..(*cell).clone() } == *before
            })
        };
        cells.filter(other).map(|(name, _)| name.as_str())
    }
}
