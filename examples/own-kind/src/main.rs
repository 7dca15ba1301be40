//! The `sconce` command with one more kind.

mod nearest_neighbours;

use std::process::ExitCode;

use nearest_neighbours::NearestNeighbours;
use sconce_core::Kind;

/// The kinds that this program adds.
const KINDS: &[Kind] = &[Kind::of::<NearestNeighbours>()];

#[global_allocator]
static MEMORY: sconce::Allocator = sconce::Allocator;

fn main() -> ExitCode {
    sconce::main(KINDS)
}
