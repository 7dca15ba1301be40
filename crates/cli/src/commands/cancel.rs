//! `sconce cancel`: takes what is in a queue out of it.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;

use sconce_core::executor::queue::{InQueue, mark_cancelled};

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
    let submissions = session.store.submissions();
    // Runs first, so that none hands over what is taken out.
    submissions.ask_to_stop(pipeline.as_deref())?;
    let cells = cells(call, &session, arguments.file.as_deref())?;
    let mut batches: BTreeMap<String, Vec<InQueue>> = BTreeMap::new();
    for cell in cells {
        batches.entry(cell.batch.id.clone()).or_default().push(cell);
    }
    let queue = configured_queue(&session.configuration.executor)?;
    let mut out = anstream::stdout().lock();
    let (mut cancelled, mut all) = (0, true);
    for (id, cells) in batches {
        let Some(first) = cells.first() else { continue };
        let known = first.batch.known(&submissions)?;
        mark_cancelled(&session.store, &id)?;
        cancelled += cells.len();
        if let Err(text) = queue.cancel(&known) {
            all = false;
            let text = format!("{}: {text}; its jobs end by themselves", known.name);
            writeln!(out, "{}", status(WARN, "Warning", text))?;
        }
    }
    if cancelled == 0 {
        writeln!(out, "nothing is in a queue")?;
    } else {
        writeln!(out, "{}", status(GOOD, "Cancelled", count(cancelled, "cell")))?;
    }
    Ok(if all { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}
