//! The pipeline as a workflow, and its run as a whole.

use std::collections::{BTreeMap, BTreeSet};

use sconce_core::Digest;
use sconce_core::store::{RunEnd, RunRecord};
use serde_json::json;

use super::words::{encoded, time};
use super::{COMPLETED, Crate, ENGINE, FAILED, LANGUAGE, MAIN, reference, references, step, tool};
use crate::export::Exported;
use crate::watch::Status;

impl Crate<'_> {
    /// The pipeline as a workflow: its steps, its tools, its parameters.
    pub(super) fn workflow(&mut self, cells: &[Exported], file: &Digest) {
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
    pub(super) fn run(&mut self, run: Option<&RunRecord>, cells: &[Exported], actions: &[String]) {
        let began = cells.iter().map(Exported::started).fold(f64::INFINITY, f64::min);
        let ended = cells.iter().map(Exported::ended).fold(0.0, f64::max);
        let (mut name, mut from, mut to) = ("all results of the store".to_owned(), began, ended);
        let mut failed = cells.iter().any(|cell| cell.status != Status::Done);
        let mut description = String::new();
        if let Some(run) = run {
            name = format!("run {} of {}", run.id, run.pipeline);
            from = run.started;
            to = run.seconds.map_or(to, |seconds| run.started + seconds);
            failed = run.end != RunEnd::Succeeded;
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
}
