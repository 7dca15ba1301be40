//! Private folders of living processes.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::locks::{self, Busy};
use super::{Count, Store};
use crate::error::IoResultExt;
use crate::system::files::{self, Identity};
use crate::{Digest, Result};

/// A private folder on the store's file system, removed when dropped. An OS lock tells others
/// that its process lives; what a killed process leaves is removed by the next one.
#[derive(Debug)]
pub struct Scratch {
    folder: PathBuf,
    lock_path: PathBuf,
    _lock: File,
    _busy: Option<Busy>,
}

impl Scratch {
    /// The folder. It exists and was empty.
    pub fn path(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed now is stale for the next process.
        let _ = remove_tree(&self.folder);
        let _ = std::fs::remove_file(&self.lock_path);
    }
}

impl Store {
    /// A fresh private folder for computing `key`.
    pub fn scratch(&self, key: &Digest) -> Result<Scratch> {
        let root = self.root().join("scratch");
        create(&root, &key.hex()[..16], Some(&self.inner.busy))
    }
}

/// Makes a scratch folder below `root`.
pub(super) fn create(
    root: &Path,
    prefix: &str,
    busy: Option<&Arc<AtomicUsize>>,
) -> Result<Scratch> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    loop {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = root.join(format!("{prefix}-{}-{number}", std::process::id()));
        let lock_path = root.join(format!("{prefix}-{}-{number}.lock", std::process::id()));
        let lock = locks::open(&lock_path)?;
        // Not free: a process of the same number in another container. Not linked any more:
        // between its making and its lock another process took it for a stale one.
        if !locks::try_lock(&lock, &lock_path)? || !is_at(&lock, &lock_path) {
            continue;
        }
        match std::fs::create_dir(&folder) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
            other => other.at(&folder)?,
        }
        return Ok(Scratch { folder, lock_path, _lock: lock, _busy: busy.map(Busy::new) });
    }
}

/// Whether `path` still names the open file.
pub(super) fn is_at(file: &File, path: &Path) -> bool {
    let (open, named) = (Identity::of(file), Identity::at(path));
    open.is_ok_and(|open| named.is_ok_and(|named| open.is(&named)))
}

/// Removes scratch folders whose process is dead, or with `remove` false only counts them: how
/// many, and their size in bytes. What cannot be removed stays for the next time.
pub(super) fn remove_stale(root: &Path, remove: bool) -> Count {
    let mut count = Count::default();
    for entry in std::fs::read_dir(root).into_iter().flatten().flatten() {
        let Some((folder, _lock)) = stale(&entry.path()) else {
            continue;
        };
        count.number += 1;
        count.size += super::usage::size_below(&folder);
        if remove {
            let gone = remove_tree(&folder);
            if gone.is_ok() || !folder.exists() {
                let _ = std::fs::remove_file(lock_of(&folder));
            }
        }
    }
    count
}

/// Removes a file, or a folder with all below it, read-only folders too. What is not there is
/// gone.
pub(super) fn remove_tree(path: &Path) -> std::io::Result<()> {
    let gone = match std::fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => std::fs::remove_dir_all(path).or_else(|error| {
            if error.kind() != ErrorKind::PermissionDenied {
                return Err(error);
            }
            files::open_up(path)?;
            std::fs::remove_dir_all(path)
        }),
        Ok(_) => std::fs::remove_file(path),
        Err(error) => Err(error),
    };
    match gone {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn lock_of(folder: &Path) -> PathBuf {
    let mut name = folder.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}

/// The scratch folder that an entry stands for, if its process is dead; with its lock, which
/// keeps others out while the folder is removed.
fn stale(path: &Path) -> Option<(PathBuf, Option<File>)> {
    if path.extension().is_some_and(|ext| ext == "lock") {
        let file = File::options().read(true).write(true).open(path).ok()?;
        if !locks::try_lock(&file, path).ok()? {
            return None;
        }
        return Some((path.with_extension(""), Some(file)));
    }
    // Owners make the lock first and remove it last.
    (!lock_of(path).exists()).then(|| (path.to_owned(), None))
}
