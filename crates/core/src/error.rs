//! What can go wrong while a stage runs.

use std::path::{Path, PathBuf};

use crate::Digest;

/// The result of a stage and of what it calls in the engine.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a stage, or an engine call made by it, failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The run was asked to stop.
    #[error("cancelled")]
    Cancelled,
    /// A stored blob does not have the content that its name says.
    #[error("stored content {digest} is damaged ({path})")]
    Damaged {
        /// The digest that the content should have.
        digest: Digest,
        /// The blob's place.
        path: PathBuf,
    },
    /// A parameter has a value that cannot be used.
    #[error("parameter `{key}`: {message}")]
    Parameter {
        /// The parameter's key in the pipeline file.
        key: String,
        /// What was expected.
        message: String,
    },
    /// An input's content cannot be used.
    #[error("input `{slot}`: {message}")]
    Input {
        /// The input's slot.
        slot: String,
        /// What was expected.
        message: String,
    },
    /// A cause with a line that says what was being done.
    #[error("{doing}: {cause}")]
    Context {
        /// What was being done.
        doing: String,
        /// Why it failed.
        cause: Box<Error>,
    },
    /// A program was ended by SIGKILL, as the system does when memory is short; in words.
    #[error("{0}")]
    Killed(String),
    /// Anything else, in words.
    #[error("{0}")]
    Message(String),
    /// An error of a library.
    #[error(transparent)]
    Other(Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// An error in words: lowercase, and it says what was expected.
    pub fn message(text: impl Into<String>) -> Self {
        Self::Message(text.into())
    }

    /// An input or output error at `path`.
    pub fn io(path: impl AsRef<Path>, source: std::io::Error) -> Self {
        Self::Io { path: path.as_ref().to_owned(), source }
    }

    /// A wrong parameter.
    pub fn parameter(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Parameter { key: key.into(), message: message.into() }
    }

    /// Wraps any error of a library.
    pub fn other(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Other(error.into())
    }

    /// The innermost cause.
    pub fn root(&self) -> &Self {
        match self {
            Self::Context { cause, .. } => cause.root(),
            other => other,
        }
    }
}

/// Adds what was being done to an error.
pub trait ResultExt<T> {
    /// Prefixes the error with `doing`.
    fn doing(self, doing: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<Error>> ResultExt<T> for Result<T, E> {
    fn doing(self, doing: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|cause| Error::Context { doing: doing(), cause: Box::new(cause.into()) })
    }
}

/// Adds the path to an input or output error.
pub trait IoResultExt<T> {
    /// Names the file or folder that could not be read or written.
    fn at(self, path: impl AsRef<Path>) -> Result<T>;
}

impl<T> IoResultExt<T> for std::io::Result<T> {
    fn at(self, path: impl AsRef<Path>) -> Result<T> {
        self.map_err(|source| Error::io(path, source))
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Self::other(error)
    }
}
