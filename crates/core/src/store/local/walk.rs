//! Folders: their files with stats, in the order of their names.

use std::fs::{DirEntry, Metadata};
use std::path::Path;

use super::parallel;
use crate::error::IoResultExt;
use crate::{Error, Result};

/// Stats are asked for when so many files, or so many open folders, have gathered.
const FILES: usize = 1 << 15;
const FOLDERS: usize = 64;

/// What tells, without reading it, that a file is still the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Stat {
    /// Bytes.
    pub(super) size: u64,
    /// Modification of the content, in ns since 1970.
    pub(super) mtime: i64,
    /// Change of the file or its attributes, in ns since 1970; 0 where the system has none.
    pub(super) ctime: i64,
    /// The file's number; 0 where the system has none.
    pub(super) ino: u64,
}

impl Stat {
    #[cfg(unix)]
    pub(super) fn of(metadata: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        let ns = |seconds: i64, ns: i64| seconds.saturating_mul(1_000_000_000).saturating_add(ns);
        Self {
            size: metadata.len(),
            mtime: ns(metadata.mtime(), metadata.mtime_nsec()),
            ctime: ns(metadata.ctime(), metadata.ctime_nsec()),
            ino: metadata.ino(),
        }
    }

    #[cfg(not(unix))]
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self { size: metadata.len(), mtime: metadata.modified().map_or(0, nanos), ctime: 0, ino: 0 }
    }
}

/// Nanoseconds since 1970.
pub(super) fn nanos(time: std::time::SystemTime) -> i64 {
    match time.duration_since(std::time::UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
        Err(_) => 0,
    }
}

/// The files below a folder.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// Names relative to the folder (`/`-separated), sorted, with their stats.
    pub(super) files: Vec<(String, Stat)>,
    /// Folders that were passed over, sorted.
    pub(super) ignored: Vec<String>,
}

/// Lists all files below `root` but in folders that `ignore` takes, by name and by path below
/// `root`.
///
/// # Errors
/// A name that is not UTF-8, a symbolic link, a device, socket or pipe: with its path.
pub(super) fn walk(root: &Path, ignore: impl Fn(&str, &str) -> bool) -> Result<Walk> {
    let mut walk = Walk::default();
    let mut folders = vec![String::new()];
    let mut pending: Vec<(String, DirEntry)> = Vec::new();
    let mut open = 0;
    while let Some(prefix) = folders.pop() {
        let folder = root.join(&prefix);
        for entry in std::fs::read_dir(&folder).at(&folder)? {
            let entry = entry.at(&folder)?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else {
                return Err(not_utf8(&folder, &name));
            };
            let kind = entry.file_type().at(folder.join(name))?;
            let mut full = String::with_capacity(prefix.len() + 1 + name.len());
            if !prefix.is_empty() {
                full.push_str(&prefix);
                full.push('/');
            }
            full.push_str(name);
            if kind.is_file() {
                pending.push((full, entry));
            } else if !kind.is_dir() {
                return Err(unusual(&entry.path(), kind.is_symlink()));
            } else if ignore(name, &full) {
                walk.ignored.push(full);
            } else {
                folders.push(full);
            }
        }
        open += 1;
        if open == FOLDERS || pending.len() > FILES {
            stat_all(&mut pending, &mut walk.files)?;
            open = 0;
        }
    }
    stat_all(&mut pending, &mut walk.files)?;
    walk.files.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    walk.ignored.sort_unstable();
    Ok(walk)
}

fn stat_all(pending: &mut Vec<(String, DirEntry)>, files: &mut Vec<(String, Stat)>) -> Result<()> {
    let stat = |(_, entry): &(String, DirEntry)| -> Result<Stat> {
        let metadata = entry.metadata().map_err(|e| Error::io(entry.path(), e))?;
        Ok(Stat::of(&metadata))
    };
    let stats = parallel::map(parallel::STATS, pending, stat);
    for ((name, _), stat) in pending.drain(..).zip(stats) {
        files.push((name, stat?));
    }
    Ok(())
}

/// The names in one folder of the store; none when there is no such folder.
pub(super) fn names(folder: &Path) -> Result<Vec<String>> {
    let entries = match std::fs::read_dir(folder) {
        Err(error)
            if matches!(
                error.kind(),
                std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(Vec::new());
        }
        entries => entries.at(folder)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry.at(folder)?.file_name().into_string());
    }
    Ok(names)
}

pub(super) fn not_utf8(folder: &Path, name: &std::ffi::OsStr) -> Error {
    Error::message(format!(
        "{}: the name {name:?} is not UTF-8, and only names that are can be kept; rename it",
        folder.display()
    ))
}

pub(super) fn unusual(path: &Path, link: bool) -> Error {
    if link {
        let target = std::fs::read_link(path).unwrap_or_default();
        Error::message(format!(
            "{}: is a symbolic link (to {}); expected plain files and folders: put the file itself \
             there, or name its true place",
            path.display(),
            target.display()
        ))
    } else {
        Error::message(format!(
            "{}: is a device, socket or pipe; expected plain files and folders",
            path.display()
        ))
    }
}
