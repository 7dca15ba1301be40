//! The walk over a plan: what is ready is looked up, what is not there runs, as much at once as
//! the resources allow.

use std::collections::BTreeSet;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::Scope;
use std::time::{Duration, Instant};

use super::walk::{Task, Walk};
use super::{Event, Failure, Options, Outcome, Settings, Summary, file};
use crate::Result;
use crate::executor::{Budget, Runner, Share, Told};
use crate::plan::{CellIndex, Plan};
use crate::store::Store;

/// How often a waiting run looks whether it was asked to stop.
const TICK: Duration = Duration::from_millis(50);

/// What the threads of the running cells tell the walk.
enum Message {
    Told(CellIndex, Told),
    Done(CellIndex, Result<Outcome, Failure>),
}

/// Brings every wanted cell to its result. `events` is called from this thread alone.
///
/// A cell that fails leaves those that do not need it running; the summary tells.
///
/// # Errors
/// A wanted cell that the plan does not have, or a store that cannot be read or written.
pub fn execute(
    plan: &Plan,
    store: &Store,
    runner: &dyn Runner,
    options: &Options,
    events: &dyn Fn(Event),
) -> Result<Summary> {
    let clock = Instant::now();
    let mut walk = Walk::new(plan, store, options, events)?;
    events(Event::RunStarted {
        pipeline: plan.pipeline.clone(),
        cells: walk.wanted(),
        threads: options.threads,
        memory: options.memory,
    });
    tracing::info_span!("assess", cells = walk.wanted()).in_scope(|| walk.look_at_all());
    let mut cancelled = false;
    if walk.has_queued() {
        cancelled = std::thread::scope(|scope| run_queued(&mut walk, runner, scope));
    }
    let mut summary = walk.finish(cancelled)?;
    summary.seconds = clock.elapsed().as_secs_f64();
    events(Event::RunFinished(summary.clone()));
    Ok(summary)
}

/// Runs what is queued and what that makes ready. Returns whether it was asked to stop.
fn run_queued<'scope, 'env>(
    walk: &mut Walk<'env>,
    runner: &'env dyn Runner,
    scope: &'scope Scope<'scope, 'env>,
) -> bool {
    let options = walk.options;
    let (sender, receiver) = mpsc::channel();
    let mut budget = Budget::new(options.jobs, options.threads, options.memory, &options.devices);
    let mut running = Vec::new();
    let mut stop = Stop::default();
    loop {
        stop.check(walk, runner, running.len());
        if !stop.is_asked() {
            while let Some((index, share)) = next(walk, &mut budget, &running) {
                running.push((index, share));
                start(walk, runner, scope, &sender, index, &share);
            }
        }
        if running.is_empty() {
            return stop.is_asked();
        }
        match receiver.recv_timeout(TICK) {
            Ok(Message::Told(index, told)) => walk.told(index, told),
            Ok(Message::Done(index, result)) => {
                if let Some(place) = running.iter().position(|(one, _)| *one == index) {
                    let (_, share) = running.swap_remove(place);
                    budget.give(&share);
                }
                walk.done(index, result);
            }
            // `sender` lives, so it is never disconnected.
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
        }
    }
}

/// The queued cell that most of the rest waits for, among those that fit.
fn next(
    walk: &Walk<'_>,
    budget: &mut Budget,
    running: &[(CellIndex, Share)],
) -> Option<(CellIndex, Share)> {
    let keys: BTreeSet<_> =
        running.iter().filter_map(|(index, _)| walk.task(*index).map(|task| task.key)).collect();
    walk.queued().find_map(|index| {
        // Another cell computes the same: then this one will find it.
        if walk.task(index).is_none_or(|task| keys.contains(&task.key)) {
            return None;
        }
        let share = budget.take(&walk.plan[index].resources)?;
        Some((index, share))
    })
}

fn start<'scope, 'env>(
    walk: &mut Walk<'env>,
    runner: &'env dyn Runner,
    scope: &'scope Scope<'scope, 'env>,
    sender: &Sender<Message>,
    index: CellIndex,
    share: &Share,
) {
    let settings = Settings {
        threads: share.threads,
        device: share.device,
        mirror: walk.options.mirror.clone(),
    };
    let Some((task, log)) = walk.start(index, &settings) else { return };
    let Task { request, local, .. } = task;
    let (store, plan, sender) = (walk.store, walk.plan, sender.clone());
    scope.spawn(move || {
        let tell = |told| {
            // The walk listens until the last cell is done.
            let _ = sender.send(Message::Told(index, told));
        };
        let result = match (&local, plan[index].outputs.first()) {
            (Some((path, snapshot)), Some(output)) => {
                file::run(store, &request, output, path, snapshot).map_err(Failure::from)
            }
            _ => runner.run(&request, &log, &tell),
        };
        let _ = sender.send(Message::Done(index, result));
    });
}

/// How far the run has been asked to stop.
#[derive(Default)]
struct Stop {
    /// When running cells are ended.
    deadline: Option<Instant>,
    killed: bool,
}

impl Stop {
    fn is_asked(&self) -> bool {
        self.deadline.is_some()
    }

    fn check(&mut self, walk: &Walk<'_>, runner: &dyn Runner, running: usize) {
        let interrupt = &walk.options.interrupt;
        if self.deadline.is_none() && interrupt.is_asked() {
            self.deadline = Some(Instant::now() + walk.options.grace);
            (walk.events)(Event::Stopping { running, now: false });
            runner.cancel();
        }
        let over = self.deadline.is_some_and(|deadline| Instant::now() >= deadline);
        if !self.killed && self.deadline.is_some() && (over || interrupt.is_urgent()) {
            self.killed = true;
            (walk.events)(Event::Stopping { running, now: true });
            runner.kill();
        }
    }
}
