//! `sconce why`: the whole story of a stage, down to the root causes upstream.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::ExitCode;

use sconce_core::executor::queue::in_queue;
use sconce_core::plan::{CellIndex, Plan, Reason, Source, State, explain};
use sconce_core::store::Receipt;
use sconce_core::{Digest, Store};

use super::plan::{Assessed, assess_plan};
use super::status::Told;
use crate::arguments::WhyArguments;
use crate::failure::Failure;
use crate::session::{Call, Session, cells, open_with_plan};
use crate::style::{BOLD, BUSY, DIM, GOOD, WARN, age, paint, seconds};

pub(crate) fn why(call: &Call<'_>, arguments: &WhyArguments) -> Result<ExitCode, Failure> {
    let (session, plan) = open_with_plan(call, &arguments.pipeline)?;
    let named = cells(&plan, &arguments.stage)?;
    let assessed = assess_plan(&session, &plan)?;
    let mut out = anstream::stdout().lock();
    for line in story(&plan, &session.store, &assessed, &named)? {
        writeln!(out, "{line}")?;
    }
    for line in waiting(&session, &plan, &named)? {
        writeln!(out, "{line}")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What cells wait for that are in a queue.
fn waiting(session: &Session, plan: &Plan, cells: &[CellIndex]) -> Result<Vec<String>, Failure> {
    let mut queued = in_queue(&session.store)?;
    queued.retain(|one| {
        one.pipeline == plan.pipeline && cells.iter().any(|&cell| plan[cell].id == one.cell)
    });
    if queued.is_empty() {
        return Ok(Vec::new());
    }
    let told = Told::of(session, &queued);
    let mut lines = Vec::new();
    for one in &queued {
        let job = one.job.as_deref().map(|job| format!(" as job {job}_{}", one.element));
        let job = job.unwrap_or_default();
        let id = paint(BOLD, &one.cell);
        lines.push(format!("{id} is in the queue{job}: {}", told.words(session, one)));
    }
    if let Some(text) = told.silence {
        lines.push(format!("the queue does not answer: {text}"));
    }
    Ok(lines)
}

/// The lines of the story of cells.
pub(crate) fn story(
    plan: &Plan,
    store: &Store,
    assessed: &Assessed,
    cells: &[CellIndex],
) -> Result<Vec<String>, Failure> {
    let (receipts, told, lines) = (None, BTreeSet::new(), Vec::new());
    let mut story = Story { plan, store, assessed, receipts, told, lines };
    for (position, &index) in cells.iter().enumerate() {
        if position > 0 {
            story.lines.push(String::new());
        }
        story.tell(index, 0)?;
    }
    Ok(story.lines)
}

struct Story<'a> {
    plan: &'a Plan,
    store: &'a Store,
    assessed: &'a Assessed,
    /// All receipts of the store, once one of them is looked for.
    receipts: Option<Vec<Receipt>>,
    /// Cells whose story was told.
    told: BTreeSet<CellIndex>,
    lines: Vec<String>,
}

impl Story<'_> {
    fn line(&mut self, depth: usize, text: impl std::fmt::Display) {
        self.lines.push(format!("{:width$}{text}", "", width = depth * 2));
    }

    fn tell(&mut self, index: CellIndex, depth: usize) -> Result<(), Failure> {
        let assessed = self.assessed;
        let id = paint(BOLD, &self.plan[index].id);
        if !self.told.insert(index) {
            self.line(depth, format_args!("{id}: see above"));
            return Ok(());
        }
        if let Some(error) = assessed.unreadable.get(&index) {
            self.line(depth, format_args!("{id}: {error}"));
            return Ok(());
        }
        match &assessed.states[index] {
            State::Hit(receipt) => self.hit(index, receipt, depth),
            State::Run { reasons, .. } => {
                self.line(depth, format_args!("{id} {}, because", paint(BUSY, "will run")));
                for reason in reasons {
                    self.reason(index, reason, depth + 1)?;
                }
                Ok(())
            }
            State::Depends(upstream) => {
                let word = paint(WARN, "may run");
                self.line(depth, format_args!("{id} {word}: that is decided by what these yield"));
                for &upstream in upstream {
                    self.tell(upstream, depth + 1)?;
                }
                Ok(())
            }
        }
    }

    /// What a result is made of.
    fn hit(&mut self, index: CellIndex, receipt: &Receipt, depth: usize) -> Result<(), Failure> {
        let id = paint(BOLD, &self.plan[index].id);
        self.line(
            depth,
            format_args!("{id} is {}: the store has its result", paint(GOOD, "fresh")),
        );
        let took = seconds(receipt.seconds);
        let device = receipt.device;
        self.line(
            depth + 1,
            format_args!("computed {} in {took} on {device}", age(receipt.started)),
        );
        let own = self.plan[index].id == receipt.cell;
        if !own || self.plan.pipeline != receipt.pipeline {
            let (cell, pipeline) = (&receipt.cell, &receipt.pipeline);
            self.line(depth + 1, format_args!("by cell {cell} of pipeline {pipeline}"));
        }
        let parts = &receipt.parts;
        self.line(depth + 1, format_args!("key {}, made of", receipt.key.short()));
        self.line(depth + 2, format_args!("kind {}, version {}", parts.kind, parts.version));
        for (path, value) in flat("", &parts.all_parameters()) {
            self.line(depth + 2, format_args!("{path} = {value}"));
        }
        for (axis, value) in parts.axes.iter() {
            self.line(depth + 2, format_args!("axis {axis} = {value}"));
        }
        for (name, value) in &parts.environment {
            let value = value.as_deref().unwrap_or("(not set)");
            self.line(depth + 2, format_args!("environment variable {name} = {value}"));
        }
        if let Some(seed) = parts.seed {
            self.line(depth + 2, format_args!("seed {seed}"));
        }
        if let Some(content) = parts.content {
            self.line(depth + 2, format_args!("content {}", content.short()));
        }
        let mut inputs: BTreeMap<&str, _> =
            parts.inputs.iter().map(|(slot, parts)| (slot.as_str(), parts.iter())).collect();
        for (upstream, source) in self.plan.sources(index) {
            let part = inputs.get_mut(&*source.slot).and_then(Iterator::next);
            let digest = part.map_or_else(String::new, |part| part.digest.short());
            let (slot, from) = (&source.slot, &self.plan[upstream].id);
            let text = format_args!("{slot} = {digest} from {from}.{}", source.output);
            self.line(depth + 2, text);
        }
        Ok(())
    }

    /// One reason; for a changed input also why its producer gave something else.
    fn reason(&mut self, index: CellIndex, reason: &Reason, depth: usize) -> Result<(), Failure> {
        self.line(depth, reason);
        let Reason::Input { slot, old: Some(old), new: Some(new) } = reason else { return Ok(()) };
        let Some(producer) = self.producer(index, slot, new) else { return Ok(()) };
        let id = self.plan[producer].id.clone();
        if !self.told.insert(producer) {
            self.line(depth + 1, format_args!("{id}: see above"));
            return Ok(());
        }
        if let Some(path) = self.plan[producer].stage.local_path() {
            let text = format!("the local content of {id} changed: {}", path.display());
            self.line(depth + 1, text);
            for line in self.changes(producer, old)? {
                self.line(depth + 2, line);
            }
            return Ok(());
        }
        let State::Hit(now) = &self.assessed.states[producer] else { return Ok(()) };
        match self.earlier(&id, old)? {
            Some(before) if before.key != now.key => {
                self.line(depth + 1, format_args!("{id} was computed anew, because"));
                for reason in explain(&before.parts, &now.parts, &self.plan[producer].kind) {
                    self.reason(producer, &reason, depth + 2)?;
                }
            }
            Some(_) => {
                self.line(depth + 1, format_args!("{id} gave something else for the same key"));
            }
            None => {
                let text = paint(DIM, "(the earlier result is no longer recorded)");
                self.line(depth + 1, format_args!("{id} gives something else now {text}"));
            }
        }
        Ok(())
    }

    /// The cell that yields `digest` to a slot.
    fn producer(&self, index: CellIndex, slot: &str, digest: &Digest) -> Option<CellIndex> {
        // Reasons name gathered inputs as `slot: cell`.
        let slot = slot.split(": ").next().unwrap_or(slot);
        let takes = |source: &Source| {
            let rest = slot.strip_prefix(&*source.slot);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let gives = |upstream: CellIndex, source: &Source| match &self.assessed.states[upstream] {
            State::Hit(receipt) => {
                receipt.outputs.get(&*source.output).is_some_and(|o| o.digest == *digest)
            }
            // A local file whose content was not taken in yet.
            _ => self.plan[upstream].stage.local_path().is_some(),
        };
        let mut sources = self.plan.sources(index).into_iter();
        sources.find(|&(cell, source)| takes(source) && gives(cell, source)).map(|(cell, _)| cell)
    }

    /// The result of a cell that gave `digest` earlier; of another cell of the stage if need be.
    fn earlier(
        &mut self,
        id: &sconce_core::CellId,
        digest: &Digest,
    ) -> Result<Option<Receipt>, Failure> {
        if self.receipts.is_none() {
            let mut receipts = Vec::new();
            for key in self.store.keys()? {
                receipts.extend(self.store.recorded(&key)?);
            }
            self.receipts = Some(receipts);
        }
        let gave = |receipt: &&Receipt| {
            receipt.cell.stage == id.stage
                && receipt.outputs.values().any(|output| output.digest == *digest)
        };
        let mut found: Vec<_> = self.receipts.iter().flatten().filter(gave).collect();
        found.sort_by_key(|receipt| (receipt.cell != *id, std::cmp::Reverse(receipt.started)));
        Ok(found.first().map(|receipt| (*receipt).clone()))
    }

    /// Names of the files that changed in a local folder.
    fn changes(&self, index: CellIndex, old: &Digest) -> Result<Vec<String>, Failure> {
        const MOST: usize = 5;
        let stage = &self.plan[index].stage;
        let Some(path) = stage.local_path() else { return Ok(Vec::new()) };
        let snapshot = self.store.snapshot(&self.plan.folder.join(path), stage.follows_links())?;
        let Some(changes) = self.store.changes(old, &snapshot)? else { return Ok(Vec::new()) };
        let kinds =
            [("changed", changes.changed), ("added", changes.added), ("removed", changes.removed)];
        let mut lines = Vec::new();
        for (what, names) in kinds {
            lines.extend(names.iter().take(MOST).map(|name| format!("{what}: {name}")));
            if names.len() > MOST {
                lines.push(format!("{what}: {} more", names.len() - MOST));
            }
        }
        Ok(lines)
    }
}

/// The leaves of a JSON value by path.
pub(crate) fn flat(path: &str, value: &serde_json::Value) -> Vec<(String, String)> {
    match value {
        serde_json::Value::Object(entries) if !entries.is_empty() => entries
            .iter()
            .flat_map(|(key, value)| {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                flat(&path, value)
            })
            .collect(),
        value => vec![(path.to_owned(), value.to_string())],
    }
}
