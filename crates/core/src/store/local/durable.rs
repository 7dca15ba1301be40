//! Files that are whole on the disk before they have their name.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::Path;

use super::Store;
use crate::Result;
use crate::error::IoResultExt;
use crate::system::files;

impl Store {
    /// Makes `path` hold `bytes`, at once and for good: synced, renamed, and the folder synced, unless
    /// someone else does that.
    pub(super) fn write(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        let temporary = self.temporary()?;
        if self.deferred {
            std::fs::write(&temporary, bytes).at(&temporary)?;
            return self.rename(&temporary, path);
        }
        write_new(&temporary, bytes)?;
        self.rename(&temporary, path)?;
        path.parent().map_or(Ok(()), sync_folder)
    }

    /// Makes `path` hold `bytes` at once, without waiting for the disk: for caches that can tell
    /// a torn file. A store that cannot be written goes without.
    pub(super) fn write_cache(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        if !self.inner.writable {
            return Ok(());
        }
        let temporary = self.temporary()?;
        std::fs::write(&temporary, bytes).at(&temporary)?;
        self.rename(&temporary, path)
    }

    /// Renames a file into its place. Makes the folder where it is missing, and moves what is no
    /// file, or no folder, out of the way.
    pub(super) fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        let blocked = [
            ErrorKind::NotFound,
            ErrorKind::NotADirectory,
            ErrorKind::IsADirectory,
            ErrorKind::DirectoryNotEmpty,
        ];
        match files::rename(from, to) {
            // Windows has another error for a folder.
            Err(error) if blocked.contains(&error.kind()) || to.is_dir() => {
                self.clear_folders(to)?;
                if to.is_dir() {
                    self.quarantine(None, to, "is a folder, and no file")?;
                }
                match to.parent() {
                    Some(folder) if self.deferred => std::fs::create_dir_all(folder).at(folder)?,
                    Some(folder) => create_folder(folder)?,
                    None => {}
                }
                files::rename(from, to).at(to)
            }
            other => other.at(to),
        }
    }
}

/// Writes a file under a temporary name and waits until it is on the disk.
pub(super) fn write_new(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).open(path).at(path)?;
    file.write_all(bytes).at(path)?;
    file.sync_all().at(path)
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
    files::sync_folder(folder).at(folder)
}
