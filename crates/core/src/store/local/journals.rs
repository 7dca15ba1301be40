//! Writing and reading the journals of cells: `journals/<key>.jsonl`.
//!
//! The process that computes a cell holds a lock on the cell's journal, so that others see whether it
//! lives. A journal is rewritten by rename when it gets long; the new file is locked before it has the
//! name. A journal says nothing that a result is made of, so it is not synced, and one that cannot be
//! written is left out.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::time::{Instant, SystemTime};

use super::receipts::parse_hex;
use super::{Store, locks, scratch, walk};
use crate::clock;
use crate::error::IoResultExt;
use crate::store::journal::{End, Ending, Entry, Journal, MOST_POINTS, Point, Progress, mean};
use crate::system;
use crate::{Digest, Result, Update};

/// Lines after which a journal is rewritten with the fewest that it needs.
const MOST_LINES: usize = 3 * MOST_POINTS;

/// Progress and notes are written after so long, or when so large a part of the work was done since:
/// progress that is followed by a long step is seen, and a cell of millions of steps writes little.
const PACE: std::time::Duration = std::time::Duration::from_millis(500);
const PARTS: u64 = 500;

/// Writes the journal of a cell that is computed in this process.
#[derive(Debug)]
pub(crate) struct Writer {
    store: Store,
    path: PathBuf,
    /// None when the journal cannot be written.
    file: Option<File>,
    lines: usize,
    journal: Journal,
    /// Steps that are not a point yet.
    pending: Vec<Point>,
    /// What was told since it was last written.
    unwritten: Option<Progress>,
    note: Option<String>,
    written: Option<Instant>,
    /// The part of the work that was written last.
    part: Option<u64>,
}

impl Store {
    /// The journal of a key; none where its cell never ran here, or told nothing and is done.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn journal(&self, key: &Digest) -> Result<Option<Journal>> {
        let path = self.journal_path(key);
        loop {
            let file = match File::open(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
                other => other.at(&path)?,
            };
            let running = !locks::try_lock_shared(&file, &path)?;
            let bytes = std::fs::read(&path).at(&path)?;
            // Rewritten or removed since: another file has the name, or none.
            if !running && !scratch::is_at(&file, &path) {
                continue;
            }
            return Ok(Some(Journal { running, ..Journal::parse(&bytes) }));
        }
    }

    /// The keys that have a journal, with a mark that changes whenever the journal does.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn journals(&self) -> Result<Vec<(Digest, (u64, SystemTime))>> {
        let folder = self.root().join("journals");
        if !folder.is_dir() {
            return Ok(Vec::new());
        }
        let names = walk::names(&folder)?.into_iter();
        let found = names.filter_map(|name| {
            let key = name.strip_suffix(".jsonl").and_then(parse_hex)?;
            let metadata = folder.join(&name).metadata().ok()?;
            Some((key, (metadata.len(), metadata.modified().ok()?)))
        });
        Ok(found.collect())
    }

    pub(super) fn journal_path(&self, key: &Digest) -> PathBuf {
        self.root().join("journals").join(format!("{}.jsonl", key.hex()))
    }

    /// Begins the journal of a cell that is computed now, or goes on with it. The caller has the claim
    /// on the key.
    pub(crate) fn write_journal(&self, key: &Digest, pipeline: &str, cell: &str) -> Writer {
        let path = self.journal_path(key);
        let mut journal = Journal::parse(&std::fs::read(&path).unwrap_or_default());
        (journal.pipeline, journal.cell) = (pipeline.to_owned(), cell.to_owned());
        journal.take(Entry::Start { at: now() });
        let mut writer = Writer {
            store: self.clone(),
            path,
            file: None,
            lines: 0,
            journal,
            pending: Vec::new(),
            unwritten: None,
            note: None,
            written: None,
            part: None,
        };
        writer.rewrite();
        writer
    }
}

impl Writer {
    /// Notes what the cell tells.
    pub(crate) fn tell(&mut self, update: &Update) {
        match update {
            Update::Progress { done, total, unit } => {
                let (done, total, unit) = (*done, *total, unit.clone());
                self.unwritten = Some(Progress { done, total, unit, at: now() });
            }
            Update::Note { text } => self.note = Some(text.clone()),
            Update::Metric { .. } => {}
            Update::Point { step, epoch, values } => {
                let values = values.clone();
                self.point(Point { step: *step, epoch: *epoch, at: now(), values });
            }
        }
        let part = self.unwritten.as_ref().filter(|progress| progress.total > 0);
        let part = part.map(|progress| progress.done.saturating_mul(PARTS) / progress.total);
        let advanced = part.is_some() && part != self.part;
        if advanced || self.written.is_none_or(|written| written.elapsed() >= PACE) {
            self.part = part.or(self.part);
            self.flush();
        }
    }

    fn point(&mut self, point: Point) {
        if point.epoch.is_some() {
            return self.add(Entry::Point(point));
        }
        if self.journal.stride > 1 {
            // A mean of steps that are told again goes as a whole.
            let all = self.journal.steps.len();
            self.journal.steps.retain(|other| other.step < point.step);
            if self.journal.steps.len() < all {
                self.rewrite();
            }
        }
        self.pending.retain(|other| !other.is_replaced_by(&point));
        match self.pending.last_mut().filter(|last| last.step == point.step) {
            Some(last) => last.join(point),
            None => self.pending.push(point),
        }
        if self.pending.len() as u64 >= self.journal.stride {
            let mean = mean(&self.pending);
            self.pending.clear();
            self.add_all(mean.map(Entry::Point));
        }
    }

    fn flush(&mut self) {
        self.written = Some(Instant::now());
        let note = self.note.take().map(|text| Entry::Note { text });
        let progress = self.unwritten.take().map(Entry::Progress);
        self.add_all(progress.into_iter().chain(note));
    }

    /// The last line.
    pub(crate) fn end(mut self, how: Ending, error: String) {
        // A finished cell without a curve has said all in its receipt.
        if how == Ending::Done && !self.journal.has_points() && self.pending.is_empty() {
            let _ = std::fs::remove_file(&self.path);
            return;
        }
        self.add_all(mean(&self.pending).map(Entry::Point));
        self.flush();
        self.add(Entry::End(End { how, error, at: now() }));
    }

    fn add_all(&mut self, entries: impl IntoIterator<Item = Entry>) {
        for entry in entries {
            self.add(entry);
        }
    }

    fn add(&mut self, entry: Entry) {
        let line = serde_json::to_vec(&entry);
        self.journal.take(entry);
        self.lines += 1;
        if self.journal.thin() || self.lines > MOST_LINES {
            return self.rewrite();
        }
        let (Some(file), Ok(mut line)) = (&mut self.file, line) else { return };
        line.push(b'\n');
        if file.write_all(&line).is_err() {
            self.file = None;
        }
    }

    /// Writes the whole journal anew.
    fn rewrite(&mut self) {
        self.file = self.replace().ok();
    }

    fn replace(&mut self) -> Result<File> {
        let temporary = self.store.temporary()?;
        let mut file = OpenOptions::new()
            .create_new(true)
            .read(true)
            .append(true)
            .open(&temporary)
            .at(&temporary)?;
        system::locks::lock(&file).at(&temporary)?;
        let entries = self.journal.entries();
        let mut text = Vec::new();
        for entry in &entries {
            serde_json::to_writer(&mut text, entry)?;
            text.push(b'\n');
        }
        file.write_all(&text).at(&temporary)?;
        self.store.rename(&temporary, &self.path)?;
        self.lines = entries.len();
        Ok(file)
    }
}

/// Seconds since 1970, to the millisecond.
fn now() -> f64 {
    (clock::now() * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Standing;

    fn fresh() -> (tempfile::TempDir, Store, Digest) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join(".sconce")).unwrap();
        (folder, store, Digest::of(b"key"))
    }

    fn loss(step: u64, value: f64) -> Update {
        Update::Point { step, epoch: None, values: vec![("loss".to_owned(), value)] }
    }

    fn journal(store: &Store, key: &Digest) -> Journal {
        store.journal(key).unwrap().unwrap()
    }

    #[test]
    fn others_see_what_is_told_at_once_and_whether_the_writer_lives() {
        let (_folder, store, key) = fresh();
        assert_eq!(store.journal(&key).unwrap(), None);
        let mut writer = store.write_journal(&key, "p", "a");
        writer.tell(&loss(1, 0.5));
        let seen = journal(&store, &key);
        assert_eq!((seen.standing(), seen.steps.len()), (Standing::Running, 1));
        assert_eq!((seen.pipeline.as_str(), seen.cell.as_str()), ("p", "a"));
        // As when its process is killed.
        drop(writer);
        assert_eq!(journal(&store, &key).standing(), Standing::Killed);
        let writer = store.write_journal(&key, "p", "a");
        assert_eq!(journal(&store, &key).standing(), Standing::Running);
        writer.end(Ending::Failed, "why".to_owned());
        let seen = journal(&store, &key);
        assert_eq!(seen.standing(), Standing::Ended(Ending::Failed));
        assert_eq!((seen.starts, seen.steps.len()), (2, 1));
    }

    #[test]
    fn a_journal_of_any_length_is_bounded_and_ends_with_the_last_step() {
        let (_folder, store, key) = fresh();
        let mut writer = store.write_journal(&key, "p", "a");
        let mut largest = 0;
        const STEPS: u64 = 50_001;
        for step in 1..=STEPS {
            writer.tell(&loss(step, step as f64));
            writer.tell(&Update::Progress { done: step, total: STEPS, unit: "steps".to_owned() });
            if step % 997 == 0 {
                largest = largest.max(store.journal_path(&key).metadata().unwrap().len());
            }
        }
        writer.end(Ending::Done, String::new());
        assert!(largest < 1 << 20, "{largest} bytes");
        let seen = journal(&store, &key);
        assert!(seen.steps.len() < MOST_POINTS && seen.steps.len() > MOST_POINTS / 4);
        // Each is the mean of the steps up to it since the one before.
        let mut before = 0;
        for point in &seen.steps {
            let mean = (before + 1 + point.step) as f64 / 2.0;
            assert_eq!(point.values[0].1, mean, "step {}", point.step);
            before = point.step;
        }
        assert_eq!(before, STEPS);
        assert_eq!(seen.progress.unwrap().done, STEPS);
    }

    #[test]
    fn going_on_doubles_no_step_with_any_stride() {
        let (_folder, store, key) = fresh();
        let last = MOST_POINTS as u64 + 11;
        let mut writer = store.write_journal(&key, "p", "a");
        for step in 1..=last {
            writer.tell(&loss(step, 1.0));
        }
        drop(writer);
        let mut writer = store.write_journal(&key, "p", "a");
        for step in 1000..=last {
            writer.tell(&loss(step, 2.0));
        }
        writer.end(Ending::Done, String::new());
        let seen = journal(&store, &key);
        assert!(seen.steps.windows(2).all(|pair| pair[0].step < pair[1].step));
        for point in &seen.steps {
            let expected = if point.step < 1000 { 1.0 } else { 2.0 };
            assert_eq!(point.values[0].1, expected, "step {}", point.step);
        }
        assert_eq!(seen.steps.last().unwrap().step, last);
    }

    #[test]
    fn a_finished_cell_without_points_leaves_nothing() {
        let (_folder, store, key) = fresh();
        let mut writer = store.write_journal(&key, "p", "a");
        writer.tell(&Update::Note { text: "working".to_owned() });
        assert_eq!(journal(&store, &key).note, "working");
        writer.end(Ending::Done, String::new());
        assert_eq!(store.journal(&key).unwrap(), None);
        assert_eq!(store.journals().unwrap(), []);
    }
}
