//! The variables of a pipeline file: each may be made of others.

use std::collections::{BTreeMap, BTreeSet};

use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;
use toml::Spanned;
use toml::de::DeValue;

use super::diagnostic::{Diagnostic, thousands};
use super::document::{Node, Table, substitute};
use super::source::Span;
use crate::cell::is_name;

/// So many values one variable may hold: lists of lists of variables grow fast.
const MOST: u64 = 100_000;

/// So many variables of a circle are named at most.
const NAMED: usize = 8;

/// The variables by name, with what each refers to put in. `done` gets where that was.
pub(super) fn read<'a>(
    table: Table<'a>,
    done: &mut Vec<(Span, String, Span)>,
    errors: &mut Vec<Diagnostic>,
) -> BTreeMap<String, Node<'a>> {
    let mut raw: BTreeMap<String, Node<'a>> =
        table.into_iter().map(|(name, value)| (name.into_inner().into_owned(), value)).collect();
    let names: Vec<String> = raw.keys().cloned().collect();
    let places: BTreeMap<&str, NodeIndex> =
        names.iter().enumerate().map(|(at, name)| (name.as_str(), NodeIndex::new(at))).collect();
    let mut graph: DiGraph<(), Span> = DiGraph::new();
    names.iter().for_each(|_| _ = graph.add_node(()));
    for (name, value) in &raw {
        let mut found = Vec::new();
        references(value, &mut found);
        for (other, span) in found {
            if let Some(&to) = places.get(other) {
                graph.add_edge(places[name.as_str()], to, span);
            }
        }
    }
    let mut known = BTreeMap::new();
    let mut sizes: Vec<u64> = vec![0; names.len()];
    // Those that others refer to come first.
    for component in kosaraju_scc(&graph) {
        let circle = component.len() > 1 || graph.contains_edge(component[0], component[0]);
        if circle {
            errors.push(in_a_circle(&graph, &names, &component));
        }
        for place in component {
            let name = &names[place.index()];
            let Some(mut value) = raw.remove(name) else { continue };
            let inner = graph.neighbors(place).map(|other| sizes[other.index()]);
            let mut size = inner.fold(count(&value), u64::saturating_add);
            if size > MOST {
                let most = thousands(u128::from(MOST));
                let message = format!("variable `{name}` holds more than {most} values");
                errors.push(Diagnostic::new(message, value.span()));
                // What is made of it is not told, too.
                value = Spanned::new(value.span(), DeValue::Boolean(false));
                size = 1;
            } else if !circle {
                substitute(&mut value, &known, done, errors);
            }
            sizes[place.index()] = size;
            known.insert(name.clone(), value);
        }
    }
    known
}

/// The names of the variables that stand in a value, and where.
fn references<'v>(node: &'v Node<'_>, found: &mut Vec<(&'v str, Span)>) {
    match node.get_ref() {
        DeValue::Table(table) => table.iter().for_each(|(_, value)| references(value, found)),
        DeValue::Array(items) => items.iter().for_each(|item| references(item, found)),
        DeValue::String(text) => {
            let name = text.strip_prefix('$').filter(|name| is_name(name));
            found.extend(name.map(|name| (name, node.span())));
        }
        _ => {}
    }
}

/// How many values there are in a value.
fn count(node: &Node<'_>) -> u64 {
    1 + match node.get_ref() {
        DeValue::Table(table) => table.iter().map(|(_, value)| count(value)).sum(),
        DeValue::Array(items) => items.iter().map(count).sum(),
        _ => 0,
    }
}

fn in_a_circle(graph: &DiGraph<(), Span>, names: &[String], circle: &[NodeIndex]) -> Diagnostic {
    let inside: BTreeSet<NodeIndex> = circle.iter().copied().collect();
    // From the first on, along the first reference within, until one comes again.
    let mut way: Vec<(NodeIndex, Span)> = Vec::new();
    let mut seen: BTreeMap<NodeIndex, usize> = BTreeMap::new();
    let mut here = inside.first().copied();
    while let Some(place) = here {
        if let Some(&start) = seen.get(&place) {
            way.drain(..start);
            break;
        }
        seen.insert(place, way.len());
        let within = graph.edges(place).filter(|edge| inside.contains(&edge.target()));
        let next = within.min_by_key(EdgeRef::id);
        way.extend(next.map(|edge| (place, edge.weight().clone())));
        here = next.map(|edge| edge.target());
    }
    let name = |(place, _): &(NodeIndex, Span)| names[place.index()].clone();
    let mut text: Vec<String> = way.iter().take(NAMED).map(name).collect();
    if way.len() > NAMED {
        text.push(format!("… {} more …", way.len() - NAMED));
    }
    text.extend(way.first().map(name));
    let span = way.first().map(|(_, span)| span.clone());
    Diagnostic::new(
        format!("variables refer to each other in a circle: {}", text.join(" → ")),
        span,
    )
    .help("write \"$$name\" for the text itself")
}
