//! What becomes of cells when their job said that they are over, or ended without a word.

use super::batch::What;
use super::cluster::Follower;
use super::live::{Followed, Fresh, key_of};
use super::{Ask, Cause};
use crate::run::{Failure, Outcome};
use crate::{ByteSize, Digest, Error};

/// A cell that was ended for its memory gets so many times as much.
const MORE: u64 = 2;

/// In all at most so many times what it asked for first, unless it is said otherwise.
const MOST: u64 = 4;

/// Lines of a job's own output that are told.
const TAIL: usize = 5;

impl Follower {
    /// Cells of which a job said that they are over: a result has to be seen, which on a file server
    /// may take some time.
    pub(super) fn see_claimed(&mut self) {
        let claimed = self.followed.iter().filter(|(_, followed)| followed.claimed.is_some());
        let claimed: Vec<Digest> = claimed.map(|(key, _)| *key).collect();
        let mut fresh = Vec::new();
        for key in claimed {
            let Some(Followed { claimed: Some((what, since)), .. }) = self.followed.get(&key)
            else {
                continue;
            };
            let (what, late) = (what.clone(), since.elapsed() >= self.habits.late);
            match what {
                What::Ran | What::Shared => match self.store.results().receipt(&key) {
                    Ok(Some(receipt)) => {
                        let receipt = Box::new(receipt);
                        let outcome = if what == What::Ran {
                            Outcome::Ran(receipt)
                        } else {
                            Outcome::Shared(receipt)
                        };
                        self.done(&key, Ok(outcome));
                    }
                    Err(error) if late => self.done(&key, Err(error.into())),
                    Ok(None) if late => {
                        let text = "its job ended well, but the store does not hold its result";
                        self.done(&key, Err(Failure::message(text)));
                    }
                    _ => {}
                },
                What::Verified(digests) => self.done(&key, Ok(Outcome::Verified(digests))),
                What::Failed(Failure::Killed { message }) => {
                    let place = self
                        .followed
                        .get(&key)
                        .map(|followed| (followed.batch.clone(), followed.element));
                    let Some((batch, element)) = place else { continue };
                    let why = Why { cause: Cause::Killed, text: message };
                    fresh.extend(self.again(&batch, element, key, &why, true));
                }
                What::Failed(failure) => self.done(&key, Err(failure)),
                What::Started | What::Stopped { .. } => {}
            }
        }
        if !fresh.is_empty() {
            self.hand_over(fresh);
        }
    }

    /// The job of an element ended: what is to be handed over again.
    pub(super) fn settle(&mut self, batch: &str, element: usize, cause: Cause) -> Vec<Fresh> {
        let Some(live) = self.live.get(batch) else { return Vec::new() };
        let (job, words) = (live.job_of(element), live.sights[element].words.clone());
        let keys: Vec<Digest> = live.tasks[element].iter().map(key_of).collect();
        let waits = |key: &&Digest| {
            self.followed
                .get(key)
                .is_some_and(|followed| followed.batch == batch && followed.claimed.is_none())
        };
        let waiting: Vec<Digest> = keys.iter().filter(waits).copied().collect();
        let began = keys.iter().any(|key| live.started.contains(key));
        // What of ours fails says why. Slurm fails a job itself that it cannot start again after its controller died
        // ("job credential revoked"), with the same reason and without a word.
        let failed = match cause {
            Cause::Failed => self.output(batch, element),
            _ => None,
        };
        let wordless = cause == Cause::Failed && failed.is_none();
        let mut fresh = Vec::new();
        for key in waiting {
            if let Some(outcome) = self.stored(&key) {
                self.done(&key, Ok(outcome));
                continue;
            }
            let Some(live) = self.live.get(batch) else { break };
            let started = live.started.contains(&key);
            let cause = match live.cause_of(&key, cause) {
                Cause::Failed if wordless => Cause::Lost,
                other => other,
            };
            let any_stopped = keys.iter().any(|key| live.stopped.contains_key(key));
            let text = match cause {
                Cause::Cancelled => {
                    self.moved(batch, key);
                    let text = format!(
                        "its job was cancelled in the queue ({job}; scancel, or by an operator)"
                    );
                    self.done(&key, Err(Failure::message(text)));
                    continue;
                }
                Cause::Well if !any_stopped => {
                    "ended well, but the store does not hold its result".to_owned()
                }
                Cause::Failed if !began => {
                    let printed = failed.as_deref().unwrap_or_default();
                    format!("ended before it began with a cell; it printed: {printed}")
                }
                Cause::Lost if wordless => format!("ended without a word: {words}"),
                Cause::Well | Cause::Failed => format!("ended early: {words}"),
                Cause::Killed => format!("was ended by a signal: {words}"),
                Cause::Memory => "was ended because it took too much memory".to_owned(),
                Cause::Time => "came to its time limit".to_owned(),
                Cause::Lost => "was lost: its machine failed, or the queue forgot it".to_owned(),
            };
            let why = Why { cause, text: format!("{job} {text}") };
            // One that ended well without a result may have found its element claimed by a job that died.
            let is_final = cause == Cause::Failed && (started || !began);
            if is_final {
                self.moved(batch, key);
                self.done(&key, Err(Failure::message(why.text)));
            } else {
                // Others of the job were not at fault.
                fresh.extend(self.again(batch, element, key, &why, started || !began));
            }
        }
        fresh
    }

    /// Hands a cell over again, with more of what it lacked; or it fails, when that was done often enough.
    fn again(
        &mut self,
        batch: &str,
        element: usize,
        key: Digest,
        why: &Why,
        at_fault: bool,
    ) -> Option<Fresh> {
        let live = self.live.get(batch)?;
        let mut task = live.tasks[element].iter().find(|task| key_of(task) == key)?.clone();
        let mut ask = Ask {
            seconds: self.followed.get(&key)?.share.needs.seconds.or(self.habits.seconds),
            ..live.batch.head.ask
        };
        let fail = |cluster: &mut Self, text: String| {
            cluster.moved(batch, key);
            cluster.done(&key, Err(Failure::message(text)));
            None
        };
        if at_fault {
            let checkpoint = self.checkpoint(&key);
            let advanced = checkpoint.is_some() && checkpoint != task.checkpoint;
            if why.cause == Cause::Time && checkpoint.is_none() {
                let text = format!(
                    "{} without a checkpoint to go on from: raise `resources.time`",
                    why.text
                );
                return fail(self, text);
            }
            // One that goes on is not at its limit.
            task.again = if why.cause == Cause::Time && advanced { 1 } else { task.again + 1 };
            if task.again > self.habits.retries {
                let text = format!("{}; handed over again {} times", why.text, task.again - 1);
                return fail(self, text);
            }
            task.checkpoint = checkpoint;
            if matches!(why.cause, Cause::Memory | Cause::Killed) {
                let most = self.habits.max_memory.unwrap_or(task.memory.saturating_mul(MOST));
                let more = ask.memory.saturating_mul(MORE).min(most);
                // A signal may have come from elsewhere; a limit that was passed has not.
                if more <= ask.memory && why.cause == Cause::Memory {
                    let text = format!(
                        "{}; it had {}, the most that it may have",
                        why.text,
                        ByteSize(ask.memory)
                    );
                    return fail(self, text);
                }
                ask.memory = more.max(ask.memory);
            }
        }
        self.moved(batch, key);
        let followed = self.unfollow(&key)?;
        let Followed { submission, share, .. } = followed;
        if at_fault {
            let more = match why.cause {
                Cause::Memory | Cause::Killed => format!(" with {}", ByteSize(ask.memory)),
                Cause::Time => " from its checkpoint".to_owned(),
                _ => String::new(),
            };
            let text = format!("{}: handed over again{more}", why.text);
            (submission.tell)(crate::executor::Told::Update(crate::Update::Note { text }));
        }
        task.again = task.again.max(u32::from(at_fault));
        Some(Fresh { submission, share, task, ask })
    }

    /// The end of what a job printed, but for what Slurm says of its own doing; none where that is nothing.
    fn output(&self, batch: &str, element: usize) -> Option<String> {
        const SLURM: &str = "slurmstepd: ";
        let bytes = self.submissions.read(batch, &format!("output-{element}.txt"));
        let text = match bytes {
            Ok(Some(bytes)) => String::from_utf8_lossy(&bytes).into_owned(),
            Ok(None) => return None,
            Err(error) => Error::to_string(&error),
        };
        let said = |line: &&str| !line.is_empty() && !line.starts_with(SLURM);
        let lines: Vec<&str> = text.lines().map(str::trim).filter(said).collect();
        let last = lines[lines.len().saturating_sub(TAIL)..].join("; ");
        (!last.is_empty()).then_some(last)
    }
}

/// Why a cell has to be handed over again.
struct Why {
    cause: Cause,
    text: String,
}
