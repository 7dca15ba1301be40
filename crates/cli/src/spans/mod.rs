//! Where time went: spans as lines (`-v`, `-vv`, `SCONCE_LOG`) and as a file for a browser
//! (`--trace`).
//!
//! A worker process records what its parent wants and sends it along; the parent prints it and
//! writes it, beside its own.

mod chrome;
mod recorder;

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use sconce_core::CellId;
use sconce_core::executor::Lines;
use sconce_core::span::Span;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Layer, SubscriberExt};

use crate::arguments::Global;
use crate::environment;
use crate::failure::Failure;
use crate::style::{BAD, DIM, WARN, paint, seconds, status};
use chrome::{Chrome, Row};
use recorder::Recorder;

/// Prints a line.
type Print = Box<dyn FnMut(&str) + Send>;

/// Prints and writes what took time. Clones are the same.
#[derive(Clone)]
pub(crate) struct Spans(Arc<Inner>);

struct Inner {
    /// What is printed.
    printed: Targets,
    /// How a line is printed.
    print: Mutex<Print>,
    chrome: Option<Mutex<Chrome>>,
}

impl Spans {
    /// Starts to record what the command line and the environment ask for.
    pub(crate) fn start(global: &Global) -> Result<Self, Failure> {
        let printed = match global.verbose {
            0 => from_environment()?,
            1 => Targets::new().with_default(LevelFilter::INFO),
            2 => Targets::new().with_default(LevelFilter::DEBUG),
            _ => Targets::new().with_default(LevelFilter::TRACE),
        };
        let chrome = match &global.trace {
            Some(path) => Some(Mutex::new(Chrome::create(path).map_err(|error| {
                Failure::usage(format!("{}: cannot write the trace: {error}", path.display()))
            })?)),
            None => None,
        };
        let print = |line: &str| {
            // Nothing is left to tell it to.
            let _ = anstream::stderr().write_all(line.as_bytes());
        };
        let spans = Self(Arc::new(Inner { printed, print: Mutex::new(Box::new(print)), chrome }));
        if let Some(recorded) = spans.recorded() {
            let taken = spans.clone();
            record(recorded, move |span| taken.take(Row::Main(span.thread), None, &span))?;
        }
        Ok(spans)
    }

    /// Takes nothing.
    pub(crate) fn silent() -> Self {
        let print = Mutex::new(Box::new(|_: &str| {}) as Print);
        Self(Arc::new(Inner { printed: Targets::new(), print, chrome: None }))
    }

    /// What has to be recorded, here and in workers; none for nothing.
    fn recorded(&self) -> Option<Targets> {
        if self.0.chrome.is_some() {
            return Some(Targets::new().with_default(LevelFilter::TRACE));
        }
        let printed = &self.0.printed;
        let any = printed.default_level().is_some_and(|level| level > LevelFilter::OFF)
            || printed.iter().any(|(_, level)| level > LevelFilter::OFF);
        any.then(|| printed.clone())
    }

    /// The filter for workers, as [`send`] reads it.
    pub(crate) fn for_workers(&self) -> Option<String> {
        self.recorded().map(|recorded| recorded.to_string())
    }

    /// Prints lines in another way from now on: above what is drawn on the terminal.
    pub(crate) fn print_with(&self, print: impl FnMut(&str) + Send + 'static) {
        *relock(&self.0.print) = Box::new(print);
    }

    /// Takes a span of a worker.
    pub(crate) fn take_of_worker(&self, worker: usize, cell: &CellId, span: &Span) {
        self.take(Row::Worker(worker, span.thread), Some(cell), span);
    }

    fn take(&self, row: Row, cell: Option<&CellId>, span: &Span) {
        if let Some(chrome) = &self.0.chrome {
            relock(chrome).write(row, span);
        }
        let level = span.level.parse().unwrap_or(tracing::Level::TRACE);
        if self.0.printed.would_enable(&span.target, &level) {
            relock(&self.0.print)(&line(cell, span));
        }
    }

    /// Says whether the trace could be written.
    pub(crate) fn finish(&self) -> Result<(), Failure> {
        match self.0.chrome.as_ref().and_then(|chrome| relock(chrome).error()) {
            Some(error) => Err(std::io::Error::other(format!("the trace: {error}")).into()),
            None => Ok(()),
        }
    }
}

/// In a worker: records what `filter` names and sends it to the parent.
pub(crate) fn send(filter: &str, lines: &Arc<Lines>) -> Result<(), Failure> {
    let filter =
        filter.parse().map_err(|error| Failure::usage(format!("--spans: `{filter}`: {error}")))?;
    let lines = Arc::clone(lines);
    record(filter, move |span| lines.span(span))
}

fn record(filter: Targets, take: impl Fn(Span) + Send + Sync + 'static) -> Result<(), Failure> {
    let recorder = Recorder::new(take).with_filter(filter);
    let subscriber = tracing_subscriber::registry().with(recorder);
    tracing::subscriber::set_global_default(subscriber)
        .map_err(|error| Failure::usage(format!("cannot record where time goes: {error}")))
}

/// What `SCONCE_LOG` asks for; nothing without it.
fn from_environment() -> Result<Targets, Failure> {
    match environment::text(environment::LOG)? {
        None => Ok(Targets::new()),
        Some(text) => text.parse().map_err(|error| {
            Failure::usage(format!(
                "{}: `{text}`: expected a level (info, debug, trace) or levels of modules, such as \
                 `sconce_core=debug,sconce_models=trace`: {error}",
                environment::LOG
            ))
        }),
    }
}

/// `       Timed svm[c=1]: commit in 0.02 s`.
fn line(cell: Option<&CellId>, span: &Span) -> String {
    let cell = cell.map_or_else(String::new, |cell| format!("{cell}: "));
    let fields: String = span
        .fields
        .iter()
        .filter(|(name, _)| cell.is_empty() || *name != "cell")
        .map(|(name, value)| match value {
            serde_json::Value::String(text) => format!(", {name} {text}"),
            other => format!(", {name} {other}"),
        })
        .collect();
    let fields = paint(DIM, fields);
    let name = &span.name;
    let text = match (span.nanoseconds, span.level.as_str()) {
        (Some(took), _) => {
            let took = seconds(took as f64 / 1e9);
            status(DIM, "Timed", format_args!("{cell}{name} in {took}{fields}"))
        }
        (None, "error") => status(BAD, "Error", format_args!("{cell}{name}{fields}")),
        (None, "warn") => status(WARN, "Warning", format_args!("{cell}{name}{fields}")),
        (None, _) => status(DIM, "Note", format_args!("{cell}{name}{fields}")),
    };
    text + "\n"
}

fn relock<T: ?Sized>(lock: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}
