//! `sconce show`: the results of a stage.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use sconce_core::ByteSize;
use sconce_core::plan::{CellIndex, Plan, State};
use sconce_core::run::shown_at;
use sconce_core::store::Receipt;
use serde_json::json;

use super::plan::assess_plan;
use super::why::flat;
use crate::arguments::{PipelineArguments, ShowArguments};
use crate::failure::Failure;
use crate::session::{Call, Session, cells, load_stages, open_with_plan};
use crate::style::{BOLD, DIM, GOOD, WARN, age, count, number, paint, seconds};
use crate::watch::live::live;

pub(crate) fn show(call: &Call<'_>, arguments: &ShowArguments) -> Result<ExitCode, Failure> {
    if arguments.resolved {
        return resolved(call, &arguments.pipeline, std::slice::from_ref(&arguments.stage));
    }
    let (session, plan) = open_with_plan(call, &arguments.pipeline)?;
    let named = cells(&plan, &arguments.stage)?;
    if arguments.live {
        live(&session, &plan, &named)?;
        return Ok(ExitCode::SUCCESS);
    }
    if arguments.log {
        return logs(&session, &plan, &named);
    }
    let assessed = assess_plan(&session, &plan)?;
    let last = session.store.last(&plan.pipeline)?;
    let mut found = Vec::new();
    for index in named {
        let id = &plan[index].id;
        let (receipt, fresh) = match &assessed.states[index] {
            State::Hit(receipt) => (Some((**receipt).clone()), true),
            _ => match last.get(&id.to_string()) {
                Some(key) => (session.store.recorded(key)?, false),
                None => (None, false),
            },
        };
        let log = session.store.log_path(&plan.pipeline, id);
        found.push((id, receipt, fresh, log));
    }
    let artifacts = &session.configuration.artifacts;
    let mut out = anstream::stdout().lock();
    if arguments.json {
        let cells: Vec<_> = found
            .iter()
            .map(|(id, receipt, fresh, log)| {
                json!({
                    "cell": id.to_string(),
                    "stage": id.stage,
                    "fresh": fresh,
                    "receipt": receipt,
                    "artifacts": shown_at(artifacts, &plan.pipeline, id),
                    "log": log.exists().then_some(log),
                })
            })
            .collect();
        writeln!(out, "{}", json!({ "pipeline": plan.pipeline, "cells": cells }))?;
        return Ok(ExitCode::SUCCESS);
    }
    for (position, (id, receipt, fresh, log)) in found.iter().enumerate() {
        if position > 0 {
            writeln!(out)?;
        }
        let state = match (receipt, fresh) {
            (Some(_), true) => paint(GOOD, "fresh"),
            (Some(_), false) => paint(WARN, "outdated: this is the last result"),
            (None, _) => paint(WARN, "no result yet"),
        };
        writeln!(out, "{} {}", paint(BOLD, id), paint(DIM, format_args!("({state})")))?;
        if let Some(receipt) = receipt {
            write(&mut out, receipt, &shown_at(artifacts, &plan.pipeline, id))?;
        }
        if log.exists() {
            writeln!(out, "  log        {}", log.display())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes what the cells' programs printed in their last run, wherever that was.
fn logs(session: &Session, plan: &Plan, cells: &[CellIndex]) -> Result<ExitCode, Failure> {
    let mut out = anstream::stdout().lock();
    for &index in cells {
        let id = &plan[index].id;
        if cells.len() > 1 {
            writeln!(out, "{}", paint(BOLD, id))?;
        }
        match std::fs::read(session.store.log_path(&plan.pipeline, id)) {
            Ok(bytes) => out.write_all(&bytes)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                writeln!(out, "{}", paint(DIM, "it printed nothing, or never ran"))?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes stages as they are after all layers.
pub(super) fn resolved(
    call: &Call<'_>,
    pipeline: &PipelineArguments,
    names: &[String],
) -> Result<ExitCode, Failure> {
    let stages = load_stages(call, pipeline, names)?;
    let text: Vec<String> = stages.iter().map(ToString::to_string).collect();
    write!(std::io::stdout(), "{}", text.join("\n"))?;
    Ok(ExitCode::SUCCESS)
}

fn write(out: &mut impl Write, receipt: &Receipt, shown: &Path) -> Result<(), Failure> {
    let parts = &receipt.parts;
    writeln!(out, "  kind       {}, version {}", parts.kind, parts.version)?;
    writeln!(out, "  key        {}", receipt.key)?;
    writeln!(
        out,
        "  computed   {} in {} with {} on {} by sconce {}",
        age(receipt.started),
        seconds(receipt.seconds),
        count(receipt.threads, "thread"),
        receipt.device,
        receipt.sconce
    )?;
    for (place, (path, value)) in flat("", &parts.all_parameters()).iter().enumerate() {
        let title = if place == 0 { "parameters" } else { "" };
        writeln!(out, "  {title:<10} {path} = {value}")?;
    }
    if let Some(seed) = parts.seed {
        writeln!(out, "  seed       {seed}")?;
    }
    for (place, (name, value)) in receipt.metrics.iter().enumerate() {
        let title = if place == 0 { "metrics" } else { "" };
        writeln!(out, "  {title:<10} {name} = {}", number(*value))?;
    }
    for (place, (name, output)) in receipt.outputs.iter().enumerate() {
        let title = if place == 0 { "outputs" } else { "" };
        let files = count(output.files, "file");
        let (kind, bytes, digest) =
            (&output.artifact, ByteSize(output.size), output.digest.short());
        writeln!(out, "  {title:<10} {name}: {kind}, {files}, {bytes}, {digest}")?;
    }
    if shown.exists() {
        writeln!(out, "  artifacts  {}", shown.display())?;
    }
    Ok(())
}
