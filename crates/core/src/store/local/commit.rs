//! Bringing content in: files become blobs, a folder becomes a tree.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use super::blobs::{Look, Mark, set_mark};
use super::walk::{self, Stat};
use super::{Store, durable, hash, manifest, parallel};
use crate::error::IoResultExt;
use crate::store::OutputRecord;
use crate::system::files::{self, Identity};
use crate::{Digest, Error, Member, Result};

/// From so many blobs on, one wait for the whole file system, with all that other programs have
/// not written yet, is quicker than one for each file (about 0.25 to 1 ms).
const MANY: usize = if cfg!(test) { 50 } else { 1024 };

/// Trees up to so many bytes and files may become durable later, together with others. Larger files are
/// not waited for together, and may be linked elsewhere, where their times count.
const SMALL: u64 = 1 << 20;
const FEW: usize = 64;

/// A tree that is in the store now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Imported {
    /// Digest of the tree.
    pub digest: Digest,
    /// Sum of the files' sizes in bytes.
    pub size: u64,
    /// Number of files.
    pub files: usize,
}

impl Imported {
    /// The line of the receipt for an output of this artifact type.
    pub fn record(&self, artifact: impl Into<String>, volatile: bool) -> OutputRecord {
        OutputRecord {
            artifact: artifact.into(),
            digest: self.digest,
            size: self.size,
            files: self.files,
            volatile,
        }
    }
}

/// A file with verified bytes that becomes a blob.
pub(super) struct Staged {
    pub(super) digest: Digest,
    pub(super) path: PathBuf,
    /// Whether it is read-only and marked already.
    pub(super) sealed: bool,
}

impl Store {
    /// Brings the files below `folder` in. Files that the process owns, on the store's file
    /// system and under one name only, are moved; others are copied. Blobs that are there stay.
    /// Empty folders and permissions are not kept.
    ///
    /// # Errors
    /// Symbolic links, devices and names that are not UTF-8 are refused, with their path.
    pub fn import(&self, folder: &Path) -> Result<Imported> {
        let files = walk::walk(folder, walk::Links::Refuse, |_, _| false)?.files;
        let size: u64 = files.iter().map(|(_, stat)| stat.size).sum();
        let later = self.deferred && files.len() <= FEW && size <= SMALL;
        let mark = if later { Mark::Pending } else { Mark::Durable };
        let stage = |(name, _): &(String, Stat)| self.stage(&folder.join(name), mark);
        let staged: Result<Vec<_>> =
            parallel::map(parallel::FILES, &files, stage).into_iter().collect();
        let mut members = Vec::with_capacity(files.len());
        let mut fresh = Vec::new();
        for ((name, _), (member, staged)) in files.into_iter().zip(staged?) {
            members.push((name, member));
            fresh.extend(staged);
        }
        self.publish(fresh, mark)?;
        self.put_tree(&members, mark)
    }

    /// Writes the manifest of a tree whose blobs are there.
    pub(super) fn put_tree(&self, members: &[(String, Member)], mark: Mark) -> Result<Imported> {
        let text = manifest::encode(members.iter().map(|(name, member)| (name, member)));
        let digest = Digest::of(&text);
        let size = text.len() as u64;
        if !self.holds(&Member { digest, size })? {
            let path = self.temporary()?;
            std::fs::write(&path, &text).at(&path)?;
            self.publish(vec![Staged { digest, path, sealed: false }], mark)?;
        }
        Ok(Imported {
            digest,
            size: members.iter().map(|(_, member)| member.size).sum(),
            files: members.len(),
        })
    }

    /// Hashes a file of an output, and makes it ready to be moved in unless its blob is there.
    fn stage(&self, path: &Path, mark: Mark) -> Result<(Member, Option<Staged>)> {
        let file = File::open(path).at(path)?;
        let before = file.metadata().at(path)?;
        let (digest, size) = hash::of_file(&file).at(path)?;
        let after = file.metadata().at(path)?;
        if Stat::of(&before) != Stat::of(&after) || after.len() != size {
            return Err(changed(path));
        }
        let member = Member { digest, size };
        if self.holds(&member)? {
            return Ok((member, None));
        }
        let sealed = self.can_move(&file) && seal(&file, mark, &digest).is_ok();
        let path = if sealed { path.to_owned() } else { self.copy_in(path, &digest)? };
        Ok((member, Some(Staged { digest, path, sealed })))
    }

    /// Copies a file to a temporary place of the store, by reflink where there is one.
    ///
    /// # Errors
    /// The bytes do not have `digest` (any more).
    pub(super) fn copy_in(&self, from: &Path, digest: &Digest) -> Result<PathBuf> {
        let to = self.temporary()?;
        let found = if self.reflink(from, &to) {
            hash::of_path(&to).at(&to)?.0
        } else {
            let source = File::open(from).at(from)?;
            let mut target = File::create(&to).at(&to)?;
            hash::copy(&source, &mut target).at(from)?.0
        };
        if found != *digest {
            let _ = std::fs::remove_file(&to);
            return Err(changed(from));
        }
        Ok(to)
    }

    /// Whether copies may share blocks, as far as is known.
    pub(super) fn has_reflinks(&self) -> bool {
        !self.inner.no_reflink.load(Ordering::Relaxed)
    }

    /// Tries a copy that shares the blocks. After a failure it is not tried again.
    pub(super) fn reflink(&self, from: &Path, to: &Path) -> bool {
        if !self.has_reflinks() {
            return false;
        }
        let done = reflink_copy::reflink(from, to).is_ok();
        if !done {
            self.inner.no_reflink.store(true, Ordering::Relaxed);
        }
        done
    }

    /// Gives staged files their names: synced, read-only, marked, renamed, folders synced. Those that are
    /// marked as pending are not synced.
    pub(super) fn publish(&self, mut staged: Vec<Staged>, mark: Mark) -> Result<()> {
        staged.sort_unstable_by_key(|one| one.digest);
        staged.dedup_by_key(|one| one.digest);
        let later = mark == Mark::Pending;
        let many = staged.len() >= MANY && !later;
        let prepare = |one: &Staged| -> Result<()> {
            if (many || later) && one.sealed {
                return Ok(());
            }
            let file = File::open(&one.path).at(&one.path)?;
            if !one.sealed {
                seal(&file, mark, &one.digest).at(&one.path)?;
            }
            if many || later { Ok(()) } else { files::sync(&file).at(&one.path) }
        };
        all(parallel::map(parallel::FILES, &staged, prepare))?;
        if many && !self.sync_file_system() {
            let sync = |one: &Staged| {
                File::open(&one.path).and_then(|file| files::sync(&file)).at(&one.path)
            };
            all(parallel::map(parallel::FILES, &staged, sync))?;
        }
        let mut folders = BTreeSet::new();
        for one in &staged {
            let to = self.blob(&one.digest);
            let moved = self.rename(&one.path, &to);
            // Windows does not replace what another process put there and reads.
            if let Err(error) = moved
                && !self.is_there(&one.digest, &to)
            {
                return Err(error);
            }
            folders.extend(to.parent().map(Path::to_owned));
            // Who defers makes folders without a wait.
            if self.deferred {
                folders.insert(self.root().join("blobs"));
            }
        }
        if later || many && self.sync_file_system() {
            return Ok(());
        }
        let folders: Vec<_> = folders.into_iter().collect();
        let sync = |folder: &PathBuf| durable::sync_folder(folder);
        all(parallel::map(parallel::FILES, &folders, sync))
    }

    /// Waits until all of the store's file system is on the disk; false where the system cannot
    /// do that.
    pub(super) fn sync_file_system(&self) -> bool {
        files::sync_file_system(&self.inner.lock)
    }

    fn is_there(&self, digest: &Digest, path: &Path) -> bool {
        let size = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
        matches!(self.look(digest, size), Ok(Look::Unchanged | Look::Pending))
    }

    /// Whether a file can become a blob by a mere rename: it has no other name by which someone
    /// could write to it, and is on the store's file system.
    fn can_move(&self, file: &File) -> bool {
        let device = self.inner.device;
        Identity::of(file).is_ok_and(|found| found.names == 1 && device == Some(found.device))
    }
}

/// The first error, if there is one.
fn all(results: Vec<Result<()>>) -> Result<()> {
    results.into_iter().collect()
}

/// Makes a file read-only and marks it as verified.
fn seal(file: &File, mark: Mark, digest: &Digest) -> std::io::Result<()> {
    files::seal(file)?;
    set_mark(file, mark, digest)
}

pub(super) fn changed(path: &Path) -> Error {
    Error::message(format!("{}: changed while it was read", path.display()))
}
