//! `sconce cancel` of some cells, while a run goes on with the others.

use std::process::Stdio;

use crate::bench::{Said, eventually};
use crate::played::{Case, USUAL, bench, command};

#[test]
fn some_cells_are_cancelled_and_the_run_goes_on_with_the_others() {
    let settings = "group = 2\nlost_after = \"60s\"";
    let bench = bench(&Case { squeue: &["NONE"], settings, ..USUAL });
    let folder = bench.path("").display().to_string();
    bench.write(
        "p.toml",
        &format!(
            "[stage.a]\nkind = \"command\"\nmatrix.x = [1, 2, 3, 4]\noutputs = [\"n\"]\n\
             run = '''echo $x >> {folder}begun; until [ -e {folder}go$x ]; do sleep 0.05; done; echo $x > n'''\n\
             [stage.b]\nkind = \"command\"\ninputs = [\"a\"]\nrun = \"cp a/n n\"\noutputs = [\"n\"]\n"
        ),
    );
    let sconce = |arguments: &[&str]| Said::from(command(&bench, arguments).output().unwrap());
    let mut run = command(&bench, &["run", "p.toml"]);
    let run = run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let begun = || {
        let text = std::fs::read_to_string(bench.path("begun")).unwrap_or_default();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort_unstable();
        lines
    };
    eventually("two jobs have begun", || begun() == ["1", "3"]);
    assert!(sconce(&["cancel", "p.toml", "b"]).out.contains("nothing of these is in a queue"));
    assert_eq!(sconce(&["cancel", "p.toml", "a["]).code, Some(2));
    // One behind another of its job, and all of the other job.
    let said = sconce(&["cancel", "p.toml", "a[x=2]"]);
    assert!(said.out.contains("Cancelled 1 cell"), "{}{}", said.out, said.err);
    let said = sconce(&["cancel", "p.toml", "a[x=3]", "a[x=4]"]);
    assert!(said.out.contains("Cancelled 2 cells"), "{}{}", said.out, said.err);
    let said = sconce(&["status"]);
    assert!(said.out.contains("a[x=1]") && !said.out.contains("a[x=3]"), "{}", said.out);
    // The first cell alone: what is cancelled may be told so late.
    bench.write("go1", "");
    let said = Said::from(run.wait_with_output().unwrap());
    assert_eq!(said.code, Some(1), "{}", said.err);
    assert_eq!(said.cells("Finished"), ["a[x=1]", "b[x=1]"], "{}", said.err);
    assert_eq!(said.err.matches("was cancelled elsewhere").count(), 3, "{}", said.err);
    assert_eq!(begun(), ["1", "3"], "what had not begun did not begin");
    // The next run computes them.
    for cell in ["go2", "go3", "go4"] {
        bench.write(cell, "");
    }
    let said = sconce(&["run", "p.toml"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.cells("Finished").contains(&"a[x=2]"), "{}", said.err);
}
