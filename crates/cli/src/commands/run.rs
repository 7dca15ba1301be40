//! `sconce run`: brings every wanted cell to its result.

use std::process::ExitCode;

use sconce_core::executor::queue::{Detach, Reins};
use sconce_core::executor::{Limits, Machine, Processes};
use sconce_core::plan::Plan;
use sconce_core::run::{Event, Interrupt, Options, Summary, execute};
use sconce_core::store::Invocation;

use super::{detach, lock};
use crate::arguments::{ResourceArguments, RunArguments, TalkArguments};
use crate::devices;
use crate::environment;
use crate::executor;
use crate::failure::{FAILED, Failure, INTERRUPTED};
use crate::report::Report;
use crate::session::{Call, Session, named, open_with_plan};

pub(crate) fn run(call: &Call<'_>, arguments: &RunArguments) -> Result<ExitCode, Failure> {
    let (session, mut plan) = open_with_plan(call, &arguments.pipeline)?;
    // A name that means nothing is a mistake of usage, and not one of the run.
    named(&plan, &arguments.stages)?;
    let placed = placed(&session, &mut plan, &arguments.stages, &arguments.resources)?;
    let lock = match arguments.locked {
        true => match lock::held(&arguments.pipeline, &plan, &arguments.stages)? {
            Ok(held) => Some(held),
            Err(code) => return Ok(code),
        },
        false => None,
    };
    if arguments.detach {
        return detach::detach(&session);
    }
    let options = Options {
        wanted: arguments.stages.clone(),
        lock,
        force: forced(&plan, &arguments.stages, &arguments.force),
        artifacts: Some(session.configuration.artifacts.clone()),
        mirror: session.configuration.mirror.clone(),
        record: Some(Invocation {
            file: std::path::absolute(&arguments.pipeline.file)?,
            profiles: arguments.pipeline.profiles.clone(),
            sets: arguments.pipeline.sets.clone(),
            wanted: arguments.stages.clone(),
            force: arguments.force.clone(),
        }),
        ..Options::default()
    };
    named(&plan, &options.force)?;
    execute_plan(call, &session, &plan, &options, &arguments.talk, placed)
}

/// Where cells are computed.
pub(super) struct Placed {
    /// What they share of this machine.
    limits: Limits,
    /// The queues that some go to.
    places: Option<executor::Places>,
    /// What is said of a device that was chosen.
    chosen: Option<String>,
}

/// Finds what the wanted cells of the plan ask to compute on, and writes into the plan what they get.
pub(super) fn placed(
    session: &Session,
    plan: &mut Plan,
    wanted: &[String],
    resources: &ResourceArguments,
) -> Result<Placed, Failure> {
    let mut limits = limits(session, resources);
    let places = executor::place(session, plan, resources.executor);
    let queued = |cell| executor::is_queued(places, cell);
    let devices = devices::resolve(session, plan, wanted, queued)?;
    devices.limit(&mut limits);
    devices.settle(plan);
    Ok(Placed { limits, places, chosen: devices.chosen })
}

/// `--force` alone means all that was asked for.
fn forced(plan: &Plan, wanted: &[String], force: &[String]) -> Vec<String> {
    let all = if wanted.is_empty() { &plan.stages[..] } else { wanted };
    let names = |name: &String| match name.as_str() {
        "*" => all.to_vec(),
        _ => vec![name.clone()],
    };
    force.iter().flat_map(names).collect()
}

/// What the flags and the configuration say about resources.
pub(super) fn limits(session: &Session, resources: &ResourceArguments) -> Limits {
    let configuration = &session.configuration;
    let mut limits = Limits { jobs: resources.jobs.or(configuration.jobs), ..Limits::default() };
    if let Some(threads) = resources.threads.or(configuration.threads) {
        limits.threads = threads.max(1);
    }
    if let Some(memory) = resources.memory.or(configuration.memory) {
        limits.memory = memory.0;
    }
    limits
}

/// Executes the plan with worker processes and shows what happens.
pub(super) fn execute_plan(
    call: &Call<'_>,
    session: &Session,
    plan: &Plan,
    options: &Options,
    talk: &TalkArguments,
    Placed { limits, places, chosen }: Placed,
) -> Result<ExitCode, Failure> {
    if !options.verify {
        session.behind.offer_owed()?;
    }
    let report = Report::new(plan, options, talk, call);
    if let Some(text) = chosen {
        report.event(&Event::DeviceChosen { text });
    }
    let workers = workers(call, session)?;
    let tell = |event| report.event(&event);
    let summary = match places {
        None => {
            stop_on_signals(&options.interrupt);
            let executor = Machine::new(workers.adopting().settling(), limits);
            execute(plan, &session.store, &executor, options, &tell)?
        }
        Some(places) => {
            let reins = Reins {
                detach: Detach::default(),
                interrupt: options.interrupt.clone(),
                pipeline: plan.pipeline.clone(),
            };
            detach::ask_on_signals(&reins, report.pause());
            let executor = executor::routes(session, workers.settling(), limits, &reins, places)?;
            let summary = execute(plan, &session.store, &executor, options, &tell)?;
            if summary.cancelled && reins.detach.is_set() {
                detach::tell(talk);
            }
            summary
        }
    };
    report.finish()?;
    session.behind.finish(&options.interrupt, talk.quiet || talk.json);
    if let Some(held) = &options.lock {
        lock::tell(held, &summary, talk)?;
    }
    Ok(exit_code(&summary))
}

/// Worker processes: this very program, or what a test has in its place.
pub(super) fn workers(call: &Call<'_>, session: &Session) -> Result<Processes, Failure> {
    let mut worker = session.as_arguments();
    worker.extend(["exec".into(), "-".into()]);
    let spans = call.spans.for_workers();
    worker.extend(spans.iter().flat_map(|filter| ["--spans".into(), filter.into()]));
    let mut workers = Processes::new(session.store.clone(), environment::worker()?, worker);
    if spans.is_some() {
        let spans = call.spans.clone();
        workers = workers.with_spans(move |worker, cell, span| {
            spans.take_of_worker(worker, cell, &span);
        });
    }
    Ok(workers)
}

pub(super) fn stop_on_signals(interrupt: &Interrupt) {
    let interrupt = interrupt.clone();
    // Without a handler Ctrl-C still stops everything, though less politely.
    crate::system::on_stop(move || interrupt.ask());
}

fn exit_code(summary: &Summary) -> ExitCode {
    if summary.cancelled {
        ExitCode::from(INTERRUPTED)
    } else if summary.is_success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(FAILED)
    }
}
