//! The executor: cells that come together become batches, batches are handed over and watched.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::batch::{CANCEL, Task};
use super::live::{Followed, Fresh, Live};
use super::{Ask, Habits, Queue};
use crate::executor::{Executor, Limits, Share, Submission, Told};
use crate::mutex::relock;
use crate::run::{Failure, Interrupt, Mode, Outcome};
use crate::store::{Store, Submissions};
use crate::{Device, DeviceChoice, Digest, Resources, Result, Threads};

/// Cells that come within so long of one another go together.
const QUIET: Duration = Duration::from_millis(60);

/// Whether a stop leaves the jobs running; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Detach(Arc<AtomicBool>);

impl Detach {
    /// From now on a stop leaves the jobs running.
    pub fn set(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether a stop leaves the jobs running.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// How a run is stopped.
#[derive(Debug, Clone, Default)]
pub struct Reins {
    /// Whether a stop leaves the jobs running.
    pub detach: Detach,
    /// Stops the run.
    pub interrupt: Interrupt,
    /// Whose run it is, for who stops it from elsewhere.
    pub pipeline: String,
}

/// Computes cells in the queue of a cluster.
pub struct Cluster {
    limits: Limits,
    habits: Arc<Habits>,
    /// Cells that it has.
    cells: Arc<AtomicUsize>,
    notices: Arc<Mutex<Vec<String>>>,
    sender: Sender<Message>,
}

enum Message {
    Cell(Box<Submission>, Share),
    Cancel,
}

impl Cluster {
    /// An executor on a queue, for cells of `store`. `limits` is what local cells have.
    pub fn new(
        store: &Store,
        queue: Box<dyn Queue>,
        habits: Habits,
        limits: Limits,
        reins: Reins,
    ) -> Self {
        let (sender, receiver) = mpsc::channel();
        let (cells, notices, habits) = (Arc::default(), Arc::default(), Arc::new(habits));
        let follower = Follower {
            store: store.clone(),
            submissions: store.submissions(),
            queue,
            habits: Arc::clone(&habits),
            stop_mark: store.submissions().stop_mark(&reins.pipeline),
            reins,
            cells: Arc::clone(&cells),
            notices: Arc::clone(&notices),
            followed: BTreeMap::new(),
            live: BTreeMap::new(),
            asked: None,
            silent: false,
            stopped: false,
        };
        // It ends with the executor.
        std::thread::spawn(move || follower.follow(&receiver));
        Self { limits, habits, cells, notices, sender }
    }
}

impl Executor for Cluster {
    fn limits(&self) -> &Limits {
        &self.limits
    }

    fn capacity(&self, needs: &Resources, _waiting: usize) -> Option<Share> {
        let taken = self.cells.fetch_add(1, Ordering::SeqCst);
        if taken >= self.habits.jobs.max(1) {
            self.cells.fetch_sub(1, Ordering::SeqCst);
            return None;
        }
        let threads = match needs.threads {
            Threads::All => self.habits.threads.max(1),
            Threads::Count(count) => count.max(1),
        };
        // A job sees what the queue gives it, and of that the first.
        let device = match needs.device {
            _ if !needs.gpu => Device::Cpu,
            DeviceChoice::Cpu => Device::Cpu,
            DeviceChoice::Usual | DeviceChoice::Auto => self.habits.device,
            DeviceChoice::Cuda(_) => Device::Cuda(0),
            DeviceChoice::Metal(_) => Device::Metal(0),
        };
        Some(Share::new(threads, device).of(*needs))
    }

    fn submit(&self, cell: Submission, share: Share) {
        // The other end lives as long as this one.
        let _ = self.sender.send(Message::Cell(Box::new(cell), share));
    }

    fn cancel(&self) {
        let _ = self.sender.send(Message::Cancel);
    }

    fn kill(&self) {
        self.cancel();
    }

    fn notices(&self) -> Vec<String> {
        std::mem::take(&mut relock(&self.notices))
    }
}

pub(super) struct Follower {
    pub(super) store: Store,
    pub(super) submissions: Submissions,
    pub(super) queue: Box<dyn Queue>,
    pub(super) habits: Arc<Habits>,
    pub(super) reins: Reins,
    /// The last request to stop from elsewhere, when this began.
    pub(super) stop_mark: Option<String>,
    pub(super) cells: Arc<AtomicUsize>,
    pub(super) notices: Arc<Mutex<Vec<String>>>,
    pub(super) followed: BTreeMap<Digest, Followed>,
    pub(super) live: BTreeMap<String, Live>,
    /// When the queue was asked last.
    pub(super) asked: Option<Instant>,
    /// Whether it gave no answer then, which was told.
    pub(super) silent: bool,
    pub(super) stopped: bool,
}

impl Follower {
    fn follow(mut self, receiver: &Receiver<Message>) {
        let mut looked = Instant::now();
        loop {
            let wait = self.habits.tick.saturating_sub(looked.elapsed());
            let mut fresh = Vec::new();
            let mut next = receiver.recv_timeout(wait);
            loop {
                match next {
                    Ok(Message::Cell(cell, share)) if self.stopped => {
                        self.done_unfollowed(&cell, share, Err(Failure::Cancelled));
                    }
                    Ok(Message::Cell(cell, share)) => fresh.push((cell, share)),
                    Ok(Message::Cancel) => self.stop(std::mem::take(&mut fresh)),
                    Err(RecvTimeoutError::Timeout) => break,
                    Err(RecvTimeoutError::Disconnected) => return,
                }
                next = receiver.recv_timeout(QUIET);
            }
            if !fresh.is_empty() {
                let fresh =
                    fresh.into_iter().map(|(cell, share)| self.fresh(cell, share)).collect();
                self.hand_over(fresh);
            }
            if looked.elapsed() >= self.habits.tick {
                self.look();
                looked = Instant::now();
            }
        }
    }

    fn fresh(&self, submission: Box<Submission>, share: Share) -> Fresh {
        let memory = share.needs.memory;
        let request = submission.request.clone();
        let checkpoint = self.checkpoint(&request.cell.parts.key());
        let task = Task { request, log: submission.log.clone(), memory, again: 0, checkpoint };
        let seconds = share.needs.seconds.or(self.habits.seconds);
        let ask = Ask {
            threads: share.threads,
            memory,
            gpu: share.needs.gpu && share.device != Device::Cpu,
            seconds,
        };
        Fresh { submission, share, task, ask }
    }

    /// When the checkpoint of a key was written; the file server's time, only good to be compared.
    pub(super) fn checkpoint(&self, key: &Digest) -> Option<f64> {
        let time = std::fs::metadata(self.store.checkpoint(key)).ok()?.modified().ok()?;
        Some(time.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs_f64())
    }

    pub(super) fn notice(&self, text: String) {
        relock(&self.notices).push(text);
    }

    pub(super) fn done_unfollowed(
        &self,
        cell: &Submission,
        _: Share,
        outcome: Result<Outcome, Failure>,
    ) {
        self.cells.fetch_sub(1, Ordering::SeqCst);
        (cell.tell)(Told::Done(outcome));
    }

    /// A followed cell is over.
    pub(super) fn done(&mut self, key: &Digest, outcome: Result<Outcome, Failure>) {
        if let Some(followed) = self.unfollow(key) {
            self.done_unfollowed(&followed.submission, followed.share, outcome);
        }
    }

    /// Takes a cell out of those that are followed. A batch of which nothing is left goes before that is
    /// told, since the run may end with it.
    pub(super) fn unfollow(&mut self, key: &Digest) -> Option<Followed> {
        let followed = self.followed.remove(key)?;
        if let Some(live) = self.live.get_mut(&followed.batch) {
            live.waiting = live.waiting.saturating_sub(1);
            if live.waiting == 0 {
                self.close(&followed.batch);
            }
        }
        Some(followed)
    }

    /// Nobody here waits for a batch any more; another run may wait for others of its cells.
    fn close(&mut self, id: &str) {
        let Some(live) = self.live.remove(id) else { return };
        let settled = live.batch.settled(&self.submissions).unwrap_or_default();
        if live.batch.head.keys.iter().flatten().all(|key| settled.contains(key)) {
            let _ = self.submissions.remove(id);
        }
    }

    /// The run was asked to stop: jobs are cancelled, or left running.
    fn stop(&mut self, fresh: Vec<(Box<Submission>, Share)>) {
        self.stopped = true;
        for (cell, share) in fresh {
            self.done_unfollowed(&cell, share, Err(Failure::Cancelled));
        }
        for (id, live) in std::mem::take(&mut self.live) {
            if self.reins.detach.is_set() {
                continue;
            }
            // The mark first: should this process die, who comes next ends what is left.
            if let Err(error) = self.submissions.put(&id, CANCEL, b"") {
                self.notice(format!(
                    "cannot note that {} is cancelled: {error}",
                    live.batch.name()
                ));
            }
            match self.queue.cancel(&live.known()) {
                Ok(()) if self.queue.is_asked() => _ = self.submissions.remove(&id),
                Ok(()) => {}
                Err(text) => {
                    let name = live.batch.name();
                    self.notice(format!(
                        "{name} could not be cancelled, and ends by itself: {text}"
                    ));
                }
            }
        }
        for key in self.followed.keys().copied().collect::<Vec<_>>() {
            self.done(&key, Err(Failure::Cancelled));
        }
    }

    /// The result of a key that the store holds, unless it is to be computed whatever the store holds.
    pub(super) fn stored(&self, key: &Digest) -> Option<Outcome> {
        let followed = self.followed.get(key)?;
        if followed.submission.request.mode != Mode::Run {
            return None;
        }
        let receipt = self.store.results().receipt(key).ok().flatten()?;
        Some(Outcome::Ran(Box::new(receipt)))
    }
}
