//! Where time went: the trace file, and spans as lines.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::bench::{Bench, signal};

const STUDY: &str = r#"
[stage.script]
kind = "file"
path = "p.sh"
[stage.part]
kind = "command"
run = "sh script/p.sh > x"
inputs = ["script"]
outputs = ["x"]
matrix.n = [1, 2, 3]
[stage.all]
kind = "command"
run = "cat parts/*/* > x"
inputs = { parts = "part[*]" }
outputs = ["x"]
"#;

fn study() -> Bench {
    let bench = Bench::new(STUDY);
    bench.write("p.sh", "sleep 0.1; echo $n\n");
    bench
}

/// What took time on one row, in nanoseconds.
struct Timed {
    name: String,
    start: u64,
    end: u64,
    arguments: Value,
}

/// A trace's rows by name. The file has to be what the Trace Event Format asks for.
fn rows(text: &str) -> BTreeMap<String, Vec<Timed>> {
    let events: Vec<Value> = serde_json::from_str(text).unwrap();
    let mut names = BTreeMap::new();
    let mut rows: BTreeMap<String, Vec<Timed>> = BTreeMap::new();
    for event in &events {
        let row = event["tid"].as_u64().unwrap();
        assert!(event["pid"].is_u64() && event["name"].is_string(), "{event}");
        match event["ph"].as_str().unwrap() {
            "M" if event["name"] == "thread_name" => {
                names.insert(row, event["args"]["name"].as_str().unwrap().to_owned());
            }
            "M" => {}
            "X" => {
                let nanoseconds = |key: &str| (event[key].as_f64().unwrap() * 1e3).round() as u64;
                let start = nanoseconds("ts");
                rows.entry(names[&row].clone()).or_default().push(Timed {
                    name: event["name"].as_str().unwrap().to_owned(),
                    start,
                    end: start + nanoseconds("dur"),
                    arguments: event["args"].clone(),
                });
            }
            other => panic!("an event of type {other}"),
        }
    }
    rows
}

/// Every span lies within the one that it began in.
fn assert_nested(row: &str, spans: &[Timed]) {
    let mut order: Vec<_> = spans.iter().collect();
    order.sort_by_key(|span| (span.start, std::cmp::Reverse(span.end)));
    let mut open: Vec<&Timed> = Vec::new();
    for span in order {
        while open.last().is_some_and(|outer| outer.end <= span.start) {
            open.pop();
        }
        if let Some(outer) = open.last() {
            assert!(span.end <= outer.end, "{row}: `{}` ends after `{}`", span.name, outer.name);
        }
        open.push(span);
    }
}

fn named<'a>(spans: &'a [Timed], name: &str) -> Vec<&'a Timed> {
    spans.iter().filter(|span| span.name == name).collect()
}

#[test]
fn a_trace_has_a_row_for_each_worker_and_what_it_did() {
    let bench = study();
    bench.run(&["--trace", "t.json", "--jobs", "2", "--threads", "2"]);
    let rows = rows(&bench.read("t.json"));
    for (row, spans) in &rows {
        assert_nested(row, spans);
    }
    let main = &rows["sconce"];
    for name in ["parse", "plan", "assess"] {
        assert_eq!(named(main, name).len(), 1, "{name}");
    }
    assert_eq!(named(main, "export").len(), 4);
    // Local files are taken in by the program itself.
    let file = rows.values().flatten().find(|span| span.arguments["cell"] == "script");
    assert_eq!(file.unwrap().name, "cell");
    let workers: Vec<_> = rows.iter().filter(|(row, _)| row.starts_with("worker ")).collect();
    assert_eq!(workers.len(), 2, "{:?}", rows.keys());
    let mut cells = Vec::new();
    for (row, spans) in workers {
        for worker in named(spans, "worker") {
            let of = |name: &str| -> Vec<&Timed> {
                let inside = |span: &&Timed| span.start >= worker.start && span.end <= worker.end;
                named(spans, name).into_iter().filter(inside).collect()
            };
            let cell = of("cell");
            assert_eq!(cell.len(), 1, "{row}");
            assert_eq!(cell[0].arguments["cell"], worker.arguments["cell"]);
            assert_eq!(cell[0].arguments["kind"], "command");
            let phases = ["lock", "inputs", "run", "commit"].map(|name| {
                let phase = of(name);
                assert_eq!(phase.len(), 1, "{row}: {name}");
                phase[0]
            });
            assert!(phases.windows(2).all(|two| two[0].end <= two[1].start), "{row}");
            assert!(phases[2].end - phases[2].start < cell[0].end - cell[0].start);
            assert!(!of("hash").is_empty());
            cells.push(worker.arguments["cell"].as_str().unwrap().to_owned());
        }
    }
    cells.sort();
    assert_eq!(cells, ["all", "part[n=1]", "part[n=2]", "part[n=3]"]);
    let slept = rows.values().flatten().filter(|span| span.name == "run");
    assert!(slept.filter(|span| span.end - span.start >= 100_000_000).count() >= 3);
}

#[test]
fn planning_alone_can_be_traced() {
    let bench = study();
    let said = bench.sconce(&["plan", "p.toml", "--trace", "t.json"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let rows = rows(&bench.read("t.json"));
    assert!(
        ["parse", "plan", "hash", "assess"].map(|name| named(&rows["sconce"], name).len())
            >= [1; 4]
    );
    let said = bench.sconce(&["plan", "p.toml", "--trace", "no/folder/t.json"]);
    assert_eq!(said.code, Some(2), "{}", said.err);
    assert!(said.err.contains("no/folder/t.json: cannot write the trace"), "{}", said.err);
}

#[test]
fn a_trace_is_whole_when_the_run_is_not() {
    let slow = STUDY.replace("sh script/p.sh > x", "echo > DIR/there$n; sleep 300");
    for (how, code) in [("INT", Some(130)), ("KILL", None)] {
        let bench = Bench::new("");
        let folder = bench.path("").display().to_string();
        bench.write("p.toml", &slow.replace("DIR/", &folder));
        bench.write("p.sh", "");
        let child = bench.start(&["run", "p.toml", "--trace", "t.json"]);
        bench.wait_for("there1");
        signal(how, child.id());
        assert_eq!(child.wait_with_output().unwrap().status.code(), code);
        let rows = rows(&bench.read("t.json"));
        assert_eq!(named(&rows["sconce"], "assess").len(), 1, "{how}");
        let workers = rows.iter().filter(|(row, _)| row.starts_with("worker"));
        let ended: usize = workers.map(|(_, spans)| named(spans, "worker").len()).sum();
        assert!(how == "KILL" || ended > 0, "{how}: the worker's life is told");
    }
}

#[test]
fn spans_are_told_as_lines_where_that_is_asked_for() {
    let bench = study();
    let said = bench.run(&["-vv"]);
    for line in
        ["Timed parse in", "Timed assess in", "Timed part[n=2]: commit in", "Timed export in"]
    {
        assert!(said.err.contains(line), "no `{line}` in:\n{}", said.err);
    }
    let said = bench.run(&["-v"]);
    assert!(
        said.err.contains("Timed plan in") && !said.err.contains("Timed export"),
        "{}",
        said.err
    );
    assert_eq!(bench.run(&[]).cells("Timed"), [""; 0]);
    let asked = |level: &str, arguments: &[&str]| {
        let output = bench.command(arguments).env("SCONCE_LOG", level).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, text) = asked("sconce_core::plan=info", &["run", "p.toml", "--force=all"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("Timed plan in") && !text.contains("Timed all: run"), "{text}");
    let (_, text) = asked("sconce_core::run=debug", &["run", "p.toml", "--force=all"]);
    assert!(text.contains("Timed all: run in") && !text.contains("Timed plan in"), "{text}");
    let (code, text) = asked("sconce_core=loud", &["run", "p.toml"]);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("SCONCE_LOG: `sconce_core=loud`: expected a level"), "{text}");
}
