//! Cells are recorded in batches, handed over, and taken up where somebody has handed them over before.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::batch::{Batch, CANCEL, Head, Note, Task, What};
use super::cluster::Follower;
use super::live::{Followed, Fresh, Live, key_of};
use super::{Ask, Job, Refusal, group};
use crate::executor::{Share, Submission};
use crate::run::Failure;
use crate::{Digest, Result, clock};

impl Follower {
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
    pub(super) fn submit(&mut self, id: &str) {
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
