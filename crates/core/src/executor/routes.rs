//! Cells to this machine or to a queue, as each asks for.

use super::{Executor, Limits, Share, Submission};
use crate::Resources;
use crate::stage::Place;

/// Sends cells to this machine or to a queue.
pub struct Routes<M, Q> {
    machine: M,
    queue: Q,
    /// Where cells go that do not say.
    usual: Place,
}

impl<M: Executor, Q: Executor> Routes<M, Q> {
    /// An executor of two. Cells that do not say where they run go to the queue, or with `usual` as
    /// [`Place::Local`] to this machine.
    pub const fn new(machine: M, queue: Q, usual: Place) -> Self {
        Self { machine, queue, usual }
    }

    fn of(&self, needs: &Resources) -> &dyn Executor {
        let place = if needs.place == Place::Usual { self.usual } else { needs.place };
        if place == Place::Local { &self.machine } else { &self.queue }
    }
}

impl<M: Executor, Q: Executor> Executor for Routes<M, Q> {
    fn limits(&self) -> &Limits {
        self.machine.limits()
    }

    fn capacity(&self, needs: &Resources, waiting: usize) -> Option<Share> {
        self.of(needs).capacity(needs, waiting)
    }

    fn submit(&self, cell: Submission, share: Share) {
        self.of(&share.needs).submit(cell, share);
    }

    fn cancel(&self) {
        self.machine.cancel();
        self.queue.cancel();
    }

    fn kill(&self) {
        self.machine.kill();
        self.queue.kill();
    }

    fn notices(&self) -> Vec<String> {
        let mut notices = self.machine.notices();
        notices.extend(self.queue.notices());
        notices
    }

    fn finish(&self) -> Vec<String> {
        let mut wrong = self.machine.finish();
        wrong.extend(self.queue.finish());
        wrong
    }
}
