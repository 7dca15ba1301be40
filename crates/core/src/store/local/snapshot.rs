//! Local files and folders by content, at the cost of a stat for what did not change.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::blobs::Mark;
use super::commit::{Imported, Staged, changed};
use super::stat_index::{self, Known};
use super::walk::{self, Links, Stat, Walk};
use super::{Store, hash, manifest, parallel};
use crate::error::IoResultExt;
use crate::{Digest, Error, Member, Result};

/// Folders that are never part of a snapshot, at any depth: version control, and stores.
const IGNORED: [&str; 2] = [".git", ".sconce"];

/// A stat can be trusted when it is older than this by the time of hashing (ns): the clock of
/// file times ticks every 1 to 10 ms …
const TICK: i64 = 50_000_000;
/// … and every 2 s on file systems that keep whole seconds.
const COARSE_TICK: i64 = 2_500_000_000;

/// A file of a snapshot is read again when it changes meanwhile, so often.
const TRIES: usize = 3;

/// The content of a local file or folder at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Digest of the tree.
    pub digest: Digest,
    /// Sum of the files' sizes in bytes.
    pub size: u64,
    /// The files by name; a single file is there under its own name.
    pub members: BTreeMap<String, Member>,
    /// Folders that were passed over: `.git`, `.sconce` and the store.
    pub ignored: Vec<String>,
}

/// How two trees differ, by names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// In both, with other content.
    pub changed: Vec<String>,
    /// In the later one alone.
    pub added: Vec<String>,
    /// In the earlier one alone.
    pub removed: Vec<String>,
}

impl Changes {
    /// How `after` differs from `before`.
    pub fn between(before: &BTreeMap<String, Member>, after: &BTreeMap<String, Member>) -> Self {
        let mut changes = Self::default();
        for (name, member) in after {
            match before.get(name) {
                None => changes.added.push(name.clone()),
                Some(old) if old != member => changes.changed.push(name.clone()),
                Some(_) => {}
            }
        }
        let gone = before.keys().filter(|name| !after.contains_key(*name));
        changes.removed = gone.cloned().collect();
        changes
    }
}

impl Store {
    /// The content of a local file or folder.
    ///
    /// Files whose stat (size, modification and change times, number) is as it was when they were
    /// hashed are not read. A stat that is not older than the file system's clock tick at that
    /// time is not trusted. `path` itself may be a symbolic link; those below it count as what they lead to, where
    /// that lies below it too, or anywhere with `links`. Folders called `.git` and `.sconce`, and this store, are passed
    /// over and told in [`Snapshot::ignored`]; nothing else is. Empty folders and permissions do not count.
    ///
    /// # Errors
    /// There is nothing at `path`; below it is a link that leads elsewhere, a device or a name that is not UTF-8; a file
    /// changed each time that it was read.
    pub fn snapshot(&self, path: &Path, links: bool) -> Result<Snapshot> {
        let _span = tracing::debug_span!("hash", path = %path.display()).entered();
        let place = std::fs::canonicalize(path).at(path)?;
        let links = if links { Links::Follow } else { Links::Within };
        let metadata = std::fs::metadata(&place).at(path)?;
        let (folder, walk) = if metadata.is_dir() {
            let store = std::fs::canonicalize(self.root()).at(self.root())?;
            let store = store.strip_prefix(&place).ok().and_then(Path::to_str);
            let walk = walk::walk(&place, links, |name, path| {
                IGNORED.contains(&name) || store == Some(path)
            })?;
            (place.clone(), walk)
        } else if metadata.is_file() {
            let (folder, name) = split(path)?;
            let files = vec![(name, Stat::of(&metadata))];
            (folder, Walk { files, ignored: Vec::new() })
        } else {
            return Err(walk::unusual(path, false));
        };
        let index_path = self.index_path("stat-index", &place);
        let bytes = self.read_index(&index_path)?;
        let index = stat_index::decode(&bytes);

        let Walk { files, ignored } = walk;
        let (known, fresh) = match &index {
            Some(index) => match_up(&files, &index.entries),
            None => (vec![None; files.len()], true),
        };
        let unknown: Vec<&str> = files
            .iter()
            .zip(&known)
            .filter(|(_, known)| known.is_none())
            .map(|((name, _), _)| name.as_str())
            .collect();
        let learn = |name: &&str| hash_settled(&folder.join(name));
        let mut learnt = parallel::map(parallel::FILES, &unknown, learn).into_iter();
        let known = known.into_iter().map(|known| known.map(Ok).or_else(|| learnt.next()));
        let known: Vec<Known> = known.flatten().collect::<Result<_>>()?;

        let size = known.iter().map(|known| known.stat.size).sum();
        let names = files.iter().map(|(name, _)| name.as_str());
        let digest = match &index {
            Some(index) if !fresh => index.tree,
            _ => {
                let members = names.clone().zip(known.iter().map(Known::member));
                Digest::of(&manifest::encode(members))
            }
        };
        if fresh {
            let bytes = stat_index::encode(&digest, names.zip(known.iter().copied()));
            self.write_cache(&index_path, &bytes)?;
        }
        let members = files.into_iter().zip(known.iter().map(Known::member));
        Ok(Snapshot {
            digest,
            size,
            members: members.map(|((name, _), member)| (name, member)).collect(),
            ignored,
        })
    }

    /// Brings the content of a snapshot in; copies only what the store does not hold.
    ///
    /// # Errors
    /// A file's content is not that of the snapshot any more.
    pub fn import_snapshot(&self, path: &Path, snapshot: &Snapshot) -> Result<Imported> {
        let place = std::fs::canonicalize(path).at(path)?;
        let folder = if place.is_dir() { place } else { split(path)?.0 };
        let members: Vec<(String, Member)> =
            snapshot.members.iter().map(|(name, member)| (name.clone(), member.clone())).collect();
        let held = parallel::map(parallel::STATS, &members, |(_, member)| self.holds(member));
        let mut missing = Vec::new();
        for (held, member) in held.into_iter().zip(&members) {
            if !held? {
                missing.push(member);
            }
        }
        let stage = |(name, member): &&(String, Member)| -> Result<Staged> {
            let path = self.copy_in(&folder.join(name), &member.digest)?;
            Ok(Staged { digest: member.digest, path, sealed: false })
        };
        let staged: Result<Vec<_>> =
            parallel::map(parallel::FILES, &missing, stage).into_iter().collect();
        self.publish(staged?, Mark::Durable)?;
        self.put_tree(&members, Mark::Durable)
    }

    /// How a snapshot differs from an earlier tree; none when the store does not hold that one's
    /// manifest (any more).
    pub fn changes(&self, before: &Digest, now: &Snapshot) -> Result<Option<Changes>> {
        if !self.blob(before).exists() {
            return Ok(None);
        }
        match self.tree(before) {
            Ok(before) => Ok(Some(Changes::between(&before, &now.members))),
            Err(Error::Damaged { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Known {
    fn member(&self) -> Member {
        Member { digest: self.digest, size: self.stat.size }
    }
}

/// The true place of a single file's folder, and the name that people know it by: not that of what a link leads to, which
/// in caches is a digest.
fn split(file: &Path) -> Result<(PathBuf, String)> {
    let file = std::path::absolute(file).at(file)?;
    let folder = file.parent().unwrap_or(&file);
    let name = file.file_name().unwrap_or_default();
    let text = name.to_str().ok_or_else(|| walk::not_utf8(folder, name))?;
    Ok((std::fs::canonicalize(folder).at(folder)?, text.to_owned()))
}

/// What is known of each file, and whether anything is not as the index says. Both are sorted.
fn match_up(files: &[(String, Stat)], entries: &[(&str, Known)]) -> (Vec<Option<Known>>, bool) {
    let mut fresh = files.len() != entries.len();
    let mut entries = entries.iter().peekable();
    let known = files
        .iter()
        .map(|(name, stat)| {
            while entries.next_if(|(known, _)| *known < name.as_str()).is_some() {}
            let known = entries
                .next_if(|(known, _)| known == name)
                .map(|(_, known)| *known)
                .filter(|known| known.settled && known.stat == *stat);
            fresh |= known.is_none();
            known
        })
        .collect();
    (known, fresh)
}

/// Hashes a file that must not change meanwhile.
fn hash_settled(path: &Path) -> Result<Known> {
    let file = File::open(path).at(path)?;
    for _ in 0..TRIES {
        let now = walk::nanos(SystemTime::now());
        let stat = Stat::of(&file.metadata().at(path)?);
        let (digest, size) = hash::of_file(&file).at(path)?;
        let after = Stat::of(&file.metadata().at(path)?);
        if after == stat && size == stat.size {
            let latest = stat.mtime.max(stat.ctime);
            let whole = |time: i64| time % 1_000_000_000 == 0;
            let coarse = whole(stat.mtime) && whole(stat.ctime);
            let tick = if coarse { COARSE_TICK } else { TICK };
            return Ok(Known { stat, digest, settled: latest < now.saturating_sub(tick) });
        }
    }
    Err(changed(path))
}
