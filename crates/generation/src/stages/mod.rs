//! The kinds of this crate: one file each.

use sconce_core::Kind;

/// The kinds of this crate.
pub const KINDS: &[Kind] = &[];
