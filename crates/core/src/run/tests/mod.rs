//! The executor with an in-process runner and kinds that are easy to watch.

mod grown;
mod kinds;
mod together;
mod walks;

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use super::{Event, Options, Summary, execute};
use crate::Store;
use crate::executor::{InProcess, Limits, Machine};
use crate::plan::Plan;
use crate::{Kinds, LoadOptions, load};

/// A pipeline file with a store beside it.
struct Bench {
    folder: tempfile::TempDir,
    kinds: Kinds,
}

/// What a run told.
struct Told {
    events: Vec<Event>,
    summary: Summary,
}

impl Bench {
    fn new() -> Self {
        let kinds = Kinds::new([kinds::KINDS, crate::kinds::KINDS]).unwrap();
        Self { folder: tempfile::tempdir().unwrap(), kinds }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn store(&self) -> Store {
        Store::open(&self.path("store")).unwrap()
    }

    fn plan(&self, text: &str) -> Plan {
        let path = self.path("p.toml");
        // Two runs at once may write it: neither must see the other's half.
        let mut file = tempfile::NamedTempFile::new_in(self.folder.path()).unwrap();
        std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
        file.persist(&path).unwrap();
        load(&LoadOptions::file(&path), &self.kinds).unwrap_or_else(|errors| panic!("{errors}"))
    }

    fn options(&self) -> Options {
        Options { artifacts: Some(self.path("artifacts")), ..Options::default() }
    }

    fn executor(&self, store: &Store) -> Machine<InProcess> {
        let limits = Limits { threads: 4, memory: 8 << 30, ..Limits::default() };
        Machine::new(InProcess::new(store.clone(), self.kinds.clone()), limits)
    }

    fn run(&self, text: &str) -> Told {
        self.run_with(text, &self.options())
    }

    fn run_with(&self, text: &str, options: &Options) -> Told {
        let store = self.store();
        let plan = self.plan(text);
        let executor = self.executor(&store);
        let events = RefCell::new(Vec::new());
        let summary =
            execute(&plan, &store, &executor, options, &|event| events.borrow_mut().push(event));
        Told { events: events.into_inner(), summary: summary.unwrap() }
    }

    fn shown(&self, path: &str) -> String {
        let path = self.path("artifacts").join("p").join(path);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// The blob of a file that is shown.
    fn blob(&self, shown: &str) -> PathBuf {
        let digest = crate::Digest::of(self.shown(shown).as_bytes()).hex();
        self.path("store/blobs").join(&digest[..2]).join(&digest)
    }

    /// Flips a byte in the blob of a file that is shown.
    fn flip(&self, shown: &str) {
        flip(&self.blob(shown));
    }

    /// The same, with the times as they were: bits that rot on the disk.
    fn rot(&self, shown: &str) {
        let blob = self.blob(shown);
        let times = std::fs::metadata(&blob).unwrap().modified().unwrap();
        flip(&blob);
        std::fs::File::open(&blob).unwrap().set_modified(times).unwrap();
    }
}

fn flip(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[0] ^= 1;
    // A blob is read-only: another file takes its place.
    std::fs::remove_file(path).unwrap();
    std::fs::write(path, bytes).unwrap();
}

impl Told {
    /// Names of the cells that were computed, in the order of their ends.
    fn ran(&self) -> Vec<String> {
        let finished = |event: &Event| match event {
            Event::CellFinished { cell, shared: false, .. } => Some(cell.to_string()),
            _ => None,
        };
        self.events.iter().filter_map(finished).collect()
    }

    fn failures(&self) -> Vec<String> {
        let failed = |event: &Event| match event {
            Event::CellFailed { cell, error, .. } => Some(format!("{cell}: {error}")),
            _ => None,
        };
        self.events.iter().filter_map(failed).collect()
    }

    /// What was told of damage, and whether it was rebuilt.
    fn damage(&self) -> Vec<(String, bool)> {
        let damage = |event: &Event| match event {
            Event::Damage { text, rebuilt, .. } => Some((text.clone(), *rebuilt)),
            _ => None,
        };
        self.events.iter().filter_map(damage).collect()
    }

    /// The folders of which what was shown was removed.
    fn removed(&self) -> Vec<String> {
        let removed = |event: &Event| match event {
            Event::StaleRemoved { folders } => Some(folders.clone()),
            _ => None,
        };
        let folders = self.events.iter().filter_map(removed).flatten();
        folders.map(|folder| folder.display().to_string()).collect()
    }

    fn reasons(&self, name: &str) -> Vec<String> {
        let started = |event: &Event| match event {
            Event::CellStarted { cell, reasons, .. } if cell.to_string() == name => {
                Some(reasons.clone())
            }
            _ => None,
        };
        self.events.iter().find_map(started).unwrap_or_default()
    }
}
