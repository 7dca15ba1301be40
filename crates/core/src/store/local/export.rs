//! The human view: folders that show trees of the store under plain names.
//!
//! What was put where is recorded in the store (`views/`), so that a view that shows the tree
//! already costs stats, and so that only what was put there is ever removed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, Metadata};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use super::damage::{Bad, Opened, damaged};
use super::stat_index::{self, Known};
use super::walk::Stat;
use super::{Store, hash, parallel};
use crate::error::IoResultExt;
use crate::system::files;
use crate::{Digest, Error, Member, Result};

/// Larger files are linked where they cannot be shared by reflink, smaller ones copied, in bytes.
const COPY: u64 = 1 << 20;

/// What was put under each name; several while an interrupted call may have put the one or the
/// other.
pub(super) type Record = BTreeMap<String, Vec<Known>>;

impl Store {
    /// Makes `to` show this tree; returns whether there was anything to do.
    ///
    /// Files that an earlier call put there and that the tree does not have are removed, with the
    /// folders that get empty. Other files stay, but for those under a name of the tree. Files are
    /// reflinks, copies up to 1 MiB, else read-only hard links; each appears whole, by rename.
    /// A link to content that was found bad since is replaced.
    ///
    /// A store that cannot be written records nothing: files are copies, compared by content each
    /// time, and nothing is removed.
    ///
    /// # Errors
    /// [`Error::Damaged`] for bad content; a file or folder of the user is where a folder or file
    /// has to be.
    pub fn export(&self, tree: &Digest, to: &Path) -> Result<bool> {
        let to = std::path::absolute(to).at(to)?;
        let bad = self.quarantined()?;
        let view = View { store: self, to: &to, bad: &bad };
        if !self.inner.writable {
            let (_, changed) = view.put(&Record::new(), &self.tree(tree)?)?;
            return Ok(changed);
        }
        let record_path = self.index_path("views", &to);
        let shows = |bytes: &[u8]| {
            let same = |(name, known): &(&str, Known)| view.has_same(&to.join(name), known);
            stat_index::decode(bytes).is_some_and(|record| {
                let entries = &record.entries;
                record.tree == *tree
                    && !parallel::map(parallel::STATS, entries, same).contains(&false)
            })
        };
        if shows(&self.read_index(&record_path)?) {
            return Ok(false);
        }
        let _span = tracing::debug_span!("export", to = %to.display()).entered();
        let name = record_path.file_name().unwrap_or_default();
        let _lock = self.lock_name(&format!("view-{}", name.to_string_lossy()))?;
        let bytes = self.read_index(&record_path)?;
        if shows(&bytes) {
            return Ok(false);
        }
        let record = read_record(&bytes);
        let members = self.tree(tree)?;
        // What will be put is recorded first: should this process be killed, the next one knows
        // it for its own by the digest.
        let mut planned = record.clone();
        for (name, member) in &members {
            planned.entry(name.clone()).or_default().push(unknown(member));
        }
        view.write_record(&record_path, &Digest::of(b""), &planned)?;
        view.remove_stale(&record, |name| members.contains_key(name))?;
        let (shown, _) = view.put(&record, &members)?;
        view.write_record(&record_path, tree, &shown)?;
        Ok(true)
    }
}

pub(super) struct View<'a> {
    pub(super) store: &'a Store,
    pub(super) to: &'a Path,
    /// What is in the quarantine.
    pub(super) bad: &'a BTreeSet<Bad>,
}

impl View<'_> {
    fn write_record(&self, path: &Path, tree: &Digest, record: &Record) -> Result<()> {
        let entries: Vec<_> = record
            .iter()
            .flat_map(|(name, known)| known.iter().map(|known| (name.as_str(), *known)))
            .collect();
        self.store.write_cache(path, &stat_index::encode(tree, entries.into_iter()))
    }

    /// Removes what was put earlier and is not to stay. What the user changed is the user's.
    pub(super) fn remove_stale(&self, record: &Record, stays: impl Fn(&str) -> bool) -> Result<()> {
        for (name, known) in record {
            let path = self.to.join(name);
            let _ = std::fs::remove_file(partial(&path));
            if stays(name) || !known.iter().any(|known| is_ours(&path, known)) {
                continue;
            }
            std::fs::remove_file(&path).at(&path)?;
            for folder in path.ancestors().skip(1) {
                if folder == self.to || std::fs::remove_dir(folder).is_err() {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Whether a file is as it was put, and as it was meant to be.
    fn has_same(&self, path: &Path, known: &Known) -> bool {
        !Store::shares_damage(self.bad, &known.digest, &known.stat) && is_same(path, known)
    }

    /// Puts the tree's files where they are not there yet; returns the new record, and whether
    /// there was anything to do.
    fn put(&self, record: &Record, members: &BTreeMap<String, Member>) -> Result<(Record, bool)> {
        std::fs::create_dir_all(self.to).at(self.to)?;
        let mut folders = BTreeSet::new();
        for name in members.keys() {
            self.make_folders(name, &mut folders)?;
        }
        let changed = AtomicBool::new(false);
        let put = |&(name, member): &(&String, &Member)| -> Result<(String, Vec<Known>)> {
            let path = self.to.join(name);
            let old = record.get(name).map_or(&[][..], Vec::as_slice);
            let same = |old: &Known| old.digest == member.digest && self.has_same(&path, old);
            let put = match old.iter().any(same) {
                true => None,
                false => self.put_file(member, &path)?,
            };
            let stat = match put {
                Some(put) => {
                    changed.store(true, Ordering::Relaxed);
                    put
                }
                None => Stat::of(&std::fs::symlink_metadata(&path).at(&path)?),
            };
            Ok((name.clone(), vec![Known { stat, ..unknown(member) }]))
        };
        let members: Vec<_> = members.iter().collect();
        let shown: Result<Record> =
            parallel::map(parallel::FILES, &members, put).into_iter().collect();
        Ok((shown?, changed.into_inner()))
    }

    /// Makes the folders above a file, none of them through a link.
    fn make_folders<'n>(&self, name: &'n str, made: &mut BTreeSet<&'n str>) -> Result<()> {
        for (end, _) in name.match_indices('/') {
            let folder = &name[..end];
            if !made.insert(folder) {
                continue;
            }
            let path = self.to.join(folder);
            match std::fs::create_dir(&path) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                    let found = std::fs::symlink_metadata(&path).at(&path)?;
                    if !found.is_dir() {
                        return Err(in_the_way(&path, "a folder"));
                    }
                }
                other => other.at(&path)?,
            }
        }
        Ok(())
    }

    /// Puts a file, and returns its stat; none when its content is there already.
    fn put_file(&self, member: &Member, path: &Path) -> Result<Option<Stat>> {
        if let Ok(found) = std::fs::symlink_metadata(path) {
            if found.is_dir() {
                // Empty ones are of no worth to anyone.
                std::fs::remove_dir(path).map_err(|_| in_the_way(path, "a file"))?;
            } else if has_content(path, &found, member) {
                return Ok(None);
            }
        }
        let blob = self.store.blob(&member.digest);
        if !self.store.inner.writable {
            self.verify(member, &blob)?;
            put_beside(&blob, path)?;
            return stat_of(path).map(Some);
        }
        let temporary = self.store.temporary()?;
        let mut shared = false;
        if self.store.has_reflinks() || member.size > COPY {
            self.verify(member, &blob)?;
            shared = self.store.reflink(&blob, &temporary);
            if shared {
                files::make_writable(&temporary).at(&temporary)?;
            } else if member.size > COPY && std::fs::hard_link(&blob, &temporary).is_ok() {
                if files::rename(&temporary, path).is_ok() {
                    return stat_of(path).map(Some);
                }
                let _ = std::fs::remove_file(&temporary);
            }
        }
        let stat = match shared {
            true => stat_of(&temporary)?,
            false => self.copy(member, &blob, &temporary)?,
        };
        match files::rename(&temporary, path) {
            Err(error) if error.kind() == ErrorKind::CrossesDevices => {
                put_beside(&temporary, path)?;
                return stat_of(path).map(Some);
            }
            other => other.at(path)?,
        }
        Ok(Some(stat))
    }

    fn verify(&self, member: &Member, blob: &Path) -> Result<()> {
        match self.store.verify(&member.digest, Some(member.size), blob)? {
            true => Ok(()),
            false => Err(damaged(&member.digest, blob)),
        }
    }

    /// Copies a blob, whose bytes are checked on the way; returns the copy's stat.
    fn copy(&self, member: &Member, blob: &Path, to: &Path) -> Result<Stat> {
        if let Opened::File(from, _) = self.store.open_file(Some(&member.digest), blob)? {
            let mut file = File::create_new(to).at(to)?;
            let (digest, size) = hash::copy(&from, &mut file).at(blob)?;
            if (digest, size) == (member.digest, member.size) {
                return Ok(Stat::of(&file.metadata().at(to)?));
            }
            std::fs::remove_file(to).at(to)?;
        }
        // It tells what is wrong.
        self.verify(member, blob)?;
        Err(damaged(&member.digest, blob))
    }
}

fn stat_of(path: &Path) -> Result<Stat> {
    Ok(Stat::of(&std::fs::symlink_metadata(path).at(path)?))
}

/// Copies a file to a place on another file system, where it appears whole.
fn put_beside(from: &Path, to: &Path) -> Result<()> {
    let beside = partial(to);
    // What a killed process left may be read-only.
    let _ = std::fs::remove_file(&beside);
    std::fs::copy(from, &beside).at(&beside)?;
    files::make_writable(&beside).at(&beside)?;
    files::rename(&beside, to).at(to)
}

/// What a record says was put.
pub(super) fn read_record(bytes: &[u8]) -> Record {
    let mut record = Record::new();
    for (name, known) in stat_index::decode(bytes).map(|index| index.entries).unwrap_or_default() {
        record.entry(name.to_owned()).or_default().push(known);
    }
    record
}

/// What is known of a file that is about to be put.
fn unknown(member: &Member) -> Known {
    Known {
        stat: Stat { size: member.size, ..Stat::default() },
        digest: member.digest,
        settled: true,
    }
}

/// The name of a half-written file on another file system than the store's.
fn partial(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.sconce-partial"))
}

/// Whether a file is as it was put. Its change time moves when other links come and go.
fn is_same(path: &Path, known: &Known) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|metadata| {
        let now = Stat::of(&metadata);
        metadata.is_file() && Stat { ctime: known.stat.ctime, ..now } == known.stat
    })
}

/// Whether a file is one that was put there and not changed since.
fn is_ours(path: &Path, known: &Known) -> bool {
    let member = Member { digest: known.digest, size: known.stat.size };
    is_same(path, known)
        || std::fs::symlink_metadata(path).is_ok_and(|found| has_content(path, &found, &member))
}

fn has_content(path: &Path, found: &Metadata, member: &Member) -> bool {
    found.is_file()
        && found.len() == member.size
        && hash::of_path(path).is_ok_and(|(digest, _)| digest == member.digest)
}

fn in_the_way(path: &Path, wanted: &str) -> Error {
    Error::message(format!(
        "{}: something of yours is where {wanted} has to be; move it away",
        path.display()
    ))
}
