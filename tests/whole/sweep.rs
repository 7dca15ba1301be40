//! Searches: reproducible, cached, resumed after a kill, with the call that gives the best again.

use std::process::Command;

use serde_json::Value;

use crate::bench::{Bench, eventually};

/// The score is best where c is 2 and the loss falls with the steps.
const STUDY: &str = r#"
name = "study"
[stage.data]
kind = "command"
run = "echo 2 > n; echo x >> HERE/data-runs"
outputs = ["n"]
[stage.fit]
kind = "command"
run = "sleep $pause; mkdir m; awk -v n=$(cat data/n) -v c=$c -v steps=$steps 'BEGIN { d = log(c / n); printf \"{\\\"values\\\":{\\\"score\\\":%.9f,\\\"loss\\\":%.9f}}\", 1 - d * d, d * d + 1 / steps }' > m/metrics.json; echo \"$c $steps\" >> HERE/fit-runs"
inputs = ["data"]
outputs = { metrics = { path = "m", type = "metrics" } }
env = { c = 1, steps = 1, pause = "0" }
[stage.after]
kind = "command"
run = "cp fit/metrics.json x"
inputs = ["fit"]
outputs = ["x"]
"#;

/// The programs note in the bench's folder that they ran.
fn study() -> Bench {
    let bench = Bench::new("");
    bench.write("p.toml", &STUDY.replace("HERE", bench.path("").to_str().unwrap()));
    bench
}

const OVER: &str = "stage.fit.env.c=log-uniform(0.01, 100)";

fn sweep(bench: &Bench, more: &[&str]) -> Value {
    let said = bench.sconce(&[&["sweep", "p.toml", "--json"], more].concat());
    assert_eq!(said.code, Some(0), "{}", said.err);
    serde_json::from_str(&said.out).unwrap()
}

/// Trials by number: their settings and values.
fn trials(found: &Value) -> Vec<(u64, String, Vec<f64>)> {
    let mut all: Vec<_> = found["trials"]
        .as_array()
        .unwrap()
        .iter()
        .map(|trial| {
            let results = trial["results"].as_array().unwrap().iter();
            let values = results.map(|one| one["value"].as_f64().unwrap()).collect();
            (trial["trial"].as_u64().unwrap(), trial["sets"].to_string(), values)
        })
        .collect();
    all.sort_by_key(|(number, ..)| *number);
    all
}

fn lines(bench: &Bench, name: &str) -> usize {
    std::fs::read_to_string(bench.path(name)).map_or(0, |text| text.lines().count())
}

#[test]
fn a_random_search_is_reproducible_and_its_trials_are_ordinary_cells() {
    let bench = study();
    let first = sweep(&bench, &["--over", OVER, "--maximise", "fit.score", "--trials", "12"]);
    let found = trials(&first);
    assert_eq!((found.len(), lines(&bench, "fit-runs")), (12, 12));
    assert_eq!(lines(&bench, "data-runs"), 1, "what all share runs once");
    // The score of each is the one of its value, and the best is the nearest to 2.
    let score = |sets: &str| {
        let c: f64 = sets.split('=').nth(1).unwrap().trim_end_matches("\"]").parse().unwrap();
        1.0 - (c / 2.0).ln().powi(2)
    };
    let mut best = f64::MIN;
    for (_, sets, values) in &found {
        assert!((values[0] - score(sets)).abs() < 1e-6, "{sets} {values:?}");
        best = best.max(values[0]);
    }
    assert_eq!(first["best"]["value"], best);
    // Again: all is there. With more trials, the first are the same.
    let again = sweep(&bench, &["--over", OVER, "--maximise", "fit.score", "--trials", "14"]);
    assert_eq!((trials(&again)[..12].to_vec(), lines(&bench, "fit-runs")), (found, 14));
    // A sweep leaves the reasons and the view of the pipeline alone.
    assert!(!bench.path("artifacts").exists());
    let said = bench.run(&[]);
    assert!(said.err.contains("Running fit (") && !said.err.contains("changed"), "{}", said.err);
    // The call that is printed finds the best in the store, also in a run of the whole file.
    let call = first["best"]["command"].as_str().unwrap();
    let call = call.replace("sconce", env!("CARGO_BIN_EXE_sconce"));
    let output = Command::new("sh")
        .args(["-c", &call])
        .current_dir(bench.path(""))
        .env("XDG_CONFIG_HOME", bench.path("none"))
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("1 ran, 2 fresh"), "{said}");
    let runs: Value = serde_json::from_str(&bench.sconce(&["runs", "--json", "-n0"]).out).unwrap();
    let sets = runs["runs"][0]["invocation"]["sets"].to_string();
    assert!(sets.contains("stage.fit.env.c="), "a trial that ran is a run: {sets}");
}

#[test]
fn halving_gives_the_best_a_larger_budget() {
    let bench = study();
    let arguments = [
        "--over",
        OVER,
        "--minimise",
        "fit.metrics.loss",
        "--trials",
        "9",
        "--budget",
        "stage.fit.env.steps=1..9",
    ];
    let found = sweep(&bench, &arguments);
    let trials = trials(&found);
    let rounds =
        |rounds: usize| trials.iter().filter(|(.., values)| values.len() == rounds).count();
    assert_eq!((rounds(1), rounds(2), rounds(3)), (6, 2, 1));
    assert_eq!(lines(&bench, "fit-runs"), 9 + 3 + 1);
    // Those that went on were the best of their round.
    let round = |place: usize| -> Vec<(f64, usize)> {
        let values =
            trials.iter().filter_map(|(.., values)| Some((*values.get(place)?, values.len())));
        let mut values: Vec<_> = values.collect();
        values.sort_by(|a, b| a.0.total_cmp(&b.0));
        values
    };
    assert!(round(0)[..3].iter().all(|(_, rounds)| *rounds > 1), "{:?}", round(0));
    assert_eq!(round(1)[0].1, 3);
    assert_eq!(found["best"]["budget"], 9);
    let text = bench.sconce(&[&["sweep", "p.toml"], &arguments[..]].concat());
    assert!(text.err.contains("stage.fit.env.steps 1 → 3 → 9"), "{}", text.err);
    assert!(text.out.contains("--set stage.fit.env.steps=9"), "{}", text.out);
    assert_eq!(lines(&bench, "fit-runs"), 13);
}

#[test]
fn a_killed_sweep_goes_on_with_the_same_trials() {
    let arguments = [
        "--over",
        OVER,
        "--over",
        "stage.fit.env.steps=choice(1, 2, 4)",
        "--maximise",
        "fit.score",
        "--trials",
        "8",
        "--seed",
        "5",
        "--set",
        "stage.fit.env.pause=0.2",
    ];
    let whole = study();
    let expected = trials(&sweep(&whole, &arguments));
    let bench = study();
    let mut child = bench.start(&[&["sweep", "p.toml", "--jobs", "1"], &arguments[..]].concat());
    eventually("three trials are done", || lines(&bench, "fit-runs") >= 3);
    child.kill().unwrap();
    child.wait().unwrap();
    let cached = |found: &Value| {
        let all = found["trials"].as_array().unwrap().clone();
        all.iter().filter(|trial| trial["results"][0]["cached"] == true).count()
    };
    let found = sweep(&bench, &arguments);
    assert_eq!(trials(&found), expected);
    assert!((2..8).contains(&cached(&found)), "{found}");
    assert_eq!(cached(&sweep(&bench, &arguments)), 8);
}

#[test]
fn what_is_wrong_is_told_before_anything_runs_and_failed_trials_are_trials() {
    let bench = study();
    for (arguments, expected) in [
        (&["--over", OVER][..], "--maximise"),
        (
            &["--over", "stage.fit.env.c=normal(0, 1)", "--maximise", "fit.score"],
            "no range `normal`",
        ),
        (&["--over", "stage.tif.c=uniform(0, 1)", "--maximise", "fit.score"], "no stage `tif`"),
        (&["--over", OVER, "--maximise", "score"], "expected a metric of one cell"),
        (&["--over", OVER, "--maximise", "fti.score"], "did you mean `fit`?"),
        (&["--over", OVER, "--over", OVER, "--maximise", "fit.score"], "is there twice"),
        (&["--over", OVER, "--maximise", "fit.score", "--plot", "a.pdf"], "--plot"),
        (&["--over", OVER, "--maximise", "fit.score", "--budget", "a=3..1"], "PATH=LEAST..MOST"),
        (
            &["--over", OVER, "--maximise", "fit.score", "--set", "stage.fit.matrix.a=[1, 2]"],
            "`fit` means 2 cells, and a trial has one objective",
        ),
    ] {
        let said = bench.sconce(&[&["sweep", "p.toml"], arguments].concat());
        assert_eq!(said.code, Some(2), "{arguments:?} {}", said.err);
        assert!(said.err.contains(expected), "{arguments:?}: {}", said.err);
    }
    assert_eq!(lines(&bench, "data-runs"), 0);
    let said = bench.sconce(&["sweep", "p.toml", "--over", OVER, "--maximise", "fit.acuracy"]);
    assert_eq!(said.code, Some(2), "{}", said.out);
    assert!(
        said.err.contains("has no metric `acuracy`; there are: `loss`, `score`"),
        "{}",
        said.err
    );
    let text = bench.read("p.toml").replace("sleep $pause", "test $c -lt 3");
    bench.write("p.toml", &text);
    let over = ["--over", "stage.fit.env.c=integer(1, 4)", "--maximise", "fit.score"];
    let said = bench.sconce(&[&["sweep", "p.toml"], &over[..]].concat());
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.err.contains("4 trials, seed 0: there are no more"), "{}", said.err);
    assert_eq!(said.err.matches("Failed trial").count(), 2, "{}", said.err);
    assert!(said.out.contains("failed") && said.out.contains("Best trial"), "{}", said.out);
    assert!(said.err.contains("its parameters do not tell"), "{}", said.err);
}
