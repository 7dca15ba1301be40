//! `sconce status`: what is in a queue.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;

use sconce_core::executor::queue::{InQueue, Known, Seen, State, in_queue};
use serde_json::json;

use crate::arguments::StatusArguments;
use crate::executor::configured_queue;
use crate::failure::Failure;
use crate::session::{Call, Session};
use crate::style::{BOLD, WARN, age, count, paint, status as status_line};

/// What the queue says of elements, by batch and element.
pub(crate) struct Told {
    seen: BTreeMap<(String, usize), Seen>,
    /// Why it said nothing.
    pub(crate) silence: Option<String>,
}

impl Told {
    /// Asks the queue about the batches of cells.
    pub(crate) fn of(session: &Session, cells: &[InQueue]) -> Self {
        let mut batches: BTreeMap<String, Known> = BTreeMap::new();
        let submissions = session.store.submissions();
        for cell in cells {
            if let Ok(known) = cell.batch.known(&submissions) {
                batches.insert(known.name.clone(), known);
            }
        }
        let known: Vec<Known> = batches.into_values().collect();
        let seen = match configured_queue(&session.configuration.executor) {
            Ok(queue) => queue.look(&known),
            Err(failure) => Err(failure.to_string()),
        };
        match seen {
            Ok(seen) => {
                let seen = seen.into_iter().map(|one| ((one.name.clone(), one.element), one));
                Self { seen: seen.collect(), silence: None }
            }
            Err(text) => Self { seen: BTreeMap::new(), silence: Some(text) },
        }
    }

    /// How a cell stands, in words.
    pub(crate) fn words(&self, session: &Session, cell: &InQueue) -> String {
        let seen = self.seen.get(&(cell.batch.name(), cell.element));
        let mut text = match seen.map(|seen| (seen.state, seen.words.as_str())) {
            _ if cell.job.is_none() => "recorded, and not known to be in the queue yet".to_owned(),
            Some((State::Waits, words)) => format!("queued: {words}"),
            Some((State::Runs, words)) if cell.started => words.to_owned(),
            Some((State::Runs, words)) => format!("behind others of its job ({words})"),
            Some((State::Ended(_), words)) => format!("its job ended: {words}"),
            None if cell.started => "begun; the queue does not name its job".to_owned(),
            None => "the queue does not name its job".to_owned(),
        };
        if cell.started
            && let Ok(Some(journal)) = session.store.journal(&cell.key)
            && let Some(progress) = journal.progress
        {
            text += &format!(", {} of {} {}", progress.done, progress.total, progress.unit);
        }
        if cell.again > 0 {
            text += &format!(", handed over again {}", count(cell.again as usize, "time"));
        }
        text
    }
}

pub(crate) fn status(call: &Call<'_>, arguments: &StatusArguments) -> Result<ExitCode, Failure> {
    let session = Session::open(call)?;
    let cells = cells(call, &session, arguments.file.as_deref())?;
    let told = if cells.is_empty() { None } else { Some(Told::of(&session, &cells)) };
    let mut out = anstream::stdout().lock();
    if arguments.json {
        let cells: Vec<_> = cells
            .iter()
            .map(|cell| {
                json!({
                    "pipeline": cell.pipeline,
                    "cell": cell.cell.to_string(),
                    "key": cell.key,
                    "batch": cell.batch.id,
                    "job": cell.job,
                    "element": cell.element,
                    "started": cell.started,
                    "again": cell.again,
                    "state": told.as_ref().map(|told| told.words(&session, cell)),
                })
            })
            .collect();
        let silence = told.as_ref().and_then(|told| told.silence.clone());
        writeln!(out, "{}", json!({ "cells": cells, "silence": silence }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let Some(told) = told else {
        writeln!(out, "nothing is in a queue")?;
        return Ok(ExitCode::SUCCESS);
    };
    if let Some(text) = &told.silence {
        let text = format!("the queue does not answer: {text}");
        writeln!(out, "{}", status_line(WARN, "Warning", text))?;
    }
    let mut pipelines: BTreeMap<&str, Vec<&InQueue>> = BTreeMap::new();
    for cell in &cells {
        pipelines.entry(&cell.pipeline).or_default().push(cell);
    }
    for (pipeline, cells) in pipelines {
        let first = cells.iter().map(|cell| cell.batch.head.made as u64).min().unwrap_or_default();
        let number = count(cells.len(), "cell");
        writeln!(out, "{}: {number}, the first {}", paint(BOLD, pipeline), age(first))?;
        for cell in cells {
            let job = cell.job.as_deref().unwrap_or("?");
            let words = told.words(&session, cell);
            writeln!(out, "  {job}_{:<5} {}: {words}", cell.element, cell.cell)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What is in a queue of a pipeline, or of all.
pub(crate) fn cells(
    call: &Call<'_>,
    session: &Session,
    file: Option<&std::path::Path>,
) -> Result<Vec<InQueue>, Failure> {
    let mut cells = in_queue(&session.store)?;
    if let Some(file) = file {
        let pipeline = pipeline_of(call, file)?;
        cells.retain(|cell| cell.pipeline == pipeline);
    }
    Ok(cells)
}

/// The name of a file's pipeline.
pub(crate) fn pipeline_of(call: &Call<'_>, file: &std::path::Path) -> Result<String, Failure> {
    let options = sconce_core::LoadOptions::file(file);
    sconce_core::load(&options, call.kinds)
        .map(|plan| plan.pipeline)
        .map_err(|diagnostics| Failure::Pipeline(Box::new(diagnostics)))
}
