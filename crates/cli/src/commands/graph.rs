//! `sconce graph`: the stages and their edges.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

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

/// One stage with its edges.
struct Stage<'a> {
    name: &'a str,
    kind: &'a str,
    cells: usize,
    axes: Vec<&'a str>,
    /// Slot and edge, without repetition: `(features, svm.model[*], index of the stage)`.
    edges: Vec<(&'a str, String, usize)>,
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

fn stages(plan: &Plan) -> Vec<Stage<'_>> {
    let places: BTreeMap<&str, usize> =
        plan.stages.iter().enumerate().map(|(index, name)| (name.as_str(), index)).collect();
    let of = |name: &'_ String| {
        let cells: Vec<_> = plan.cells.iter().filter(|cell| cell.id.stage == *name).collect();
        let first = cells.first()?;
        let mut seen = BTreeSet::new();
        let mut edges = Vec::new();
        for (slot, source) in cells
            .iter()
            .flat_map(|cell| cell.inputs.iter())
            .flat_map(|(slot, sources)| sources.iter().map(move |source| (slot, source)))
        {
            let upstream = &plan.cells[source.cell];
            let stage = &upstream.id.stage;
            let main = upstream.outputs.first().is_some_and(|first| first.name == source.output);
            let output = if main { String::new() } else { format!(".{}", source.output) };
            let gathers = source.from.as_ref().is_some_and(|from| !from.coordinates.is_empty());
            let all = if gathers { "[*]" } else { "" };
            let edge = format!("{stage}{output}{all}");
            if seen.insert((slot, edge.clone())) {
                edges.extend(places.get(stage.as_str()).map(|&place| (slot.as_str(), edge, place)));
            }
        }
        Some(Stage {
            name: &first.id.stage,
            kind: first.kind.name,
            cells: cells.len(),
            axes: first.id.coordinates.iter().map(|(axis, _)| axis).collect(),
            edges,
        })
    };
    plan.stages.iter().filter_map(of).collect()
}

/// As `cargo tree`: what nothing reads at the top, what it needs below it.
fn tree(plan: &Plan, stages: &[Stage<'_>]) -> String {
    let mut text = paint(BOLD, &plan.pipeline);
    if !plan.description.is_empty() {
        let _ = write!(text, ": {}", plan.description);
    }
    text.push('\n');
    let read: BTreeSet<usize> =
        stages.iter().flat_map(|stage| stage.edges.iter().map(|(_, _, index)| *index)).collect();
    let mut shown = BTreeSet::new();
    for index in (0..stages.len()).filter(|index| !read.contains(index)) {
        let stage = &stages[index];
        let _ = writeln!(
            text,
            "\n{} {}",
            paint(BOLD, stage.name),
            paint(DIM, format_args!("({})", stage.what()))
        );
        below(stages, index, "", &mut shown, &mut text);
    }
    if shown.contains(&usize::MAX) {
        text.push_str(&paint(DIM, "\n(*) its inputs are shown above\n"));
    }
    text
}

fn below(
    stages: &[Stage<'_>],
    index: usize,
    indent: &str,
    shown: &mut BTreeSet<usize>,
    text: &mut String,
) {
    let count = stages[index].edges.len();
    for (position, (slot, edge, upstream)) in stages[index].edges.iter().enumerate() {
        let last = position + 1 == count;
        let branch = if last { "└── " } else { "├── " };
        let stage = &stages[*upstream];
        let again = !stage.edges.is_empty() && shown.contains(upstream);
        let star = if again { " (*)" } else { "" };
        let name = if slot == edge { String::new() } else { format!("{slot} ← ") };
        let what = paint(DIM, format_args!("({}){star}", stage.what()));
        let _ = writeln!(text, "{indent}{branch}{name}{} {what}", paint(BOLD, edge));
        if again {
            // Marks that the legend is needed.
            shown.insert(usize::MAX);
        } else {
            shown.insert(*upstream);
            let indent = format!("{indent}{}", if last { "    " } else { "│   " });
            below(stages, *upstream, &indent, shown, text);
        }
    }
}

fn mermaid(stages: &[Stage<'_>]) -> String {
    let mut text = "flowchart LR\n".to_owned();
    for (index, stage) in stages.iter().enumerate() {
        let what = stage.what();
        let _ = writeln!(text, "    s{index}[\"<b>{}</b><br/>{what}\"]", stage.name);
    }
    for (index, stage) in stages.iter().enumerate() {
        for (slot, edge, upstream) in &stage.edges {
            let all = if edge.ends_with("[*]") { " [*]" } else { "" };
            let _ = writeln!(text, "    s{upstream} -->|\"{slot}{all}\"| s{index}");
        }
    }
    text
}

fn dot(plan: &Plan, stages: &[Stage<'_>]) -> String {
    let mut text = format!("digraph \"{}\" {{\n    rankdir=LR;\n", plan.pipeline);
    text.push_str("    node [shape=box, style=rounded, fontname=\"sans-serif\"];\n");
    text.push_str("    edge [fontname=\"sans-serif\", fontsize=10];\n");
    for stage in stages {
        let what = stage.what();
        let _ = writeln!(text, "    \"{0}\" [label=\"{0}\\n{what}\"];", stage.name);
    }
    for stage in stages {
        for (slot, edge, upstream) in &stage.edges {
            let all = if edge.ends_with("[*]") { " [*]" } else { "" };
            let from = stages[*upstream].name;
            let _ = writeln!(text, "    \"{from}\" -> \"{}\" [label=\"{slot}{all}\"];", stage.name);
        }
    }
    text.push_str("}\n");
    text
}
