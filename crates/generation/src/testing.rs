//! Stages run in tests as the engine runs them.

use sconce_core::{Artifact, Context, Files, Result, Stage};
use serde_json::Value;

/// A stage's outputs after it ran, in a folder that goes with it.
pub(crate) struct Ran(tempfile::TempDir);

impl Ran {
    pub(crate) fn files(&self, output: &str) -> Files {
        Files::from_folder(&self.0.path().join("out").join(output)).unwrap()
    }

    pub(crate) fn load<T: Artifact>(&self, output: &str) -> T {
        T::load(&self.files(output)).unwrap()
    }
}

pub(crate) fn run_seeded<S: Stage>(
    seed: u64,
    parameters: Value,
    inputs: &[(&str, &Files)],
) -> Result<Ran> {
    let stage: S = serde_json::from_value(parameters).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut ctx = Context::in_folder(folder.path(), S::OUTPUTS)?.with_seed(seed);
    for (slot, files) in inputs {
        ctx = ctx.with_input(slot, (*files).clone());
    }
    stage.check()?;
    stage.run(&ctx)?;
    Ok(Ran(folder))
}

/// An artifact's files, and the folder that they are in.
pub(crate) fn saved(artifact: &impl Artifact) -> (tempfile::TempDir, Files) {
    let folder = tempfile::tempdir().unwrap();
    artifact.save(folder.path()).unwrap();
    let files = Files::from_folder(folder.path()).unwrap();
    (folder, files)
}
