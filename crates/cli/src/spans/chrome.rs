//! Spans as a file that chrome://tracing and Perfetto open: the Trace Event Format's JSON array.
//!
//! The file is whole JSON after each event, so that also a run that is killed leaves one that opens.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;

use sconce_core::span::{Span, now};
use serde_json::{Value, json};

/// All rows are in one group, as the processes of a run belong together.
const GROUP: u64 = 1;

/// The array's end, which each event overwrites.
const END: &str = "\n]\n";

/// The row of a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Row {
    /// A thread of this process.
    Main(usize),
    /// A worker by number, and its thread.
    Worker(usize, usize),
}

impl Row {
    /// Identifies the row; rows are drawn in this order.
    fn id(self) -> usize {
        const THREADS: usize = 1000;
        match self {
            Self::Main(thread) => 1 + thread.min(THREADS - 2),
            Self::Worker(worker, thread) => (worker + 1) * THREADS + thread.min(THREADS - 1),
        }
    }

    fn name(self) -> String {
        match self {
            Self::Main(0) => "sconce".to_owned(),
            Self::Main(thread) => format!("sconce, thread {thread}"),
            Self::Worker(worker, 0) => format!("worker {}", worker + 1),
            Self::Worker(worker, thread) => format!("worker {}, thread {thread}", worker + 1),
        }
    }
}

/// A trace file.
pub(super) struct Chrome {
    file: File,
    /// Where the array's end is.
    end: u64,
    /// The time that is 0 in the file.
    start: u64,
    named: BTreeSet<Row>,
    /// What went wrong first; nothing is written after it.
    error: Option<io::Error>,
}

impl Chrome {
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        let command: Vec<_> =
            std::env::args_os().map(|one| one.to_string_lossy().into_owned()).collect();
        let mut file = File::create(path)?;
        let group = json!({
            "name": "process_name", "ph": "M", "pid": GROUP, "tid": Row::Main(0).id(),
            "args": { "name": command.join(" ") }
        });
        let head = format!("[\n{group}");
        file.write_all(format!("{head}{END}").as_bytes())?;
        let end = head.len() as u64;
        Ok(Self { file, end, start: now(), named: BTreeSet::new(), error: None })
    }

    pub(super) fn write(&mut self, row: Row, span: &Span) {
        if self.error.is_some() {
            return;
        }
        let mut events = Vec::new();
        if self.named.insert(row) {
            let (id, name) = (row.id(), row.name());
            events.push(meta("thread_name", id, &json!({ "name": name })));
            events.push(meta("thread_sort_index", id, &json!({ "sort_index": id })));
        }
        events.push(self.event(row, span));
        if let Err(error) = self.append(&events) {
            self.error = Some(error);
        }
    }

    pub(super) fn error(&mut self) -> Option<io::Error> {
        self.error.take()
    }

    fn event(&self, row: Row, span: &Span) -> Value {
        let microseconds = |nanoseconds: u64| nanoseconds as f64 / 1e3;
        let mut event = json!({
            "name": span.name,
            "cat": span.target,
            "pid": GROUP,
            "tid": row.id(),
            "ts": microseconds(span.start.saturating_sub(self.start)),
            "args": span.fields,
        });
        match span.nanoseconds {
            Some(took) => {
                event["ph"] = "X".into();
                event["dur"] = microseconds(took).into();
            }
            None => {
                event["ph"] = "i".into();
                event["s"] = "t".into();
            }
        }
        event
    }

    /// Writes events over the array's end, and the end again, in one go.
    fn append(&mut self, events: &[Value]) -> io::Result<()> {
        let text: String = events.iter().map(|event| format!(",\n{event}")).collect();
        self.file.seek(SeekFrom::Start(self.end))?;
        self.file.write_all(format!("{text}{END}").as_bytes())?;
        self.end += text.len() as u64;
        Ok(())
    }
}

fn meta(name: &str, row: usize, args: &Value) -> Value {
    json!({ "name": name, "ph": "M", "pid": GROUP, "tid": row, "args": args })
}
