//! The remote store as the engine sees it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use sconce_core::store::{Claim, Receipt, Remote};
use sconce_core::{Digest, Error, Result, Store};

use crate::bucket::{Bucket, Calls, Trouble};
use crate::collect::{self, Collected, Limits};
use crate::index::{self, Places};
use crate::location::{Environment, Location};
use crate::push::Pushed;
use crate::{claim, fetch, push};

/// After a failure the service is left alone for so long.
const PAUSE: Duration = Duration::from_secs(30);
/// A list of the indices is good for so long.
const FRESH: Duration = Duration::from_secs(30);
/// What was not there a moment ago is not asked for again.
const MOMENT: Duration = Duration::from_secs(2);
/// Whether another machine is done with a key is asked this often.
const POLL: Duration = Duration::from_millis(500);
/// What was found out about the service is good for so many seconds.
const DAY: f64 = 24.0 * 3600.0;

/// Notes of results that are still to be put there.
const OWED: &str = "owed";

const FORMAT: &str = "sconce remote 1\n";

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
    pub(crate) inner: Arc<Inner>,
    pusher: Mutex<Option<Pusher>>,
}

/// The thread that puts results there while a run goes on.
struct Pusher {
    offers: Sender<(Receipt, bool)>,
    thread: JoinHandle<Pushed>,
}

pub(crate) struct Inner {
    location: String,
    /// What its notes in the store of this machine are called by.
    pub(crate) id: String,
    pub(crate) access: Access,
    /// The store of this machine alone.
    pub(crate) store: Store,
    open: Box<dyn Fn() -> Result<Bucket, Trouble> + Send + Sync>,
    bucket: OnceLock<Result<Bucket, Trouble>>,
    state: Mutex<State>,
    /// Bytes that were moved, and bytes that are to be moved as far as known.
    pub(crate) moved: AtomicU64,
    pub(crate) expected: AtomicU64,
    /// Results that were offered and are still to be put there.
    waiting: AtomicUsize,
}

#[derive(Default)]
struct State {
    checked: bool,
    down_until: Option<Instant>,
    told: Vec<String>,
    ever_told: BTreeSet<String>,
    places: Option<(Instant, Arc<Places>)>,
    absent: BTreeMap<Digest, Instant>,
    damaged: BTreeSet<Digest>,
    claimed_by_others: BTreeMap<Digest, Instant>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shared({})", self.inner.location)
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
        let id = Digest::of(location.as_bytes()).hex()[..16].to_owned();
        let inner = Inner {
            location,
            id,
            access,
            store: store.alone(),
            open: Box::new(open),
            bucket: OnceLock::new(),
            state: Mutex::default(),
            moved: AtomicU64::new(0),
            expected: AtomicU64::new(0),
            waiting: AtomicUsize::new(0),
        };
        Self { inner: Arc::new(inner), pusher: Mutex::new(None) }
    }

    /// Its address.
    pub fn address(&self) -> &str {
        &self.inner.location
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
        match self.inner.bucket.get() {
            Some(Ok(bucket)) => bucket.calls(),
            _ => Calls::default(),
        }
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
        self.inner.state().damaged.contains(key)
    }

    fn take_told(&self) -> Vec<String> {
        std::mem::take(&mut self.inner.state().told)
    }
}

/// Puts what is offered there: all that has gathered at once.
fn push_offers(inner: &Arc<Inner>, offers: &Receiver<(Receipt, bool)>) -> Pushed {
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

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        relock(&self.state)
    }

    /// What went wrong, once in words.
    pub(crate) fn tell(&self, text: String) {
        let mut state = self.state();
        if state.ever_told.insert(text.clone()) {
            state.told.push(text);
        }
    }

    /// Whether the service did not answer a moment ago, this process or another on this machine.
    pub(crate) fn is_down(&self) -> bool {
        self.state().down_until.is_some_and(|until| Instant::now() < until)
            || self
                .store
                .remote_note_age(&self.id, "down")
                .is_some_and(|age| age < PAUSE.as_secs_f64())
    }

    /// An error that tells the remote store's address.
    pub(crate) fn error(&self, trouble: &Trouble) -> Error {
        Error::message(format!("the remote store {}: {trouble}", self.location))
    }

    /// Goes on without the remote store, where the trouble is not the user's to end.
    pub(crate) fn without(&self, trouble: &Trouble) -> Result<()> {
        match trouble {
            Trouble::Refused(_) => Err(self.error(trouble)),
            Trouble::Down(_) => {
                let location = &self.location;
                self.tell(format!(
                    "the remote store {location} does not answer: {trouble}; going on without it"
                ));
                self.state().down_until = Some(Instant::now() + PAUSE);
                self.store.note_remote(&self.id, "down", b"")
            }
        }
    }

    pub(crate) fn bucket(&self) -> Result<&Bucket, Trouble> {
        self.bucket.get_or_init(|| (self.open)()).as_ref().map_err(Clone::clone)
    }

    /// The bucket, whose format is one that this version reads.
    pub(crate) fn ready(&self) -> Result<&Bucket, Trouble> {
        let bucket = self.bucket()?;
        if self.state().checked
            || self.store.remote_note_age(&self.id, "format").is_some_and(|age| age < DAY)
        {
            return Ok(bucket);
        }
        if let Some(found) = bucket.get("format")? {
            let text = String::from_utf8_lossy(&found);
            match text.strip_prefix("sconce remote ").map(|number| number.trim().parse::<u32>()) {
                Some(Ok(1)) => {}
                Some(Ok(number)) => {
                    return Err(Trouble::Refused(format!(
                        "it has format {number}, and this version of sconce reads format 1: use a newer \
                         sconce, or another prefix"
                    )));
                }
                _ => self.tell(format!("{}/format is damaged", self.location)),
            }
        }
        self.state().checked = true;
        // Without the note it is asked for again the next time.
        let _ = self.store.note_remote(&self.id, "format", FORMAT.as_bytes());
        Ok(bucket)
    }

    /// Whether the service keeps to conditions on a put; told once a day where it does not.
    pub(crate) fn keeps_conditions(&self) -> Result<bool, Trouble> {
        const NOTE: &str = "conditions";
        if self.store.remote_note_age(&self.id, NOTE).is_some_and(|age| age < DAY)
            && let Some(note) = self.store.remote_note(&self.id, NOTE)
        {
            return Ok(note == b"yes");
        }
        let keeps = self.ready()?.keeps_conditions("format", &FORMAT.into())?;
        let note: &[u8] = if keeps { b"yes" } else { b"no" };
        let _ = self.store.note_remote(&self.id, NOTE, note);
        if !keeps {
            self.tell(format!(
                "the remote store {} does not keep to conditions on a put: nothing keeps two machines \
                 from computing the same at once; results are right all the same",
                self.location
            ));
        }
        Ok(keeps)
    }

    /// What is bundled. `anew` asks for it in any case.
    pub(crate) fn places(&self, store: &Store, anew: bool) -> Result<Arc<Places>, Trouble> {
        if let Some((when, places)) = &self.state().places
            && !anew
            && when.elapsed() < FRESH
        {
            return Ok(Arc::clone(places));
        }
        let (places, bad) = index::read(self.ready()?, store, &self.id)?;
        for name in bad {
            self.tell(format!(
                "{}/{name} is damaged; what it tells is computed again",
                self.location
            ));
        }
        let places = Arc::new(places);
        self.state().places = Some((Instant::now(), Arc::clone(&places)));
        Ok(places)
    }

    fn find(&self, store: &Store, keys: &[Digest]) -> Result<Vec<Option<Receipt>>> {
        let mut found = vec![None; keys.len()];
        if self.is_down() {
            return Ok(found);
        }
        let is_asked = |key: &Digest| {
            let absent = self.state().absent.get(key).copied();
            absent.is_none_or(|since| since.elapsed() > MOMENT)
        };
        let asked: Vec<usize> = (0..keys.len()).filter(|&index| is_asked(&keys[index])).collect();
        let wanted: Vec<Digest> = asked.iter().map(|&index| keys[index]).collect();
        let records = match fetch::records(self, store, &wanted) {
            Ok(records) => records,
            Err(trouble) => return self.without(&trouble).map(|()| found),
        };
        let mut good = Vec::with_capacity(records.len());
        for (&index, record) in asked.iter().zip(records) {
            match record {
                Some(record) => {
                    found[index] = Some(record.head.receipt.clone());
                    self.state().damaged.remove(&keys[index]);
                    good.push(record);
                }
                None => _ = self.state().absent.insert(keys[index], Instant::now()),
            }
        }
        fetch::keep(self, store, &good)?;
        Ok(found)
    }

    /// The address, for messages.
    pub(crate) fn place(&self) -> &str {
        &self.location
    }

    /// Whether what is there of this key was found bad.
    pub(crate) fn is_found_damaged(&self, key: &Digest) -> bool {
        self.state().damaged.contains(key)
    }

    /// What is there of this key is bad.
    pub(crate) fn found_damaged(&self, key: &Digest, what: &str) {
        self.state().damaged.insert(*key);
        self.tell_damage(what);
    }

    /// An object is bad, or gone although results name it.
    pub(crate) fn tell_damage(&self, name: &str) {
        let location = &self.location;
        self.tell(format!("{location}/{name} is damaged or gone: what it held is computed again"));
    }

    /// This key's result is there, and was put by us.
    pub(crate) fn was_put(&self, key: &Digest) {
        let mut state = self.state();
        state.damaged.remove(key);
        state.absent.remove(key);
    }

    /// Waits, where another machine was found to compute this key a moment ago: who waits for it asks all
    /// the time.
    pub(crate) fn pause_before_asking_again(&self, key: &Digest) {
        let since = self.state().claimed_by_others.get(key).map(Instant::elapsed);
        if let Some(left) = since.and_then(|since| POLL.checked_sub(since)) {
            std::thread::sleep(left);
        }
    }

    /// These results are there, or will never be: nothing is owed of them.
    pub(crate) fn settle(&self, receipts: &[Receipt]) {
        let owed: BTreeSet<String> = self.store.remote_notes(&self.id, OWED).into_iter().collect();
        for receipt in receipts.iter().filter(|receipt| owed.contains(&receipt.key.hex())) {
            self.store.forget_remote_note(&self.id, &owed_note(&receipt.key));
        }
    }

    pub(crate) fn note_claimed(&self, key: &Digest) {
        self.state().claimed_by_others.insert(*key, Instant::now());
        self.state().absent.remove(key);
    }
}

impl Inner {
    /// What tells this machine's store from others': a lease of its own that a killed process left is no one else's.
    pub(crate) fn machine(&self) -> Result<String> {
        const NOTE: &str = "machine";
        if let Some(Ok(name)) = self.store.remote_note(&self.id, NOTE).map(String::from_utf8) {
            return Ok(name);
        }
        let name = random()?;
        self.store.note_remote(&self.id, NOTE, name.as_bytes())?;
        Ok(name)
    }
}

fn owed_note(key: &Digest) -> String {
    format!("{OWED}/{}", key.hex())
}

/// A text that no other machine has.
pub(crate) fn random() -> Result<String> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(Error::other)?;
    Ok(Digest::of(&random).hex()[..24].to_owned())
}

/// Seconds since 1970.
#[expect(clippy::disallowed_methods, reason = "leases of several machines need a common clock")]
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

/// Locks, also after a thread panicked meanwhile: what is kept here is right between any two steps.
pub(crate) fn relock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
