//! The registry: the kinds of all crates.

use sconce_core::{Kind, Kinds};

/// The slices of the crates, the engine's own first.
const SLICES: &[&[Kind]] = &[
    sconce_core::kinds::KINDS,
    #[cfg(feature = "chapters")]
    sconce_data::stages::KINDS,
    #[cfg(feature = "chapters")]
    sconce_models::KINDS,
    #[cfg(feature = "chapters")]
    sconce_transfer::stages::KINDS,
    #[cfg(feature = "chapters")]
    sconce_interpretation::stages::KINDS,
    #[cfg(feature = "chapters")]
    sconce_figures::stages::KINDS,
];

/// All kinds that pipeline files can name: these, and those that the program adds.
pub(crate) fn registry(own: &[Kind]) -> Kinds {
    Kinds::new(SLICES.iter().copied().chain([own]))
}
