//! Making room: receipts that are not needed, and content that no receipt names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use super::receipts::parse_hex;
use super::usage::{files_below, size_below};
use super::{Count, Store, locks, manifest, runs, scratch, walk};
use crate::error::IoResultExt;
use crate::system::{self, files::Identity};
use crate::{Digest, Error, Result};

/// What may go.
#[derive(Debug, Clone, Copy, Default)]
pub struct GcLimits {
    /// Results that were not used for so long go. Checkpoints, journals, logs, records of runs and
    /// quarantined files too.
    pub max_age: Option<Duration>,
    /// The least recently used results go until content and receipts have at most so many bytes.
    pub max_size: Option<u64>,
    /// Only tell what would go.
    pub dry_run: bool,
}

/// What went, or with [`GcLimits::dry_run`] would go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GcReport {
    /// The keys whose receipts went, least recently used first.
    pub keys: Vec<Digest>,
    /// Receipts.
    pub receipts: Count,
    /// Blobs that no receipt names (any more).
    pub blobs: Count,
    /// Checkpoints of finished cells, and old ones.
    pub checkpoints: Count,
    /// Journals of results that went, and old ones of cells without a result.
    pub journals: Count,
    /// Scratch folders of dead processes.
    pub scratch: Count,
    /// Old logs of cells, and old records of runs.
    pub logs: Count,
    /// Old files of the quarantine.
    pub quarantine: Count,
    /// Bytes of content and receipts that stay.
    pub left: u64,
    /// Whether the limit on the size is still exceeded, because all the rest is in use.
    pub over: bool,
}

impl GcReport {
    /// Bytes that went.
    pub fn size(&self) -> u64 {
        let counts = [
            self.receipts,
            self.blobs,
            self.checkpoints,
            self.journals,
            self.scratch,
            self.logs,
            self.quarantine,
        ];
        counts.iter().map(|count| count.size).sum()
    }
}

/// A receipt and the blobs that it needs.
struct Held {
    key: Digest,
    path: PathBuf,
    size: u64,
    used: SystemTime,
    blobs: Vec<Digest>,
}

impl Store {
    /// Removes what the limits let go, and always: content that no receipt names, scratch of dead
    /// processes, checkpoints of finished cells. What the receipts of `keep` need stays.
    ///
    /// # Errors
    /// Another process has the store open, or a cell is being computed in this one: nothing was
    /// removed. A dry run does not mind.
    pub fn gc(&self, keep: &BTreeSet<Digest>, limits: &GcLimits) -> Result<GcReport> {
        if limits.dry_run {
            return self.collect(keep, limits);
        }
        let in_use = || {
            Error::message(format!(
                "the store {} is in use by a run; nothing was removed: try again when it is over",
                self.root().display()
            ))
        };
        if self.inner.busy.load(Ordering::SeqCst) > 0 {
            return Err(in_use());
        }
        let path = self.root().join("locks/store");
        let lock = &self.inner.lock;
        // A lock cannot be raised in place everywhere.
        system::locks::unlock(lock).at(&path)?;
        let alone = locks::try_lock(lock, &path);
        let report = match alone {
            Ok(true) => self.collect(keep, limits),
            Ok(false) => Err(in_use()),
            Err(error) => Err(error),
        };
        if report.is_ok() {
            system::locks::unlock(lock).at(&path)?;
        }
        system::locks::lock_shared(lock).at(&path)?;
        report
    }

    fn collect(&self, keep: &BTreeSet<Digest>, limits: &GcLimits) -> Result<GcReport> {
        let mut report = GcReport::default();
        let now = SystemTime::now();
        let is_old = |used: SystemTime| {
            let age = now.duration_since(used).unwrap_or_default();
            limits.max_age.is_some_and(|max| age > max)
        };
        let mut sizes = BTreeMap::new();
        self.each_named("blobs", |name, path| {
            if let Some(digest) = parse_hex(name) {
                sizes.insert(digest, path.symlink_metadata().map_or(0, |m| m.len()));
            }
        })?;
        let mut held = self.held()?;
        held.sort_by_key(|one| (one.used, one.key));

        // How many receipts need each blob; a blob goes with the last of them.
        let mut users: BTreeMap<Digest, usize> = BTreeMap::new();
        for blob in held.iter().flat_map(|one| &one.blobs) {
            *users.entry(*blob).or_default() += 1;
        }
        let size_of = |blob: &Digest| sizes.get(blob).copied().unwrap_or(0);
        let mut left: u64 = users.keys().map(size_of).sum();
        left += held.iter().map(|one| one.size).sum::<u64>();
        let mut kept = BTreeSet::new();
        for one in held {
            let over = limits.max_size.is_some_and(|max| left > max);
            if keep.contains(&one.key) || !(over || is_old(one.used)) {
                kept.insert(one.key);
                continue;
            }
            left -= one.size;
            for blob in &one.blobs {
                if let Some(count) = users.get_mut(blob) {
                    *count -= 1;
                    if *count == 0 {
                        left -= size_of(blob);
                        users.remove(blob);
                    }
                }
            }
            report.keys.push(one.key);
            report.receipts.add(one.size);
            remove(&one.path, limits)?;
        }
        report.left = left;
        report.over = limits.max_size.is_some_and(|max| left > max);
        // Receipts are gone before the first blob goes.
        for (digest, size) in &sizes {
            if !users.contains_key(digest) {
                report.blobs.add(*size);
                remove(&self.blob(digest), limits)?;
            }
        }
        self.collect_rest(keep, &kept, limits, is_old, &mut report)?;
        Ok(report)
    }

    /// Checkpoints, logs, quarantine, scratch and caches.
    fn collect_rest(
        &self,
        keep: &BTreeSet<Digest>,
        finished: &BTreeSet<Digest>,
        limits: &GcLimits,
        is_old: impl Fn(SystemTime) -> bool,
        report: &mut GcReport,
    ) -> Result<()> {
        let folder = self.root().join("checkpoints");
        for name in walk::names(&folder)? {
            let path = folder.join(&name);
            let key = parse_hex(&name);
            let done = key.is_some_and(|key| finished.contains(&key));
            let in_use = key.is_some_and(|key| keep.contains(&key));
            if done || (!in_use && is_old(newest(&path))) {
                report.checkpoints.add(size_below(&path));
                remove(&path, limits)?;
            }
        }
        // A curve stays as long as the result that it led to; without one it goes as a checkpoint does.
        let gone: BTreeSet<_> = report.keys.iter().copied().collect();
        for (key, (size, used)) in self.journals()? {
            let unfinished = !finished.contains(&key) && !keep.contains(&key);
            if gone.contains(&key) || (unfinished && is_old(used)) {
                report.journals.add(size);
                remove(&self.journal_path(&key), limits)?;
            }
        }
        for path in files_below(&self.root().join("logs")) {
            if is_old(newest(&path)) {
                report.logs.add(size_below(&path));
                remove(&path, limits)?;
            }
        }
        for path in files_below(&self.root().join("runs")) {
            let over = runs::id_of(&path).is_some_and(|id| !self.run_is_alive(id));
            if over && is_old(newest(&path)) {
                report.logs.add(size_below(&path));
                remove(&path, limits)?;
            }
        }
        let quarantine = self.root().join("quarantine");
        for name in walk::names(&quarantine)? {
            let path = quarantine.join(name);
            // While it is here, the next run knows that it is still shown somewhere.
            if is_old(newest(&path)) && !has_other_names(&path) {
                report.quarantine.add(size_below(&path));
                remove(&path, limits)?;
            }
        }
        report.scratch = scratch::remove_stale(&self.root().join("scratch"), !limits.dry_run);
        for area in ["stat-index", "views", "remote"] {
            for path in files_below(&self.root().join(area)) {
                if is_old(newest(&path)) {
                    remove(&path, limits)?;
                }
            }
        }
        // No one else is here, so the locks of keys are free.
        let locks = self.root().join("locks");
        for name in walk::names(&locks)? {
            if parse_hex(&name).is_some() {
                remove(&locks.join(name), limits)?;
            }
        }
        Ok(())
    }

    /// All receipts that can be read, with what they need. A receipt of which a manifest is gone
    /// or bad holds what is left; it can no longer be a hit.
    fn held(&self) -> Result<Vec<Held>> {
        let mut held = Vec::new();
        let mut text = Vec::new();
        for key in self.keys()? {
            let path = self.receipt_path(&key);
            let Ok(metadata) = path.symlink_metadata() else {
                continue;
            };
            let Some(receipt) = self.recorded(&key)? else {
                continue;
            };
            let mut blobs = BTreeSet::new();
            for output in receipt.outputs.values() {
                blobs.insert(output.digest);
                match self.read_manifest(&output.digest, &mut text) {
                    Err(Error::Damaged { .. }) => {}
                    Err(error) => return Err(error),
                    Ok(()) => {
                        let members = manifest::entries(&text).unwrap_or_default();
                        blobs.extend(members.into_iter().map(|(_, member)| member.digest));
                    }
                }
            }
            held.push(Held {
                key,
                path,
                size: metadata.len(),
                used: metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH),
                blobs: blobs.into_iter().collect(),
            });
        }
        Ok(held)
    }
}

/// Whether a file has another name, such as one by which it is shown.
fn has_other_names(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|found| found.is_file())
        && Identity::at(path).is_ok_and(|found| found.names > 1)
}

/// When the newest file at or below `path` was written.
fn newest(path: &Path) -> SystemTime {
    let modified = |path: &Path| path.symlink_metadata().and_then(|m| m.modified()).ok();
    let files = files_below(path);
    let times = files.iter().filter_map(|file| modified(file));
    times.max().or_else(|| modified(path)).unwrap_or(SystemTime::UNIX_EPOCH)
}

fn remove(path: &Path, limits: &GcLimits) -> Result<()> {
    if limits.dry_run {
        return Ok(());
    }
    scratch::remove_tree(path).at(path)
}
