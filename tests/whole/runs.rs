//! What runs and what does not, and what people can rely on in scripts.

use crate::bench::Bench;

/// A script that rounds, a matrix, and a table of all cells.
const STUDY: &str = r#"
name = "study"
[vars]
words = "one two three"
[stage.text]
kind = "command"
run = "echo $words > text"
outputs = ["text"]
env = { words = "$words" }
[stage.script]
kind = "file"
path = "count.sh"
[stage.count]
kind = "command"
run = "sh script/count.sh < text/text > n"
inputs = ["text", "script"]
outputs = { number = "n" }
matrix.unit = ["words", "bytes"]
[stage.table]
kind = "command"
run = "cat rows/*/* > table; ls rows >> table"
inputs = { rows = "count[*]" }
outputs = ["table"]
"#;

fn study() -> Bench {
    let bench = Bench::new(STUDY);
    bench.write("count.sh", "case $unit in words) wc -w;; bytes) wc -c;; esac\n");
    bench
}

#[test]
fn the_second_run_does_nothing_and_a_change_runs_what_depends_on_it() {
    let bench = study();
    let first = bench.run(&[]);
    assert_eq!(first.cells("Finished").len(), 5, "{}", first.err);
    let table = "14\n3\ncount[unit=bytes]\ncount[unit=words]\n";
    assert_eq!(bench.read("artifacts/study/table/table").replace(' ', ""), table);
    assert_eq!(bench.read("artifacts/study/count/unit=words/n").trim(), "3");

    let second = bench.run(&[]);
    assert!(second.err.trim_start().starts_with("Fresh "), "{}", second.err);
    assert!(second.err.contains("nothing to do"), "{}", second.err);

    // As many words of the same length: the counts are the same, so the table is fresh.
    let cutoff = bench.run(&["--set", "vars.words=six two three"]);
    let mut ran = cutoff.cells("Finished");
    ran.sort_unstable();
    assert_eq!(ran, ["count[unit=bytes]", "count[unit=words]", "text"]);
    assert!(cutoff.err.contains("3 ran, 2 fresh"), "{}", cutoff.err);

    let other = bench.run(&["--set", "vars.words=four"]);
    assert_eq!(other.cells("Finished").len(), 4, "{}", other.err);
    let back = bench.run(&[]);
    assert!(back.err.contains("nothing to do"), "{}", back.err);
    assert_eq!(bench.read("artifacts/study/table/table").replace(' ', ""), table);

    bench.write("count.sh", "# a comment\ncase $unit in words) wc -w;; bytes) wc -c;; esac\n");
    let script = bench.run(&[]);
    assert_eq!(script.cells("Finished").len(), 3, "{}", script.err);
    assert!(script.err.contains("content changed"), "{}", script.err);
}

#[test]
fn a_part_of_the_graph_runs_with_what_it_needs() {
    let bench = study();
    assert_eq!(bench.run(&["text"]).cells("Finished"), ["text"]);
    let said = bench.run(&["count"]);
    assert_eq!(said.cells("Finished").len(), 3, "{}", said.err);
    assert!(!bench.path("artifacts/study/table").exists());
}

#[test]
fn a_failed_cell_says_why_and_leaves_the_rest_running() {
    let bench = Bench::new(
        r#"
        [stage.bad]
        kind = "command"
        run = "echo first; echo the cause >&2; exit 3"
        outputs = ["x"]
        [stage.after]
        kind = "command"
        run = "true"
        inputs = ["bad"]
        outputs = ["x"]
        [stage.dead]
        kind = "command"
        run = "kill -KILL $PPID; sleep 5"
        outputs = ["x"]
        [stage.fine]
        kind = "command"
        run = "echo > x"
        outputs = ["x"]
        "#,
    );
    let said = bench.sconce(&["run", "p.toml"]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("Failed bad: the program ended with status 3"), "{}", said.err);
    assert!(said.err.contains("| the cause"), "{}", said.err);
    assert!(said.err.contains("log: "), "{}", said.err);
    assert!(said.err.contains("Skipped after: it needs bad"), "{}", said.err);
    let dead = "Failed dead: the worker process was ended by signal 9 (SIGKILL)";
    assert!(said.err.contains(dead), "{}", said.err);
    assert!(said.err.contains("1 ran, 2 failed, 1 skipped"), "{}", said.err);
    assert_eq!(said.cells("Finished"), ["fine"]);
    // What failed is tried again; what is done is not.
    let again = bench.sconce(&["run", "p.toml"]);
    assert_eq!((again.code, again.cells("Finished").len()), (Some(1), 0));
    // Quiet says what went wrong, and nothing else.
    let quiet = bench.sconce(&["run", "p.toml", "--quiet"]);
    assert!(quiet.err.contains("Failed bad") && !quiet.err.contains("Running"), "{}", quiet.err);
}

#[test]
fn exit_codes() {
    let bench = study();
    let code = |arguments: &[&str]| bench.sconce(arguments).code;
    assert_eq!(code(&["run", "p.toml"]), Some(0));
    assert_eq!(code(&["run", "missing.toml"]), Some(2));
    assert_eq!(code(&["run"]), Some(2));
    assert_eq!(code(&["fly"]), Some(2));
    assert_eq!(code(&["run", "p.toml", "no-such-stage"]), Some(2));
    assert_eq!(code(&["run", "p.toml", "--set", "stage.text.rum=1"]), Some(2));
    assert_eq!(code(&["run", "p.toml", "--memory", "much"]), Some(2));
    assert_eq!(code(&["run", "p.toml", "--device", "abacus"]), Some(2));
    assert_eq!(code(&["why", "p.toml", "count[unit=miles]"]), Some(2));
    assert_eq!(code(&["kinds", "no-such-kind"]), Some(2));
    assert_eq!(code(&["run", "p.toml", "--mirror", "no-such-folder"]), Some(2));
    std::fs::remove_file(bench.path("count.sh")).unwrap();
    assert_eq!(code(&["run", "p.toml"]), Some(1));
    assert_eq!(code(&["plan", "p.toml"]), Some(1));
}

#[test]
fn events_are_json_lines() {
    let bench = study();
    let said = bench.run(&["--json"]);
    let events: Vec<serde_json::Value> =
        said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let named = |name: &str| events.iter().filter(|event| event["event"] == name).count();
    assert_eq!((named("run-started"), named("cell-started"), named("run-finished")), (1, 5, 1));
    assert_eq!(events.last().unwrap()["ran"], 5);
    let finished = events.iter().find(|event| event["event"] == "cell-finished").unwrap();
    assert!(finished["cell"].is_string() && finished["seconds"].is_number(), "{finished}");
    let again = bench.run(&["--json"]);
    assert_eq!(again.out.matches("\"event\":\"cell-hit\"").count(), 5, "{}", again.out);
}

#[test]
fn one_and_two_threads_give_the_same_bits() {
    let (one, two) = (study(), study());
    one.run(&["--threads", "1"]);
    two.run(&["--threads", "2"]);
    assert_eq!(one.shown(), two.shown());
    assert!(!one.shown().is_empty());
}

#[test]
fn variables_that_count_are_part_of_the_key_and_others_do_not_get_through() {
    let bench = Bench::new(
        r#"
        [stage.a]
        kind = "command"
        run = "echo \"$SECRET-$OTHER\" > x"
        outputs = ["x"]
        env = ["SECRET"]
        "#,
    );
    let run = |secret: &str| {
        let mut command = bench.command(&["run", "p.toml"]);
        let output = command.env("SECRET", secret).env("OTHER", "other").output().unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    run("a");
    assert_eq!(bench.read("artifacts/p/a/x"), "a-\n");
    assert!(run("a").contains("nothing to do"));
    let changed = run("b");
    assert!(changed.contains("environment variable `SECRET` changed: a → b"), "{changed}");
    assert_eq!(bench.read("artifacts/p/a/x"), "b-\n");
}

#[test]
fn configuration_files_set_places_and_flags_win() {
    let bench = study();
    bench.write("sconce.toml", "store = \"kept/store\"\nartifacts = \"results\"\njobs = 1\n");
    bench.run(&["text"]);
    assert!(bench.path("kept/store/format").exists() && !bench.path(".sconce").exists());
    assert!(bench.path("results/study/text/text").exists());
    bench.run(&["text", "--store", "other", "--artifacts", "else"]);
    assert!(bench.path("other/format").exists());
    assert!(bench.path("else/study/text/text").exists());
    bench.write("sconce.toml", "stoer = \"x\"\n");
    let said = bench.sconce(&["run", "p.toml"]);
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("sconce.toml") && said.err.contains("stoer"), "{}", said.err);
}
