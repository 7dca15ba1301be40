//! Expected results beside a pipeline file, and runs that are held to them.

use crate::bench::Bench;

/// Two chains that know nothing of one another; `outside` reads what no key has.
const STUDY: &str = r#"
name = "study"
[stage.words]
kind = "file"
path = "words.txt"
[stage.count]
kind = "command"
run = "wc -w < words/words.txt > n"
inputs = ["words"]
outputs = ["n"]
[stage.outside]
kind = "command"
run = "cat 'OUTSIDE' > text"
outputs = ["text"]
[stage.shout]
kind = "command"
run = "tr a-z A-Z < outside/text > loud"
inputs = ["outside"]
outputs = ["loud"]
[profile.bytes.stage.count]
run = "wc -c < words/words.txt > n"
"#;

/// Run and locked once.
fn study() -> Bench {
    let bench = Bench::new("");
    let outside = bench.path("outside.txt");
    bench.write("p.toml", &STUDY.replace("OUTSIDE", outside.to_str().unwrap()));
    bench.write("words.txt", "one two three\n");
    bench.write("outside.txt", "quiet\n");
    bench.run(&[]);
    let said = bench.sconce(&["lock", "p.toml"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.out.contains("p.lock: 4 cells of the base, 4 changed"), "{}", said.out);
    bench
}

fn empty_the_store(bench: &Bench) {
    std::fs::remove_dir_all(bench.path(".sconce")).unwrap();
}

#[test]
fn a_locked_run_from_an_empty_store_is_held_to_every_digest() {
    let bench = study();
    empty_the_store(&bench);
    let said = bench.run(&["--locked"]);
    assert!(said.err.contains("every result is as locked"), "{}", said.err);
    assert!(bench.run(&["--locked"]).err.contains("nothing to do"), "hits are held, too");
    // Written again, it is the same file.
    let before = bench.read("p.lock");
    let again = bench.sconce(&["lock", "p.toml"]);
    assert!(again.out.contains("0 changed"), "{}", again.out);
    assert_eq!(bench.read("p.lock"), before);
    let lock: toml::Table = toml::from_str(&before).unwrap();
    let loud = &lock["base"]["cell"]["shout"]["outputs"]["files"];
    let store = bench.sconce(&["show", "p.toml", "shout", "--json"]).out;
    assert!(store.contains(loud.as_str().unwrap()), "{store}");
}

#[test]
fn other_bits_from_the_same_inputs_are_found_where_they_come_from() {
    let bench = study();
    empty_the_store(&bench);
    bench.write("outside.txt", "quiet.\n");
    let said = bench.sconce(&["run", "p.toml", "--locked"]);
    assert_eq!(said.code, Some(1), "{}", said.err);
    let told = "outside: differs from the lock: its bits changed: output `files` is ";
    assert!(said.err.contains(told), "{}", said.err);
    assert_eq!(said.cells("Skipped"), ["shout:"], "what reads it");
    assert!(said.cells("Finished").contains(&"count"), "the rest runs: {}", said.err);
    assert!(!said.cells("Finished").contains(&"outside"), "it failed: {}", said.err);
    let runs = bench.sconce(&["runs", "--json"]).out;
    let counted = r#""counts":{"fresh":0,"ran":2,"failed":1,"skipped":1,"interrupted":0}"#;
    assert!(runs.contains(counted), "each cell is counted once: {runs}");
    // The result is shown, for people to look at.
    assert_eq!(bench.read("artifacts/study/outside/text"), "quiet.\n");
    // Also where the store holds it already.
    let again = bench.sconce(&["run", "p.toml", "--locked"]);
    assert_eq!(again.code, Some(1), "{}", again.err);
    assert!(again.err.contains(told), "{}", again.err);
    let events = bench.sconce(&["run", "p.toml", "--locked", "--json"]);
    assert_eq!(events.code, Some(1));
    assert!(events.out.contains(r#""failed":["outside"]"#), "{}", events.out);
    // Locked as it is now, it is told once: what follows has other inputs.
    bench.run(&[]);
    let locked = bench.sconce(&["lock", "p.toml"]);
    assert!(locked.out.contains("2 changed"), "{}", locked.out);
    let told =
        "other bits from the same kind, parameters and inputs as before, in 1 cell: outside;";
    assert!(locked.err.contains(told), "{}", locked.err);
    assert_eq!(bench.sconce(&["lock", "p.toml"]).err, "");
}

#[test]
fn other_inputs_parameters_kinds_and_cells_are_told_apart() {
    let bench = study();
    bench.write("words.txt", "one two three four\n");
    let said = bench.sconce(&["run", "p.toml", "--locked"]);
    assert_eq!(said.code, Some(1), "{}", said.err);
    assert!(said.err.contains("words: differs from the lock: its inputs changed"), "{}", said.err);
    bench.write("words.txt", "one two three\n");

    // The rest is told before anything runs.
    let refused = |wanted: &str| {
        let said = bench.sconce(&["run", "p.toml", "--locked"]);
        assert_eq!(said.code, Some(1), "{}", said.err);
        assert!(said.err.contains(wanted), "{wanted}: {}", said.err);
        assert!(said.err.contains("nothing ran"), "{}", said.err);
    };
    let (pipeline, lock) = (bench.read("p.toml"), bench.read("p.lock"));
    bench.write("p.toml", &pipeline.replace("tr a-z", "tr b-z"));
    refused("shout: its parameters changed");
    bench.write("p.toml", &pipeline.replace("[stage.shout]", "[stage.cry]"));
    refused("cry: the lock does not have it");
    refused("shout: the lock has it, and the pipeline does not");
    bench.write("p.toml", &pipeline);
    bench.write("p.lock", &lock.replace("\"command@", "\"command@9"));
    refused("count: its code changed: command@9");
    // A part of the graph is held to its part.
    bench.write("p.lock", &lock);
    bench.write("p.toml", &pipeline.replace("[stage.shout]", "[stage.cry]"));
    bench.run(&["--locked", "count"]);
}

#[test]
fn on_another_processor_other_bits_are_told_and_do_not_fail() {
    let bench = study();
    let lock = bench.read("p.lock");
    let processor = lock.lines().find(|line| line.starts_with("processor")).unwrap();
    bench.write("p.lock", &lock.replace(processor, "processor = \"an abacus\""));
    bench.write("outside.txt", "quiet.\n");
    empty_the_store(&bench);
    let said = bench.run(&["--locked"]);
    assert!(said.err.contains("the bits of 2 cells differ"), "{}", said.err);
    assert!(said.err.contains("an abacus"), "{}", said.err);
    // Its code does.
    bench.write("p.toml", &bench.read("p.toml").replace("tr a-z", "tr b-z"));
    assert_eq!(bench.sconce(&["run", "p.toml", "--locked"]).code, Some(1));
}

#[test]
fn a_profile_is_locked_beside_the_base_and_what_is_not_locked_is_refused() {
    let bench = study();
    let refused = |arguments: &[&str], wanted: &str| {
        let said = bench.sconce(arguments);
        assert_eq!(said.code, Some(2), "{}", said.err);
        assert!(said.err.contains(wanted), "{wanted}: {}", said.err);
    };
    let locked = ["run", "p.toml", "--locked", "--profile", "bytes"];
    refused(
        &locked,
        "p.lock: it does not have profile bytes; `sconce lock p.toml --profile bytes`",
    );
    refused(
        &["lock", "p.toml", "--profile", "bytes"],
        "1 cell of profile bytes without a result: count",
    );
    let base = bench.read("p.lock");
    bench.run(&["--profile", "bytes"]);
    assert_eq!(bench.sconce(&["lock", "p.toml", "--profile", "bytes"]).code, Some(0));
    assert!(bench.read("p.lock").starts_with(&base), "the base stays as it is");
    assert_eq!(bench.sconce(&locked).code, Some(0));
    bench.run(&["--locked"]);

    let set = ["run", "p.toml", "--locked", "--set", "seed=1"];
    refused(&set, "make it a profile");
    bench.write("p.lock", &base.replacen("kind = ", "sort = ", 1));
    refused(&locked[..3], "p.lock: line 10: unknown field `sort`");
    bench.write("p.lock", &base.replace("format = 1", "format = 2"));
    refused(&locked[..3], "the file is of format 2, not 1");
    std::fs::remove_file(bench.path("p.lock")).unwrap();
    refused(&["run", "p.toml", "--locked"], "p.lock: no such file; `sconce lock p.toml` writes it");
}
