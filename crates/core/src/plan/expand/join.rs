//! Cells of a combination: what flows in, joined along axes of the same name.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use serde_json::Value;

use super::output::output;
use super::{Combination, Expanded, SlotEdge, texts};
use crate::plan::edge::{Select, is_written};
use crate::plan::graph::indices;
use crate::plan::parameters;
use crate::plan::{Cell, CellGraph, CellIndex, Source};
use crate::stage::Arity;
use crate::stage::kinds::Shape;
use crate::stage::text::is_text_slot;
use crate::text::diagnostic::Diagnostic;
use crate::{CellId, Coordinates, key, random};

/// Adds the cells of one combination: what flows in, joined along axes of the same name.
pub(super) fn join(
    stage: &Expanded<'_>,
    shape: &Rc<Shape>,
    combination: &Combination,
    graph: &mut CellGraph,
    by_stage: &BTreeMap<String, Range<usize>>,
    errors: &mut Vec<Diagnostic>,
) {
    let before = errors.len();
    let upstream_of = |edge: &SlotEdge| by_stage.get(&edge.edge.stage).cloned().unwrap_or_default();
    let mut places = vec![Coordinates::none()];
    for edge in &combination.edges {
        let upstream = upstream_of(edge);
        check_selection(edge, upstream.clone(), graph, errors);
        if edge.slot.arity == Arity::One && edge.edge.gathers() {
            let message =
                format!("`{}` takes one artifact; `{}` gathers several", edge.path, edge.text);
            errors.push(Diagnostic::new(message, edge.span.clone()).help(
                "select one with [axis=value], or leave the brackets out to go cell by cell",
            ));
        }
        // A text does not multiply the cells that it stands in.
        if !is_text_slot(&edge.path) {
            places = flow(places, edge, upstream, graph, errors);
        }
    }
    for axis in combination.coordinates.iter().map(|(axis, _)| axis) {
        if places.iter().any(|place| place.get(axis).is_some()) {
            let span =
                stage.table.axes.iter().find(|own| own.name == axis).map(|own| own.span.clone());
            let message = format!(
                "axis `{axis}` already flows into stage `{}` from upstream",
                stage.table.name
            );
            errors.push(
                Diagnostic::new(message, span).help(
                    "give one of the two another name, or gather the upstream cells with [*]",
                ),
            );
        }
    }
    if errors.len() > before {
        return;
    }
    let table = &stage.table;
    let resources = parameters::resources(table, combination.stage.resources(), errors);
    let worker_parameters = parameters::with_slots(combination.parameters.clone(), shape);
    let key_parameters = Arc::new(key::Parameters::of(&combination.parameters, shape));
    let slots: Vec<Arc<str>> =
        combination.edges.iter().map(|edge| Arc::from(edge.path.as_str())).collect();
    for place in places {
        let mut coordinates = place;
        for (axis, value) in combination.coordinates.iter() {
            coordinates.set(axis, value.clone());
        }
        let seeded = combination.stage.seeded();
        let seed = seeded.then(|| random::stage_seed(combination.seed, &table.name));
        let reader = graph.add_node(Cell {
            id: CellId { stage: table.name.clone(), coordinates },
            kind: shape.kind,
            stage: Arc::clone(&combination.stage),
            parameters: worker_parameters.clone(),
            key_parameters: Arc::clone(&key_parameters),
            seed,
            resources,
            outputs: combination.stage.outputs(),
        });
        for (edge, slot) in combination.edges.iter().zip(&slots) {
            if is_text_slot(&edge.path) {
                let found = metrics(edge, upstream_of(edge), graph, &graph[reader].id, errors);
                if let Some((cell, output)) = found {
                    let slot = Arc::clone(slot);
                    graph.add_edge(cell, reader, Source { slot, output, from: None });
                }
                continue;
            }
            let mut taken: Vec<_> = indices(upstream_of(edge))
                .filter(|&cell| reads(edge, &graph[cell], &graph[reader]))
                .collect();
            taken.sort_by_key(|&cell| edge.edge.rank(&graph[cell].id.coordinates));
            let none = taken.is_empty();
            for cell in taken {
                let Some(output) = output(edge, &graph[cell], errors) else {
                    continue;
                };
                let gathered = edge.slot.arity == Arity::List || edge.edge.gathers();
                let from = gathered.then(|| CellId {
                    stage: edge.edge.stage.clone(),
                    coordinates: graph[cell].id.coordinates.without(|axis| edge.edge.flows(axis)),
                });
                graph.add_edge(cell, reader, Source { slot: Arc::clone(slot), output, from });
            }
            // What is wrong with a stage without any cell has been said.
            if none && !upstream_of(edge).is_empty() && errors.len() == before {
                let message = format!(
                    "`{}`: no cell of `{}` is selected by `{}`",
                    edge.path, edge.edge.stage, edge.text
                );
                errors.push(Diagnostic::new(message, edge.span.clone()));
            }
        }
    }
}

/// The one cell whose metrics a text carries, and its output.
fn metrics(
    edge: &SlotEdge,
    upstream: Range<usize>,
    graph: &CellGraph,
    reader: &CellId,
    errors: &mut Vec<Diagnostic>,
) -> Option<(CellIndex, Cow<'static, str>)> {
    match texts::selected(&edge.edge, graph, upstream, &reader.coordinates).as_slice() {
        [] => None,
        &[one] => Some((one, output(edge, &graph[one], errors)?)),
        taken @ [one, ..] => {
            let message =
                format!("`{}`: stage `{}` has {} cells", edge.path, edge.edge.stage, taken.len());
            let output = edge.edge.output.as_deref().unwrap_or_default();
            let diagnostic = Diagnostic::new(message, edge.span.clone())
                .help(format!("select one, such as `{{{}.{output}.…}}`", graph[*one].id));
            if !errors.contains(&diagnostic) {
                errors.push(diagnostic);
            }
            None
        }
    }
}

/// Axes and values that an edge selects have to be there.
fn check_selection(
    edge: &SlotEdge,
    upstream: Range<usize>,
    graph: &CellGraph,
    errors: &mut Vec<Diagnostic>,
) {
    let Select::Axes(axes) = &edge.edge.select else {
        return;
    };
    let Some(first) = indices(upstream.clone()).next() else {
        return;
    };
    for (axis, wanted) in axes {
        let known: Vec<&str> = graph[first].id.coordinates.iter().map(|(axis, _)| axis).collect();
        if !known.contains(&axis.as_str()) {
            let message =
                format!("`{}`: stage `{}` has no axis `{axis}`", edge.path, edge.edge.stage);
            errors.push(
                Diagnostic::new(message, edge.span.clone()).did_you_mean(axis, known, "axes"),
            );
            continue;
        }
        let there: Vec<&Value> = indices(upstream.clone())
            .filter_map(|cell| graph[cell].id.coordinates.get(axis))
            .collect();
        for (place, value) in wanted.values().iter().enumerate() {
            if wanted.values()[..place].contains(value) {
                let message =
                    format!("`{}`: value `{value}` of axis `{axis}` is there twice", edge.path);
                errors.push(Diagnostic::new(message, edge.span.clone()));
                continue;
            }
            if there.iter().any(|there| is_written(there, value)) {
                continue;
            }
            let message = format!("`{}`: axis `{axis}` has no value `{value}`", edge.path);
            let mut there: Vec<String> =
                there.iter().map(|value| crate::cell::Plain(value).to_string()).collect();
            there.dedup();
            errors.push(Diagnostic::new(message, edge.span.clone()).did_you_mean(
                value,
                there.iter().map(String::as_str),
                "values",
            ));
        }
    }
}

/// Joins the places so far with those that flow in through `edge`.
fn flow(
    places: Vec<Coordinates>,
    edge: &SlotEdge,
    upstream: Range<usize>,
    graph: &CellGraph,
    errors: &mut Vec<Diagnostic>,
) -> Vec<Coordinates> {
    let mut incoming: Vec<Coordinates> = Vec::new();
    for cell in indices(upstream) {
        let coordinates = &graph[cell].id.coordinates;
        if coordinates.iter().all(|(axis, value)| edge.edge.takes(axis, value)) {
            let flowing = coordinates.without(|axis| !edge.edge.flows(axis));
            if !incoming.contains(&flowing) {
                incoming.push(flowing);
            }
        }
    }
    if incoming.is_empty() {
        return places;
    }
    let mut joined = Vec::new();
    let mut matched = vec![false; incoming.len()];
    let mut complete = true;
    for place in &places {
        let mut any = false;
        for (index, other) in incoming.iter().enumerate() {
            let agree =
                |(axis, value): (&str, &Value)| place.get(axis).is_none_or(|own| own == value);
            if other.iter().all(agree) {
                let mut both = place.clone();
                other.iter().for_each(|(axis, value)| both.set(axis, value.clone()));
                joined.push(both);
                matched[index] = true;
                any = true;
            }
        }
        complete &= any;
    }
    if !complete || matched.contains(&false) {
        let shared: Vec<_> = incoming[0]
            .iter()
            .map(|(axis, _)| axis)
            .filter(|axis| places.iter().any(|place| place.get(axis).is_some()))
            .map(|axis| format!("`{axis}`"))
            .collect();
        let message = format!(
            "`{}`: axis {} of `{}` does not have the same values as that of the other inputs",
            edge.path,
            shared.join(", "),
            edge.edge.stage
        );
        errors.push(
            Diagnostic::new(message, edge.span.clone())
                .help("use the same values, or gather with [*] or select with [axis=value]"),
        );
    }
    joined
}

/// Whether `reader` reads `upstream` through `edge`.
fn reads(edge: &SlotEdge, upstream: &Cell, reader: &Cell) -> bool {
    upstream.id.coordinates.iter().all(|(axis, value)| {
        let own = || reader.id.coordinates.get(axis);
        edge.edge.takes(axis, value)
            && (!edge.edge.flows(axis) || own().is_none_or(|own| own == value))
    })
}
