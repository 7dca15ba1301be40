//! Trials of a sweep: run, listed, drawn.

pub(crate) mod listing;
#[cfg(feature = "chapters")]
pub(crate) mod plot;
pub(crate) mod room;
pub(crate) mod trial;
