//! Records of runs: whole, of a run that goes on, of a killed one, and damaged.

use std::path::PathBuf;

use super::*;
use crate::store::{Invocation, RunCell, RunCounts, RunEnd, RunRecord, RunState};

fn record() -> RunRecord {
    let invocation = Invocation {
        file: PathBuf::from("/a/study.toml"),
        sets: vec!["vars.a=1".to_owned()],
        ..Invocation::default()
    };
    RunRecord {
        id: 0,
        pipeline: "study".to_owned(),
        invocation,
        file_digest: Some(Digest::of(b"text")),
        commit: None,
        sconce: "0".to_owned(),
        process: 1,
        started: 10.5,
        seconds: None,
        cells: 3,
        counts: RunCounts::default(),
        end: RunEnd::Running,
        error: None,
    }
}

fn cell(stage: &str, state: RunState) -> RunCell {
    RunCell {
        cell: CellId { stage: stage.to_owned(), coordinates: Coordinates::none() },
        state,
        key: Some(Digest::of(stage.as_bytes())),
        started: None,
        ended: None,
        error: None,
    }
}

#[test]
fn a_run_is_recorded_from_its_beginning_to_its_end() {
    let (_folder, store) = fresh();
    assert_eq!(store.runs().unwrap(), []);
    let mut one = record();
    let mut log = store.begin_run(&mut one).unwrap().unwrap();
    assert_eq!((one.id, store.run(1).unwrap()), (1, Some(one.clone())));
    log.cell(&cell("a", RunState::Fresh)).unwrap();
    log.cell(&cell("b", RunState::Running)).unwrap();
    let running = store.run(1).unwrap().unwrap();
    let counts = RunCounts { fresh: 1, ..RunCounts::default() };
    assert_eq!((running.end, running.counts), (RunEnd::Running, counts));
    assert_eq!(store.run_cells(1).unwrap()[1].state, RunState::Running);
    log.cell(&cell("b", RunState::Ran)).unwrap();
    one.end = RunEnd::Succeeded;
    one.counts = RunCounts { fresh: 1, ran: 1, ..RunCounts::default() };
    log.end(&one).unwrap();
    assert_eq!(store.runs().unwrap(), [one]);
    let cells = [cell("a", RunState::Fresh), cell("b", RunState::Ran)];
    assert_eq!(store.run_cells(1).unwrap(), cells);
    assert_eq!(store.run(2).unwrap(), None);
    assert!(!store.root().join("locks/run-1").exists());
}

#[test]
fn a_long_record_is_found_by_its_ends() {
    let (_folder, store) = fresh();
    let mut one = record();
    let mut log = store.begin_run(&mut one).unwrap().unwrap();
    for number in 0..2000 {
        log.cell(&cell(&format!("a{number}"), RunState::Fresh)).unwrap();
    }
    one.end = RunEnd::Failed;
    one.counts.fresh = 7;
    log.end(&one).unwrap();
    // Its own word, and not what would be counted.
    assert_eq!(store.run(1).unwrap(), Some(one));
    assert_eq!(store.run_cells(1).unwrap().len(), 2000);
}

/// Begins a run and waits to be killed.
#[test]
fn child_that_runs() {
    let Some((folder, _)) = as_child() else {
        return;
    };
    let store = Store::open(&folder).unwrap();
    let mut log = store.begin_run(&mut record()).unwrap().unwrap();
    log.cell(&cell("a", RunState::Ran)).unwrap();
    log.cell(&cell("b", RunState::Running)).unwrap();
    println!("\nruns");
    std::thread::sleep(std::time::Duration::from_secs(60));
}

#[test]
fn a_killed_run_is_known_by_its_lock() {
    let (_folder, store) = fresh();
    let mut child = child("runs::child_that_runs", store.root(), "");
    wait_for(&mut child, "runs");
    assert_eq!(store.runs().unwrap()[0].end, RunEnd::Running);
    child.kill().unwrap();
    child.wait().unwrap();
    let killed = store.run(1).unwrap().unwrap();
    assert_eq!(killed.end, RunEnd::Killed);
    assert_eq!((killed.counts.ran, killed.counts.interrupted), (1, 1));
    assert_eq!(store.run_cells(1).unwrap()[1].state, RunState::Interrupted);
    assert!(!store.root().join("locks/run-1").exists(), "what it left is gone");
    // A line that was cut short is as none; what was before it stands.
    let path = store.root().join("runs/1.jsonl");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, &text[..text.len() - 20]).unwrap();
    assert_eq!(store.run_cells(1).unwrap(), [cell("a", RunState::Ran)]);
    assert_eq!(store.run(1).unwrap().unwrap().end, RunEnd::Killed);
    // Without its beginning it is no record.
    std::fs::write(&path, "{}\n").unwrap();
    assert_eq!(store.runs().unwrap(), []);
    assert_eq!(store.take_damage().len(), 1);
    let next = store.begin_run(&mut record()).unwrap().unwrap();
    assert_eq!(next.id(), 2, "no number comes twice");
}

#[test]
fn runs_at_once_have_numbers_of_their_own() {
    let (_folder, store) = fresh();
    let begin = || {
        let other = Store::open(store.root()).unwrap();
        (0..20).map(|_| other.begin_run(&mut record()).unwrap().unwrap().id()).collect::<Vec<_>>()
    };
    let mut ids = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(begin)).collect();
        threads.into_iter().flat_map(|one| one.join().unwrap()).collect::<Vec<_>>()
    });
    ids.sort_unstable();
    assert_eq!(ids, (1..=80).collect::<Vec<_>>());
    // Without the hint the folder tells the latest.
    std::fs::remove_file(store.root().join("runs/latest")).unwrap();
    assert_eq!(store.begin_run(&mut record()).unwrap().unwrap().id(), 81);
}

#[test]
fn old_records_go_and_those_of_living_runs_stay() {
    let (_folder, store) = fresh();
    let _log = store.begin_run(&mut record()).unwrap().unwrap();
    drop(store.begin_run(&mut record()).unwrap().unwrap());
    std::thread::sleep(std::time::Duration::from_millis(20));
    let limits = GcLimits { max_age: Some(std::time::Duration::ZERO), ..GcLimits::default() };
    store.gc(&std::collections::BTreeSet::new(), &limits).unwrap();
    let left: Vec<u64> = store.runs().unwrap().iter().map(|run| run.id).collect();
    assert_eq!(left, [1]);
}
