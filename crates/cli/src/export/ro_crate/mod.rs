//! An RO-Crate of a run: inputs, outputs, digests, parameters, software, in the profile Provenance Run
//! Crate 0.5, which is a Workflow Run Crate and a Process Run Crate, too.
//!
//! The pipeline file is the workflow, a stage a step of it, a kind the tool of a step, a cell an action
//! (`https://www.researchobject.org/workflow-run-crate/profiles/provenance_run_crate/`). The files of an
//! output come along unless it is too large; then its digest says what it was.

mod cells;
mod words;
mod workflow;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use sconce_core::plan::Plan;
use sconce_core::store::RunRecord;
use sconce_core::system::files::make_writable;
use sconce_core::{Digest, Store};
use serde_json::{Value, json};

use super::Exported;
use crate::arguments::ExportArguments;
use crate::failure::Failure;
use words::{encoded, time};

const PROFILES: [(&str, &str, &str); 4] = [
    ("https://w3id.org/ro/wfrun/process/0.5", "Process Run Crate", "0.5"),
    ("https://w3id.org/ro/wfrun/workflow/0.5", "Workflow Run Crate", "0.5"),
    ("https://w3id.org/ro/wfrun/provenance/0.5", "Provenance Run Crate", "0.5"),
    ("https://w3id.org/workflowhub/workflow-ro-crate/1.0", "Workflow RO-Crate", "1.0"),
];
/// All terms that are used are of this one.
const CONTEXT: &str = "https://w3id.org/ro/crate/1.1/context";
const COMPLETED: &str = "http://schema.org/CompletedActionStatus";
const FAILED: &str = "http://schema.org/FailedActionStatus";
const MAIN: &str = "#run";
const ENGINE: &str = "#sconce";
const LANGUAGE: &str = "#sconce-pipeline";

pub(super) fn write(
    store: &Store,
    plan: &Plan,
    arguments: &ExportArguments,
    cells: &[Exported],
    out: &Path,
) -> Result<(), Failure> {
    let run = recorded(store, plan, arguments, cells)?;
    let file = &arguments.pipeline.file;
    let workflow = file
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .ok_or_else(|| Failure::usage(format!("{}: no file", file.display())))?;
    std::fs::copy(file, out.join(&workflow))?;
    make_writable(&out.join(&workflow))?;
    let mut crate_ = Crate {
        store,
        plan,
        out,
        most: arguments.max_size.0,
        workflow: encoded(&workflow),
        graph: BTreeMap::new(),
        parts: BTreeSet::from([encoded(&workflow)]),
        data: BTreeMap::new(),
    };
    crate_.outputs(cells)?;
    let mut actions = Vec::new();
    for cell in cells {
        actions.push(crate_.cell(cell));
    }
    crate_.workflow(cells, &Digest::of(&std::fs::read(file)?));
    crate_.run(run.as_ref(), cells, &actions);
    crate_.root(arguments, cells, &actions)?;
    let graph: Vec<Value> = crate_.graph.into_values().collect();
    let text = serde_json::to_string_pretty(&json!({ "@context": CONTEXT, "@graph": graph }))?;
    Ok(std::fs::write(out.join("ro-crate-metadata.json"), text + "\n")?)
}

/// The run that is told of: the one that was asked for, or the last that had these results.
fn recorded(
    store: &Store,
    plan: &Plan,
    arguments: &ExportArguments,
    cells: &[Exported],
) -> Result<Option<RunRecord>, Failure> {
    let Some(number) = arguments.run else {
        for run in store.runs()?.into_iter().rev() {
            if run.pipeline == plan.pipeline && other_result(store, &run, cells)?.is_none() {
                return Ok(Some(run));
            }
        }
        return Ok(None);
    };
    let run = store.run(number)?.filter(|run| run.pipeline == plan.pipeline).ok_or_else(|| {
        Failure::usage(format!("no run {number} of pipeline `{}`", plan.pipeline))
    })?;
    match other_result(store, &run, cells)? {
        None => Ok(Some(run)),
        Some(cell) => Err(Failure::usage(format!(
            "run {number} had another result of `{cell}`, or none: export it with the pipeline file, the profiles and \
             the settings of that run (`sconce runs` lists them)"
        ))),
    }
}

/// A cell whose result is not this run's.
fn other_result(
    store: &Store,
    run: &RunRecord,
    cells: &[Exported],
) -> Result<Option<String>, Failure> {
    let had: BTreeMap<String, Option<Digest>> = store
        .run_cells(run.id)?
        .into_iter()
        .map(|cell| (cell.cell.to_string(), cell.key))
        .collect();
    let of_run = |cell: &&Exported| {
        let key = cell.receipt.as_ref().map(|receipt| receipt.key);
        key.is_some() && had.get(&cell.id.to_string()).copied().flatten() != key
    };
    Ok(cells.iter().find(of_run).map(|cell| cell.id.to_string()))
}

struct Crate<'a> {
    store: &'a Store,
    plan: &'a Plan,
    out: &'a Path,
    /// Larger outputs are left out.
    most: u64,
    workflow: String,
    /// The entities by their identifiers.
    graph: BTreeMap<String, Value>,
    /// What the crate holds.
    parts: BTreeSet<String>,
    /// The entity of each output's content.
    data: BTreeMap<Digest, String>,
}

fn reference(id: &str) -> Value {
    json!({ "@id": id })
}

/// References to several entities. One alone stands without a list, as RO-Crate 1.1 recommends.
fn references<'s>(ids: impl IntoIterator<Item = &'s String>) -> Value {
    let mut all: Vec<Value> = ids.into_iter().map(|id| reference(id)).collect();
    if all.len() == 1 { all.remove(0) } else { Value::Array(all) }
}

impl Crate<'_> {
    fn add(&mut self, entity: Value) -> String {
        let id = entity["@id"].as_str().unwrap_or_default().to_owned();
        self.graph.insert(id.clone(), entity);
        id
    }

    fn root(
        &mut self,
        arguments: &ExportArguments,
        cells: &[Exported],
        actions: &[String],
    ) -> Result<(), Failure> {
        self.add(json!({
            "@id": "ro-crate-metadata.json",
            "@type": "CreativeWork",
            "about": reference("./"),
            "conformsTo": [
                reference("https://w3id.org/ro/crate/1.1"),
                reference("https://w3id.org/workflowhub/workflow-ro-crate/1.0"),
            ],
        }));
        for (id, name, version) in PROFILES {
            self.add(
                json!({ "@id": id, "@type": "CreativeWork", "name": name, "version": version }),
            );
        }
        let license = &arguments.license;
        let id = if license.contains("://") { license.as_str() } else { "#license" };
        let described = match self.plan.description.is_empty() {
            true => format!("Results of the pipeline {}", self.plan.pipeline),
            false => self.plan.description.clone(),
        };
        let mut mentions = vec![MAIN.to_owned(), "#engine".to_owned()];
        mentions.extend(actions.iter().cloned());
        mentions.extend(actions.iter().map(|id| id.replacen("#cell-", "#control-", 1)));
        let ended = cells.iter().map(Exported::ended).fold(0.0, f64::max);
        let root = json!({
            "@id": "./",
            "@type": "Dataset",
            "name": self.plan.pipeline,
            "description": described,
            "datePublished": time(ended),
            "license": reference(id),
            "conformsTo": PROFILES.map(|(id, ..)| reference(id)),
            "hasPart": references(&self.parts),
            "mainEntity": reference(&self.workflow),
            "mentions": references(&mentions),
        });
        self.add(root);
        self.add(json!({
            "@id": id,
            "@type": "CreativeWork",
            "name": license,
            "description": "the license of this crate",
        }));
        Ok(())
    }
}

fn tool(kind: &str) -> String {
    format!("#kind-{}", encoded(kind))
}

fn step(workflow: &str, stage: &str) -> String {
    format!("{workflow}#{}", encoded(stage))
}
