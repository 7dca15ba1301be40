//! The `sconce` command as a library: arguments, the registry of kinds, and what people see.
//!
//! The shipped program is [`main`] without further kinds. A program of one's own is as short and
//! has the whole command line, worker processes included, with its own kinds beside the shipped
//! ones:
//!
//! ```no_run
//! # const KINDS: &[sconce_core::Kind] = &[];
//! fn main() -> std::process::ExitCode {
//!     sconce::main(KINDS)
//! }
//! ```
//!
//! `examples/own-kind` is a whole one.

#![allow(
    clippy::disallowed_methods,
    reason = "the command line reads the clock and the environment"
)]

mod arguments;
mod commands;
mod compare;
mod configuration;
mod devices;
mod diagnostics;
mod environment;
mod executor;
mod export;
mod failure;
mod kinds;
mod media_type;
#[cfg(feature = "chapters")]
mod memory;
#[cfg(not(feature = "remote"))]
#[path = "no_remote.rs"]
mod remote;
#[cfg(feature = "remote")]
mod remote;
mod report;
mod session;
mod spans;
mod style;
mod sweep;
mod system;
mod table;
mod ui;
mod watch;

use std::process::ExitCode;

use clap::Parser;
#[cfg(feature = "chapters")]
pub use memory::Allocator;
use sconce_core::Kind;

use arguments::Arguments;
use failure::Failure;

/// The whole program: reads the command line, does what it asks for, and says what went wrong.
/// `kinds` are joined to those that Sconce brings along.
///
/// Worker processes are this very program again, called as `PROGRAM exec -`, so call this first in
/// `main` and print nothing before it.
pub fn main(kinds: &[Kind]) -> ExitCode {
    #[cfg(feature = "chapters")]
    if is_alone() {
        // SAFETY: no other thread runs.
        unsafe {
            sconce_ops::threads::let_candle_sleep();
        }
    }
    #[cfg(feature = "chapters")]
    memory::keep();
    #[cfg(feature = "chapters")]
    if let Ok(Some(instructions)) = environment::text(environment::TEST_PROCESSOR)
        && !sconce_ops::processor::keep_to(&instructions)
    {
        diagnostics::print(&Failure::usage(format!(
            "`{}`: this processor has no `{instructions}`",
            environment::TEST_PROCESSOR
        )));
        return ExitCode::FAILURE;
    }
    style::follow_the_terminal();
    let arguments = Arguments::parse();
    let done = kinds::registry(kinds)
        .map_err(|error| Failure::usage(error.to_string()))
        .and_then(|kinds| commands::dispatch(&arguments, &kinds));
    match done {
        Ok(code) => code,
        // The reader, such as `head`, has seen enough.
        Err(Failure::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(failure) => {
            diagnostics::print(&failure);
            failure.exit_code()
        }
    }
}

/// Whether the program runs on one thread, as it does when [`main`] is called first. Where the
/// system does not tell, it is taken for granted.
#[cfg(feature = "chapters")]
fn is_alone() -> bool {
    std::fs::read_dir("/proc/self/task").map_or(true, |threads| threads.count() == 1)
}
