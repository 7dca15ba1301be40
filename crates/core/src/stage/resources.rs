//! What a cell needs while it runs.

use super::device::DeviceChoice;

/// How many threads a cell can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Threads {
    /// As many as the run has; several such cells share them.
    All,
    /// Exactly so many.
    Count(usize),
}

/// Where a cell runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Where the run's cells run.
    #[default]
    Usual,
    /// On the machine of the run.
    Local,
    /// In the queue.
    Queue,
}

/// What a cell needs while it runs. It never changes the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Resources {
    /// Threads that it can use.
    pub threads: Threads,
    /// Bytes of memory at the peak.
    pub memory: u64,
    /// Whether the cell computes on the accelerator where the run has one.
    pub gpu: bool,
    /// Which device that is, where the cell does not leave it to the run.
    pub device: DeviceChoice,
    /// Seconds that a queue gives it at most; the queue's own limit without.
    pub seconds: Option<u64>,
    /// Where it runs.
    pub place: Place,
}

impl Default for Resources {
    fn default() -> Self {
        Self {
            threads: Threads::Count(1),
            memory: 512 << 20,
            gpu: false,
            device: DeviceChoice::Usual,
            seconds: None,
            place: Place::Usual,
        }
    }
}

impl Resources {
    /// One gibibyte.
    pub const GIB: u64 = 1 << 30;

    /// A cell that uses every thread and `memory` bytes, on the accelerator where there is one.
    pub const fn heavy(memory: u64) -> Self {
        Self {
            threads: Threads::All,
            memory,
            gpu: true,
            device: DeviceChoice::Usual,
            seconds: None,
            place: Place::Usual,
        }
    }
}
