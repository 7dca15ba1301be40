//! How a plan is executed. Nothing here changes a result.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::Interrupt;
use crate::lock::Held;
use crate::store::Invocation;

/// How a plan is executed. Nothing here changes a result.
#[derive(Debug, Clone)]
pub struct Options {
    /// The cells that are wanted, as [`Plan::select`] reads names; all when empty. What they need runs too.
    ///
    /// [`Plan::select`]: crate::plan::Plan::select
    pub wanted: Vec<String>,
    /// Cells, named in the same way, that run although the store holds their results.
    pub force: Vec<String>,
    /// Whether cells whose results the store holds are computed again, in private, and compared.
    /// Then nothing else runs, and nothing is written.
    pub verify: bool,
    /// What the results are held to; none for nothing.
    pub lock: Option<Arc<Held>>,
    /// The user's mirror folder.
    pub mirror: Option<PathBuf>,
    /// Where the human view of the results goes; none for no view.
    pub artifacts: Option<PathBuf>,
    /// How long running cells may take to end after the run was asked to stop.
    pub grace: Duration,
    /// What was asked on the command line; with it the run is recorded. A run that verifies never is.
    pub record: Option<Invocation>,
    /// A name for one of several runs at once over cells of the same names, such as the trials of a
    /// sweep: its logs lie apart, and its keys are not noted for the reasons of later runs.
    pub apart: Option<String>,
    /// Asks the run to stop.
    pub interrupt: Interrupt,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            wanted: Vec::new(),
            force: Vec::new(),
            verify: false,
            lock: None,
            mirror: None,
            artifacts: None,
            grace: Duration::from_secs(10),
            record: None,
            apart: None,
            interrupt: Interrupt::default(),
        }
    }
}
