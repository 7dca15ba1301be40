//! OS locks: they die with their process.

use std::fs::{File, OpenOptions};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Store;
use crate::error::IoResultExt;
use crate::system::locks;
use crate::{Digest, Result};

/// The right to compute one key: no other process or thread has it. Dropping it gives it back.
#[derive(Debug)]
pub struct KeyLock {
    _file: File,
    _busy: Busy,
}

/// Counts what keeps `gc` of the same process out.
#[derive(Debug)]
pub(super) struct Busy(Arc<AtomicUsize>);

impl Busy {
    pub(super) fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Store {
    /// Waits until no one else computes `key`. Look for the receipt again afterwards: the other
    /// one has probably put it.
    pub fn lock_key(&self, key: &Digest) -> Result<KeyLock> {
        let path = self.lock_path(key);
        let file = open(&path)?;
        if !are_off() {
            locks::lock(&file).at(&path)?;
        }
        Ok(self.key_lock(file))
    }

    /// Like [`Store::lock_key`], but none instead of waiting.
    pub fn try_lock_key(&self, key: &Digest) -> Result<Option<KeyLock>> {
        let path = self.lock_path(key);
        let file = open(&path)?;
        Ok((are_off() || try_lock(&file, &path)?).then(|| self.key_lock(file)))
    }

    fn key_lock(&self, file: File) -> KeyLock {
        KeyLock { _file: file, _busy: Busy::new(&self.inner.busy) }
    }

    fn lock_path(&self, key: &Digest) -> std::path::PathBuf {
        self.root().join("locks").join(key.hex())
    }

    /// Waits for the lock of this name; for short work on one file.
    pub(super) fn lock_name(&self, name: &str) -> Result<File> {
        let path = self.root().join("locks").join(name);
        let file = open(&path)?;
        if !are_off() {
            locks::lock(&file).at(&path)?;
        }
        Ok(file)
    }
}

/// Whether the locks of keys and names keep nobody out, for the test that results are right without them.
#[cfg(not(test))]
pub(crate) const fn are_off() -> bool {
    false
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test tells this to the process that it starts")]
pub(crate) fn are_off() -> bool {
    std::env::var_os("SCONCE_TEST_LOCKS").is_some()
}

/// Opens a lock file, and makes it where it is missing. In a store that cannot be written, one
/// that is there can still be read and shared.
pub(super) fn open(path: &Path) -> Result<File> {
    let open = || OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
    match open() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder).at(folder)?;
            }
            open().at(path)
        }
        Err(error) => File::open(path).map_err(|_| error).at(path),
        file => file.at(path),
    }
}

/// Whether the lock was free and is ours now.
pub(super) fn try_lock(file: &File, path: &Path) -> Result<bool> {
    locks::try_lock(file).at(path)
}

/// Whether nobody has the lock for itself alone, and it is shared now.
pub(super) fn try_lock_shared(file: &File, path: &Path) -> Result<bool> {
    locks::try_lock_shared(file).at(path)
}
