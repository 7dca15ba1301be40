//! Why a cell has no result, in a form that crosses process borders.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Digest, Error};

/// Why a cell has no result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "failure", rename_all = "kebab-case")]
pub enum Failure {
    /// The run was asked to stop.
    Cancelled,
    /// Stored content that it reads is bad; what yields it has to run again.
    Damaged {
        /// The digest that the content should have.
        digest: Digest,
        /// The whole error.
        message: String,
    },
    /// Anything else.
    Failed {
        /// The whole error.
        message: String,
    },
}

impl Failure {
    /// A failure in words.
    pub fn message(text: impl Into<String>) -> Self {
        Self::Failed { message: text.into() }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        match error.root() {
            Error::Cancelled => Self::Cancelled,
            Error::Damaged { digest, .. } => Self::Damaged { digest: *digest, message },
            _ => Self::Failed { message },
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cancelled => f.write_str("cancelled"),
            Self::Damaged { message, .. } | Self::Failed { message } => f.write_str(message),
        }
    }
}
