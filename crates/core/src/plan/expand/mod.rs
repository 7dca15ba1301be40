//! Stages become cells: edges are resolved and type-checked, axes flow downstream.

mod documents;
mod flow;
mod join;
pub(crate) mod limit;
mod names;
mod order;
mod output;
mod texts;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

use flow::Flows;
use join::Joining;
use limit::Limit;

use super::edge::Edge;
use super::parameters;
use super::references::Scope;
use crate::cell::is_name;
use crate::plan::{CellGraph, LoadOptions, Places, Plan};
use crate::stage::kinds::Shape;
use crate::text::axes::{Axis, AxisValue, Sets};
use crate::text::diagnostic::Diagnostic;
use crate::text::document::{self, Table};
use crate::text::pipeline::{Pipeline, StageTable};
use crate::text::source::{Sources, Span};
use crate::{AnyStage, Coordinates, Slot};

/// A stage with its matrix worked out, not yet joined with what flows in.
struct Expanded<'a> {
    table: StageTable<'a>,
    /// One for each combination of the stage's own axes; empty where something is wrong.
    combinations: Vec<Combination>,
    /// Edges of combinations that did not parse: their stages are looked up all the same.
    unparsed: Vec<SlotEdge>,
    /// Whether something is wrong with the stage itself, which has been said: combinations, axes or edges of it are missing.
    faulty: bool,
}

/// One combination of a stage's own axes.
struct Combination {
    coordinates: Coordinates,
    seed: u64,
    stage: Arc<dyn AnyStage>,
    parameters: Value,
    edges: Vec<SlotEdge>,
    /// The parameters' texts with references.
    texts: Vec<texts::PlacedText>,
    /// The parameters that are documents.
    documents: Vec<documents::PlacedDocument>,
}

/// Where a pipeline is from.
pub(crate) struct From<'f> {
    /// The folder of its file.
    pub(crate) folder: PathBuf,
    /// The file's name without its extension.
    pub(crate) stem: String,
    /// What was asked for.
    pub(crate) options: &'f LoadOptions,
}

/// One edge as written.
struct SlotEdge {
    slot: Slot,
    /// The slot, or `slot.name`.
    path: String,
    text: String,
    edge: Edge,
    span: Span,
    /// Whether a text reads it: it does not multiply cells.
    in_text: bool,
}

/// Expands a pipeline; what is wrong goes to `errors`, and texts that are read beside its file to `all`.
pub(crate) fn expand(
    pipeline: Pipeline<'_>,
    from: From<'_>,
    all: &mut Sources,
    errors: &mut Vec<Diagnostic>,
) -> Option<Plan> {
    let (name, span) = match pipeline.name {
        Some((name, span)) => (name, Some(span)),
        None => (from.stem.clone(), None),
    };
    if !is_name(&name) {
        let message = match span {
            Some(_) => "`name`: expected letters, digits, `-` and `_`".to_owned(),
            None => format!("add a `name`: the file's own (`{name}`) cannot be a folder's"),
        };
        errors.push(Diagnostic::new(message, span));
    }
    let known: Vec<&str> = pipeline.stages.iter().map(|stage| stage.name.as_str()).collect();
    for (shape, table) in pipeline.defaults.tables() {
        parameters::check_defaults(shape, table, &pipeline.variables, &known, errors);
    }
    let scope = Scope {
        stages: pipeline.stages.iter().map(|s| (s.name.clone(), s.shape.clone())).collect(),
        variables: pipeline.values,
    };
    let (sources, limit) = (pipeline.sources, Limit { cells: pipeline.max_cells });
    let mut texts = documents::Texts { from: &from, sources: all, known: Default::default() };
    let stages: Vec<_> = pipeline
        .stages
        .into_iter()
        .map(|table| combinations(table, &limit, &scope, sources, &mut texts, errors))
        .collect();
    let names: Vec<String> = stages.iter().map(|stage| stage.table.name.clone()).collect();
    let order = order::order(&stages, &names, errors)?;
    let (graph, places, flows) = (CellGraph::new(), Places::new(), Flows::default());
    let (partial, full) = (BTreeSet::new(), false);
    let mut joining = Joining { graph, places, flows, limit: &limit, partial, full };
    // The combination that each cell comes from.
    let mut origins: Vec<usize> = Vec::new();
    for index in order {
        let stage = &stages[index];
        let before = errors.len();
        if stage.faulty || joining.reads_partial(stage) {
            joining.partial.insert(names[index].clone());
        }
        let Some(shape) = &stage.table.shape else {
            continue;
        };
        let first = joining.graph.node_count();
        for (number, combination) in stage.combinations.iter().enumerate() {
            joining.join(stage, shape, combination, errors);
            if joining.full {
                return None;
            }
            origins.resize(joining.graph.node_count(), number);
        }
        let cells = first..joining.graph.node_count();
        joining.places.insert(names[index].clone(), cells);
        if errors.len() > before {
            joining.partial.insert(names[index].clone());
        }
    }
    let Joining { mut graph, places, flows, partial, .. } = joining;
    names::refuse_twins(&stages, &graph, &places, errors);
    let put = texts::Put { stages: &stages, from: &from, pipeline: &name, seed: pipeline.seed };
    put.put_in(&mut graph, &places, flows, &origins, &partial, errors);
    let description = pipeline.description;
    let folder = from.folder;
    Some(Plan { pipeline: name, description, folder, stages: names, graph, places })
}

/// Parses a stage once for each combination of its own axes.
fn combinations<'a>(
    table: StageTable<'a>,
    limit: &Limit,
    scope: &Scope,
    sources: &Sources,
    documents: &mut documents::Texts<'_>,
    errors: &mut Vec<Diagnostic>,
) -> Expanded<'a> {
    let (mut combinations, mut unparsed) = (Vec::new(), Vec::new());
    let before = errors.len();
    let Some(shape) = table.shape.clone() else {
        return Expanded { table, combinations, unparsed, faulty: true };
    };
    if !limit.allows(&table, errors) {
        return Expanded { table, combinations, unparsed, faulty: true };
    }
    let mut faulty = !table.bad_axes.is_empty();
    let mut choices: Vec<Vec<usize>> = vec![Vec::new()];
    for axis in &table.axes {
        let longer = |choice: Vec<usize>| {
            (0..axis.values.len()).map(move |value| [choice.as_slice(), &[value]].concat())
        };
        choices = choices.into_iter().flat_map(longer).collect();
    }
    for choice in choices {
        let chosen: Vec<(&Axis<'a>, &AxisValue<'a>)> = table
            .axes
            .iter()
            .zip(&choice)
            .map(|(axis, &value)| (axis, &axis.values[value]))
            .collect();
        let seed = chosen.iter().find_map(|(axis, value)| match &value.sets {
            Sets::One(node) if axis.name == "seed" => Some(node),
            _ => None,
        });
        let seed = seed.map_or(table.seed, |node| crate::text::entries::seed(node, errors));
        let Some((stage, written)) = parameters::parse(&table, &shape, &chosen, errors) else {
            faulty = true;
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
        let mut edges = slot_edges(&shape, &values, &written, &table.header, errors);
        let (texts, metrics) =
            texts::read(&shape, &values, &written, &table.header, scope, sources, errors);
        edges.extend(metrics);
        let (documents, shown) =
            documents::read(&shape, &values, &written, &table.header, scope, documents, errors);
        edges.extend(shown);
        let coordinates = chosen
            .iter()
            .map(|(axis, value)| (axis.name.clone(), value.coordinate.clone()))
            .collect();
        combinations.push(Combination {
            coordinates,
            seed,
            stage: Arc::from(stage),
            parameters: values,
            edges,
            texts,
            documents,
        });
    }
    faulty |= errors.len() > before;
    Expanded { table, combinations, unparsed, faulty }
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
                Ok(edge) => {
                    let (slot, in_text) = (slot.clone(), false);
                    edges.push(SlotEdge { slot, path, text, edge, span, in_text });
                }
                Err(expected) => {
                    let message = format!("`{path}`: {expected}, found `{text}`");
                    parameters::say(errors, Diagnostic::new(message, span));
                }
            }
        }
    }
    edges
}
