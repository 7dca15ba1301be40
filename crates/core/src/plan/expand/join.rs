//! Cells of a combination: what flows in, joined along axes of the same name.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

use super::flow::{Flows, Group, Misfit, Place, join};
use super::limit::Limit;
use super::output::output;
use super::{Combination, Expanded, SlotEdge};
use crate::plan::edge::{Select, is_written};
use crate::plan::graph::indices;
use crate::plan::parameters;
use crate::plan::resources::resources;
use crate::plan::{Cell, CellGraph, CellIndex, Places, Source};
use crate::stage::Arity;
use crate::stage::kinds::Shape;
use crate::text::diagnostic::{self, Diagnostic};
use crate::{CellId, key, random};

/// What cells are joined from, and where they go.
pub(super) struct Joining<'p> {
    pub(super) graph: CellGraph,
    pub(super) places: Places,
    pub(super) flows: Flows,
    pub(super) limit: &'p Limit,
    /// Stages of which cells or axes may be missing because of an error that has been said, and all that read them. What an edge
    /// looks for and does not find there is no further error.
    pub(super) partial: BTreeSet<String>,
    /// Whether a stage was refused because of the limit.
    pub(super) full: bool,
}

impl Joining<'_> {
    /// Whether the stage reads one whose cells may be missing, or none at all.
    pub(super) fn reads_partial(&self, stage: &Expanded<'_>) -> bool {
        let parsed = stage.combinations.iter().flat_map(|combination| &combination.edges);
        parsed.chain(&stage.unparsed).any(|edge| {
            let from = &edge.edge.stage;
            self.partial.contains(from) || !self.places.contains_key(from)
        })
    }

    /// Adds the cells of one combination: what flows in, joined along axes of the same name.
    pub(super) fn join(
        &mut self,
        stage: &Expanded<'_>,
        shape: &Rc<Shape>,
        combination: &Combination,
        errors: &mut Vec<Diagnostic>,
    ) {
        let before = errors.len();
        let (places, groups) = self.places_of(stage, combination, errors);
        for axis in combination.coordinates.iter().map(|(axis, _)| axis) {
            if places.iter().any(|place| place.coordinates.get(axis).is_some()) {
                let own = stage.table.axes.iter().find(|own| own.name == axis);
                let name = &stage.table.name;
                let message =
                    format!("axis `{axis}` already flows into stage `{name}` from upstream");
                errors.push(Diagnostic::new(message, own.map(|own| own.span.clone())).help(
                    "give one of the two another name, or gather the upstream cells with [*]",
                ));
            }
        }
        if errors.len() > before {
            return;
        }
        let table = &stage.table;
        let resources = resources(table, shape.kind.name, &*combination.stage, errors);
        let worker_parameters = parameters::with_slots(combination.parameters.clone(), shape);
        let key_parameters = Arc::new(key::Parameters::of(&combination.parameters, shape));
        let seeded = combination.stage.seeded();
        let seed = seeded.then(|| random::stage_seed(combination.seed, &table.name));
        let slots: Vec<Arc<str>> =
            combination.edges.iter().map(|edge| Arc::from(edge.path.as_str())).collect();
        for place in places {
            let mut coordinates = place.coordinates;
            for (axis, value) in combination.coordinates.iter() {
                coordinates.set(axis, value.clone());
            }
            let reader = self.graph.add_node(Cell {
                id: CellId { stage: table.name.clone(), coordinates },
                kind: shape.kind,
                stage: Arc::clone(&combination.stage),
                parameters: worker_parameters.clone(),
                key_parameters: Arc::clone(&key_parameters),
                seed,
                resources,
                device_class: None,
                outputs: combination.stage.outputs(),
            });
            let edges = combination.edges.iter().zip(&slots).zip(&groups);
            for (((edge, slot), groups), &taken) in edges.zip(&place.taken) {
                if edge.in_text {
                    self.read_for_text(reader, edge, slot, errors);
                } else if let Some(group) = groups.get(taken) {
                    self.read(reader, edge, slot, group, errors);
                }
            }
        }
    }

    /// The places of the cells of a combination, and what each of its edges takes there.
    fn places_of(
        &mut self,
        stage: &Expanded<'_>,
        combination: &Combination,
        errors: &mut Vec<Diagnostic>,
    ) -> (Vec<Place>, Vec<Rc<Vec<Group>>>) {
        let mut places = vec![Place::origin()];
        let mut all = Vec::with_capacity(combination.edges.len());
        let room = self.limit.cells.saturating_sub(self.graph.node_count());
        for edge in &combination.edges {
            let before = errors.len();
            self.check_selection(edge, errors);
            if edge.slot.arity == Arity::One && edge.edge.gathers() {
                let message =
                    format!("`{}` takes one artifact; `{}` gathers several", edge.path, edge.text);
                errors.push(Diagnostic::new(message, edge.span.clone()).help(
                    "select one with [axis=value], or leave the brackets out to go cell by cell",
                ));
            }
            // A text does not multiply the cells that it stands in.
            if edge.in_text {
                places.iter_mut().for_each(|place| place.taken.push(usize::MAX));
                all.push(Rc::default());
                continue;
            }
            let groups = self.flows.groups(&edge.edge, &self.graph, &self.places);
            let whole = self.places.contains_key(&edge.edge.stage)
                && !self.partial.contains(&edge.edge.stage);
            if groups.is_empty() && whole && errors.len() == before {
                let (path, stage, text) = (&edge.path, &edge.edge.stage, &edge.text);
                let message = format!("`{path}`: no cell of `{stage}` is selected by `{text}`");
                errors.push(Diagnostic::new(message, edge.span.clone()));
            }
            if groups.is_empty() || places.is_empty() || errors.len() > before {
                // The file is wrong; what else is wrong with the cells is still found.
                places.iter_mut().for_each(|place| place.taken.push(usize::MAX));
                all.push(groups);
                continue;
            }
            places = match join(places, &groups, room) {
                Ok(places) => places,
                Err(Misfit::Values(_)) if self.partial.contains(&stage.table.name) => Vec::new(),
                Err(Misfit::Values(shared)) => {
                    let shared: Vec<_> = shared.iter().map(|axis| format!("`{axis}`")).collect();
                    let message = format!(
                        "`{}`: axis {} of `{}` does not have the same values as that of the other \
                         inputs",
                        edge.path,
                        shared.join(", "),
                        edge.edge.stage
                    );
                    errors.push(Diagnostic::new(message, edge.span.clone()).help(
                        "use the same values, or gather with [*] or select with [axis=value]",
                    ));
                    Vec::new()
                }
                Err(Misfit::TooMany) => {
                    self.full = true;
                    self.limit.refuse(&stage.table.name, &edge.span, errors);
                    Vec::new()
                }
            };
            all.push(groups);
        }
        if places.len() > room {
            self.full = true;
            self.limit.refuse(&stage.table.name, &stage.table.header, errors);
        }
        (places, all)
    }

    /// Adds the edges from the cells of a group.
    fn read(
        &mut self,
        reader: CellIndex,
        edge: &SlotEdge,
        slot: &Arc<str>,
        group: &Group,
        errors: &mut Vec<Diagnostic>,
    ) {
        let gathered = edge.slot.arity == Arity::List || edge.edge.gathers();
        for &cell in &group.cells {
            // The same is wrong with all of them.
            let Some(output) = output(edge, &self.graph[cell], errors) else { return };
            let from = gathered.then(|| CellId {
                stage: edge.edge.stage.clone(),
                coordinates: self.graph[cell].id.coordinates.without(|axis| edge.edge.flows(axis)),
            });
            self.graph.add_edge(cell, reader, Source { slot: Arc::clone(slot), output, from });
        }
    }

    /// Axes and values that an edge selects have to be there.
    fn check_selection(&mut self, edge: &SlotEdge, errors: &mut Vec<Diagnostic>) {
        let Select::Axes(axes) = &edge.edge.select else {
            return;
        };
        let stage = &edge.edge.stage;
        if self.partial.contains(stage) {
            return;
        }
        let upstream = || indices(self.places.get(stage).cloned().unwrap_or_default());
        let Some(first) = upstream().next() else {
            return;
        };
        for (axis, wanted) in axes {
            let known: Vec<&str> =
                self.graph[first].id.coordinates.iter().map(|(axis, _)| axis).collect();
            if !known.contains(&axis.as_str()) {
                let message = format!("`{}`: stage `{stage}` has no axis `{axis}`", edge.path);
                errors.push(
                    Diagnostic::new(message, edge.span.clone()).did_you_mean(axis, known, "axes"),
                );
                continue;
            }
            let mut earlier = BTreeSet::new();
            for value in wanted.values() {
                if !earlier.insert(value) {
                    let message =
                        format!("`{}`: value `{value}` of axis `{axis}` is there twice", edge.path);
                    errors.push(Diagnostic::new(message, edge.span.clone()));
                    continue;
                }
                let found = self.flows.with_value(stage, axis, value, &self.graph, &self.places);
                let there = |cell: CellIndex| self.graph[cell].id.coordinates.get(axis);
                let taken = |cell| there(cell).is_some_and(|there| is_written(there, value));
                if found.into_iter().any(taken) {
                    continue;
                }
                let message = format!("`{}`: axis `{axis}` has no value `{value}`", edge.path);
                // Listing values takes time, and only the first errors are told.
                let listed = if errors.len() < diagnostic::MOST { usize::MAX } else { 0 };
                let values = upstream().filter_map(there).take(listed);
                let mut values: Vec<String> =
                    values.map(|value| crate::cell::Plain(value).to_string()).collect();
                values.dedup();
                errors.push(Diagnostic::new(message, edge.span.clone()).did_you_mean(
                    value,
                    values.iter().map(String::as_str),
                    "values",
                ));
            }
        }
    }

    /// Adds the edges from the cells that a text refers to: one, unless it asks for several.
    fn read_for_text(
        &mut self,
        reader: CellIndex,
        edge: &SlotEdge,
        slot: &Arc<str>,
        errors: &mut Vec<Diagnostic>,
    ) {
        let place = &self.graph[reader].id.coordinates;
        let selected = self.flows.selected(&edge.edge, &self.graph, &self.places, place);
        let gathers = edge.edge.gathers();
        match selected.cells.as_slice() {
            taken @ [one, _, ..] if !gathers => {
                let (path, stage) = (&edge.path, &edge.edge.stage);
                let message = format!("`{path}`: stage `{stage}` has {} cells", taken.len());
                let output = edge.edge.output.as_deref().unwrap_or_default();
                let one = &self.graph[*one].id;
                let help = match edge.slot.arity {
                    Arity::List => format!("select one, such as `{one}`, or all with [*]"),
                    _ => format!("select one, such as `{{{one}.{output}.…}}`"),
                };
                let diagnostic = Diagnostic::new(message, edge.span.clone()).help(help);
                if !errors.contains(&diagnostic) {
                    errors.push(diagnostic);
                }
            }
            taken => {
                for &cell in taken {
                    // The same is wrong with all of them.
                    let Some(output) = output(edge, &self.graph[cell], errors) else { return };
                    let from = gathers.then(|| self.graph[cell].id.clone());
                    let source = Source { slot: Arc::clone(slot), output, from };
                    self.graph.add_edge(cell, reader, source);
                }
            }
        }
    }
}
