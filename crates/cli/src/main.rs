//! The `sconce` program: the kinds of all crates and no others.

use std::process::ExitCode;

#[cfg(feature = "chapters")]
#[global_allocator]
static MEMORY: sconce::Allocator = sconce::Allocator;

fn main() -> ExitCode {
    sconce::main(&[])
}
