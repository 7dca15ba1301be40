//! What became of cells that were handed over: by the notes of their jobs, by the store, and by what the queue tells.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::batch::{CANCEL, What, cancelled, notes};
use super::cluster::Follower;
use super::live::Live;
use super::sight::{Sight, Verdict};
use super::{Cause, Known, Seen, State};
use crate::executor::Told;
use crate::run::Failure;
use crate::{Digest, Update};

/// So many cells' journals are looked at in one tick.
const MOST_SHOWN: usize = 64;

/// Answers without a batch whose submission had no answer, before it is handed over anew, and how long
/// it may take until the queue shows what it took.
const SURE: (u32, Duration) = (2, Duration::from_secs(5));

impl Follower {
    /// Looks at the store, and when it is time at the queue.
    pub(super) fn look(&mut self) {
        self.heed_stop();
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

    /// Stops the run where that was asked for elsewhere.
    fn heed_stop(&mut self) {
        let mark = self.submissions.stop_mark(&self.reins.pipeline);
        if mark.is_some() && mark != self.stop_mark {
            self.stop_mark = mark;
            self.notice("asked to stop by `sconce cancel`".to_owned());
            self.reins.interrupt.ask();
        }
    }

    /// What the jobs say.
    fn read_notes(&mut self) {
        let mut ends = Vec::new();
        let (mut gone, mut unwanted) = (Vec::new(), Vec::new());
        for (id, live) in &mut self.live {
            if !self.submissions.folder(id).is_dir()
                || matches!(self.submissions.read(id, CANCEL), Ok(Some(_)))
            {
                gone.push(id.clone());
                continue;
            }
            unwanted
                .extend(cancelled(&self.submissions, id).into_iter().map(|key| (id.clone(), key)));
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
        for (id, key) in unwanted {
            if self.followed.get(&key).is_some_and(|followed| followed.batch == id) {
                self.end_cancelled_cell(&key);
            }
        }
    }

    /// Somebody else cancelled a batch.
    fn cancelled_elsewhere(&mut self, id: &str) {
        // Who cancels all of a pipeline asks its runs to stop first, which may have come a moment ago.
        self.heed_stop();
        self.live.remove(id);
        let keys = self.followed.iter().filter(|(_, followed)| followed.batch == id);
        let keys: Vec<Digest> = keys.map(|(key, _)| *key).collect();
        for key in keys {
            self.end_cancelled_cell(&key);
        }
    }

    /// A cell that somebody else cancelled has its result by now, or fails; unless the whole run stops.
    fn end_cancelled_cell(&mut self, key: &Digest) {
        let outcome = match self.stored(key) {
            Some(outcome) => Ok(outcome),
            None if self.reins.interrupt.is_asked() => Err(Failure::Cancelled),
            None => {
                Err(Failure::message("was cancelled elsewhere, by `sconce cancel` or another run"))
            }
        };
        self.done(key, outcome);
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
}
