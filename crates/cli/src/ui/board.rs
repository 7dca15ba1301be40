//! What the page shows, kept up to date in the background.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use sconce_core::plan::{CellIndex, Plan, State};
use sconce_core::store::{Journal, Standing};
use sconce_core::{DeviceClasses, Digest, Kinds, Store, load};

use crate::arguments::PipelineArguments;
use crate::commands::{Assessed, assess_plan};
use crate::devices;
use crate::failure::Failure;
use crate::session::{Session, options};
use crate::watch::{self, Status};

/// How often journals are looked at.
const PACE: Duration = Duration::from_millis(700);
/// Local files, which no clock of the store shows, are looked at so often.
const ALL: Duration = Duration::from_secs(15);

/// What is shown now.
pub(super) struct Shown {
    /// Changes with the plan.
    pub(super) edition: u64,
    /// Changes with anything.
    pub(super) revision: u64,
    pub(super) plan: Arc<Plan>,
    pub(super) assessed: Arc<Assessed>,
    /// By the cells' numbers.
    pub(super) statuses: Vec<Status>,
    /// The journals of running cells, by the cells' numbers.
    pub(super) running: BTreeMap<usize, Arc<Journal>>,
    /// What is wrong with the pipeline file, since the plan that is shown was read.
    pub(super) problem: String,
    /// The results that may be looked into.
    pub(super) trees: Arc<BTreeSet<Digest>>,
}

/// Keeps what is shown up to date.
pub(super) struct Board<'a> {
    pub(super) session: &'a Session,
    pub(super) pipeline: &'a PipelineArguments,
    /// The classes of devices that keys name.
    strict_device: Option<DeviceClasses>,
    shown: Mutex<Arc<Shown>>,
}

/// A journal, as far as the states of cells go.
struct Known {
    mark: (u64, SystemTime),
    journal: Arc<Journal>,
}

impl<'a> Board<'a> {
    pub(super) fn new(
        session: &'a Session,
        plan: Plan,
        pipeline: &'a PipelineArguments,
    ) -> Result<Self, Failure> {
        let assessed = assess_plan(session, &plan)?;
        let mut shown = Shown {
            edition: 1,
            revision: 1,
            plan: Arc::new(plan),
            trees: Arc::new(trees(&assessed)),
            assessed: Arc::new(assessed),
            statuses: Vec::new(),
            running: BTreeMap::new(),
            problem: String::new(),
        };
        look(&session.store, &mut shown, &mut BTreeMap::new());
        let strict_device = devices::strict(&session.configuration)?;
        Ok(Self { session, pipeline, strict_device, shown: Mutex::new(Arc::new(shown)) })
    }

    pub(super) fn store(&self) -> &Store {
        &self.session.store
    }

    pub(super) fn shown(&self) -> Arc<Shown> {
        Arc::clone(&self.shown.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Looks again and again, until the process ends.
    pub(super) fn keep_up(&self, kinds: &Kinds) -> ! {
        let mut journals = BTreeMap::new();
        let mut file = self.file_time();
        let mut results = self.store_times();
        let (mut assessed_at, mut took) = (Instant::now(), Duration::ZERO);
        loop {
            std::thread::sleep(PACE);
            let before = self.shown();
            let mut shown = Shown {
                plan: Arc::clone(&before.plan),
                assessed: Arc::clone(&before.assessed),
                trees: Arc::clone(&before.trees),
                statuses: Vec::new(),
                running: BTreeMap::new(),
                problem: before.problem.clone(),
                ..*before
            };
            let now = self.file_time();
            let mut changed = false;
            if now != file {
                file = now;
                changed = true;
                self.reload(kinds, &mut shown);
            }
            // An assessment of a large plan must not be all that this process does.
            let rested = assessed_at.elapsed() > took * 4;
            let now = self.store_times();
            if changed || (rested && (now != results || assessed_at.elapsed() > ALL)) {
                results = now;
                assessed_at = Instant::now();
                match assess_plan(self.session, &shown.plan) {
                    Ok(assessed) => {
                        shown.trees = Arc::new(trees(&assessed));
                        shown.assessed = Arc::new(assessed);
                    }
                    Err(error) => shown.problem = error.to_string(),
                }
                took = assessed_at.elapsed();
            }
            look(&self.session.store, &mut shown, &mut journals);
            let same = shown.edition == before.edition
                && shown.statuses == before.statuses
                && shown.running == before.running
                && shown.problem == before.problem
                && Arc::ptr_eq(&shown.assessed, &before.assessed);
            if !same {
                shown.revision += 1;
                *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(shown);
            }
        }
    }

    fn reload(&self, kinds: &Kinds, shown: &mut Shown) {
        match load(&options(self.pipeline, self.strict_device), kinds) {
            Ok(plan) => {
                shown.plan = Arc::new(plan);
                shown.edition += 1;
                shown.problem.clear();
            }
            Err(diagnostics) => shown.problem = diagnostics.to_string(),
        }
    }

    fn file_time(&self) -> Option<SystemTime> {
        self.pipeline.file.metadata().and_then(|metadata| metadata.modified()).ok()
    }

    /// When receipts came or went last.
    fn store_times(&self) -> Vec<(PathBuf, Option<SystemTime>)> {
        let root = self.store().root();
        let inner = std::fs::read_dir(root.join("receipts")).into_iter().flatten().flatten();
        let mut folders: Vec<PathBuf> = inner.map(|entry| entry.path()).collect();
        folders.sort_unstable();
        let time = |path: PathBuf| {
            let time = path.metadata().and_then(|metadata| metadata.modified()).ok();
            (path, time)
        };
        folders.into_iter().map(time).collect()
    }
}

/// The outputs of all results.
fn trees(assessed: &Assessed) -> BTreeSet<Digest> {
    let mut trees = BTreeSet::new();
    for (_, state) in assessed.states.iter() {
        if let State::Hit(receipt) = state {
            trees.extend(receipt.outputs.values().map(|output| output.digest));
        }
    }
    trees
}

/// Finds the statuses of all cells. Journals that have not changed are not read again, but for whether
/// their writers still live.
fn look(store: &Store, shown: &mut Shown, known: &mut BTreeMap<Digest, Known>) {
    let marks: BTreeMap<_, _> = store.journals().unwrap_or_default().into_iter().collect();
    known.retain(|key, _| marks.contains_key(key));
    for (key, mark) in marks {
        let settled = known.get(&key).is_some_and(|known| {
            known.mark == mark && known.journal.standing() != Standing::Running
        });
        if settled {
            continue;
        }
        match store.journal(&key) {
            Ok(Some(journal)) => {
                known.insert(key, Known { mark, journal: Arc::new(journal) });
            }
            // It went in the meantime, or cannot be read.
            Ok(None) | Err(_) => _ = known.remove(&key),
        }
    }
    let status = |(index, state): (CellIndex, &State)| {
        let key = watch::key(state);
        let known = if known.is_empty() { None } else { key.and_then(|key| known.get(&key)) };
        let status = match shown.assessed.unreadable.contains_key(&index) {
            true => Status::Unreadable,
            false => watch::status(state, known.map(|known| &*known.journal)),
        };
        (index, status, known.map(|known| Arc::clone(&known.journal)))
    };
    let (mut statuses, mut running) = (Vec::new(), BTreeMap::new());
    for (index, status, journal) in shown.assessed.states.iter().map(status) {
        statuses.push(status);
        if status == Status::Running {
            running.extend(journal.map(|journal| (index.index(), journal)));
        }
    }
    (shown.statuses, shown.running) = (statuses, running);
}
