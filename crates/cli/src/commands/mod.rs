//! One file a command.

mod cancel;
mod compare;
mod detach;
mod doctor;
mod exec;
mod gc;
mod graph;
mod kinds;
mod lock;
mod plan;
mod publish;
#[cfg(feature = "remote")]
mod push;
mod run;
mod runs;
mod schema;
mod show;
mod status;
mod sweep;
mod verify;
mod why;

use std::process::ExitCode;

pub(crate) use plan::{Assessed, assess_plan};
pub(crate) use why::{flat, story};

use sconce_core::Kinds;

use crate::arguments::{Arguments, Command};
use crate::export::export;
use crate::failure::Failure;
use crate::session::Call;
use crate::spans::Spans;
use crate::ui::ui;

/// Runs the command.
pub(crate) fn dispatch(arguments: &Arguments, kinds: &Kinds) -> Result<ExitCode, Failure> {
    let spans = match &arguments.command {
        // It sends its own to the parent.
        Command::Exec(arguments) if arguments.spans.is_some() => Spans::silent(),
        _ => Spans::start(&arguments.global)?,
    };
    let call = &Call { global: &arguments.global, kinds, spans: &spans };
    let done = match &arguments.command {
        Command::Run(arguments) => run::run(call, arguments),
        Command::Plan(arguments) => plan::plan(call, arguments),
        Command::Publish(arguments) => publish::publish(call, arguments),
        Command::Why(arguments) => why::why(call, arguments),
        Command::Graph(arguments) => graph::graph(call, arguments),
        Command::Show(arguments) => show::show(call, arguments),
        Command::Compare(arguments) => compare::compare(call, arguments),
        Command::Sweep(arguments) => sweep::sweep(call, arguments),
        Command::Runs(arguments) => runs::runs(call, arguments),
        Command::Export(arguments) => export(call, arguments),
        Command::Ui(arguments) => ui(call, arguments),
        Command::Kinds(arguments) => kinds::kinds(call, arguments),
        Command::Schema => schema::schema(call),
        Command::Verify(arguments) => verify::verify(call, arguments),
        Command::Lock(arguments) => lock::lock(call, arguments),
        Command::Gc(arguments) => gc::gc(call, arguments),
        #[cfg(feature = "remote")]
        Command::Push(arguments) => push::push(call, arguments),
        #[cfg(feature = "remote")]
        Command::Pull(arguments) => push::pull(call, arguments),
        Command::Doctor(arguments) => doctor::doctor(call, arguments),
        Command::Status(arguments) => status::status(call, arguments),
        Command::Cancel(arguments) => cancel::cancel(call, arguments),
        Command::Exec(arguments) => exec::exec(call, arguments),
    };
    done.and_then(|code| spans.finish().map(|()| code))
}
