//! What follows from the end of a cell: results, failures, damage, and the summary.

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::export::{export, remove_stale, shown_at};
use super::walk::{Cell, How, Task, Walk};
use super::{Again, Difference, Event, Failure, Mode, Nearness, Outcome, Summary};
use crate::lock::Change;
use crate::plan::CellIndex;
use crate::store::Receipt;
use crate::{Error, Result};

/// A cell runs again at most so often because of damaged content.
const ATTEMPTS: usize = 3;

/// So much of a failed cell's log is told.
const TAIL_LINES: usize = 12;
const TAIL_BYTES: u64 = 8 << 10;

impl Walk<'_> {
    /// What is shown of results that the pipeline no longer has goes.
    pub(super) fn remove_stale(&self) {
        let Some(artifacts) = self.options.artifacts.as_ref().filter(|_| !self.options.verify)
        else {
            return;
        };
        let event = match remove_stale(self.plan, self.store, artifacts) {
            Ok(folders) if folders.is_empty() => return,
            Ok(folders) => Event::StaleRemoved { folders },
            Err(error) => Event::StaleKept { error: error.to_string() },
        };
        (self.events)(event);
    }

    /// The store holds the cell's result.
    pub(super) fn hit(&mut self, index: CellIndex, receipt: Box<Receipt>) {
        if self.refused(index, &receipt) {
            return;
        }
        (self.events)(Event::CellHit { cell: self.id(index), key: receipt.key });
        self.have(index, receipt, How::Hit);
    }

    /// A running cell has come to its end.
    pub(super) fn done(&mut self, index: CellIndex, result: Result<Outcome, Failure>) {
        let task = match std::mem::replace(&mut self.cells[index], Cell::Lost) {
            Cell::Running(task) => *task,
            other => {
                self.cells[index] = other;
                return;
            }
        };
        self.tell_damage(index);
        self.release_twins(&task.key);
        self.release_held(index, result.is_err());
        match result {
            Ok(Outcome::Ran(receipt)) => {
                if let Some(remote) = self.store.remote() {
                    remote.offer(&receipt, task.request.mode == Mode::Force);
                }
                self.finished(index, receipt, false);
            }
            Ok(Outcome::Shared(receipt)) => self.finished(index, receipt, true),
            Ok(Outcome::Verified(digests)) => self.compare(index, task, &digests),
            Err(Failure::Cancelled) => {
                (self.events)(Event::CellCancelled { cell: self.id(index) });
            }
            Err(Failure::Damaged { .. }) if task.known.is_none() && self.rebuild(index) => {}
            Err(failure) => {
                let log = self.log(index);
                match task.known {
                    // What reads it can still be verified.
                    Some(receipt) => {
                        self.tell_failure(index, &failure, Some(&log));
                        self.have(index, receipt, How::Failed);
                    }
                    None => self.fail(index, &failure, Some(&log)),
                }
            }
        }
        self.look_at_pending();
    }

    fn finished(&mut self, index: CellIndex, receipt: Box<Receipt>, shared: bool) {
        if !shared {
            self.forced.remove(&index);
        }
        if self.refused(index, &receipt) {
            return;
        }
        (self.events)(Event::CellFinished {
            cell: self.id(index),
            key: receipt.key,
            seconds: receipt.seconds,
            metrics: receipt.metrics.clone(),
            shared,
        });
        self.have(index, receipt, if shared { How::Hit } else { How::Ran });
    }

    /// The cell has its result: it is shown, and what reads it is looked at.
    fn have(&mut self, index: CellIndex, receipt: Box<Receipt>, how: How) {
        self.how[index] = Some(how);
        self.keys.insert(self.id(index).to_string(), receipt.key);
        let shown = if self.options.verify || self.stays_beyond(index, &receipt) {
            Ok(())
        } else {
            export(self.plan, self.store, self.options, index, &receipt)
        };
        self.cells[index] = Cell::Done(receipt);
        if let Err(error) = shown {
            self.tell_damage(index);
            if matches!(error.root(), Error::Damaged { .. }) && self.again(index) {
                return;
            }
            self.tell_unshown(index, &error);
        }
        self.pending.extend(self.plan.readers(index));
    }

    /// Whether a result need not come over: its content is in the remote store alone, nothing reads it here,
    /// and nobody asked for it. Others are shown.
    fn stays_beyond(&self, index: CellIndex, receipt: &Receipt) -> bool {
        if self.store.remote().is_none() || self.store.is_here(receipt) {
            return false;
        }
        let asked = !self.options.wanted.is_empty() && self.is_named(index);
        let last = self.plan.readers(index).next().is_none();
        let shown = |artifacts: &PathBuf| {
            shown_at(artifacts, &self.plan.pipeline, &self.plan[index].id).exists()
        };
        !(asked || last || self.options.artifacts.as_ref().is_some_and(shown))
    }

    fn tell_unshown(&mut self, index: CellIndex, error: &Error) {
        let (cell, error) = (self.id(index), error.to_string());
        self.unshown.push(cell.to_string());
        (self.events)(Event::ExportFailed { cell, error });
    }

    /// Whether the result is not the locked one: then the cell fails, and nothing else is told of it. It is shown all the same,
    /// since people want to see what became of it.
    fn refused(&mut self, index: CellIndex, receipt: &Receipt) -> bool {
        let Err(failure) = self.hold(index, receipt) else { return false };
        self.keys.insert(self.id(index).to_string(), receipt.key);
        if let Err(error) = export(self.plan, self.store, self.options, index, receipt) {
            self.tell_damage(index);
            self.tell_unshown(index, &error);
        }
        self.fail(index, &failure, None);
        true
    }

    /// Whether the result is what is locked. Other bits on another kind of processor are counted.
    fn hold(&mut self, index: CellIndex, receipt: &Receipt) -> Result<(), Failure> {
        let (Some(held), Some(varies)) = (&self.options.lock, &self.varies) else { return Ok(()) };
        let name = self.plan[index].id.to_string();
        match held.change(&name, receipt, varies[index]) {
            None => Ok(()),
            Some(Change::Inputs | Change::Bits { .. }) if !held.same_processor => {
                self.other_bits.insert(index);
                Ok(())
            }
            Some(change) => Err(Failure::message(format!("differs from the lock: {change}"))),
        }
    }

    /// Looks at a cell anew whose own result turned out to be damaged.
    fn again(&mut self, index: CellIndex) -> bool {
        self.attempts[index] += 1;
        if self.attempts[index] > ATTEMPTS {
            return false;
        }
        self.cells[index] = Cell::Waiting;
        self.pending.insert(index);
        true
    }

    /// An input of the cell is damaged: what yields it runs again, then the cell. False when that
    /// was done too often, or when nothing is missing.
    fn rebuild(&mut self, index: CellIndex) -> bool {
        self.attempts[index] += 1;
        if self.attempts[index] > ATTEMPTS {
            return false;
        }
        let mut lost = Vec::new();
        for one in self.plan.upstream(index) {
            if let Cell::Done(receipt) = &self.cells[one]
                && !(matches!(self.store.receipt(&receipt.key), Ok(Some(_)))
                    && matches!(self.store.have(receipt), Ok(true)))
            {
                lost.push(one);
            }
        }
        self.tell_damage(index);
        for &one in &lost {
            self.cells[one] = Cell::Waiting;
            self.attempts[one] += 1;
        }
        self.cells[index] = Cell::Waiting;
        self.pending.extend(lost);
        self.pending.insert(index);
        true
    }

    fn compare(&mut self, index: CellIndex, task: Task, again: &BTreeMap<String, Again>) {
        let Some(receipt) = task.known else { return };
        let (volatile, fixed): (Vec<_>, Vec<_>) =
            receipt.outputs.iter().partition(|(_, output)| output.volatile);
        let (mut outputs, mut near) = (Vec::new(), BTreeMap::new());
        for (name, output) in fixed {
            let of = again.get(name);
            match of.map(|one| (one.digest, &one.nearness)) {
                Some((digest, _)) if digest == output.digest => {}
                Some((_, Some(Nearness::Within(share)))) => _ = near.insert(name.clone(), *share),
                found => outputs.push(Difference {
                    output: name.clone(),
                    stored: output.digest,
                    again: found.map(|(digest, _)| digest),
                    beyond: match found {
                        Some((_, Some(Nearness::Beyond(how)))) => Some(how.clone()),
                        _ => None,
                    },
                }),
            }
        }
        let cell = self.id(index);
        let how = if outputs.is_empty() {
            let volatile = volatile.into_iter().map(|(name, _)| name.clone()).collect();
            (self.events)(Event::CellVerified { cell, volatile, near });
            How::Verified
        } else {
            (self.events)(Event::CellDiffers { cell, outputs });
            How::Differs
        };
        self.have(index, receipt, how);
    }

    /// The cell failed: what reads it is skipped.
    pub(super) fn fail(&mut self, index: CellIndex, failure: &Failure, log: Option<&Path>) {
        self.tell_failure(index, failure, log);
        self.how[index] = Some(How::Failed);
        self.cells[index] = Cell::Lost;
        let failed = self.id(index);
        for reader in self.readers(index) {
            let (cell, failed) = (self.id(reader), failed.clone());
            (self.events)(Event::CellSkipped { cell, failed });
            self.how[reader] = Some(How::Skipped);
            self.cells[reader] = Cell::Lost;
        }
    }

    fn tell_failure(&self, index: CellIndex, failure: &Failure, log: Option<&Path>) {
        let log_tail = log.map_or_else(Vec::new, tail);
        (self.events)(Event::CellFailed {
            cell: self.id(index),
            error: failure.to_string(),
            log: log.filter(|_| !log_tail.is_empty()).map(PathBuf::from),
            log_tail,
        });
    }

    /// The cell cannot be verified, and so cannot what reads it.
    pub(super) fn absent(&mut self, index: CellIndex, damaged: bool) {
        let mut lost = vec![index];
        lost.extend(self.readers(index));
        for one in lost {
            let damaged = damaged && one == index;
            (self.events)(Event::CellAbsent { cell: self.id(one), damaged });
            self.how[one] = Some(How::Absent);
            self.cells[one] = Cell::Lost;
        }
    }

    /// The waiting cells that need this one, in the plan's order.
    fn readers(&self, index: CellIndex) -> Vec<CellIndex> {
        self.plan.downstream(index, |one| matches!(self.cells[one], Cell::Waiting))
    }

    /// Notes the keys for the reasons of later runs, and sums up.
    pub(super) fn finish(self, cancelled: bool) -> Result<Summary> {
        if !self.options.verify && self.options.apart.is_none() {
            self.store.set_last(&self.plan.pipeline, &self.keys)?;
        }
        let settled = |how| self.how.iter().filter(move |&(_, &one)| one == Some(how));
        let count = |how| settled(how).count();
        let names = |how| settled(how).map(|(cell, _)| self.plan[cell].id.to_string()).collect();
        Ok(Summary {
            hits: count(How::Hit),
            ran: count(How::Ran),
            failed: names(How::Failed),
            skipped: count(How::Skipped),
            verified: count(How::Verified),
            differing: names(How::Differs),
            absent: count(How::Absent),
            other_bits: self.other_bits.len(),
            unshown: self.unshown.clone(),
            cancelled,
            seconds: 0.0,
        })
    }
}

/// The last lines of a log.
fn tail(log: &Path) -> Vec<String> {
    let read = || {
        let mut file = std::fs::File::open(log)?;
        let length = file.metadata()?.len();
        let start = length.saturating_sub(TAIL_BYTES);
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok::<_, std::io::Error>((bytes, start > 0))
    };
    let Ok((bytes, cut)) = read() else { return Vec::new() };
    let text = String::from_utf8_lossy(&bytes);
    let mut lines: Vec<_> = text.lines().skip(usize::from(cut)).map(str::to_owned).collect();
    lines.drain(..lines.len().saturating_sub(TAIL_LINES));
    lines
}
