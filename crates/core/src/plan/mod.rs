//! From a pipeline to cells, and from cells to what has to run.

mod assess;
pub(crate) mod edge;
mod expand;
mod load;
pub(crate) mod parameters;
mod select;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

pub use assess::{Assessment, Reason, State, assess, assess_cell, explain, output_digest};
pub use load::{LoadOptions, load};

use crate::key::{InputPart, KeyParts};
use crate::{AnyStage, CellId, Digest, Error, Kind, Output, Resources, Result};

/// A pipeline, expanded into cells. Upstream cells stand before those that read them.
pub struct Plan {
    /// The pipeline's name.
    pub pipeline: String,
    /// What it is about.
    pub description: String,
    /// The folder of the pipeline file; local paths start there.
    pub folder: PathBuf,
    /// Names of the stages in the order of the file.
    pub stages: Vec<String>,
    /// The cells, upstream first.
    pub cells: Vec<Cell>,
}

/// One cell of the plan.
pub struct Cell {
    /// The cell's name.
    pub id: CellId,
    /// What it does.
    pub kind: Kind,
    /// The parsed stage; its inputs hold the edges as written.
    pub stage: Arc<dyn AnyStage>,
    /// All parameters after defaults, with the slots' names in place of the edges: what a worker
    /// parses.
    pub parameters: Value,
    /// The parameters that are part of the key: no inputs, no cosmetic ones.
    pub key_parameters: Value,
    /// Where the inputs come from, by slot (`slot`, or `slot.name` for named inputs).
    pub inputs: BTreeMap<String, Vec<Source>>,
    /// The seed, for kinds whose result depends on it.
    pub seed: Option<u64>,
    /// What the cell needs, with the pipeline file's overrides.
    pub resources: Resources,
    /// What it yields.
    pub outputs: Vec<Output>,
}

/// Where one artifact of an input comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Index of the upstream cell in [`Plan::cells`].
    pub cell: usize,
    /// The output's name.
    pub output: String,
    /// For gathering inputs: the stage and the place along the gathered axes.
    pub from: Option<CellId>,
}

impl Plan {
    /// Indices of the cells that `cell` reads, without repetition.
    pub fn upstream(&self, cell: usize) -> Vec<usize> {
        let mut upstream: Vec<_> =
            self.cells[cell].inputs.values().flatten().map(|source| source.cell).collect();
        upstream.sort_unstable();
        upstream.dedup();
        upstream
    }

    /// For every cell, the cells that read it.
    pub fn downstream(&self) -> Vec<Vec<usize>> {
        let mut downstream = vec![Vec::new(); self.cells.len()];
        for cell in 0..self.cells.len() {
            for upstream in self.upstream(cell) {
                downstream[upstream].push(cell);
            }
        }
        downstream
    }

    /// What the key of `cell` is made of, given the digest of every upstream output, and the
    /// content of the local path for kind `file`.
    pub fn key_parts(
        &self,
        cell: usize,
        digest: impl Fn(&Source) -> Result<Digest>,
        content: Option<Digest>,
    ) -> Result<KeyParts> {
        let cell = &self.cells[cell];
        let mut inputs = BTreeMap::new();
        for (slot, sources) in &cell.inputs {
            let part = |source: &Source| {
                Ok::<_, Error>(InputPart { digest: digest(source)?, from: source.from.clone() })
            };
            inputs.insert(slot.clone(), sources.iter().map(part).collect::<Result<Vec<_>>>()?);
        }
        let axes =
            if cell.kind.free_axes { cell.id.coordinates.clone() } else { Default::default() };
        let value = |name: &String| (name.clone(), std::env::var(name).ok());
        Ok(KeyParts {
            kind: cell.kind.name.to_owned(),
            version: cell.kind.version,
            parameters: cell.key_parameters.clone(),
            inputs,
            seed: cell.seed,
            axes,
            environment: cell.stage.environment().iter().map(value).collect(),
            content,
        })
    }
}
