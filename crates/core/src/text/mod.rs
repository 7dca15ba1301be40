//! The text of a pipeline: sources and places in them, the document with its defaults, labels,
//! profiles and settings, and what is wrong with it.

pub(crate) mod axes;
mod defaults;
pub(crate) mod diagnostic;
pub(crate) mod document;
pub(crate) mod entries;
mod labels;
pub(crate) mod overlay;
pub(crate) mod pipeline;
mod profiles;
pub(crate) mod reference;
pub(crate) mod resolved;
mod settings;
pub(crate) mod source;
mod syntax;
mod variables;
pub(crate) mod words;

pub(crate) use diagnostic::closest;
pub use diagnostic::{Diagnostic, Diagnostics};
pub use pipeline::RESERVED;
pub use resolved::{Entry, Origin, Resolved};
pub(crate) use settings::values;
pub use source::{Place, SourceText, Sources, Span};
