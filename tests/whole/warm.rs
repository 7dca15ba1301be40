//! Small cells that share a worker, and what they do not share.

use std::collections::BTreeSet;

use crate::bench::Bench;

/// Each cell writes who its worker is.
const CELLS: &str = r#"
name = "warm"
[stage.cell]
kind = "command"
run = "echo $PPID > worker; echo cell $n tells; DO"
outputs = ["worker"]
matrix.n = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]
"#;

fn bench(what: &str) -> Bench {
    Bench::new(&CELLS.replace("DO", what))
}

/// The workers' numbers of those cells that have a result.
fn workers(bench: &Bench) -> Vec<String> {
    let shown = bench.shown();
    let numbers = shown.iter().filter(|(name, _)| name.ends_with("worker"));
    numbers.map(|(_, bytes)| String::from_utf8(bytes.clone()).unwrap()).collect()
}

#[test]
fn small_cells_share_their_workers() {
    let bench = bench("true");
    bench.run(&["--jobs", "2"]);
    let workers = workers(&bench);
    let different: BTreeSet<_> = workers.iter().collect();
    assert_eq!(workers.len(), 12);
    // A system other than Linux cannot tell what a cell leaves behind.
    let most = if cfg!(target_os = "linux") { 2 } else { 12 };
    assert!(different.len() <= most, "{different:?}");
    // Each has its own log all the same.
    for n in 0..12 {
        let log = bench.path(".sconce/logs/warm").join(format!("cell[n={n}].log"));
        assert_eq!(std::fs::read_to_string(&log).unwrap(), format!("cell {n} tells\n"));
    }
    assert_eq!(bench.path(".sconce/scratch").read_dir().unwrap().count(), 0);
}

#[test]
fn a_cell_that_ends_its_worker_is_the_only_one_lost() {
    let bench = bench("if [ $n = 5 ]; then kill -9 $PPID; fi");
    let said = bench.sconce(&["run", "p.toml", "--jobs", "1"]);
    assert_eq!(said.code, Some(1), "{}", said.err);
    assert_eq!(workers(&bench).len(), 11, "{}", said.err);
    assert!(said.err.contains("the worker process was ended by signal 9"), "{}", said.err);
    // One that failed in an orderly way does not go on, either.
    let bench = self::bench("test $n != 5");
    let said = bench.sconce(&["run", "p.toml", "--jobs", "1"]);
    assert_eq!(said.code, Some(1), "{}", said.err);
    assert_eq!(workers(&bench).len(), 11, "{}", said.err);
}

#[cfg(target_os = "linux")]
#[test]
fn what_a_cell_leaves_running_is_gone_before_the_next() {
    // The next cell looks whether the process that the one before left in a session of its own still lives.
    let what = "if [ -e LEFT ]; then kill -0 $(cat LEFT) 2> /dev/null && exit 3; fi; \
                setsid sh -c 'echo $$ > LEFT; exec sleep 100' > /dev/null 2>&1 & \
                while [ ! -s LEFT ]; do sleep 0.01; done";
    let folder = tempfile::tempdir().unwrap();
    let left = folder.path().join("left").display().to_string();
    let bench = bench(&what.replace("LEFT", &left));
    bench.run(&["--jobs", "1"]);
    assert_eq!(workers(&bench).into_iter().collect::<BTreeSet<_>>().len(), 1);
}
