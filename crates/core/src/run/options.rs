//! How a plan is executed. Nothing here changes a result.

use std::path::PathBuf;
use std::time::Duration;

use super::Interrupt;
use crate::Device;

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
    /// Most cells at once; none for as many as fit.
    pub jobs: Option<usize>,
    /// Threads that cells share.
    pub threads: usize,
    /// Bytes of memory that cells share.
    pub memory: u64,
    /// Accelerators, one cell each at a time; without any, all cells compute on the processor.
    pub devices: Vec<Device>,
    /// The user's mirror folder.
    pub mirror: Option<PathBuf>,
    /// Where the human view of the results goes; none for no view.
    pub artifacts: Option<PathBuf>,
    /// How long running cells may take to end after the run was asked to stop.
    pub grace: Duration,
    /// Asks the run to stop.
    pub interrupt: Interrupt,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            wanted: Vec::new(),
            force: Vec::new(),
            verify: false,
            jobs: None,
            threads: crate::executor::machine_threads(),
            memory: crate::executor::machine_memory().unwrap_or(u64::MAX),
            devices: Vec::new(),
            mirror: None,
            artifacts: None,
            grace: Duration::from_secs(10),
            interrupt: Interrupt::default(),
        }
    }
}
