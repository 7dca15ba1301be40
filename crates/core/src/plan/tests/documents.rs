//! Documents: what texts beside the pipeline file refer to.

use serde_json::{Value, json};

use super::beside;
use crate::Digest;
use crate::plan::Plan;
use crate::text::Diagnostics;

const PIPELINE: &str = r#"
seed = 7
[stage.page]
kind = "page"
text = "page.md"
[stage.images]
kind = "images"
count = 40
[stage.features]
kind = "extract"
images = "images"
matrix.layer = ["a", "b"]
[stage.svm]
kind = "train"
features = "features"
c = 0.15
[profile.paper.stage.svm]
c = 2
"#;

fn plan(text: &str, options: &[&str]) -> Result<Plan, Diagnostics> {
    beside(PIPELINE, options, &[("page.md", text)]).map(|(plan, _)| plan)
}

/// What is wrong with a page, with the folder taken out.
fn wrong(text: &str) -> String {
    let said = plan(text, &[]).err().expect("something is wrong").to_string();
    let folder = said.split("page.md").next().unwrap_or_default().to_owned();
    said.replace(&folder, "")
}

fn content(plan: &Plan) -> Value {
    let page = plan.of_stage("page").next().unwrap();
    plan[page].parameters["text"]["content"].clone()
}

#[test]
fn what_is_known_is_put_in_and_what_a_run_tells_becomes_an_edge() {
    let text = "c = <svm.c%>, <images.count>, <seed>; <svm[layer=b].accuracy>, <svm[*]>, <model svm[layer=b]>\n\
                <svm[layer=b].metrics.accuracy>";
    let plan = plan(text, &[]).unwrap();
    let content = content(&plan);
    assert_eq!(content["text"], text);
    let metric = json!({ "metric": { "slot": "text.svm[layer=b].metrics", "name": "accuracy" } });
    assert_eq!(
        content["found"],
        json!({
            "svm.c": { "value": 0.15 },
            "images.count": { "value": 40 },
            "seed": { "value": 7 },
            "svm[layer=b].accuracy": metric,
            "svm[layer=b].metrics.accuracy": metric,
            "svm[*]": { "rows": { "slot": "text.svm[*]", "artifact": "metrics" } },
            "model svm[layer=b]": { "artifact": { "slot": "text.model svm[layer=b]" } },
        })
    );
    let cells: Vec<_> = plan.of_stage("page").collect();
    assert_eq!(cells.len(), 1, "a text multiplies no cells");
    let sources = plan.sources(cells[0]);
    let edges: Vec<String> = sources
        .iter()
        .map(|(cell, source)| {
            let from = source.from.as_ref().map(|from| format!(" as {from}")).unwrap_or_default();
            format!("{}: {}.{}{from}", source.slot, plan[*cell].id, source.output)
        })
        .collect();
    assert_eq!(
        edges,
        [
            "text.svm[layer=b].metrics: svm[layer=b].metrics",
            "text.svm[*]: svm[layer=a].metrics as svm[layer=a]",
            "text.svm[*]: svm[layer=b].metrics as svm[layer=b]",
            "text.model svm[layer=b]: svm[layer=b].model",
        ]
    );
    let stages: Vec<_> = content["origin"]["stages"].as_array().unwrap().to_vec();
    assert_eq!(stages.len(), 3, "the page itself is not upstream of it");
    assert_eq!(
        stages[0],
        json!({
            "stage": "images", "kind": "images@1", "cells": 1, "seeded": false, "parameters": { "count": 40 }
        })
    );
    assert_eq!(stages[2], json!({ "stage": "svm", "kind": "train@1", "cells": 2, "seeded": true }));
}

#[test]
fn the_text_is_part_of_the_key_and_its_path_is_not() {
    let key = |pipeline: &str, options: &[&str], file: &str, text: &str| {
        let (plan, _) = beside(pipeline, options, &[(file, text)]).unwrap();
        let page = plan.of_stage("page").next().unwrap();
        let parts = plan.key_parts(page, |_, _| Ok(Digest::of(b"1")), None).unwrap();
        assert!(parts.parameters["text"].as_str().unwrap().starts_with("blake3:"));
        parts.key()
    };
    let same = key(PIPELINE, &[], "page.md", "<svm.c>");
    assert_eq!(key(&PIPELINE.replace("page.md", "other.md"), &[], "other.md", "<svm.c>"), same);
    assert_ne!(key(PIPELINE, &[], "page.md", "<svm.c> "), same);
    assert_ne!(key(&PIPELINE.replace("0.15", "0.16"), &[], "page.md", "<svm.c>"), same);
}

#[test]
fn places_for_another_profile_refer_to_nothing() {
    let text = "<svm.c> <paper:nothing.there>";
    assert_eq!(content(&plan(text, &[]).unwrap())["found"], json!({ "svm.c": { "value": 0.15 } }));
    let said = plan(text, &["+paper"]).err().unwrap().to_string();
    assert!(said.contains("page.md:1:16: there is no stage or parameter `nothing`"), "{said}");
    let paper = plan("<paper:svm.c>", &["+paper"]).unwrap();
    assert_eq!(content(&paper)["found"], json!({ "svm.c": { "value": 2.0 } }));
    assert_eq!(content(&paper)["origin"]["profiles"], json!(["paper"]));
}

#[test]
fn what_is_wrong_has_its_place_in_the_text() {
    for (text, said) in [
        (
            "ä\n  <imags.count>",
            "page.md:2:4: there is no stage or parameter `imags`\n  help: did you mean `images`?",
        ),
        (
            "<images.cont>",
            "page.md:1:2: kind `images` has no parameter `cont`\n  help: did you mean `count`?",
        ),
        (
            "<svm>",
            "page.md:1:2: `svm` is a stage: expected what of it, such as `{svm.NAME}`\n  help: parameters: `c`",
        ),
        (
            "<model images>",
            "page.md:1:8: `text.model images` wants a model, but output `images` of stage `images` is an image set\n  note: stage `images` is of kind `images`",
        ),
        (
            "<model svn[*]>",
            "page.md:1:8: `text.model svn[*]`: there is no stage `svn`\n  help: did you mean `svm`?",
        ),
        (
            "<svm[layr=a].accuracy>",
            "page.md:1:2: `text.svm[layr=a].metrics`: stage `svm` has no axis `layr`\n  help: did you mean `layer`?",
        ),
        (
            "<svm[layer=c].accuracy>",
            "page.md:1:2: `text.svm[layer=c].metrics`: axis `layer` has no value `c`\n  help: values: `a`, `b`",
        ),
        (
            "<svm.accuracy>",
            "page.md:1:2: `text.svm.metrics`: stage `svm` has 2 cells\n  help: select one, such as `svm[layer=a]`, or all with [*]",
        ),
        (
            "<features.layer>",
            "page.md:1:2: it is \"a\" in `features[layer=a]` and \"b\" in `features[layer=b]`\n  help: select a cell: `{features[layer=a].layer}`",
        ),
        (
            "<features[layer=a].layer%>",
            "page.md:1:2: expected a number, and `features[layer=a].layer` is \"a\"",
        ),
        (
            "<model svm[layer]>",
            "page.md:1:8: expected an edge such as `stage`, `stage.output`, `stage[*]` or `stage[axis=value]`",
        ),
        ("a\nb <svm", "page.md:2:3: expected `>`\n  help: close it"),
    ] {
        assert_eq!(wrong(text), said, "{text}");
    }
}

#[test]
fn a_text_that_cannot_be_read_is_an_error_of_the_pipeline_file() {
    let said = beside(PIPELINE, &[], &[]).err().unwrap().to_string();
    assert!(
        said.contains("p.toml:5:8: `text`: cannot read ") && said.contains("page.md: No such file"),
        "{said}"
    );
    assert!(said.contains("help: a path is relative to the folder of the pipeline file"), "{said}");
}
