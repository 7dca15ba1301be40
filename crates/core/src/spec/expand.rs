//! Stages become cells: edges are resolved and type-checked, axes flow downstream.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use petgraph::algo::tarjan_scc;
use petgraph::graph::{DiGraph, NodeIndex};
use serde_json::Value;

use super::diagnostic::Diagnostic;
use super::document::{self, Node, Table};
use super::edge::{Edge, Select, is_name};
use super::kinds::Shape;
use super::parameters;
use super::pipeline::{Pipeline, StageTable};
use super::source::Span;
use crate::plan::{Cell, Plan, Source};
use crate::stage::Arity;
use crate::{AnyStage, Anything, Artifact, CellId, Coordinates, Output, Slot, random};

/// A stage with its matrix worked out, not yet joined with what flows in.
struct Expanded<'a> {
    table: StageTable<'a>,
    /// One for each combination of the stage's own axes; empty where something is wrong.
    combinations: Vec<Combination>,
    /// Edges of combinations that did not parse: their stages are looked up all the same.
    unparsed: Vec<SlotEdge>,
}

/// One combination of a stage's own axes.
struct Combination {
    coordinates: Coordinates,
    seed: u64,
    stage: Arc<dyn AnyStage>,
    parameters: Value,
    edges: Vec<SlotEdge>,
}

/// One edge as written.
struct SlotEdge {
    slot: Slot,
    /// The slot, or `slot.name`.
    path: String,
    text: String,
    edge: Edge,
    span: Span,
}

/// Expands a pipeline; what is wrong goes to `errors`.
pub(crate) fn expand(
    pipeline: Pipeline<'_>,
    folder: PathBuf,
    stem: String,
    errors: &mut Vec<Diagnostic>,
) -> Option<Plan> {
    let (name, span) = match pipeline.name {
        Some((name, span)) => (name, Some(span)),
        None => (stem, None),
    };
    if !is_name(&name) {
        let message = match span {
            Some(_) => "`name`: expected letters, digits, `-` and `_`".to_owned(),
            None => format!("add a `name`: the file's own (`{name}`) cannot be a folder's"),
        };
        errors.push(Diagnostic::new(message, span));
    }
    let stages: Vec<_> =
        pipeline.stages.into_iter().map(|table| combinations(table, errors)).collect();
    let names: Vec<String> = stages.iter().map(|stage| stage.table.name.clone()).collect();
    let order = order(&stages, &names, errors)?;
    let mut cells: Vec<Cell> = Vec::new();
    let mut by_stage: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for index in order {
        let stage = &stages[index];
        let Some(shape) = &stage.table.shape else {
            continue;
        };
        let first = cells.len();
        for combination in &stage.combinations {
            join(stage, shape, combination, &mut cells, &by_stage, &stages, errors);
        }
        by_stage.insert(&names[index], (first..cells.len()).collect());
    }
    Some(Plan { pipeline: name, description: pipeline.description, folder, stages: names, cells })
}

/// Parses a stage once for each combination of its own axes.
fn combinations<'a>(table: StageTable<'a>, errors: &mut Vec<Diagnostic>) -> Expanded<'a> {
    let (mut combinations, mut unparsed) = (Vec::new(), Vec::new());
    let Some(shape) = table.shape.clone() else {
        return Expanded { table, combinations, unparsed };
    };
    let mut choices: Vec<Vec<usize>> = vec![Vec::new()];
    for axis in &table.axes {
        let longer = |choice: Vec<usize>| {
            (0..axis.values.len()).map(move |value| [choice.as_slice(), &[value]].concat())
        };
        choices = choices.into_iter().flat_map(longer).collect();
    }
    for choice in choices {
        let chosen: Vec<(&str, &(Value, Node<'a>))> = table
            .axes
            .iter()
            .zip(&choice)
            .map(|(axis, &value)| (axis.name.as_str(), &axis.values[value]))
            .collect();
        let seed = chosen.iter().find(|(axis, _)| *axis == "seed");
        let seed = seed.map_or(table.seed, |(_, (_, node))| super::pipeline::seed(node, errors));
        let nodes: Vec<_> = chosen.iter().map(|(axis, (_, node))| (*axis, node)).collect();
        let Some((stage, written)) = parameters::parse(&table, &shape, &nodes, errors) else {
            let json = |node| document::to_json(node, &mut Vec::new());
            let raw = table.parameters.iter();
            let raw = raw.map(|(key, node)| (key.get_ref().to_string(), json(node))).collect();
            unparsed =
                slot_edges(&shape, &Value::Object(raw), &table.parameters, &table.header, errors);
            continue;
        };
        let values = match stage.parameters() {
            Ok(values) => values,
            Err(error) => {
                let message = format!("stage `{}`: {error}", table.name);
                errors.push(Diagnostic::new(message, table.header.clone()));
                continue;
            }
        };
        let edges = slot_edges(&shape, &values, &written, &table.header, errors);
        let coordinates =
            chosen.iter().map(|(axis, (value, _))| ((*axis).to_owned(), value.clone())).collect();
        combinations.push(Combination {
            coordinates,
            seed,
            stage: Arc::from(stage),
            parameters: values,
            edges,
        });
    }
    Expanded { table, combinations, unparsed }
}

/// The edges in the slots of `values`, each with the place where it is written.
fn slot_edges(
    shape: &Shape,
    values: &Value,
    written: &Table<'_>,
    header: &Span,
    errors: &mut Vec<Diagnostic>,
) -> Vec<SlotEdge> {
    let mut edges = Vec::new();
    for slot in &shape.slots {
        let value = values.get(&slot.key).unwrap_or(&Value::Null);
        let node = written.get(slot.key.as_str());
        for (path, text, span) in parameters::edges(&slot.key, value, node, header) {
            match Edge::parse(&text) {
                Ok(edge) => edges.push(SlotEdge { slot: slot.clone(), path, text, edge, span }),
                Err(expected) => {
                    let message = format!("`{path}`: {expected}, found `{text}`");
                    let diagnostic = Diagnostic::new(message, span);
                    if !errors.contains(&diagnostic) {
                        errors.push(diagnostic);
                    }
                }
            }
        }
    }
    edges
}

/// Indices of the stages, upstream first. Unknown stages and cycles are errors.
fn order(
    stages: &[Expanded<'_>],
    names: &[String],
    errors: &mut Vec<Diagnostic>,
) -> Option<Vec<usize>> {
    let mut graph: DiGraph<(), ()> = DiGraph::new();
    let nodes: Vec<NodeIndex> = names.iter().map(|_| graph.add_node(())).collect();
    let mut whole = true;
    for (reader, stage) in stages.iter().enumerate() {
        let parsed = stage.combinations.iter().flat_map(|combination| &combination.edges);
        for edge in parsed.chain(&stage.unparsed) {
            match names.iter().position(|name| *name == edge.edge.stage) {
                Some(upstream) => {
                    graph.update_edge(nodes[reader], nodes[upstream], ());
                }
                None => {
                    let message =
                        format!("`{}`: there is no stage `{}`", edge.path, edge.edge.stage);
                    errors.push(
                        Diagnostic::new(message, edge.span.clone())
                            .label("no such stage")
                            .did_you_mean(
                                &edge.edge.stage,
                                names.iter().map(String::as_str),
                                "stages",
                            ),
                    );
                }
            }
        }
    }
    for component in tarjan_scc(&graph) {
        if component.len() > 1 || graph.contains_edge(component[0], component[0]) {
            whole = false;
            errors.push(cycle(stages, names, &component));
        }
    }
    if !whole {
        return None;
    }
    // Among the orders that are right, the one closest to the file.
    let mut placed: BTreeSet<usize> = BTreeSet::new();
    let mut sorted = Vec::new();
    while sorted.len() < stages.len() {
        let ready = (0..stages.len()).find(|&stage| {
            let mut upstream = graph.neighbors(nodes[stage]);
            !placed.contains(&stage) && upstream.all(|node| placed.contains(&node.index()))
        })?;
        placed.insert(ready);
        sorted.push(ready);
    }
    Some(sorted)
}

/// Names the path of a cycle.
fn cycle(stages: &[Expanded<'_>], names: &[String], component: &[NodeIndex]) -> Diagnostic {
    let inside: BTreeSet<usize> = component.iter().map(|node| node.index()).collect();
    let start = inside.iter().next().copied().unwrap_or_default();
    // From the first stage always on to the first upstream stage within, until one comes again.
    let mut path: Vec<usize> = vec![start];
    let mut spans = Vec::new();
    loop {
        let here = path[path.len() - 1];
        let edges = stages[here].combinations.iter().flat_map(|combination| &combination.edges);
        let next = edges
            .filter_map(|edge| {
                let upstream = names.iter().position(|name| *name == edge.edge.stage)?;
                inside.contains(&upstream).then_some((upstream, edge))
            })
            .next();
        let Some((next, edge)) = next else { break };
        spans.push((format!("`{}` reads `{}`", names[here], names[next]), edge.span.clone()));
        if let Some(position) = path.iter().position(|&stage| stage == next) {
            path.drain(..position);
            spans.drain(..position);
            path.push(next);
            break;
        }
        path.push(next);
    }
    let text: Vec<_> = path.iter().map(|&stage| names[stage].as_str()).collect();
    let mut spans = spans.into_iter();
    let first = spans.next();
    let mut diagnostic = Diagnostic::new(
        format!("stages read each other in a circle: {}", text.join(" → ")),
        first.as_ref().map(|(_, span)| span.clone()),
    )
    .label(first.map(|(text, _)| text).unwrap_or_default());
    for (text, span) in spans {
        diagnostic = diagnostic.note(text, span);
    }
    diagnostic
}

/// Adds the cells of one combination: what flows in, joined along axes of the same name.
fn join(
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

/// The output of `upstream` that `edge` takes, by name or by type.
fn output(edge: &SlotEdge, upstream: &Cell, errors: &mut Vec<Diagnostic>) -> Option<String> {
    let wanted = edge.slot.artifact.as_str();
    let fits = |output: &&Output| wanted == Anything::TYPE || output.artifact == wanted;
    let kind = upstream.kind.name;
    let stage = &edge.edge.stage;
    let found = match &edge.edge.output {
        Some(name) => match upstream.outputs.iter().find(|output| output.name == *name) {
            None => {
                let message = format!(
                    "`{}`: stage `{stage}` (kind `{kind}`) has no output `{name}`",
                    edge.path
                );
                errors.push(Diagnostic::new(message, edge.span.clone()).did_you_mean(
                    name,
                    upstream.outputs.iter().map(|output| &*output.name),
                    "outputs",
                ));
                return None;
            }
            Some(output) if fits(&output) => return Some(output.name.to_string()),
            Some(output) => {
                format!("output `{name}` of stage `{stage}` is {}", a(&output.artifact))
            }
        },
        None => {
            let fitting: Vec<_> = upstream.outputs.iter().filter(fits).collect();
            match fitting.as_slice() {
                [output] => return Some(output.name.to_string()),
                [] => {
                    let all: Vec<_> = upstream
                        .outputs
                        .iter()
                        .map(|output| format!("`{}` ({})", output.name, output.artifact))
                        .collect();
                    match upstream.outputs.as_slice() {
                        [only] => format!(
                            "output `{}` of stage `{stage}` is {}",
                            only.name,
                            a(&only.artifact)
                        ),
                        _ => format!("stage `{stage}` yields {}", all.join(", ")),
                    }
                }
                several => {
                    let names: Vec<_> = several
                        .iter()
                        .map(|output| format!("\"{stage}.{}\"", output.name))
                        .collect();
                    let message =
                        format!("`{}`: stage `{stage}` has several outputs that fit", edge.path);
                    errors.push(
                        Diagnostic::new(message, edge.span.clone())
                            .help(format!("name one: {}", names.join(" or "))),
                    );
                    return None;
                }
            }
        }
    };
    let message = format!("`{}` wants {}, but {found}", edge.path, a(wanted));
    errors.push(
        Diagnostic::new(message, edge.span.clone())
            .label(format!("expected {}", a(wanted)))
            .note(format!("stage `{stage}` is of kind `{kind}`"), None),
    );
    None
}

/// The type with its article, where it has one.
fn a(artifact: &str) -> String {
    let plural = artifact.ends_with('s') || artifact == Anything::TYPE;
    let article = if plural {
        ""
    } else if artifact.starts_with(['a', 'e', 'i', 'o', 'u']) {
        "an "
    } else {
        "a "
    };
    format!("{article}{artifact}")
}
