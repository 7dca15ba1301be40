//! Results side by side, and what was run when.

use serde_json::Value;

use crate::bench::{Bench, eventually, signal};

/// Metrics that follow from the parameters, a figure, and a profile.
const STUDY: &str = r#"
name = "study"
[vars]
base = "2"
[stage.data]
kind = "command"
run = "echo $base > n"
outputs = ["n"]
env = { base = "$base" }
[stage.fit]
kind = "command"
run = "mkdir m; awk -v n=$(cat data/n) -v c=$c 'BEGIN { printf \"{\\\"values\\\":{\\\"score\\\":%.9f,\\\"rows\\\":3}}\", n / (1 + c) }' > m/metrics.json; echo \"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'><title>$c</title></svg>\" > a.svg"
inputs = ["data"]
outputs = { metrics = { path = "m", type = "metrics" }, picture = "a.svg" }
matrix.c = [1, 10, 100]
matrix.way = ["slow", "quick"]
[stage.rest]
kind = "command"
run = "cat rows/*/* > all"
inputs = { rows = "fit.metrics[*]" }
outputs = ["all"]
[profile.more]
vars.base = "6"
[profile.most]
extends = "more"
stage.fit.matrix.c = [1, 1000]
"#;

fn compare(bench: &Bench, more: &[&str]) -> String {
    let said = bench.sconce(&[&["compare", "p.toml"], more].concat());
    assert_eq!(said.code, Some(0), "{}", said.err);
    said.out
}

fn json(bench: &Bench, more: &[&str]) -> Value {
    serde_json::from_str(&compare(bench, &[more, &["--format", "json"]].concat())).unwrap()
}

/// The rows of CSV, without durations.
fn csv(bench: &Bench, more: &[&str]) -> Vec<String> {
    let text = compare(bench, &[more, &["--format", "csv"]].concat());
    text.split("\r\n").filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[test]
fn cells_are_compared_by_what_differs() {
    let bench = Bench::new(STUDY);
    bench.run(&[]);
    let all = csv(&bench, &["--columns", "c,way,score", "fit"]);
    let expected = [
        "c,way,score",
        "1,slow,1.0",
        "1,quick,1.0",
        "10,slow,0.181818182",
        "10,quick,0.181818182",
        "100,slow,0.01980198",
        "100,quick,0.01980198",
    ];
    assert_eq!(all, expected);
    // `rows` is the same everywhere, and so it is no column; it can be asked for.
    let heads = csv(&bench, &[])[0].clone();
    assert_eq!(heads, "c,way,score,seconds");
    assert_eq!(csv(&bench, &["fit[c=1]", "--columns", "rows"]), ["rows", "3.0", "3.0"]);
    let some = csv(
        &bench,
        &["--where", "score < 0.5 and not way = quick", "--sort=-score,c", "--columns", "c"],
    );
    assert_eq!(some, ["c", "10", "100"]);
    let first = csv(&bench, &["--sort", "score", "--limit", "1", "--columns", "c"]);
    assert_eq!(first, ["c", "100"]);
    let text = compare(&bench, &["fit[way=slow]"]);
    assert!(text.contains("0.0198") && !text.contains("way"), "{text}");
    let markdown = compare(&bench, &["fit[way=slow]", "--columns", "c,score", "--format=markdown"]);
    let expected = "| c | score |\n| --: | --: |\n| 1 | 1.0000 |\n| 10 | 0.1818 |\n";
    assert!(markdown.starts_with(expected), "{markdown}");
}

#[test]
fn profiles_variants_and_what_did_not_run() {
    let bench = Bench::new(STUDY);
    bench.run(&[]);
    bench.run(&["--profile", "more"]);
    let found = json(&bench, &["--base", "--profile", "most", "fit[way=slow]"]);
    let rows = found["rows"].as_array().unwrap();
    let row = |row: &Value| {
        let text = |value: &Value| value.to_string().replace('"', "");
        [&row["set"]["profile"], &row["parameters"]["c"], &row["state"], &row["metrics"]["score"]]
            .map(text)
            .join(" ")
    };
    let rows: Vec<String> = rows.iter().map(row).collect();
    let expected = [
        "(none) 1 fresh 1.0",
        "(none) 10 fresh 0.181818182",
        "(none) 100 fresh 0.01980198",
        // What the other profile computed is there under its key, and nothing is run.
        "most 1 fresh 3.0",
        "most 1000 not run null",
    ];
    assert_eq!(rows, expected);
    // The stage that makes the difference stands there, too.
    let columns = found["columns"].to_string();
    assert!(columns.contains("data.env.base"), "{columns}");
    let said = bench.sconce(&["compare", "p.toml", "--profile", "most", "--profile", "more"]);
    assert!(said.out.contains("not in the store: `sconce run`"), "{}", said.out);
    assert!(said.out.contains("not run"), "{}", said.out);
    let again = bench.run(&[]);
    assert!(again.err.contains("nothing to do"), "{}", again.err);

    let variants = ["--variant", "vars.base=6", "--variant", "vars.base=2; stage.fit.matrix.c=[1]"];
    let rows = csv(
        &bench,
        &[&variants[..], &["fit[way=slow,c=1]", "--columns", "variant,score"]].concat(),
    );
    assert_eq!(
        rows,
        ["variant,score", "vars.base=6,3.0", "vars.base=2; stage.fit.matrix.c=[1],1.0"]
    );
    let rows = csv(&bench, &[&variants[..], &["--where", "c=1", "--columns", "score"]].concat());
    assert_eq!(rows, ["score", "3.0", "3.0", "1.0", "1.0"]);
}

#[test]
fn runs_are_listed_and_compared_as_they_were() {
    let bench = Bench::new(STUDY);
    bench.run(&["fit"]);
    bench.run(&["--set", "vars.base=4", "fit[c=1]"]);
    let listed = bench.sconce(&["runs"]);
    assert_eq!(listed.code, Some(0), "{}", listed.err);
    let lines: Vec<&str> = listed.out.lines().collect();
    assert!(lines[1].contains("succeeded") && lines[1].contains("7 ran"), "{}", listed.out);
    assert!(lines[2].contains("--set vars.base=4 'fit[c=1]'"), "{}", listed.out);
    let runs: Value =
        serde_json::from_str(&bench.sconce(&["runs", "p.toml", "--json"]).out).unwrap();
    assert_eq!(runs["runs"][1]["invocation"]["sets"][0], "vars.base=4");
    assert_eq!(runs["runs"][0]["commit"], Value::Null, "there is no repository");
    let one = bench.sconce(&["runs", "2"]).out;
    assert!(one.contains("fit[c=1,way=quick]") && one.contains("ran"), "{one}");
    // The file may change: a run stays what it was.
    bench.write("p.toml", &STUDY.replace("n / (1 + c)", "7"));
    let rows = csv(&bench, &["1", "2", "--where", "c=1 and way=slow", "--columns", "run,score"]);
    assert_eq!(rows, ["run,score", "1,1.0", "2,2.0"]);
    let at = bench.sconce(&["compare", "p.toml@1", "2", "fit", "--sort", "run", "--format", "csv"]);
    assert_eq!(at.out.lines().count(), 9, "{}{}", at.out, at.err);
    // What cannot be meant is said.
    bench.write("p.toml", STUDY);
    for (arguments, message) in [
        (&["p.toml@3"][..], "there is no run 3"),
        (&["p.toml@1", "1"], "run 1 is there twice"),
        (&["p.toml@1", "--base"], "runs are compared as they were"),
        (&["other.toml@1"], "and not of other.toml"),
        (&["p.toml@1", "fti"], "no run that is compared has a cell `fti`"),
        (&["p.toml", "fti"], "did you mean `fit`?"),
        (&["p.toml", "--profile", "more", "--profile", "more"], "`more` is there twice"),
        (&["p.toml", "--where", "scor > 1"], "did you mean `score`?"),
        (&["p.toml", "--where", "score > big"], "`score` is a number, and this is a text"),
        (&["p.toml", "--where", "score >"], "expected a column or a value"),
        (&["p.toml", "--where", "(score > 1"], "expected `)`"),
        (&["p.toml", "--sort", "scroe"], "did you mean `score`?"),
        (&["p.toml", "--columns", "c,scroe"], "did you mean `score`?"),
    ] {
        let said = bench.sconce(&[&["compare"], arguments].concat());
        assert_eq!(said.code, Some(2), "{arguments:?}: {}", said.out);
        assert!(said.err.contains(message), "{arguments:?}: {}", said.err);
    }
}

#[test]
fn a_killed_run_and_a_failed_one_are_listed_as_such() {
    let bench = Bench::new(
        "[stage.a]\nkind = 'command'\nrun = 'echo 1 > x'\noutputs = ['x']\n[stage.b]\n\
         kind = 'command'\nrun = 'sleep 60; echo > x'\n\
         inputs = ['a']\noutputs = ['x']\n\
         [stage.bad]\nkind = 'command'\nrun = 'exit 3'\noutputs = ['x']\n",
    );
    let mut child = bench.start(&["run", "p.toml", "b"]);
    let running = || {
        let text = bench.sconce(&["runs", "--json"]).out;
        let runs: Value = serde_json::from_str(&text).unwrap();
        runs["runs"][0].clone()
    };
    let state = |cell: &str| {
        let text = bench.sconce(&["runs", "1", "--json"]).out;
        let run: Value = serde_json::from_str(&text).unwrap();
        let cells = run["run_cells"].as_array().unwrap().clone();
        let found = cells.iter().find(|one| one["cell"]["stage"] == cell).cloned();
        found.map_or(String::new(), |one| one["state"].as_str().unwrap().to_owned())
    };
    eventually("the second stage runs", || running()["id"] == 1 && state("b") == "running");
    assert_eq!((running()["end"].as_str(), state("a")), (Some("running"), "ran".to_owned()));
    signal("KILL", child.id());
    child.wait().unwrap();
    eventually("the lock is free", || running()["end"] == "killed");
    assert_eq!(running()["counts"]["interrupted"], 1);
    assert_eq!(state("b"), "interrupted");
    assert_eq!(bench.sconce(&["run", "p.toml", "bad"]).code, Some(1));
    let listed = bench.sconce(&["runs"]).out;
    assert!(listed.contains("killed") && listed.contains("failed"), "{listed}");
    let failed = bench.sconce(&["runs", "@2"]).out;
    assert!(failed.contains("the program ended with status 3"), "{failed}");
}

#[test]
fn a_page_has_the_figures_that_differ_and_needs_nothing_else() {
    let bench = Bench::new(STUDY);
    bench.run(&[]);
    let page = compare(&bench, &["fit[way=slow]", "--format", "html"]);
    assert_eq!(page.matches("data:image/svg+xml;base64,").count(), 3, "one for each c");
    assert!(page.contains("<h2>fit, picture</h2>") && page.contains("c=10,way=slow"), "{page}");
    for outside in ["http://", "https://", "<script", "<link", "url("] {
        assert!(!page.contains(outside), "{outside}");
    }
    // Sides are compared cell by cell: the figures do not depend on the base.
    bench.run(&["--profile", "more"]);
    let page = compare(&bench, &["--base", "--profile", "more", "--format", "html"]);
    assert_eq!(page.matches("<figure>").count(), 0, "none differs");
    assert!(page.contains("(none)") && page.contains("prefers-color-scheme: dark"));
}

#[test]
fn a_sweep_on_the_command_line_and_one_in_the_file_share_their_results() {
    let bench = Bench::new(STUDY);
    let swept = bench.run(&["--set", "stage.fit.matrix.c=1,10,100,1000", "--json"]);
    assert_eq!(swept.out.matches("\"cell-finished\"").count(), 10, "{}", swept.out);
    let keys = |out: &str| -> Vec<String> {
        let events = out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let key = |event: Value| {
            let of = ["cell-finished", "cell-hit"].contains(&event["event"].as_str()?);
            of.then(|| format!("{} {}", event["cell"], event["key"]))
        };
        let mut keys: Vec<_> = events.filter_map(key).collect();
        keys.sort();
        keys
    };
    bench.write("p.toml", &STUDY.replace("[1, 10, 100]", "[1, 10, 100, 1000]"));
    let by_hand = bench.run(&["--json"]);
    assert_eq!(keys(&by_hand.out), keys(&swept.out));
    assert!(!by_hand.out.contains("cell-started"), "{}", by_hand.out);
    let refused = bench.sconce(&["plan", "p.toml", "--set", "stage.data.run=echo a, b"]);
    assert_eq!(refused.code, Some(2));
    let caret = "1 | stage.data.run=echo a, b\n  |                ^^^^^^ in quotes?";
    assert!(refused.err.contains(caret), "{}", refused.err);
}
