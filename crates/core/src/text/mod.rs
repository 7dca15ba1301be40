//! The text of a pipeline: sources and places in them, the document with its profiles and
//! settings laid over, and what is wrong with it.

pub(crate) mod diagnostic;
pub(crate) mod document;
pub(crate) mod pipeline;
pub(crate) mod source;
pub(crate) mod words;

pub(crate) use diagnostic::closest;
pub use diagnostic::{Diagnostic, Diagnostics};
pub use pipeline::RESERVED;
pub use source::{Place, SourceText, Sources, Span};
