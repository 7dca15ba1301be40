//! Good files: their cells, keys and edges.

use serde_json::json;

use super::plan;
use crate::Digest;
use crate::plan::{CellIndex, Plan, Source};

const STUDY: &str = r#"
name = "study"
seed = 7

[vars]
c = 2

[stage.images]
kind = "images"
count = 3

[stage.features]
kind = "extract"
images = "images"
matrix.layer = ["b", "a"]

[stage.svm]
kind = "train"
features = "features"
c = "$c"
matrix.validation = ["features[layer=a]", "features[layer=b]"]

[stage.report]
kind = "report"
rows = "svm[*]"

[stage.by-layer]
kind = "report"
rows = "svm.metrics[layer=b]"

[profile.big.stage.images]
count = 1000

[profile.bigger]
extends = "big"
stage.images.title = "big"

[profile.one.stage.features]
layer = "b"

[profile.one.stage.svm]
validation = "features"

[profile.one.stage.by-layer]
rows = "svm[*]"
"#;

fn at(place: usize) -> CellIndex {
    CellIndex::new(place)
}

fn names(plan: &Plan) -> Vec<String> {
    plan.cells().map(|(_, cell)| cell.id.to_string()).collect()
}

fn sources(plan: &Plan, cell: &str, slot: &str) -> Vec<String> {
    let [cell] = plan.select(cell).unwrap()[..] else { panic!("{cell} is one cell") };
    let name = |(upstream, source): (CellIndex, &Source)| {
        let from = source.from.as_ref().map(|from| format!(" as {from}")).unwrap_or_default();
        (*source.slot == *slot).then(|| format!("{}.{}{from}", plan[upstream].id, source.output))
    };
    plan.sources(cell).into_iter().filter_map(name).collect()
}

#[test]
fn axes_flow_join_and_gather() {
    let plan = plan(STUDY, &[]).unwrap();
    assert_eq!(
        names(&plan),
        [
            "images",
            "features[layer=b]",
            "features[layer=a]",
            "svm[layer=b,validation=features[layer=a]]",
            "svm[layer=a,validation=features[layer=a]]",
            "svm[layer=b,validation=features[layer=b]]",
            "svm[layer=a,validation=features[layer=b]]",
            "report",
            "by-layer[validation=features[layer=a]]",
            "by-layer[validation=features[layer=b]]",
        ]
    );
    assert_eq!(
        sources(&plan, "svm[layer=b,validation=features[layer=a]]", "validation"),
        ["features[layer=a].features"]
    );
    assert_eq!(sources(&plan, "report", "rows").len(), 4);
    assert_eq!(
        sources(&plan, "by-layer[validation=features[layer=a]]", "rows"),
        ["svm[layer=b,validation=features[layer=a]].metrics as svm[layer=b]"]
    );
}

#[test]
fn parameters_are_hashed_without_defaults_and_inputs() {
    let plan = plan(STUDY, &[]).unwrap();
    assert_eq!(plan[at(0)].key_parameters.differing, json!({ "count": 3 }));
    assert_eq!(plan[at(0)].key_parameters.defaults, json!({ "sources": [] }));
    assert_eq!(plan[at(3)].key_parameters.differing, json!({ "c": 2.0 }));
    assert_eq!(
        plan[at(3)].parameters,
        json!({ "features": "features", "validation": "validation", "c": 2.0 })
    );
    // Only the kind that is seeded has a seed, which the stage's name and the pipeline's seed give.
    assert!(plan[at(0)].seed.is_none());
    assert_eq!(plan[at(3)].seed, Some(crate::random::stage_seed(7, "svm")));
    assert_eq!(plan[at(3)].seed, plan[at(4)].seed);
}

#[test]
fn profiles_and_settings_replace_parameters_and_axes() {
    let count = |options: &[&str]| {
        plan(STUDY, options).unwrap()[at(0)].key_parameters.differing["count"].clone()
    };
    assert_eq!(count(&["+big"]), json!(1000));
    assert_eq!(count(&["+big", "stage.images.count=5"]), json!(5));
    assert_eq!(count(&["+bigger"]), json!(1000), "what it extends");
    // A parameter takes the place of the axis of its name, and the other way round.
    let one = plan(STUDY, &["+one", "stage.svm.matrix.c=[1, 10]"]).unwrap();
    let svm: Vec<_> = names(&one).into_iter().filter(|name| name.starts_with("svm")).collect();
    assert_eq!(svm, ["svm[c=1]", "svm[c=10]"]);
    // A bare word is a string.
    let bare = plan(STUDY, &["+one", "stage.features.layer=fire9"]).unwrap();
    assert_eq!(bare[at(1)].key_parameters.differing["layer"], json!("fire9"));
    let with_variable = plan(STUDY, &["vars.c=0.5"]).unwrap();
    assert_eq!(with_variable[at(3)].key_parameters.differing["c"], json!(0.5));
}

#[test]
fn keys_change_with_what_decides_the_result_and_with_nothing_else() {
    let key = |text: &str, cell: usize| {
        let plan = plan(text, &[]).unwrap();
        plan.key_parts(at(cell), |_, _| Ok(Digest::of(b"input")), None).unwrap().key()
    };
    let svm = 3;
    let base = key(STUDY, svm);
    let with = |from: &str, to: &str| {
        assert!(STUDY.contains(from), "{from}");
        key(&STUDY.replace(from, to), svm)
    };
    assert_eq!(base, with("c = \"$c\"", "c = 2.0"));
    assert_eq!(base, with("count = 3", "count = 3\ntitle = \"x\""));
    assert_eq!(base, with("count = 3", "count = 4"), "inputs count by content alone");
    assert_ne!(base, with("c = 2", "c = 3"));
    assert_ne!(base, with("seed = 7", "seed = 8"));
    assert_eq!(key(STUDY, 0), key(&STUDY.replace("seed = 7", "seed = 8"), 0));
    assert_eq!(key(STUDY, 0), key(&STUDY.replace("count = 3", "count = 3\ntitle = \"x\""), 0));
    assert_ne!(key(STUDY, 0), key(&STUDY.replace("count = 3", "count = 4"), 0));
}

#[test]
fn free_axes_are_part_of_the_key_and_a_seed_can_be_an_axis() {
    let text = r#"
        [stage.shell]
        kind = "shell"
        run = "$$HOME"
        matrix.n = [1, 2]
        [stage.images]
        kind = "images"
        count = 1
        [stage.features]
        kind = "extract"
        images = "images"
        layer = "a"
        [stage.svm]
        kind = "train"
        features = "features"
        matrix.seed = [1, 2]
    "#;
    let plan = plan(text, &[]).unwrap();
    assert_eq!(plan.pipeline, "p");
    assert_eq!(plan[at(0)].key_parameters.differing["run"], json!("$HOME"));
    let key =
        |cell: usize| plan.key_parts(at(cell), |_, _| Ok(Digest::of(b"")), None).unwrap().key();
    assert_ne!(key(0), key(1));
    let svm: Vec<_> = plan.of_stage("svm").map(|cell| &plan[cell]).collect();
    assert_eq!(svm[0].id.to_string(), "svm[seed=1]");
    assert_eq!(svm[0].seed, Some(crate::random::stage_seed(1, "svm")));
    assert_ne!(svm[0].seed, svm[1].seed);
}

const NAMED: &str = r#"
[stage.images]
kind = "images"
sources = ["s"]
matrix.size = { few = { count = 1 }, many = { count = 9, sources = ["a", "b"] } }
[stage.features]
kind = "extract"
images = "images"
layer = "x"
[stage.svm]
kind = "train"
features = "features"
matrix.c = [1, 10, 100]
[stage.report]
kind = "report"
rows = "svm.metrics[c=100|1.0,size=few]"
[stage.shell]
kind = "shell"
run = "x"
matrix."inputs.a" = ["images[size=few]", "images[size=many]"]
[profile.more.stage.images]
matrix.size.most = { count = 100 }
[profile.one.stage.shell]
inputs.a = "images[size=few]"
"#;

#[test]
fn a_named_value_sets_several_parameters() {
    let plan = plan(NAMED, &["+more"]).unwrap();
    let cells: Vec<_> = plan.of_stage("images").map(|cell| &plan[cell]).collect();
    let images =
        |place: usize| (cells[place].id.to_string(), &cells[place].key_parameters.differing);
    assert_eq!(images(0), ("images[size=few]".into(), &json!({ "count": 1, "sources": ["s"] })));
    assert_eq!(images(1).1, &json!({ "count": 9, "sources": ["a", "b"] }));
    assert_eq!(images(2).0, "images[size=most]");
    assert!(names(&plan).contains(&"svm[size=many,c=10]".to_owned()), "the name flows downstream");
}

#[test]
fn an_edge_takes_several_values_in_the_order_in_which_they_are_written() {
    let plan = plan(NAMED, &[]).unwrap();
    assert_eq!(
        sources(&plan, "report", "rows"),
        [
            "svm[size=few,c=100].metrics as svm[size=few,c=100]",
            "svm[size=few,c=1].metrics as svm[size=few,c=1]"
        ]
    );
    let selected = plan.select("svm[c=10|1]").unwrap();
    assert_eq!(selected.len(), 4);
}

#[test]
fn an_axis_can_go_over_a_field_in_a_table() {
    let plan = plan(NAMED, &[]).unwrap();
    let cell = "shell[inputs.a=images[size=many]]";
    assert_eq!(sources(&plan, cell, "inputs.a"), ["images[size=many].images"]);
    let one = super::plan(NAMED, &["+one"]).unwrap();
    assert!(names(&one).contains(&"shell".to_owned()), "a field takes the axis' place");
}
