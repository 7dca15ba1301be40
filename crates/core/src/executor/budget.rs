//! What the running cells share: threads, memory, accelerators.

use crate::{Device, DeviceChoice, Resources, Threads};
use std::collections::BTreeSet;

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
    /// Accelerators of cells that leave the choice to the run, one cell each at a time; without any, such cells compute on the
    /// processor.
    pub devices: Vec<Device>,
    /// Accelerators that cells may ask for by name.
    pub named_devices: Vec<Device>,
}

/// All of this machine but its accelerators.
impl Default for Limits {
    fn default() -> Self {
        Self {
            jobs: None,
            threads: machine_threads(),
            memory: machine_memory().unwrap_or(u64::MAX),
            devices: Vec::new(),
            named_devices: Vec::new(),
        }
    }
}

/// From so many cells on, those that can use every thread run side by side.
const FEW: usize = 4;

/// What is left for further cells.
pub(crate) struct Budget {
    jobs: usize,
    threads: usize,
    memory: u64,
    /// Those of cells that leave the choice to the run.
    usual: BTreeSet<Device>,
    /// All that there are, and those that no cell has.
    devices: Vec<Device>,
    devices_left: Vec<Device>,
    running: usize,
    /// Those that can use every thread.
    running_all: usize,
    threads_left: usize,
    memory_left: u64,
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
        let all = limits.devices.iter().chain(&limits.named_devices).copied();
        let all: BTreeSet<_> = all.filter(|&one| one != Device::Cpu).collect();
        let devices: Vec<_> = all.into_iter().collect();
        Self {
            jobs: limits.jobs.unwrap_or(usize::MAX).max(1),
            threads,
            memory: limits.memory,
            usual: limits.devices.iter().copied().filter(|&one| one != Device::Cpu).collect(),
            running: 0,
            running_all: 0,
            threads_left: threads,
            memory_left: limits.memory,
            devices_left: devices.clone(),
            devices,
        }
    }

    /// A share for a cell with these needs, of which `waiting` wait, if there is enough left. A cell that needs more than
    /// there is at all gets everything, alone.
    pub(crate) fn take(&mut self, needs: &Resources, waiting: usize) -> Option<Share> {
        if self.running >= self.jobs {
            return None;
        }
        let threads = match needs.threads {
            Threads::All => self.fair(needs, waiting),
            Threads::Count(count) => count.min(self.threads),
        };
        let memory = needs.memory.min(self.memory);
        if threads > self.threads_left || memory > self.memory_left {
            return None;
        }
        let device = self.device(needs)?;
        self.running += 1;
        self.running_all += usize::from(needs.threads == Threads::All);
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

    /// Threads for one of `waiting` cells that can use all. Two threads in one cell do less than one thread in each of two cells, so
    /// cells share the threads; but a long cell that started beside short ones keeps its share to the end, so few
    /// cells come one after the other.
    fn fair(&self, needs: &Resources, waiting: usize) -> usize {
        let mut at_once = waiting.max(1).min(self.jobs - self.running);
        if let Some(fit) = self.memory_left.checked_div(needs.memory) {
            at_once = at_once.min(usize::try_from(fit).unwrap_or(usize::MAX)).max(1);
        }
        let devices = self.devices_left.iter().filter(|one| self.fits(needs, one)).count();
        let on_devices = self.devices.iter().any(|one| self.fits(needs, one));
        if on_devices {
            at_once = at_once.min(devices).max(1);
        }
        if self.running_all == 0 && at_once < if on_devices { 2 } else { FEW } {
            return self.threads;
        }
        // Cells that ask for a number of threads have them only for now.
        let least = (self.threads / (at_once + self.running_all)).max(1);
        self.threads_left.div_ceil(at_once).max(least)
    }

    fn fits(&self, needs: &Resources, one: &Device) -> bool {
        needs.gpu
            && match (needs.device, one) {
                (DeviceChoice::Usual, one) => self.usual.contains(one),
                (DeviceChoice::Cuda(id), Device::Cuda(number))
                | (DeviceChoice::Metal(id), Device::Metal(number)) => {
                    id.is_none_or(|id| id == *number)
                }
                _ => false,
            }
    }

    /// Takes a device that the cell can have, the one of the smallest number. One that nobody found is named all the same: the
    /// worker fails to open it, and nothing is computed elsewhere in silence.
    fn device(&mut self, needs: &Resources) -> Option<Device> {
        if !self.devices.iter().any(|one| self.fits(needs, one)) {
            return Some(match needs.device {
                DeviceChoice::Cuda(id) if needs.gpu => Device::Cuda(id.unwrap_or(0)),
                DeviceChoice::Metal(id) if needs.gpu => Device::Metal(id.unwrap_or(0)),
                _ => Device::Cpu,
            });
        }
        let place = self.devices_left.iter().position(|one| self.fits(needs, one))?;
        Some(self.devices_left.remove(place))
    }

    /// Gives a share back.
    pub(crate) fn give(&mut self, share: &Share) {
        self.running -= 1;
        self.running_all -= usize::from(share.needs.threads == Threads::All);
        self.threads_left += share.taken_threads;
        self.memory_left += share.taken_memory;
        if self.devices.contains(&share.device) {
            self.devices_left.push(share.device);
            self.devices_left.sort_unstable();
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
        let mut budget =
            Budget::new(&Limits { threads: 4, memory: 100, devices, ..Limits::default() });
        let a = budget.take(&needs(3, 10, true), 1).unwrap();
        assert_eq!((a.threads, a.device), (3, Device::Cuda(2)));
        assert_eq!(budget.take(&needs(2, 10, false), 1), None, "threads");
        assert_eq!(budget.take(&needs(1, 91, false), 1), None, "memory");
        let b = budget.take(&needs(1, 90, true), 1).unwrap();
        assert_eq!(b.device, Device::Cuda(3));
        let c = budget.take(&needs(0, 0, false), 1).unwrap();
        assert_eq!((c.threads, c.device), (1, Device::Cpu));
        assert_eq!(budget.take(&needs(0, 0, true), 1), None, "devices");
        for share in [a, b, c] {
            budget.give(&share);
        }
        // More than there is at all: everything, alone.
        let all = budget.take(&needs(64, 1 << 40, false), 1).unwrap();
        assert_eq!(all.threads, 4);
        assert_eq!(budget.take(&needs(1, 1, false), 1), None);
    }

    #[test]
    fn jobs_and_all_threads() {
        let limits = Limits { jobs: Some(1), threads: 8, memory: 100, ..Limits::default() };
        let mut budget = Budget::new(&limits);
        let heavy = budget.take(&Resources::heavy(50), 1).unwrap();
        assert_eq!((heavy.threads, heavy.device), (8, Device::Cpu));
        assert_eq!(budget.take(&needs(0, 0, false), 1), None);
        budget.give(&heavy);
        assert!(budget.take(&needs(0, 0, false), 1).is_some());
    }

    /// The threads of cells that can use all, each taken while the ones before run, of `waiting` at first.
    fn shares(budget: &mut Budget, needs: &Resources, waiting: usize) -> Vec<usize> {
        let taken = (0..waiting).map_while(|taken| budget.take(needs, waiting - taken));
        taken.map(|share| share.threads).collect()
    }

    #[test]
    fn many_cells_share_the_threads() {
        let all = Resources::heavy(10);
        let limits = Limits { threads: 8, memory: 100, ..Limits::default() };
        let shares = |limits: &Limits, waiting| shares(&mut Budget::new(limits), &all, waiting);
        assert_eq!(shares(&limits, 3), [8], "few come one after the other");
        assert_eq!(shares(&limits, 4), [2, 2, 2, 2]);
        assert_eq!(shares(&limits, 5), [2, 2, 2, 1, 1]);
        assert_eq!(shares(&limits, 20), [1; 8]);
        assert_eq!(
            shares(&Limits { memory: 49, ..limits.clone() }, 20),
            [2, 2, 2, 2],
            "memory for four"
        );
        assert_eq!(shares(&Limits { memory: 39, ..limits.clone() }, 20), [8], "memory for three");
        assert_eq!(shares(&Limits { jobs: Some(4), ..limits.clone() }, 20), [2, 2, 2, 2]);
        assert_eq!(shares(&Limits { jobs: Some(1), ..limits.clone() }, 20), [8]);
        let devices = vec![Device::Cuda(0), Device::Cuda(1)];
        let two = Limits { devices, ..limits };
        assert_eq!(shares(&two, 2), [4, 4], "both devices have work");
        assert_eq!(shares(&two, 20), [4, 4]);
    }

    #[test]
    fn the_last_cell_takes_what_is_free() {
        let all = Resources::heavy(10);
        let limits = Limits { threads: 2, memory: 100, ..Limits::default() };
        let mut budget = Budget::new(&limits);
        let first = budget.take(&all, 5).unwrap();
        let second = budget.take(&all, 4).unwrap();
        assert_eq!((first.threads, second.threads), (1, 1));
        assert_eq!(budget.take(&all, 3), None);
        budget.give(&first);
        assert_eq!(budget.take(&all, 1).unwrap().threads, 1, "beside another one");
        // A cell alone waits for all threads, and not for one that a small cell has for a moment.
        let mut budget = Budget::new(&limits);
        let small = budget.take(&needs(1, 1, false), 1).unwrap();
        assert_eq!(budget.take(&all, 1), None);
        assert_eq!(budget.take(&all, 4).unwrap().threads, 1);
        budget.give(&small);
    }

    #[test]
    fn a_cell_gets_the_device_that_it_names() {
        let named_devices = vec![Device::Cuda(0), Device::Cuda(1), Device::Metal(0)];
        let limits = Limits {
            threads: 8,
            memory: 100,
            devices: vec![Device::Cuda(1)],
            named_devices,
            ..Limits::default()
        };
        let mut budget = Budget::new(&limits);
        let of = |device: DeviceChoice| Resources { device, ..needs(0, 0, true) };
        let usual = budget.take(&of(DeviceChoice::Usual), 1).unwrap();
        assert_eq!(usual.device, Device::Cuda(1));
        assert_eq!(budget.take(&of(DeviceChoice::Usual), 1), None, "the run has one");
        assert_eq!(budget.take(&of(DeviceChoice::Cuda(Some(1))), 1), None, "and it is taken");
        let any = budget.take(&of(DeviceChoice::Cuda(None)), 1).unwrap();
        assert_eq!(any.device, Device::Cuda(0));
        assert_eq!(budget.take(&of(DeviceChoice::Cuda(None)), 1), None);
        budget.give(&usual);
        assert_eq!(budget.take(&of(DeviceChoice::Cuda(None)), 1).unwrap().device, Device::Cuda(1));
        assert_eq!(
            budget.take(&of(DeviceChoice::Metal(None)), 1).unwrap().device,
            Device::Metal(0)
        );
        assert_eq!(budget.take(&of(DeviceChoice::Cpu), 1).unwrap().device, Device::Cpu);
        // Not there: the worker says so, and the processor does not step in.
        let absent = budget.take(&of(DeviceChoice::Cuda(Some(7))), 1).unwrap();
        assert_eq!(absent.device, Device::Cuda(7));
        budget.give(&absent);
        assert_eq!(
            budget.take(&of(DeviceChoice::Cuda(Some(7))), 1).unwrap().device,
            Device::Cuda(7)
        );
        // A kind that only the processor computes, whatever the run has.
        let plain = Resources { device: DeviceChoice::Cuda(None), ..needs(0, 0, false) };
        assert_eq!(budget.take(&plain, 1).unwrap().device, Device::Cpu);
    }
}
