//! Texts that carry parameters: what is put in, and what becomes an edge.

use serde_json::Value;

use super::plan;
use crate::Digest;

const STUDY: &str = r#"
seed = 7
[vars]
count = 40
[defaults.report]
caption = "{scale}; {{as it is}}"
[stage.first]
kind = "report"
rows = "svm[*]"
scale = 2.5
caption = "{svm.c} of {images.count} ({$count}), seed {seed}, {scale:.2}; {svm.flip}"
labels = { svm = "C = {svm.c}" }
[stage.images]
kind = "images"
count = "$count"
[stage.features]
kind = "extract"
images = "images"
matrix.layer = ["a", "b"]
[stage.svm]
kind = "train"
features = "features"
c = 0.15
[stage.by-layer]
kind = "report"
rows = "svm"
caption = "{features.layer}: {svm.accuracy:%}, at {features[layer=b].layer} {svm[layer=b].metrics.accuracy}"
[stage.own]
kind = "report"
rows = "svm[*]"
"#;

fn caption(cell: &str) -> Value {
    let plan = plan(&STUDY.replace("; {svm.flip}", ""), &[]).unwrap();
    let cell = &plan[plan.select(cell).unwrap()[0]];
    assert_eq!(
        cell.parameters["caption"], cell.key_parameters.differing["caption"],
        "it is in the key"
    );
    cell.parameters["caption"].clone()
}

#[test]
fn parameters_variables_and_the_seed_are_put_in() {
    assert_eq!(caption("first"), "0.15 of 40 (40), seed 7, 2.50");
    assert_eq!(caption("own"), "1; {as it is}", "with the kind's own default");
    let plan = plan(&STUDY.replace("; {svm.flip}", ""), &[]).unwrap();
    let first = plan.of_stage("first").next().unwrap();
    assert_eq!(plan[first].parameters["labels"]["svm"], "C = 0.15");
    assert_eq!(plan.sources(first).len(), 2, "a parameter is no edge");
}

#[test]
fn a_metric_is_an_input_by_content_and_does_not_multiply_cells() {
    let plan = plan(&STUDY.replace("; {svm.flip}", ""), &[]).unwrap();
    let cells: Vec<_> = plan.of_stage("by-layer").collect();
    assert_eq!(cells.len(), 2);
    let source = |place: usize, slot: &str| {
        let sources = plan.sources(cells[place]);
        let (cell, source) = sources.iter().find(|(_, source)| &*source.slot == slot).unwrap();
        format!("{}.{}", plan[*cell].id, source.output)
    };
    assert_eq!(source(0, "{svm.metrics}"), "svm[layer=a].metrics");
    assert_eq!(source(1, "{svm.metrics}"), "svm[layer=b].metrics");
    assert_eq!(source(0, "{svm[layer=b].metrics}"), "svm[layer=b].metrics");
    let text = "a: {svm.metrics.accuracy:%}, at b {svm[layer=b].metrics.accuracy}";
    assert_eq!(plan[cells[0]].parameters["caption"], text);
    let key = |content: &[u8]| {
        plan.key_parts(cells[0], |_, _| Ok(Digest::of(content)), None).unwrap().key()
    };
    assert_ne!(key(b"1"), key(b"2"));
}
