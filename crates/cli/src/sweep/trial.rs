//! One trial: settings, a plan, and what its objective came to.

use std::cell::RefCell;
use std::path::PathBuf;

use sconce_core::executor::Executor;
use sconce_core::plan::{CellIndex, Plan, known};
use sconce_core::run::{Event, Interrupt, Options, execute, snapshots};
use sconce_core::store::{Invocation, Receipt};
use sconce_core::sweep::Objective;
use sconce_core::{DeviceClasses, Digest, Kinds, LoadOptions, Store, load};

use crate::devices::Devices;
use crate::failure::Failure;

/// So many trials are looked at for what all have in common.
const SEEN: usize = 8;

/// What all trials share.
pub(crate) struct Search<'a> {
    pub(crate) file: PathBuf,
    pub(crate) profiles: Vec<String>,
    /// The settings of every trial.
    pub(crate) sets: Vec<String>,
    pub(crate) objective: Objective,
    /// What the cells of all trials compute on.
    pub(crate) devices: Devices,
    /// The classes of devices that keys name.
    pub(crate) strict_device: Option<DeviceClasses>,
    pub(crate) kinds: &'a Kinds,
    pub(crate) store: Store,
    pub(crate) mirror: Option<PathBuf>,
    pub(crate) interrupt: Interrupt,
}

/// What a trial came to.
#[derive(Debug, Clone)]
pub(crate) enum Came {
    /// The objective, and whether all was there already.
    To { value: f64, seconds: f64, cached: bool },
    /// It has none.
    Failed(String),
    /// The sweep was stopped.
    Stopped,
}

impl Came {
    pub(crate) fn value(&self) -> Option<f64> {
        match self {
            Self::To { value, .. } => Some(*value),
            Self::Failed(_) | Self::Stopped => None,
        }
    }
}

impl Search<'_> {
    /// The plan of a trial, and the cell that its objective is read from.
    pub(crate) fn plan(&self, sets: &[String]) -> Result<(Plan, CellIndex), Failure> {
        let options = LoadOptions {
            path: self.file.clone(),
            profiles: self.profiles.clone(),
            sets: self.all_sets(sets),
            strict_device: self.strict_device,
        };
        let mut plan =
            load(&options, self.kinds).map_err(|errors| Failure::Pipeline(Box::new(errors)))?;
        self.devices.settle(&mut plan);
        let cells =
            plan.select(&self.objective.cell).map_err(|error| Failure::usage(error.to_string()))?;
        match cells.as_slice() {
            &[cell] => Ok((plan, cell)),
            several => {
                let names: Vec<_> =
                    several.iter().take(4).map(|&cell| format!("`{}`", plan[cell].id)).collect();
                Err(Failure::usage(format!(
                    "`{}` means {} cells, and a trial has one objective: name one, such as {}",
                    self.objective.cell,
                    several.len(),
                    names.join(" or ")
                )))
            }
        }
    }

    /// The settings of a trial with those of all.
    pub(crate) fn all_sets(&self, sets: &[String]) -> Vec<String> {
        self.sets.iter().chain(sets).cloned().collect()
    }

    /// Runs what the store does not have of a trial, and reads its objective.
    pub(crate) fn run(&self, executor: &dyn Executor, sets: &[String]) -> Result<Came, Failure> {
        let (plan, cell) = self.plan(sets)?;
        if let Some(receipt) = self.recorded(&plan, cell)?
            && let Ok(value) = self.read(&receipt)
        {
            return Ok(Came::To { value, seconds: 0.0, cached: true });
        }
        let wanted = vec![plan[cell].id.to_string()];
        let name = Digest::of(sets.join("\n").as_bytes()).short();
        let options = Options {
            record: Some(Invocation {
                file: std::path::absolute(&self.file)?,
                profiles: self.profiles.clone(),
                sets: self.all_sets(sets),
                wanted: wanted.clone(),
                force: Vec::new(),
            }),
            ..self.options(wanted, &format!("trial-{name}"))
        };
        let (failed, receipts) = (RefCell::new(None), RefCell::new(None));
        let events = |event: Event| match event {
            Event::CellFailed { cell, error, log, .. } => {
                let log = log.map_or(String::new(), |log| format!(" (log: {})", log.display()));
                failed.borrow_mut().get_or_insert(format!("{cell}: {error}{log}"));
            }
            Event::CellHit { cell: one, key } | Event::CellFinished { cell: one, key, .. }
                if one == plan[cell].id =>
            {
                *receipts.borrow_mut() = Some(key);
            }
            _ => {}
        };
        let summary = execute(&plan, &self.store, executor, &options, &events)?;
        if summary.cancelled {
            return Ok(Came::Stopped);
        }
        if let Some(error) = failed.into_inner() {
            return Ok(Came::Failed(error));
        }
        let receipt = match receipts.into_inner() {
            Some(key) => self.store.recorded(&key)?,
            None => None,
        };
        let Some(receipt) = receipt else {
            return Ok(Came::Failed(format!("{} has no result", plan[cell].id)));
        };
        match self.read(&receipt) {
            Ok(value) => Ok(Came::To { value, seconds: summary.seconds, cached: false }),
            Err(error) => Err(Failure::usage(error.to_string())),
        }
    }

    /// Runs what several trials have in common before they run at once.
    pub(crate) fn run_shared(
        &self,
        executor: &dyn Executor,
        trials: &[Vec<String>],
    ) -> Result<Option<String>, Failure> {
        let [first, others @ ..] = trials else { return Ok(None) };
        // A few tell: what some other one does not share is computed once all the same.
        let others = &others[..others.len().min(SEEN)];
        let (plan, cell) = self.plan(first)?;
        let mut shared: Vec<CellIndex> =
            plan.with_upstream([cell]).into_iter().filter(|&one| one != cell).collect();
        // A cell is shared where its parameters and all that it reads are the same in each trial.
        for sets in others {
            let (other, _) = self.plan(sets)?;
            let same = |&one: &CellIndex| {
                let id = plan[one].id.to_string();
                let found = other.select(&id).ok().and_then(|cells| cells.first().copied());
                found.is_some_and(|found| {
                    plan[one].key_parameters == other[found].key_parameters
                        && plan[one].seed == other[found].seed
                })
            };
            shared.retain(same);
        }
        let kept = shared.clone();
        shared.retain(|&one| {
            plan.with_upstream([one]).into_iter().all(|upstream| kept.contains(&upstream))
        });
        let wanted: Vec<String> = shared.iter().map(|&one| plan[one].id.to_string()).collect();
        if wanted.is_empty() {
            return Ok(None);
        }
        let failed = RefCell::new(None);
        let events = |event: Event| {
            if let Event::CellFailed { cell, error, .. } = event {
                failed.borrow_mut().get_or_insert(format!("{cell}: {error}"));
            }
        };
        execute(&plan, &self.store, executor, &self.options(wanted, "shared"), &events)?;
        Ok(failed.into_inner())
    }

    fn options(&self, wanted: Vec<String>, name: &str) -> Options {
        Options {
            wanted,
            mirror: self.mirror.clone(),
            apart: Some(name.to_owned()),
            interrupt: self.interrupt.clone(),
            ..Options::default()
        }
    }

    /// What is recorded of the objective's cell.
    fn recorded(&self, plan: &Plan, cell: CellIndex) -> Result<Option<Receipt>, Failure> {
        let contents = snapshots(plan, &self.store)
            .into_iter()
            .filter_map(|(cell, snapshot)| Some((cell, snapshot.ok()?.digest)))
            .collect();
        let mut all = known(plan, &self.store, &contents)?;
        Ok(std::mem::take(&mut all[cell]).receipt.map(|receipt| *receipt))
    }

    fn read(&self, receipt: &Receipt) -> sconce_core::Result<f64> {
        let Objective { output, metric, .. } = &self.objective;
        self.store.number(receipt, output.as_deref(), metric)
    }
}
