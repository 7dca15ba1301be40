//! The registry: the kinds of all crates.

use sconce_core::{Kind, Kinds, Result};

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

/// All kinds that pipeline files can name: Sconce's, and those that the program adds.
///
/// # Errors
/// A name that is there twice.
pub(crate) fn registry(own: &[Kind]) -> Result<Kinds> {
    Kinds::new(SLICES.iter().copied().chain([own]))
}
