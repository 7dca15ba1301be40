//! Worker processes, seen from their parent.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::serve::Line;
use super::{Runner, Told, strays};
use crate::CellId;
use crate::mutex::relock;
use crate::run::{Failure, Outcome, Request};
use crate::span::{self, Span};
use crate::store::Store;

/// Computes each cell in a process of its own, so that a crash, a leak or a stuck thread stays
/// there.
pub struct Processes {
    store: Store,
    program: PathBuf,
    arguments: Vec<OsString>,
    /// By number: the smallest that no other has. None for one that is being started.
    live: Mutex<BTreeMap<usize, Option<Arc<Worker>>>>,
    /// The workers that were started and are not reaped yet; held while one is started.
    pids: Mutex<BTreeSet<u32>>,
    /// Whether other children of this process are what killed workers left behind.
    adopts: bool,
    cancelled: AtomicBool,
    killed: AtomicBool,
    spans: Option<Box<TakeSpan>>,
}

/// Takes what took time in worker processes: the worker's number (the smallest that no other running
/// one has), its cell, and the span.
type TakeSpan = dyn Fn(usize, &CellId, Span) + Send + Sync;

/// A worker that was started and not yet reaped.
struct Worker {
    child: Mutex<Child>,
    stdin: Mutex<Option<ChildStdin>>,
    reaped: AtomicBool,
}

impl Processes {
    /// A runner that starts `program` with `arguments`, which has to call
    /// [`serve`](super::serve()) with the request on the first line of its standard input.
    pub fn new(store: Store, program: PathBuf, arguments: Vec<OsString>) -> Self {
        Self {
            store,
            program,
            arguments,
            live: Mutex::default(),
            pids: Mutex::default(),
            adopts: false,
            cancelled: AtomicBool::default(),
            killed: AtomicBool::default(),
            spans: None,
        }
    }

    /// Ends what workers that are killed leave behind, in sessions of their own too (Linux). This
    /// process must have no other children than workers.
    #[must_use]
    pub fn adopting(mut self) -> Self {
        strays::adopt();
        self.adopts = true;
        self
    }

    /// Hands the spans of the workers to `take`, with the worker's number (the smallest that no other
    /// running one has) and its cell. Those that a worker tells come within one called `worker`, from
    /// its start to its end.
    #[must_use]
    pub fn with_spans(
        mut self,
        take: impl Fn(usize, &CellId, Span) + Send + Sync + 'static,
    ) -> Self {
        self.spans = Some(Box::new(take));
        self
    }

    fn take_span(&self, worker: usize, request: &Request, span: impl FnOnce() -> Span) {
        if let Some(take) = &self.spans {
            take(worker, &request.cell.cell, span());
        }
    }

    /// Takes the smallest number that no other worker has.
    fn number(&self) -> usize {
        let mut live = relock(&self.live);
        let number = (0..).find(|number| !live.contains_key(number)).unwrap_or_default();
        live.insert(number, None);
        number
    }

    fn leave(&self, number: usize) {
        relock(&self.live).remove(&number);
    }

    fn start(&self, request: &Request, log: &Path) -> Result<(Child, ChildStdin), Failure> {
        let cannot =
            |what: &str, error: std::io::Error| Failure::message(format!("cannot {what}: {error}"));
        let log_file = File::create(log)
            .map_err(|error| cannot(&format!("write the log {}", log.display()), error))?;
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .env("RAYON_NUM_THREADS", request.cell.settings.threads.to_string())
            // Libraries would put backtraces into their messages; a panic's is still shown where one is asked for.
            .env("RUST_LIB_BACKTRACE", "0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log_file);
        // A group of its own: Ctrl-C in the terminal reaches the parent alone, and the worker can
        // be ended together with what it started.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut pids = relock(&self.pids);
        let mut child = command.spawn().map_err(|error| {
            cannot(&format!("start a worker ({})", self.program.display()), error)
        })?;
        pids.insert(child.id());
        drop(pids);
        let mut text = serde_json::to_string(request)
            .map_err(|error| Failure::message(format!("cannot describe the cell: {error}")))?;
        text.push('\n');
        let Some(mut stdin) = child.stdin.take() else {
            return Err(Failure::message("the worker has no standard input"));
        };
        if let Err(error) = stdin.write_all(text.as_bytes()).and_then(|()| stdin.flush()) {
            let _ = child.kill();
            let _ = child.wait();
            relock(&self.pids).remove(&child.id());
            return Err(cannot("tell the worker its cell", error));
        }
        Ok((child, stdin))
    }

    /// The receipt of `key`: the store decides success, not the worker.
    fn receipt(&self, key: &crate::Digest) -> Result<Box<crate::store::Receipt>, Failure> {
        match self.store.receipt(key) {
            Ok(Some(receipt)) => Ok(Box::new(receipt)),
            Ok(None) => Err(Failure::message(
                "the worker ended well, but the store does not hold its result",
            )),
            Err(error) => Err(error.into()),
        }
    }
}

impl Runner for Processes {
    fn run(
        &self,
        request: &Request,
        log: &Path,
        tell: &(dyn Fn(Told) + Send + Sync),
    ) -> Result<Outcome, Failure> {
        // The number first: what a worker's number is told of never overlaps.
        let number = self.number();
        let begin = span::now();
        let (mut child, stdin) = self.start(request, log).inspect_err(|_| self.leave(number))?;
        let stdout = child.stdout.take();
        let pid = child.id();
        let worker = Arc::new(Worker {
            child: Mutex::new(child),
            stdin: Mutex::new(Some(stdin)),
            reaped: AtomicBool::new(false),
        });
        relock(&self.live).insert(number, Some(Arc::clone(&worker)));
        // Asked to stop while this worker started.
        if self.killed.load(Ordering::SeqCst) {
            worker.kill();
        } else if self.cancelled.load(Ordering::SeqCst) {
            worker.cancel();
        }
        let mut last = None;
        for line in stdout.into_iter().flat_map(|stdout| BufReader::new(stdout).lines()) {
            let Ok(line) = line else { break };
            match serde_json::from_str(&line) {
                Ok(Line::Update(update)) => tell(Told::Update(update)),
                Ok(Line::Damage(text)) => tell(Told::Damage(text)),
                Ok(Line::Span(span)) => self.take_span(number, request, || span),
                Ok(outcome) => last = Some(outcome),
                // Not ours: a library that prints.
                Err(_) => {}
            }
        }
        let status = worker.reap(pid);
        let mut pids = relock(&self.pids);
        pids.remove(&pid);
        // A worker that tells its outcome has done that itself.
        if self.adopts && last.is_none() {
            strays::end_others(|child| pids.contains(&child));
        }
        drop(pids);
        // Before another worker gets the number.
        self.take_span(number, request, || lifetime(request, pid, begin));
        self.leave(number);
        match last {
            Some(Line::Ran(key)) => self.receipt(&key).map(Outcome::Ran),
            Some(Line::Shared(key)) => self.receipt(&key).map(Outcome::Shared),
            Some(Line::Verified(digests)) => Ok(Outcome::Verified(digests)),
            Some(Line::Failed(failure)) => Err(failure),
            _ if self.killed.load(Ordering::SeqCst) => Err(Failure::Cancelled),
            _ => Err(match status {
                Ok(status) => {
                    let message = format!("the worker process {}", ended(status));
                    if is_killed(status) {
                        Failure::Killed { message }
                    } else {
                        Failure::message(message)
                    }
                }
                Err(error) => {
                    Failure::message(format!("cannot wait for the worker process: {error}"))
                }
            }),
        }
    }

    fn cancel(&self) {
        self.cancelled.store(true, Ordering::SeqCst);
        for worker in relock(&self.live).values().flatten() {
            worker.cancel();
        }
    }

    fn kill(&self) {
        self.cancelled.store(true, Ordering::SeqCst);
        self.killed.store(true, Ordering::SeqCst);
        for worker in relock(&self.live).values().flatten() {
            worker.kill();
        }
    }
}

impl Worker {
    fn cancel(&self) {
        if let Some(stdin) = relock(&self.stdin).as_mut() {
            // A worker that no longer listens is ending.
            let _ = stdin.write_all(b"cancel\n").and_then(|()| stdin.flush());
        }
    }

    /// Ends the worker and what it started.
    fn kill(&self) {
        let mut child = relock(&self.child);
        if !self.reaped.load(Ordering::SeqCst) {
            kill_group(child.id());
            let _ = child.kill();
        }
    }

    /// Waits for the end of the worker, and ends what it left behind.
    fn reap(&self, pid: u32) -> std::io::Result<ExitStatus> {
        wait_without_reaping(pid);
        let mut child = relock(&self.child);
        // Before its number can be given to another process.
        kill_group(pid);
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

/// The whole life of a worker.
fn lifetime(request: &Request, pid: u32, begin: u64) -> Span {
    let cell = request.cell.cell.to_string();
    Span {
        name: "worker".to_owned(),
        target: module_path!().to_owned(),
        level: "debug".to_owned(),
        start: begin,
        nanoseconds: Some(span::now().saturating_sub(begin)),
        thread: 0,
        fields: BTreeMap::from([("cell".to_owned(), cell.into()), ("pid".to_owned(), pid.into())]),
    }
}

/// Whether a process was ended as the system does when memory is short.
fn is_killed(status: ExitStatus) -> bool {
    #[cfg(unix)]
    return std::os::unix::process::ExitStatusExt::signal(&status) == Some(9);
    #[cfg(not(unix))]
    {
        let _ = status;
        false
    }
}

/// How a worker that said nothing ended.
fn ended(status: ExitStatus) -> String {
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
