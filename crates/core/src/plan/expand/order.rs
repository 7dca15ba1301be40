//! Which stage comes before which.

use std::collections::{BTreeMap, BTreeSet};

use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::{DfsPostOrder, EdgeRef};

use super::{Expanded, SlotEdge};
use crate::plan::parameters;
use crate::text::diagnostic::{Diagnostic, MOST};

/// The stages, with an edge from each to those that it reads.
type StageGraph<'a> = DiGraph<(), &'a SlotEdge>;

/// Indices of the stages, upstream first. Unknown stages and cycles are errors.
pub(super) fn order(
    stages: &[Expanded<'_>],
    names: &[String],
    errors: &mut Vec<Diagnostic>,
) -> Option<Vec<usize>> {
    let places: BTreeMap<&str, usize> =
        names.iter().enumerate().map(|(place, name)| (name.as_str(), place)).collect();
    let mut graph = StageGraph::new();
    stages.iter().for_each(|_| _ = graph.add_node(()));
    for (reader, stage) in stages.iter().enumerate() {
        let parsed = stage.combinations.iter().flat_map(|combination| &combination.edges);
        let mut seen = BTreeSet::new();
        for edge in parsed.chain(&stage.unparsed) {
            match places.get(edge.edge.stage.as_str()) {
                Some(&upstream) => {
                    if seen.insert(upstream) {
                        graph.add_edge(NodeIndex::new(reader), NodeIndex::new(upstream), edge);
                    }
                }
                None => {
                    // Looking for a close name takes time, and only the first are told.
                    let known = if errors.len() < MOST { names } else { &[] };
                    errors.push(parameters::no_stage(
                        &edge.path,
                        &edge.edge.stage,
                        known.iter().map(String::as_str),
                        edge.span.clone(),
                    ));
                }
            }
        }
    }
    let mut whole = true;
    for component in kosaraju_scc(&graph) {
        if component.len() > 1 || graph.contains_edge(component[0], component[0]) {
            whole = false;
            errors.push(cycle(&graph, names, &component));
        }
    }
    if !whole {
        return None;
    }
    // In the order of the file, but each after those that it reads.
    let mut search = DfsPostOrder::empty(&graph);
    let mut sorted = Vec::with_capacity(stages.len());
    for stage in graph.node_indices() {
        search.move_to(stage);
        sorted.extend(std::iter::from_fn(|| search.next(&graph)).map(NodeIndex::index));
    }
    Some(sorted)
}

/// So many stages of a circle are named at most.
const NAMED: usize = 8;

/// Names the way around a cycle.
fn cycle(graph: &StageGraph<'_>, names: &[String], component: &[NodeIndex]) -> Diagnostic {
    let inside: BTreeSet<NodeIndex> = component.iter().copied().collect();
    // From the first stage always on to the first upstream stage within, until one comes again.
    let mut path: Vec<(NodeIndex, &SlotEdge)> = Vec::new();
    let mut visited: BTreeMap<NodeIndex, usize> = BTreeMap::new();
    let mut here = inside.first().copied();
    while let Some(stage) = here {
        if let Some(&start) = visited.get(&stage) {
            path.drain(..start);
            break;
        }
        visited.insert(stage, path.len());
        let within = graph.edges(stage).filter(|edge| inside.contains(&edge.target()));
        let next = within.min_by_key(EdgeRef::id);
        path.extend(next.map(|edge| (stage, *edge.weight())));
        here = next.map(|edge| edge.target());
    }
    let name = |stage: NodeIndex| names[stage.index()].as_str();
    let around = |place: usize| name(path[place % path.len()].0);
    let shown = if path.len() > NAMED { NAMED - 1 } else { path.len() };
    let mut text: Vec<String> = (0..shown).map(|place| around(place).to_owned()).collect();
    if shown < path.len() {
        text.push(format!("… {} more …", path.len() - shown));
    }
    text.extend((!path.is_empty()).then(|| around(0).to_owned()));
    let mut notes = (0..shown).map(|place| {
        let text = format!("`{}` reads `{}`", around(place), around(place + 1));
        (text, path[place].1.span.clone())
    });
    let first = notes.next();
    let diagnostic = Diagnostic::new(
        format!("stages read each other in a circle: {}", text.join(" → ")),
        first.as_ref().map(|(_, span)| span.clone()),
    )
    .label(first.map(|(text, _)| text).unwrap_or_default());
    notes.fold(diagnostic, |diagnostic, (text, span)| diagnostic.note(text, span))
}
