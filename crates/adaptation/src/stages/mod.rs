//! The kinds of this crate: one file each.

mod adapt;

use sconce_core::Kind;

pub use adapt::{Adapt, Standardise};

/// The kinds of this crate.
pub const KINDS: &[Kind] = &[Kind::of::<Adapt>()];
