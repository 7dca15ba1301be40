//! Which stage comes before which.

use std::collections::BTreeSet;

use petgraph::algo::tarjan_scc;
use petgraph::graph::{DiGraph, NodeIndex};

use super::Expanded;
use crate::text::diagnostic::Diagnostic;

/// Indices of the stages, upstream first. Unknown stages and cycles are errors.
pub(super) fn order(
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
