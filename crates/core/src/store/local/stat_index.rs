//! Digests of a folder's files by their stat: a cache in one file, read in one go.
//!
//! Layout, little-endian: magic, tree digest, number of entries; for each entry the length of the
//! name (u32), size, mtime, ctime, ino, a flag, digest, name; then the BLAKE3 of all that. A file
//! that is torn or of another version is as none.

use std::path::{Path, PathBuf};

use super::Store;
use super::walk::Stat;
use crate::{Digest, Result};

const MAGIC: &[u8; 16] = b"sconce stats 1\n\0";
const ENTRY: usize = 4 + 4 * 8 + 1 + 32;

/// What is known of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    /// Its stat when it was hashed.
    pub(super) stat: Stat,
    /// Its digest.
    pub(super) digest: Digest,
    /// Whether a later change must show in the stat. It need not while the clock of the file
    /// system has not moved on since the file was written.
    pub(super) settled: bool,
}

/// What is known of a folder: entries sorted by name.
#[derive(Debug)]
pub(super) struct StatIndex<S> {
    /// Digest of the tree.
    pub(super) tree: Digest,
    /// The files.
    pub(super) entries: Vec<(S, Known)>,
}

impl Store {
    /// The index file of a folder, in `stat-index` or `views`.
    pub(super) fn index_path(&self, area: &str, folder: &Path) -> PathBuf {
        let digest = Digest::of(folder.as_os_str().as_encoded_bytes());
        self.root().join(area).join(&digest.hex()[..32])
    }

    /// Reads an index's bytes; empty when there is none.
    pub(super) fn read_index(&self, path: &Path) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.read_file(None, path, &mut bytes)?;
        Ok(bytes)
    }
}

/// The index in `bytes`.
pub(super) fn decode(bytes: &[u8]) -> Option<StatIndex<&str>> {
    let (bytes, sum) = bytes.split_last_chunk::<32>()?;
    if Digest::of(bytes).as_bytes() != sum {
        return None;
    }
    let mut rest = bytes.strip_prefix(MAGIC)?;
    let tree = Digest::from_bytes(take(&mut rest)?);
    let count = usize::try_from(u64::from_le_bytes(take(&mut rest)?)).ok()?;
    let mut entries = Vec::with_capacity(count.min(rest.len() / ENTRY));
    for _ in 0..count {
        let length = u32::from_le_bytes(take(&mut rest)?) as usize;
        let mut number = || Some(u64::from_le_bytes(take(&mut rest)?));
        let stat = Stat {
            size: number()?,
            mtime: number()?.cast_signed(),
            ctime: number()?.cast_signed(),
            ino: number()?,
        };
        let [settled] = take(&mut rest)?;
        let digest = Digest::from_bytes(take(&mut rest)?);
        let (name, after) = rest.split_at_checked(length)?;
        rest = after;
        let settled = settled != 0;
        let known = Known { stat, digest, settled };
        entries.push((std::str::from_utf8(name).ok()?, known));
    }
    rest.is_empty().then_some(StatIndex { tree, entries })
}

/// The bytes of an index.
pub(super) fn encode<'a>(
    tree: &Digest,
    entries: impl ExactSizeIterator<Item = (&'a str, Known)>,
) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(MAGIC.len() + 72 + entries.len() * (ENTRY + 32));
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(tree.as_bytes());
    bytes.extend_from_slice(&(entries.len() as u64).to_le_bytes());
    for (name, known) in entries {
        let Stat { size, mtime, ctime, ino } = known.stat;
        // Names are paths: the system's limit is far below 4 GiB.
        bytes.extend_from_slice(&(name.len() as u32).to_le_bytes());
        for number in [size, mtime.cast_unsigned(), ctime.cast_unsigned(), ino] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.push(known.settled.into());
        bytes.extend_from_slice(known.digest.as_bytes());
        bytes.extend_from_slice(name.as_bytes());
    }
    let sum = Digest::of(&bytes);
    bytes.extend_from_slice(sum.as_bytes());
    bytes
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk::<N>()?;
    *rest = tail;
    Some(*head)
}
