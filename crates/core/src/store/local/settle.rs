//! Results that become durable together.
//!
//! A small result is eight waits for the disk: each file and its folder, the manifest and its folder, the
//! receipt and its folder. Many small cells do little else. A worker may leave the waiting to the run that
//! started it ([`Store::deferring`]), which waits for many cells at once, beside those that go on
//! ([`Store::settle`]).
//!
//! Nothing is believed that a loss of power may have taken: until they are on the disk, blobs carry another
//! mark, and who finds one hashes its bytes. A receipt that was torn does not have its checksum. After a mere
//! kill all of it is there, and the next reader waits for what it reads.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use super::blobs::{Mark, mark, set_mark};
use super::{Store, durable, manifest, parallel};
use crate::error::IoResultExt;
use crate::mutex::relock;
use crate::store::Receipt;
use crate::system::files;
use crate::{Digest, Result};

/// From so many files on, one wait for the whole file system is quicker than one for each.
const MANY: usize = if cfg!(test) { 20 } else { 64 };

impl Store {
    /// This store without waits for the disk where results are small: someone has to call
    /// [`Store::settle`] with them. What it finds pending when it reads is for a later call, too.
    #[must_use]
    pub fn deferring(&self) -> Self {
        Self { deferred: true, ..self.clone() }
    }

    /// This store with its waits for the disk.
    #[must_use]
    pub(crate) fn waiting(&self) -> Self {
        Self { deferred: false, ..self.clone() }
    }

    /// Waits until results are on the disk that a [deferring](Store::deferring) store took in, and what
    /// clones of this one found pending.
    ///
    /// # Errors
    /// The disk does not take them. They are not marked as durable then.
    pub fn settle(&self, receipts: &[Receipt]) -> Result<()> {
        let found = std::mem::take(&mut *relock(&self.inner.pending));
        let named = receipts.iter().flat_map(|receipt| self.content(receipt));
        let pending: BTreeSet<Digest> =
            found.into_iter().chain(named).filter(|digest| self.is_pending(digest)).collect();
        if pending.is_empty() && receipts.is_empty() {
            return Ok(());
        }
        let _span = tracing::debug_span!("settle", results = receipts.len()).entered();
        let written = receipts.iter().map(|receipt| self.receipt_path(&receipt.key));
        let blobs = pending.iter().map(|digest| self.blob(digest));
        let files: Vec<PathBuf> = blobs.chain(written).collect();
        if files.len() < MANY || !self.sync_file_system() {
            self.sync_each(&files)?;
        }
        for digest in &pending {
            if let Some(file) = open(&self.blob(digest))? {
                // In a store of another user this fails, and the next look hashes again.
                let _ = set_mark(&file, Mark::Durable, digest);
            }
        }
        Ok(())
    }

    /// A result's manifests and files. What is gone by now, or bad, is for its reader to tell.
    fn content(&self, receipt: &Receipt) -> Vec<Digest> {
        let mut content = Vec::new();
        for output in receipt.outputs.values() {
            content.push(output.digest);
            let text = std::fs::read(self.blob(&output.digest)).unwrap_or_default();
            let members = manifest::entries(&text).unwrap_or_default();
            content.extend(members.iter().map(|(_, member)| member.digest));
        }
        content
    }

    fn is_pending(&self, digest: &Digest) -> bool {
        let metadata = std::fs::symlink_metadata(self.blob(digest));
        metadata.is_ok_and(|metadata| mark(&metadata, digest) == Some(Mark::Pending))
    }

    fn sync_each(&self, files: &[PathBuf]) -> Result<()> {
        let sync = |path: &PathBuf| -> Result<()> {
            open(path)?.map_or(Ok(()), |file| files::sync(&file).at(path))
        };
        // Waits at the same time share one of the disk.
        parallel::map(1, files, sync).into_iter().collect::<Result<()>>()?;
        let above = |path: &PathBuf| path.parent().map(Path::to_owned);
        let mut folders: BTreeSet<PathBuf> = files.iter().filter_map(above).collect();
        folders.extend(["blobs", "receipts"].map(|folder| self.root().join(folder)));
        let folders: Vec<PathBuf> = folders.into_iter().collect();
        let sync = |folder: &PathBuf| durable::sync_folder(folder);
        parallel::map(1, &folders, sync).into_iter().collect()
    }
}

/// A file that may be gone by now.
fn open(path: &Path) -> Result<Option<File>> {
    match File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        other => other.at(path).map(Some),
    }
}
