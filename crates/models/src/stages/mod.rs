//! The kinds of this crate: one file each.

mod parameter_table;
mod read_pth;

use sconce_core::Kind;

pub use parameter_table::ParameterTable;
pub use read_pth::ReadPth;

/// The kinds of this crate.
pub const KINDS: &[Kind] = &[Kind::of::<ParameterTable>(), Kind::of::<ReadPth>()];

#[cfg(test)]
mod tests;
