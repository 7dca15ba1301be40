//! Waiting for the disk, behind the cells and for many at once.

use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use crate::mutex::{relock, rewait, rewait_for};
use crate::store::{Receipt, Store};

/// So long a group gathers: results of one folder, and files of one wait, are many then.
const GATHER: Duration = Duration::from_secs(1);

/// Makes results durable group by group: while one group is waited for, the next one gathers.
pub(super) struct Settler {
    store: Store,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<Receipt>,
    at_work: bool,
    /// Whether someone waits for the end.
    is_wanted: bool,
    errors: Vec<String>,
}

impl Settler {
    pub(super) fn new(store: Store) -> Arc<Self> {
        Arc::new(Self { store, state: Mutex::default(), changed: Condvar::new() })
    }

    /// Takes a result that a deferring worker put into the store.
    pub(super) fn take(self: &Arc<Self>, receipt: Receipt) {
        let mut state = relock(&self.state);
        state.waiting.push(receipt);
        if !state.at_work {
            state.at_work = true;
            let this = Arc::clone(self);
            std::thread::spawn(move || this.work());
        }
    }

    fn work(&self) {
        let mut state = relock(&self.state);
        while !state.waiting.is_empty() {
            let until = Instant::now() + GATHER;
            while !state.is_wanted
                && let Some(left) = until.checked_duration_since(Instant::now())
            {
                state = rewait_for(&self.changed, state, left);
            }
            let group = std::mem::take(&mut state.waiting);
            drop(state);
            let done = self.store.settle(&group);
            state = relock(&self.state);
            state.errors.extend(done.err().map(|error| error.to_string()));
        }
        state.at_work = false;
        drop(state);
        self.changed.notify_all();
    }

    /// Waits until all that was taken is on the disk. Returns what went wrong.
    pub(super) fn finish(&self) -> Vec<String> {
        let mut state = relock(&self.state);
        state.is_wanted = true;
        self.changed.notify_all();
        while state.at_work {
            state = rewait(&self.changed, state);
        }
        state.is_wanted = false;
        std::mem::take(&mut state.errors)
    }
}
