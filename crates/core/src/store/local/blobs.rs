//! Blobs: looking at them, reading them, checking them.

use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::damage::{Opened, damaged, read_whole};
use super::{Store, durable, hash, manifest, parallel};
use crate::error::IoResultExt;
use crate::mutex::relock;
use crate::system::files;
use crate::{Digest, Error, Files, Member, Result};

/// What a look at a blob's stat tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// As it was when it was last verified.
    Unchanged,
    /// As it was when it was put, but perhaps not on the disk yet ([`Store::deferring`]).
    Pending,
    /// Not there.
    Missing,
    /// Something wrote to it, or its times were lost.
    Changed,
}

/// What the modification time of a blob says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// Its bytes were verified, and are on the disk.
    Durable,
    /// Its bytes were verified, but a loss of power may take them.
    Pending,
}

/// The sub-second part, in nanoseconds, of the modification time of a blob with this digest:
/// never 0, which coarse file systems give, and whole microseconds, which most can hold.
fn nanoseconds(mark: Mark, digest: &Digest) -> u32 {
    const MARKS: u32 = 999_999;
    let [a, b, c, d, ..] = *digest.as_bytes();
    let durable = u32::from_le_bytes([a, b, c, d]) % MARKS;
    let place = match mark {
        Mark::Durable => durable,
        // Half a second away, so never the same.
        Mark::Pending => (durable + MARKS / 2) % MARKS,
    };
    (place + 1) * 1000
}

/// The mark of `digest` that a modification time with this sub-second part carries.
fn mark_of(subsecond: u32, digest: &Digest) -> Option<Mark> {
    let marks = [Mark::Durable, Mark::Pending];
    marks.into_iter().find(|&mark| nanoseconds(mark, digest) == subsecond)
}

/// Marks an open file as verified content of `digest`.
pub(super) fn set_mark(file: &File, mark: Mark, digest: &Digest) -> std::io::Result<()> {
    // The second before this one: programs that see the file must not find it from the future.
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let time = Duration::new(now.as_secs().saturating_sub(1), nanoseconds(mark, digest));
    files::set_modified(file, SystemTime::UNIX_EPOCH + time)
}

/// The mark of `digest` that a file carries.
pub(super) fn mark(metadata: &Metadata, digest: &Digest) -> Option<Mark> {
    let time = metadata.modified().ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    mark_of(time.subsec_nanos(), digest)
}

fn look_at(mark: Option<Mark>) -> Look {
    match mark {
        Some(Mark::Durable) => Look::Unchanged,
        Some(Mark::Pending) => Look::Pending,
        None => Look::Changed,
    }
}

impl Store {
    /// What is in a tree: a file's name, digest and size. The manifest was verified.
    ///
    /// # Errors
    /// [`Error::Damaged`] when the manifest is missing or bad; a bad one was quarantined.
    pub fn tree(&self, tree: &Digest) -> Result<BTreeMap<String, Member>> {
        self.bring_missing(tree)?;
        let mut text = Vec::new();
        self.read_manifest(tree, &mut text)?;
        manifest::decode(&text).ok_or_else(|| damaged(tree, &self.blob(tree)))
    }

    /// The verified content of a tree. Every byte is hashed first, on rayon's pool.
    ///
    /// # Errors
    /// [`Error::Damaged`] when a blob is missing or bad. Bad ones were quarantined; all of them
    /// are told by [`Store::take_damage`].
    pub fn files(&self, tree: &Digest) -> Result<Files> {
        match self.own_files(tree) {
            // What is bad here may be good there.
            Err(Error::Damaged { .. }) if self.bring(tree)? => self.own_files(tree),
            other => other,
        }
    }

    fn own_files(&self, tree: &Digest) -> Result<Files> {
        let members = self.tree(tree)?;
        let members: Vec<_> = members
            .into_iter()
            .map(|(name, member)| {
                let path = self.blob(&member.digest);
                (name, (member, path))
            })
            .collect();
        let verify = |(_, (member, path)): &(String, (Member, PathBuf))| -> Result<bool> {
            self.verify(&member.digest, Some(member.size), path)
        };
        // Look at all before the first bad one is told, so that one rebuild mends all.
        let whole = parallel::map(parallel::FILES, &members, verify);
        for (whole, (_, (member, path))) in whole.into_iter().zip(&members) {
            if !whole? {
                return Err(damaged(&member.digest, path));
            }
        }
        Ok(Files::new(members.into_iter().collect()))
    }

    /// The place of one file of a tree, whose bytes are hashed first; none where the tree has no such file.
    ///
    /// # Errors
    /// [`Error::Damaged`] when the manifest or the file is missing or bad.
    pub fn file(&self, tree: &Digest, name: &str) -> Result<Option<(Member, PathBuf)>> {
        let Some(member) = self.tree(tree)?.remove(name) else { return Ok(None) };
        let path = self.blob(&member.digest);
        match self.verify(&member.digest, Some(member.size), &path)? {
            true => Ok(Some((member, path))),
            false => Err(damaged(&member.digest, &path)),
        }
    }

    /// Reads a manifest whose bytes have the right digest.
    pub(super) fn read_manifest(&self, tree: &Digest, text: &mut Vec<u8>) -> Result<()> {
        let path = self.blob(tree);
        text.clear();
        match self.open_file(Some(tree), &path)? {
            Opened::File(file, metadata) => read_whole(&file, &metadata, text).at(&path)?,
            Opened::Nothing => {
                self.note_missing(tree, &path);
                return Err(damaged(tree, &path));
            }
            Opened::Moved => return Err(damaged(tree, &path)),
        }
        if Digest::of(text) != *tree {
            self.quarantine(Some(tree), &path, "the manifest does not have its digest")?;
            return Err(damaged(tree, &path));
        }
        Ok(())
    }

    /// Hashes a blob: whether it is what its name says. A bad one is quarantined.
    pub(super) fn verify(&self, digest: &Digest, size: Option<u64>, path: &Path) -> Result<bool> {
        let file = match self.open_file(Some(digest), path)? {
            Opened::File(file, _) => file,
            Opened::Nothing => {
                self.note_missing(digest, path);
                return Ok(false);
            }
            Opened::Moved => return Ok(false),
        };
        let (found, length) = hash::of_file(&file).at(path)?;
        if found != *digest || size.is_some_and(|size| size != length) {
            self.quarantine(Some(digest), path, &format!("its bytes have digest {found}"))?;
            return Ok(false);
        }
        match mark(&file.metadata().at(path)?, digest) {
            Some(Mark::Durable) => {}
            Some(Mark::Pending) if self.deferred => _ = relock(&self.inner.pending).insert(*digest),
            Some(Mark::Pending) if self.sync_blob(&file, path).is_err() => {}
            // In a store of another user this fails, and the next look hashes again.
            _ => _ = set_mark(&file, Mark::Durable, digest),
        }
        Ok(true)
    }

    /// Waits until a blob and its name are on the disk.
    fn sync_blob(&self, file: &File, path: &Path) -> Result<()> {
        files::sync(file).at(path)?;
        path.ancestors().skip(1).take(2).try_for_each(durable::sync_folder)
    }

    /// Looks at a blob without reading it: a no-op over large trees is little else.
    pub(super) fn look(&self, digest: &Digest, size: u64) -> Result<Look> {
        let hex = blake3::Hash::from_bytes(*digest.as_bytes()).to_hex();
        match self.inner.blobs.look(&format!("{}/{hex}", &hex[..2])) {
            Ok((found, subsecond)) => {
                let same = (found == size).then_some(subsecond);
                Ok(look_at(same.and_then(|subsecond| mark_of(subsecond, digest))))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Look::Missing),
            // A file where a folder has to be: opening the blob moves it away.
            Err(error) if error.kind() == ErrorKind::NotADirectory => Ok(Look::Changed),
            Err(error) => Err(Error::io(self.blob(digest), error)),
        }
    }

    /// Whether the blob is there and unchanged by its stat, or by its bytes where the stat is off.
    pub(super) fn holds(&self, member: &Member) -> Result<bool> {
        match self.look(&member.digest, member.size)? {
            Look::Unchanged => Ok(true),
            Look::Missing => Ok(false),
            Look::Pending | Look::Changed => {
                let path = self.blob(&member.digest);
                self.verify(&member.digest, Some(member.size), &path)
            }
        }
    }

    /// Like [`Store::holds`] for all of a tree; what is missing is noted.
    pub(super) fn holds_all(&self, members: &[(&str, Member)]) -> Result<bool> {
        let holds = |(_, member): &(&str, Member)| -> Result<bool> {
            match self.look(&member.digest, member.size)? {
                Look::Unchanged => Ok(true),
                _ => {
                    let path = self.blob(&member.digest);
                    self.verify(&member.digest, Some(member.size), &path)
                }
            }
        };
        let results = parallel::map(parallel::STATS, members, holds);
        results.into_iter().try_fold(true, |all, one| Ok(all & one?))
    }
}
