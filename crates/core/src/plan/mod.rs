//! From a pipeline to cells, and from cells to what has to run.
//!
//! A [`Plan`] is a petgraph graph of cells: all of petgraph's algorithms work on [`Plan::graph`].
//!
//! ```
//! use sconce_core::{Kinds, LoadOptions, load};
//!
//! let folder = tempfile::tempdir()?;
//! let file = folder.path().join("study.toml");
//! std::fs::write(
//!     &file,
//!     r#"
//!     [stage.numbers]
//!     kind = "command"
//!     run = "seq $n > numbers"
//!     outputs = ["numbers"]
//!     matrix.n = [10, 20]
//!
//!     [stage.sums]
//!     kind = "command"
//!     run = "paste -sd+ numbers/numbers | bc > sum"
//!     inputs = ["numbers"]
//!     outputs = ["sum"]
//!     "#,
//! )?;
//! let plan = load(&LoadOptions::file(&file), &Kinds::new([sconce_core::kinds::KINDS])?)?;
//! let names: Vec<String> = plan.cells().map(|(_, cell)| cell.id.to_string()).collect();
//! assert_eq!(names, ["numbers[n=10]", "numbers[n=20]", "sums[n=10]", "sums[n=20]"]);
//! let last = plan.select("sums[n=20]")?[0];
//! assert_eq!(plan[plan.upstream(last)[0]].id.to_string(), "numbers[n=20]");
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```

mod assess;
pub(crate) mod edge;
pub(crate) mod expand;
mod graph;
mod known;
mod load;
pub(crate) mod parameters;
mod reason;
mod references;
mod resources;
mod select;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

pub use assess::{State, assess, assess_cell, output_digest};
pub use graph::{CellGraph, CellIndex, PerCell};
pub use known::{Known, known};
pub use load::{DeviceClasses, LoadOptions, load, load_resolved};
pub use reason::{Reason, explain};
pub use select::Selection;

use crate::key::{self, InputPart, KeyParts};
use crate::{AnyStage, CellId, DeviceChoice, DeviceClass, Digest, Kind, Output, Resources, Result};

/// A pipeline, expanded into cells.
pub struct Plan {
    /// The pipeline's name.
    pub pipeline: String,
    /// What it is about.
    pub description: String,
    /// The folder of the pipeline file; local paths start there.
    pub folder: PathBuf,
    /// Names of the stages in the order of the file.
    pub stages: Vec<String>,
    /// The cells and who reads whom. Upstream cells have smaller indices than those that read
    /// them, and the cells of a stage follow one another.
    pub graph: CellGraph,
    /// Where the cells of each stage lie.
    places: Places,
}

/// Where the cells of each stage lie.
pub(crate) type Places = BTreeMap<String, Range<usize>>;

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
    pub key_parameters: Arc<key::Parameters>,
    /// The seed, for kinds whose result depends on it.
    pub seed: Option<u64>,
    /// What the cell needs, with the pipeline file's overrides.
    pub resources: Resources,
    /// The class of devices that its key names, where keys do that ([`LoadOptions::strict_device`]).
    pub device_class: Option<DeviceClass>,
    /// What it yields.
    pub outputs: Vec<Output>,
}

/// An edge of the graph: one artifact that a cell reads from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The slot that takes it: `slot`, or `slot.name` for named inputs.
    pub slot: Arc<str>,
    /// The output's name.
    pub output: Cow<'static, str>,
    /// For gathering inputs: the stage and the place along the gathered axes.
    pub from: Option<CellId>,
}

impl Plan {
    /// What the key of `cell` is made of, given the digest of every upstream output, and the
    /// content of the local path for kind `file`.
    pub fn key_parts(
        &self,
        cell: CellIndex,
        digest: impl Fn(CellIndex, &Source) -> Result<Digest>,
        content: Option<Digest>,
    ) -> Result<KeyParts> {
        let mut inputs: BTreeMap<String, Vec<InputPart>> = BTreeMap::new();
        for (upstream, source) in self.sources(cell) {
            let part = InputPart { digest: digest(upstream, source)?, from: source.from.clone() };
            inputs.entry(source.slot.to_string()).or_default().push(part);
        }
        let cell = &self[cell];
        let axes =
            if cell.kind.free_axes { cell.id.coordinates.clone() } else { Default::default() };
        let value = |name: &String| (name.clone(), std::env::var(name).ok());
        Ok(KeyParts {
            recipe: key::RECIPE,
            kind: cell.kind.name.to_owned(),
            version: cell.kind.version,
            parameters: cell.key_parameters.differing.clone(),
            defaults: cell.key_parameters.defaults.clone(),
            inputs,
            seed: cell.seed,
            axes,
            environment: cell.stage.environment().iter().map(value).collect(),
            content,
            device: cell.device_class,
        })
    }

    /// Has the class of its device in the key of each cell that can compute on an accelerator: results of different classes are
    /// then different results.
    fn name_device_classes(&mut self, classes: DeviceClasses) {
        for cell in self.graph.node_weights_mut().filter(|cell| cell.resources.gpu) {
            cell.device_class = Some(match cell.resources.device {
                DeviceChoice::Usual => classes.usual,
                DeviceChoice::Auto => classes.auto,
                DeviceChoice::Cpu => DeviceClass::Cpu,
                DeviceChoice::Cuda(_) => DeviceClass::Cuda,
                DeviceChoice::Metal(_) => DeviceClass::Metal,
            });
        }
    }
}
