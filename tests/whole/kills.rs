//! kill -9 at any moment, and several runs at once.

use std::time::{Duration, Instant};

use crate::bench::{Bench, Said};

/// Enough cells, with some bytes, to be hit at many different moments.
const WORK: &str = r#"
name = "work"
[stage.seed]
kind = "command"
run = "seq 20000 > numbers"
outputs = ["numbers"]
[stage.part]
kind = "command"
run = "mkdir p; awk -v n=$n '$1 % 5 == n' seed/numbers | split -l 500 - p/piece-"
inputs = ["seed"]
outputs = { pieces = "p" }
matrix.n = [0, 1, 2, 3, 4]
[stage.all]
kind = "command"
run = "cat parts/*/* | sort -n > all"
inputs = { parts = "part[*]" }
outputs = ["all"]
"#;

/// The numbers of splitmix64: any will do, if they are the same each time.
pub(crate) fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[test]
fn a_run_that_is_killed_leaves_nothing_partial_and_the_next_one_finishes() {
    let whole = Bench::new(WORK);
    let start = Instant::now();
    whole.run(&[]);
    let took = start.elapsed();
    let expected = whole.shown();
    assert_eq!(expected.len(), 1 + 5 * 8 + 1);
    let mut state = 20;
    for moment in 0..20 {
        let bench = Bench::new(WORK);
        let mut child = bench.start(&["run", "p.toml"]);
        let wait = took.mul_f64((random(&mut state) % 1000) as f64 / 1000.0);
        std::thread::sleep(wait);
        child.kill().unwrap();
        child.wait().unwrap();
        for (name, bytes) in bench.shown() {
            // While a file is put on another file system than the store's it has another name.
            assert_eq!(Some(&bytes), expected.get(&name), "{name} after {wait:?} ({moment})");
        }
        bench.run(&[]);
        assert_eq!(bench.shown(), expected, "after {wait:?} ({moment})");
        let again = bench.run(&[]);
        assert!(again.err.contains("nothing to do"), "{}", again.err);
        let checked = bench.sconce(&["doctor", "--check-store"]);
        assert_eq!(checked.code, Some(0), "{}", checked.out);
        let left = bench.path(".sconce/scratch").read_dir().unwrap().count();
        assert_eq!(left, 0, "scratch of dead processes ({moment})");
    }
}

#[test]
fn two_runs_at_once_are_both_right_and_share_the_work() {
    let bench = Bench::new(&WORK.replace("mkdir p;", "mkdir p; sleep 0.2;"));
    let (one, two) = (bench.start(&["run", "p.toml"]), bench.start(&["run", "p.toml"]));
    let (one, two) = (one.wait_with_output().unwrap(), two.wait_with_output().unwrap());
    let (one, two) = (Said::from(one), Said::from(two));
    assert_eq!((one.code, two.code), (Some(0), Some(0)), "{} {}", one.err, two.err);
    let finished = one.cells("Finished").len() + two.cells("Finished").len();
    assert_eq!(finished, 7, "{}\n{}", one.err, two.err);
    let alone = Bench::new(WORK);
    alone.run(&[]);
    assert_eq!(bench.shown(), alone.shown());
}

#[test]
fn a_killed_worker_frees_what_it_held() {
    let bench = Bench::new(&WORK.replace("mkdir p;", "mkdir p; sleep 0.3;"));
    let mut first = bench.start(&["run", "p.toml"]);
    std::thread::sleep(Duration::from_millis(250));
    let second = bench.start(&["run", "p.toml"]);
    std::thread::sleep(Duration::from_millis(100));
    first.kill().unwrap();
    first.wait().unwrap();
    let said = Said::from(second.wait_with_output().unwrap());
    assert_eq!(said.code, Some(0), "{}", said.err);
}
