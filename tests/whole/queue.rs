//! What queues do wrong, played.

use std::process::Stdio;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use crate::bench::{Bench, Said, signal};
use crate::played::{Case, RUNS, USUAL, begun, bench, command, submitted};

const CASES: &[Case] = &[
    Case { name: "all is well", ..USUAL },
    Case {
        name: "missing from the queue while it runs",
        squeue: &[RUNS, "NONE"],
        body: "sleep 2",
        settings: "lost_after = \"60s\"",
        ..USUAL
    },
    Case {
        name: "missing, and back",
        squeue: &[RUNS, "NONE", "NONE", "NONE", "NONE", RUNS],
        body: "sleep 2",
        settings: "lost_after = \"5s\"",
        ..USUAL
    },
    Case {
        name: "missing long, with signs of life",
        squeue: &["NONE"],
        body: "sleep 4",
        // Longer than the time between two signs of life.
        settings: "lost_after = \"12s\"",
        ..USUAL
    },
    Case {
        name: "a question fails",
        squeue: &["FAIL"],
        body: "sleep 2",
        says: &["the queue does not answer; what runs goes on: squeue: slurm_load_jobs error"],
        ..USUAL
    },
    Case {
        name: "a question hangs",
        squeue: &["HANG", RUNS],
        body: "sleep 3",
        settings: "patience = \"1s\"",
        says: &["`squeue` gave no answer in 1 s", "the queue answers again"],
        ..USUAL
    },
    Case {
        name: "the controller is restarted",
        squeue: &[RUNS, "FAIL", "FAIL", RUNS],
        body: "sleep 2",
        says: &["does not answer", "the queue answers again"],
        ..USUAL
    },
    Case {
        name: "records forgotten, and never run",
        sbatch: &["nothing", "run"],
        squeue: &["NONE", RUNS],
        by_submission: true,
        says: &["was lost: its machine failed, or the queue forgot it: handed over again"],
        submitted: 2,
        ..USUAL
    },
    Case {
        name: "its number is another job's now",
        squeue: &["OTHER"],
        body: "sleep 2",
        settings: "lost_after = \"60s\"",
        ..USUAL
    },
    Case {
        name: "preempted, put back, and run",
        sbatch: &["later"],
        squeue: &["0|PREEMPTED|None|", "0|PENDING|BeginTime|", "0|REQUEUED|None|", RUNS],
        says: &["queued as job 70_0: BeginTime"],
        ..USUAL
    },
    Case {
        name: "a state of a later version",
        squeue: &["0|DREAMING|None|node1"],
        body: "sleep 1",
        says: &["dreaming on node1"],
        ..USUAL
    },
    Case {
        name: "failed without a word, as Slurm does with what it cannot start again",
        sbatch: &["nothing", "run"],
        squeue: &["0|FAILED|NonZeroExitCode|", RUNS],
        by_submission: true,
        says: &["ended without a word: FAILED, reason NonZeroExitCode: handed over again"],
        submitted: 2,
        ..USUAL
    },
    Case {
        name: "failed without a word, always",
        sbatch: &["nothing"],
        squeue: &["0|FAILED|NonZeroExitCode|"],
        settings: "retries = 2",
        good: false,
        says: &["ended without a word: FAILED, reason NonZeroExitCode; handed over again 2 times"],
        submitted: 3,
        begun: 0,
        ..USUAL
    },
    Case {
        name: "out of memory, by its state",
        sbatch: &["nothing", "run"],
        squeue: &["0|OUT_OF_MEMORY|OutOfMemory|", RUNS],
        by_submission: true,
        says: &["took too much memory: handed over again with 1.0 GiB"],
        submitted: 2,
        ..USUAL
    },
    Case {
        name: "out of memory, without an exit code",
        sbatch: &["nothing", "run"],
        squeue: &["0|FAILED|JobLaunchFailure|", RUNS],
        by_submission: true,
        says: &[
            "was ended by a signal: FAILED, reason JobLaunchFailure: handed over again with 1.0 GiB",
        ],
        submitted: 2,
        ..USUAL
    },
    Case {
        name: "out of memory, by the death of its worker",
        body: "test -e DIR/again || { touch DIR/again; kill -9 $PPID; }",
        says: &[
            "was ended by signal 9 (SIGKILL): the system may be short of memory: handed over again with 1.0 GiB",
        ],
        submitted: 2,
        begun: 2,
        ..USUAL
    },
    Case {
        name: "out of memory, always",
        sbatch: &["nothing"],
        squeue: &["0|OUT_OF_MEMORY|OutOfMemory|"],
        good: false,
        says: &["took too much memory; it had 2.0 GiB, the most that it may have"],
        submitted: 3,
        begun: 0,
        ..USUAL
    },
    Case {
        name: "its time was over, after a checkpoint",
        sbatch: &["checkpoint", "run"],
        squeue: &["0|TIMEOUT|TimeLimit|", RUNS],
        by_submission: true,
        says: &["came to its time limit: handed over again from its checkpoint"],
        submitted: 2,
        ..USUAL
    },
    Case {
        name: "its time was over, and nothing to go on from",
        sbatch: &["nothing"],
        squeue: &["0|TIMEOUT|TimeLimit|"],
        good: false,
        says: &[
            "came to its time limit without a checkpoint to go on from: raise `resources.time`",
        ],
        begun: 0,
        ..USUAL
    },
    Case {
        name: "its machine was lost",
        sbatch: &["nothing", "run"],
        squeue: &["0|NODE_FAIL|NodeDown|", RUNS],
        by_submission: true,
        says: &["was lost"],
        submitted: 2,
        ..USUAL
    },
    Case {
        name: "machines are lost again and again",
        sbatch: &["nothing"],
        squeue: &["0|NODE_FAIL|NodeDown|"],
        settings: "retries = 2",
        good: false,
        says: &["was lost: its machine failed, or the queue forgot it; handed over again 2 times"],
        submitted: 3,
        begun: 0,
        ..USUAL
    },
    Case {
        name: "accounting knows what the controller forgot",
        sbatch: &["nothing"],
        squeue: &["NONE"],
        sacct: Some("CANCELLED by 1000|0:0"),
        settings: "lost_after = \"60s\"",
        good: false,
        says: &["was cancelled in the queue (job 70_0; scancel, or by an operator)"],
        begun: 0,
        ..USUAL
    },
    Case {
        name: "results come to sight late",
        sbatch: &["later"],
        squeue: &["0|COMPLETED|None|"],
        settings: "late = \"30s\"",
        ..USUAL
    },
    Case {
        name: "ended well without results",
        sbatch: &["nothing"],
        squeue: &["0|COMPLETED|None|"],
        good: false,
        settings: "retries = 1",
        says: &[
            "the store does not hold its result: handed over again",
            "the store does not hold its result; handed over again 1 times",
        ],
        submitted: 2,
        begun: 0,
        ..USUAL
    },
    Case {
        name: "cancelled by somebody",
        sbatch: &["nothing"],
        squeue: &["0|CANCELLED|None|"],
        good: false,
        says: &["was cancelled in the queue"],
        begun: 0,
        ..USUAL
    },
    Case {
        name: "munge is down while it is handed over",
        sbatch: &["munge", "run"],
        squeue: &["NONE", RUNS],
        by_submission: true,
        says: &[
            "the queue does not answer, and is asked again: sbatch: error: Munge encode failed",
        ],
        submitted: 2,
        ..USUAL
    },
    Case { name: "taken, but the answer was lost", sbatch: &["cut"], body: "sleep 3", ..USUAL },
    Case {
        name: "taken twice",
        sbatch: &["twice"],
        squeue: &["0|RUNNING|None|node1\n0|COMPLETED|None|"],
        body: "sleep 1",
        ..USUAL
    },
    Case {
        name: "refused",
        sbatch: &["refuse"],
        good: false,
        says: &[
            "slurm refused the job: sbatch: error: Batch job submission failed: Invalid account",
        ],
        begun: 0,
        ..USUAL
    },
];

fn check(case: &Case) -> Result<(), String> {
    let bench = bench(case);
    let mut run = command(&bench, &["run", "p.toml"]);
    let run = run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // One that waits for ever says for what.
    let (pid, (ended, end)) = (run.id(), std::sync::mpsc::channel::<()>());
    let watch = std::thread::spawn(move || {
        if end.recv_timeout(Duration::from_secs(90)) == Err(RecvTimeoutError::Timeout) {
            signal("KILL", pid);
        }
    });
    let said = Said::from(run.wait_with_output().unwrap());
    drop(ended);
    watch.join().unwrap();
    let calls = submitted(&bench);
    let told = format!("{}:\n{}\n{}", case.name, said.err, bench.read("played/called"));
    let expected = Some(if case.good { 0 } else { 1 });
    if said.code != expected {
        return Err(format!("status {:?}: {told}", said.code));
    }
    for words in case.says {
        let lines = said.err.lines().filter(|line| line.contains(words)).count();
        if lines != 1 {
            return Err(format!("{lines} lines say `{words}`: {told}"));
        }
    }
    if (calls.len(), begun(&bench)) != (case.submitted, case.begun) {
        return Err(format!("handed over {}, begun {} times: {told}", calls.len(), begun(&bench)));
    }
    // Keys depend on content: no order of jobs is ever handed over.
    if calls.iter().any(|call| call.contains("--dependency")) {
        return Err(told);
    }
    let left = std::fs::read_dir(bench.path(".sconce/queue")).unwrap().count();
    if left > 0 {
        return Err(format!("{left} batches are left: {told}"));
    }
    Ok(())
}

#[test]
fn what_queues_do_wrong() {
    let next = std::sync::atomic::AtomicUsize::new(0);
    let failed = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                loop {
                    let place = next.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                    let Some(case) = CASES.get(place) else { break };
                    if let Err(text) = check(case) {
                        failed.lock().unwrap().push(text);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{} of {}:\n{}", failed.len(), CASES.len(), failed.join("\n"));
}

/// As it was seen when a controller forgot what it had taken: the batch is taken twice, the first job dies,
/// and the second ends well, since the element is not its own.
#[test]
fn a_batch_that_is_taken_twice_and_whose_first_job_dies_is_not_lost() {
    let case = Case {
        sbatch: &["twice", "run"],
        squeue: &["0|COMPLETED|None|", RUNS],
        by_submission: true,
        body: "test -e DIR/again || { touch DIR/again; kill -9 $(ps -o ppid= -p $PPID); sleep 5; }",
        settings: "lost_after = \"2s\"",
        ..USUAL
    };
    let bench = bench(&case);
    let said = Said::from(command(&bench, &["run", "p.toml"]).output().unwrap());
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert_eq!((submitted(&bench).len(), begun(&bench)), (2, 2), "{}", said.err);
}

/// As it was seen when a controller died over the start of a job.
#[test]
fn a_job_that_is_held_after_its_start_failed_is_released() {
    const HELD: &str = "0|PENDING|launch failed requeued held|";
    let case = Case { sbatch: &["later"], squeue: &[HELD, HELD, RUNS], ..USUAL };
    let bench = bench(&case);
    let said = Said::from(command(&bench, &["run", "p.toml"]).output().unwrap());
    assert_eq!(said.code, Some(0), "{}", said.err);
    let called = bench.read("played/called");
    assert!(called.lines().any(|line| line == "scontrol release 70_0"), "{called}");
    assert_eq!((submitted(&bench).len(), begun(&bench)), (1, 1), "{called}");
}

/// The driver dies between the queue's word and its own record of it.
#[test]
fn a_batch_whose_driver_died_over_it_is_found_by_its_name() {
    let case = Case { sbatch: &["orphan", "run"], body: "sleep 3", ..USUAL };
    let bench = bench(&case);
    let said = Said::from(command(&bench, &["run", "p.toml"]).output().unwrap());
    assert_eq!(said.code, None, "it was killed: {}", said.err);
    let said = Said::from(command(&bench, &["run", "p.toml"]).output().unwrap());
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert_eq!((submitted(&bench).len(), begun(&bench)), (1, 1), "{}", said.err);
}

#[test]
fn a_command_without_a_queue_runs_cells_and_is_asked_for_by_one_stage() {
    let bench = Bench::new(
        "[defaults.command]\nexecutor = \"command\"\n[stage.a]\nkind = \"command\"\nmatrix.x = [1, 2, 3, 4]\n\
         run = \"echo $x > x\"\noutputs = [\"x\"]\n[stage.b]\nkind = \"command\"\nexecutor = \"local\"\n\
         inputs = [\"a[*]\"]\nrun = \"cat a/*/x > x\"\noutputs = [\"x\"]\n",
    );
    let folder = bench.path("").display().to_string();
    bench.write(
        "sconce.toml",
        &format!("[executor]\ncommand = \"echo {{name}} {{threads}} {{memory}} >> {folder}asked; sh -c {{command}}\"\ngroup = 2\n"),
    );
    let said = bench.run(&[]);
    assert_eq!(said.cells("Finished").len(), 5, "{}", said.err);
    assert_eq!(
        bench.read("asked").lines().count(),
        2,
        "two cells a job, and the other stage at home"
    );
    assert!(
        bench.read("asked").lines().all(|line| line.ends_with(" 1 512")),
        "{}",
        bench.read("asked")
    );
    // The word on the command line wins.
    let said = bench.sconce(&["run", "p.toml", "--executor", "local", "--force"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert_eq!(bench.read("asked").lines().count(), 2);
    bench.write("sconce.toml", "[executor]\ncommand = \"ssh node\"\n");
    let said = bench.sconce(&["run", "p.toml", "--force"]);
    assert_eq!(said.code, Some(2), "{}", said.err);
    assert!(
        said.err.contains("`executor.command`: expected a command with `{command}` in it"),
        "{}",
        said.err
    );
}

/// The receipts say how many cells make the wanted seconds.
#[test]
fn cells_share_jobs_by_what_the_last_ones_took() {
    let case =
        Case { squeue: &["NONE"], settings: "group = \"1s\"\nlost_after = \"60s\"", ..USUAL };
    let bench = bench(&case);
    let text = |values: &str| {
        format!(
            "[stage.a]\nkind = \"command\"\nmatrix.x = [{values}]\nrun = \"sleep 0.2; echo $x > x\"\noutputs = [\"x\"]\n"
        )
    };
    bench.write("p.toml", &text("1, 2"));
    let said =
        Said::from(command(&bench, &["run", "p.toml", "--executor", "local"]).output().unwrap());
    assert_eq!(said.code, Some(0), "{}", said.err);
    bench.write("p.toml", &text("1, 2, 3, 4, 5, 6, 7, 8"));
    let said = Said::from(command(&bench, &["run", "p.toml"]).output().unwrap());
    assert_eq!(said.cells("Finished").len(), 6, "{}", said.err);
    let calls = submitted(&bench);
    assert_eq!(calls.len(), 1, "one array: {calls:?}");
    let last = calls[0].split("--array=0-").nth(1).unwrap();
    let last: usize = last.split(' ').next().unwrap().parse().unwrap();
    // Four cells of a good .2 s fit into a second; a busy machine makes that three or two.
    assert!((1..=3).contains(&last), "{calls:?}");
}

/// In private, and compared with what the store holds.
#[test]
fn results_are_verified_in_the_queue_and_trials_stay_here() {
    let bench = bench(&Case { squeue: &["NONE"], settings: "lost_after = \"60s\"", ..USUAL });
    let sconce = |arguments: &[&str]| Said::from(command(&bench, arguments).output().unwrap());
    assert_eq!(sconce(&["run", "p.toml"]).code, Some(0));
    let said = sconce(&["verify", "p.toml"]);
    assert_eq!((said.code, said.cells("Verified")), (Some(0), vec!["a:"]), "{}", said.err);
    assert_eq!((submitted(&bench).len(), begun(&bench)), (2, 2), "{}", said.err);
    let sweep =
        ["sweep", "p.toml", "--over", "stage.a.env.x=1,2", "--trials", "2", "--maximise", "a.x"];
    let said = sconce(&[&sweep[..], &["--executor", "slurm"]].concat());
    assert_eq!(said.code, Some(2), "{}", said.err);
    assert!(said.err.contains("trials run on this machine"), "{}", said.err);
    assert_eq!(submitted(&bench).len(), 2);
}
