//! Folders: their files with stats, in the order of their names.

use std::fs::{DirEntry, Metadata};
use std::path::{Path, PathBuf};

use super::parallel;
use crate::error::IoResultExt;
use crate::system::files;
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
    pub(super) fn of(metadata: &Metadata) -> Self {
        let (ctime, ino) = files::change(metadata);
        let mtime = metadata.modified().map_or(0, nanos);
        Self { size: metadata.len(), mtime, ctime, ino }
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

/// What becomes of symbolic links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Links {
    /// They are refused.
    Refuse,
    /// They are what they lead to, where that lies below the root.
    Within,
    /// They are what they lead to.
    Follow,
}

/// A folder that is still to be listed.
struct Pending {
    /// Its path below the root.
    prefix: String,
    /// The true places of the folders in which the links on the way to it lie.
    through: Vec<PathBuf>,
}

/// Lists all files below `root` (its true place) but in folders that `ignore` takes, by name and by path below `root`.
///
/// # Errors
/// A name that is not UTF-8, a device, socket or pipe, a symbolic link that is not to be followed, leads nowhere or leads
/// to a folder that it lies in: with its path.
pub(super) fn walk(root: &Path, links: Links, ignore: impl Fn(&str, &str) -> bool) -> Result<Walk> {
    let mut walk = Walk::default();
    let mut folders = vec![Pending { prefix: String::new(), through: Vec::new() }];
    let mut pending: Vec<(String, DirEntry)> = Vec::new();
    let mut open = 0;
    while let Some(Pending { prefix, through }) = folders.pop() {
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
            let target = match kind.is_symlink() && links != Links::Refuse {
                true => Some(Target::of(&entry.path(), root, links)?),
                false => None,
            };
            if let Some(Target { stat: Some(stat), .. }) = &target {
                walk.files.push((full, *stat));
            } else if kind.is_file() {
                pending.push((full, entry));
            } else if !kind.is_dir() && target.is_none() {
                return Err(unusual(&entry.path(), kind.is_symlink()));
            } else if ignore(name, &full) {
                walk.ignored.push(full);
            } else {
                let mut through = through.clone();
                if let Some(Target { place, .. }) = target {
                    through.push(std::fs::canonicalize(&folder).at(&folder)?);
                    if through.iter().any(|folder| folder.starts_with(&place)) {
                        return Err(Error::message(format!(
                            "{}: is a symbolic link to a folder that it lies in ({})",
                            entry.path().display(),
                            place.display()
                        )));
                    }
                }
                folders.push(Pending { prefix: full, through });
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

/// What a link leads to.
struct Target {
    place: PathBuf,
    /// Of a file; none of a folder.
    stat: Option<Stat>,
}

impl Target {
    fn of(link: &Path, root: &Path, links: Links) -> Result<Self> {
        let to = || std::fs::read_link(link).unwrap_or_default();
        let place = std::fs::canonicalize(link).map_err(|error| {
            Error::message(format!(
                "{}: is a symbolic link that leads nowhere (to {}): {error}",
                link.display(),
                to().display()
            ))
        })?;
        if links == Links::Within && !place.starts_with(root) {
            return Err(Error::message(format!(
                "{}: is a symbolic link that leads out of the folder (to {}): expected `links = \"follow\"`, plain \
                 files, or the true place",
                link.display(),
                to().display()
            )));
        }
        let metadata = std::fs::metadata(&place).at(link)?;
        if !metadata.is_file() && !metadata.is_dir() {
            return Err(unusual(link, false));
        }
        Ok(Self { place, stat: metadata.is_file().then(|| Stat::of(&metadata)) })
    }
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
