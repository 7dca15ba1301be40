//! The journal of a cell: what it told while it ran.
//!
//! A journal has the *points* of the cell's curves (numbers by name at a step), how far the work is, the
//! last note, and how it ended. It is a view of the work and no part of any result: nothing reads it but
//! people. [`Store::journal`](super::Store::journal) reads one; the module of the local store writes it,
//! one JSON object a line.
//!
//! **Size.** Fewer than [`MOST_POINTS`] points of steps are kept. When there are so many, each two
//! neighbours become their mean, and from then on a point is the mean of twice as many steps: a curve of any length
//! keeps its form. Of the points of epochs every second one goes.
//!
//! **Going on.** A point takes the place of all points of its sort from its step on. A training that goes
//! on from a checkpoint tells the steps behind it again, and so none stands twice. Numbers of other names
//! join those that were told of the same step.

use serde::{Deserialize, Serialize};

/// Points of steps are fewer than this, and points of epochs; even.
pub(crate) const MOST_POINTS: usize = 2000;

/// Numbers of a training at a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Steps done, from 1.
    pub step: u64,
    /// The epoch, from 1, of which the values are; without one they are of the step, or the mean of the
    /// steps since the point before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// When it was told, in seconds since 1970.
    pub at: f64,
    /// The numbers by name, in the order in which they were told. One that is not finite is NaN; JSON
    /// has `null` for it.
    #[serde(deserialize_with = "with_missing")]
    pub values: Vec<(String, f64)>,
}

impl Point {
    /// Whether this is a later step, or the same one with a number of the same name.
    pub(crate) fn is_replaced_by(&self, other: &Self) -> bool {
        let told = |(name, _): &(String, f64)| self.values.iter().any(|(own, _)| own == name);
        self.step > other.step || (self.step == other.step && other.values.iter().any(told))
    }

    /// Takes further numbers of the same step.
    pub(crate) fn join(&mut self, other: Self) {
        self.at = other.at;
        self.values.extend(other.values);
    }
}

/// JSON writes a number that is not finite as `null`.
fn with_missing<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<(String, f64)>, D::Error> {
    let values: Vec<(String, Option<f64>)> = Vec::deserialize(deserializer)?;
    Ok(values.into_iter().map(|(name, value)| (name, value.unwrap_or(f64::NAN))).collect())
}

/// How far the work is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Done so far.
    pub done: u64,
    /// All there is; 0 when unknown.
    pub total: u64,
    /// What is counted: `images`, `steps`.
    pub unit: String,
    /// When it was told, in seconds since 1970.
    pub at: f64,
}

/// How a run of a cell ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// It has its result.
    Done,
    /// It failed.
    Failed,
    /// The run was asked to stop.
    Stopped,
}

/// The end of a run of a cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct End {
    /// How it ended.
    pub how: Ending,
    /// The error of one that failed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub error: String,
    /// When, in seconds since 1970.
    pub at: f64,
}

/// What a cell told while it ran.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Journal {
    /// The pipeline that it runs in.
    pub pipeline: String,
    /// The cell's name.
    pub cell: String,
    /// How often it was started: more than once where a run was killed or stopped.
    pub starts: u64,
    /// When it was started last, in seconds since 1970.
    pub started: f64,
    /// The points of steps, by step.
    pub steps: Vec<Point>,
    /// The points of whole epochs, by step.
    pub epochs: Vec<Point>,
    /// How far it was when it told so first after its last start, with the same unit and total as now.
    pub first: Option<Progress>,
    /// How far it is.
    pub progress: Option<Progress>,
    /// The last note.
    pub note: String,
    /// How it ended; none while it runs, and none when it was killed.
    pub end: Option<End>,
    /// Whether a process computes it now.
    pub running: bool,
    /// Steps that make a point.
    pub stride: u64,
}

/// What became of a cell, as far as its journal tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// A process computes it.
    Running,
    /// Its process ended without a word.
    Killed,
    /// It ended.
    Ended(Ending),
}

impl Journal {
    /// What became of the cell.
    pub fn standing(&self) -> Standing {
        match &self.end {
            _ if self.running => Standing::Running,
            Some(end) => Standing::Ended(end.how),
            None => Standing::Killed,
        }
    }

    /// Seconds until all is done, if it goes on as since the last start; none where that is not known.
    pub fn seconds_left(&self, now: f64) -> Option<f64> {
        let (first, last) = (self.first.as_ref()?, self.progress.as_ref()?);
        let (done, took) = (last.done.checked_sub(first.done)?, last.at - first.at);
        if done == 0 || took <= 0.0 || last.total < last.done {
            return None;
        }
        let left = (last.total - last.done) as f64 * took / done as f64;
        Some((left - (now - last.at).max(0.0)).max(0.0))
    }

    /// Whether there is any point.
    pub fn has_points(&self) -> bool {
        !self.steps.is_empty() || !self.epochs.is_empty()
    }

    /// When something was told last, in seconds since 1970.
    pub fn told(&self) -> f64 {
        let points = [self.steps.last(), self.epochs.last()].into_iter().flatten();
        let progress = self.progress.iter().map(|progress| progress.at);
        let end = self.end.iter().map(|end| end.at);
        points.map(|point| point.at).chain(progress).chain(end).fold(self.started, f64::max)
    }

    /// The lines of a journal. What is no entry, such as a line that a killed process did not finish, is
    /// passed over.
    pub(crate) fn parse(text: &[u8]) -> Self {
        let mut journal = Self { stride: 1, ..Self::default() };
        for line in text.split(|&byte| byte == b'\n') {
            if let Ok(entry) = serde_json::from_slice(line) {
                journal.take(entry);
            }
        }
        journal
    }

    /// The fewest entries that give this journal.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        let mut entries = vec![Entry::Cell {
            pipeline: self.pipeline.clone(),
            cell: self.cell.clone(),
            stride: self.stride,
            starts: self.starts.saturating_sub(1),
        }];
        if self.starts > 0 {
            entries.push(Entry::Start { at: self.started });
        }
        let points = self.epochs.iter().chain(&self.steps).cloned();
        entries.extend(points.map(Entry::Point));
        entries.extend(self.first.iter().chain(&self.progress).cloned().map(Entry::Progress));
        if !self.note.is_empty() {
            entries.push(Entry::Note { text: self.note.clone() });
        }
        entries.extend(self.end.clone().map(Entry::End));
        entries
    }

    /// Adds an entry.
    pub(crate) fn take(&mut self, entry: Entry) {
        match entry {
            Entry::Cell { pipeline, cell, stride, starts } => {
                (self.pipeline, self.cell, self.starts) = (pipeline, cell, starts);
                self.stride = stride.max(1);
            }
            Entry::Start { at } => {
                self.starts += 1;
                self.started = at;
                (self.end, self.first, self.progress) = (None, None, None);
                self.note.clear();
            }
            Entry::Point(point) => {
                let points = if point.epoch.is_some() { &mut self.epochs } else { &mut self.steps };
                while points.last().is_some_and(|last| last.is_replaced_by(&point)) {
                    points.pop();
                }
                match points.last_mut().filter(|last| last.step == point.step) {
                    Some(last) => last.join(point),
                    None => points.push(point),
                }
            }
            Entry::Progress(progress) => {
                let same = |first: &Progress| {
                    first.unit == progress.unit
                        && first.total == progress.total
                        && first.done <= progress.done
                };
                if !self.first.as_ref().is_some_and(same) {
                    self.first = Some(progress.clone());
                }
                self.progress = Some(progress);
            }
            Entry::Note { text } => self.note = text,
            Entry::End(end) => self.end = Some(end),
        }
    }

    /// Makes room where there are too many points; whether there were.
    pub(crate) fn thin(&mut self) -> bool {
        // An even number: no point stands alone.
        let many = (self.steps.len() >= MOST_POINTS, self.epochs.len() >= MOST_POINTS);
        if many.0 {
            self.stride *= 2;
            let pairs = self.steps.chunks(2);
            self.steps = pairs.filter_map(mean).collect();
        }
        if many.1 {
            // The last one stays.
            let mut place = self.epochs.len() % 2;
            self.epochs.retain(|_| {
                place += 1;
                place.is_multiple_of(2)
            });
        }
        many.0 || many.1
    }
}

/// The mean of points, at the place of the last one; each name's of those that have it.
pub(crate) fn mean(points: &[Point]) -> Option<Point> {
    let last = points.last()?;
    let mut values: Vec<(String, f64, f64)> = Vec::new();
    for (name, value) in points.iter().flat_map(|point| &point.values) {
        match values.iter_mut().find(|(other, ..)| other == name) {
            Some((_, sum, count)) => (*sum, *count) = (*sum + value, *count + 1.0),
            None => values.push((name.clone(), *value, 1.0)),
        }
    }
    let values = values.into_iter().map(|(name, sum, count)| (name, sum / count)).collect();
    Some(Point { values, ..last.clone() })
}

/// A line of a journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Entry {
    /// Whose it is: the first line.
    Cell {
        pipeline: String,
        cell: String,
        stride: u64,
        starts: u64,
    },
    /// The cell was started.
    Start {
        at: f64,
    },
    Point(Point),
    Progress(Progress),
    Note {
        text: String,
    },
    End(End),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(step: u64, epoch: Option<u64>, loss: f64) -> Entry {
        Entry::Point(Point {
            step,
            epoch,
            at: step as f64,
            values: vec![("loss".to_owned(), loss)],
        })
    }

    fn steps(journal: &Journal) -> Vec<(u64, f64)> {
        journal.steps.iter().map(|point| (point.step, point.values[0].1)).collect()
    }

    #[test]
    fn a_point_takes_the_place_of_those_of_its_sort_from_its_step_on() {
        let mut journal = Journal::parse(b"");
        for step in 1..=5 {
            journal.take(point(step, None, step as f64));
        }
        let more = vec![("accuracy".to_owned(), 0.5)];
        journal.take(Entry::Point(Point { step: 5, epoch: None, at: 6.0, values: more }));
        assert_eq!(journal.steps.last().unwrap().values.len(), 2);
        journal.take(point(2, Some(1), 9.0));
        journal.take(point(4, Some(2), 8.0));
        // Gone on from a checkpoint after step 3.
        journal.take(point(4, None, -4.0));
        assert_eq!(steps(&journal), [(1, 1.0), (2, 2.0), (3, 3.0), (4, -4.0)]);
        assert_eq!(journal.epochs.len(), 2);
    }

    #[test]
    fn entries_give_the_same_journal_and_a_torn_line_is_passed_over() {
        let mut journal = Journal::parse(b"");
        journal.take(Entry::Cell {
            pipeline: "p".to_owned(),
            cell: "a[b=1]".to_owned(),
            stride: 4,
            starts: 2,
        });
        journal.take(Entry::Start { at: 7.5 });
        journal.take(point(3, None, f64::INFINITY));
        journal.take(point(3, Some(1), 0.25));
        for done in [1, 5, 9] {
            let unit = "steps".to_owned();
            journal.take(Entry::Progress(Progress { done, total: 20, unit, at: done as f64 }));
        }
        journal.take(Entry::Note { text: "\"quoted\"".to_owned() });
        let error = "why".to_owned();
        journal.take(Entry::End(End { how: Ending::Failed, error, at: 12.0 }));
        let lines = journal.entries();
        let mut text: String =
            lines.iter().map(|entry| serde_json::to_string(entry).unwrap() + "\n").collect();
        text += "{\"point\":{\"step\":4,\"at\":4.0,\"val";
        let mut again = Journal::parse(text.as_bytes());
        assert!(again.steps[0].values[0].1.is_nan());
        again.steps.clone_from(&journal.steps);
        assert_eq!(again, journal);
        assert_eq!((again.starts, again.stride), (3, 4));
        // 8 in 8 s, 11 to go, of which 2 s have gone by since.
        assert_eq!(again.seconds_left(11.0), Some(9.0));
        assert_eq!(again.told(), 12.0);
        assert_eq!(again.standing(), Standing::Ended(Ending::Failed));
    }

    #[test]
    fn thinned_steps_are_means_and_the_last_epoch_stays() {
        let mut journal = Journal::parse(b"");
        let last = MOST_POINTS as u64;
        for step in 1..last {
            journal.take(point(step, None, step as f64));
            journal.take(point(step, Some(step), step as f64));
        }
        assert!(!journal.thin());
        journal.take(point(last, None, 1.0));
        journal.take(point(last, Some(last), 1.0));
        assert!(journal.thin());
        assert_eq!(journal.stride, 2);
        assert_eq!(steps(&journal)[..2], [(2, 1.5), (4, 3.5)]);
        assert_eq!(journal.steps.len(), MOST_POINTS / 2);
        assert_eq!(journal.epochs.last().unwrap().step, last);
        assert_eq!(journal.epochs.len(), MOST_POINTS / 2);
    }

    #[test]
    fn a_mean_is_of_those_that_have_the_name() {
        let point = |step, values: &[(&str, f64)]| Point {
            step,
            epoch: None,
            at: 0.0,
            values: values.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect(),
        };
        let found = mean(&[point(1, &[("a", 1.0)]), point(2, &[("a", 4.0), ("b", 7.0)])]).unwrap();
        assert_eq!(found, point(2, &[("a", 2.5), ("b", 7.0)]));
    }
}
