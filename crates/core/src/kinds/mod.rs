//! The kinds of the engine itself: they bring in what people already have.

mod command;
mod file;

pub use command::Command;
pub use file::File;

use crate::Kind;

/// The engine's kinds.
pub const KINDS: &[Kind] = &[Kind::of::<Command>(), Kind::of::<File>()];
