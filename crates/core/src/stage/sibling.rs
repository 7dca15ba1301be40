//! What a cell computes on its way of others that wait.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::error::IoResultExt;
use crate::system::files;
use crate::{Artifact, DeviceClass, Digest, Files, Out, Output, Result, Stage};

/// What folders begin with that hold all outputs of a cell.
const WHOLE: &str = "whole";

/// A cell that waits for its turn until this one is over, and differs from it only in parameters of
/// [`Stage::TOGETHER`]. Outputs that are written here become its own, if all are there then; its stage is not run, so that it
/// tells no metrics, notes or points.
///
/// What goes wrong here is no error of the cell that runs: it drops the sibling, which is computed by itself.
pub struct Sibling<S> {
    stage: S,
    /// The sibling's checkpoint.
    checkpoint: PathBuf,
    /// Of the cell that writes.
    class: DeviceClass,
    /// Where it writes; nobody else does.
    part: OnceLock<PathBuf>,
}

impl<S: Stage> Sibling<S> {
    pub(crate) fn new(stage: S, checkpoint: PathBuf, class: DeviceClass) -> Self {
        Self { stage, checkpoint, class, part: OnceLock::new() }
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
        let part = match self.part.get() {
            Some(part) => part,
            None => {
                let part = make_part(&self.checkpoint)?;
                self.part.get_or_init(|| part)
            }
        };
        let folder = part.join(output.name());
        std::fs::create_dir_all(&folder).at(&folder)?;
        Ok(folder)
    }

    /// All outputs are written.
    ///
    /// # Errors
    /// When they cannot be read or moved.
    pub fn finish(self) -> Result<()> {
        let Some(temporary) = self.part.get() else { return Ok(()) };
        let digest = Files::from_folder(temporary)?.digest();
        let whole = self.checkpoint.join(name(self.class, digest));
        // Another process may have written the same.
        if !whole.exists() {
            files::rename(temporary, &whole).at(&whole)?;
        }
        Ok(())
    }
}

impl<S> Drop for Sibling<S> {
    fn drop(&mut self) {
        if let Some(part) = self.part.get() {
            let _ = std::fs::remove_dir_all(part);
            // Where nothing is in it.
            let _ = std::fs::remove_dir(&self.checkpoint);
        }
    }
}

/// A new folder. Another machine or container may have a process of the same number.
fn make_part(checkpoint: &Path) -> Result<PathBuf> {
    std::fs::create_dir_all(checkpoint).at(checkpoint)?;
    loop {
        let name = format!("part.{}.{}", std::process::id(), crate::system::nanoseconds());
        let part = checkpoint.join(name);
        match std::fs::create_dir(&part) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            made => return made.at(&part).map(|()| part),
        }
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

/// Whether a sibling wrote the outputs of the cell with this checkpoint.
pub(crate) fn is_there(checkpoint: &Path) -> bool {
    let is_whole = |name: &OsStr| name.to_string_lossy().starts_with(WHOLE);
    std::fs::read_dir(checkpoint)
        .is_ok_and(|mut entries| entries.any(|entry| entry.is_ok_and(|e| is_whole(&e.file_name()))))
}

/// Moves `outputs` that a sibling wrote, on a device of this class, to `root`, which does not exist. Whether all were there
/// with the bytes that were written: a crash of the system may have lost some.
pub(crate) fn take(checkpoint: &Path, class: DeviceClass, outputs: &[Output], root: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(checkpoint) else { return false };
    let prefix = format!("{WHOLE}.{class}.");
    for entry in entries.flatten() {
        if !entry.file_name().to_string_lossy().starts_with(&prefix) {
            continue;
        }
        let whole = entry.path();
        let has_all = |found: &Files| {
            let has = |output: &Output| {
                let folder = format!("{}/", output.name);
                found.iter().any(|(name, ..)| name.starts_with(&folder))
            };
            outputs.iter().all(has)
        };
        let is_right = Files::from_folder(&whole).is_ok_and(|found| {
            entry.file_name().to_str() == Some(&name(class, found.digest())) && has_all(&found)
        });
        if is_right && files::rename(&whole, root).is_ok() {
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
        let output = |name| Output::of::<crate::Folder>(name, "A number as text.");
        let take_number = |class| take(&checkpoint, class, &[output("number")], &outputs);
        assert!(!take_number(DeviceClass::Cpu));
        let cut = make("seven");
        std::fs::write(cut.join("number/number"), "sev").unwrap();
        assert!(!take_number(DeviceClass::Cpu));
        assert!(!cut.exists() && !outputs.exists());
        make("six");
        assert!(!take(
            &checkpoint,
            DeviceClass::Cpu,
            &[output("number"), output("clock")],
            &outputs
        ));
        let whole = make("seven");
        assert!(is_there(&checkpoint));
        assert!(!take_number(DeviceClass::Cuda));
        assert!(take_number(DeviceClass::Cpu));
        assert!(!whole.exists() && !is_there(&checkpoint));
        assert_eq!(std::fs::read_to_string(outputs.join("number/number")).unwrap(), "seven");
    }
}
