//! The `sconce` command: arguments, the registry of kinds, and what people see.

mod arguments;
mod commands;
mod configuration;
mod diagnostics;
mod failure;
mod kinds;
mod report;
mod session;
mod size;
mod style;

use std::process::ExitCode;

use clap::Parser;

use arguments::Arguments;
use failure::Failure;

/// Training frees and asks for the same large blocks again and again.
#[cfg(feature = "chapters")]
#[global_allocator]
static MEMORY: sconce_ops::memory::Reusing = sconce_ops::memory::Reusing::new();

fn main() -> ExitCode {
    #[cfg(feature = "chapters")]
    // SAFETY: no other thread runs yet.
    unsafe {
        sconce_ops::threads::let_candle_sleep();
    }
    let arguments = Arguments::parse();
    match commands::dispatch(arguments) {
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
