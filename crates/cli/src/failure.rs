//! Why a command ends without success, and its exit code.

use std::process::ExitCode;

use sconce_core::text::Diagnostics;

/// A cell failed, or bits differ.
pub(crate) const FAILED: u8 = 1;
/// The command line, the configuration or the pipeline file is wrong.
pub(crate) const USAGE: u8 = 2;
/// Stopped by the user.
pub(crate) const INTERRUPTED: u8 = 130;

/// Why a command ends without success.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The command line or the configuration is wrong.
    #[error("{0}")]
    Usage(String),
    /// The pipeline file is wrong.
    #[error("{0}")]
    Pipeline(Box<Diagnostics>),
    /// The engine cannot go on, for example because the store cannot be written.
    #[error("{0}")]
    Engine(#[from] sconce_core::Error),
    /// What the command says cannot be written.
    #[error("cannot write: {0}")]
    Output(#[from] std::io::Error),
}

impl Failure {
    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self::Usage(text.into())
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_) | Self::Pipeline(_) => ExitCode::from(USAGE),
            Self::Engine(_) | Self::Output(_) => ExitCode::from(FAILED),
        }
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::Engine(error.into())
    }
}
