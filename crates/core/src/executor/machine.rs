//! Cells on this machine: each has a thread that waits for it, within what the machine has.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use super::{Budget, Executor, Limits, Runner, Share, Submission, Told};
use crate::Resources;
use crate::mutex::relock;
use crate::run::Failure;

/// Computes cells on this machine by a [`Runner`], as many at once as the limits let.
pub struct Machine<R> {
    runner: Arc<R>,
    limits: Limits,
    budget: Arc<Mutex<Budget>>,
}

impl<R: Runner> Machine<R> {
    /// An executor that computes each cell by `runner`.
    pub fn new(runner: R, limits: Limits) -> Self {
        let budget = Arc::new(Mutex::new(Budget::new(&limits)));
        Self { runner: Arc::new(runner), limits, budget }
    }
}

impl<R: Runner> Executor for Machine<R> {
    fn limits(&self) -> &Limits {
        &self.limits
    }

    fn capacity(&self, needs: &Resources, waiting: usize) -> Option<Share> {
        relock(&self.budget).take(needs, waiting)
    }

    fn submit(&self, cell: Submission, share: Share) {
        let (runner, budget) = (Arc::clone(&self.runner), Arc::clone(&self.budget));
        std::thread::spawn(move || {
            let Submission { request, log, tell } = cell;
            let run = || runner.run(&request, &log, tell.as_ref());
            let outcome = catch_unwind(AssertUnwindSafe(run))
                .unwrap_or_else(|_| Err(Failure::message("the executor panicked, which is a bug")));
            relock(&budget).give(&share);
            tell(Told::Done(outcome));
        });
    }

    fn cancel(&self) {
        self.runner.cancel();
    }

    fn kill(&self) {
        self.runner.kill();
    }

    fn finish(&self) -> Vec<String> {
        self.runner.finish()
    }
}
