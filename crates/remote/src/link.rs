//! The link of a process to a service: opened at the first question, what is known of it, and what was told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use sconce_core::store::Receipt;
use sconce_core::{Digest, Error, Result, Store};

use crate::bucket::{Bucket, Trouble};
use crate::fetch;
use crate::index::{self, Places};
use crate::shared::Access;

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
pub(crate) const OWED: &str = "owed";

const FORMAT: &str = "sconce remote 1\n";

/// A link to a service.
pub(crate) struct Link {
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
    pub(crate) waiting: AtomicUsize,
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

impl Link {
    /// A link that `open` opens at the first question, from the machine that has `store`.
    pub(crate) fn new(
        location: String,
        access: Access,
        store: &Store,
        open: impl Fn() -> Result<Bucket, Trouble> + Send + Sync + 'static,
    ) -> Self {
        Self {
            id: Digest::of(location.as_bytes()).hex()[..16].to_owned(),
            location,
            access,
            store: store.alone(),
            open: Box::new(open),
            bucket: OnceLock::new(),
            state: Mutex::default(),
            moved: AtomicU64::new(0),
            expected: AtomicU64::new(0),
            waiting: AtomicUsize::new(0),
        }
    }

    /// The bucket, where it was opened.
    pub(crate) fn opened(&self) -> Option<&Bucket> {
        self.bucket.get()?.as_ref().ok()
    }

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

    /// What was told since the last call.
    pub(crate) fn take_told(&self) -> Vec<String> {
        std::mem::take(&mut self.state().told)
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

    /// The receipts of these keys, as [`Remote::find`](sconce_core::store::Remote::find) says.
    pub(crate) fn find(&self, store: &Store, keys: &[Digest]) -> Result<Vec<Option<Receipt>>> {
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

/// The note of a result that is owed.
pub(crate) fn owed_note(key: &Digest) -> String {
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
