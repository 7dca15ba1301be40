//! Bad content, verification, and what is thrown away.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::bench::Bench;

const CHAIN: &str = r#"
name = "chain"
[vars]
more = "x"
[stage.a]
kind = "command"
run = "seq 1000 > a"
outputs = ["a"]
[stage.b]
kind = "command"
run = "sort -r a/a > b"
inputs = ["a"]
outputs = ["b"]
[stage.c]
kind = "command"
run = "cat b/b > c; echo $more >> c"
inputs = ["b"]
outputs = ["c"]
env = { more = "$more" }
"#;

/// The blob that holds these bytes.
fn blob(bench: &Bench, bytes: &[u8]) -> std::path::PathBuf {
    let hex = blake3::hash(bytes).to_hex().to_string();
    bench.path(".sconce/blobs").join(&hex[..2]).join(&hex)
}

/// Flips a byte, and puts the times back as a rotting disk would.
fn flip(path: &Path) {
    let times = std::fs::metadata(path).unwrap().modified().unwrap();
    let mut bytes = std::fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x20;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644)).unwrap();
    std::fs::write(path, bytes).unwrap();
    std::fs::File::open(path).unwrap().set_modified(times).unwrap();
}

#[test]
fn a_flipped_byte_is_found_said_and_rebuilt() {
    let bench = Bench::new(CHAIN);
    bench.run(&[]);
    let good = bench.shown();
    flip(&blob(&bench, &good["chain/b/b"]));
    // `c` reads the blob.
    let said = bench.run(&["--set", "vars.more=y"]);
    assert!(said.err.contains("Damaged"), "{}", said.err);
    assert_eq!(said.cells("Finished"), ["b", "c"], "{}", said.err);
    assert!(bench.path(".sconce/quarantine").read_dir().unwrap().next().is_some());
    bench.run(&[]);
    assert_eq!(bench.shown(), good);

    // Nobody reads this one; the check of the whole store finds it.
    flip(&blob(&bench, &good["chain/c/c"]));
    let checked = bench.sconce(&["doctor", "--check-store"]);
    assert_eq!(checked.code, Some(1), "{}", checked.out);
    assert!(checked.out.contains("damaged"), "{}", checked.out);
    let rebuilt = bench.run(&[]);
    assert_eq!(rebuilt.cells("Finished"), ["c"], "{}", rebuilt.err);
    assert_eq!(bench.shown(), good);
    assert_eq!(bench.sconce(&["doctor", "--check-store"]).code, Some(0));
}

#[test]
fn verify_finds_what_does_not_come_out_the_same_twice() {
    let bench = Bench::new(CHAIN);
    let nothing = bench.sconce(&["verify", "p.toml"]);
    assert_eq!(nothing.code, Some(1));
    assert!(nothing.err.contains("Absent a: no result to compare with"), "{}", nothing.err);
    bench.run(&[]);
    let said = bench.sconce(&["verify", "p.toml"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert_eq!(said.cells("Verified"), ["a:", "b:", "c:"]);

    bench.write(
        "q.toml",
        "[stage.a]\nkind = \"command\"\nrun = \"cat /proc/sys/kernel/random/uuid > u\"\n\
         outputs = [\"u\"]\n[stage.b]\nkind = \"command\"\nrun = \"wc -c a/u > n\"\n\
         inputs = [\"a\"]\noutputs = [\"n\"]\n",
    );
    assert_eq!(bench.sconce(&["run", "q.toml"]).code, Some(0));
    let before = bench.shown();
    let said = bench.sconce(&["verify", "q.toml"]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("Differs a"), "{}", said.err);
    assert!(said.err.contains("output `files`: the store has "), "{}", said.err);
    assert_eq!(said.cells("Verified"), ["b:"]);
    assert_eq!(bench.sconce(&["verify", "q.toml", "b"]).code, Some(0));
    assert_eq!(bench.shown(), before);
}

#[test]
fn gc_keeps_what_pipelines_use() {
    let bench = Bench::new(CHAIN);
    bench.run(&["--set", "vars.more=old"]);
    bench.run(&[]);
    let gc = |more: &[&str]| {
        let said = bench.sconce(&[&["gc"], more].concat());
        assert_eq!(said.code, Some(0), "{}", said.err);
        said.out
    };
    let dry = gc(&["--max-age", "0s", "--dry-run"]);
    assert!(dry.contains("Would remove 1 results"), "{dry}");
    let done = gc(&["--max-age", "0s"]);
    assert!(done.contains("Removed 1 results"), "{done}");
    assert!(bench.run(&[]).err.contains("nothing to do"));
    assert_eq!(bench.run(&["--set", "vars.more=old"]).cells("Finished"), ["c"]);
}

#[test]
fn what_is_shown_of_a_large_damaged_file_is_replaced() {
    let bench =
        Bench::new("[stage.a]\nkind = \"command\"\nrun = \"seq 400000 > a\"\noutputs = [\"a\"]\n");
    bench.run(&[]);
    let good = bench.shown();
    assert!(good["p/a/a"].len() > 1 << 20);
    for check in [&["verify", "p.toml"][..], &["doctor", "--check-store"]] {
        flip(&blob(&bench, &good["p/a/a"]));
        let found = bench.sconce(check);
        assert_eq!(found.code, Some(1), "{}{}", found.out, found.err);
        let said = format!("{}{}", found.out, found.err);
        assert!(!said.contains("rebuilding") && !said.contains("the same bits"), "{said}");
        assert!(said.contains("the next run rebuilds"), "{said}");
        let plan = bench.sconce(&["plan", "p.toml"]);
        assert!(plan.out.contains("its stored content is damaged"), "{}", plan.out);
        let said = bench.run(&[]);
        assert_eq!(said.cells("Finished"), ["a"], "{}", said.err);
        assert_eq!(bench.shown(), good, "after {check:?}");
        assert!(bench.run(&[]).err.contains("nothing to do"));
        assert_eq!(bench.sconce(&["verify", "p.toml"]).code, Some(0));
    }
}

#[test]
fn results_that_the_pipeline_no_longer_has_leave_the_artifacts() {
    let text = "[stage.a]\nkind = \"command\"\nrun = \"echo $n > x\"\noutputs = [\"x\"]\nmatrix.n = [1, 2, 3]\n";
    let bench = Bench::new(text);
    bench.run(&[]);
    bench.write("artifacts/p/a/n=3/mine", "mine");
    bench.write("p.toml", &text.replace("[1, 2, 3]", "[1]"));
    let said = bench.run(&[]);
    let told = "Removed a/n=2, a/n=3, which the pipeline no longer has, from what is shown";
    assert!(said.err.contains(told), "{}", said.err);
    let names: Vec<String> = bench.shown().into_keys().collect();
    assert_eq!(names, ["p/a/n=1/x", "p/a/n=3/mine"]);
    assert!(!bench.run(&[]).err.contains("Removed"));
    bench.write("p.toml", &text.replace("stage.a", "stage.b"));
    assert_eq!(bench.run(&[]).cells("Finished").len(), 0);
    let names: Vec<String> = bench.shown().into_keys().collect();
    assert_eq!(names, ["p/a/n=3/mine", "p/b/n=1/x", "p/b/n=2/x", "p/b/n=3/x"]);
}
