//! Where rows come from: a plan's cells, or those of a recorded run.

use std::collections::{BTreeMap, BTreeSet};

use sconce_core::plan::{CellIndex, Known, Plan, known};
use sconce_core::run::snapshots;
use sconce_core::stage::METRICS;
use sconce_core::store::{Receipt, RunState, Store};
use sconce_core::{CellId, Digest};
use serde_json::Value;

use crate::failure::Failure;

/// A set of rows: a profile, a variant, a run.
#[derive(Debug)]
pub(crate) struct Side {
    /// What tells it from other sides: columns and their values.
    pub(crate) labels: Vec<(&'static str, String)>,
    pub(crate) cells: Vec<Found>,
    /// By stage the stages that it reads, directly or not; none where that is not known.
    pub(crate) reads: Option<BTreeMap<String, BTreeSet<String>>>,
}

/// Whether a cell's result is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// The store has it.
    Fresh,
    /// It did not run yet.
    NotRun,
    /// Its key is not known: what it reads did not run yet.
    Depends,
    /// It is no longer in the store.
    Gone,
    Failed,
    Skipped,
    Interrupted,
    Running,
}

impl State {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::NotRun => "not run",
            Self::Depends => "not run (depends)",
            Self::Gone => "gone from the store",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Interrupted => "interrupted",
            Self::Running => "running",
        }
    }
}

/// A cell and what is known of it.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) cell: CellId,
    pub(crate) state: State,
    pub(crate) key: Option<Digest>,
    /// The parameters that count, with their defaults; null where nothing is known.
    pub(crate) parameters: Value,
    pub(crate) seed: Option<u64>,
    /// The kind with its version, where they are known.
    pub(crate) kind: Option<(String, u32)>,
    /// Whether its kind yields metrics.
    pub(crate) yields_metrics: bool,
    pub(crate) receipt: Option<Box<Receipt>>,
    pub(crate) numbers: BTreeMap<String, f64>,
}

impl Side {
    /// The cells of a plan, as the store has them.
    pub(crate) fn of_plan(
        labels: Vec<(&'static str, String)>,
        plan: &Plan,
        store: &Store,
    ) -> Result<Self, Failure> {
        let mut contents = BTreeMap::new();
        for (cell, snapshot) in snapshots(plan, store) {
            // One that cannot be read has no result, and neither has what reads it.
            contents.extend(snapshot.ok().map(|snapshot| (cell, snapshot.digest)));
        }
        let mut all = known(plan, store, &contents)?;
        let cells =
            plan.indices().map(|index| Found::of(plan, index, std::mem::take(&mut all[index])));
        Ok(Self { labels, cells: cells.collect(), reads: Some(reads(plan)) })
    }

    /// The cells of a recorded run, with their results as the store still has them.
    pub(crate) fn of_run(
        labels: Vec<(&'static str, String)>,
        id: u64,
        store: &Store,
    ) -> Result<Self, Failure> {
        let cells = store.run_cells(id)?;
        let keys: Vec<Digest> = cells.iter().filter_map(|cell| cell.key).collect();
        let receipts: BTreeMap<Digest, Receipt> = store
            .recorded_all(&keys)?
            .into_iter()
            .flatten()
            .map(|receipt| (receipt.key, receipt))
            .collect();
        let found = cells.into_iter().map(|cell| {
            let has_result = matches!(cell.state, RunState::Fresh | RunState::Ran);
            // Cells of one key share it, so it stays in the map.
            let receipt = cell.key.filter(|_| has_result).and_then(|key| receipts.get(&key));
            let receipt = receipt.cloned().map(Box::new);
            let state = match (cell.state, &receipt) {
                (RunState::Fresh | RunState::Ran, Some(_)) => State::Fresh,
                (RunState::Fresh | RunState::Ran, None) => State::Gone,
                (RunState::Failed, _) => State::Failed,
                (RunState::Skipped, _) => State::Skipped,
                (RunState::Interrupted, _) => State::Interrupted,
                (RunState::Running, _) => State::Running,
            };
            let parts = receipt.as_ref().map(|receipt| &receipt.parts);
            let is_metrics =
                |receipt: &Receipt| receipt.outputs.values().any(|one| one.artifact == METRICS);
            Found {
                state,
                key: cell.key,
                parameters: parts.map_or(Value::Null, |parts| parts.all_parameters()),
                seed: parts.and_then(|parts| parts.seed),
                kind: parts.map(|parts| (parts.kind.clone(), parts.version)),
                yields_metrics: receipt.as_deref().is_some_and(is_metrics),
                numbers: BTreeMap::new(),
                cell: cell.cell,
                receipt,
            }
        });
        Ok(Self { labels, cells: found.collect(), reads: None })
    }

    /// What tells this side from the others, as a text.
    pub(crate) fn words(&self, sides: &[Self]) -> String {
        let differs = |(name, value): &&(&str, String)| {
            let same = |side: &Self| side.labels.iter().any(|(n, v)| n == name && v == value);
            !sides.iter().all(same)
        };
        let word = |(_, value): &(&str, String)| match value.is_empty() {
            true => "(none)".to_owned(),
            false => value.clone(),
        };
        self.labels.iter().filter(differs).map(word).collect::<Vec<_>>().join(", ")
    }

    /// Reads the numbers of the cells that `wanted` takes.
    pub(crate) fn read_numbers(&mut self, store: &Store, wanted: impl Fn(&Found) -> bool) {
        let cells: Vec<usize> = (0..self.cells.len())
            .filter(|&place| wanted(&self.cells[place]) && self.cells[place].receipt.is_some())
            .collect();
        let receipts: Vec<&Receipt> =
            cells.iter().filter_map(|&place| self.cells[place].receipt.as_deref()).collect();
        let numbers = store.numbers_all(&receipts);
        for (place, numbers) in cells.into_iter().zip(numbers) {
            self.cells[place].numbers = numbers;
        }
    }
}

impl Found {
    /// A cell of a plan, of which so much is known.
    pub(crate) fn of(plan: &Plan, index: CellIndex, known: Known) -> Self {
        let cell = &plan[index];
        let state = match (&known.receipt, known.key) {
            (Some(_), _) => State::Fresh,
            (None, Some(_)) => State::NotRun,
            (None, None) => State::Depends,
        };
        Self {
            cell: cell.id.clone(),
            state,
            key: known.key,
            parameters: cell.key_parameters.all(),
            seed: cell.seed,
            kind: Some((cell.kind.name.to_owned(), cell.kind.version)),
            yields_metrics: cell.outputs.iter().any(|output| output.artifact == METRICS),
            receipt: known.receipt,
            numbers: BTreeMap::new(),
        }
    }
}

/// By stage the stages that it reads, directly or not.
fn reads(plan: &Plan) -> BTreeMap<String, BTreeSet<String>> {
    let mut reads: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for stage in &plan.stages {
        let cells = plan.of_stage(stage).flat_map(|cell| plan.upstream(cell));
        let direct = cells.map(|cell| plan[cell].id.stage.clone()).collect();
        reads.insert(stage.clone(), direct);
    }
    // What is read further up, until nothing is added.
    loop {
        let mut more = false;
        for stage in &plan.stages {
            let further: Vec<String> = reads[stage]
                .iter()
                .filter_map(|one| reads.get(one))
                .flatten()
                .filter(|one| !reads[stage].contains(*one))
                .cloned()
                .collect();
            if let Some(own) = reads.get_mut(stage) {
                more |= !further.is_empty();
                own.extend(further);
            }
        }
        if !more {
            return reads;
        }
    }
}
