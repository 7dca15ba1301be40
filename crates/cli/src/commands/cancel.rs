//! `sconce cancel`: takes what is in a queue out of it.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;

use sconce_core::executor::queue::{InQueue, mark_cancelled, mark_cells_cancelled};
use sconce_core::plan::Selection;

use super::status::{cells, pipeline_of};
use crate::arguments::CancelArguments;
use crate::executor::configured_queue;
use crate::failure::{FAILED, Failure};
use crate::session::{Call, Session};
use crate::style::{GOOD, WARN, count, status};

pub(crate) fn cancel(call: &Call<'_>, arguments: &CancelArguments) -> Result<ExitCode, Failure> {
    let session = Session::open(call)?;
    let pipeline = match &arguments.file {
        Some(file) => Some(pipeline_of(call, file)?),
        None => None,
    };
    let selected = arguments.stages.iter().map(|name| Selection::parse(name));
    let selected = selected
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| Failure::usage(error.to_string()))?;
    let takes = |cell: &InQueue| {
        selected.is_empty() || selected.iter().any(|selection| selection.takes(&cell.cell))
    };
    let submissions = session.store.submissions();
    // Runs first, so that none hands over what is taken out.
    if selected.is_empty() {
        submissions.ask_to_stop(pipeline.as_deref())?;
    }
    let cells = cells(call, &session, arguments.file.as_deref())?;
    let mut batches: BTreeMap<String, Vec<InQueue>> = BTreeMap::new();
    for cell in cells {
        batches.entry(cell.batch.id.clone()).or_default().push(cell);
    }
    let queue = configured_queue(&session.configuration.executor)?;
    let mut out = anstream::stdout().lock();
    let (mut cancelled, mut all) = (0, true);
    for (id, cells) in batches {
        let (taken, others): (Vec<_>, Vec<_>) = cells.into_iter().partition(takes);
        let Some(first) = taken.first() else { continue };
        cancelled += taken.len();
        // The queue knows batches. Jobs of one that goes on see for themselves which cells are not wanted.
        if !others.is_empty() {
            let keys: Vec<_> = taken.iter().map(|cell| cell.key).collect();
            mark_cells_cancelled(&session.store, &id, &keys)?;
            continue;
        }
        let known = first.batch.known(&submissions)?;
        mark_cancelled(&session.store, &id)?;
        if let Err(text) = queue.cancel(&known) {
            all = false;
            let text = format!("{}: {text}; its jobs end by themselves", known.name);
            writeln!(out, "{}", status(WARN, "Warning", text))?;
        }
    }
    if cancelled == 0 {
        let of = if selected.is_empty() { "" } else { " of these" };
        writeln!(out, "nothing{of} is in a queue")?;
    } else {
        writeln!(out, "{}", status(GOOD, "Cancelled", count(cancelled, "cell")))?;
    }
    Ok(if all { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}
