//! Worker processes, seen from their parent.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::serve::{Line, Order};
use super::settler::Settler;
use super::worker::{Served, Shape, Worker, ended};
use super::{Runner, Told};
use crate::CellId;
use crate::mutex::relock;
use crate::run::{Failure, Outcome, Request};
use crate::span::{self, Span};
use crate::stage::device;
use crate::store::Store;
use crate::system::processes::{Group, is_killed};
use crate::system::strays;

/// Computes each cell in a process of its own, so that a crash, a leak or a stuck thread stays
/// there.
pub struct Processes {
    store: Store,
    program: PathBuf,
    arguments: Vec<OsString>,
    /// By number: the smallest that no other has. None for one that is being started.
    live: Mutex<BTreeMap<usize, Option<Arc<Worker>>>>,
    /// Workers that wait for a further cell.
    idle: Mutex<Vec<Served>>,
    /// The workers that were started and are not reaped yet; held while one is started.
    pids: Mutex<BTreeSet<u32>>,
    /// Whether other children of this process are what killed workers left behind.
    adopts: bool,
    cancelled: AtomicBool,
    killed: AtomicBool,
    spans: Option<Box<TakeSpan>>,
    /// Waits for the disk in place of the workers, where it does.
    settler: Option<Arc<Settler>>,
}

/// Takes what took time in worker processes: the worker's number (the smallest that no other running
/// one has), its cell, and the span.
type TakeSpan = dyn Fn(usize, &CellId, Span) + Send + Sync;

impl Processes {
    /// A runner that starts `program` with `arguments`, which has to call [`serve_all`](super::serve_all())
    /// with its standard input.
    pub fn new(store: Store, program: PathBuf, arguments: Vec<OsString>) -> Self {
        Self {
            store,
            program,
            arguments,
            live: Mutex::default(),
            idle: Mutex::default(),
            pids: Mutex::default(),
            adopts: false,
            cancelled: AtomicBool::default(),
            killed: AtomicBool::default(),
            spans: None,
            settler: None,
        }
    }

    /// Waits for the disk in place of its workers, for many results at once and while further cells are
    /// computed. All of it is durable after [`Runner::finish`].
    #[must_use]
    pub fn settling(mut self) -> Self {
        self.store = self.store.deferring();
        self.settler = Some(Settler::new(self.store.clone()));
        self
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

    /// A worker that computes the cell: one that waits for a further one, or a new one.
    fn engage(&self, request: &Request, log: &Path, stays: bool) -> Result<Served, Failure> {
        let log_file = File::create(log)
            .map_err(|error| cannot(&format!("write the log {}", log.display()), &error))?;
        let settings = &request.cell.settings;
        let shape = Shape { threads: settings.threads, device: settings.device };
        while stays && let Some(served) = self.take_idle(shape) {
            if served.worker.order(&self.order(request, Some(log), stays)?).is_ok() {
                return Ok(served);
            }
            // It was ended meanwhile.
            let _ = self.dismiss(&served.worker);
        }
        let served = self.start(shape, log_file)?;
        match served.worker.order(&self.order(request, None, stays)?) {
            Ok(()) => Ok(served),
            // It ended before it read anything; what it said is in the log.
            Err(_) => Err(death(self.dismiss(&served.worker))),
        }
    }

    /// Whether the cell's worker may compute further ones. Only where what a cell leaves behind can be found
    /// without an end of its worker.
    fn may_stay(&self, request: &Request) -> bool {
        strays::ARE_FOUND && request.cell.settings.small && !self.cancelled.load(Ordering::SeqCst)
    }

    /// The line that tells a worker its cell, and whether to stay for a further one.
    fn order(&self, request: &Request, log: Option<&Path>, stays: bool) -> Result<String, Failure> {
        let order = Order {
            request: request.clone(),
            log: log.map(Path::to_owned),
            deferred: self.settler.is_some(),
            last: !stays,
        };
        let text = serde_json::to_string(&order);
        let text =
            text.map_err(|error| Failure::message(format!("cannot describe the cell: {error}")))?;
        Ok(text + "\n")
    }

    fn start(&self, shape: Shape, log: File) -> Result<Served, Failure> {
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .env("RAYON_NUM_THREADS", shape.threads.to_string())
            // The device of its own and no other: what it forgets or a library opens is not another cell's.
            .env(device::VISIBLE, shape.device.visible_alone())
            // Libraries would put backtraces into their messages; a panic's is still shown where one is asked for.
            .env("RUST_LIB_BACKTRACE", "0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log);
        // A group of its own: Ctrl-C in the terminal reaches the parent alone, and the worker can
        // be ended together with what it started.
        let mut pids = relock(&self.pids);
        let (mut child, group) = Group::start(&mut command).map_err(|error| {
            cannot(&format!("start a worker ({})", self.program.display()), &error)
        })?;
        pids.insert(child.id());
        drop(pids);
        let stdout = child.stdout.take();
        let worker = Worker {
            pid: child.id(),
            group,
            stdin: Mutex::new(child.stdin.take()),
            child: Mutex::new(child),
            reaped: AtomicBool::new(false),
        };
        let Some(stdout) = stdout else {
            return Err(Failure::message("the worker has no standard output"));
        };
        Ok(Served { worker: Arc::new(worker), lines: BufReader::new(stdout).lines(), shape })
    }

    /// Takes a worker that waits; another than that of this shape is no longer needed.
    fn take_idle(&self, shape: Shape) -> Option<Served> {
        let mut idle = relock(&self.idle);
        if let Some(place) = idle.iter().position(|served| served.shape == shape) {
            return Some(idle.swap_remove(place));
        }
        let other = idle.pop();
        drop(idle);
        if let Some(other) = other {
            let _ = self.dismiss(&other.worker);
        }
        None
    }

    /// Waits for the end of a worker that has no further cell, and ends what it left behind.
    fn end(&self, worker: &Worker, has_told: bool) -> std::io::Result<ExitStatus> {
        if has_told {
            drop(relock(&worker.stdin).take());
        }
        let status = worker.reap();
        let mut pids = relock(&self.pids);
        pids.remove(&worker.pid);
        // A worker that tells its outcome has done that itself.
        if self.adopts && !has_told {
            strays::end_others(|child| pids.contains(&child));
        }
        status
    }

    /// Lets a worker end, and waits for that.
    fn dismiss(&self, worker: &Worker) -> std::io::Result<ExitStatus> {
        drop(relock(&worker.stdin).take());
        let status = worker.reap();
        relock(&self.pids).remove(&worker.pid);
        status
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
        let stays = self.may_stay(request);
        let mut served = self.engage(request, log, stays).inspect_err(|_| self.leave(number))?;
        let worker = Arc::clone(&served.worker);
        let pid = worker.pid;
        relock(&self.live).insert(number, Some(Arc::clone(&worker)));
        // Asked to stop while this worker started.
        if self.killed.load(Ordering::SeqCst) {
            worker.kill();
        } else if self.cancelled.load(Ordering::SeqCst) {
            worker.cancel();
        }
        let mut last = None;
        while let Some(Ok(line)) = served.lines.next() {
            match serde_json::from_str(&line) {
                Ok(Line::Update(update)) => tell(Told::Update(update)),
                Ok(Line::Damage(text)) => tell(Told::Damage(text)),
                Ok(Line::Span(span)) => self.take_span(number, request, || span),
                Ok(outcome) => last = Some(outcome),
                // Not ours: a library that prints.
                Err(_) => {}
            }
            if stays && last.is_some() {
                break;
            }
        }
        let goes_on = stays
            && matches!(last, Some(Line::Ran(_) | Line::Shared(_) | Line::Verified(_)))
            && self.may_stay(request);
        let status = if goes_on { None } else { Some(self.end(&worker, last.is_some())) };
        // Before another worker gets the number.
        self.take_span(number, request, || lifetime(request, pid, begin));
        self.leave(number);
        if goes_on {
            relock(&self.idle).push(served);
        }
        match last {
            Some(Line::Ran(key)) => self.receipt(&key).map(|receipt| {
                if let Some(settler) = &self.settler {
                    settler.take((*receipt).clone());
                }
                Outcome::Ran(receipt)
            }),
            Some(Line::Shared(key)) => self.receipt(&key).map(Outcome::Shared),
            Some(Line::Verified(digests)) => Ok(Outcome::Verified(digests)),
            Some(Line::Failed(failure)) => Err(failure),
            _ if self.killed.load(Ordering::SeqCst) => Err(Failure::Cancelled),
            _ => Err(death(status.unwrap_or_else(|| Ok(ExitStatus::default())))),
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

    fn finish(&self) -> Vec<String> {
        let wrong = self.settler.as_ref().map(|settler| settler.finish()).unwrap_or_default();
        let told = |error| format!("results may be lost should the power fail: {error}");
        wrong.into_iter().map(told).collect()
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        let idle = std::mem::take(&mut *relock(&self.idle));
        // All at once, then one after the other.
        for served in &idle {
            drop(relock(&served.worker.stdin).take());
        }
        for served in &idle {
            let _ = self.dismiss(&served.worker);
        }
    }
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

/// Why there is no outcome of a worker that ended.
fn death(status: std::io::Result<ExitStatus>) -> Failure {
    match status {
        Ok(status) => {
            let message = format!("the worker process {}", ended(status));
            if is_killed(status) { Failure::Killed { message } } else { Failure::message(message) }
        }
        Err(error) => cannot("wait for the worker process", &error),
    }
}

fn cannot(what: &str, error: &std::io::Error) -> Failure {
    Failure::message(format!("cannot {what}: {error}"))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::key::KeyParts;
    use crate::run::{Mode, ResolvedCell, Settings};
    use crate::{CellId, Coordinates};

    fn request() -> Request {
        Request {
            mode: Mode::Run,
            cell: ResolvedCell {
                pipeline: "test".to_owned(),
                cell: CellId { stage: "stage".to_owned(), coordinates: Coordinates::none() },
                parameters: serde_json::json!({}),
                parts: KeyParts::of("test", 1, serde_json::json!({})),
                settings: Settings { threads: 1, ..Settings::default() },
            },
            siblings: Vec::new(),
        }
    }

    /// Whether it is killed before it reads its cell or after: the system may be short of memory, and a queue
    /// hands the cell over again.
    #[test]
    fn a_worker_that_is_killed_is_told_as_killed_at_any_moment() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join(".sconce")).unwrap();
        for script in ["kill -9 $$", "exec 0<&-; sleep 0.02; kill -9 $$", "read line; kill -9 $$"] {
            let arguments = vec!["-c".into(), script.into()];
            let workers = Processes::new(store.clone(), "/bin/sh".into(), arguments);
            for _ in 0..10 {
                match workers.run(&request(), &folder.path().join("log"), &|_| {}) {
                    Err(Failure::Killed { message }) => {
                        assert!(message.contains("signal 9"), "{script}: {message}");
                    }
                    other => panic!("{script}: {other:?}"),
                }
            }
        }
    }
}
