//! Local files and folders: their content is their result, and the engine itself takes it in.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use tracing::debug_span;

use super::cell::claim;
use super::{Outcome, Request};
use crate::error::ResultExt;
use crate::plan::{CellIndex, Plan};
use crate::stage::Silent;
use crate::store::Receipt;
use crate::store::{Snapshot, Store};
use crate::{Error, Output, Result, clock};

/// The content of every local path of the plan, by cell. One that cannot be read fails its cell
/// alone.
pub fn snapshots(plan: &Plan, store: &Store) -> BTreeMap<CellIndex, Result<Snapshot>> {
    let local = |cell| Some((cell, local_path(plan, cell)?));
    let taken = |(cell, path): (CellIndex, PathBuf)| {
        (cell, snapshot(store, &path, plan[cell].stage.follows_links()))
    };
    plan.indices().filter_map(local).map(taken).collect()
}

pub(super) fn local_path(plan: &Plan, cell: CellIndex) -> Option<PathBuf> {
    Some(plan.folder.join(plan[cell].stage.local_path()?))
}

pub(super) fn snapshot(store: &Store, path: &std::path::Path, links: bool) -> Result<Snapshot> {
    let snapshot = store.snapshot(path, links)?;
    if snapshot.members.is_empty() {
        return Err(Error::message(format!("{}: the folder holds no file", path.display())));
    }
    Ok(snapshot)
}

/// Takes the content of a snapshot into the store and writes the receipt.
pub(super) fn run(
    store: &Store,
    request: &Request,
    output: &Output,
    path: &std::path::Path,
    snapshot: &Snapshot,
) -> Result<Outcome> {
    let cell = &request.cell;
    let key = cell.parts.key();
    let _span = debug_span!("cell", cell = %cell.cell, kind = cell.parts.kind, key = %key.short())
        .entered();
    let _claim = debug_span!("lock")
        .in_scope(|| claim(store.alone().results(), &key, &Silent, &AtomicBool::new(false)))?;
    if let Some(receipt) = store.alone().receipt(&key)? {
        return Ok(Outcome::Shared(Box::new(receipt)));
    }
    let _commit = debug_span!("commit").entered();
    let (clock, started) = (Instant::now(), clock::now() as u64);
    let imported = debug_span!("hash", path = %path.display())
        .in_scope(|| store.import_snapshot(path, snapshot))
        .doing(|| format!("storing {}", path.display()))?;
    let record = imported.record(output.artifact.as_ref(), output.volatile);
    let receipt = Receipt {
        key,
        parts: cell.parts.clone(),
        cell: cell.cell.clone(),
        pipeline: cell.pipeline.clone(),
        outputs: BTreeMap::from([(output.name.to_string(), record)]),
        metrics: BTreeMap::new(),
        device: cell.settings.device,
        threads: cell.settings.threads,
        started,
        seconds: clock.elapsed().as_secs_f64(),
        sconce: env!("CARGO_PKG_VERSION").to_owned(),
    };
    store.put_receipt(&receipt)?;
    Ok(Outcome::Ran(Box::new(receipt)))
}
