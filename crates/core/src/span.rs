//! Where time went: finished [`tracing`] spans and events, in a form that crosses process borders.
//!
//! The engine and the kinds only open spans; who wants them installs a subscriber. Without one they
//! cost nothing that can be measured. The levels:
//!
//! | level | spans |
//! |---|---|
//! | info | `parse`, `plan`, `assess` |
//! | debug | `cell` with its phases `lock`, `inputs`, `run`, `commit`; `export`; `hash`; `epoch` of a training, with `validate` and `checkpoint` |
//! | trace | some `step`s of a training |

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A span that has ended, or an event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Span {
    /// Its name, such as `commit`; of an event, what it says.
    pub name: String,
    /// The module that it is in, such as `sconce_core::run::cell`.
    pub target: String,
    /// Its level: `info`, `debug` or `trace`; of events also `warn` and `error`.
    pub level: String,
    /// When it began, by the clock of [`now`].
    pub start: u64,
    /// Nanoseconds that it took; none for an event.
    pub nanoseconds: Option<u64>,
    /// The thread that it is in: 0 for the one that the process began with.
    pub thread: usize,
    /// What else is told of it, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, serde_json::Value>,
}

/// Nanoseconds of a clock that all processes of this machine share, and that never goes back.
pub fn now() -> u64 {
    crate::system::nanoseconds()
}
