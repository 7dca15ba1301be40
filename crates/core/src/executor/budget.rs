//! What the running cells share: threads, memory, accelerators.

use crate::{Device, Resources, Threads};

/// Threads of this machine that this process may use.
pub fn machine_threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Bytes of memory of this machine, or of the control group that limits this process. Known on
/// Linux alone.
pub fn machine_memory() -> Option<u64> {
    let meminfo = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let total = line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024;
    let group = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let group = group.and_then(|text| text.trim().parse::<u64>().ok());
    Some(group.map_or(total, |group| group.min(total)))
}

/// What cells may use together.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Most cells at once; none for as many as fit.
    pub jobs: Option<usize>,
    /// Threads that cells share.
    pub threads: usize,
    /// Bytes of memory that cells share.
    pub memory: u64,
    /// Accelerators, one cell each at a time; without any, all cells compute on the processor.
    pub devices: Vec<Device>,
}

/// All of this machine but its accelerators.
impl Default for Limits {
    fn default() -> Self {
        Self {
            jobs: None,
            threads: machine_threads(),
            memory: machine_memory().unwrap_or(u64::MAX),
            devices: Vec::new(),
        }
    }
}

/// What is left for further cells.
pub(crate) struct Budget {
    jobs: usize,
    threads: usize,
    memory: u64,
    has_devices: bool,
    running: usize,
    threads_left: usize,
    memory_left: u64,
    devices_left: Vec<Device>,
}

/// What one running cell was given.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share {
    /// Threads that it may use.
    pub threads: usize,
    /// Where it computes.
    pub device: Device,
    /// What the cell asked for.
    pub needs: Resources,
    taken_threads: usize,
    taken_memory: u64,
}

impl Share {
    /// A share of an executor that does not count: so many threads, there.
    pub fn new(threads: usize, device: Device) -> Self {
        let needs = Resources::default();
        Self { threads, device, needs, taken_threads: 0, taken_memory: 0 }
    }

    /// The same for a cell with these needs.
    #[must_use]
    pub const fn of(self, needs: Resources) -> Self {
        Self { needs, ..self }
    }
}

impl Budget {
    pub(crate) fn new(limits: &Limits) -> Self {
        let threads = limits.threads.max(1);
        let mut devices = limits.devices.clone();
        // Taken from the end.
        devices.reverse();
        Self {
            jobs: limits.jobs.unwrap_or(usize::MAX).max(1),
            threads,
            memory: limits.memory,
            has_devices: !devices.is_empty(),
            running: 0,
            threads_left: threads,
            memory_left: limits.memory,
            devices_left: devices,
        }
    }

    /// A share for a cell with these needs, if there is enough left. A cell that needs more than
    /// there is at all gets everything, alone.
    pub(crate) fn take(&mut self, needs: &Resources) -> Option<Share> {
        if self.running >= self.jobs {
            return None;
        }
        let threads = match needs.threads {
            Threads::All => self.threads,
            Threads::Count(count) => count.min(self.threads),
        };
        let memory = needs.memory.min(self.memory);
        if threads > self.threads_left || memory > self.memory_left {
            return None;
        }
        let device =
            if needs.gpu && self.has_devices { self.devices_left.pop()? } else { Device::Cpu };
        self.running += 1;
        self.threads_left -= threads;
        self.memory_left -= memory;
        // A cell that waits more than it computes asks for none, and still has one.
        Some(Share {
            threads: threads.max(1),
            device,
            needs: *needs,
            taken_threads: threads,
            taken_memory: memory,
        })
    }

    /// Gives a share back.
    pub(crate) fn give(&mut self, share: &Share) {
        self.running -= 1;
        self.threads_left += share.taken_threads;
        self.memory_left += share.taken_memory;
        if share.device != Device::Cpu {
            self.devices_left.push(share.device);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needs(threads: usize, memory: u64, gpu: bool) -> Resources {
        Resources { threads: Threads::Count(threads), memory, gpu, ..Resources::default() }
    }

    #[test]
    fn shares_never_exceed_what_there_is() {
        let devices = vec![Device::Cuda(2), Device::Cuda(3)];
        let mut budget = Budget::new(&Limits { jobs: None, threads: 4, memory: 100, devices });
        let a = budget.take(&needs(3, 10, true)).unwrap();
        assert_eq!((a.threads, a.device), (3, Device::Cuda(2)));
        assert_eq!(budget.take(&needs(2, 10, false)), None, "threads");
        assert_eq!(budget.take(&needs(1, 91, false)), None, "memory");
        let b = budget.take(&needs(1, 90, true)).unwrap();
        assert_eq!(b.device, Device::Cuda(3));
        let c = budget.take(&needs(0, 0, false)).unwrap();
        assert_eq!((c.threads, c.device), (1, Device::Cpu));
        assert_eq!(budget.take(&needs(0, 0, true)), None, "devices");
        for share in [a, b, c] {
            budget.give(&share);
        }
        // More than there is at all: everything, alone.
        let all = budget.take(&needs(64, 1 << 40, false)).unwrap();
        assert_eq!(all.threads, 4);
        assert_eq!(budget.take(&needs(1, 1, false)), None);
    }

    #[test]
    fn jobs_and_all_threads() {
        let limits = Limits { jobs: Some(1), threads: 8, memory: 100, devices: Vec::new() };
        let mut budget = Budget::new(&limits);
        let heavy = budget.take(&Resources::heavy(50)).unwrap();
        assert_eq!((heavy.threads, heavy.device), (8, Device::Cpu));
        assert_eq!(budget.take(&needs(0, 0, false)), None);
        budget.give(&heavy);
        assert!(budget.take(&needs(0, 0, false)).is_some());
    }
}
