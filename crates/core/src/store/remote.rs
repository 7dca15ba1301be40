//! What lies beyond this machine: results that several machines share.

use super::{Claim, Receipt, Store};
use crate::{Digest, Result};

/// A store of several machines, behind the one of this machine: it is asked for what this machine does
/// not hold, and gets what this machine computes ([`Store::with_remote`]).
///
/// What is unreachable is as empty: it never fails a run that can go on without it, and is told once
/// ([`Remote::take_told`]). What the user has to put right is an error: wrong credentials, a bucket
/// that is not there. `store` is always the store of this machine alone.
pub trait Remote: Send + Sync {
    /// The receipts of these keys, in their order, all asked for at once. What is found is noted in
    /// `store`: its receipt, where its content is, and small content itself.
    fn find(&self, store: &Store, keys: &[Digest]) -> Result<Vec<Option<Receipt>>>;

    /// Whether an earlier look found this tree there. Asks nobody.
    fn has(&self, store: &Store, tree: &Digest) -> bool;

    /// Brings these trees, every byte of which is verified. What is there already is not asked for.
    ///
    /// # Errors
    /// [`Error::Damaged`](crate::Error::Damaged) where some of it is missing, bad or unreachable:
    /// whoever needs it computes it again.
    fn bring(&self, store: &Store, trees: &[Digest]) -> Result<()>;

    /// A result that this machine has computed, to be put there while the run goes on; `replace` what
    /// is there already.
    fn offer(&self, receipt: &Receipt, replace: bool);

    /// Notes on this machine that a result is still to be put there: a later run offers it, should this
    /// process come to its end before. Asks nobody.
    fn owe(&self, key: &Digest);

    /// The right among all machines to compute `key`; none while another has it.
    fn claim(&self, key: &Digest) -> Result<Option<Claim>>;

    /// Whether what is there of `key` was found bad and has not been put again.
    fn is_damaged(&self, store: &Store, key: &Digest) -> bool;

    /// What went wrong since the last call, each thing once.
    fn take_told(&self) -> Vec<String>;
}
