//! What people see: plans, stories, graphs, kinds, errors. Snapshots, with durations left out.

use std::process::{Command, Stdio};

use crate::bench::Bench;

const STUDY: &str = r#"
name = "study"
description = "words and their numbers"
[vars]
words = "one two three"
[stage.script]
kind = "file"
path = "count.sh"
[stage.text]
kind = "command"
run = "echo $words > text"
outputs = ["text"]
env = { words = "$words" }
[stage.count]
kind = "command"
run = "sh script/count.sh < text/text > n"
inputs = ["text", "script"]
outputs = { number = "n" }
matrix.unit = ["words", "bytes"]
[stage.scaled]
kind = "command"
run = "echo $factor > n; cat count/n >> n"
inputs = { count = "count.number" }
outputs = ["n"]
matrix.factor = [1, 10]
[stage.table]
kind = "command"
run = "cat rows/*/* text/* > table"
inputs = { rows = "scaled[*]", text = "text" }
outputs = ["table"]
"#;

fn study() -> Bench {
    let bench = Bench::new(STUDY);
    bench.write("count.sh", "case $unit in words) wc -w;; bytes) wc -c;; esac\n");
    bench
}

/// Replaces durations and the folder, which differ from run to run.
fn steady(bench: &Bench, text: &str) -> String {
    let folder = bench.path("");
    let folder = folder.to_str().unwrap().trim_end_matches('/');
    let text = text.replace(folder, "[folder]");
    let lines = text.lines().map(|line| {
        let mut words: Vec<String> = Vec::new();
        for word in line.split(' ') {
            let unit = word.trim_end_matches([',', ')', ':']);
            if let ("s", Some(last)) = (unit, words.last_mut())
                && last.trim_start_matches('(').parse::<f64>().is_ok()
            {
                let open = if last.starts_with('(') { "(" } else { "" };
                *last = format!("{open}[time]");
                words.push(word.to_owned());
                continue;
            }
            words.push(word.to_owned());
        }
        words.join(" ")
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn out(bench: &Bench, arguments: &[&str]) -> String {
    let said = bench.sconce(arguments);
    assert_eq!(said.code, Some(0), "{}", said.err);
    steady(bench, &said.out)
}

#[test]
fn plans_tell_states_and_reasons() {
    let bench = study();
    insta::assert_snapshot!("plan-new", out(&bench, &["plan", "p.toml"]));
    bench.run(&[]);
    insta::assert_snapshot!("plan-done", out(&bench, &["plan", "p.toml"]));
    let changed = out(&bench, &["plan", "p.toml", "--set", "vars.words=four"]);
    insta::assert_snapshot!("plan-changed", changed);
    bench.write("count.sh", "wc -w\n");
    insta::assert_snapshot!("plan-script", out(&bench, &["plan", "p.toml", "count"]));
    let json = out(&bench, &["plan", "p.toml", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let states: Vec<_> = json["cells"].as_array().unwrap().iter().collect();
    assert_eq!(states.len(), 9);
    assert_eq!(states[0]["state"], "run");
    assert_eq!(states[1]["cell"], "text");
    assert_eq!(states[1]["state"], "hit");
}

#[test]
fn why_tells_the_whole_story() {
    let bench = study();
    insta::assert_snapshot!("why-new", out(&bench, &["why", "p.toml", "table"]));
    bench.run(&[]);
    insta::assert_snapshot!("why-fresh", out(&bench, &["why", "p.toml", "count[unit=words]"]));
    // The text has run with other words, and what reads it has not.
    bench.run(&["--set", "vars.words=four and five", "text"]);
    let story = out(&bench, &["why", "p.toml", "--set", "vars.words=four and five", "count"]);
    insta::assert_snapshot!("why-upstream", story);
    bench.write("count.sh", "wc -w\n");
    insta::assert_snapshot!("why-file", out(&bench, &["why", "p.toml", "count[unit=bytes]"]));
}

#[test]
fn graphs() {
    let bench = study();
    for format in ["text", "mermaid", "dot"] {
        let graph = out(&bench, &["graph", "p.toml", "--format", format]);
        insta::assert_snapshot!(format!("graph-{format}"), graph);
    }
}

#[test]
fn results_are_shown() {
    let bench = study();
    bench.run(&[]);
    insta::assert_snapshot!("show", out(&bench, &["show", "p.toml", "count"]));
    let later = ["show", "p.toml", "text", "--set", "vars.words=four"];
    assert!(out(&bench, &later).contains("outdated"));
    let json = bench.sconce(&["show", "p.toml", "table", "--json"]).out;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let cell = &json["cells"][0];
    assert_eq!(cell["fresh"], true);
    assert_eq!(cell["receipt"]["outputs"]["files"]["files"], 1);
    let shown = bench.path(cell["artifacts"].as_str().unwrap());
    assert!(shown.join("table").exists());
}

#[test]
fn kinds_are_documented() {
    let bench = study();
    let all = out(&bench, &["kinds"]);
    assert!(all.contains("command") && all.contains("file"), "{all}");
    insta::assert_snapshot!("kinds-command", out(&bench, &["kinds", "command"]));
    insta::assert_snapshot!("kinds-file", out(&bench, &["kinds", "file"]));
}

#[test]
fn the_schema_describes_every_kind() {
    let bench = study();
    let schema: serde_json::Value = serde_json::from_str(&out(&bench, &["schema"])).unwrap();
    let stages = schema["properties"]["stage"]["additionalProperties"]["oneOf"].as_array().unwrap();
    let command = stages.iter().find(|stage| stage["title"] == "command").unwrap();
    assert_eq!(command["properties"]["kind"]["const"], "command");
    assert_eq!(command["additionalProperties"], false);
    assert!(command["properties"]["seed"].is_object());
    assert_eq!(schema["properties"]["defaults"]["$ref"], "#/definitions/defaults");
    let defaults = &schema["definitions"]["defaults"]["properties"]["command"];
    assert_eq!(defaults["properties"]["run"], command["properties"]["run"]);
    assert_eq!(defaults["additionalProperties"], false);
    assert!(defaults["properties"]["matrix"].is_null() && defaults["required"].is_null());
    let text = schema.to_string();
    assert!(!text.contains("x-sconce"), "engine's own marks");
}

#[test]
fn errors_have_a_caret_under_the_exact_place() {
    let bench = study();
    let wrong = STUDY
        .replace("run = \"echo $words", "rum = \"echo $words")
        .replace("\"count.number\"", "\"cuont.number\"")
        .replace("matrix.factor = [1, 10]", "matrix.factor = []");
    bench.write("p.toml", &wrong);
    let said = bench.sconce(&["plan", "p.toml", "--set", "vars.wrods=1"]);
    assert_eq!(said.code, Some(2));
    insta::assert_snapshot!("errors", said.err);
    let said = bench.sconce(&["why", "p.toml", "text", "--profile", "x"]);
    assert_eq!(said.code, Some(2));
}

#[test]
fn doctor_looks_at_the_machine() {
    let bench = study();
    bench.run(&[]);
    let text = out(&bench, &["doctor"]);
    for what in
        ["threads", "memory", "processor", "devices", "store", "format 1", "mirror", "npm", "pip"]
    {
        assert!(text.contains(what), "{what}: {text}");
    }
    assert!(text.contains("9 results"), "{text}");
    let best = text.lines().find_map(|line| line.strip_prefix("kernels")).unwrap().trim();
    assert!(["AVX-512", "AVX2", "NEON", "portable"].contains(&best), "{best}");
    let said =
        bench.command(&["doctor"]).env("SCONCE_TEST_PROCESSOR", "portable").output().unwrap();
    let text = String::from_utf8(said.stdout).unwrap();
    assert!(
        text.lines().any(|line| line.starts_with("kernels") && line.ends_with(" portable")),
        "{text}"
    );
}

#[test]
fn plain_runs_are_lines() {
    let bench = Bench::new(
        "[stage.a]\nkind = \"command\"\nrun = \"echo > x\"\noutputs = [\"x\"]\n\
         [stage.b]\nkind = \"command\"\nrun = \"cp a/x y\"\ninputs = [\"a\"]\noutputs = [\"y\"]\n",
    );
    let first = bench.run(&["--jobs", "1"]);
    insta::assert_snapshot!("run-first", steady(&bench, &first.err));
    let text = bench.read("p.toml").replace("cp a/x y", "cat a/x > y");
    bench.write("p.toml", &text);
    let changed = bench.run(&["--jobs", "1"]);
    insta::assert_snapshot!("run-changed", steady(&bench, &changed.err));
    insta::assert_snapshot!("run-fresh", steady(&bench, &bench.run(&[]).err));
    insta::assert_snapshot!("run-verbose", steady(&bench, &bench.run(&["--verbose"]).err));
}

#[test]
fn colours_only_where_they_are_wanted() {
    let bench = study();
    let colours = |more: Option<(&str, &str)>| {
        let mut command = bench.command(&["plan", "p.toml"]);
        command.env_remove("NO_COLOR").envs(more);
        String::from_utf8(command.output().unwrap().stdout).unwrap().contains('\u{1b}')
    };
    assert!(!colours(None), "not a terminal");
    assert!(colours(Some(("CLICOLOR_FORCE", "1"))));
    let both = bench
        .command(&["plan", "p.toml"])
        .envs([("CLICOLOR_FORCE", "0"), ("NO_COLOR", "1")])
        .output()
        .unwrap();
    assert!(!both.stdout.contains(&0x1b));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let bench = study();
    for arguments in [&["graph", "p.toml"][..], &["schema"], &["kinds", "command"], &["--help"]] {
        let mut child =
            bench.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), err.as_str()), (Some(0), ""), "{arguments:?}");
    }
    let line = format!("{} schema | head -1", env!("CARGO_BIN_EXE_sconce"));
    let output = Command::new("sh").args(["-c", &line]).output().unwrap();
    assert_eq!(output.stdout, b"{\n");
    assert!(output.stderr.is_empty());
}

#[test]
#[cfg(target_os = "linux")]
fn a_terminal_that_cannot_draw_gets_plain_lines() {
    let bench = study();
    let on_terminal = |term: &str, ci: bool| {
        let call = format!("{} run p.toml --force", env!("CARGO_BIN_EXE_sconce"));
        let mut command = Command::new("script");
        let command = command.args(["-qec", &call, "/dev/null"]).current_dir(bench.path(""));
        let command = command.env("TERM", term).env_remove("CI").env_remove("CLICOLOR_FORCE");
        let command = if ci { command.env("CI", "true") } else { command };
        let output = command.stdin(Stdio::null()).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    for ci in [false, true] {
        let plain = on_terminal("dumb", ci);
        assert!(plain.contains("Running text") && plain.contains("Finished table"), "{plain}");
        assert!(!plain.contains('\x1b'), "{plain}");
    }
    assert!(on_terminal("xterm", false).contains('\x1b'));
}
