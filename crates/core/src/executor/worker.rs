//! One worker process: telling it things, ending it, and how it ended.

use std::io::{BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::serve::CANCEL;
use super::strays;
use crate::Device;
use crate::mutex::relock;

/// A worker that was started and not yet reaped.
pub(super) struct Worker {
    pub(super) child: Mutex<Child>,
    pub(super) pid: u32,
    pub(super) stdin: Mutex<Option<ChildStdin>>,
    pub(super) reaped: AtomicBool,
}

/// A worker with the other end of its standard output.
pub(super) struct Served {
    pub(super) worker: Arc<Worker>,
    pub(super) lines: std::io::Lines<BufReader<ChildStdout>>,
    /// What it was started for, and cannot change.
    pub(super) shape: Shape,
}

/// What all cells of one worker have in common.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Shape {
    pub(super) threads: usize,
    pub(super) device: Device,
}

impl Worker {
    pub(super) fn cancel(&self) {
        // A worker that no longer listens is ending.
        let _ = self.order(&format!("{CANCEL}\n"));
    }

    /// Writes a line to its standard input.
    pub(super) fn order(&self, line: &str) -> std::io::Result<()> {
        match relock(&self.stdin).as_mut() {
            Some(stdin) => stdin.write_all(line.as_bytes()).and_then(|()| stdin.flush()),
            None => Err(std::io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Ends the worker and what it started.
    pub(super) fn kill(&self) {
        let mut child = relock(&self.child);
        if !self.reaped.load(Ordering::SeqCst) {
            kill_group(child.id());
            let _ = child.kill();
        }
    }

    /// Waits for the end of the worker, and ends what it left behind.
    pub(super) fn reap(&self) -> std::io::Result<ExitStatus> {
        wait_without_reaping(self.pid);
        let mut child = relock(&self.child);
        // Before its number can be given to another process.
        kill_group(self.pid);
        let status = child.wait();
        self.reaped.store(true, Ordering::SeqCst);
        drop(relock(&self.stdin).take());
        status
    }
}

#[cfg(unix)]
fn group(pid: u32) -> Option<rustix::process::Pid> {
    rustix::process::Pid::from_raw(i32::try_from(pid).ok()?)
}

#[cfg(unix)]
pub(super) fn kill_group(pid: u32) {
    use rustix::process::{Signal, kill_process_group};
    if let Some(group) = group(pid) {
        // An error means that no one is left.
        let _ = kill_process_group(group, Signal::KILL);
    }
}

#[cfg(unix)]
fn wait_without_reaping(pid: u32) {
    use rustix::process::{WaitId, WaitIdOptions, waitid};
    let Some(pid) = group(pid) else { return };
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    while let Err(rustix::io::Errno::INTR) = waitid(WaitId::Pid(pid), options) {}
}

#[cfg(not(unix))]
pub(super) fn kill_group(_: u32) {}

#[cfg(not(unix))]
fn wait_without_reaping(_: u32) {}

/// Ends this process and, where it leads its group, all that it started.
#[expect(clippy::exit, reason = "nobody is left to return to")]
pub(super) fn end_own_group() {
    crate::run::will_be_killed();
    strays::end_all();
    #[cfg(unix)]
    {
        use rustix::process::{Signal, getpgrp, getpid, kill_process_group};
        let group = getpgrp();
        if group == getpid() {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
    std::process::exit(137);
}

/// Whether a process was ended as the system does when memory is short.
pub(super) fn is_killed(status: ExitStatus) -> bool {
    #[cfg(unix)]
    return std::os::unix::process::ExitStatusExt::signal(&status) == Some(9);
    #[cfg(not(unix))]
    {
        let _ = status;
        false
    }
}

/// How a worker that said nothing ended.
pub(super) fn ended(status: ExitStatus) -> String {
    #[cfg(unix)]
    {
        use std::os::unix::process::ExitStatusExt;
        if let Some(signal) = status.signal() {
            let hint = if signal == 9 { ": the system may be short of memory" } else { "" };
            return format!("was ended by {}{hint}", signal_name(signal));
        }
    }
    match status.code() {
        Some(code) => format!("ended with status {code} and told no result"),
        None => "ended and told no result".to_owned(),
    }
}

/// `signal 9 (SIGKILL)`.
#[cfg(unix)]
pub(crate) fn signal_name(signal: i32) -> String {
    let name = match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        24 => "SIGXCPU",
        25 => "SIGXFSZ",
        _ => return format!("signal {signal}"),
    };
    format!("signal {signal} ({name})")
}
