//! One worker process: telling it things, ending it, and how it ended.

use std::io::{BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::serve::CANCEL;
use crate::Device;
use crate::mutex::relock;
use crate::system::processes::{self, Group};
use crate::system::strays;

/// A worker that was started and not yet reaped.
pub(super) struct Worker {
    pub(super) child: Mutex<Child>,
    pub(super) pid: u32,
    /// It, and what it started.
    pub(super) group: Group,
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
            self.group.end();
            let _ = child.kill();
        }
    }

    /// Waits for the end of the worker, and ends what it left behind.
    pub(super) fn reap(&self) -> std::io::Result<ExitStatus> {
        self.group.wait();
        let mut child = relock(&self.child);
        // Before its number can be given to another process.
        self.group.end();
        let status = child.wait();
        self.reaped.store(true, Ordering::SeqCst);
        drop(relock(&self.stdin).take());
        status
    }
}

/// Ends this process and, where it leads its group, all that it started.
#[expect(clippy::exit, reason = "nobody is left to return to")]
pub(super) fn end_own_group() {
    crate::run::will_be_killed();
    strays::end_all();
    processes::end_own_group();
    std::process::exit(137);
}

/// How a worker that said nothing ended.
pub(super) fn ended(status: ExitStatus) -> String {
    if let Some(cause) = processes::cause_of_end(status) {
        let hint = match processes::is_killed(status) {
            true => ": the system may be short of memory",
            false => "",
        };
        return format!("was ended by {cause}{hint}");
    }
    match status.code() {
        Some(code) => format!("ended with status {code} and told no result"),
        None => "ended and told no result".to_owned(),
    }
}
