//! The page of a written study.

use serde_json::{Value, json};

use super::pictures::animation_cell;
use super::tables::{confusion_cell, curve_cell, metrics, table_cell};
use crate::stages::trial::Cell;

const TEXT: &str = "# Features of *scenes*\n\nRight on {{ best.accuracy | percent(1) }} of {{ best.examples | count }} \
                    images, with C = {{ svm.c }}: {{ ref table.figure }}.\n\n## Which layer?\n\n\
                    {% for row in test[*] %}\n- {{ row.layer | label }}: {{ row.accuracy | decimals(2) }}\n{% endfor %}\n\n\
                    {{ table table.figure }}\n: Each layer.\n\n{{ figure curve }}\n\n{{ figure ascent[*] }}\n: All.\n\n\
                    {% if best.accuracy > 0.9 %}Good.{% else %}Not **good**.{% endif %}\n";

fn cell(text: &str, strict: bool) -> Cell {
    let artifact = |edge: &str| json!({ "artifact": { "slot": format!("text.figure {edge}") } });
    let metric = |name: &str| json!({ "metric": { "slot": "text.best.metrics", "name": name } });
    let stage = json!({ "stage": "images", "kind": "mnist@1", "cells": 1, "seeded": false, "parameters": { "split": "all" } });
    let parameters = json!({
        "strict": strict,
        "labels": { "fire9": "the last layer" },
        "text": { "path": "scenes.md", "content": {
            "text": text,
            "found": {
                "best.accuracy": metric("accuracy"),
                "best.examples": metric("examples"),
                "best.loss": metric("loss"),
                "svm.c": { "value": 0.5 },
                "test[*]": { "rows": { "slot": "text.test[*]", "artifact": "metrics" } },
                "figure table.figure": artifact("table.figure"),
                "figure curve": artifact("curve"),
                "figure ascent[*]": artifact("ascent[*]"),
            },
            "origin": {
                "stage": "study", "pipeline": "scenes", "file": "scenes.toml", "profiles": ["paper"],
                "sets": ["stage.svm.c=0.5"], "sconce": "0.1.0", "seed": 3, "stages": [stage],
            },
        } },
    });
    let animation = animation_cell().figure("animation");
    Cell::new(parameters)
        .with(
            "text.best.metrics",
            "",
            json!({}),
            &metrics(&[("accuracy", 0.8777), ("examples", 2985.0)]),
        )
        .with("text.test[*]", "test", json!({ "layer": "fire5" }), &metrics(&[("accuracy", 0.5)]))
        .with("text.test[*]", "test", json!({ "layer": "fire9" }), &metrics(&[("accuracy", 0.75)]))
        .with("text.figure table.figure", "", json!({}), &table_cell().figure("table"))
        .with("text.figure curve", "", json!({}), &curve_cell().figure("plot"))
        .with("text.figure ascent[*]", "ascent", json!({ "class": "tick" }), &animation)
        .with(
            "text.figure ascent[*]",
            "ascent",
            json!({ "class": "snail" }),
            &confusion_cell().figure("confusion-matrix"),
        )
}

pub(super) fn study_cell() -> Cell {
    cell(TEXT, false)
}

fn page(text: &str) -> String {
    let figure = cell(text, true).figure("study");
    assert_eq!(figure.caption, "Features of scenes");
    String::from_utf8_lossy(&figure.files["study.html"]).into_owned()
}

#[test]
fn a_study_is_one_page_with_values_and_exhibits_in_it() {
    let html = page(TEXT);
    let says = |text: &str| assert!(html.contains(text), "{text}");
    says("<title>Features of scenes</title>");
    says(
        "Right on 87.8\u{a0}% of 2,985 images, with C = 0.5: <a href=\"#table-1\">Table\u{a0}1</a>.",
    );
    says("<li>fire5: 0.50</li>\n<li>the last layer: 0.75</li>");
    says(
        "<figcaption><strong>Table\u{a0}1.</strong> Each layer. <span class=\"note\">SqueezeNet 1.1.",
    );
    says(
        "<p class=\"place\">class = tick</p>\n<div class=\"scroll\"><img src=\"data:image/gif;base64,",
    );
    says("<p>Not <strong>good</strong>.</p>");
    says("sconce run scenes.toml study --profile paper --set stage.svm.c=0.5");
    says("<tr><td>images</td><td>mnist@1</td><td><code>split = all</code></td></tr>");
    assert_eq!(html.matches("<figure").count(), 3);
    // It needs nothing else.
    assert!(!html.contains("<script") && !html.contains("src=\"http") && !html.contains("<link"));
}

#[test]
fn what_only_a_run_tells_fails_at_its_place() {
    let text = "# A\n\n{{ best.loss }} and {{ best.accuracy | count }}";
    assert_eq!(
        cell(text, false).error("study"),
        "scenes.md:3:4: no metric `loss`; there are: accuracy, examples\n  3 | {{ best.loss }} and {{ best.accuracy | count }}\n    |    ^^^^^^^^^"
    );
    let text = "# A\n\n{{ best.accuracy | count }}";
    assert_eq!(
        cell(text, false).error("study"),
        "scenes.md:3:20: expected a whole number, found 0.8777\n  3 | {{ best.accuracy | count }}\n    |                    ^^^^^"
    );
}

#[test]
fn a_number_typed_by_hand_is_found_where_a_value_exists() {
    let text = "# A\n\n{{ best.examples | count }} images, .8777 of them right; {{ test[*] | length }} layers, 75 % at best";
    let said = cell(text, true).error("study");
    let lines: Vec<&str> = said.lines().filter(|line| line.starts_with("scenes.md")).collect();
    assert_eq!(
        lines,
        [
            "scenes.md:3:37: `.8777` is typed by hand, and best.accuracy is 0.8777: write `{{ best.accuracy | decimals(4) }}`",
            "scenes.md:3:89: `75` is typed by hand, and test[layer=fire9].accuracy is 0.75: write `{{ test[layer=fire9].accuracy | percent(0) }}`",
        ]
    );
    assert_eq!(Value::from(cell(text, false).figure("study").caption), "A");
}
