//! Cells in the queue of a real Slurm of one node, where this machine has its programs.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::bench::{Bench, Said, eventually, signal};
use crate::layout::root;

/// One Slurm at a time: its ports are fixed.
static ONE: Mutex<()> = Mutex::new(());

struct Slurm {
    folder: tempfile::TempDir,
    _one: MutexGuard<'static, ()>,
}

impl Slurm {
    /// None where this machine has no Slurm.
    #[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
    fn up() -> Option<Self> {
        let programs = ["slurmctld", "slurmd", "munged", "sbatch"];
        let found = |name: &&str| -> bool {
            let places = ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"];
            places.iter().any(|place| Path::new(place).join(name).exists())
        };
        let is_root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n");
        if !programs.iter().all(found) || !is_root {
            println!("skipped: no Slurm (slurmctld, slurmd, slurm-client and munge, and root)");
            return None;
        }
        let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let slurm = Self { folder: tempfile::tempdir().unwrap(), _one: one };
        assert!(slurm.script(&["up"], &["18817"]), "the Slurm of one node does not come up");
        Some(slurm)
    }

    fn script(&self, before: &[&str], after: &[&str]) -> bool {
        let mut command = Command::new(root().join("tests/slurm.sh"));
        // What it leaves running must not hold a pipe of this process.
        command.args(before).arg(self.folder.path()).args(after);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().unwrap().success()
    }

    fn configuration(&self) -> PathBuf {
        self.folder.path().join("slurm.conf")
    }

    fn command(&self, bench: &Bench, arguments: &[&str]) -> Command {
        let mut command = bench.command(arguments);
        command.env("SLURM_CONF", self.configuration());
        command
    }

    fn sconce(&self, bench: &Bench, arguments: &[&str]) -> Said {
        Said::from(self.command(bench, arguments).output().unwrap())
    }

    fn start(&self, bench: &Bench, arguments: &[&str]) -> std::process::Child {
        let mut command = self.command(bench, arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn say(&self, program: &str, arguments: &[&str]) -> String {
        let mut command = Command::new(program);
        let output =
            command.args(arguments).env("SLURM_CONF", self.configuration()).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Ends the controller by SIGKILL.
    fn kill_controller(&self) {
        let pid = std::fs::read_to_string(self.folder.path().join("run/slurmctld.own")).unwrap();
        signal("KILL", pid.trim().parse().unwrap());
    }
}

impl Drop for Slurm {
    fn drop(&mut self) {
        self.say("scancel", &["--user=root"]);
        self.script(&["down"], &[]);
    }
}

const QUICK: &str = "[executor]\nname = \"slurm\"\npoll = \"500ms\"\nlate = \"3s\"\ngroup = 10\n";

const SWEEP: &str = r#"
[stage.begin]
kind = "command"
run = "echo 17 > number"
outputs = ["number"]
[stage.point]
kind = "command"
matrix.x = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23]
inputs = ["begin"]
run = "echo point $x >&2; echo $(( $(cat begin/number) * x )) > number"
outputs = ["number"]
[stage.here]
kind = "command"
executor = "local"
inputs = ["begin"]
run = "test -z \"$(ls -d begin/none 2>/dev/null)\"; echo local > text"
outputs = ["text"]
[stage.sum]
kind = "command"
inputs = ["point[*]"]
run = "cat point/*/number | sort -n > sum"
outputs = ["sum"]
"#;

#[test]
fn a_study_comes_out_the_same_bits_from_slurm() {
    let Some(slurm) = Slurm::up() else { return };
    let here = Bench::new(SWEEP);
    here.run(&[]);
    let lock = here.sconce(&["lock", "p.toml"]);
    assert_eq!(lock.code, Some(0), "{}", lock.err);
    let there = Bench::new(SWEEP);
    there.write("sconce.toml", QUICK);
    std::fs::copy(here.path("p.lock"), there.path("p.lock")).unwrap();
    let said = slurm.sconce(&there, &["run", "p.toml", "--locked"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert_eq!(said.cells("Finished").len(), 27, "{}", said.err);
    // One array for the matrix, ten cells a job; the local stage is in no job.
    let jobs = slurm.say("squeue", &["--states=all", "--noheader", "--array", "--format=%j %K"]);
    assert_eq!(jobs.lines().count(), 1 + 3 + 1, "{jobs}");
    let said = slurm.sconce(&there, &["run", "p.toml"]);
    assert_eq!((said.code, said.cells("Finished").len()), (Some(0), 0), "{}", said.err);
    let said = slurm.sconce(&there, &["show", "p.toml", "point[x=7]", "--log"]);
    assert_eq!(said.out.trim(), "point 7");
    assert!(slurm.sconce(&there, &["status"]).out.contains("nothing is in a queue"));
}

const SLOW: &str = r#"
[stage.slow]
kind = "command"
run = "echo begun >> DIR/begun; until [ -e DIR/go ]; do sleep 0.05; done; echo done > x"
outputs = ["x"]
[stage.after]
kind = "command"
inputs = ["slow"]
run = "cp slow/x y"
outputs = ["y"]
"#;

fn slow() -> Bench {
    let bench = Bench::new("");
    let folder = bench.path("").display().to_string();
    bench.write("p.toml", &SLOW.replace("DIR/", &folder));
    bench.write("sconce.toml", QUICK);
    bench
}

#[test]
fn a_driver_that_is_killed_is_followed_by_the_next() {
    let Some(slurm) = Slurm::up() else { return };
    let bench = slow();
    let mut driver = slurm.start(&bench, &["run", "p.toml"]);
    bench.wait_for("begun");
    driver.kill().unwrap();
    driver.wait().unwrap();
    let said = slurm.sconce(&bench, &["status"]);
    assert!(said.out.contains("slow: running on localhost"), "{}", said.out);
    let said = slurm.sconce(&bench, &["why", "p.toml", "slow"]);
    assert!(said.out.contains("slow is in the queue as job "), "{}", said.out);
    // The controller is lost and comes again meanwhile.
    slurm.kill_controller();
    let driver = slurm.start(&bench, &["run", "p.toml"]);
    std::thread::sleep(std::time::Duration::from_secs(1));
    assert!(slurm.script(&["controller"], &[]));
    bench.write("go", "");
    let said = Said::from(driver.wait_with_output().unwrap());
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert_eq!(said.cells("Finished"), ["slow", "after"], "{}", said.err);
    assert_eq!(bench.read("begun"), "begun\n", "it was computed once");
}

#[test]
fn a_job_that_is_killed_is_handed_over_again() {
    let Some(slurm) = Slurm::up() else { return };
    let bench = slow();
    let driver = slurm.start(&bench, &["run", "p.toml"]);
    bench.wait_for("begun");
    let pids =
        slurm.say("pgrep", &["-f", &format!("{} .*exec --batch", bench.path(".sconce").display())]);
    for pid in pids.lines() {
        signal("KILL", pid.parse().unwrap());
    }
    eventually("it begins again", || bench.read("begun").lines().count() == 2);
    bench.write("go", "");
    let said = Said::from(driver.wait_with_output().unwrap());
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.err.contains("handed over again"), "{}", said.err);
}

#[test]
fn who_is_stopped_without_a_terminal_leaves_its_jobs_and_cancel_ends_them() {
    let Some(slurm) = Slurm::up() else { return };
    let bench = slow();
    let driver = slurm.start(&bench, &["run", "p.toml"]);
    bench.wait_for("begun");
    signal("TERM", driver.id());
    let said = Said::from(driver.wait_with_output().unwrap());
    assert_eq!(said.code, Some(130), "{}", said.err);
    assert!(said.err.contains("jobs go on"), "{}", said.err);
    let said = slurm.sconce(&bench, &["run", "p.toml", "--detach"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    eventually("the detached run follows", || {
        let log = said.err.split(" tells ").nth(1).unwrap().trim().to_owned();
        std::fs::read_to_string(log).is_ok_and(|log| log.contains("slow: job"))
    });
    let log = said.err.split(" tells ").nth(1).unwrap().trim().to_owned();
    let said = slurm.sconce(&bench, &["cancel", "p.toml"]);
    assert!(said.out.contains("Cancelled 1 cell"), "{} {}", said.out, said.err);
    eventually("the detached run ends", || {
        std::fs::read_to_string(&log).is_ok_and(|log| log.contains("Summary"))
    });
    eventually("the queue is empty", || {
        slurm.say("squeue", &["--noheader", "--states=running,pending,completing"]).is_empty()
    });
    assert_eq!(bench.read("begun"), "begun\n");
    assert!(slurm.sconce(&bench, &["status"]).out.contains("nothing is in a queue"));
}

#[test]
fn a_job_that_somebody_cancels_is_told_as_such() {
    let Some(slurm) = Slurm::up() else { return };
    let bench = slow();
    let driver = slurm.start(&bench, &["run", "p.toml"]);
    bench.wait_for("begun");
    slurm.say("scancel", &["--user=root"]);
    let said = Said::from(driver.wait_with_output().unwrap());
    assert_eq!(said.code, Some(1), "{}", said.err);
    assert!(said.err.contains("was cancelled in the queue"), "{}", said.err);
    assert_eq!(bench.read("begun"), "begun\n", "and not handed over again");
}

#[test]
fn what_the_queue_refuses_is_told_in_its_words() {
    let Some(slurm) = Slurm::up() else { return };
    let bench = slow();
    bench.write("sconce.toml", &format!("{QUICK}partition = \"nowhere\"\n"));
    let said = slurm.sconce(&bench, &["run", "p.toml"]);
    assert_eq!(said.code, Some(1), "{}", said.err);
    assert!(said.err.contains("invalid partition"), "{}", said.err);
    bench.write("sconce.toml", "[executor]\nname = \"slurm\"\nprogram = \"/nowhere/sconce\"\npoll = \"500ms\"\nlate = \"1s\"\n");
    let said = slurm.sconce(&bench, &["run", "p.toml"]);
    assert!(said.err.contains("ended before it began with a cell"), "{}", said.err);
    assert!(said.err.contains("/nowhere/sconce"), "{}", said.err);
}
