//! What a cell computes on its way of others that wait.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::error::IoResultExt;
use crate::system::files;
use crate::{Artifact, DeviceClass, Digest, Files, Out, Result, Stage};

/// What folders begin with that hold all outputs of a cell.
const WHOLE: &str = "whole";

/// A cell that waits for its turn until this one is over, and differs from it only in parameters of
/// [`Stage::TOGETHER`]. Outputs that are written here become its own, if all are there then; its stage is not run.
///
/// What goes wrong here is no error of the cell that runs: it drops the sibling, which is computed by itself.
pub struct Sibling<S> {
    stage: S,
    /// The sibling's checkpoint.
    checkpoint: PathBuf,
    /// Of the cell that writes.
    class: DeviceClass,
}

impl<S: Stage> Sibling<S> {
    pub(crate) fn new(stage: S, checkpoint: PathBuf, class: DeviceClass) -> Self {
        Self { stage, checkpoint, class }
    }

    /// Its parameters.
    pub fn stage(&self) -> &S {
        &self.stage
    }

    /// The folder of an output, empty at first.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn folder<T: Artifact>(&self, output: Out<S, T>) -> Result<PathBuf> {
        let folder = self.temporary().join(output.name());
        std::fs::create_dir_all(&folder).at(&folder)?;
        Ok(folder)
    }

    /// All outputs are written.
    ///
    /// # Errors
    /// When they cannot be read or moved.
    pub fn finish(self) -> Result<()> {
        let temporary = self.temporary();
        let digest = Files::from_folder(&temporary)?.digest();
        let whole = self.checkpoint.join(name(self.class, digest));
        // Another process may have written the same.
        if !whole.exists() {
            files::rename(&temporary, &whole).at(&whole)?;
        }
        Ok(())
    }

    /// No other process writes there.
    fn temporary(&self) -> PathBuf {
        self.checkpoint.join(format!("part.{}", std::process::id()))
    }
}

impl<S> Drop for Sibling<S> {
    fn drop(&mut self) {
        let part = self.checkpoint.join(format!("part.{}", std::process::id()));
        let _ = std::fs::remove_dir_all(part);
        // Where nothing is in it.
        let _ = std::fs::remove_dir(&self.checkpoint);
    }
}

impl<S> fmt::Debug for Sibling<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sibling").field("checkpoint", &self.checkpoint).finish_non_exhaustive()
    }
}

fn name(class: DeviceClass, digest: Digest) -> String {
    format!("{WHOLE}.{class}.{}", digest.hex())
}

/// Moves outputs that a sibling wrote, on a device of this class, to `outputs`, which does not exist. Whether there were any
/// whose bytes are what was written: a crash of the system may have lost some.
pub(crate) fn take(checkpoint: &Path, class: DeviceClass, outputs: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(checkpoint) else { return false };
    let prefix = format!("{WHOLE}.{class}.");
    for entry in entries.flatten() {
        if !entry.file_name().to_string_lossy().starts_with(&prefix) {
            continue;
        }
        let whole = entry.path();
        let is_right = Files::from_folder(&whole)
            .is_ok_and(|found| entry.file_name().to_str() == Some(&name(class, found.digest())));
        if is_right && files::rename(&whole, outputs).is_ok() {
            return true;
        }
        let _ = std::fs::remove_dir_all(&whole);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_outputs_of_the_class_are_taken() {
        let folder = tempfile::tempdir().unwrap();
        let (checkpoint, outputs) = (folder.path().join("checkpoint"), folder.path().join("out"));
        let make = |text: &str| {
            let part = checkpoint.join("part.7/number");
            std::fs::create_dir_all(&part).unwrap();
            std::fs::write(part.join("number"), text).unwrap();
            let digest = Files::from_folder(&checkpoint.join("part.7")).unwrap().digest();
            let whole = checkpoint.join(name(DeviceClass::Cpu, digest));
            std::fs::rename(checkpoint.join("part.7"), &whole).unwrap();
            whole
        };
        assert!(!take(&checkpoint, DeviceClass::Cpu, &outputs));
        let cut = make("seven");
        std::fs::write(cut.join("number/number"), "sev").unwrap();
        assert!(!take(&checkpoint, DeviceClass::Cpu, &outputs));
        assert!(!cut.exists() && !outputs.exists());
        let whole = make("seven");
        assert!(!take(&checkpoint, DeviceClass::Cuda, &outputs));
        assert!(take(&checkpoint, DeviceClass::Cpu, &outputs));
        assert!(!whole.exists());
        assert_eq!(std::fs::read_to_string(outputs.join("number/number")).unwrap(), "seven");
    }
}
