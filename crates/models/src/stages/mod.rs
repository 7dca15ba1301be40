//! The kinds of this crate: one file each.

mod parameter_table;
mod read_pth;
mod train_classifier;

use sconce_core::Kind;

pub use parameter_table::ParameterTable;
pub use read_pth::ReadPth;
pub use train_classifier::TrainClassifier;

/// The kinds of this crate.
pub const KINDS: &[Kind] =
    &[Kind::of::<ParameterTable>(), Kind::of::<ReadPth>(), Kind::of::<TrainClassifier>()];

#[cfg(test)]
mod tests;
