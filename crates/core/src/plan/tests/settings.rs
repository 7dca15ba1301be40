//! Several values in a setting: the plan of the file written by hand, and what is refused.

use super::{errors, plan};
use crate::Digest;
use crate::plan::Plan;

const STUDY: &str = r#"
[vars]
tap = "b"
[stage.images]
kind = "images"
count = 3
[stage.features]
kind = "extract"
images = "images"
layer = "$tap"
[stage.svm]
kind = "train"
features = "features"
c = 5
[stage.report]
kind = "report"
rows = "svm[*]"
[stage.each]
kind = "report"
rows = "svm"
[profile.swept.stage.svm]
matrix.c = [7, 8]
"#;

/// The cells with their keys, where every input's content is its source's name.
fn cells(plan: &Plan) -> Vec<String> {
    let digest = |upstream, source: &crate::plan::Source| {
        Ok(Digest::of(format!("{}.{}", plan[upstream].id, source.output).as_bytes()))
    };
    plan.indices()
        .map(|cell| {
            let key = plan.key_parts(cell, digest, None).unwrap().key();
            format!("{} {}", plan[cell].id, key.short())
        })
        .collect()
}

fn same(set: &[&str], stage: &str, from: &str, to: &str) {
    let by_hand = STUDY.replace(from, to);
    assert_ne!(by_hand, STUDY, "{from}");
    let (swept, by_hand) = (plan(STUDY, set).unwrap(), plan(&by_hand, &[]).unwrap());
    assert_eq!(cells(&swept), cells(&by_hand), "{set:?}");
    assert!(swept.of_stage(stage).count() > 1);
}

#[test]
fn several_values_are_the_axis_written_by_hand() {
    same(&["stage.svm.c=1,10,100"], "each", "c = 5", "matrix.c = [1, 10, 100]");
    same(&["stage.svm.c = 0.5 , 2e1"], "svm", "c = 5", "matrix.c = [0.5, 20.0]");
    same(&["stage.features.layer=a,b"], "svm", "layer = \"$tap\"", "matrix.layer = ['a', 'b']");
    same(
        &["stage.features.layer='a',$tap"],
        "svm",
        "layer = \"$tap\"",
        "matrix.layer = ['a', '$tap']",
    );
    same(
        &[
            "stage.features.crop={ centre = { side = 3, shift = 1 } },{ centre = { side = 4, shift = 1 } }",
        ],
        "svm",
        "layer = \"$tap\"",
        "layer = '$tap'\nmatrix.crop = [{ centre = { side = 3, shift = 1 } }, { centre = { side = 4, shift = 1 } }]",
    );
    same(
        &["stage.images.sources=['x', 'y'],[]"],
        "svm",
        "count = 3",
        "count = 3\nmatrix.sources = [['x', 'y'], []]",
    );
    same(&["stage.svm.seed=1,2"], "svm", "c = 5", "c = 5\nmatrix.seed = [1, 2]");
    same(&["stage.svm.matrix.c=1,2"], "svm", "c = 5", "matrix.c = [1, 2]");
    // In place of an axis that is there, and one for each of two stages.
    let names = |options: &[&str]| {
        let plan = plan(STUDY, options).unwrap();
        plan.of_stage("svm").map(|cell| plan[cell].id.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names(&["+swept", "stage.svm.c=1,2"]), ["svm[c=1]", "svm[c=2]"]);
    assert_eq!(names(&["stage.svm.c=1,2", "stage.features.layer=a,b"]).len(), 4);
    assert_eq!(names(&["stage.svm.c=1,2", "stage.svm.c=3"]), ["svm"], "the last word counts");
}

#[test]
fn one_value_stays_one() {
    let sources = |set: &str| {
        let plan = plan(STUDY, &[set]).unwrap();
        plan[plan.of_stage("images").next().unwrap()].parameters["sources"].clone()
    };
    assert_eq!(sources("stage.images.sources=['x', 'y']"), serde_json::json!(["x", "y"]));
    assert_eq!(sources("stage.images.sources=['x,y']"), serde_json::json!(["x,y"]));
    let title = |set: &str| {
        let plan = plan(STUDY, &[set]).unwrap();
        assert_eq!(plan.of_stage("images").count(), 1, "{set}");
        plan[plan.of_stage("images").next().unwrap()].parameters["title"].clone()
    };
    assert_eq!(title("stage.images.title=it's one"), "it's one");
    assert_eq!(title("stage.images.title=\"a, b\""), "a, b");
    assert_eq!(title("stage.images.title=f(a, b)"), "f(a, b)");
}

#[test]
fn what_could_be_two_things_is_refused_where_it_stands() {
    for (set, expected) in [
        ("stage.images.title=a, b", "--set:1:23: this could be one text with a comma or several"),
        ("stage.images.title=one word,b", "--set:1:20: this could be one text with a comma"),
        ("stage.images.sources=x,y", "--set:1:22: `sources` takes a list: this could be one list"),
        ("stage.images.sources=['x'],y", "--set:1:28: `sources` takes a list"),
        ("stage.svm.c=1,,2", "--set:1:15: expected a value beside the comma"),
        ("stage.svm.c=1,2,", "--set:1:17: expected a value beside the comma"),
        ("stage.svm.c=1,1", "--set:1:15: axis `c` has this value twice"),
        ("stage.svm.c=1,x", "--set:1:15: `c`: expected a number, found string"),
        ("vars.tap=a,b", "--set:1:10: variable `tap` may stand in several stages"),
        ("seed=1,2", "--set:1:6: `seed` holds for the whole file"),
        ("defaults.extract.layer=a,b", "`defaults` holds for the whole file"),
        ("stage.svm=1,2", "--set:1:11: several values need a parameter of a stage"),
        ("stage.svm.kind=train,report", "`kind` is no parameter, and cannot have several values"),
        ("stage.smv.c=1,2", "--set:1:7: there is no stage `smv`"),
        ("stage.report.c=1,2", "--set:1:14: "),
    ] {
        let found = errors(STUDY, &[set]);
        assert!(found.contains(expected), "{set}\nexpected {expected}\nfound {found}");
    }
}
