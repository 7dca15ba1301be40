//! Defaults and labels under stages, and where values are from.

use serde_json::{Value, json};

use super::{errors, plan, resolved};

const STUDY: &str = r#"
[vars]
tap = "b"
[defaults.images]
count = 3
sources = ["a"]
[defaults.extract]
images = "images"
layer = "$tap"
pooling = "gap"
[labels]
c = "C"
metrics = "file"
[stage.images]
kind = "images"
[stage.own]
kind = "extract"
pooling = "none"
[stage.axis]
kind = "extract"
matrix.layer = ["x", "y"]
[stage.svm]
kind = "train"
features = "own"
[stage.report]
kind = "report"
rows = "svm"
labels = { metrics = "stage" }
[stage.bare]
kind = "extract"
layer = "a"
unset = ["pooling"]
[profile.small.stage.bare]
unset = ["layer"]
matrix.layer = ["p"]
[profile.small.stage.svm]
unset = ["c"]
[profile.small.defaults.images]
count = 2
[profile.small.defaults.extract]
pooling = "gmp"
layer = "d"
[profile.small.stage.axis]
layer = "z"
"#;

fn parameters(options: &[&str], cell: &str) -> Value {
    let plan = plan(STUDY, options).unwrap();
    plan[plan.select(cell).unwrap()[0]].parameters.clone()
}

#[test]
fn defaults_hold_where_a_stage_says_nothing_whichever_layer_says_it() {
    let images = parameters(&[], "images");
    assert_eq!((&images["count"], &images["sources"]), (&json!(3), &json!(["a"])));
    let pooling = |options: &[&str], cell| parameters(options, cell)["pooling"].clone();
    assert_eq!(pooling(&[], "own"), "none", "a stage over its kind's defaults");
    assert_eq!(pooling(&["+small"], "own"), "none", "also over a profile's defaults");
    assert_eq!(pooling(&["defaults.extract.pooling=gmp"], "own"), "none", "also over a setting's");
    assert_eq!(pooling(&[], "axis[layer=x]"), "gap");
    assert_eq!(pooling(&["+small"], "axis"), "gmp", "a profile's defaults over the file's");
    assert_eq!(pooling(&["+small", "defaults.extract.pooling=none"], "axis"), "none");
    assert_eq!(parameters(&[], "own")["layer"], "b");
    assert_eq!(parameters(&["+small"], "own")["layer"], "d");
}

#[test]
fn one_choice_replaces_another_and_the_same_one_merges() {
    let crop = |options: &[&str]| {
        let set = "defaults.extract.crop={ centre = { side = 3, shift = 1 } }";
        parameters(&[&["+small", set], options].concat(), "axis")["crop"].clone()
    };
    assert_eq!(crop(&[]), json!({ "centre": { "side": 3, "shift": 1 } }));
    assert_eq!(
        crop(&["stage.axis.crop.centre.side=4"]),
        json!({ "centre": { "side": 4, "shift": 1 } })
    );
    assert_eq!(crop(&["stage.axis.crop={ random = {} }"]), json!({ "random": { "side": 0 } }));
    let sets =
        ["stage.axis.crop.centre.side=9", "stage.axis.crop.random={}", "stage.axis.crop.centre={}"];
    let back = json!({ "centre": { "side": 3, "shift": 1 } });
    assert_eq!(crop(&sets), back, "of what was replaced nothing is left but the default");
}

#[test]
fn an_axis_takes_the_place_of_a_default() {
    assert_eq!(parameters(&[], "axis[layer=x]")["layer"], "x");
    assert_eq!(parameters(&["+small"], "axis")["layer"], "z", "and a parameter that of the axis");
}

#[test]
fn what_is_unset_has_the_default_of_the_kind() {
    assert_eq!(parameters(&[], "bare")["pooling"], "none");
    assert_eq!(parameters(&["+small"], "bare[layer=p]")["pooling"], "none");
    assert_eq!(parameters(&["stage.bare.pooling=gmp"], "bare")["pooling"], "gmp", "set anew");
    assert_eq!(parameters(&["stage.svm.c=3", "stage.svm.unset=['c']"], "svm")["c"], 1.0);
}

#[test]
fn labels_of_the_file_lie_under_those_of_a_stage() {
    assert_eq!(parameters(&[], "report")["labels"], json!({ "c": "C", "metrics": "stage" }));
    assert_eq!(parameters(&["labels.c=c"], "report")["labels"]["c"], "c");
}

#[test]
fn a_stage_is_told_with_the_place_of_each_value() {
    let (_, stages) = resolved(STUDY, &["+small", "stage.axis.flip=true"]).unwrap();
    let stage = |name: &str| {
        let text = stages.iter().find(|stage| stage.stage == name).unwrap().to_string();
        let lines = text.lines().map(|line| match (line.split_once("  # "), line.rfind('/')) {
            (Some((value, place)), Some(_)) => {
                let place: Vec<_> = place
                    .split(", ")
                    .map(|at| &at[at.rfind('/').map_or(0, |at| at + 1)..])
                    .collect();
                format!("{}  # {}", value.trim_end(), place.join(", "))
            }
            (Some((value, place)), None) => format!("{}  # {place}", value.trim_end()),
            _ => line.to_owned(),
        });
        lines.collect::<Vec<_>>()
    };
    assert_eq!(
        stage("own"),
        [
            "[stage.own]",
            "kind = \"extract\"  # p.toml:17",
            "images = \"images\"  # p.toml:8",
            "layer = \"d\"  # p.toml:42",
            "pooling = \"none\"  # p.toml:18",
            "flip = false  # by default",
        ]
    );
    let axis = stage("axis");
    assert!(axis.contains(&"flip = true  # --set stage.axis.flip=true".to_owned()), "{axis:?}");
    let (_, stages) = resolved(STUDY, &[]).unwrap();
    let axis = stages.iter().find(|stage| stage.stage == "axis").unwrap().to_string();
    assert!(axis.contains("matrix.layer = [\"x\", \"y\"]"), "{axis}");
    let own = stages.iter().find(|stage| stage.stage == "own").unwrap().to_string();
    let layer = own.lines().find(|line| line.starts_with("layer")).unwrap();
    assert!(layer.contains("p.toml:9, $tap of ") && layer.ends_with("p.toml:3"), "{layer}");
    // What is told is a pipeline's text again.
    assert!(own.parse::<toml::Table>().is_ok(), "{own}");
}

#[test]
fn variables_are_made_of_variables() {
    let text = "[vars]\nall = ['$few', '$$few', '$size']\nfew = ['$size', 1]\nsize = 3\nname = '$$size'\nother = 4\n\
                [stage.i]\nkind = 'images'\ncount = '$size'\n\
                [stage.s]\nkind = 'shell'\nrun = '$name'\n";
    let run = |options: &[&str]| {
        let plan = plan(text, options).unwrap();
        let value =
            |cell: &str, key: &str| plan[plan.select(cell).unwrap()[0]].parameters[key].clone();
        (value("i", "count"), value("s", "run"))
    };
    assert_eq!(run(&[]), (3.into(), "$size".into()));
    assert_eq!(run(&["vars.size=$other", "vars.other=5"]), (5.into(), "$size".into()));
    // Lists of lists grow with every step.
    let mut text = "[vars]\na0 = [1, 2]\n".to_owned();
    (1..60).for_each(|n| text.push_str(&format!("a{n} = ['$a{0}', '$a{0}']\n", n - 1)));
    text.push_str("[stage.i]\nkind = 'images'\ncount = 1\n");
    let said = errors(&text, &[]);
    assert!(
        said.starts_with("p.toml:17:7: variable `a15` holds more than 100,000 values"),
        "{said}"
    );
    // A long chain is no deep one.
    let mut text = "[vars]\na0 = 7\n".to_owned();
    (1..20_000).for_each(|n| text.push_str(&format!("a{n} = '$a{}'\n", n - 1)));
    text.push_str("[stage.i]\nkind = 'images'\ncount = '$a19999'\n");
    let long = plan(&text, &[]).unwrap();
    assert_eq!(long[long.select("i").unwrap()[0]].parameters["count"], 7);
}
