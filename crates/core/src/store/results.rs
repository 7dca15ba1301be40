//! What a run needs of a store that machines share: results by key.

use std::path::Path;

use super::{Imported, Receipt};
use crate::{Digest, Files, Result};

/// The right to compute one key, given back when it is dropped.
pub type Claim = Box<dyn Send>;

/// Results by key: all that a run, an executor and the workers of several machines have to agree on.
///
/// [`Store`](super::Store) is one on a file system. One behind a network is one more implementation,
/// which may use a [`Store`](super::Store) of this machine to keep what it fetched. What belongs to
/// one machine is no part of it: scratch, checkpoints, logs, snapshots of local files, the human view.
///
/// Every implementation passes the tests of `store/conformance.rs`. The rules:
///
/// - A receipt is handed out only while all content that it names is there; it is put last.
/// - Content is what its digest says. What is bad is never handed out: [`Error::Damaged`].
/// - Everything can be repeated, and done by several at once: the same content and the same receipt
///   put twice are one. A claim saves work; results are right without it.
///
/// [`Error::Damaged`]: crate::Error::Damaged
pub trait Results: Send + Sync {
    /// The receipt of `key`, if there is one and all that it names is there.
    fn receipt(&self, key: &Digest) -> Result<Option<Receipt>>;

    /// The receipt of `key` as it was recorded, whether or not the content is still there.
    fn recorded(&self, key: &Digest) -> Result<Option<Receipt>>;

    /// Whether what was recorded of `key`, or content that it names, was found bad and has not been
    /// put again.
    fn is_damaged(&self, key: &Digest) -> Result<bool>;

    /// Records a finished cell, whose outputs are there. It replaces what was recorded.
    fn put_receipt(&self, receipt: &Receipt) -> Result<()>;

    /// The verified content of a tree, as files of this machine.
    ///
    /// # Errors
    /// [`Error::Damaged`](crate::Error::Damaged) when some of it is missing or bad.
    fn files(&self, tree: &Digest) -> Result<Files>;

    /// Brings the files below a folder in, which may be moved away.
    fn import(&self, folder: &Path) -> Result<Imported>;

    /// The right to compute `key`; none while another process or thread has it.
    fn claim(&self, key: &Digest) -> Result<Option<Claim>>;
}
