//! The executor: cells that come together become batches, batches are handed over and watched.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::batch::{Batch, CANCEL, Head, Note, Task, What, notes};
use super::sight::{Sight, Verdict};
use super::{Ask, Cause, Habits, Job, Known, Queue, Refusal, Seen, State, group, slurm};
use crate::executor::{Executor, Limits, Share, Submission, Told};
use crate::mutex::relock;
use crate::run::{Failure, Interrupt, Mode, Outcome};
use crate::store::{Store, Submissions};
use crate::{Device, Digest, Resources, Result, Threads, Update, clock};

/// Cells that come within so long of one another go together.
const QUIET: Duration = Duration::from_millis(60);

/// So many cells' journals are looked at in one tick.
const MOST_SHOWN: usize = 64;

/// Answers without a batch whose submission had no answer, before it is handed over anew, and how long
/// it may take until the queue shows what it took.
const SURE: (u32, Duration) = (2, Duration::from_secs(5));

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

    fn capacity(&self, needs: &Resources) -> Option<Share> {
        let taken = self.cells.fetch_add(1, Ordering::SeqCst);
        if taken >= self.habits.jobs.max(1) {
            self.cells.fetch_sub(1, Ordering::SeqCst);
            return None;
        }
        let threads = match needs.threads {
            Threads::All => self.habits.threads.max(1),
            Threads::Count(count) => count.max(1),
        };
        let device = if needs.gpu { self.habits.device } else { Device::Cpu };
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

/// A cell that somebody waits for.
pub(super) struct Followed {
    pub(super) submission: Box<Submission>,
    pub(super) share: Share,
    pub(super) batch: String,
    pub(super) element: usize,
    /// The last note about it.
    told: String,
    /// A job said that it has a result, which is not to be seen yet.
    pub(super) claimed: Option<(What, Instant)>,
}

/// A batch with followed cells.
pub(super) struct Live {
    pub(super) batch: Batch,
    pub(super) tasks: Vec<Vec<Task>>,
    job: Option<String>,
    /// When it was last handed over without an answer, where it has no number.
    unsure: Option<Instant>,
    pub(super) sights: Vec<Sight>,
    /// Cells of it that are followed.
    waiting: usize,
    /// How far the notes of each element are read.
    read: Vec<u64>,
    /// Cells that their job began with.
    pub(super) started: BTreeSet<Digest>,
    /// Cells that their job stopped, so many seconds after its beginning.
    pub(super) stopped: BTreeMap<Digest, f64>,
}

/// A cell that is to be handed over.
pub(super) struct Fresh {
    pub(super) submission: Box<Submission>,
    pub(super) share: Share,
    pub(super) task: Task,
    pub(super) ask: Ask,
}

pub(super) struct Follower {
    pub(super) store: Store,
    pub(super) submissions: Submissions,
    queue: Box<dyn Queue>,
    pub(super) habits: Arc<Habits>,
    reins: Reins,
    /// The last request to stop from elsewhere, when this began.
    stop_mark: Option<String>,
    cells: Arc<AtomicUsize>,
    notices: Arc<Mutex<Vec<String>>>,
    pub(super) followed: BTreeMap<Digest, Followed>,
    pub(super) live: BTreeMap<String, Live>,
    /// When the queue was asked last.
    asked: Option<Instant>,
    /// Whether it gave no answer then, which was told.
    silent: bool,
    stopped: bool,
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

    fn done_unfollowed(&self, cell: &Submission, _: Share, outcome: Result<Outcome, Failure>) {
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

    /// Follows what is in a queue already, and hands the rest over.
    pub(super) fn hand_over(&mut self, fresh: Vec<Fresh>) {
        let recorded = self.record(fresh);
        match recorded {
            Ok(batches) => {
                for id in batches {
                    self.submit(&id);
                }
            }
            Err((fresh, error)) => {
                for one in fresh {
                    let failure =
                        Failure::message(format!("cannot record what is handed over: {error}"));
                    self.done_unfollowed(&one.submission, one.share, Err(failure));
                }
            }
        }
    }

    /// Records batches; their names.
    fn record(&mut self, fresh: Vec<Fresh>) -> Result<Vec<String>, (Vec<Fresh>, crate::Error)> {
        // Two runs at once see each other's records.
        let _lock = match self.submissions.lock() {
            Ok(lock) => lock,
            Err(error) => return Err((fresh, error)),
        };
        let mut rest = self.take_up(fresh)?;
        let mut made = Vec::new();
        while !rest.is_empty() {
            let (ask, pipeline) = (rest[0].ask, rest[0].task.request.cell.pipeline.clone());
            let stage = rest[0].task.request.cell.cell.stage.clone();
            let alike = |one: &Fresh| {
                one.ask == ask
                    && one.task.request.cell.cell.stage == stage
                    && one.task.request.cell.pipeline == pipeline
            };
            let (mut alike, others): (Vec<_>, Vec<_>) = rest.into_iter().partition(alike);
            rest = others;
            let took = group::seconds_of(&self.store, &pipeline, &stage);
            // One that was handed over before goes alone: what ended its job is not to end others.
            let each = if alike[0].task.again > 0 { 1 } else { self.habits.group.cells(took) };
            let most = each * self.queue.most_elements();
            if alike.len() > most {
                rest.extend(alike.split_off(most));
            }
            let elements: Vec<&[Fresh]> = alike.chunks(each).collect();
            let tasks: Vec<Vec<Task>> = elements
                .iter()
                .map(|cells| cells.iter().map(|one| one.task.clone()).collect())
                .collect();
            let keys = tasks.iter().map(|cells| cells.iter().map(key_of).collect()).collect();
            let cells = u64::try_from(each.min(alike.len())).unwrap_or(1);
            let ask =
                Ask { seconds: ask.seconds.map(|seconds| seconds.saturating_mul(cells)), ..ask };
            let head = Head {
                queue: self.queue.name().to_owned(),
                made: clock::now(),
                pipeline,
                ask,
                keys,
            };
            let batch = match Batch::record(&self.submissions, head, &tasks) {
                Ok(batch) => batch,
                Err(error) => {
                    alike.append(&mut rest);
                    return Err((alike, error));
                }
            };
            let id = batch.id.clone();
            self.live.insert(id.clone(), Live::new(batch, tasks, None));
            for (place, one) in alike.into_iter().enumerate() {
                self.attach(one.submission, one.share, &id, place / each);
            }
            made.push(id);
        }
        Ok(made)
    }

    fn attach(&mut self, submission: Box<Submission>, share: Share, batch: &str, element: usize) {
        let key = submission.request.cell.parts.key();
        let batch = batch.to_owned();
        let followed =
            Followed { submission, share, batch, element, told: String::new(), claimed: None };
        if let Some(live) = self.live.get_mut(&followed.batch) {
            live.waiting += 1;
        }
        self.followed.insert(key, followed);
    }

    /// Follows the cells that a batch of this store already has; the others are left.
    fn take_up(&mut self, fresh: Vec<Fresh>) -> Result<Vec<Fresh>, (Vec<Fresh>, crate::Error)> {
        let mut places = match self.places(&fresh) {
            Ok(places) => places,
            Err(error) => return Err((fresh, error)),
        };
        let mut rest = Vec::new();
        for one in fresh {
            let key = key_of(&one.task);
            match places.remove(&key) {
                Some((batch, element)) => {
                    self.attach(one.submission, one.share, &batch, element);
                }
                None => rest.push(one),
            }
        }
        Ok(rest)
    }

    /// Where the keys are that a batch has, of those that are wanted; batches that are found live on.
    fn places(&mut self, fresh: &[Fresh]) -> Result<BTreeMap<Digest, (String, usize)>> {
        let wanted: BTreeSet<Digest> = fresh.iter().map(|one| key_of(&one.task)).collect();
        let mut places = BTreeMap::new();
        for id in self.submissions.batches()? {
            let Some(batch) = Batch::read(&self.submissions, &id)? else {
                // Whoever recorded it died over it: while the lock is ours nobody records.
                self.submissions.remove(&id)?;
                continue;
            };
            if !batch.head.keys.iter().flatten().any(|key| wanted.contains(key)) {
                continue;
            }
            if self.submissions.read(&id, CANCEL)?.is_some() {
                self.end_cancelled(&batch);
                continue;
            }
            let settled = batch.settled(&self.submissions)?;
            let mut found = false;
            for key in batch.head.keys.iter().flatten() {
                if wanted.contains(key)
                    && !settled.contains(key)
                    && let Some(element) = batch.element_of(key)
                {
                    found = true;
                    places.insert(*key, (id.clone(), element));
                }
            }
            if found && !self.live.contains_key(&id) {
                let tasks = Batch::tasks(&self.submissions, &id)?;
                let job = batch.known(&self.submissions)?.job;
                self.live.insert(id, Live::new(batch, tasks, job));
            } else if !found && batch.head.keys.iter().flatten().all(|key| settled.contains(key)) {
                self.submissions.remove(&id)?;
            }
        }
        Ok(places)
    }

    fn end_cancelled(&self, batch: &Batch) {
        let known = batch.known(&self.submissions);
        let done = known.map(|known| self.queue.cancel(&known));
        if matches!(done, Ok(Ok(()))) {
            let _ = self.submissions.remove(&batch.id);
        }
    }

    /// Hands a recorded batch over.
    fn submit(&mut self, id: &str) {
        let Some(live) = self.live.get_mut(id) else { return };
        let (batch, elements) = (&live.batch, live.tasks.len());
        let first = live.tasks.iter().flatten().next();
        let cells = live.tasks.iter().map(Vec::len).sum::<usize>();
        let comment = first.map_or_else(String::new, |task| {
            let ResolvedName { pipeline, stage } = ResolvedName::of(task);
            format!("{pipeline}: {stage}, {cells} cells")
        });
        let mut command = self.habits.command.clone();
        command.push(id.to_owned());
        let job = Job {
            name: batch.name(),
            folder: self.submissions.folder(id),
            command,
            elements,
            ask: batch.head.ask,
            comment,
        };
        match self.queue.submit(&job) {
            Ok(number) => {
                live.unsure = None;
                live.job = Some(number.clone());
                // Without the record the batch is found by its name.
                if let Err(error) = batch.put_job(&self.submissions, &number) {
                    self.notice(format!("cannot record job {number}: {error}"));
                }
            }
            Err(Refusal::Unsure(text)) => {
                live.unsure = Some(Instant::now());
                if !self.silent {
                    self.silent = true;
                    self.notice(format!("the queue does not answer, and is asked again: {text}"));
                }
            }
            Err(Refusal::Refused(text)) => {
                let keys: Vec<Digest> = live.batch.head.keys.iter().flatten().copied().collect();
                for key in keys {
                    self.moved(id, key);
                    let name = self.queue.name();
                    self.done(
                        &key,
                        Err(Failure::message(format!("{name} refused the job: {text}"))),
                    );
                }
            }
        }
    }

    /// A cell is no longer this batch's.
    pub(super) fn moved(&self, batch: &str, key: Digest) {
        let note = serde_json::to_vec(&Note { key, what: What::Started });
        if let Ok(line) = note {
            let _ = self.submissions.append(batch, super::batch::MOVED, &line);
        }
    }

    /// Looks at the store, and when it is time at the queue.
    fn look(&mut self) {
        let mark = self.submissions.stop_mark(&self.reins.pipeline);
        if mark.is_some() && mark != self.stop_mark {
            self.stop_mark = mark;
            self.notice("asked to stop by `sconce cancel`".to_owned());
            self.reins.interrupt.ask();
        }
        if self.followed.is_empty() && self.live.is_empty() {
            return;
        }
        self.read_notes();
        self.see_claimed();
        let now = Instant::now();
        if self.asked.is_none_or(|asked| now.duration_since(asked) >= self.habits.poll)
            && !self.live.is_empty()
        {
            self.asked = Some(now);
            self.ask();
        }
        self.judge();
        self.show();
    }

    /// What the jobs say.
    fn read_notes(&mut self) {
        let mut ends = Vec::new();
        let mut gone = Vec::new();
        for (id, live) in &mut self.live {
            if !self.submissions.folder(id).is_dir()
                || matches!(self.submissions.read(id, CANCEL), Ok(Some(_)))
            {
                gone.push(id.clone());
                continue;
            }
            for element in 0..live.tasks.len() {
                let name = format!("told-{element}.jsonl");
                let Ok((bytes, place)) =
                    self.submissions.lines_after(id, &name, live.read[element])
                else {
                    continue;
                };
                live.read[element] = place;
                for note in notes(&bytes) {
                    match note.what {
                        What::Started => {
                            live.started.insert(note.key);
                            _ = live.stopped.remove(&note.key);
                        }
                        What::Stopped { after } => _ = live.stopped.insert(note.key, after),
                        what => ends.push((note.key, what)),
                    }
                }
            }
        }
        for (key, what) in ends {
            if let Some(followed) = self.followed.get_mut(&key) {
                followed.claimed = Some((what, Instant::now()));
            }
        }
        for id in gone {
            self.cancelled_elsewhere(&id);
        }
    }

    /// Somebody else cancelled a batch.
    fn cancelled_elsewhere(&mut self, id: &str) {
        self.live.remove(id);
        let keys = self.followed.iter().filter(|(_, followed)| followed.batch == id);
        let keys: Vec<Digest> = keys.map(|(key, _)| *key).collect();
        for key in keys {
            match self.stored(&key) {
                Some(outcome) => self.done(&key, Ok(outcome)),
                None => self.done(&key, Err(Failure::Cancelled)),
            }
        }
    }

    /// Asks the queue about all batches, in one call.
    fn ask(&mut self) {
        let known: Vec<Known> = self.live.values().map(Live::known).collect();
        let seen = match self.queue.look(&known) {
            Ok(seen) => seen,
            Err(text) => {
                if !self.silent {
                    self.silent = true;
                    self.notice(format!("the queue does not answer; what runs goes on: {text}"));
                }
                return;
            }
        };
        if std::mem::take(&mut self.silent) {
            self.notice("the queue answers again".to_owned());
        }
        let now = Instant::now();
        let mut by_place: BTreeMap<(&str, usize), Vec<&Seen>> = BTreeMap::new();
        for one in &seen {
            by_place.entry((&one.name, one.element)).or_default().push(one);
        }
        let asked = self.queue.is_asked();
        let mut again = Vec::new();
        for (id, live) in &mut self.live {
            let name = live.batch.name();
            for (element, sight) in live.sights.iter_mut().enumerate() {
                let told = by_place.get(&(name.as_str(), element)).map_or(&[][..], Vec::as_slice);
                let beat = || self.submissions.read(id, &format!("beat-{element}")).ok().flatten();
                // Signs of life are looked at where the queue tells of nothing that lives.
                let over = told.iter().all(|one| matches!(one.state, State::Ended(_)));
                let beats = if over { beat() } else { None };
                if asked || !told.is_empty() {
                    sight.answer(now, told, beats);
                } else {
                    sight.feel(now, beats);
                }
                if live.job.is_none()
                    && let Some(one) = told.first()
                {
                    live.job = Some(one.job.clone());
                    let _ = live.batch.put_job(&self.submissions, &one.job);
                }
            }
            if live.job.is_none() && asked {
                let absent = live.sights.iter().map(|sight| sight.absences(now)).min();
                let (answers, time) = absent.unwrap_or_default();
                let since = live.unsure.map_or(time, |at| now.duration_since(at));
                let patience = SURE.1.min(self.habits.lost_after);
                if answers >= SURE.0 && time >= patience && since >= patience {
                    live.sights.iter_mut().for_each(Sight::begin_again);
                    again.push(id.clone());
                }
            }
        }
        for id in again {
            self.submit(&id);
        }
    }

    /// What follows for the cells whose job ended without a word on them.
    fn judge(&mut self) {
        let (now, habits) = (Instant::now(), Arc::clone(&self.habits));
        let mut ended: Vec<(String, usize, Cause)> = Vec::new();
        for (id, live) in &self.live {
            let waiting: BTreeSet<usize> = self
                .followed
                .values()
                .filter(|followed| followed.batch == *id && followed.claimed.is_none())
                .map(|followed| followed.element)
                .collect();
            for element in waiting {
                let sight = &live.sights[element];
                match sight.verdict(now, habits.lost_after, habits.late) {
                    Verdict::Ended(cause) => ended.push((id.clone(), element, cause)),
                    Verdict::Lives
                        if !self.queue.is_asked() && sight.is_silent(now, habits.lost_after) =>
                    {
                        ended.push((id.clone(), element, Cause::Lost));
                    }
                    Verdict::Lives => {}
                }
            }
        }
        let mut fresh = Vec::new();
        for (id, element, cause) in ended {
            fresh.extend(self.settle(&id, element, cause));
        }
        if !fresh.is_empty() {
            self.hand_over(fresh);
        }
    }

    /// Tells what is to be seen of followed cells.
    fn show(&mut self) {
        let mut shown = 0;
        for (key, followed) in &mut self.followed {
            let Some(live) = self.live.get(&followed.batch) else { continue };
            let sight = &live.sights[followed.element];
            let started = live.started.contains(key);
            let text = match (&live.job, started) {
                (None, _) => "being handed over".to_owned(),
                (Some(job), true) if sight.words.is_empty() => {
                    format!("job {job}_{}", followed.element)
                }
                (Some(job), true) => format!("job {job}_{}, {}", followed.element, sight.words),
                (Some(job), false) if sight.runs => {
                    format!("behind others in job {job}_{}", followed.element)
                }
                (Some(job), false) if sight.words.is_empty() => {
                    format!("queued as job {job}_{}", followed.element)
                }
                (Some(job), false) => {
                    format!("queued as job {job}_{}: {}", followed.element, sight.words)
                }
            };
            if text != followed.told {
                followed.told.clone_from(&text);
                (followed.submission.tell)(Told::Update(Update::Note { text }));
            }
            if started && shown < MOST_SHOWN {
                shown += 1;
                if let Ok(Some(journal)) = self.store.journal(key)
                    && let Some(progress) = journal.progress
                {
                    let (done, total, unit) = (progress.done, progress.total, progress.unit);
                    (followed.submission.tell)(Told::Update(Update::Progress {
                        done,
                        total,
                        unit,
                    }));
                }
            }
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

impl Live {
    fn new(batch: Batch, tasks: Vec<Vec<Task>>, job: Option<String>) -> Self {
        let elements = tasks.len();
        Self {
            batch,
            job,
            unsure: None,
            waiting: 0,
            sights: vec![Sight::default(); elements],
            read: vec![0; elements],
            tasks,
            started: BTreeSet::new(),
            stopped: BTreeMap::new(),
        }
    }

    fn known(&self) -> Known {
        Known { name: self.batch.name(), job: self.job.clone(), elements: self.tasks.len() }
    }

    /// What ended a cell. A job that is told that its time will be over stops its cell and ends by itself.
    pub(super) fn cause_of(&self, key: &Digest, cause: Cause) -> Cause {
        // The notice comes up to a minute early.
        const EARLY: f64 = 60.0;
        match (cause, self.stopped.get(key)) {
            (Cause::Well | Cause::Failed | Cause::Killed, Some(after)) => {
                let seconds = self.batch.head.ask.seconds;
                let over = seconds.is_some_and(|all| {
                    after + slurm::notice(Some(all)) as f64 + EARLY >= all as f64
                });
                if over { Cause::Time } else { Cause::Lost }
            }
            _ => cause,
        }
    }

    /// The queue's number of an element, for people.
    pub(super) fn job_of(&self, element: usize) -> String {
        match &self.job {
            Some(job) if !job.is_empty() => format!("job {job}_{element}"),
            _ => format!("{}, element {element}", self.batch.name()),
        }
    }
}

struct ResolvedName<'a> {
    pipeline: &'a str,
    stage: &'a str,
}

impl<'a> ResolvedName<'a> {
    fn of(task: &'a Task) -> Self {
        Self { pipeline: &task.request.cell.pipeline, stage: &task.request.cell.cell.stage }
    }
}

pub(super) fn key_of(task: &Task) -> Digest {
    task.request.cell.parts.key()
}
