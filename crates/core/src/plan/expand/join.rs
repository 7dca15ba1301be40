//! Cells of a combination: what flows in, joined along axes of the same name.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use serde_json::Value;

use super::output::output;
use super::{Combination, Expanded, SlotEdge};
use crate::plan::edge::Select;
use crate::plan::parameters;
use crate::plan::{Cell, Source};
use crate::stage::Arity;
use crate::stage::kinds::Shape;
use crate::text::diagnostic::Diagnostic;
use crate::{CellId, Coordinates, random};

/// Adds the cells of one combination: what flows in, joined along axes of the same name.
pub(super) fn join(
    stage: &Expanded<'_>,
    shape: &Rc<Shape>,
    combination: &Combination,
    cells: &mut Vec<Cell>,
    by_stage: &BTreeMap<&str, Vec<usize>>,
    stages: &[Expanded<'_>],
    errors: &mut Vec<Diagnostic>,
) {
    let before = errors.len();
    let mut places = vec![Coordinates::none()];
    for edge in &combination.edges {
        let upstream = by_stage.get(edge.edge.stage.as_str()).map_or(&[][..], Vec::as_slice);
        check_selection(edge, upstream, cells, errors);
        if edge.slot.arity == Arity::One && edge.edge.gathers() {
            let message =
                format!("`{}` takes one artifact; `{}` gathers several", edge.path, edge.text);
            errors.push(Diagnostic::new(message, edge.span.clone()).help(
                "select one with [axis=value], or leave the brackets out to go cell by cell",
            ));
        }
        places = flow(places, edge, upstream, cells, errors);
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
    let key_parameters = parameters::key_parameters(&combination.parameters, shape);
    for place in places {
        let mut coordinates = place;
        for (axis, value) in combination.coordinates.iter() {
            coordinates.set(axis, value.clone());
        }
        let mut inputs: BTreeMap<String, Vec<Source>> = BTreeMap::new();
        for edge in &combination.edges {
            let upstream = by_stage.get(edge.edge.stage.as_str()).map_or(&[][..], Vec::as_slice);
            let sources = inputs.entry(edge.path.clone()).or_default();
            for &cell in upstream.iter().filter(|&&cell| reads(edge, &cells[cell], &coordinates)) {
                let Some(output) = output(edge, &cells[cell], errors) else {
                    continue;
                };
                let gathered = edge.slot.arity == Arity::List || edge.edge.gathers();
                let from = gathered.then(|| CellId {
                    stage: edge.edge.stage.clone(),
                    coordinates: cells[cell].id.coordinates.without(|axis| edge.edge.flows(axis)),
                });
                sources.push(Source { cell, output, from });
            }
            if sources.is_empty()
                && stages
                    .iter()
                    .any(|s| s.table.name == edge.edge.stage && !s.combinations.is_empty())
                && errors.len() == before
            {
                let message = format!(
                    "`{}`: no cell of `{}` is selected by `{}`",
                    edge.path, edge.edge.stage, edge.text
                );
                errors.push(Diagnostic::new(message, edge.span.clone()));
            }
        }
        let seeded = combination.stage.seeded();
        let seed = seeded.then(|| random::stage_seed(combination.seed, &table.name));
        cells.push(Cell {
            id: CellId { stage: table.name.clone(), coordinates },
            kind: shape.kind,
            stage: Arc::clone(&combination.stage),
            parameters: worker_parameters.clone(),
            key_parameters: key_parameters.clone(),
            inputs,
            seed,
            resources,
            outputs: combination.stage.outputs(),
        });
    }
}

/// Axes and values that an edge selects have to be there.
fn check_selection(
    edge: &SlotEdge,
    upstream: &[usize],
    cells: &[Cell],
    errors: &mut Vec<Diagnostic>,
) {
    let Select::Axes(axes) = &edge.edge.select else {
        return;
    };
    let Some(&first) = upstream.first() else {
        return;
    };
    for (axis, value) in axes {
        let known: Vec<&str> = cells[first].id.coordinates.iter().map(|(axis, _)| axis).collect();
        if !known.contains(&axis.as_str()) {
            let message =
                format!("`{}`: stage `{}` has no axis `{axis}`", edge.path, edge.edge.stage);
            errors.push(
                Diagnostic::new(message, edge.span.clone()).did_you_mean(axis, known, "axes"),
            );
        } else if let Some(value) = value {
            let taken = |&&cell: &&usize| {
                let coordinates = &cells[cell].id.coordinates;
                coordinates.get(axis).is_some_and(|there| edge.edge.takes(axis, there))
            };
            if upstream.iter().find(taken).is_none() {
                let mut there: Vec<String> = upstream
                    .iter()
                    .filter_map(|&cell| cells[cell].id.coordinates.get(axis))
                    .map(|value| crate::cell::Plain(value).to_string())
                    .collect();
                there.dedup();
                let message = format!("`{}`: axis `{axis}` has no value `{value}`", edge.path);
                errors.push(Diagnostic::new(message, edge.span.clone()).did_you_mean(
                    value,
                    there.iter().map(String::as_str),
                    "values",
                ));
            }
        }
    }
}

/// Joins the places so far with those that flow in through `edge`.
fn flow(
    places: Vec<Coordinates>,
    edge: &SlotEdge,
    upstream: &[usize],
    cells: &[Cell],
    errors: &mut Vec<Diagnostic>,
) -> Vec<Coordinates> {
    let mut incoming: Vec<Coordinates> = Vec::new();
    for &cell in upstream {
        let coordinates = &cells[cell].id.coordinates;
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

/// Whether the cell at `place` reads `upstream` through `edge`.
fn reads(edge: &SlotEdge, upstream: &Cell, place: &Coordinates) -> bool {
    upstream.id.coordinates.iter().all(|(axis, value)| {
        edge.edge.takes(axis, value)
            && (!edge.edge.flows(axis) || place.get(axis).is_none_or(|own| own == value))
    })
}
