//! What lies beyond this machine: asking the remote store, taking in what it sends, and what is known of
//! it.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;

use super::blobs::Mark;
use super::commit::Staged;
use super::damage::damaged;
use super::{Store, durable, manifest, parallel, receipts, walk};
use crate::error::IoResultExt;
use crate::store::{Receipt, Remote};
use crate::system::files;
use crate::{Digest, Error, Member, Result};

/// From so many on, receipts wait for the disk together.
const MANY: usize = 64;

impl Store {
    /// This store with one behind it that several machines share. What is not here is looked for there,
    /// and content comes over when it is read.
    #[must_use]
    pub fn with_remote(self, remote: Arc<dyn Remote>) -> Self {
        Self { remote: Some(remote), ..self }
    }

    /// The store of this machine alone.
    #[must_use]
    pub fn alone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), remote: None, deferred: self.deferred }
    }

    /// What is behind this store.
    pub fn remote(&self) -> Option<&Arc<dyn Remote>> {
        self.remote.as_ref()
    }

    /// Asks the remote store for all of these keys at once, as far as they are not here: later looks
    /// at each of them need not.
    pub fn ask_ahead(&self, keys: &[Digest]) -> Result<()> {
        let Some(remote) = &self.remote else { return Ok(()) };
        let is_unknown = |key: &&Digest| !self.receipt_path(key).exists();
        let unknown: Vec<Digest> = keys.iter().filter(is_unknown).copied().collect();
        if unknown.len() > 1 {
            remote.find(&self.alone(), &unknown)?;
        }
        Ok(())
    }

    /// Makes the content of a result be here. False when that cannot be.
    pub fn have(&self, receipt: &Receipt) -> Result<bool> {
        let mut text = Vec::new();
        for output in receipt.outputs.values() {
            if self.is_beyond(&output.digest) && self.bring(&output.digest)? {
                continue;
            }
            if !self.holds_tree(&output.digest, &mut text)? && !self.bring(&output.digest)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether the content of a result is here, without a look at each file.
    pub fn is_here(&self, receipt: &Receipt) -> bool {
        receipt.outputs.values().all(|output| self.blob(&output.digest).exists())
    }

    /// The remote store's receipt.
    pub(super) fn find(&self, key: &Digest) -> Result<Option<Receipt>> {
        let Some(remote) = &self.remote else { return Ok(None) };
        Ok(remote.find(&self.alone(), std::slice::from_ref(key))?.pop().flatten())
    }

    /// Whether a tree is not here, and is known to be in the remote store. The manifest is what comes
    /// last.
    pub(super) fn is_beyond(&self, tree: &Digest) -> bool {
        let has = |remote: &Arc<dyn Remote>| remote.has(&self.alone(), tree);
        self.remote.as_ref().is_some_and(|remote| !self.blob(tree).exists() && has(remote))
    }

    /// Brings a tree whose manifest is not here, if it is known to be in the remote store.
    pub(super) fn bring_missing(&self, tree: &Digest) -> Result<()> {
        // What cannot be brought is no damage of this store: it is not noted as such.
        if self.is_beyond(tree) && !self.bring(tree)? {
            return Err(damaged(tree, &self.blob(tree)));
        }
        Ok(())
    }

    /// Brings what is missing of a tree. False when that cannot be.
    pub(crate) fn bring(&self, tree: &Digest) -> Result<bool> {
        let Some(remote) = &self.remote else { return Ok(false) };
        let alone = self.alone();
        if !remote.has(&alone, tree) {
            return Ok(false);
        }
        match remote.bring(&alone, &[*tree]) {
            Ok(()) => Ok(true),
            Err(Error::Damaged { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Takes in content that came from elsewhere: files, and manifests of trees whose files are here
    /// or among these.
    ///
    /// # Errors
    /// [`Error::Damaged`] where bytes are not what their digest says: nothing was taken in.
    pub fn adopt(&self, contents: &[(Digest, &[u8])]) -> Result<()> {
        let stage = |&(digest, bytes): &(Digest, &[u8])| -> Result<Staged> {
            if Digest::of(bytes) != digest {
                return Err(damaged(&digest, &self.blob(&digest)));
            }
            let path = self.temporary()?;
            std::fs::write(&path, bytes).at(&path)?;
            Ok(Staged { digest, path, sealed: false })
        };
        let staged: Result<Vec<_>> =
            parallel::map(parallel::FILES, contents, stage).into_iter().collect();
        self.publish(staged?, Mark::Durable)
    }

    /// Takes in a file on this store's file system, which is gone afterwards.
    ///
    /// # Errors
    /// [`Error::Damaged`] where its bytes are not what the digest says: the file stays.
    pub fn adopt_file(&self, digest: &Digest, path: PathBuf) -> Result<()> {
        if Digest::of_file(&path).at(&path)? != *digest {
            return Err(damaged(digest, &path));
        }
        self.publish(vec![Staged { digest: *digest, path, sealed: false }], Mark::Durable)
    }

    /// Whether content of this digest and size is here, unchanged.
    pub fn has_content(&self, digest: &Digest, size: u64) -> Result<bool> {
        // Not `holds`: what is not here is no damage.
        Ok(self.blob(digest).exists() && self.holds(&Member { digest: *digest, size })?)
    }

    /// Part of some content, from `offset`, as long as `bytes`. It is not verified here.
    pub fn read_content(&self, digest: &Digest, offset: u64, bytes: &mut [u8]) -> Result<()> {
        let path = self.blob(digest);
        let mut file = File::open(&path).at(&path)?;
        file.seek(SeekFrom::Start(offset)).at(&path)?;
        file.read_exact(bytes).at(&path)
    }

    /// The text of a tree's manifest, which is here, verified.
    pub fn manifest(&self, tree: &Digest) -> Result<Vec<u8>> {
        let mut text = Vec::new();
        self.read_manifest(tree, &mut text)?;
        Ok(text)
    }

    /// The files that a manifest lists, in its order; none when it is no manifest.
    pub fn members_of(manifest: &[u8]) -> Option<Vec<Member>> {
        let entries = manifest::entries(manifest)?;
        Some(entries.into_iter().map(|(_, member)| member).collect())
    }

    /// Records several finished cells, whose content is here or known to be elsewhere.
    pub fn put_receipts(&self, receipts: &[Receipt]) -> Result<()> {
        if receipts.len() < MANY {
            return receipts.iter().try_for_each(|receipt| self.put_receipt(receipt));
        }
        let write = |receipt: &Receipt| -> Result<_> {
            let path = self.temporary()?;
            std::fs::write(&path, receipts::encode(receipt)?).at(&path)?;
            Ok((path, self.receipt_path(&receipt.key)))
        };
        let written: Result<Vec<_>> =
            parallel::map(parallel::FILES, receipts, write).into_iter().collect();
        let written = written?;
        if !self.sync_file_system() {
            let sync =
                |path: &PathBuf| File::open(path).and_then(|file| files::sync(&file)).at(path);
            written.iter().try_for_each(|(from, _)| sync(from))?;
        }
        written.iter().try_for_each(|(from, to)| self.rename(from, to))?;
        if !self.sync_file_system() {
            let folders: std::collections::BTreeSet<_> =
                written.iter().filter_map(|(_, to)| to.parent()).collect();
            folders.into_iter().try_for_each(durable::sync_folder)?;
        }
        Ok(())
    }

    /// What is noted under a name about the remote store; none when nothing is.
    pub fn remote_note(&self, remote: &str, name: &str) -> Option<Vec<u8>> {
        std::fs::read(self.note_path(remote, name)).ok()
    }

    /// Whether something is noted under a name, and for how many seconds.
    pub fn remote_note_age(&self, remote: &str, name: &str) -> Option<f64> {
        let modified =
            std::fs::metadata(self.note_path(remote, name)).and_then(|note| note.modified());
        Some(modified.ok()?.elapsed().unwrap_or_default().as_secs_f64())
    }

    /// Notes something about the remote store. A store that cannot be written goes without.
    pub fn note_remote(&self, remote: &str, name: &str, bytes: &[u8]) -> Result<()> {
        self.write_cache(&self.note_path(remote, name), bytes)
    }

    /// Adds to what is noted under a name. Several processes may, each in pieces of its own.
    pub fn add_to_remote_note(&self, remote: &str, name: &str, bytes: &[u8]) -> Result<()> {
        use std::io::Write;
        if !self.inner.writable {
            return Ok(());
        }
        let path = self.note_path(remote, name);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).at(folder)?;
        }
        let mut file = File::options().append(true).create(true).open(&path).at(&path)?;
        file.write_all(bytes).at(&path)
    }

    /// Forgets what is noted under a name.
    pub fn forget_remote_note(&self, remote: &str, name: &str) {
        let _ = std::fs::remove_file(self.note_path(remote, name));
    }

    /// The names noted in a folder of notes.
    pub fn remote_notes(&self, remote: &str, folder: &str) -> Vec<String> {
        walk::names(&self.note_path(remote, folder)).unwrap_or_default()
    }

    /// Where an unfinished download of this content is kept; its folder exists.
    pub fn unfinished(&self, digest: &Digest) -> Result<PathBuf> {
        let folder = self.root().join("remote").join("unfinished");
        durable::create_folder(&folder)?;
        Ok(folder.join(digest.hex()))
    }

    fn note_path(&self, remote: &str, name: &str) -> PathBuf {
        self.root().join("remote").join(remote).join(name)
    }
}
