//! `sconce graph`: the stages and their edges.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

use petgraph::Direction::{Incoming, Outgoing};
use petgraph::dot::{Config, Dot};
use petgraph::graph::{DiGraph, EdgeReference, NodeIndex};
use petgraph::visit::EdgeRef;
use sconce_core::plan::Plan;

use crate::arguments::{GraphArguments, GraphFormat};
use crate::failure::Failure;
use crate::session::{Call, load_plan};
use crate::style::{BOLD, DIM, paint};

pub(crate) fn graph(call: &Call<'_>, arguments: &GraphArguments) -> Result<ExitCode, Failure> {
    let plan = load_plan(call, &arguments.pipeline)?;
    let stages = stages(&plan);
    let text = match arguments.format {
        GraphFormat::Text => tree(&plan, &stages),
        GraphFormat::Mermaid => mermaid(&stages),
        GraphFormat::Dot => dot(&plan, &stages),
    };
    anstream::stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// The stages; an edge goes from the one that yields to the one that reads.
type Stages<'a> = DiGraph<Stage<'a>, Link>;

/// One stage.
#[derive(Debug)]
struct Stage<'a> {
    name: &'a str,
    kind: &'a str,
    cells: usize,
    axes: Vec<&'a str>,
}

/// What a stage reads of another.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Link {
    slot: String,
    /// As it could be written: `svm.model[*]`.
    edge: String,
    gathers: bool,
}

impl Stage<'_> {
    /// `fit-svm`, or `fit-svm, 6 cells: layer × normalize`.
    fn what(&self) -> String {
        if self.axes.is_empty() {
            return self.kind.to_owned();
        }
        format!("{}, {} cells: {}", self.kind, self.cells, self.axes.join(" × "))
    }
}

impl Link {
    /// `features`, or `rows [*]`.
    fn label(&self) -> String {
        format!("{}{}", self.slot, if self.gathers { " [*]" } else { "" })
    }
}

fn stages(plan: &Plan) -> Stages<'_> {
    let mut stages = Stages::new();
    let mut nodes = BTreeMap::new();
    for name in &plan.stages {
        let Some(first) = plan.of_stage(name).next().map(|cell| &plan[cell]) else { continue };
        let node = stages.add_node(Stage {
            name,
            kind: first.kind.name,
            cells: plan.of_stage(name).count(),
            axes: first.id.coordinates.iter().map(|(axis, _)| axis).collect(),
        });
        nodes.insert(name.as_str(), node);
    }
    for name in &plan.stages {
        let mut links = BTreeSet::new();
        for (upstream, source) in plan.of_stage(name).flat_map(|cell| plan.sources(cell)) {
            let upstream = &plan[upstream];
            let stage = upstream.id.stage.as_str();
            let main = upstream.outputs.first().is_some_and(|first| first.name == source.output);
            let output = if main { String::new() } else { format!(".{}", source.output) };
            let gathers = source.from.as_ref().is_some_and(|from| !from.coordinates.is_empty());
            let all = if gathers { "[*]" } else { "" };
            let edge = format!("{stage}{output}{all}");
            links.insert((Link { slot: source.slot.to_string(), edge, gathers }, stage));
        }
        for (link, upstream) in links {
            stages.add_edge(nodes[upstream], nodes[name.as_str()], link);
        }
    }
    stages
}

/// What a stage reads, in the order of its slots.
fn inputs<'s>(
    stages: &'s Stages<'_>,
    reader: NodeIndex,
) -> impl DoubleEndedIterator<Item = EdgeReference<'s, Link>> {
    let mut edges: Vec<_> = stages.edges_directed(reader, Incoming).collect();
    edges.sort_by_key(EdgeRef::id);
    edges.into_iter()
}

/// As `cargo tree`: what nothing reads at the top, what it needs below it.
fn tree(plan: &Plan, stages: &Stages<'_>) -> String {
    let mut text = paint(BOLD, &plan.pipeline);
    if !plan.description.is_empty() {
        let _ = write!(text, ": {}", plan.description);
    }
    text.push('\n');
    let mut tree = Tree { stages, shown: BTreeSet::new(), starred: false, text };
    for node in stages.externals(Outgoing) {
        let stage = &stages[node];
        let _ = writeln!(
            tree.text,
            "\n{} {}",
            paint(BOLD, stage.name),
            paint(DIM, format_args!("({})", stage.what()))
        );
        tree.below(node, "");
    }
    if tree.starred {
        tree.text.push_str(&paint(DIM, "\n(*) its inputs are shown above\n"));
    }
    tree.text
}

struct Tree<'a> {
    stages: &'a Stages<'a>,
    /// Stages that stand in the tree already, with what they read.
    shown: BTreeSet<NodeIndex>,
    /// Whether one of them came again.
    starred: bool,
    text: String,
}

impl Tree<'_> {
    fn below(&mut self, node: NodeIndex, indent: &str) {
        let mut edges = inputs(self.stages, node).peekable();
        while let Some(edge) = edges.next() {
            let last = edges.peek().is_none();
            let branch = if last { "└── " } else { "├── " };
            let (upstream, link) = (edge.source(), edge.weight());
            let stage = &self.stages[upstream];
            let reads = self.stages.neighbors_directed(upstream, Incoming).next().is_some();
            let again = reads && self.shown.contains(&upstream);
            let star = if again { " (*)" } else { "" };
            let name =
                if link.slot == link.edge { String::new() } else { format!("{} ← ", link.slot) };
            let what = paint(DIM, format_args!("({}){star}", stage.what()));
            let _ = writeln!(
                self.text,
                "{indent}{branch}{name}{} {what}",
                paint(BOLD, link.edge.as_str())
            );
            if again {
                self.starred = true;
            } else {
                self.shown.insert(upstream);
                let indent = format!("{indent}{}", if last { "    " } else { "│   " });
                self.below(upstream, &indent);
            }
        }
    }
}

fn mermaid(stages: &Stages<'_>) -> String {
    let mut text = "flowchart LR\n".to_owned();
    for node in stages.node_indices() {
        let (stage, index) = (&stages[node], node.index());
        let _ = writeln!(text, "    s{index}[\"<b>{}</b><br/>{}\"]", stage.name, stage.what());
    }
    for edge in stages.edge_references() {
        let (from, to) = (edge.source().index(), edge.target().index());
        let _ = writeln!(text, "    s{from} -->|\"{}\"| s{to}", edge.weight().label());
    }
    text
}

fn dot(plan: &Plan, stages: &Stages<'_>) -> String {
    let edge = |_: &Stages<'_>, edge: EdgeReference<'_, Link>| {
        format!("label = {:?}", edge.weight().label())
    };
    let node = |_: &Stages<'_>, (_, stage): (NodeIndex, &Stage<'_>)| {
        format!("label = {:?}", format!("{}\n{}", stage.name, stage.what()))
    };
    let content = [Config::GraphContentOnly, Config::NodeNoLabel, Config::EdgeNoLabel];
    let content = Dot::with_attr_getters(stages, &content, &edge, &node);
    format!(
        "digraph \"{}\" {{\n    rankdir=LR;\n    \
         node [shape=box, style=rounded, fontname=\"sans-serif\"];\n    \
         edge [fontname=\"sans-serif\", fontsize=10];\n{content:?}}}\n",
        plan.pipeline
    )
}
