//! What was found bad, and the quarantine.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use super::{Store, durable};
use crate::error::IoResultExt;
use crate::{Digest, Error, Result};

/// Something in the store that was not what its name says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The digest that the content should have; for a receipt, its key.
    pub digest: Digest,
    /// Where it was.
    pub path: PathBuf,
    /// Where it was moved; none when it was missing.
    pub moved_to: Option<PathBuf>,
    /// What is wrong with it, in words.
    pub reason: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.reason)?;
        match &self.moved_to {
            Some(to) => write!(f, "; moved to {}", to.display()),
            None => Ok(()),
        }
    }
}

impl Store {
    /// What was found bad since the last call: moved to the quarantine, to be told to the user.
    pub fn take_damage(&self) -> Vec<Damage> {
        std::mem::take(&mut *relock(&self.inner.damage))
    }

    /// Notes content that is not there.
    pub(super) fn note_missing(&self, digest: &Digest, path: &Path) {
        self.note(Damage {
            digest: *digest,
            path: path.to_owned(),
            moved_to: None,
            reason: "is missing".to_owned(),
        });
    }

    /// Moves a bad file out of the way and notes it.
    pub(super) fn quarantine(&self, digest: &Digest, path: &Path, reason: &str) -> Result<()> {
        let folder = self.root().join("quarantine");
        durable::create_folder(&folder)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let nanos = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |time| time.as_nanos());
        let to = folder.join(format!("{name}.{nanos}"));
        match std::fs::rename(path, &to) {
            Ok(()) => self.note(Damage {
                digest: *digest,
                path: path.to_owned(),
                moved_to: Some(to),
                reason: reason.to_owned(),
            }),
            // Another process was faster.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).at(path),
        }
        Ok(())
    }

    fn note(&self, damage: Damage) {
        relock(&self.inner.damage).push(damage);
    }
}

/// The error for bad content at `path`.
pub(super) fn damaged(digest: &Digest, path: &Path) -> Error {
    Error::Damaged { digest: *digest, path: path.to_owned() }
}

/// Locks a mutex that holds nothing a panic could leave half-done.
pub(super) fn relock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
