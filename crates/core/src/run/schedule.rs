//! The walk over a plan: what is ready is looked up, what is not there is submitted to the executor,
//! as much at once as it has room for.

use std::cell::RefCell;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use super::record::Recorder;
use super::walk::{Task, Walk};
use super::{Event, Failure, Options, Settings, Summary, file};
use crate::executor::{Executor, Share, Submission, Told, machine_threads};
use crate::plan::{CellIndex, Plan};
use crate::store::Store;
use crate::{Error, Result};

/// How often a waiting run looks whether it was asked to stop.
const TICK: Duration = Duration::from_millis(50);

/// What is told of a cell that was started.
type Message = (CellIndex, Told);

/// Brings every wanted cell to its result. `events` is called from this thread alone.
///
/// With [`Options::record`] the store holds what was run when ([`Store::runs`]).
///
/// A cell that fails leaves those that do not need it running; the summary tells.
///
/// # Errors
/// A wanted cell that the plan does not have, or a store that cannot be read or written.
pub fn execute(
    plan: &Plan,
    store: &Store,
    executor: &dyn Executor,
    options: &Options,
    events: &dyn Fn(Event),
) -> Result<Summary> {
    let Some(invocation) = options.record.as_ref().filter(|_| !options.verify) else {
        return walk(plan, store, executor, options, events);
    };
    let clock = Instant::now();
    let recorder: RefCell<Option<Recorder>> = RefCell::default();
    let tell = |event: Event| {
        let mut recorder = recorder.borrow_mut();
        if let Event::RunStarted { cells, .. } = &event {
            *recorder = Recorder::begin(plan, store, invocation, *cells);
        }
        if let Some(recorder) = recorder.as_mut() {
            recorder.event(&event);
        }
        events(event);
    };
    let done = walk(plan, store, executor, options, &tell);
    match (recorder.take(), &done) {
        (Some(recorder), Ok(summary)) => recorder.end(summary),
        (Some(recorder), Err(error)) => recorder.fail(error, clock.elapsed().as_secs_f64()),
        (None, _) => {}
    }
    done
}

fn walk(
    plan: &Plan,
    store: &Store,
    executor: &dyn Executor,
    options: &Options,
    events: &dyn Fn(Event),
) -> Result<Summary> {
    let clock = Instant::now();
    // What it reads may be pending, and is waited for together.
    let store = &store.deferring();
    let mut walk = Walk::new(plan, store, options, events)?;
    let limits = executor.limits();
    events(Event::RunStarted {
        pipeline: plan.pipeline.clone(),
        cells: walk.wanted(),
        threads: limits.threads,
        memory: limits.memory,
    });
    walk.remove_stale();
    tracing::info_span!("assess", cells = walk.wanted()).in_scope(|| walk.look_at_all())?;
    let mut cancelled = false;
    if walk.has_queued() {
        cancelled = run_queued(&mut walk, executor);
    }
    // What a kill left pending, and was seen meanwhile.
    if let Err(error) = store.settle(&[]) {
        events(Event::Notice { text: error.to_string() });
    }
    let mut summary = walk.finish(cancelled)?;
    summary.seconds = clock.elapsed().as_secs_f64();
    events(Event::RunFinished(summary.clone()));
    Ok(summary)
}

/// Runs what is queued and what that makes ready. Returns whether it was asked to stop.
fn run_queued(walk: &mut Walk<'_>, executor: &dyn Executor) -> bool {
    let (sender, receiver) = mpsc::channel();
    // Cells that the executor has, and local files that this process takes in itself.
    let (mut submitted, mut taken_in) = (0, 0);
    let mut stop = Stop::default();
    loop {
        for text in executor.notices() {
            (walk.events)(Event::Notice { text });
        }
        stop.check(walk, executor, submitted + taken_in);
        if !stop.is_asked() {
            while taken_in < machine_threads()
                && let Some(index) = walk.queued_file()
            {
                taken_in += 1;
                take_in(walk, &sender, index);
            }
            while let Some(next) = next(walk, executor) {
                submitted += 1;
                submit(walk, executor, &sender, next);
            }
        }
        // Cells are left over where another run on the same executor takes all room.
        if submitted + taken_in == 0 && (stop.is_asked() || !walk.has_queued()) {
            for text in executor.finish() {
                (walk.events)(Event::Notice { text });
            }
            return stop.is_asked();
        }
        walk.tell_remote();
        match receiver.recv_timeout(TICK) {
            Ok((index, Told::Done(result))) => {
                let local = walk.task(index).is_some_and(|task| task.local.is_some());
                *(if local { &mut taken_in } else { &mut submitted }) -= 1;
                walk.done(index, result);
            }
            Ok((index, told)) => walk.told(index, told),
            // `sender` lives, so it is never disconnected.
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
        }
    }
}

/// A cell for which there is room.
struct Next {
    index: CellIndex,
    share: Share,
    /// Those that are to wait for it.
    siblings: Vec<CellIndex>,
}

/// The queued cell that most of the rest waits for, among those for which there is room.
fn next(walk: &Walk<'_>, executor: &dyn Executor) -> Option<Next> {
    let mut urgent = walk.queued_by_needs();
    urgent.find_map(|(index, needs, waiting)| {
        let siblings = walk.siblings(index);
        let share = executor.capacity(&needs, waiting - siblings.len())?;
        Some(Next { index, share, siblings })
    })
}

/// Gives a cell to the executor.
fn submit(
    walk: &mut Walk<'_>,
    executor: &dyn Executor,
    sender: &Sender<Message>,
    Next { index, share, siblings }: Next,
) {
    let mirror = walk.options.mirror.clone();
    let small = walk.plan[index].stage.small();
    let settings = Settings { threads: share.threads, device: share.device, mirror, small };
    let Some((task, log)) = walk.start(index, &settings, &siblings) else { return };
    let sender = sender.clone();
    // The walk listens until the last cell is done.
    let tell = move |told| _ = sender.send((index, told));
    executor.submit(Submission { request: task.request, log, tell: Box::new(tell) }, share);
}

/// Takes a local file or folder into the store, in a thread of this process.
fn take_in(walk: &mut Walk<'_>, sender: &Sender<Message>, index: CellIndex) {
    let settings = Settings { threads: 1, ..Settings::default() };
    let output = walk.plan[index].outputs.first().cloned();
    let started = walk.start(index, &settings, &[]);
    let Some((Task { request, local, .. }, _)) = started else { return };
    let (store, sender) = (walk.store.waiting(), sender.clone());
    std::thread::spawn(move || {
        let result = match (&local, &output) {
            (Some((path, snapshot)), Some(output)) => {
                file::run(&store, &request, output, path, snapshot)
            }
            _ => Err(Error::message("a local file without content or output")),
        };
        let _ = sender.send((index, Told::Done(result.map_err(Failure::from))));
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

    fn check(&mut self, walk: &Walk<'_>, executor: &dyn Executor, running: usize) {
        let interrupt = &walk.options.interrupt;
        if self.deadline.is_none() && interrupt.is_asked() {
            self.deadline = Some(Instant::now() + walk.options.grace);
            (walk.events)(Event::Stopping { running, now: false });
            executor.cancel();
        }
        let over = self.deadline.is_some_and(|deadline| Instant::now() >= deadline);
        if !self.killed && self.deadline.is_some() && (over || interrupt.is_urgent()) {
            self.killed = true;
            (walk.events)(Event::Stopping { running, now: true });
            executor.kill();
        }
    }
}
