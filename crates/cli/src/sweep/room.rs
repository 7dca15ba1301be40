//! The room of an executor, seen by one of several trials.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sconce_core::Resources;
use sconce_core::executor::{Executor, Limits, Share, Submission, Told};

/// An executor that knows how many trials there are: each is a run of its own, which knows of its own cells alone, and would give all
/// threads to one of them.
pub(crate) struct Room<'a> {
    executor: &'a (dyn Executor + Sync),
    trials: AtomicUsize,
    running: Arc<AtomicUsize>,
}

impl<'a> Room<'a> {
    /// The room of `executor` for so many trials.
    pub(crate) fn new(executor: &'a (dyn Executor + Sync), trials: usize) -> Self {
        Self { executor, trials: AtomicUsize::new(trials), running: Arc::default() }
    }

    /// A trial is over.
    pub(crate) fn leave(&self) {
        self.trials.fetch_sub(1, Ordering::SeqCst);
    }

    /// Trials beside the one that asks which have no cell running, about: one cell each.
    fn others(&self) -> usize {
        let trials = self.trials.load(Ordering::SeqCst);
        trials.saturating_sub(1 + self.running.load(Ordering::SeqCst))
    }
}

impl Executor for Room<'_> {
    fn limits(&self) -> &Limits {
        self.executor.limits()
    }

    fn capacity(&self, needs: &Resources, waiting: usize) -> Option<Share> {
        self.executor.capacity(needs, waiting + self.others())
    }

    fn submit(&self, cell: Submission, share: Share) {
        let Submission { request, log, tell } = cell;
        self.running.fetch_add(1, Ordering::SeqCst);
        let running = Arc::clone(&self.running);
        let tell = Box::new(move |told| {
            if matches!(told, Told::Done(_)) {
                running.fetch_sub(1, Ordering::SeqCst);
            }
            tell(told);
        });
        self.executor.submit(Submission { request, log, tell }, share);
    }

    fn cancel(&self) {
        self.executor.cancel();
    }

    fn kill(&self) {
        self.executor.kill();
    }

    fn notices(&self) -> Vec<String> {
        self.executor.notices()
    }

    fn finish(&self) -> Vec<String> {
        self.executor.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An executor that remembers how many cells it last heard to wait.
    #[derive(Default)]
    struct Heard {
        waiting: AtomicUsize,
        limits: Limits,
    }

    impl Executor for Heard {
        fn limits(&self) -> &Limits {
            &self.limits
        }
        fn capacity(&self, _: &Resources, waiting: usize) -> Option<Share> {
            self.waiting.store(waiting, Ordering::SeqCst);
            None
        }
        fn submit(&self, _: Submission, _: Share) {}
        fn cancel(&self) {}
        fn kill(&self) {}
    }

    #[test]
    fn the_cells_of_other_trials_wait_too() {
        let heard = Heard::default();
        let room = Room::new(&heard, 3);
        let ask = || {
            assert!(room.capacity(&Resources::default(), 1).is_none());
            heard.waiting.load(Ordering::SeqCst)
        };
        assert_eq!(ask(), 3);
        room.running.fetch_add(2, Ordering::SeqCst);
        assert_eq!(ask(), 1, "the others' cells run");
        room.running.fetch_sub(2, Ordering::SeqCst);
        room.leave();
        assert_eq!(ask(), 2);
        room.leave();
        assert_eq!(ask(), 1, "the last one");
    }
}
