//! What is not what its name says: found, told, and moved out of the way.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::{File, Metadata};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::receipts::parse_hex;
use super::walk::Stat;
use super::{Store, durable, walk};
use crate::error::IoResultExt;
use crate::mutex::relock;
use crate::system::files;
use crate::{Digest, Error, Result};

/// A folder's time tells what came since it was listed once it is older than this: the clock of
/// file times ticks every 1 to 10 ms.
const TICK: Duration = Duration::from_millis(50);

/// A file claims its size: larger ones are read piece by piece.
const MOST_AT_ONCE: usize = 64 << 20;

/// Something in the store that was not what its name says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The digest that the content should have; for a receipt, its key; none for what has neither.
    pub digest: Option<Digest>,
    /// Where it was.
    pub path: PathBuf,
    /// Where it was moved; none when it was missing.
    pub moved_to: Option<PathBuf>,
    /// What is wrong with it, in words.
    pub reason: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.reason)?;
        match &self.moved_to {
            Some(to) => write!(f, "; moved to {}", to.display()),
            None => Ok(()),
        }
    }
}

/// What stands at a place of the store.
pub(super) enum Opened {
    /// A plain file.
    File(File, Metadata),
    /// Nothing.
    Nothing,
    /// Something else, which is in the quarantine now.
    Moved,
}

/// What the quarantine held when it was last listed.
#[derive(Default)]
pub(super) struct Quarantined {
    /// The folder's time then, if a later change has to show in it.
    modified: Option<SystemTime>,
    content: Arc<BTreeSet<Bad>>,
}

/// Content in the quarantine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Bad {
    /// The digest that it should have; for a receipt, its key.
    digest: Digest,
    /// The number of the file ([`Stat::ino`]).
    file: u64,
}

impl Store {
    /// What was found bad since the last call: moved to the quarantine, to be told to the user.
    pub fn take_damage(&self) -> Vec<Damage> {
        std::mem::take(&mut *relock(&self.inner.damage))
    }

    /// Whether content of this digest, or the receipt of this key, was found bad and is in the
    /// quarantine.
    pub(super) fn is_quarantined(&self, digest: &Digest) -> Result<bool> {
        let first = Bad { digest: *digest, file: 0 };
        let last = Bad { digest: *digest, file: u64::MAX };
        Ok(self.quarantined()?.range(first..=last).next().is_some())
    }

    /// Whether this file, which was put somewhere as content of `digest`, shares its bytes with a
    /// file of the quarantine.
    pub(super) fn shares_damage(bad: &BTreeSet<Bad>, digest: &Digest, stat: &Stat) -> bool {
        bad.contains(&Bad { digest: *digest, file: stat.ino })
    }

    /// What is in the quarantine.
    pub(super) fn quarantined(&self) -> Result<Arc<BTreeSet<Bad>>> {
        let folder = self.root().join("quarantine");
        let modified = std::fs::metadata(&folder).and_then(|folder| folder.modified()).ok();
        let mut known = relock(&self.inner.quarantined);
        if known.modified.is_some() && known.modified == modified {
            return Ok(Arc::clone(&known.content));
        }
        let settled = |time: &SystemTime| time.elapsed().is_ok_and(|age| age > TICK);
        known.modified = modified.filter(settled);
        let mut content = BTreeSet::new();
        for name in walk::names(&folder)? {
            let digest = name.split('.').next().and_then(parse_hex);
            let metadata = std::fs::symlink_metadata(folder.join(&name));
            if let (Some(digest), Ok(metadata)) = (digest, metadata) {
                content.insert(Bad { digest, file: Stat::of(&metadata).ino });
            }
        }
        known.content = Arc::new(content);
        Ok(Arc::clone(&known.content))
    }

    /// Notes content that is not there, or is in the quarantine.
    pub(super) fn note_missing(&self, digest: &Digest, path: &Path) {
        let was_bad = self.is_quarantined(digest).unwrap_or(false);
        let reason = if was_bad { "was damaged, and is in quarantine" } else { "is missing" };
        self.note(Damage {
            digest: Some(*digest),
            path: path.to_owned(),
            moved_to: None,
            reason: reason.to_owned(),
        });
    }

    /// Opens a plain file of the store, and never waits for a pipe. What is no file goes to the
    /// quarantine.
    pub(super) fn open_file(&self, digest: Option<&Digest>, path: &Path) -> Result<Opened> {
        let error = match files::open_at_once(path) {
            Ok(file) => match file.metadata().at(path)? {
                metadata if metadata.is_file() => return Ok(Opened::File(file, metadata)),
                _ => None,
            },
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Opened::Nothing),
            Err(error) if error.kind() == ErrorKind::NotADirectory => {
                self.clear_folders(path)?;
                return Ok(Opened::Moved);
            }
            Err(error) => Some(error),
        };
        // A socket cannot be opened; a file that may not be read is no damage.
        match (error, std::fs::symlink_metadata(path)) {
            (Some(error), Ok(metadata)) if metadata.is_file() => Err(Error::io(path, error)),
            (_, Err(error)) if error.kind() != ErrorKind::NotFound => Err(Error::io(path, error)),
            (_, Ok(metadata)) => {
                let reason = format!("is {}, and no file", what(&metadata));
                self.quarantine(digest, path, &reason)?;
                Ok(Opened::Moved)
            }
            (_, Err(_)) => Ok(Opened::Nothing),
        }
    }

    /// The whole of a plain file, with the open file and its stat for more questions; none when there
    /// is none.
    pub(super) fn read_file(
        &self,
        digest: Option<&Digest>,
        path: &Path,
        bytes: &mut Vec<u8>,
    ) -> Result<Option<(File, Metadata)>> {
        bytes.clear();
        let Opened::File(file, metadata) = self.open_file(digest, path)? else { return Ok(None) };
        read_whole(&file, &metadata, bytes).at(path)?;
        Ok(Some((file, metadata)))
    }

    /// Moves what is no folder and stands where one above `path` has to be into the quarantine.
    pub(super) fn clear_folders(&self, path: &Path) -> Result<()> {
        let inside = |folder: &&Path| folder.starts_with(self.root()) && *folder != self.root();
        for folder in path.ancestors().skip(1).take_while(inside) {
            if let Ok(metadata) = std::fs::metadata(folder)
                && !metadata.is_dir()
            {
                let reason = format!("is {}, and no folder", what(&metadata));
                self.quarantine(None, folder, &reason)?;
            }
        }
        Ok(())
    }

    /// Moves something bad out of the way and notes it.
    pub(super) fn quarantine(
        &self,
        digest: Option<&Digest>,
        path: &Path,
        reason: &str,
    ) -> Result<()> {
        let folder = self.root().join("quarantine");
        if std::fs::metadata(&folder).is_ok_and(|metadata| !metadata.is_dir()) {
            std::fs::remove_file(&folder).at(&folder)?;
        }
        if self.inner.writable {
            durable::create_folder(&folder)?;
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let nanos = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |time| time.as_nanos());
        let to = folder.join(format!("{name}.{nanos}"));
        match files::rename(path, &to) {
            Ok(()) => {
                relock(&self.inner.quarantined).modified = None;
                self.note(Damage {
                    digest: digest.copied(),
                    path: path.to_owned(),
                    moved_to: Some(to),
                    reason: reason.to_owned(),
                });
            }
            // Another process was faster.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(_) if !self.inner.writable => self.note(Damage {
                digest: digest.copied(),
                path: path.to_owned(),
                moved_to: None,
                reason: format!("{reason}; it stays, because the store cannot be written"),
            }),
            Err(error) => return Err(error).at(path),
        }
        Ok(())
    }

    fn note(&self, damage: Damage) {
        relock(&self.inner.damage).push(damage);
    }
}

/// Reads a file of the store, none of which ever grows: one call where `read_to_end` asks for size and
/// place and reads twice, and a no-op run is little else.
pub(super) fn read_whole(
    mut file: &File,
    metadata: &Metadata,
    bytes: &mut Vec<u8>,
) -> std::io::Result<()> {
    let size = usize::try_from(metadata.len()).unwrap_or(usize::MAX);
    bytes.clear();
    bytes.resize(size.min(MOST_AT_ONCE), 0);
    let mut done = 0;
    while done < bytes.len() {
        match file.read(&mut bytes[done..]) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(done);
    if size > MOST_AT_ONCE {
        file.read_to_end(bytes)?;
    }
    Ok(())
}

/// What something is that is no plain file.
fn what(metadata: &Metadata) -> &'static str {
    let kind = metadata.file_type();
    if kind.is_dir() {
        "a folder"
    } else if kind.is_file() {
        "a file"
    } else if kind.is_symlink() {
        "a link that leads to no file"
    } else {
        "a pipe, socket or device"
    }
}

/// The error for bad content at `path`.
pub(super) fn damaged(digest: &Digest, path: &Path) -> Error {
    Error::Damaged { digest: *digest, path: path.to_owned() }
}
