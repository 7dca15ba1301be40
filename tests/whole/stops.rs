//! Stopping: Ctrl-C, and parents that die.

use std::time::{Duration, Instant};

use crate::bench::{Bench, Said, eventually, is_alive, signal};

/// A program that tells its number, and one that is left behind.
const SLEEPER: &str = r#"
[stage.quick]
kind = "command"
run = "echo > x"
outputs = ["x"]
[stage.slow]
kind = "command"
run = "sleep 300 & echo $! > DIR/child; echo $PPID > DIR/worker; wait"
inputs = ["quick"]
outputs = ["x"]
"#;

fn sleeper(text: &str) -> Bench {
    let bench = Bench::new("");
    let folder = bench.path("").display().to_string();
    bench.write("p.toml", &text.replace("DIR/", &folder));
    bench
}

#[test]
fn ctrl_c_stops_cleanly() {
    let bench = sleeper(SLEEPER);
    let child = bench.start(&["run", "p.toml"]);
    let (grandchild, worker) = (bench.wait_for("child"), bench.wait_for("worker"));
    assert!(is_alive(&grandchild) && is_alive(&worker));
    signal("INT", child.id());
    let said = Said::from(child.wait_with_output().unwrap());
    assert_eq!(said.code, Some(130), "{}", said.err);
    assert!(said.err.contains("Stopping") && said.err.contains("Stopped slow"), "{}", said.err);
    assert!(said.err.contains("interrupted"), "{}", said.err);
    eventually("the worker ends", || !is_alive(&worker));
    eventually("what it started ends", || !is_alive(&grandchild));
    // Nothing is to be cleaned up by hand.
    let text = bench.read("p.toml");
    bench.write("p.toml", &text.replace("sleep 300", "sleep 0").replace("wait", "wait; echo > x"));
    let said = bench.run(&[]);
    assert_eq!(said.cells("Finished"), ["slow"], "{}", said.err);
}

#[test]
fn a_second_ctrl_c_stops_at_once() {
    let stubborn = SLEEPER.replace("sleep 300 &", "trap '' TERM; sleep 300 &");
    let bench = sleeper(&stubborn);
    let child = bench.start(&["run", "p.toml"]);
    let grandchild = bench.wait_for("child");
    bench.wait_for("worker");
    let start = Instant::now();
    signal("INT", child.id());
    std::thread::sleep(Duration::from_millis(200));
    signal("INT", child.id());
    let said = Said::from(child.wait_with_output().unwrap());
    assert_eq!(said.code, Some(130), "{}", said.err);
    // A program that does not listen has 3 s after the first.
    assert!(start.elapsed() < Duration::from_millis(2500), "{:?}", start.elapsed());
    eventually("what it started ends", || !is_alive(&grandchild));
}

#[test]
fn workers_end_with_a_parent_that_is_killed() {
    let bench = sleeper(SLEEPER);
    let mut child = bench.start(&["run", "p.toml"]);
    let (grandchild, worker) = (bench.wait_for("child"), bench.wait_for("worker"));
    child.kill().unwrap();
    child.wait().unwrap();
    eventually("the worker ends", || !is_alive(&worker));
    eventually("what it started ends", || !is_alive(&grandchild));
}

#[test]
fn what_a_worker_leaves_behind_is_ended() {
    let bench = sleeper(
        "[stage.a]\nkind = \"command\"\nrun = \"sleep 300 & echo $! > DIR/child; echo > x\"\n\
         outputs = [\"x\"]\n",
    );
    bench.run(&[]);
    let grandchild = bench.wait_for("child");
    eventually("what it started ends", || !is_alive(&grandchild));
}

/// Scripts that start a program which leaves its session, in the second one's case after its parent's end.
#[cfg(target_os = "linux")]
const LEAVERS: [&str; 2] =
    ["setsid sleep 300 & echo $! > DIR/child", "setsid sh -c 'sleep 300 & echo $! > DIR/child' &"];

/// A stage that runs `leaver` and then `rest`.
#[cfg(target_os = "linux")]
fn leaving(leaver: &str, rest: &str) -> Bench {
    let bench = sleeper(
        "[stage.a]\nkind = \"command\"\nrun = \"echo $PPID > DIR/worker; sh DIR/leave.sh\"\n\
         outputs = [\"x\"]\n",
    );
    let folder = bench.path("").display().to_string();
    bench.write("leave.sh", &format!("{leaver}\n{rest}\n").replace("DIR/", &folder));
    bench
}

#[cfg(target_os = "linux")]
#[test]
fn what_left_its_session_ends_with_its_cell() {
    for leaver in LEAVERS {
        let bench = leaving(leaver, "until test -s DIR/child; do sleep 0.01; done; echo > x");
        bench.run(&[]);
        assert!(!is_alive(&bench.wait_for("child")), "{leaver}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn what_left_its_session_ends_with_a_run_that_is_stopped_or_killed() {
    for leaver in LEAVERS {
        for how in ["INT", "INT INT", "KILL", "worker"] {
            let bench = leaving(leaver, "sleep 300");
            let mut child = bench.start(&["run", "p.toml"]);
            let (grandchild, worker) = (bench.wait_for("child"), bench.wait_for("worker"));
            assert!(is_alive(&grandchild) && is_alive(&worker), "{leaver} {how}");
            match how {
                "worker" => signal("KILL", worker.trim().parse().unwrap()),
                _ => how.split(' ').for_each(|name| {
                    signal(name, child.id());
                    std::thread::sleep(Duration::from_millis(100));
                }),
            }
            child.wait().unwrap();
            eventually("what left its session ends", || !is_alive(&grandchild));
        }
    }
}
