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
    /// A process of it was ended as the system does when memory is short.
    Killed {
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

    pub(super) fn of(error: &Error) -> Self {
        let message = without_backtrace(&error.to_string());
        match error.root() {
            Error::Cancelled => Self::Cancelled,
            Error::Damaged { digest, .. } => Self::Damaged { digest: *digest, message },
            Error::Killed(_) => Self::Killed { message },
            _ => Self::Failed { message },
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::of(&error)
    }
}

/// The message without the backtrace that some libraries put into theirs where `RUST_BACKTRACE` is
/// set: what a cell says does not depend on it.
fn without_backtrace(message: &str) -> String {
    let mut within = false;
    let is_frame = |line: &str| {
        let line = line.trim_start();
        let number = line.trim_start_matches(|c: char| c.is_ascii_digit());
        let numbered = number.len() < line.len() && number.starts_with(": ");
        numbered || line.starts_with("at ") || line.is_empty()
    };
    let lines = message.lines().filter(|line| {
        within = if within { is_frame(line) } else { line.starts_with("   0: ") };
        !within
    });
    lines.collect::<Vec<_>>().join("\n")
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cancelled => f.write_str("cancelled"),
            Self::Damaged { message, .. } | Self::Killed { message } | Self::Failed { message } => {
                f.write_str(message)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As tensor libraries write their errors.
    #[derive(Debug, thiserror::Error)]
    #[error("shapes differ\n{0}")]
    struct WithBacktrace(String);

    #[test]
    fn a_library_s_backtrace_is_no_part_of_the_message() {
        let error = WithBacktrace(std::backtrace::Backtrace::force_capture().to_string());
        let error = Error::message(format!("{}\nthe last line", Error::other(error)));
        assert!(error.to_string().lines().count() > 5, "{error}");
        assert_eq!(Failure::from(error).to_string(), "shapes differ\nthe last line");
        let plain = "found:\n   1: cat\n   at night";
        assert_eq!(Failure::from(Error::message(plain)).to_string(), plain);
    }
}
