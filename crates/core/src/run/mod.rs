//! Running a plan: what the store does not hold is computed, upstream first.
//!
//! [`execute`] walks the cells. One whose inputs are known has a key; if the store holds the key's
//! receipt the cell is a hit, otherwise an [executor](crate::executor) computes it.
//! [`run_cell`] is what every executor does, and it can be repeated: it takes the key's lock,
//! looks for the receipt again, and only then works.
//!
//! Nothing here prints: what happens is told as [`Event`]s.
//!
//! ```
//! use sconce_core::executor::{InProcess, Limits, Machine};
//! use sconce_core::run::{Options, execute};
//! use sconce_core::{Kinds, LoadOptions, Store, load};
//!
//! let folder = tempfile::tempdir()?;
//! let file = folder.path().join("study.toml");
//! std::fs::write(&file, "[stage.text]\nkind = 'file'\npath = 'text.txt'\n")?;
//! std::fs::write(folder.path().join("text.txt"), "some words")?;
//! let kinds = Kinds::new([sconce_core::kinds::KINDS])?;
//! let plan = load(&LoadOptions::file(&file), &kinds)?;
//! let store = Store::open(&folder.path().join("store"))?;
//! let run = || {
//!     let executor = Machine::new(InProcess::new(store.clone(), kinds.clone()), Limits::default());
//!     execute(&plan, &store, &executor, &Options::default(), &|_event| {})
//! };
//! assert_eq!(run()?.ran, 1);
//! assert_eq!(run()?.hits, 1, "the store holds it");
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```

mod cell;
mod event;
mod export;
mod failure;
mod file;
mod git;
mod interrupt;
mod nearness;
mod options;
mod record;
mod resolved;
mod schedule;
mod settle;
mod together;
mod walk;

pub(crate) use cell::will_be_killed;
pub use cell::{Again, Outcome, run_cell};
pub use event::{Difference, Event, Summary};
pub use export::shown_at;
pub use failure::Failure;
pub use file::snapshots;
pub use interrupt::Interrupt;
pub use nearness::{Nearness, TOLERANCE};
pub use options::Options;
pub use resolved::{Mode, Request, ResolvedCell, Settings, Waiting};
pub use schedule::execute;

#[cfg(test)]
mod tests;
