//! Locks on open files, which end with their process, however that ends.
//!
//! They are for those who ask for them: a file can be read and written while another process has its lock. Windows would refuse that
//! of a file that is locked as a whole, so there one byte far behind the end of any file stands for it.

#[cfg(windows)]
pub use super::windows::{lock, lock_shared, try_lock, try_lock_shared, unlock};
#[cfg(not(windows))]
pub use whole::{lock, lock_shared, try_lock, try_lock_shared, unlock};

#[cfg(not(windows))]
mod whole {
    use std::fs::{File, TryLockError};
    use std::io::Result;

    /// Waits until nobody else has a lock on the file. It has to be open for reading or writing, and not for appending alone.
    pub fn lock(file: &File) -> Result<()> {
        file.lock()
    }

    /// Waits until nobody has the lock for itself alone.
    pub fn lock_shared(file: &File) -> Result<()> {
        file.lock_shared()
    }

    /// Whether nobody else had a lock, and this file has it now.
    pub fn try_lock(file: &File) -> Result<bool> {
        taken(file.try_lock())
    }

    /// Whether nobody had the lock for itself alone, and this file shares it now.
    pub fn try_lock_shared(file: &File) -> Result<bool> {
        taken(file.try_lock_shared())
    }

    /// Gives the lock back, as dropping the file does.
    pub fn unlock(file: &File) -> Result<()> {
        file.unlock()
    }

    fn taken(answer: std::result::Result<(), TryLockError>) -> Result<bool> {
        match answer {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;

    use super::*;

    #[test]
    fn a_lock_keeps_locks_out_and_no_reader() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        std::fs::write(&path, "text").unwrap();
        let open = || OpenOptions::new().read(true).append(true).open(&path).unwrap();
        let (one, other) = (open(), open());
        assert!(try_lock(&one).unwrap());
        assert!(!try_lock(&other).unwrap() && !try_lock_shared(&other).unwrap());
        assert_eq!(std::fs::read(&path).unwrap(), b"text");
        std::fs::write(&path, "new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        unlock(&one).unwrap();
        lock_shared(&one).unwrap();
        assert!(try_lock_shared(&other).unwrap() && !try_lock(&open()).unwrap());
        drop((one, other));
        lock(&open()).unwrap();
    }
}
