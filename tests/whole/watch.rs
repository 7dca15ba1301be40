//! What can be seen of cells while they run, and of those that were killed or failed.

use std::path::PathBuf;

use crate::bench::{Bench, eventually, signal};

/// A training in shell: a line a step, then it waits until it may go on.
const TRAINING: &str = r#"
name = "watched"
[stage.training]
kind = "command"
run = '''
for step in 1 2 3 4 5 6; do
    echo "step=$step of=6 loss=0.$((9 - step))" >> "$SCONCE_JOURNAL"
    if [ $step = 4 ]; then
        until [ -e "$GO" ]; do sleep 0.02; done
        test -z "$(cat "$GO")"
    fi
done
echo "epoch=1 accuracy=0.75" >> "$SCONCE_JOURNAL"
echo done > out
'''
env = { GO = "GO-FILE" }
outputs = ["out"]
"#;

fn training() -> Bench {
    let bench = Bench::new("");
    let go = bench.path("go").display().to_string();
    bench.write("p.toml", &TRAINING.replace("GO-FILE", &go));
    bench
}

fn live(bench: &Bench, cell: &str) -> String {
    let said = bench.sconce(&["show", "p.toml", cell, "--live"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    said.out
}

fn journals(bench: &Bench) -> Vec<PathBuf> {
    let folder = std::fs::read_dir(bench.path(".sconce/journals")).unwrap();
    folder.map(|entry| entry.unwrap().path()).collect()
}

/// Step and loss of each point, as the file has them.
fn lines(bench: &Bench) -> String {
    let [journal] = &journals(bench)[..] else { panic!("expected one journal") };
    std::fs::read_to_string(journal).unwrap()
}

#[test]
fn a_curve_is_seen_while_its_cell_runs_and_after_it() {
    let bench = training();
    let before = live(&bench, "training");
    assert!(before.contains("training (ready to run)"), "{before}");
    let child = bench.start(&["run", "p.toml"]);
    eventually("four steps are told", || live(&bench, "training").contains("step 4"));
    let during = live(&bench, "training");
    assert!(during.contains("training (running, for "), "{during}");
    assert!(during.contains("4/6 steps, 67 %"), "{during}");
    // .8, .7, .6, .5
    assert!(during.contains("█▆▃▁ 0.5"), "{during}");
    bench.write("go", "");
    assert!(child.wait_with_output().unwrap().status.success());
    let after = live(&bench, "training");
    assert!(after.starts_with("training (done"), "{after}");
    assert!(after.contains("accuracy ▄ 0.75"), "{after}");
    assert!(after.contains("step 6, 0.3 at 6 to 0.8 at 1"), "{after}");
    // It is no part of the result.
    let journal = lines(&bench);
    assert!(journal.contains(r#"{"end":{"how":"done""#), "{journal}");
    let said = bench.sconce(&["verify", "p.toml"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert_eq!(lines(&bench), journal, "verifying tells nothing");
}

#[test]
fn the_curve_of_a_killed_run_stays_and_the_next_run_goes_on_with_it() {
    let bench = training();
    let mut child = bench.start(&["run", "p.toml"]);
    eventually("four steps are told", || live(&bench, "training").contains("step 4"));
    signal("KILL", child.id());
    child.wait().unwrap();
    eventually("its worker ends with it", || live(&bench, "training").contains("killed"));
    let killed = live(&bench, "training");
    assert!(killed.contains("█▆▃▁ 0.5") && killed.contains("4/6 steps"), "{killed}");
    // The worker may have been killed within a line.
    let [journal] = &journals(&bench)[..] else { panic!("expected one journal") };
    let torn = lines(&bench) + r#"{"point":{"step":5,"at":1.0,"values":[["lo"#;
    std::fs::write(journal, torn).unwrap();
    assert_eq!(live(&bench, "training"), killed);
    bench.write("go", "");
    bench.run(&[]);
    let after = live(&bench, "training");
    assert!(after.contains("started 2 times"), "{after}");
    assert!(after.contains("step 6, 0.3 at 6 to 0.8 at 1"), "{after}");
    for step in 1..=6 {
        let told = lines(&bench).matches(&format!(r#"{{"step":{step},"at""#)).count();
        // What was told before the kill may stand in the file twice, and is read once.
        assert!((1..=2).contains(&told), "step {step}");
    }
    assert!(after.contains("loss     ▇▆▅▄▂▁") || after.contains("█▇▅▄▂▁"), "{after}");
}

#[test]
fn a_failed_cell_shows_its_curve_and_why_it_failed() {
    let bench = training();
    bench.write("go", "fail");
    assert_eq!(bench.sconce(&["run", "p.toml"]).code, Some(1));
    let failed = live(&bench, "training");
    assert!(failed.starts_with("training (failed, "), "{failed}");
    assert!(failed.contains("error      the program ended with status 1"), "{failed}");
    assert!(failed.contains("█▆▃▁ 0.5"), "{failed}");
}

#[test]
fn many_cells_have_a_line_each_and_cells_without_curves_leave_no_journal() {
    let bench = Bench::new(
        r#"
        [stage.a]
        kind = "command"
        run = "test $n != 3; echo loss=$n >> $SCONCE_JOURNAL; echo oops >> $SCONCE_JOURNAL; echo $n > out"
        outputs = ["out"]
        matrix.n = [1, 2, 3, 4, 5, 6]
        [stage.b]
        kind = "command"
        run = "cat a/out > out"
        inputs = ["a"]
        outputs = ["out"]
        "#,
    );
    let said = bench.sconce(&["run", "p.toml"]);
    assert_eq!(said.code, Some(1));
    let words = "line 2 of SCONCE_JOURNAL is left out: expected `name=value`, found `oops`";
    assert!(said.err.contains(words), "{}", said.err);
    let shown = live(&bench, "a");
    assert!(shown.contains("a[n=2] done"), "{shown}");
    assert!(shown.contains("loss 2"), "{shown}");
    assert!(shown.contains("5 done, 1 failed"), "{shown}");
    assert!(live(&bench, "b").contains("5 done, 1 waiting"), "{}", live(&bench, "b"));
    // Those of `a`: five with a curve, and the one that failed.
    assert_eq!(journals(&bench).len(), 6);
}
