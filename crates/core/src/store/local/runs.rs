//! Runs: what was run when, one file each.
//!
//! `runs/<number>.jsonl` is only ever appended to: a line when the run begins, lines for its cells
//! as they come to their states, a line when it ends. While a run goes on its process holds
//! `locks/run-<number>`, so that a record without an end is a run that goes on or one that was
//! killed. A last line that was cut short is as none. `runs/latest` is the number of the latest run,
//! a hint that saves listing the folder.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::damage::{Opened, read_whole};
use super::scratch::is_at;
use super::{Store, durable, locks, walk};
use crate::Result;
use crate::error::IoResultExt;
use crate::store::{Commit, RunCell, RunCounts, RunEnd, RunRecord, RunState};

/// Records up to this size are read whole; of longer ones that ended, both ends are enough.
const SHORT: u64 = 64 << 10;

/// One line of a record.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Line<'a> {
    /// The run begins.
    Start(Cow<'a, RunRecord>),
    /// A cell came to a state; a later line of the same cell takes its place.
    Cell(Cow<'a, RunCell>),
    /// What git said meanwhile.
    Commit(Cow<'a, Commit>),
    /// The run is over: its whole record once more.
    End(Cow<'a, RunRecord>),
}

/// The record of a run that goes on. Dropped without [`RunLog::end`], it is that of a killed run.
#[derive(Debug)]
pub struct RunLog {
    /// The run's number.
    id: u64,
    file: BufWriter<File>,
    lock_path: PathBuf,
    /// Held until the record has its end.
    _lock: File,
}

impl RunLog {
    /// The run's number.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Notes the state of a cell. Written at once unless the cell is fresh: of these there are
    /// many, and they are written with the next other line.
    pub fn cell(&mut self, cell: &RunCell) -> Result<()> {
        self.line(&Line::Cell(Cow::Borrowed(cell)))?;
        if cell.state == RunState::Fresh { Ok(()) } else { self.flush() }
    }

    /// Notes what git said.
    pub fn commit(&mut self, commit: &Commit) -> Result<()> {
        self.line(&Line::Commit(Cow::Borrowed(commit)))?;
        self.flush()
    }

    /// Ends the record, and waits for the disk where cells ran: a run without any can be repeated.
    pub fn end(mut self, record: &RunRecord) -> Result<()> {
        self.line(&Line::End(Cow::Borrowed(record)))?;
        self.flush()?;
        if record.counts.ran + record.counts.failed + record.counts.interrupted > 0 {
            self.file.get_ref().sync_data().at(&self.lock_path)?;
        }
        Ok(())
    }

    fn line(&mut self, line: &Line<'_>) -> Result<()> {
        serde_json::to_writer(&mut self.file, line)?;
        self.file.write_all(b"\n").at(&self.lock_path)
    }

    fn flush(&mut self) -> Result<()> {
        self.file.flush().at(&self.lock_path)
    }
}

impl Drop for RunLog {
    fn drop(&mut self) {
        // One that stays is as good as none once its process is gone.
        let _ = std::fs::remove_file(&self.lock_path);
    }
}

impl Store {
    /// Begins the record of a run. `record.id` is set to its number. None for a store that cannot
    /// be written.
    pub fn begin_run(&self, record: &mut RunRecord) -> Result<Option<RunLog>> {
        if !self.inner.writable {
            return Ok(None);
        }
        let folder = self.root().join("runs");
        durable::create_folder(&folder)?;
        let hint = folder.join("latest");
        let latest = std::fs::read_to_string(&hint).ok();
        let latest = latest.and_then(|text| text.trim().parse::<u64>().ok());
        let mut id = match latest {
            Some(latest) => latest,
            None => self.run_ids()?.last().copied().unwrap_or(0),
        };
        loop {
            id += 1;
            let path = self.run_path(id);
            if path.exists() {
                continue;
            }
            let lock_path = self.run_lock(id);
            let lock = locks::open(&lock_path)?;
            // The lock comes first: whoever sees the record can tell that the run goes on.
            if !locks::try_lock(&lock, &lock_path)? || !is_at(&lock, &lock_path) {
                continue;
            }
            let file = match OpenOptions::new().append(true).create_new(true).open(&path) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                    let _ = std::fs::remove_file(&lock_path);
                    continue;
                }
                other => other.at(&path)?,
            };
            record.id = id;
            let mut log = RunLog { id, file: BufWriter::new(file), lock_path, _lock: lock };
            log.line(&Line::Start(Cow::Borrowed(record)))?;
            log.flush()?;
            // A hint: without it, or with an old one, a number that is taken is passed over. Written
            // over in place, since file systems wait for the disk when a file is cut to nothing.
            let open = OpenOptions::new().write(true).create(true).truncate(false).open(&hint);
            let _ = open.and_then(|mut file| file.write_all(format!("{id:>20}\n").as_bytes()));
            return Ok(Some(log));
        }
    }

    /// All runs that are recorded, oldest first. A record that cannot be read goes to the
    /// quarantine.
    pub fn runs(&self) -> Result<Vec<RunRecord>> {
        let mut runs = Vec::new();
        for id in self.run_ids()? {
            runs.extend(self.run(id)?);
        }
        Ok(runs)
    }

    /// The run of this number.
    pub fn run(&self, id: u64) -> Result<Option<RunRecord>> {
        let path = self.run_path(id);
        // Looked at first: a run that ends in between has its end when it is read.
        let alive = self.run_is_alive(id);
        let Opened::File(file, metadata) = self.open_file(None, &path)? else { return Ok(None) };
        if metadata.len() > SHORT {
            let mut tail = vec![0; SHORT as usize];
            (&file).seek(SeekFrom::End(-(SHORT as i64))).at(&path)?;
            (&file).read_exact(&mut tail).at(&path)?;
            let last = tail.trim_ascii_end().rsplit(|&byte| byte == b'\n').next();
            if let Some(Line::End(record)) = last.and_then(line) {
                return Ok(Some(record.into_owned()));
            }
            (&file).seek(SeekFrom::Start(0)).at(&path)?;
        }
        let mut bytes = Vec::new();
        read_whole(&file, &metadata, &mut bytes).at(&path)?;
        match outline(&bytes, alive) {
            Some(record) if record.id == id => Ok(Some(record)),
            // Its process is about to write the first line, or was killed before that.
            _ if bytes.is_empty() => Ok(None),
            _ => {
                self.quarantine(None, &path, "the record of a run cannot be read")?;
                Ok(None)
            }
        }
    }

    /// The cells of a run that came to a state, in the order in which they first did. Cells that
    /// ran when the run was killed are interrupted.
    pub fn run_cells(&self, id: u64) -> Result<Vec<RunCell>> {
        let alive = self.run_is_alive(id);
        let mut bytes = Vec::new();
        self.read_file(None, &self.run_path(id), &mut bytes)?;
        Ok(cells(&bytes, alive))
    }

    /// The numbers of the runs that are recorded, in their order.
    fn run_ids(&self) -> Result<Vec<u64>> {
        let names = walk::names(&self.root().join("runs"))?;
        let id = |name: &String| name.strip_suffix(".jsonl")?.parse().ok();
        let mut ids: Vec<u64> = names.iter().filter_map(id).collect();
        ids.sort_unstable();
        Ok(ids)
    }

    /// Whether the process of a run is there. A lock that a dead one left goes.
    pub(super) fn run_is_alive(&self, id: u64) -> bool {
        let path = self.run_lock(id);
        let Ok(lock) = File::open(&path) else { return false };
        if !locks::try_lock_shared(&lock, &path).unwrap_or(false) {
            return true;
        }
        let _ = std::fs::remove_file(&path);
        false
    }

    fn run_path(&self, id: u64) -> PathBuf {
        self.root().join("runs").join(format!("{id}.jsonl"))
    }

    fn run_lock(&self, id: u64) -> PathBuf {
        self.root().join("locks").join(format!("run-{id}"))
    }
}

/// The number of the run whose record stands at `path`.
pub(super) fn id_of(path: &Path) -> Option<u64> {
    path.file_name()?.to_str()?.strip_suffix(".jsonl")?.parse().ok()
}

/// A line; none for one that was cut short, and for one of a later version of Sconce.
fn line(bytes: &[u8]) -> Option<Line<'static>> {
    serde_json::from_slice(bytes).ok()
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = Line<'static>> {
    bytes.split(|&byte| byte == b'\n').filter_map(line)
}

/// What a record says without its cells.
fn outline(bytes: &[u8], alive: bool) -> Option<RunRecord> {
    let mut lines = lines(bytes);
    let Line::Start(record) = lines.next()? else { return None };
    let mut record = record.into_owned();
    for line in lines {
        match line {
            Line::Commit(commit) => record.commit = Some(commit.into_owned()),
            Line::End(record) => return Some(record.into_owned()),
            Line::Start(_) | Line::Cell(_) => {}
        }
    }
    record.end = if alive { RunEnd::Running } else { RunEnd::Killed };
    record.counts = counts(&cells(bytes, alive));
    Some(record)
}

fn cells(bytes: &[u8], alive: bool) -> Vec<RunCell> {
    let mut cells: Vec<RunCell> = Vec::new();
    let mut known: BTreeMap<String, usize> = BTreeMap::new();
    for line in lines(bytes) {
        let Line::Cell(cell) = line else { continue };
        let cell = cell.into_owned();
        match known.get(&cell.cell.to_string()) {
            Some(&place) => cells[place] = cell,
            None => {
                known.insert(cell.cell.to_string(), cells.len());
                cells.push(cell);
            }
        }
    }
    if !alive {
        for cell in cells.iter_mut().filter(|cell| cell.state == RunState::Running) {
            cell.state = RunState::Interrupted;
        }
    }
    cells
}

fn counts(cells: &[RunCell]) -> RunCounts {
    let count = |state| cells.iter().filter(|cell| cell.state == state).count();
    RunCounts {
        fresh: count(RunState::Fresh),
        ran: count(RunState::Ran),
        failed: count(RunState::Failed),
        skipped: count(RunState::Skipped),
        interrupted: count(RunState::Interrupted),
    }
}
