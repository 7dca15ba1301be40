//! A store on a file system.
//!
//! Plain files under one folder (`.sconce/` by default):
//!
//! | place | what |
//! |---|---|
//! | `format` | the store's format; a newer one is refused |
//! | `blobs/ab/<hex>` | bytes of files and of tree manifests, read-only |
//! | `receipts/ab/<key>.json` | one receipt a key, with a checksum |
//! | `checkpoints/<key>/` | what a long cell keeps for its next start |
//! | `journals/<key>.jsonl` | what a cell told while it ran: the points of its curves, progress, its end |
//! | `last/<pipeline>.json` | the last key of each cell, for reasons |
//! | `runs/<number>.jsonl` | what was run when, line by line |
//! | `remote/` | what is known of the store that machines share ([`Remote`]), and unfinished downloads |
//! | `stat-index/`, `views/` | caches: digests of local files by stat; what was exported where |
//! | `queue/<batch>/` | what was handed to a cluster's queue and is not over |
//! | `locks/`, `scratch/` | OS locks, private folders of living processes |
//! | `logs/`, `quarantine/` | logs of cells; damaged content that was moved out of the way |
//!
//! **Crash safety.** A file gets its final name by rename, after its bytes are on the disk; a
//! receipt comes after everything that it names. Processes may be killed at any point and may
//! commit the same content at once. Where a run waits for the disk in place of its workers, small results have
//! their names before that: then their blobs carry another mark, by which nobody believes them without a hash
//! ([`Store::settle`]).
//!
//! **Trust.** [`Store::files`] hashes every byte before it hands content out. [`Store::receipt`]
//! hashes manifests and checks the files by their stat: a blob's modification time carries a mark
//! that is derived from its digest (the sub-second part), so that any later write shows, without
//! an index that processes would have to share. A blob whose mark or size is off is hashed; if it
//! is good it gets its mark back, otherwise it goes to the quarantine. A store copied without
//! times is therefore right but slow the first time, and a file system that drops microseconds
//! costs a hash each time. Bits that rot on the disk keep their stat: `files` and
//! [`Store::check`] find those. What is no plain file where one has to be goes to the quarantine, too,
//! and is as none. By the quarantine, [`Store::export`] knows which of its hard links are bad.

mod beyond;
mod blobs;
mod commit;
mod damage;
mod durable;
mod export;
mod gc;
pub(crate) mod hash;
mod journals;
mod last;
mod locks;
mod manifest;
mod materialise;
mod numbers;
mod parallel;
mod queue;
mod receipts;
mod runs;
mod scratch;
mod settle;
mod snapshot;
mod stale;
mod stat_index;
mod usage;
mod walk;

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::error::IoResultExt;
use crate::store::{Claim, Receipt, Remote, Results};
use crate::system::{self, files};
use crate::{CellId, Digest, Error, Files, Result};

pub use commit::Imported;
pub use damage::Damage;
pub use gc::{GcLimits, GcReport};
pub(crate) use journals::Writer as JournalWriter;
pub use locks::KeyLock;
#[cfg(test)]
pub(crate) use locks::are_off as locks_are_off;
pub use queue::Submissions;
pub use runs::RunLog;
pub use scratch::Scratch;
pub use snapshot::{Changes, Snapshot};
pub use usage::{CheckReport, Count, Usage};

/// The format that this version writes, and the newest that it reads.
const FORMAT: u32 = 1;

/// A store. Clones share it; it can be used from many threads and processes.
///
/// While it is open it holds a shared lock on the store, so that [`Store::gc`] of another process
/// keeps out.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
    /// What is asked for what this machine does not hold.
    remote: Option<Arc<dyn Remote>>,
    /// Whether someone else waits for the disk ([`Store::settle`]).
    deferred: bool,
}

struct Inner {
    root: PathBuf,
    /// Shared while open; exclusive during `gc`.
    lock: File,
    /// The folder `blobs`, for short paths.
    blobs: files::Folder,
    damage: Mutex<Vec<Damage>>,
    quarantined: Mutex<damage::Quarantined>,
    /// Scratch folders and key locks of this process that are alive.
    busy: Arc<AtomicUsize>,
    /// Folder of temporary files, made when first needed.
    private: Mutex<Option<Scratch>>,
    temporary: AtomicU64,
    /// Whether a reflink failed: the file system has none.
    no_reflink: AtomicBool,
    /// What deferring clones found to be pending.
    pending: Mutex<BTreeSet<Digest>>,
    /// Whether this process may write to the store.
    writable: bool,
    /// The number of the store's file system.
    device: Option<u64>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Store({})", self.inner.root.display())
    }
}

impl Store {
    /// Opens the store at `root`, makes what is missing, and removes scratch folders of processes
    /// that died. Waits while a `gc` is at work.
    ///
    /// # Errors
    /// The store has a newer format, or the folder cannot be made or written.
    pub fn open(root: &Path) -> Result<Self> {
        let root = std::path::absolute(root).at(root)?;
        let format = root.join("format");
        match std::fs::read_to_string(&format) {
            Ok(text) => check_format(&format, &text)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => create(&root)?,
            Err(error) => return Err(Error::io(format, error)),
        }
        let lock = locks::open(&root.join("locks/store"))?;
        system::locks::lock_shared(&lock).at(root.join("locks/store"))?;
        scratch::remove_stale(&root.join("scratch"), true);
        let writable = files::is_writable(&root.join("scratch"));
        Ok(Self {
            remote: None,
            deferred: false,
            inner: Arc::new(Inner {
                blobs: files::Folder::open(&root.join("blobs")).at(root.join("blobs"))?,
                damage: Mutex::default(),
                quarantined: Mutex::default(),
                busy: Arc::default(),
                private: Mutex::default(),
                temporary: AtomicU64::new(0),
                no_reflink: AtomicBool::new(false),
                pending: Mutex::default(),
                writable,
                device: Some(files::Identity::of(&lock).at(root.join("locks"))?.device),
                lock,
                root,
            }),
        })
    }

    /// The results that runs, executors and workers share: those of this very store.
    pub fn results(&self) -> &dyn Results {
        self
    }

    /// The store's folder, absolute.
    pub fn root(&self) -> &Path {
        &self.inner.root
    }

    /// Where a cell with this key keeps what an interrupted run can go on from. It may not exist.
    pub fn checkpoint(&self, key: &Digest) -> PathBuf {
        self.root().join("checkpoints").join(key.hex())
    }

    /// Removes the checkpoint of `key`, if there is one.
    pub fn remove_checkpoint(&self, key: &Digest) -> Result<()> {
        let folder = self.checkpoint(key);
        scratch::remove_tree(&folder).at(folder)
    }

    /// The log of a cell's last run. Its folder exists afterwards.
    pub fn log_path(&self, pipeline: &str, cell: &CellId) -> PathBuf {
        let folder = self.root().join("logs").join(file_name(pipeline));
        let path = folder.join(format!("{}.log", cell.file_name()));
        // Opening the log tells what is wrong when this fails.
        if std::fs::create_dir_all(&folder).is_err() {
            let _ = self.clear_folders(&path);
            let _ = std::fs::create_dir_all(&folder);
        }
        let _ = self.open_file(None, &path);
        path
    }

    fn blob(&self, digest: &Digest) -> PathBuf {
        self.two_level("blobs", &digest.hex())
    }

    fn receipt_path(&self, key: &Digest) -> PathBuf {
        let mut path = self.two_level("receipts", &key.hex());
        path.as_mut_os_string().push(".json");
        path
    }

    fn two_level(&self, folder: &str, hex: &str) -> PathBuf {
        let mut path = PathBuf::with_capacity(self.root().as_os_str().len() + 90);
        path.push(self.root());
        path.push(folder);
        path.push(&hex[..2]);
        path.push(hex);
        path
    }

    /// A fresh name for a temporary file on the store's file system. The file is gone with the
    /// process, or with the next one.
    fn temporary(&self) -> Result<PathBuf> {
        let mut private = crate::mutex::relock(&self.inner.private);
        let folder = match private.as_ref() {
            Some(scratch) => scratch,
            None => private.insert(scratch::create(&self.root().join("scratch"), "tmp", None)?),
        };
        let number = self.inner.temporary.fetch_add(1, Ordering::Relaxed);
        Ok(folder.path().join(number.to_string()))
    }
}

impl Results for Store {
    fn receipt(&self, key: &Digest) -> Result<Option<Receipt>> {
        Self::receipt(self, key)
    }

    fn recorded(&self, key: &Digest) -> Result<Option<Receipt>> {
        Self::recorded(self, key)
    }

    fn is_damaged(&self, key: &Digest) -> Result<bool> {
        Self::is_damaged(self, key)
    }

    fn put_receipt(&self, receipt: &Receipt) -> Result<()> {
        Self::put_receipt(self, receipt)
    }

    fn files(&self, tree: &Digest) -> Result<Files> {
        Self::files(self, tree)
    }

    fn import(&self, folder: &Path) -> Result<Imported> {
        Self::import(self, folder)
    }

    fn claim(&self, key: &Digest) -> Result<Option<Claim>> {
        let Some(lock) = self.try_lock_key(key)? else { return Ok(None) };
        let Some(remote) = &self.remote else { return Ok(Some(Box::new(lock))) };
        Ok(remote.claim(key)?.map(|claim| Box::new((claim, lock)) as Claim))
    }
}

fn check_format(path: &Path, text: &str) -> Result<()> {
    match text.trim().parse::<u32>() {
        Ok(format) if format <= FORMAT => Ok(()),
        Ok(format) => Err(Error::message(format!(
            "{}: the store has format {format}, and this version of sconce reads formats up to \
             {FORMAT}: use a newer sconce, or another store (SCONCE_STORE)",
            path.display()
        ))),
        Err(_) => Err(Error::message(format!(
            "{}: expected the number of the store's format, found `{}`",
            path.display(),
            text.trim().chars().take(40).collect::<String>()
        ))),
    }
}

fn create(root: &Path) -> Result<()> {
    for folder in [
        "blobs",
        "receipts",
        "checkpoints",
        "journals",
        "last",
        "stat-index",
        "views",
        "locks",
        "scratch",
        "logs",
        "quarantine",
    ] {
        let folder = root.join(folder);
        std::fs::create_dir_all(&folder).at(&folder)?;
    }
    // Two processes may be here at once: each writes its own file and renames it.
    let temporary = root.join(format!("format.{}", std::process::id()));
    durable::write_new(&temporary, format!("{FORMAT}\n").as_bytes())?;
    let format = root.join("format");
    match files::rename(&temporary, &format) {
        // Another thread of this process was here, or a process of the same number elsewhere.
        Err(_) if format.is_file() => {}
        other => other.at(&format)?,
    }
    durable::sync_folder(root)
}

/// A text as one file name: unusual characters replaced, with a short digest where that happened.
fn file_name(text: &str) -> String {
    CellId {
        stage: if text.is_empty() || text.starts_with('.') {
            format!("_{text}~")
        } else {
            text.to_owned()
        },
        coordinates: crate::Coordinates::none(),
    }
    .file_name()
}

#[cfg(test)]
mod tests;
