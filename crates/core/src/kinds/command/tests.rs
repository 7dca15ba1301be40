use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::Command;
use crate::{AnyStage, Context, Coordinates, Error, Files, Kind, Result, Stage};

fn stage(parameters: Value) -> Result<Box<dyn AnyStage>> {
    let stage = Kind::of::<Command>().from_json(parameters)?;
    stage.check()?;
    Ok(stage)
}

/// Runs the stage in a private folder; the outputs' files by `output/path`.
fn run(
    parameters: Value,
    prepare: impl FnOnce(Context, &Path) -> Context,
) -> Result<BTreeMap<String, String>> {
    let folder = tempfile::tempdir().unwrap();
    run_in(folder.path(), parameters, prepare)
}

/// Runs the stage in a new folder below `parent`.
fn run_in(
    parent: &Path,
    parameters: Value,
    prepare: impl FnOnce(Context, &Path) -> Context,
) -> Result<BTreeMap<String, String>> {
    let folder = tempfile::tempdir_in(parent).unwrap();
    let stage = stage(parameters)?;
    let ctx = Context::in_folder(folder.path(), &stage.outputs())?;
    stage.run(&prepare(ctx, folder.path()))?;
    let files = Files::from_folder(&folder.path().join("out"))?;
    let read =
        |(name, _, path): (&str, _, &Path)| (name.to_owned(), fs::read_to_string(path).unwrap());
    Ok(files.iter().map(read).collect())
}

fn error(parameters: Value) -> String {
    run(parameters, |ctx, _| ctx).unwrap_err().to_string()
}

fn input(folder: &Path, name: &str, text: &str) -> Files {
    let folder = folder.join(format!("input-{name}"));
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(name), text).unwrap();
    Files::from_folder(&folder).unwrap()
}

#[test]
fn paths_of_a_list_are_one_output_and_of_a_table_one_each() {
    let together =
        json!({ "run": "mkdir d; echo 1 > d/x; echo 2 > y; echo 3 > z", "outputs": ["d", "y"] });
    let files = run(together, |ctx, _| ctx).unwrap();
    let expected = [("files/d/x", "1\n"), ("files/y", "2\n")];
    assert_eq!(files, expected.map(|(name, text)| (name.to_owned(), text.to_owned())).into());

    let each = json!({
        "run": ["sh", "-c", "mkdir d; echo 1 > d/x; echo 2 > y"],
        "outputs": { "folder": { "path": "d", "type": "table" }, "file": "y" }
    });
    let types: Vec<_> = stage(each.clone()).unwrap().outputs();
    let types: Vec<_> = types.iter().map(|o| (&*o.name, &*o.artifact)).collect();
    assert_eq!(types, [("file", "files"), ("folder", "table")]);
    let files = run(each, |ctx, _| ctx).unwrap();
    let expected = [("file/y", "2\n"), ("folder/x", "1\n")];
    assert_eq!(files, expected.map(|(name, text)| (name.to_owned(), text.to_owned())).into());
}

#[test]
fn inputs_are_folders_and_gathered_ones_have_one_for_each_cell() {
    let parameters = json!({
        "run": "cat data/a \"$SCONCE_INPUT_MORE_DATA\"/s*/b > all; ls more-data >> all",
        "inputs": { "data": "inputs.data", "more-data": "inputs.more-data" },
        "outputs": "all"
    });
    let files = run(parameters, |ctx, folder| {
        let at = |c: i64| Coordinates::from_iter([("c".to_owned(), json!(c))]);
        let more = |c: &str| input(&folder.join(c), "b", &format!("{c}\n"));
        ctx.with_input("inputs.data", input(folder, "a", "one\n"))
            .with_gathered("inputs.more-data", "s", at(1), more("two"))
            .with_gathered("inputs.more-data", "s", at(2), more("three"))
    });
    assert_eq!(files.unwrap()["files/all"], "one\ntwo\nthree\ns[c=1]\ns[c=2]\n");
}

#[test]
fn a_changed_input_stays_as_it_was_outside() {
    let folder = tempfile::tempdir().unwrap();
    let files = input(folder.path(), "a", "original");
    let parameters = json!({
        "run": "chmod u+w data/a; echo changed > data/a; cp data/a out",
        "inputs": { "data": "inputs.data" },
        "outputs": ["out"]
    });
    let written = run(parameters, |ctx, _| ctx.with_input("inputs.data", files.clone())).unwrap();
    assert_eq!(written["files/out"], "changed\n");
    assert_eq!(files.read("a").unwrap(), b"original");
}

#[test]
fn a_program_that_writes_to_a_shared_input_fails() {
    let folder = tempfile::tempdir().unwrap();
    let files = input(folder.path(), "a", &"x".repeat((1 << 20) + 1));
    let with = |run: &str| {
        let parameters =
            json!({ "run": run, "inputs": { "data": "inputs.data" }, "outputs": ["out"] });
        run_in(folder.path(), parameters, |ctx, _| ctx.with_input("inputs.data", files.clone()))
    };
    let wrote = with("chmod u+w data/a; echo y >> data/a; echo > out").unwrap_err().to_string();
    assert!(wrote.starts_with("the program wrote to its input `data/a`"), "{wrote}");
    // To replace it harms nobody.
    with("rm -f data/a; echo y > data/a; echo > out").unwrap();
}

#[test]
fn the_environment_is_what_was_declared() {
    let parameters = json!({
        "run": "echo \"$layer $MODE $KEPT $SCONCE_SEED $LC_ALL $SCONCE_THREADS\" > out; \
                env | cut -d= -f1 > names",
        "env": { "MODE": "fast", "KEPT": true },
        "seeded": true,
        "outputs": ["out", "names"]
    });
    let files = run(parameters, |mut ctx, _| {
        ctx.job.coordinates = Coordinates::from_iter([("layer".to_owned(), json!("fire9"))]);
        ctx.job.environment.insert("KEPT".to_owned(), "kept".to_owned());
        ctx.with_seed((7 << 32) + 5)
    });
    let files = files.unwrap();
    assert_eq!(files["files/out"], "fire9 fast kept 5 C.UTF-8 1\n");
    // Cargo sets many variables for tests; none of them gets through.
    assert!(!files["files/names"].contains("CARGO"), "{}", files["files/names"]);

    let reserved = json!({ "run": "true", "outputs": ["x"] });
    let failed = run(reserved, |mut ctx, _| {
        ctx.job.coordinates = Coordinates::from_iter([("PATH".to_owned(), json!(1))]);
        ctx
    });
    assert!(failed.unwrap_err().to_string().contains("axis `PATH`"));
}

#[test]
fn what_goes_wrong_is_named() {
    let fails = |run: Value| error(json!({ "run": run, "outputs": ["x", "y"] }));
    assert_eq!(fails(json!("exit 7")), "the program ended with status 7");
    assert_eq!(fails(json!("false; true")), "the program ended with status 1");
    assert_eq!(fails(json!(["false"])), "the program ended with status 1");
    assert_eq!(fails(json!("kill -TERM $$")), "the program was ended by signal 15 (SIGTERM)");
    assert_eq!(
        fails(json!(["no-such-program-here"])),
        "no program `no-such-program-here`: it is neither in PATH nor in the working directory"
    );
    assert_eq!(
        fails(json!("echo > x; echo > w")),
        "the program ended well but did not write `y`; it wrote `w`, `x`"
    );
    let link = fails(json!("mkdir x; ln -s /etc/hosts x/link; echo > y"));
    assert!(link.starts_with("output `x/link` is a symbolic link"), "{link}");
}

#[test]
fn metrics_that_no_table_would_find_are_refused() {
    let written = |text: &str, path: &str| {
        json!({
            "run": format!("mkdir m; echo '{text}' > m/metrics.json; cp m/metrics.json n.json"),
            "outputs": { "scores": { "path": path, "type": "metrics" } }
        })
    };
    let expected = "output `scores` is of type `metrics`: expected a file `metrics.json` such as";
    for (text, path, why) in [
        (r#"{"accuracy": 0.5}"#, "m", "missing field `values`"),
        (r#"{"values": {"accuracy": "0.5"}}"#, "m/metrics.json", "expected f64"),
        ("0.5", "m", "invalid type"),
        (r#"{"values": {"accuracy": 0.5}}"#, "n.json", "it is not there"),
    ] {
        let said = error(written(text, path));
        assert!(said.starts_with(expected) && said.contains(why), "{said}");
    }
    for path in ["m", "m/metrics.json"] {
        let right = written(r#"{"values": {"accuracy": 0.5}, "arrays": {}}"#, path);
        run(right, |ctx, _| ctx).unwrap();
    }
}

#[test]
fn a_pipe_fails_with_any_of_its_programs() {
    let run = |line: &str| run(json!({ "run": line, "outputs": ["x"] }), |ctx, _| ctx);
    let fails = |line: &str| run(line).unwrap_err().to_string();
    assert_eq!(fails("cat missing | sort > x"), "the program ended with status 1");
    assert_eq!(
        fails("echo 1 > x; no-such-program | cat"),
        "the program ended with status 127: a program in it was not found"
    );
    assert_eq!(
        fails("sh -c 'kill -KILL $$' | cat > x"),
        "the program ended with status 137: a program in it was ended by signal 9 (SIGKILL)"
    );
    let stopped = fails("yes | head -n 1 > x");
    assert!(stopped.contains("(SIGPIPE), because the next one"), "{stopped}");
    assert_eq!(run("set +o pipefail; yes | head -n 1 > x").unwrap()["files/x"], "y\n");
    assert_eq!(run("echo b a | tr ' ' '\\n' | sort > x").unwrap()["files/x"], "a\nb\n");
}

#[test]
fn a_line_can_be_longer_than_the_system_takes_arguments() {
    let words = "0123456789 ".repeat(30_000);
    let line = format!(
        "cat > all <<END\n{words}\nEND\nwc -c < all | tr -d ' ' > x; false | true || echo failed >> x"
    );
    let files = run(json!({ "run": line, "outputs": ["x"] }), |ctx, _| ctx).unwrap();
    assert_eq!(files["files/x"], "330001\nfailed\n");
}

#[test]
fn a_variable_that_is_not_set_is_told() {
    let parameters = json!({ "run": "echo \"<$A>\" > x", "env": ["A"], "outputs": ["x"] });
    assert_eq!(
        error(parameters),
        "parameter `env`: the variable `A` is not set (to a text of Unicode) where the run was started: set it, or give it a \
         value: `env = { A = \"\" }`"
    );
    let empty = json!({ "run": "echo \"<$A>\" > x", "env": { "A": "" }, "outputs": ["x"] });
    assert_eq!(run(empty, |ctx, _| ctx).unwrap()["files/x"], "<>\n");
}

#[test]
fn parameters_are_checked() {
    let wrong = |parameters: Value| match stage(parameters).err() {
        Some(error @ Error::Parameter { .. }) => error.to_string(),
        other => panic!("{:?}", other.map(|error| error.to_string())),
    };
    assert!(wrong(json!({ "run": " ", "outputs": ["x"] })).contains("shell line"));
    assert!(wrong(json!({ "run": [], "outputs": ["x"] })).contains("list of arguments"));
    assert!(wrong(json!({ "run": "a", "outputs": [] })).contains("at least one path"));
    for path in ["../x", "/x", ""] {
        assert!(wrong(json!({ "run": "a", "outputs": [path] })).contains("inside"), "{path}");
    }
    assert!(wrong(json!({ "run": "a", "outputs": { "a/b": "x" } })).contains("name an output"));
    assert!(wrong(json!({ "run": "a", "outputs": ["x"], "env": ["a=b"] })).contains("a=b"));
    let typed = stage(json!({ "run": 3, "outputs": ["x"] })).err().unwrap().to_string();
    assert!(typed.contains("expected a shell line, or a list"), "{typed}");
}

#[test]
fn two_ways_of_writing_give_one_key() {
    let same = |a: Value, b: Value| {
        let parameters = |value| stage(value).unwrap().parameters().unwrap();
        assert_eq!(parameters(a), parameters(b));
    };
    same(
        json!({ "run": "a", "outputs": "x", "env": ["B", "A", "B"] }),
        json!({ "run": "a", "outputs": ["x"], "env": { "A": true, "B": true } }),
    );
    same(
        json!({ "run": "a", "outputs": { "o": "x" } }),
        json!({ "run": "a", "outputs": { "o": { "path": "x" } }, "seeded": false }),
    );
}

#[test]
fn a_cancelled_program_is_asked_to_end() {
    let parameters = json!({ "run": "trap 'exit 0' TERM; sleep 30 & wait", "outputs": ["x"] });
    let started = std::time::Instant::now();
    let result = run(parameters, |ctx, _| {
        let cancelled = std::sync::Arc::clone(&ctx.job.cancelled);
        std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(100));
            cancelled.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        ctx
    });
    assert!(matches!(result, Err(Error::Cancelled)));
    assert!(started.elapsed().as_secs() < 20);
}

#[test]
fn seeds_count_only_where_they_are_asked_for() {
    let seeded = |value| stage(json!({ "run": "a", "outputs": ["x"], "seeded": value })).unwrap();
    assert!(seeded(true).seeded() && !seeded(false).seeded());
    assert_eq!(Command::KIND, "command");
}

/// Changing what a kind yields without raising its version fails here.
#[test]
fn the_result_of_this_version_is_pinned() {
    let folder = tempfile::tempdir().unwrap();
    let parameters = json!({
        "run": "cat data/a > out; echo \"$c $LANG $LC_ALL $TZ $PYTHONHASHSEED\" >> out",
        "inputs": { "data": "inputs.data" },
        "outputs": ["out"]
    });
    let stage = stage(parameters).unwrap();
    let ctx = Context::in_folder(folder.path(), &stage.outputs()).unwrap();
    let mut ctx = ctx.with_input("inputs.data", input(folder.path(), "a", "text\n"));
    ctx.job.coordinates = Coordinates::from_iter([("c".to_owned(), json!(1.5))]);
    stage.run(&ctx).unwrap();
    let digest = Files::from_folder(&folder.path().join("out/files")).unwrap().digest();
    assert_eq!((Command::KIND, Command::VERSION), ("command", 2));
    let expected = "blake3:6323aa2aa9ea271934c9bc0557db578a0ed34b9ee2b705c79b550f941e6d2872";
    assert_eq!(digest.to_string(), expected);
}
