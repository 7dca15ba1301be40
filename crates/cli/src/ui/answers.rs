//! What the page asks for, as JSON.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;

use sconce_core::clock::now;
use sconce_core::plan::{CellIndex, Plan, State};
use sconce_core::store::Receipt;
use serde_json::{Value, json};

use super::board::{Board, Shown};
use super::compare;
use super::http::{Answer, Request};
use crate::commands::{flat, story};
use crate::failure::Failure;
use crate::media_type::media_type;
use crate::watch::curves::curves;
use crate::watch::{Look, Status};

/// So much of a log is sent at a time, in bytes.
const LOG: u64 = 128 << 10;
/// Names of files of an output that are listed.
const FILES: usize = 300;
/// Cells that a cell reads, or that read it, that are listed.
const NEIGHBOURS: usize = 200;

pub(super) fn answer(board: &Board<'_>, path: &str, request: &Request) -> Answer {
    let answered = match path {
        "api/plan" => Ok(plan(board)),
        "api/state" => Ok(state(board, request)),
        "api/cell" => cell(board, request),
        "api/curves" => told(board, request),
        "api/why" => why(board, request),
        "api/log" => log(board, request),
        "api/compare" => compare::compare(board, request),
        _ => match path.strip_prefix("file/") {
            Some(file) => return super::files::file(board, file),
            None => return Answer::text(404, "no such page"),
        },
    };
    match answered {
        Ok(value) => {
            Answer::bytes(200, "application/json; charset=utf-8", value.to_string().into_bytes())
        }
        Err(Refused::Unknown(text)) => Answer::text(404, &text),
        Err(Refused::Failed(failure)) => Answer::text(500, &failure.to_string()),
    }
}

/// Why there is no answer.
pub(super) enum Refused {
    Unknown(String),
    Failed(Failure),
}

impl<E: Into<Failure>> From<E> for Refused {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

pub(super) type Answered = Result<Value, Refused>;

/// All that changes with the plan alone.
fn plan(board: &Board<'_>) -> Value {
    let shown = board.shown();
    let plan = &*shown.plan;
    let number: BTreeMap<&str, usize> =
        plan.stages.iter().enumerate().map(|(number, name)| (name.as_str(), number)).collect();
    let stage = |name: &String| {
        let cells: Vec<CellIndex> = plan.of_stage(name).collect();
        let first = cells.first().map(|&cell| &plan[cell]);
        let reads = cells.iter().flat_map(|&cell| plan.reads(cell));
        let mut reads: Vec<usize> =
            reads.map(|upstream| number[plan[upstream].id.stage.as_str()]).collect();
        reads.sort_unstable();
        reads.dedup();
        let axes = first.map(|cell| cell.id.coordinates.iter().map(|(axis, _)| axis));
        json!({
            "name": name,
            "kind": first.map_or("", |cell| cell.kind.name),
            "first": cells.first().map_or(0, |cell| cell.index()),
            "cells": cells.len(),
            "reads": reads,
            "axes": axes.into_iter().flatten().collect::<Vec<_>>(),
        })
    };
    let file = board.pipeline.file.display().to_string();
    json!({
        "edition": shown.edition,
        "pipeline": plan.pipeline,
        "description": plan.description,
        "file": file,
        "profiles": board.pipeline.profiles,
        "sets": board.pipeline.sets,
        "store": board.store().root().display().to_string(),
        "statuses": Status::ALL.map(Status::word),
        "stages": plan.stages.iter().map(stage).collect::<Vec<_>>(),
        "names": plan.cells().map(|(_, cell)| cell.id.to_string()).collect::<Vec<_>>(),
    })
}

/// The states of all cells, a letter each (`a` for the first status), and what the running ones tell. One
/// that asks with the revision that it has gets only what changes all the time.
fn state(board: &Board<'_>, request: &Request) -> Value {
    let shown = board.shown();
    let running = |(&index, journal): (&usize, &std::sync::Arc<sconce_core::store::Journal>)| {
        let mut values: Vec<&(String, f64)> = Vec::new();
        for point in journal.steps.last().into_iter().chain(journal.epochs.last()) {
            for value in &point.values {
                if values.len() < 4 && values.iter().all(|(name, _)| *name != value.0) {
                    values.push(value);
                }
            }
        }
        let progress = journal.progress.as_ref();
        json!({
            "cell": index,
            "started": journal.started,
            "progress": progress.map(|one| json!([one.done, one.total, one.unit])),
            "left": journal.seconds_left(now()),
            "note": journal.note,
            "values": values,
        })
    };
    let mut value = json!({
        "edition": shown.edition,
        "revision": shown.revision,
        "now": now(),
        "problem": shown.problem,
        "running": shown.running.iter().map(running).collect::<Vec<_>>(),
    });
    if request.query("since") != Some(&shown.revision.to_string()) {
        let letter = |status: &Status| char::from(b'a' + *status as u8);
        value["states"] = shown.statuses.iter().map(letter).collect::<String>().into();
    }
    value
}

/// The cell that a request names by its number in the plan of an edition.
fn index(shown: &Shown, request: &Request) -> Result<CellIndex, Refused> {
    let unknown = || Refused::Unknown("no such cell".to_owned());
    let edition = request.query("edition").and_then(|text| text.parse::<u64>().ok());
    if edition != Some(shown.edition) {
        return Err(Refused::Unknown("the pipeline file has changed".to_owned()));
    }
    let number = request.query("cell").and_then(|text| text.parse::<usize>().ok());
    let number = number.filter(|&number| number < shown.plan.len()).ok_or_else(unknown)?;
    Ok(CellIndex::new(number))
}

fn neighbours(plan: &Plan, mut cells: Vec<CellIndex>) -> Value {
    cells.sort_unstable();
    cells.dedup();
    let more = cells.len().saturating_sub(NEIGHBOURS);
    let numbers: Vec<_> = cells.iter().take(NEIGHBOURS).map(|cell| cell.index()).collect();
    json!({ "cells": numbers, "more": more, "all": plan.len() })
}

/// All about one cell but its curves.
fn cell(board: &Board<'_>, request: &Request) -> Answered {
    let shown = board.shown();
    let index = index(&shown, request)?;
    let (plan, store) = (&*shown.plan, board.store());
    let cell = &plan[index];
    let look = Look::at(store, &shown.assessed, index)?;
    let reasons: Vec<String> = match &shown.assessed.states[index] {
        State::Run { reasons, .. } => reasons.iter().map(ToString::to_string).collect(),
        State::Hit(_) | State::Depends(_) => Vec::new(),
    };
    let mut parameters = cell.key_parameters.differing.clone();
    let mut value = json!({
        "cell": index.index(),
        "name": cell.id.to_string(),
        "kind": cell.kind.name,
        "version": cell.kind.version,
        "status": look.status.word(),
        "error": look.error,
        "reasons": reasons,
        "reads": neighbours(plan, plan.reads(index).collect()),
        "readers": neighbours(plan, plan.readers(index).collect()),
        "log": log_path(board, plan, index).is_some(),
    });
    if let Some(journal) = &look.journal {
        value["journal"] = json!({
            "starts": journal.starts,
            "started": journal.started,
            "told": journal.told(),
            "note": journal.note,
            "progress": journal.progress.as_ref().map(|one| json!([one.done, one.total, one.unit])),
        });
    }
    if let Some(receipt) = &look.receipt {
        value["result"] = result(board, receipt)?;
        parameters = receipt.parts.parameters.clone();
    }
    let defaults = cell.key_parameters.defaults.clone();
    value["parameters"] = json!(flat("", &parameters));
    value["defaults"] = if defaults.is_null() { json!([]) } else { json!(flat("", &defaults)) };
    Ok(value)
}

fn result(board: &Board<'_>, receipt: &Receipt) -> Answered {
    let mut outputs = Vec::new();
    for (name, output) in &receipt.outputs {
        let tree = board.store().tree(&output.digest).unwrap_or_default();
        let file = |(name, member): (&String, &sconce_core::Member)| {
            json!([name, member.size, media_type(name)])
        };
        outputs.push(json!({
            "name": name,
            "artifact": output.artifact,
            "digest": output.digest.hex(),
            "size": output.size,
            "count": output.files,
            "files": tree.iter().take(FILES).map(file).collect::<Vec<_>>(),
        }));
    }
    Ok(json!({
        "key": receipt.key.hex(),
        "cell": receipt.cell.to_string(),
        "pipeline": receipt.pipeline,
        "seed": receipt.parts.seed,
        "metrics": receipt.metrics,
        "started": receipt.started,
        "seconds": receipt.seconds,
        "device": receipt.device.to_string(),
        "threads": receipt.threads,
        "sconce": receipt.sconce,
        "outputs": outputs,
    }))
}

/// The curves of a cell; only their mark where the request has it.
fn told(board: &Board<'_>, request: &Request) -> Answered {
    let shown = board.shown();
    let index = index(&shown, request)?;
    let look = Look::at(board.store(), &shown.assessed, index)?;
    let journal = look.journal.as_ref();
    let told = journal.map(|journal| (journal.told(), journal.steps.len(), journal.epochs.len()));
    let mark = format!("{told:?} {:?}", look.receipt.as_ref().map(|receipt| receipt.key));
    if request.query("mark") == Some(mark.as_str()) {
        return Ok(json!({ "mark": mark }));
    }
    let curves = curves(board.store(), look.receipt.as_deref(), journal);
    Ok(json!({ "mark": mark, "curves": curves }))
}

/// Why a cell would run, or what its result is made of: what `sconce why` says.
fn why(board: &Board<'_>, request: &Request) -> Answered {
    let shown = board.shown();
    let index = index(&shown, request)?;
    let lines = story(&shown.plan, board.store(), &shown.assessed, &[index])?;
    let plain: Vec<_> =
        lines.iter().map(|line| anstream::adapter::strip_str(line).to_string()).collect();
    Ok(json!({ "lines": plain }))
}

/// The log of a cell's last run, where there is one.
fn log_path(board: &Board<'_>, plan: &Plan, index: CellIndex) -> Option<PathBuf> {
    let path = board.store().log_path(&plan.pipeline, &plan[index].id);
    path.metadata().is_ok_and(|found| found.is_file() && found.len() > 0).then_some(path)
}

/// A part of a log: what comes after the byte `from`, or its end where none is named.
fn log(board: &Board<'_>, request: &Request) -> Answered {
    let shown = board.shown();
    let index = index(&shown, request)?;
    let Some(path) = log_path(board, &shown.plan, index) else {
        return Ok(json!({ "from": 0, "to": 0, "size": 0, "text": "" }));
    };
    let read = || {
        let mut file = File::open(&path)?;
        let size = file.metadata()?.len();
        let end = size.saturating_sub(LOG);
        let asked = request.query("from").and_then(|text| text.parse().ok());
        // Another run has begun a log anew.
        let from = asked.filter(|&from: &u64| from <= size).unwrap_or(end);
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.take(LOG).read_to_end(&mut bytes)?;
        Ok::<_, std::io::Error>((from, size, bytes))
    };
    let (from, size, bytes) = read()?;
    // A letter may not be whole yet.
    let whole = match std::str::from_utf8(&bytes) {
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        _ => bytes.len(),
    };
    let text = String::from_utf8_lossy(&bytes[..whole]);
    Ok(json!({ "from": from, "to": from + whole as u64, "size": size, "text": text }))
}
