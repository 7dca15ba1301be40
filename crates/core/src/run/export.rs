//! The human view: `artifacts/<pipeline>/<stage>/…`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::Options;
use crate::plan::{CellIndex, Plan};
use crate::store::Receipt;
use crate::store::Store;
use crate::{CellId, Error, Result};

/// Where the results of a cell are shown below `artifacts`: `<pipeline>/<stage>/`, with a folder
/// for the place along the axes where the stage has a matrix.
pub fn shown_at(artifacts: &Path, pipeline: &str, cell: &CellId) -> PathBuf {
    artifacts.join(folder_name(pipeline)).join(below_pipeline(cell))
}

/// The folder of a pipeline, of a stage or of a place along the axes.
fn folder_name(name: &str) -> String {
    CellId { stage: name.to_owned(), coordinates: crate::Coordinates::none() }.file_name()
}

/// Where the results of a cell are shown below the pipeline's folder.
fn below_pipeline(cell: &CellId) -> PathBuf {
    let folder = PathBuf::from(folder_name(&cell.stage));
    if cell.coordinates.is_empty() {
        return folder;
    }
    folder.join(folder_name(&cell.coordinates.to_string()))
}

/// Removes what earlier runs show of cells and outputs that the plan does not have. Returns the
/// folders, below the pipeline's.
pub(super) fn remove_stale(plan: &Plan, store: &Store, artifacts: &Path) -> Result<Vec<PathBuf>> {
    let mut shown = BTreeSet::new();
    for (_, cell) in plan.cells().filter(|(_, cell)| cell.stage.local_path().is_none()) {
        let folder = below_pipeline(&cell.id);
        match cell.outputs.as_slice() {
            [_] => _ = shown.insert(folder),
            several => shown.extend(several.iter().map(|output| folder.join(&*output.name))),
        }
    }
    store.remove_stale_views(&artifacts.join(folder_name(&plan.pipeline)), &shown)
}

/// Shows the results of a cell, each output in a folder of its own where there are several. Local
/// files are not shown: they are the user's own.
pub(super) fn export(
    plan: &Plan,
    store: &Store,
    options: &Options,
    index: CellIndex,
    receipt: &Receipt,
) -> Result<()> {
    let cell = &plan[index];
    let Some(artifacts) = options.artifacts.as_ref().filter(|_| cell.stage.local_path().is_none())
    else {
        return Ok(());
    };
    let folder = shown_at(artifacts, &plan.pipeline, &cell.id);
    let alone = receipt.outputs.len() == 1;
    for (name, output) in &receipt.outputs {
        let folder = if alone { folder.clone() } else { folder.join(name) };
        match store.export(&output.digest, &folder) {
            // What is bad here may be good in the remote store.
            Err(error)
                if matches!(error.root(), Error::Damaged { .. })
                    && store.bring(&output.digest)? =>
            {
                store.export(&output.digest, &folder)?;
            }
            other => _ = other?,
        }
    }
    Ok(())
}
