//! One file a command.

mod doctor;
mod exec;
mod gc;
mod graph;
mod kinds;
mod plan;
mod run;
mod schema;
mod show;
mod verify;
mod why;

use std::process::ExitCode;

use crate::arguments::{Arguments, Command};
use crate::failure::Failure;

/// Runs the command.
pub(crate) fn dispatch(arguments: Arguments) -> Result<ExitCode, Failure> {
    let global = &arguments.global;
    match &arguments.command {
        Command::Run(arguments) => run::run(global, arguments),
        Command::Plan(arguments) => plan::plan(global, arguments),
        Command::Why(arguments) => why::why(global, arguments),
        Command::Graph(arguments) => graph::graph(arguments),
        Command::Show(arguments) => show::show(global, arguments),
        Command::Kinds(arguments) => kinds::kinds(arguments),
        Command::Schema => schema::schema(),
        Command::Verify(arguments) => verify::verify(global, arguments),
        Command::Gc(arguments) => gc::gc(global, arguments),
        Command::Doctor(arguments) => doctor::doctor(global, arguments),
        Command::Exec(arguments) => exec::exec(global, arguments),
    }
}
