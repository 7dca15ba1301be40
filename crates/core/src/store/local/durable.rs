//! Files that are whole on the disk before they have their name.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::Path;

use super::Store;
use crate::Result;
use crate::error::IoResultExt;

impl Store {
    /// Makes `path` hold `bytes`, at once and for good: synced, renamed, and the folder synced.
    pub(super) fn write(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        let temporary = self.temporary()?;
        write_new(&temporary, bytes)?;
        rename(&temporary, path)?;
        path.parent().map_or(Ok(()), sync_folder)
    }

    /// Makes `path` hold `bytes` at once, without waiting for the disk: for caches that can tell
    /// a torn file.
    pub(super) fn write_cache(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        let temporary = self.temporary()?;
        std::fs::write(&temporary, bytes).at(&temporary)?;
        rename(&temporary, path)
    }
}

/// Writes a file under a temporary name and waits until it is on the disk.
pub(super) fn write_new(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).open(path).at(path)?;
    file.write_all(bytes).at(path)?;
    file.sync_all().at(path)
}

/// Renames, and makes the folder of `to` where it is missing.
pub(super) fn rename(from: &Path, to: &Path) -> Result<()> {
    match std::fs::rename(from, to) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            if let Some(folder) = to.parent() {
                create_folder(folder)?;
            }
            std::fs::rename(from, to).at(to)
        }
        other => other.at(to),
    }
}

/// Makes a folder where it is missing, and puts its name on the disk.
pub(super) fn create_folder(folder: &Path) -> Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    std::fs::create_dir_all(folder).at(folder)?;
    folder.parent().map_or(Ok(()), sync_folder)
}

/// Waits until the names in a folder are on the disk.
pub(super) fn sync_folder(folder: &Path) -> Result<()> {
    // Elsewhere a folder cannot be opened as a file, and names are journalled with the rename.
    if cfg!(unix) {
        File::open(folder).and_then(|f| f.sync_all()).at(folder)?;
    }
    Ok(())
}
