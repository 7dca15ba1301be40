//! The human view: `artifacts/<pipeline>/<stage>/…`.

use std::path::{Path, PathBuf};

use super::Options;
use crate::plan::{CellIndex, Plan};
use crate::store::Receipt;
use crate::store::Store;
use crate::{CellId, Result};

/// Where the results of a cell are shown below `artifacts`: `<pipeline>/<stage>/`, with a folder
/// for the place along the axes where the stage has a matrix.
pub fn shown_at(artifacts: &Path, pipeline: &str, cell: &CellId) -> PathBuf {
    let named = |name: String| {
        let coordinates = crate::Coordinates::none();
        CellId { stage: name, coordinates }.file_name()
    };
    let folder = artifacts.join(named(pipeline.to_owned())).join(named(cell.stage.clone()));
    if cell.coordinates.is_empty() {
        return folder;
    }
    folder.join(named(cell.coordinates.to_string()))
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
        store.export(&output.digest, &folder)?;
    }
    Ok(())
}
