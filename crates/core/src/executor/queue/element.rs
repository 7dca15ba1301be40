//! A job's side: the cells of one element of a batch, one after the other.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::batch::{Batch, CANCEL, HEAD, Note, Task, What, cancelled};
use crate::executor::Runner;
use crate::run::{Failure, Outcome, Request};
use crate::store::{Store, Submissions};
use crate::{Digest, Error, Result};

/// How often a job gives a sign of life.
const BEAT: Duration = Duration::from_secs(10);

/// How often it looks whether it is to stop.
const TICK: Duration = Duration::from_millis(100);

/// In so short a time a signal reaches all processes of a job.
const SIGNAL: Duration = Duration::from_millis(300);

/// So long a cell may take to end after it was asked to.
const GRACE: Duration = Duration::from_secs(20);

/// How a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ElementEnd {
    /// All its cells have an end.
    Done,
    /// It was asked to stop.
    Stopped,
    /// Another job has the element, or the batch is over.
    NotOurs,
}

/// Computes the cells of an element by `runner`, and tells what became of each beside the requests. `job`
/// is what the queue calls the job: one that is put back into the queue comes again under the same name and
/// goes on. `stop` asks to stop: cells write their checkpoints.
///
/// # Errors
/// A batch that cannot be read or written.
pub fn run_element(
    store: &Store,
    batch: &str,
    element: usize,
    job: &str,
    runner: &dyn Runner,
    stop: &AtomicBool,
) -> Result<ElementEnd> {
    let submissions = store.submissions();
    if submissions.read(batch, HEAD)?.is_none() {
        return Ok(ElementEnd::NotOurs);
    }
    let tasks = Batch::element(&submissions, batch, element)?;
    let claim = format!("claim-{element}");
    if !submissions.put_once(batch, &claim, job.as_bytes())?
        && submissions.read(batch, &claim)?.as_deref() != Some(job.as_bytes())
    {
        return Ok(ElementEnd::NotOurs);
    }
    let keys: Vec<Digest> = tasks.iter().map(|task| task.request.cell.parts.key()).collect();
    let at = Place { submissions: &submissions, batch, element, keys: &keys };
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (end, ended) = mpsc::channel::<()>();
        let over = &over;
        scope.spawn(move || at.watch(runner, stop, over, &ended));
        let done = at.run(store, &tasks, runner, (stop, over));
        drop(end);
        done
    })
}

#[derive(Clone, Copy)]
struct Place<'a> {
    submissions: &'a Submissions,
    batch: &'a str,
    element: usize,
    /// Its cells.
    keys: &'a [Digest],
}

impl Place<'_> {
    fn run(
        self,
        store: &Store,
        tasks: &[Task],
        runner: &dyn Runner,
        (stop, over): (&AtomicBool, &AtomicBool),
    ) -> Result<ElementEnd> {
        let begin = Instant::now();
        for task in tasks {
            if over.load(Ordering::SeqCst) {
                return Ok(ElementEnd::Stopped);
            }
            let key = task.request.cell.parts.key();
            if cancelled(self.submissions, self.batch).contains(&key) {
                continue;
            }
            self.note(key, What::Started)?;
            let outcome = run_logged(store, runner, task);
            // A queue that ends a job tells its programs, too: what one says of that is no failure.
            if matches!(outcome, Err(Failure::Failed { .. } | Failure::Killed { .. })) {
                std::thread::sleep(SIGNAL);
            }
            let stops = stop.load(Ordering::SeqCst) || over.load(Ordering::SeqCst);
            let what = match outcome {
                Err(_) if stops => What::Stopped { after: begin.elapsed().as_secs_f64() },
                Ok(Outcome::Ran(_)) => What::Ran,
                Ok(Outcome::Shared(_)) => What::Shared,
                Ok(Outcome::Verified(digests)) => What::Verified(digests),
                // The receipt may have been put before the stop came.
                Err(Failure::Cancelled) => What::Stopped { after: begin.elapsed().as_secs_f64() },
                Err(failure) => What::Failed(failure),
            };
            let stopped = matches!(what, What::Stopped { .. });
            self.note(key, what)?;
            if stopped {
                return Ok(ElementEnd::Stopped);
            }
        }
        Ok(ElementEnd::Done)
    }

    fn note(self, key: Digest, what: What) -> Result<()> {
        let line = serde_json::to_vec(&Note { key, what })?;
        let name = format!("told-{}.jsonl", self.element);
        match self.submissions.append(self.batch, &name, &line) {
            // The batch is over: nobody wants to know.
            Err(_) if !self.submissions.folder(self.batch).is_dir() => Err(Error::Cancelled),
            other => other,
        }
    }

    /// Gives signs of life, and asks the running cell to stop when that is wanted.
    fn watch(
        self,
        runner: &dyn Runner,
        stop: &AtomicBool,
        over: &AtomicBool,
        ended: &mpsc::Receiver<()>,
    ) {
        let (mut beats, mut beat) = (0_u64, Instant::now());
        let mut deadline: Option<Instant> = None;
        loop {
            let is_due = beats == 0 || beat.elapsed() >= BEAT;
            if is_due {
                (beats, beat) = (beats + 1, Instant::now());
                let name = format!("beat-{}", self.element);
                let text = format!("{beats} {}", std::process::id());
                let _ = self.submissions.touch(self.batch, &name, text.as_bytes());
            }
            let unwanted = is_due && !self.is_wanted();
            if deadline.is_none() && (unwanted || stop.load(Ordering::SeqCst)) {
                over.store(true, Ordering::SeqCst);
                runner.cancel();
                deadline = Some(Instant::now() + GRACE);
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                runner.kill();
            }
            if !matches!(ended.recv_timeout(TICK), Err(RecvTimeoutError::Timeout)) {
                return;
            }
        }
    }

    fn is_wanted(self) -> bool {
        let folder = self.submissions.folder(self.batch);
        // An error of a file server is no answer.
        match std::fs::symlink_metadata(&folder) {
            Err(error) => error.kind() != std::io::ErrorKind::NotFound,
            Ok(_) if folder.join(CANCEL).exists() => false,
            Ok(_) => {
                let cancelled = cancelled(self.submissions, self.batch);
                !self.keys.iter().all(|key| cancelled.contains(key))
            }
        }
    }
}

/// Computes a cell. That its log's folder is there was seen to by whoever handed it over, on another
/// machine.
fn run_logged(store: &Store, runner: &dyn Runner, task: &Task) -> Result<Outcome, Failure> {
    let request: &Request = &task.request;
    let log = store.log_path(&request.cell.pipeline, &request.cell.cell);
    let log = if log.file_name() == task.log.file_name() { &task.log } else { &log };
    runner.run(request, log, &|_| {})
}
