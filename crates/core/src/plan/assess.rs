//! What has to run, and why.

use std::collections::BTreeMap;

use super::{CellIndex, PerCell, Plan, Reason, Source, explain};
use crate::key::KeyParts;
use crate::store::{Receipt, Results, Store};
use crate::{Digest, Error, Result};

/// What a run would do with a cell.
#[derive(Debug, Clone)]
pub enum State {
    /// The store holds the result.
    Hit(Box<Receipt>),
    /// It runs.
    Run {
        /// The key under which the result will be stored.
        key: Digest,
        /// Why, compared with the cell's last receipt; never empty.
        reasons: Vec<Reason>,
    },
    /// It may run: that is decided by the outputs of these cells, which run before it.
    Depends(Vec<CellIndex>),
}

/// Finds the state of every cell from the store alone. Runs nothing.
///
/// `contents` gives the digest of the local path of each `file` cell.
pub fn assess(
    plan: &Plan,
    store: &Store,
    contents: &BTreeMap<CellIndex, Digest>,
) -> Result<PerCell<State>> {
    let _span = tracing::info_span!("assess", cells = plan.indices().len()).entered();
    let last = store.last(&plan.pipeline)?;
    let mut states = PerCell::new(plan, |_| State::Depends(Vec::new()));
    let indices: Vec<CellIndex> = plan.indices().collect();
    // The cells of a stage follow one another, and none reads another of its own stage.
    for stage in indices.chunk_by(|a, b| plan[*a].id.stage == plan[*b].id.stage) {
        let mut known = Vec::with_capacity(stage.len());
        for &cell in stage {
            let mut waits = plan.upstream(cell);
            // What a local file yields is known before it is taken in.
            waits.retain(|upstream| {
                !matches!(states[*upstream], State::Hit(_)) && !contents.contains_key(upstream)
            });
            if !waits.is_empty() {
                states[cell] = State::Depends(waits);
                continue;
            }
            let digest = |upstream: CellIndex, source: &Source| match &states[upstream] {
                State::Hit(receipt) => output_digest(receipt, source),
                _ => contents
                    .get(&upstream)
                    .copied()
                    .ok_or_else(|| Error::message("the upstream cell has no result")),
            };
            known.push((cell, plan.key_parts(cell, digest, contents.get(&cell).copied())?));
        }
        if store.remote().is_some() {
            store.ask_ahead(&known.iter().map(|(_, parts)| parts.key()).collect::<Vec<_>>())?;
        }
        for (cell, parts) in known {
            states[cell] = assess_cell(plan, cell, &parts, store.results(), &last)?;
        }
    }
    Ok(states)
}

/// The digest of the output that `source` names.
pub fn output_digest(receipt: &Receipt, source: &Source) -> Result<Digest> {
    let output = receipt.outputs.get(&*source.output).ok_or_else(|| {
        Error::message(format!(
            "the result of `{}` has no output `{}`",
            receipt.cell, source.output
        ))
    })?;
    Ok(output.digest)
}

/// The state of one cell whose inputs are known: a hit, or a run with its reasons.
pub fn assess_cell(
    plan: &Plan,
    cell: CellIndex,
    parts: &KeyParts,
    results: &dyn Results,
    last: &BTreeMap<String, Digest>,
) -> Result<State> {
    let key = parts.key();
    if let Some(receipt) = results.receipt(&key)? {
        return Ok(State::Hit(Box::new(receipt)));
    }
    let id = plan[cell].id.to_string();
    let reasons = match last.get(&id) {
        _ if results.is_damaged(&key)? => vec![Reason::Damaged],
        Some(last) if *last == key => vec![Reason::Missing],
        Some(last) => match results.recorded(last)? {
            Some(old) => explain(&old.parts, parts, &plan[cell].kind),
            None => vec![Reason::New],
        },
        None => vec![Reason::New],
    };
    Ok(State::Run { key, reasons })
}
