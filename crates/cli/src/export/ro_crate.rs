//! An RO-Crate of a run: inputs, outputs, digests, parameters, software, in the profile Provenance Run
//! Crate 0.5, which is a Workflow Run Crate and a Process Run Crate, too.
//!
//! The pipeline file is the workflow, a stage a step of it, a kind the tool of a step, a cell an action
//! (`https://www.researchobject.org/workflow-run-crate/profiles/provenance_run_crate/`). The files of an
//! output come along unless it is too large; then its digest says what it was.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use sconce_core::plan::Plan;
use sconce_core::store::{OutputRecord, RunRecord};
use sconce_core::{Digest, Store};
use serde_json::{Value, json};

use super::{Exported, copy_output, writable};
use crate::arguments::ExportArguments;
use crate::failure::Failure;
use crate::watch::Status;

const PROFILES: [(&str, &str, &str); 4] = [
    ("https://w3id.org/ro/wfrun/process/0.5", "Process Run Crate", "0.5"),
    ("https://w3id.org/ro/wfrun/workflow/0.5", "Workflow Run Crate", "0.5"),
    ("https://w3id.org/ro/wfrun/provenance/0.5", "Provenance Run Crate", "0.5"),
    ("https://w3id.org/workflowhub/workflow-ro-crate/1.0", "Workflow RO-Crate", "1.0"),
];
/// All terms that are used are of this one.
const CONTEXT: &str = "https://w3id.org/ro/crate/1.1/context";
/// Files of an output that are listed one by one.
const LISTED: usize = 100;
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
    writable(&out.join(&workflow))?;
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

    /// Copies what the cells gave, and tells what it is.
    fn outputs(&mut self, cells: &[Exported]) -> Result<(), Failure> {
        for cell in cells {
            for (name, output) in cell.outputs() {
                if self.data.contains_key(&output.digest) {
                    continue;
                }
                let id = match output.size <= self.most {
                    true => self.copied(cell, name, output)?,
                    false => self.absent(output),
                };
                self.data.insert(output.digest, id);
            }
        }
        Ok(())
    }

    fn copied(
        &mut self,
        cell: &Exported,
        name: &str,
        output: &OutputRecord,
    ) -> Result<String, Failure> {
        let folder = format!("results/{}/{name}", cell.id.file_name());
        copy_output(self.store, output, &self.out.join(&folder))?;
        let id = format!("{}/", encoded(&folder));
        let tree = self.store.tree(&output.digest)?;
        let mut files = Vec::new();
        for (name, member) in tree.iter().take(LISTED) {
            let entity = json!({
                "@id": format!("{id}{}", encoded(name)),
                "@type": "File",
                "name": name,
                "contentSize": member.size.to_string(),
                "encodingFormat": crate::ui::content_type(name).unwrap_or("application/octet-stream"),
                "identifier": member.digest.to_string(),
            });
            files.push(self.add(entity));
        }
        self.parts.extend(files.iter().cloned());
        let parameter = self.output_parameter(cell, name, output);
        let entity = json!({
            "@id": id,
            "@type": "Dataset",
            "name": format!("{}: {name}", cell.id),
            "description": format!("{} of {} files, {} bytes", output.artifact, output.files, output.size),
            "identifier": output.digest.to_string(),
            "hasPart": references(&files),
            "exampleOfWork": reference(&parameter),
        });
        self.parts.insert(id);
        Ok(self.add(entity))
    }

    /// Content that did not come along.
    fn absent(&mut self, output: &OutputRecord) -> String {
        self.add(json!({
            "@id": format!("#{}", output.digest.hex()),
            "@type": "CreativeWork",
            "name": format!("{} of {} files, {} bytes, which is not in this crate", output.artifact, output.files, output.size),
            "identifier": output.digest.to_string(),
        }))
    }

    /// The formal parameter of a kind's output.
    fn output_parameter(&mut self, cell: &Exported, name: &str, output: &OutputRecord) -> String {
        self.add(json!({
            "@id": format!("#output-{}-{name}", cell.kind),
            "@type": "FormalParameter",
            "conformsTo": reference("https://bioschemas.org/profiles/FormalParameter/1.0-RELEASE"),
            "additionalType": "Dataset",
            "name": name,
            "description": format!("output of kind {}: {}", cell.kind, output.artifact),
        }))
    }

    /// A parameter's value, and the formal parameter of the kind.
    fn value(&mut self, cell: &Exported, name: &str, value: &str) -> String {
        let formal = self.add(json!({
            "@id": format!("#input-{}-{}", cell.kind, encoded(name)),
            "@type": "FormalParameter",
            "conformsTo": reference("https://bioschemas.org/profiles/FormalParameter/1.0-RELEASE"),
            "additionalType": "Text",
            "name": name,
            "description": format!("parameter of kind {}", cell.kind),
        }));
        let digest = Digest::of(format!("{formal}\0{value}").as_bytes()).hex();
        self.add(json!({
            "@id": format!("#value-{}", &digest[..16]),
            "@type": "PropertyValue",
            "name": name,
            "value": value,
            "exampleOfWork": reference(&formal),
        }))
    }

    /// The action of a cell and the one that controlled it.
    fn cell(&mut self, cell: &Exported) -> String {
        let mut objects = Vec::new();
        for (name, value) in &cell.parameters {
            objects.push(self.value(cell, name, value));
        }
        let inputs =
            cell.receipt.iter().flat_map(|receipt| receipt.parts.inputs.values().flatten());
        let inputs: BTreeSet<Digest> = inputs.map(|part| part.digest).collect();
        for digest in inputs {
            let id = match self.data.get(&digest) {
                Some(id) => id.clone(),
                None => self.add(json!({
                    "@id": format!("#{}", digest.hex()),
                    "@type": "CreativeWork",
                    "name": "an input that is not in this crate",
                    "identifier": digest.to_string(),
                })),
            };
            objects.push(id);
        }
        let results: Vec<String> = cell
            .outputs()
            .filter_map(|(_, output)| self.data.get(&output.digest).cloned())
            .collect();
        let key = cell.id.to_string();
        let id = format!("#cell-{}", encoded(&cell.id.file_name()));
        let mut action = json!({
            "@id": id,
            "@type": "CreateAction",
            "name": format!("run of {key}"),
            "description": match &cell.receipt {
                Some(receipt) => format!("key {}, on {} with {} threads", receipt.key, receipt.device, receipt.threads),
                None => cell.status.word().to_owned(),
            },
            "instrument": reference(&tool(&cell.kind)),
            "agent": reference(ENGINE),
            "object": references(&objects),
            "result": references(&results),
            "startTime": time(cell.started()),
            "endTime": time(cell.ended()),
            "actionStatus": match cell.status {
                Status::Done => COMPLETED,
                Status::Running => "http://schema.org/ActiveActionStatus",
                _ => FAILED,
            },
        });
        if !cell.error.is_empty() {
            action["error"] = cell.error.clone().into();
        }
        self.add(action);
        self.add(json!({
            "@id": format!("#control-{}", encoded(&cell.id.file_name())),
            "@type": "ControlAction",
            "name": format!("orchestration of {key}"),
            "instrument": reference(&step(&self.workflow, &cell.id.stage)),
            "object": reference(&id),
        }));
        id
    }

    /// The pipeline as a workflow: its steps, its tools, its parameters.
    fn workflow(&mut self, cells: &[Exported], file: &Digest) {
        let mut kinds: BTreeMap<&str, (BTreeSet<String>, BTreeSet<String>, u32)> = BTreeMap::new();
        for cell in cells {
            let inputs = cell.parameters.iter().map(|(name, _)| name);
            let inputs: Vec<_> =
                inputs.map(|name| format!("#input-{}-{}", cell.kind, encoded(name))).collect();
            let outputs: Vec<_> = cell.outputs().collect();
            let outputs: Vec<_> = outputs
                .into_iter()
                .map(|(name, output)| self.output_parameter(cell, name, output))
                .collect();
            let kind = kinds.entry(&cell.kind).or_default();
            kind.0.extend(inputs);
            kind.1.extend(outputs);
            kind.2 = self.plan[cell.index].kind.version;
        }
        for (kind, (inputs, outputs, version)) in &kinds {
            self.add(json!({
                "@id": tool(kind),
                "@type": "SoftwareApplication",
                "name": kind,
                "description": format!("stage kind `{kind}` of sconce"),
                "softwareVersion": version.to_string(),
                "input": references(inputs),
                "output": references(outputs),
            }));
        }
        let stages: BTreeMap<&str, &str> =
            cells.iter().map(|cell| (cell.id.stage.as_str(), cell.kind.as_str())).collect();
        let mut steps = Vec::new();
        for (position, name) in self.plan.stages.clone().iter().enumerate() {
            let Some(kind) = stages.get(name.as_str()) else { continue };
            steps.push(self.add(json!({
                "@id": step(&self.workflow, name),
                "@type": "HowToStep",
                "name": name,
                "position": position.to_string(),
                "workExample": reference(&tool(kind)),
            })));
        }
        let used: Vec<String> = kinds.keys().map(|kind| tool(kind)).collect();
        let inputs: BTreeSet<String> =
            kinds.values().flat_map(|(inputs, ..)| inputs).cloned().collect();
        let outputs: BTreeSet<String> =
            kinds.values().flat_map(|(_, outputs, _)| outputs).cloned().collect();
        self.add(json!({
            "@id": self.workflow,
            "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"],
            "conformsTo": reference("https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"),
            "name": self.plan.pipeline,
            "description": self.plan.description,
            "encodingFormat": "application/toml",
            "version": file.to_string(),
            "programmingLanguage": reference(LANGUAGE),
            "hasPart": references(&used),
            "step": references(&steps),
            "input": references(&inputs),
            "output": references(&outputs),
        }));
        self.add(json!({
            "@id": LANGUAGE,
            "@type": "ComputerLanguage",
            "name": "Sconce pipeline",
            "alternateName": "sconce",
            "url": "https://toml.io/",
            "identifier": reference("https://toml.io/"),
        }));
        self.add(json!({
            "@id": ENGINE,
            "@type": "SoftwareApplication",
            "name": "sconce",
            "description": "runs pipelines whose results are cached by content",
            "softwareVersion": env!("CARGO_PKG_VERSION"),
        }));
    }

    /// The run as a whole.
    fn run(&mut self, run: Option<&RunRecord>, cells: &[Exported], actions: &[String]) {
        let began = cells.iter().map(Exported::started).fold(f64::INFINITY, f64::min);
        let ended = cells.iter().map(Exported::ended).fold(0.0, f64::max);
        let (mut name, mut from, mut to) = ("all results of the store".to_owned(), began, ended);
        let mut failed = cells.iter().any(|cell| cell.status != Status::Done);
        let mut description = String::new();
        if let Some(run) = run {
            name = format!("run {} of {}", run.id, run.pipeline);
            from = run.started;
            to = run.seconds.map_or(to, |seconds| run.started + seconds);
            failed = run.end != sconce_core::store::RunEnd::Succeeded;
            let invocation = &run.invocation;
            let profiles = invocation.profiles.iter().map(|name| format!(" --profile {name}"));
            let sets = invocation.sets.iter().map(|set| format!(" --set {set}"));
            let wanted = invocation.wanted.iter().map(|name| format!(" {name}"));
            let words: String = wanted.chain(profiles).chain(sets).collect();
            description = format!("sconce run {}{words}", self.workflow);
            if let Some(commit) = &run.commit {
                let dirty = if commit.dirty == Some(true) { ", with changes" } else { "" };
                description += &format!("; commit {}{dirty}", commit.hash);
            }
        }
        let read: BTreeSet<String> = cells
            .iter()
            .flat_map(|cell| self.plan.reads(cell.index))
            .map(|upstream| self.plan[upstream].id.to_string())
            .collect();
        // What the run gives: outputs that no other cell reads.
        let last = cells.iter().filter(|cell| !read.contains(&cell.id.to_string()));
        let results: BTreeSet<String> = last
            .flat_map(Exported::outputs)
            .filter_map(|(_, output)| self.data.get(&output.digest).cloned())
            .collect();
        let objects: Vec<String> =
            self.graph.keys().filter(|id| id.starts_with("#value-")).cloned().collect();
        self.add(json!({
            "@id": MAIN,
            "@type": "CreateAction",
            "name": name,
            "description": description,
            "instrument": reference(&self.workflow),
            "agent": reference(ENGINE),
            "object": references(&objects),
            "result": references(&results),
            "startTime": time(from),
            "endTime": time(to),
            "actionStatus": if failed { FAILED } else { COMPLETED },
        }));
        let controls: Vec<String> =
            actions.iter().map(|id| id.replacen("#cell-", "#control-", 1)).collect();
        self.add(json!({
            "@id": "#engine",
            "@type": "OrganizeAction",
            "name": "run of sconce",
            "instrument": reference(ENGINE),
            "agent": reference(ENGINE),
            "object": references(&controls),
            "result": reference(MAIN),
            "startTime": time(from),
            "endTime": time(to),
        }));
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

/// A path as a part of an identifier.
fn encoded(path: &str) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    for byte in path.bytes() {
        match byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte) {
            true => text.push(char::from(byte)),
            false => _ = write!(text, "%{byte:02X}"),
        }
    }
    text
}

/// A time as ISO 8601 has it, in UTC.
fn time(since_1970: f64) -> String {
    let seconds = since_1970.max(0.0) as u64;
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Howard Hinnant, "chrono-compatible low-level date algorithms": civil_from_days.
    let z = days + 719_468;
    let (era, day_of_era) = (z / 146_097, z % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest % 3600 / 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}+00:00")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_iso_8601() {
        // `date -u -d @N +%FT%T+00:00`
        let known = [
            (0.0, "1970-01-01T00:00:00+00:00"),
            (951_782_400.0, "2000-02-29T00:00:00+00:00"),
            (1_709_251_199.9, "2024-02-29T23:59:59+00:00"),
            (1_764_374_400.0, "2025-11-29T00:00:00+00:00"),
            (4_102_444_799.0, "2099-12-31T23:59:59+00:00"),
        ];
        for (seconds, text) in known {
            assert_eq!(time(seconds), text);
        }
    }

    #[test]
    fn identifiers_are_escaped() {
        assert_eq!(encoded("results/svm[c=1]/a b.png"), "results/svm%5Bc%3D1%5D/a%20b.png");
    }
}
