//! Cells in a queue, and a store that machines share behind the one of the cluster.
#![cfg(feature = "remote")]

use std::process::Stdio;

use crate::bench::{Bench, Said, eventually, signal};
use crate::played::{Case, USUAL, bench, command, submitted};

/// What the first stage makes is large enough not to come over with a look.
const STUDY: &str = r#"
[stage.first]
kind = "command"
run = "seq 100000 > n"
outputs = ["n"]
[stage.point]
kind = "command"
matrix.x = [1, 2, 3, 4, 5, 6]
inputs = ["first"]
run = "sleep 0.5; echo $x of $(wc -l < first/n) > n"
outputs = ["n"]
[stage.all]
kind = "command"
inputs = ["point[*]"]
run = "cat point/*/n > all"
outputs = ["all"]
"#;

/// A cluster of its own, with a store of its own.
fn cluster() -> Bench {
    let case = Case { squeue: &["NONE"], settings: "lost_after = \"60s\"", ..USUAL };
    let bench = bench(&case);
    bench.write("p.toml", STUDY);
    bench
}

fn receipts(bench: &Bench) -> usize {
    let folders = std::fs::read_dir(bench.path(".sconce/receipts")).into_iter().flatten();
    folders.map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap().count()).sum()
}

fn sconce(bench: &Bench, remote: &str, arguments: &[&str]) -> Said {
    let arguments = [&["--remote", remote], arguments].concat();
    Said::from(command(bench, &arguments).output().unwrap())
}

#[test]
fn what_a_queue_computes_is_shared_and_what_is_there_is_never_handed_over() {
    let folder = tempfile::tempdir().unwrap();
    let remote = format!("file://{}", folder.path().display());
    // A machine without a queue has some of it.
    let one = cluster();
    let some = ["run", "p.toml", "--executor", "local", "point[x=2]", "point[x=5]"];
    let said = sconce(&one, &remote, &some);
    assert_eq!(said.cells("Finished").len(), 3, "{}", said.err);

    let two = cluster();
    let said = sconce(&two, &remote, &["run", "p.toml"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let mut ran = said.cells("Finished");
    ran.sort_unstable();
    assert_eq!(
        ran,
        ["all", "point[x=1]", "point[x=3]", "point[x=4]", "point[x=6]"],
        "{}",
        said.err
    );
    let calls = submitted(&two);
    assert_eq!(calls.len(), 2, "{calls:?}");
    assert!(calls[0].contains("--array=0-3"), "{calls:?}");
    // The jobs brought what they read, and the run put there what they made.
    let all = two.read("artifacts/p/all/all");
    assert_eq!(all, (1..=6).map(|x| format!("{x} of 100000\n")).collect::<String>());
    let three = cluster();
    let said = sconce(&three, &remote, &["run", "p.toml"]);
    assert_eq!((said.code, said.cells("Finished")), (Some(0), vec![]), "{}", said.err);
    assert!(submitted(&three).is_empty());
    assert_eq!(three.read("artifacts/p/all/all"), all);
}

#[test]
fn what_jobs_computed_without_a_run_is_put_there_by_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let remote = format!("file://{}", folder.path().display());
    let one = cluster();
    let mut driver = command(&one, &["--remote", &remote, "run", "p.toml"]);
    let mut driver = driver.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    eventually("the points are handed over", || submitted(&one).len() == 2);
    signal("KILL", driver.id());
    driver.wait().unwrap();
    eventually("the jobs end", || receipts(&one) == 7);
    let said = sconce(&one, &remote, &["run", "p.toml"]);
    assert_eq!((said.code, said.cells("Finished")), (Some(0), vec!["all"]), "{}", said.err);
    let two = cluster();
    let said = sconce(&two, &remote, &["run", "p.toml"]);
    assert_eq!((said.code, said.cells("Finished")), (Some(0), vec![]), "{}", said.err);
}
