//! The remote store as the engine sees it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use sconce_core::store::{Claim, Receipt, Remote};
use sconce_core::{Digest, Result, Store};

use crate::bucket::{Bucket, Calls, Trouble};
use crate::collect::{self, Collected, Limits};
use crate::link::{Link, OWED, owed_note, relock};
use crate::location::{Environment, Location};
use crate::push::Pushed;
use crate::{claim, fetch, push};

/// What this machine may do with the remote store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Take results from it and put results there.
    Full,
    /// Take results from it.
    ReadOnly,
}

/// A store that machines share.
pub struct Shared {
    pub(crate) inner: Arc<Link>,
    pusher: Mutex<Option<Pusher>>,
}

/// The thread that puts results there while a run goes on.
struct Pusher {
    offers: Sender<(Receipt, bool)>,
    thread: JoinHandle<Pushed>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shared({})", self.inner.place())
    }
}

impl Shared {
    /// The store at `location`, behind the store of this machine. Nobody is asked yet. `environment` holds
    /// the variables that tell credentials and addresses: those that begin with `AWS_`, `GOOGLE_` and
    /// `AZURE_`, and `HOME`.
    pub fn new(
        location: Location,
        environment: BTreeMap<String, String>,
        access: Access,
        store: Store,
    ) -> Self {
        let name = location.to_string();
        Self::over(name, access, store, move || location.open(&environment as &Environment))
    }

    pub(crate) fn over(
        location: String,
        access: Access,
        store: Store,
        open: impl Fn() -> Result<Bucket, Trouble> + Send + Sync + 'static,
    ) -> Self {
        let inner = Link::new(location, access, &store, open);
        Self { inner: Arc::new(inner), pusher: Mutex::new(None) }
    }

    /// Its address.
    pub fn address(&self) -> &str {
        self.inner.place()
    }

    /// Whether it can be reached and used: what the service is like, in words.
    ///
    /// # Errors
    /// It cannot: why not.
    pub fn probe(&self) -> Result<String> {
        let inner = &self.inner;
        let describe = || -> Result<String, Trouble> {
            inner.ready()?;
            Ok(match inner.access {
                Access::ReadOnly => "reachable, only read".to_owned(),
                Access::Full if inner.keeps_conditions()? => {
                    "reachable, with conditional put".to_owned()
                }
                Access::Full => {
                    "reachable, without conditional put: nothing keeps two machines from \
                                 computing the same"
                        .to_owned()
                }
            })
        };
        describe().map_err(|trouble| inner.error(&trouble))
    }

    /// Puts these results there, as far as they are not, and returns when that is done.
    ///
    /// # Errors
    /// The service cannot be reached or refuses; some of it may be there, and is not put again.
    pub fn push(&self, receipts: &[Receipt], replace: bool) -> Result<Pushed> {
        push::push(&self.inner, receipts, replace)
    }

    /// Keeps these results from being collected, under a name.
    ///
    /// # Errors
    /// The service cannot be reached or refuses.
    pub fn pin(&self, name: &str, keys: &BTreeSet<Digest>) -> Result<()> {
        let bytes = serde_json::to_vec(keys)?;
        let put = || self.inner.ready()?.put(&format!("pins/{name}"), bytes.into());
        put().map_err(|trouble| self.inner.error(&trouble))
    }

    /// Removes what the limits let go; never what a pin or a living claim may need.
    ///
    /// # Errors
    /// The service cannot be reached or refuses; some of it may be gone.
    pub fn collect(&self, limits: &Limits) -> Result<Collected> {
        collect::collect(&self.inner, limits)
    }

    /// Offers what earlier processes computed and did not come to put there: they were killed, the service
    /// did not answer, or they were jobs of a cluster whose run had ended.
    ///
    /// # Errors
    /// The store of this machine cannot be read.
    pub fn offer_owed(&self) -> Result<()> {
        let inner = &self.inner;
        if inner.access == Access::ReadOnly {
            return Ok(());
        }
        for name in inner.store.remote_notes(&inner.id, OWED) {
            let key = format!("blake3:{name}").parse::<Digest>();
            match key.ok().map(|key| inner.store.receipt(&key)).transpose()?.flatten() {
                Some(receipt) => self.offer(&receipt, false),
                // It was killed before its receipt, or the result is gone again.
                None => inner.store.forget_remote_note(&inner.id, &format!("{OWED}/{name}")),
            }
        }
        Ok(())
    }

    /// Waits until all that was offered is there. What went wrong is told.
    pub fn finish(&self) -> Pushed {
        let Some(Pusher { offers, thread }) = relock(&self.pusher).take() else {
            return Pushed::default();
        };
        drop(offers);
        thread.join().unwrap_or_default()
    }

    /// How many of the results that were offered are still to be put there.
    pub fn waiting(&self) -> usize {
        self.inner.waiting.load(Ordering::SeqCst)
    }

    /// The calls that this process has made.
    pub fn calls(&self) -> Calls {
        self.inner.opened().map_or_else(Calls::default, Bucket::calls)
    }

    /// Bytes of content that were moved, and those that are to be moved as far as is known.
    pub fn progress(&self) -> (u64, u64) {
        let read = |number: &AtomicU64| number.load(Ordering::Relaxed);
        (read(&self.inner.moved), read(&self.inner.expected))
    }
}

impl Remote for Shared {
    fn find(&self, store: &Store, keys: &[Digest]) -> Result<Vec<Option<Receipt>>> {
        self.inner.find(store, keys)
    }

    fn has(&self, store: &Store, tree: &Digest) -> bool {
        !self.inner.is_down() && fetch::noted(&self.inner, store, tree).is_some()
    }

    fn bring(&self, store: &Store, trees: &[Digest]) -> Result<()> {
        for tree in trees {
            fetch::bring(&self.inner, store, tree)?;
        }
        Ok(())
    }

    fn offer(&self, receipt: &Receipt, replace: bool) {
        if self.inner.access == Access::ReadOnly {
            return;
        }
        let mut pusher = relock(&self.pusher);
        let pusher = pusher.get_or_insert_with(|| {
            let (offers, receiver) = channel();
            let inner = Arc::clone(&self.inner);
            Pusher { offers, thread: std::thread::spawn(move || push_offers(&inner, &receiver)) }
        });
        self.inner.waiting.fetch_add(1, Ordering::SeqCst);
        // The thread ends when this end is dropped, and not before.
        let _ = pusher.offers.send((receipt.clone(), replace));
    }

    fn owe(&self, key: &Digest) {
        if self.inner.access == Access::Full {
            // Without the note `sconce push` still finds it.
            let _ = self.inner.store.note_remote(&self.inner.id, &owed_note(key), b"");
        }
    }

    fn claim(&self, key: &Digest) -> Result<Option<Claim>> {
        claim::claim(&self.inner, key)
    }

    fn is_damaged(&self, _store: &Store, key: &Digest) -> bool {
        self.inner.is_found_damaged(key)
    }

    fn take_told(&self) -> Vec<String> {
        self.inner.take_told()
    }
}

/// Puts what is offered there: all that has gathered at once.
fn push_offers(inner: &Arc<Link>, offers: &Receiver<(Receipt, bool)>) -> Pushed {
    let mut all = Pushed::default();
    while let Ok(first) = offers.recv() {
        let (mut fresh, mut replacing) = (Vec::new(), Vec::new());
        for (receipt, replace) in std::iter::once(first).chain(offers.try_iter()) {
            let place = if replace { &mut replacing } else { &mut fresh };
            place.push(receipt);
        }
        for (receipts, replace) in [(fresh, false), (replacing, true)] {
            if receipts.is_empty() {
                continue;
            }
            match push::push(inner, &receipts, replace) {
                Ok(pushed) => all.add(pushed),
                Err(error) => {
                    all.failed += receipts.len();
                    inner.tell(error.to_string());
                }
            }
            inner.waiting.fetch_sub(receipts.len(), Ordering::SeqCst);
        }
    }
    all
}
