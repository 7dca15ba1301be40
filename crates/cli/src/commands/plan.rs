//! `sconce plan`: what a run would do, and why.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;

use sconce_core::plan::{CellIndex, PerCell, Plan, Reason, State, assess};
use sconce_core::run::snapshots;
use sconce_core::{Digest, Error};
use serde_json::{Value, json};

use super::show::resolved;
use crate::arguments::PlanArguments;
use crate::failure::{FAILED, Failure};
use crate::session::{Call, Session, named, open_with_plan};
use crate::style::{BAD, BUSY, DIM, GOOD, WARN, paint, status};

/// The states of all cells.
pub(crate) struct Assessed {
    pub(crate) states: PerCell<State>,
    /// Local files that cannot be read, by cell.
    pub(crate) unreadable: BTreeMap<CellIndex, Error>,
}

/// Finds the states of all cells; reads local files, runs nothing.
pub(crate) fn assess_plan(session: &Session, plan: &Plan) -> Result<Assessed, Failure> {
    let mut contents: BTreeMap<CellIndex, Digest> = BTreeMap::new();
    let mut unreadable = BTreeMap::new();
    for (index, snapshot) in snapshots(plan, &session.store) {
        match snapshot {
            Ok(snapshot) => {
                contents.insert(index, snapshot.digest);
            }
            Err(error) => {
                unreadable.insert(index, error);
            }
        }
    }
    let states = assess(plan, &session.store, &contents)?;
    Ok(Assessed { states, unreadable })
}

pub(crate) fn plan(call: &Call<'_>, arguments: &PlanArguments) -> Result<ExitCode, Failure> {
    if arguments.resolved && !arguments.json {
        return resolved(call, &arguments.pipeline, &arguments.stages);
    }
    let (session, plan) = open_with_plan(call, &arguments.pipeline)?;
    let named = named(&plan, &arguments.stages)?;
    let assessed = assess_plan(&session, &plan)?;
    let wanted = plan.with_upstream(named);
    if arguments.json {
        let cell = |&index: &CellIndex| {
            let mut cell = as_json(&plan, &assessed, index);
            if arguments.resolved {
                add_resolved(&plan, index, &mut cell);
            }
            cell
        };
        let cells: Vec<_> = wanted.iter().map(cell).collect();
        let text = json!({ "pipeline": plan.pipeline, "cells": cells });
        writeln!(std::io::stdout(), "{text}")?;
    } else {
        write(&plan, &assessed, &wanted)?;
    }
    let broken = wanted.iter().any(|index| assessed.unreadable.contains_key(index));
    Ok(if broken { ExitCode::from(FAILED) } else { ExitCode::SUCCESS })
}

fn write(plan: &Plan, assessed: &Assessed, wanted: &[CellIndex]) -> Result<(), Failure> {
    let mut out = anstream::stdout().lock();
    let width = wanted.iter().map(|&index| plan[index].id.to_string().chars().count());
    let width = width.max().unwrap_or(0).min(48);
    let (mut hits, mut runs, mut depends) = (0, 0, 0);
    for &index in wanted {
        let id = plan[index].id.to_string();
        let (style, word, why) = match (&assessed.unreadable.get(&index), &assessed.states[index]) {
            (Some(error), _) => (BAD, "error", error.to_string()),
            (None, State::Hit(_)) => {
                hits += 1;
                (GOOD, "hit", String::new())
            }
            (None, State::Run { reasons, .. }) => {
                runs += 1;
                (BUSY, "run", join(reasons))
            }
            (None, State::Depends(upstream)) => {
                depends += 1;
                (WARN, "depends", on(plan, upstream))
            }
        };
        let text = if why.is_empty() { id } else { format!("{id:<width$}  {}", paint(DIM, why)) };
        writeln!(out, "{}", status(style, word, text))?;
    }
    let parts = [(hits, "hit"), (runs, "run"), (depends, "depends")];
    let parts: Vec<_> = parts.iter().map(|(number, what)| format!("{number} {what}")).collect();
    writeln!(out, "{}", status(crate::style::BOLD, "Plan", parts.join(", ")))?;
    Ok(())
}

/// All reasons in a line.
pub(super) fn join(reasons: &[Reason]) -> String {
    const MOST: usize = 3;
    let mut parts: Vec<_> = reasons.iter().take(MOST).map(Reason::to_string).collect();
    if reasons.len() > MOST {
        parts.push(format!("and {} more", reasons.len() - MOST));
    }
    parts.join("; ")
}

fn on(plan: &Plan, upstream: &[CellIndex]) -> String {
    const MOST: usize = 3;
    let mut parts: Vec<_> =
        upstream.iter().take(MOST).map(|&cell| plan[cell].id.to_string()).collect();
    if upstream.len() > MOST {
        parts.push(format!("{} more", upstream.len() - MOST));
    }
    format!("on the output of {}", parts.join(", "))
}

/// Adds the cell's kind, its parameters and where its inputs come from.
fn add_resolved(plan: &Plan, index: CellIndex, json: &mut Value) {
    let cell = &plan[index];
    let mut inputs: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (upstream, source) in plan.sources(index) {
        let text = format!("{}.{}", plan[upstream].id, source.output);
        inputs.entry(&source.slot).or_default().push(text);
    }
    json["kind"] = cell.kind.name.into();
    json["parameters"] = cell.parameters.clone();
    json["inputs"] = json!(inputs);
}

fn as_json(plan: &Plan, assessed: &Assessed, index: CellIndex) -> Value {
    let id = &plan[index].id;
    let mut cell = json!({ "cell": id.to_string(), "stage": id.stage });
    let more = match (assessed.unreadable.get(&index), &assessed.states[index]) {
        (Some(error), _) => json!({ "state": "error", "error": error.to_string() }),
        (None, State::Hit(receipt)) => json!({ "state": "hit", "key": receipt.key }),
        (None, State::Run { key, reasons }) => {
            let reasons: Vec<_> = reasons.iter().map(Reason::to_string).collect();
            json!({ "state": "run", "key": key, "reasons": reasons })
        }
        (None, State::Depends(upstream)) => {
            let upstream: Vec<_> = upstream.iter().map(|&cell| plan[cell].id.to_string()).collect();
            json!({ "state": "depends", "on": upstream })
        }
    };
    if let (Value::Object(cell), Value::Object(more)) = (&mut cell, more) {
        cell.extend(more);
    }
    cell
}
