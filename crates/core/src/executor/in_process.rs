//! Cells computed in this process.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::{Runner, Told};
use crate::Kinds;
use crate::run::{Failure, Outcome, Request, run_cell};
use crate::store::Store;
use crate::{Reporter, Update};

/// Computes cells in this process: for tests and debugging. A cell that crashes takes the process
/// with it, and one that does not ask whether it is cancelled is not ended.
pub struct InProcess {
    store: Store,
    kinds: Kinds,
    cancelled: Arc<AtomicBool>,
}

impl InProcess {
    /// A runner for cells of these kinds.
    pub fn new(store: Store, kinds: Kinds) -> Self {
        Self { store, kinds, cancelled: Arc::default() }
    }
}

impl Runner for InProcess {
    fn run(
        &self,
        request: &Request,
        _log: &Path,
        tell: &(dyn Fn(Told) + Send + Sync),
    ) -> Result<Outcome, Failure> {
        let (sender, receiver) = std::sync::mpsc::channel();
        let reporter: Arc<dyn Reporter> = Arc::new(Channel(Mutex::new(sender)));
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(request.cell.settings.threads)
            .build()
            .map_err(|error| Failure::message(format!("cannot start threads: {error}")))?;
        let outcome = std::thread::scope(|scope| {
            scope.spawn(move || {
                for update in receiver {
                    tell(Told::Update(update));
                }
            });
            let run = || run_cell(&self.store, &self.kinds, request, &reporter, &self.cancelled);
            let outcome = pool.install(run);
            drop(reporter);
            outcome
        });
        for damage in self.store.take_damage() {
            tell(Told::Damage(damage.to_string()));
        }
        outcome.map_err(Failure::from)
    }

    fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    fn kill(&self) {
        self.cancel();
    }
}

struct Channel(Mutex<std::sync::mpsc::Sender<Update>>);

impl Reporter for Channel {
    fn report(&self, update: Update) {
        // The other end lives as long as the cell.
        let _ = self.0.lock().unwrap_or_else(PoisonError::into_inner).send(update);
    }
}
