//! Processes that a cell's program leaves behind, in sessions of their own too.
//!
//! A program that calls `setsid` leaves the worker's process group, and one whose parent has ended
//! belongs to nobody. On Linux both become children of the nearest *sub-reaper* above them: each worker
//! is one, and ends them when its cell is over; the run is one for workers that are killed. Elsewhere the
//! worker's [group](super::processes::Group) is all that is ended: on Windows nothing leaves it.

/// Whether what a cell leaves behind can be found without an end of its worker.
pub(crate) const ARE_FOUND: bool = cfg!(target_os = "linux");

#[cfg(target_os = "linux")]
pub(crate) use linux::{adopt, end_all, end_others};

#[cfg(target_os = "linux")]
mod linux {
    use std::time::{Duration, Instant};

    use rustix::io::Errno;
    use rustix::process::{
        Pid, Signal, WaitOptions, getpid, kill_process, set_child_subreaper, wait, waitpid,
    };

    /// So long it may take until a process that was killed is gone.
    const PATIENCE: Duration = Duration::from_secs(5);
    const PAUSE: Duration = Duration::from_millis(1);

    /// From now on processes below this one become its children when their parents end.
    pub(crate) fn adopt() {
        // Without it, as on other systems, what left its session lives on.
        let _ = set_child_subreaper(Some(getpid()));
    }

    /// Ends all children of this process, and theirs.
    pub(crate) fn end_all() {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            match wait(WaitOptions::NOHANG) {
                Ok(Some(_)) | Err(Errno::INTR) => continue,
                Ok(None) => {}
                Err(_) => return,
            }
            for child in children() {
                // It may have ended by itself.
                let _ = kill_process(child, Signal::KILL);
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Ends all children of this process that `is_known` does not know, and theirs. No child may be
    /// started meanwhile.
    pub(crate) fn end_others(is_known: impl Fn(u32) -> bool) {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            let known = |child: &Pid| is_known(child.as_raw_nonzero().get().cast_unsigned());
            let others: Vec<Pid> = children().into_iter().filter(|child| !known(child)).collect();
            if others.is_empty() {
                return;
            }
            for child in others {
                let _ = kill_process(child, Signal::KILL);
                let _ = waitpid(Some(child), WaitOptions::NOHANG);
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// The children of this process, those that have ended and were not waited for among them.
    fn children() -> Vec<Pid> {
        let own = getpid().as_raw_nonzero().to_string();
        let is_child = |pid: &String| {
            // `pid (name) state parent …`; a name may hold anything.
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            let (_, rest) = stat.rsplit_once(')')?;
            (rest.split_whitespace().nth(1)? == own).then_some(())
        };
        let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let pids = names.filter(|name| name.bytes().all(|digit| digit.is_ascii_digit()));
        let children = pids.filter(|pid| is_child(pid).is_some());
        children.filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect()
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn adopt() {}

#[cfg(not(target_os = "linux"))]
pub(crate) fn end_all() {}

#[cfg(not(target_os = "linux"))]
pub(crate) fn end_others(_: impl Fn(u32) -> bool) {}
