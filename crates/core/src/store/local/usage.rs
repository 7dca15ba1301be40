//! How full the store is, and whether all of it is whole.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;

use super::receipts::parse_hex;
use super::{Damage, Store};
use crate::{Digest, Result};

/// So many things, so large.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// How many.
    pub number: usize,
    /// Bytes.
    pub size: u64,
}

impl Count {
    pub(super) fn add(&mut self, size: u64) {
        self.number += 1;
        self.size += size;
    }
}

/// What is in the store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Content: files and manifests.
    pub blobs: Count,
    /// Receipts of finished cells.
    pub receipts: Count,
    /// Checkpoints of cells, finished or not.
    pub checkpoints: Count,
    /// Journals: what cells told while they ran.
    pub journals: Count,
    /// Scratch folders left by processes that died.
    pub scratch: Count,
    /// Logs.
    pub logs: Count,
    /// Damaged content that was moved away.
    pub quarantine: Count,
}

impl Usage {
    /// Bytes of all.
    pub fn size(&self) -> u64 {
        let counts = [
            self.blobs,
            self.receipts,
            self.checkpoints,
            self.journals,
            self.scratch,
            self.logs,
            self.quarantine,
        ];
        counts.iter().map(|count| count.size).sum()
    }
}

/// What [`Store::check`] found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// Blobs that were hashed.
    pub blobs: Count,
    /// Receipts that were read.
    pub receipts: usize,
    /// What was bad, and went to the quarantine.
    pub damage: Vec<Damage>,
}

impl Store {
    /// Counts what is in the store.
    pub fn usage(&self) -> Result<Usage> {
        let mut usage = Usage::default();
        for (area, count) in [("blobs", &mut usage.blobs), ("receipts", &mut usage.receipts)] {
            self.each_named(area, |_, path| {
                count.add(path.symlink_metadata().map_or(0, |metadata| metadata.len()));
            })?;
        }
        for (area, count) in
            [("checkpoints", &mut usage.checkpoints), ("quarantine", &mut usage.quarantine)]
        {
            let folder = self.root().join(area);
            for name in super::walk::names(&folder)? {
                count.add(size_below(&folder.join(name)));
            }
        }
        for (_, (size, _)) in self.journals()? {
            usage.journals.add(size);
        }
        usage.logs = Count {
            number: files_below(&self.root().join("logs")).len(),
            size: size_below(&self.root().join("logs")),
        };
        usage.scratch = super::scratch::remove_stale(&self.root().join("scratch"), false);
        Ok(usage)
    }

    /// Hashes every blob and reads every receipt; what is bad goes to the quarantine. `progress`
    /// is called from several threads with the bytes done so far and all bytes.
    pub fn check(&self, progress: impl Fn(u64, u64) + Sync) -> Result<CheckReport> {
        // Damage that is noted already stays noted: it is not this check's.
        let earlier = self.take_damage();
        for area in ["blobs", "receipts"] {
            let folder = self.root().join(area);
            for name in super::walk::names(&folder)? {
                self.clear_folders(&folder.join(name).join("content"))?;
            }
        }
        let mut blobs: Vec<(Digest, PathBuf, u64)> = Vec::new();
        self.each_named("blobs", |name, path| {
            if let (Some(digest), Ok(metadata)) = (parse_hex(name), path.symlink_metadata()) {
                blobs.push((digest, path.to_owned(), metadata.len()));
            }
        })?;
        let all = blobs.iter().map(|(_, _, size)| size).sum();
        let done = AtomicU64::new(0);
        blobs.par_iter().try_for_each(|(digest, path, size)| {
            self.verify(digest, None, path)?;
            progress(done.fetch_add(*size, Ordering::Relaxed) + size, all);
            Ok::<_, crate::Error>(())
        })?;
        let keys = self.keys()?;
        for key in &keys {
            self.recorded(key)?;
        }
        let damage = self.take_damage();
        crate::mutex::relock(&self.inner.damage).extend(earlier);
        Ok(CheckReport {
            blobs: Count { number: blobs.len(), size: all },
            receipts: keys.len(),
            damage,
        })
    }
}

/// Sum of the sizes of the files at or below `path`; what cannot be read counts 0.
pub(super) fn size_below(path: &Path) -> u64 {
    let files = files_below(path).into_iter();
    files.map(|file| file.symlink_metadata().map_or(0, |metadata| metadata.len())).sum()
}

/// The files at or below `path`, links not followed.
pub(super) fn files_below(path: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut pending = vec![path.to_owned()];
    while let Some(path) = pending.pop() {
        match std::fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_dir() => {
                let entries = std::fs::read_dir(&path).into_iter().flatten().flatten();
                pending.extend(entries.map(|entry| entry.path()));
            }
            Ok(_) => files.push(path),
            Err(_) => {}
        }
    }
    files
}
