//! What is known of a cell while it runs and afterwards: its state, its journal, its curves.

pub(crate) mod curves;
pub(crate) mod live;
mod sparkline;

use sconce_core::plan::{CellIndex, State};
use sconce_core::store::{Ending, Journal, Receipt, Standing};
use sconce_core::{Digest, Store};

use crate::commands::Assessed;
use crate::failure::Failure;

/// What became of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Status {
    /// The store holds its result.
    Done,
    /// A process computes it.
    Running,
    /// It failed when it ran last.
    Failed,
    /// Its process was killed.
    Killed,
    /// The run was asked to stop.
    Stopped,
    /// It has no result, and its inputs are there.
    Ready,
    /// It waits for others.
    Waiting,
    /// What it is made of cannot be read.
    Unreadable,
}

impl Status {
    pub(crate) const ALL: [Self; 8] = [
        Self::Done,
        Self::Running,
        Self::Failed,
        Self::Killed,
        Self::Stopped,
        Self::Ready,
        Self::Waiting,
        Self::Unreadable,
    ];

    /// The word that people read.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Running => "running",
            Self::Failed => "failed",
            Self::Killed => "killed",
            Self::Stopped => "stopped",
            Self::Ready => "ready to run",
            Self::Waiting => "waiting",
            Self::Unreadable => "unreadable",
        }
    }

    /// Whether something may still become of it without a further run.
    fn is_open(self) -> bool {
        matches!(self, Self::Running | Self::Ready | Self::Waiting)
    }
}

/// The key under which a cell's result is or will be; none while it depends on others.
pub(crate) fn key(state: &State) -> Option<Digest> {
    match state {
        State::Hit(receipt) => Some(receipt.key),
        State::Run { key, .. } => Some(*key),
        State::Depends(_) => None,
    }
}

/// What is known of one cell.
#[derive(Debug, Clone)]
pub(crate) struct Look {
    pub(crate) status: Status,
    pub(crate) receipt: Option<Box<Receipt>>,
    pub(crate) journal: Option<Journal>,
    /// Why it cannot be read, or why it failed.
    pub(crate) error: String,
}

impl Look {
    /// Looks at a cell of an assessed plan.
    pub(crate) fn at(
        store: &Store,
        assessed: &Assessed,
        index: CellIndex,
    ) -> Result<Self, Failure> {
        let state = &assessed.states[index];
        let journal = match key(state) {
            Some(key) => store.journal(&key)?,
            None => None,
        };
        let receipt = match state {
            State::Hit(receipt) => Some(receipt.clone()),
            _ => None,
        };
        let unreadable = assessed.unreadable.get(&index).map(ToString::to_string);
        let error = unreadable.clone().or_else(|| {
            let end = journal.as_ref()?.end.as_ref()?;
            Some(end.error.clone())
        });
        let status = match unreadable {
            Some(_) => Status::Unreadable,
            None => status(state, journal.as_ref()),
        };
        Ok(Self { status, receipt, journal, error: error.unwrap_or_default() })
    }
}

/// The status of a cell in this state, whose journal says this.
pub(crate) fn status(state: &State, journal: Option<&Journal>) -> Status {
    match (state, journal.map(Journal::standing)) {
        // Forced to run again.
        (_, Some(Standing::Running)) => Status::Running,
        (State::Hit(_), _) => Status::Done,
        (_, Some(Standing::Killed)) => Status::Killed,
        (_, Some(Standing::Ended(Ending::Failed))) => Status::Failed,
        (_, Some(Standing::Ended(Ending::Stopped))) => Status::Stopped,
        (State::Depends(_), _) => Status::Waiting,
        // One that was done and whose result went.
        (State::Run { .. }, None | Some(Standing::Ended(Ending::Done))) => Status::Ready,
    }
}
