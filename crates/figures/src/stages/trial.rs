//! Runs a kind on artifacts in folders, as the engine runs it.

use std::collections::BTreeMap;
use std::path::Path;

use sconce_core::{Artifact, Context, Coordinates, Files, Output, Result};
use sconce_data::Figure;
use serde_json::Value;

use super::KINDS;

/// A stage with its inputs.
pub(super) struct Cell {
    folder: tempfile::TempDir,
    pub(super) parameters: Value,
    pub(super) inputs: Vec<(String, String, Coordinates, Files)>,
}

impl Cell {
    pub(super) fn new(parameters: Value) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), parameters, inputs: Vec::new() }
    }

    /// Adds an artifact to `slot`, from `stage` at `coordinates`.
    pub(super) fn with<T: Artifact>(
        mut self,
        slot: &str,
        stage: &str,
        coordinates: Value,
        artifact: &T,
    ) -> Self {
        let place = self.folder.path().join(format!("in-{slot}-{stage}-{}", self.inputs.len()));
        std::fs::create_dir(&place).unwrap();
        artifact.save(&place).unwrap();
        let axes = coordinates.as_object().cloned().unwrap_or_default();
        let coordinates = axes.into_iter().collect();
        self.inputs.push((
            slot.to_owned(),
            stage.to_owned(),
            coordinates,
            Files::from_folder(&place).unwrap(),
        ));
        self
    }

    pub(super) fn run(&self, kind: &str) -> Result<BTreeMap<String, Files>> {
        let kind = KINDS.iter().find(|row| row.name == kind).expect("the kind is registered");
        let stage = kind.from_json(self.parameters.clone())?;
        stage.check()?;
        let mut ctx = Context::in_folder(self.folder.path(), kind.outputs)?;
        for (slot, stage, coordinates, files) in &self.inputs {
            ctx = ctx.with_gathered(slot, stage, coordinates.clone(), files.clone());
        }
        stage.run(&ctx)?;
        let read = |output: &Output| {
            let name = output.name.to_string();
            let place = self.folder.path().join("out").join(&name);
            Ok((name, Files::from_folder(&place)?))
        };
        kind.outputs.iter().map(read).collect()
    }

    pub(super) fn figure(&self, kind: &str) -> Figure {
        let outputs = self.run(kind).unwrap_or_else(|error| panic!("{kind}: {error}"));
        let figure = Figure::load(&outputs["figure"]).unwrap();
        keep(kind, &figure);
        figure
    }

    pub(super) fn error(&self, kind: &str) -> String {
        self.run(kind).expect_err("the stage fails").to_string()
    }
}

/// Leaves the files in the folder that `SCONCE_TEST_PICTURES` names, to be looked at.
fn keep(kind: &str, figure: &Figure) {
    if let Some(folder) = std::env::var_os("SCONCE_TEST_PICTURES") {
        for (name, bytes) in &figure.files {
            std::fs::write(Path::new(&folder).join(format!("kind-{kind}-{name}")), bytes).unwrap();
        }
    }
}
