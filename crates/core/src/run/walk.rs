//! The states of the cells during a run, and how they change.

use std::cmp::Reverse;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::together::group;
use super::{Event, Mode, Options, Request, ResolvedCell, Settings, file};
use crate::executor::Told;
use crate::key::KeyParts;
use crate::lock::varying;
use crate::plan::{CellIndex, PerCell, Plan, Reason, Source, State, assess_cell, output_digest};
use crate::store::Receipt;
use crate::store::{Snapshot, Store};
use crate::{CellId, Digest, Error, Resources, Result, Update};

/// What is to run.
#[derive(Debug, Clone)]
pub(super) struct Task {
    pub(super) key: Digest,
    pub(super) request: Request,
    /// The path and the content of a local file or folder.
    pub(super) local: Option<(PathBuf, Snapshot)>,
    /// What it has in common with its siblings.
    pub(super) group: Option<Digest>,
    /// What the store holds of it, when that is to be verified.
    pub(super) known: Option<Box<Receipt>>,
    reasons: Vec<String>,
}

pub(super) enum Cell {
    /// Not asked for.
    Unwanted,
    /// Something that it reads has no result yet.
    Waiting,
    /// It can run.
    Queued(Box<Task>),
    /// It runs.
    Running(Box<Task>),
    /// It has its result.
    Done(Box<Receipt>),
    /// It has no result and will not get one.
    Lost,
}

/// How a cell came to its result, or to none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum How {
    Hit,
    Ran,
    Failed,
    Skipped,
    Verified,
    Differs,
    Absent,
}

/// Cells for which more others wait come first.
type Urgency = (Reverse<usize>, CellIndex);

pub(super) struct Walk<'a> {
    pub(super) plan: &'a Plan,
    pub(super) store: &'a Store,
    pub(super) options: &'a Options,
    pub(super) events: &'a dyn Fn(Event),
    pub(super) cells: PerCell<Cell>,
    pub(super) how: PerCell<Option<How>>,
    /// Length of the longest chain of cells that read this one.
    height: PerCell<usize>,
    /// Cells that were asked for, not those that they need.
    named: BTreeSet<CellIndex>,
    /// Cells that are still to run although the store holds their results.
    pub(super) forced: BTreeSet<CellIndex>,
    /// Which cells read what may differ between two runs, where results are held to a lock.
    pub(super) varies: Option<PerCell<bool>>,
    /// Cells whose bits differ from a lock of another kind of processor.
    pub(super) other_bits: BTreeSet<CellIndex>,
    /// Cells whose results could not be shown.
    pub(super) unshown: Vec<String>,
    /// How often a cell ran again because of damage.
    pub(super) attempts: PerCell<usize>,
    /// The queued cells by their needs, the most urgent first; local files have none.
    pub(super) queue: BTreeMap<Option<Resources>, BTreeSet<Urgency>>,
    /// Queued cells that wait for one that runs and may write their outputs on its way: out of the queue meanwhile.
    pub(super) held: BTreeMap<CellIndex, Vec<CellIndex>>,
    /// Cells that wait for another one of the same key, which is queued or runs.
    twins: BTreeMap<Digest, Vec<CellIndex>>,
    last: BTreeMap<String, Digest>,
    /// Cells to look at: something that they read has changed its state.
    pub(super) pending: BTreeSet<CellIndex>,
    /// The keys of the cells that have their results.
    pub(super) keys: BTreeMap<String, Digest>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        plan: &'a Plan,
        store: &'a Store,
        options: &'a Options,
        events: &'a dyn Fn(Event),
    ) -> Result<Self> {
        let mut cells = PerCell::new(plan, |_| Cell::Unwanted);
        let named = plan.named(&options.wanted)?;
        for cell in plan.with_upstream(named.iter().copied()) {
            cells[cell] = Cell::Waiting;
        }
        let forced = match options.force.is_empty() {
            true => BTreeSet::new(),
            false => plan.named(&options.force)?,
        };
        Ok(Self {
            plan,
            store,
            options,
            events,
            cells,
            how: PerCell::filled(plan, None),
            height: plan.heights(),
            named,
            forced,
            varies: options.lock.as_ref().map(|_| varying(plan)),
            other_bits: BTreeSet::new(),
            unshown: Vec::new(),
            attempts: PerCell::filled(plan, 0),
            queue: BTreeMap::new(),
            held: BTreeMap::new(),
            twins: BTreeMap::new(),
            last: store.last(&plan.pipeline)?,
            pending: BTreeSet::new(),
            keys: BTreeMap::new(),
        })
    }

    /// How many cells are wanted.
    pub(super) fn wanted(&self) -> usize {
        self.cells.iter().filter(|(_, cell)| !matches!(cell, Cell::Unwanted)).count()
    }

    pub(super) fn has_queued(&self) -> bool {
        !self.queue.is_empty()
    }

    /// The most urgent of the queued cells of each needs, the most urgent of all first, and how many have these needs.
    pub(super) fn queued_by_needs(
        &self,
    ) -> impl Iterator<Item = (CellIndex, Resources, usize)> + use<> {
        let first = |(needs, queue): (&Option<Resources>, &BTreeSet<Urgency>)| {
            Some((*queue.first()?, (*needs)?, queue.len()))
        };
        let mut urgent: Vec<_> = self.queue.iter().filter_map(first).collect();
        urgent.sort_unstable();
        urgent.into_iter().map(|((_, index), needs, waiting)| (index, needs, waiting))
    }

    /// The most urgent of the local files and folders that are to be taken in.
    pub(super) fn queued_file(&self) -> Option<CellIndex> {
        self.queue.get(&None)?.first().map(|(_, index)| *index)
    }

    pub(super) fn task(&self, index: CellIndex) -> Option<&Task> {
        match &self.cells[index] {
            Cell::Queued(task) | Cell::Running(task) => Some(task),
            _ => None,
        }
    }

    /// Looks at every cell whose inputs are known, upstream first.
    ///
    /// # Errors
    /// What is wrong with the remote store: nothing was run yet.
    pub(super) fn look_at_all(&mut self) -> Result<()> {
        self.pending.extend(self.plan.indices());
        self.look_in_waves(true)
    }

    /// Looks at the pending cells whose inputs are known, and at those that this makes ready.
    pub(super) fn look_at_pending(&mut self) {
        // What is wrong with the remote store, the look at each cell tells.
        let _ = self.look_in_waves(false);
    }

    fn look_in_waves(&mut self, begins: bool) -> Result<()> {
        if self.store.remote().is_none() {
            while let Some(index) = self.pending.pop_first() {
                self.look_if_ready(index);
            }
            return Ok(());
        }
        // In waves, so that the remote store is asked for all of one at once.
        while !self.pending.is_empty() {
            let mut wave = std::mem::take(&mut self.pending);
            wave.retain(|&index| self.is_ready(index));
            if let Err(error) = self.ask_ahead(&wave)
                && begins
            {
                return Err(error);
            }
            for index in wave {
                self.look_if_ready(index);
            }
        }
        self.tell_remote();
        Ok(())
    }

    /// Whether a cell waits, and all that it reads has its results.
    fn is_ready(&self, index: CellIndex) -> bool {
        let waits = matches!(self.cells[index], Cell::Waiting);
        let done = |one| matches!(self.cells[one], Cell::Done(_));
        waits && self.plan.reads(index).all(done)
    }

    fn look_if_ready(&mut self, index: CellIndex) {
        if self.is_ready(index)
            && let Err(error) = self.look(index)
        {
            self.fail(index, &error.into(), None);
        }
    }

    /// Asks the remote store for the keys of these cells at once. Local paths are not among them: their
    /// content is looked at one by one.
    fn ask_ahead(&self, wave: &BTreeSet<CellIndex>) -> Result<()> {
        let mut keys = Vec::with_capacity(wave.len());
        for &index in wave.iter().filter(|&&index| file::local_path(self.plan, index).is_none()) {
            // What is wrong with a cell, the look at it tells.
            let parts = self.plan.key_parts(index, |from, source| self.digest(from, source), None);
            keys.extend(parts.ok().map(|parts| parts.key()));
        }
        self.store.ask_ahead(&keys)
    }

    /// The digest of an output of a cell that has its result.
    fn digest(&self, cell: CellIndex, source: &Source) -> Result<Digest> {
        match &self.cells[cell] {
            Cell::Done(receipt) => output_digest(receipt, source),
            _ => Err(Error::message("an input has no result")),
        }
    }

    /// Tells what went wrong with the remote store.
    pub(super) fn tell_remote(&self) {
        for text in self.store.remote().map(|remote| remote.take_told()).unwrap_or_default() {
            (self.events)(Event::Remote { text });
        }
    }

    /// Finds the key of a cell whose inputs are known: a hit, or a task for the queue.
    fn look(&mut self, index: CellIndex) -> Result<()> {
        let local = match file::local_path(self.plan, index) {
            Some(path) => {
                let snapshot =
                    file::snapshot(self.store, &path, self.plan[index].stage.follows_links())?;
                Some((path, snapshot))
            }
            None => None,
        };
        let digest = |upstream: CellIndex, source: &Source| self.digest(upstream, source);
        let content = local.as_ref().map(|(_, snapshot)| snapshot.digest);
        let parts = self.plan.key_parts(index, digest, content)?;
        let state = match self.known_local(index, &parts)? {
            Some(receipt) => State::Hit(receipt),
            None => assess_cell(self.plan, index, &parts, self.store.results(), &self.last)?,
        };
        self.tell_damage(index);
        let forced = self.forced.contains(&index);
        match state {
            State::Hit(receipt) if self.verifies(index) && local.is_none() => {
                self.queue(index, parts, Mode::Verify, Vec::new(), None);
                self.set_task(index, |task| task.known = Some(receipt));
            }
            State::Hit(_) if forced && local.is_none() => {
                self.queue(index, parts, Mode::Force, vec!["it was asked for".to_owned()], None);
            }
            State::Hit(receipt) => self.hit(index, receipt),
            State::Run { reasons, .. } if self.options.verify => {
                self.absent(index, reasons.contains(&Reason::Damaged));
            }
            State::Run { reasons, .. } => {
                let reasons = reasons.iter().map(Reason::to_string).collect();
                // What was left of an earlier run is not wanted either.
                let mode = if forced && local.is_none() { Mode::Force } else { Mode::Run };
                self.queue(index, parts, mode, reasons, local);
            }
            State::Depends(_) => return Err(Error::message("an input has no result")),
        }
        Ok(())
    }

    /// The recorded result of a local path that was taken in before. Whether the store still has
    /// all of it is not looked at, which for a large folder would take as long as the look at the
    /// folder itself: should a reader miss something, it is taken in again from the path.
    fn known_local(&self, index: CellIndex, parts: &KeyParts) -> Result<Option<Box<Receipt>>> {
        if parts.content.is_none() || self.attempts[index] > 0 {
            return Ok(None);
        }
        Ok(self.store.recorded(&parts.key())?.map(Box::new))
    }

    /// Whether the cell itself was asked for, and not just one that needs it.
    pub(super) fn is_named(&self, index: CellIndex) -> bool {
        self.named.contains(&index)
    }

    /// Whether the cell itself was asked to be verified, and not just one that needs it.
    fn verifies(&self, index: CellIndex) -> bool {
        self.options.verify && self.named.contains(&index)
    }

    pub(super) fn set_task(&mut self, index: CellIndex, set: impl FnOnce(&mut Task)) {
        if let Cell::Queued(task) = &mut self.cells[index] {
            set(task);
        }
    }

    fn queue(
        &mut self,
        index: CellIndex,
        parts: KeyParts,
        mode: Mode,
        reasons: Vec<String>,
        local: Option<(PathBuf, Snapshot)>,
    ) {
        let key = parts.key();
        match self.twins.entry(key) {
            // Another cell computes the same: this one is looked at again when that is over.
            Entry::Occupied(mut twins) => return twins.get_mut().push(index),
            Entry::Vacant(none) => _ = none.insert(Vec::new()),
        }
        let cell = &self.plan[index];
        let request = Request {
            mode,
            cell: ResolvedCell {
                pipeline: self.plan.pipeline.clone(),
                cell: cell.id.clone(),
                parameters: cell.parameters.clone(),
                parts,
                settings: Settings::default(),
            },
            siblings: Vec::new(),
        };
        let group = group(&request, cell.stage.together());
        let task = Task { key, request, local, group, known: None, reasons };
        self.cells[index] = Cell::Queued(Box::new(task));
        self.enter_queue(index);
    }

    /// The needs of a queued cell; none of a local file.
    fn needs(&self, index: CellIndex) -> Option<Resources> {
        let is_local = self.task(index).is_some_and(|task| task.local.is_some());
        (!is_local).then_some(self.plan[index].resources)
    }

    pub(super) fn enter_queue(&mut self, index: CellIndex) {
        let urgency = (Reverse(self.height[index]), index);
        self.queue.entry(self.needs(index)).or_default().insert(urgency);
    }

    pub(super) fn leave_queue(&mut self, index: CellIndex) {
        let needs = self.needs(index);
        if let Some(queue) = self.queue.get_mut(&needs) {
            queue.remove(&(Reverse(self.height[index]), index));
            if queue.is_empty() {
                self.queue.remove(&needs);
            }
        }
    }

    /// A cell with this key is over: those of the same key are looked at again.
    pub(super) fn release_twins(&mut self, key: &Digest) {
        self.pending.extend(self.twins.remove(key).into_iter().flatten());
    }

    /// Marks a queued cell as running, and holds its siblings back until it is over: what is to be done, and where its log
    /// goes.
    pub(super) fn start(
        &mut self,
        index: CellIndex,
        settings: &Settings,
        siblings: &[CellIndex],
    ) -> Option<(Task, PathBuf)> {
        self.leave_queue(index);
        let waiting = self.hold_back(index, siblings);
        let Cell::Queued(mut task) = std::mem::replace(&mut self.cells[index], Cell::Lost) else {
            return None;
        };
        task.request.cell.settings = settings.clone();
        task.request.siblings = waiting;
        let id = &self.plan[index].id;
        let log = self.log(index);
        (self.events)(Event::CellStarted {
            cell: id.clone(),
            key: task.key,
            reasons: task.reasons.clone(),
            threads: settings.threads,
            device: settings.device,
            log: log.clone(),
        });
        let started = (*task).clone();
        self.cells[index] = Cell::Running(task);
        Some((started, log))
    }

    pub(super) fn told(&self, index: CellIndex, told: Told) {
        let cell = self.id(index);
        (self.events)(match told {
            Told::Damage(text) => self.damage(cell, text),
            Told::Update(Update::Progress { done, total, unit }) => {
                Event::CellProgress { cell, done, total, unit }
            }
            Told::Update(Update::Note { text }) => Event::CellNote { cell, text },
            Told::Update(Update::Metric { name, value }) => Event::CellMetric { cell, name, value },
            Told::Update(Update::Point { .. }) | Told::Done(_) => return,
        });
    }

    /// The log of a cell in this run.
    pub(super) fn log(&self, index: CellIndex) -> PathBuf {
        let pipeline = &self.plan.pipeline;
        let folder = match &self.options.apart {
            Some(apart) => &format!("{pipeline}.{apart}"),
            None => pipeline,
        };
        self.store.log_path(folder, &self.plan[index].id)
    }

    pub(super) fn id(&self, index: CellIndex) -> CellId {
        self.plan[index].id.clone()
    }

    fn damage(&self, cell: CellId, text: String) -> Event {
        Event::Damage { cell, text, rebuilt: !self.options.verify }
    }

    /// Tells what the store found bad on behalf of a cell.
    pub(super) fn tell_damage(&self, index: CellIndex) {
        for damage in self.store.take_damage() {
            (self.events)(self.damage(self.id(index), damage.to_string()));
        }
    }
}
