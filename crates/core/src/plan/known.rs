//! What the store has recorded of a plan's cells: for tables of results.

use std::collections::BTreeMap;

use super::{CellIndex, PerCell, Plan, Source, output_digest};
use crate::store::{Receipt, Store};
use crate::{Digest, Error, Result};

/// What is known of a cell without running anything.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// The key; none while what the cell reads has no result.
    pub key: Option<Digest>,
    /// What was recorded under it.
    pub receipt: Option<Box<Receipt>>,
}

/// Finds the key of every cell and what is recorded of it. [`assess`](super::assess) tells more, and
/// looks at the content: this is for many cells, whose receipts are read on several threads.
///
/// `contents` gives the digest of the local path of each `file` cell.
pub fn known(
    plan: &Plan,
    store: &Store,
    contents: &BTreeMap<CellIndex, Digest>,
) -> Result<PerCell<Known>> {
    let _span = tracing::info_span!("known", cells = plan.indices().len()).entered();
    let mut all = PerCell::new(plan, |_| Known::default());
    let indices: Vec<CellIndex> = plan.indices().collect();
    // The cells of a stage follow one another, and none reads another of its own stage.
    for stage in indices.chunk_by(|a, b| plan[*a].id.stage == plan[*b].id.stage) {
        let mut with_key = Vec::with_capacity(stage.len());
        let mut keys = Vec::with_capacity(stage.len());
        for &cell in stage {
            let has_result = |upstream: CellIndex| {
                all[upstream].receipt.is_some() || contents.contains_key(&upstream)
            };
            if !plan.reads(cell).all(has_result) {
                continue;
            }
            let digest = |upstream: CellIndex, source: &Source| match &all[upstream].receipt {
                Some(receipt) => output_digest(receipt, source),
                None => contents
                    .get(&upstream)
                    .copied()
                    .ok_or_else(|| Error::message("the upstream cell has no result")),
            };
            let parts = plan.key_parts(cell, digest, contents.get(&cell).copied())?;
            with_key.push(cell);
            keys.push(parts.key());
        }
        for ((cell, key), receipt) in
            with_key.into_iter().zip(&keys).zip(store.recorded_all(&keys)?)
        {
            all[cell] = Known { key: Some(*key), receipt: receipt.map(Box::new) };
        }
    }
    Ok(all)
}
