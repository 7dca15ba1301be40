//! Events as lines: what stays on a terminal, and all that there is in a log.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use sconce_core::plan::Plan;
use sconce_core::run::{Event, Summary};

use super::tally::Tally;
use crate::style::{self, BAD, BUSY, DIM, GOOD, WARN, count, number, paint, seconds, status};

/// Without a terminal, progress of a cell is told so often at most.
const PACE: Duration = Duration::from_secs(15);

/// Most metrics in a line.
const METRICS: usize = 4;

/// Most folders in a line.
const FOLDERS: usize = 4;

/// Turns events into lines.
pub(super) struct Lines {
    quiet: bool,
    verbose: bool,
    /// Whether what is going on is told by lines, because there is no terminal.
    plain: bool,
    fresh: Tally,
    started: bool,
    /// When progress of a running cell was last told.
    told: BTreeMap<String, Instant>,
}

impl Lines {
    pub(super) fn new(plan: &Plan, quiet: bool, verbose: bool, plain: bool) -> Self {
        Self {
            quiet,
            verbose,
            plain,
            fresh: Tally::new(plan),
            started: false,
            told: BTreeMap::new(),
        }
    }

    /// The lines that an event gives.
    pub(super) fn of(&mut self, event: &Event, now: Instant) -> Vec<String> {
        match event {
            Event::CellFailed { cell, error, log, log_tail } => {
                let mut lines = vec![status(BAD, "Failed", format_args!("{cell}: {error}"))];
                lines.extend(log_tail.iter().map(|line| format!("{:>14} {line}", "|")));
                lines.extend(log.as_ref().map(|log| {
                    format!("{:>14} {}", "=", paint(DIM, format_args!("log: {}", log.display())))
                }));
                lines
            }
            Event::CellSkipped { cell, failed } => {
                vec![status(WARN, "Skipped", format_args!("{cell}: it needs {failed}"))]
            }
            Event::CellDiffers { cell, outputs } => {
                let mut lines = vec![status(BAD, "Differs", cell)];
                lines.extend(outputs.iter().map(|difference| {
                    let again = difference.again.map_or("nothing".to_owned(), |a| a.short());
                    let stored = difference.stored.short();
                    let output = &difference.output;
                    let how = difference.beyond.as_ref().map(|how| format!("; {how}"));
                    let how = how.unwrap_or_default();
                    format!(
                        "{:>14} output `{output}`: the store has {stored}, now {again}{how}",
                        "|"
                    )
                }));
                lines
            }
            Event::CellAbsent { cell, damaged } => {
                let (word, text) = match damaged {
                    true => ("Damaged", "its stored result, so there is none to compare with"),
                    false => ("Absent", "no result to compare with"),
                };
                vec![status(WARN, word, format_args!("{cell}: {text}"))]
            }
            Event::Damage { cell, text, rebuilt } => {
                let then = if *rebuilt { "rebuilding" } else { "the next run rebuilds it" };
                vec![status(WARN, "Damaged", format_args!("{cell}: {text}; {then}"))]
            }
            Event::Remote { text } => vec![status(WARN, "Warning", text)],
            Event::StaleKept { error } => {
                let text = "cannot remove what is shown of results that the pipeline no longer has";
                vec![status(WARN, "Warning", format_args!("{text}: {error}"))]
            }
            Event::ExportFailed { cell, error } => {
                vec![status(
                    WARN,
                    "Warning",
                    format_args!("{cell}: cannot show the result: {error}"),
                )]
            }
            Event::Notice { text } => vec![status(WARN, "Queue", text)],
            Event::Stopping { running, now } => {
                let text = if *now {
                    format!("ending {} now", count(*running, "running cell"))
                } else {
                    let running = count(*running, "running cell");
                    format!("waiting for {running}; press Ctrl-C again to end at once")
                };
                vec![status(WARN, "Stopping", text)]
            }
            Event::RunFinished(summary) => self.summary(summary),
            _ if self.quiet => Vec::new(),
            other => self.talk(other, now),
        }
    }

    /// What is left out when only what went wrong is wanted.
    fn talk(&mut self, event: &Event, now: Instant) -> Vec<String> {
        match event {
            Event::CellHit { cell, .. } => {
                self.fresh.add(cell);
                if self.verbose { vec![status(GOOD, "Fresh", cell)] } else { Vec::new() }
            }
            Event::CellStarted { cell, reasons, .. } => {
                let mut lines = self.fresh_before();
                if self.plain {
                    let why = reason(reasons);
                    lines.push(status(BUSY, "Running", format_args!("{cell}{why}")));
                    self.told.insert(cell.to_string(), now);
                }
                lines
            }
            Event::CellProgress { cell, done, total, unit } if self.plain => {
                let due = self.told.get_mut(&cell.to_string()).filter(|at| now - **at >= PACE);
                let Some(at) = due else { return Vec::new() };
                *at = now;
                let of = if *total > 0 { format!("/{total}") } else { String::new() };
                vec![status(BUSY, "Progress", format_args!("{cell}: {done}{of} {unit}"))]
            }
            Event::CellNote { cell, text } if self.plain => {
                vec![status(BUSY, "Note", format_args!("{cell}: {text}"))]
            }
            Event::CellFinished { cell, seconds: took, metrics, shared, .. } => {
                let metrics = metrics
                    .iter()
                    .take(METRICS)
                    .map(|(name, value)| format!(", {name} {}", number(*value)))
                    .collect::<String>();
                if *shared {
                    self.fresh.add(cell);
                    let text = format_args!("{cell}, computed by another run{metrics}");
                    return vec![status(GOOD, "Fresh", text)];
                }
                let took = seconds(*took);
                vec![status(GOOD, "Finished", format_args!("{cell} in {took}{metrics}"))]
            }
            Event::CellVerified { cell, volatile, near } => {
                let but = if volatile.is_empty() {
                    String::new()
                } else {
                    format!(" (passed over, because they may differ: {})", volatile.join(", "))
                };
                let apart = near.values().copied().fold(0.0, f64::max);
                let same = match near.is_empty() {
                    true => "the same bits".to_owned(),
                    false => format!(
                        "the same within the tolerance of two classes of devices, apart by {apart:.1e}"
                    ),
                };
                vec![status(GOOD, "Verified", format_args!("{cell}: {same}{but}"))]
            }
            Event::DeviceChosen { text } => vec![status(GOOD, "Device", text)],
            Event::StaleRemoved { folders } => {
                let mut named: Vec<_> =
                    folders.iter().take(FOLDERS).map(|one| one.display().to_string()).collect();
                if folders.len() > FOLDERS {
                    named.push(format!("{} more", folders.len() - FOLDERS));
                }
                let text = "which the pipeline no longer has, from what is shown";
                vec![status(GOOD, "Removed", format_args!("{}, {text}", named.join(", ")))]
            }
            Event::CellCancelled { cell } => vec![status(WARN, "Stopped", cell)],
            _ => Vec::new(),
        }
    }

    /// What was fresh before the first cell ran.
    fn fresh_before(&mut self) -> Vec<String> {
        let first = !std::mem::replace(&mut self.started, true);
        if first && !self.verbose && self.fresh.cells() > 0 {
            return vec![status(GOOD, "Fresh", self.fresh.text())];
        }
        Vec::new()
    }

    fn summary(&self, summary: &Summary) -> Vec<String> {
        if self.quiet && summary.is_success() {
            return Vec::new();
        }
        let took = seconds(summary.seconds);
        let nothing_to_do =
            summary.ran == 0 && summary.verified == 0 && summary.is_success() && !self.started;
        if nothing_to_do {
            let text = format!("{}: nothing to do ({took})", self.fresh.text());
            return vec![status(GOOD, "Fresh", text)];
        }
        let parts = [
            (summary.ran, "ran"),
            (summary.verified, "verified"),
            (summary.differing.len(), "differ"),
            (summary.absent, "absent"),
            (summary.hits, "fresh"),
            (summary.failed.len(), "failed"),
            (summary.skipped, "skipped"),
            (summary.unshown.len(), "not shown"),
        ];
        let parts: Vec<_> = parts
            .iter()
            .filter(|(number, _)| *number > 0)
            .map(|(number, what)| format!("{number} {what}"))
            .collect();
        let mut text = if parts.is_empty() { "nothing ran".to_owned() } else { parts.join(", ") };
        if summary.cancelled {
            text.push_str(", interrupted");
        }
        let style = if summary.is_success() { GOOD } else { BAD };
        vec![status(style, "Summary", format_args!("{text} in {took}"))]
    }
}

/// The first reason, and how many more there are.
pub(super) fn reason(reasons: &[String]) -> String {
    match reasons {
        [] => String::new(),
        [only] => paint(style::DIM, format_args!(" ({only})")),
        [first, more @ ..] => {
            paint(style::DIM, format_args!(" ({first}, and {} more)", more.len()))
        }
    }
}
