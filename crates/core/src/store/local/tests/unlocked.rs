//! Locks save work: with those of keys and names off, everything is as right.

use std::process::Command;

/// Tests of what locks are for.
const ABOUT_LOCKS: &[&str] =
    &["unlocked", "two_runs_at_once_share_the_work", "locks_die_with_their_process"];

#[test]
fn the_store_is_right_without_locks() {
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args(["store::", "run::"]).env("SCONCE_TEST_LOCKS", "off");
    for name in ABOUT_LOCKS {
        again.args(["--skip", name]);
    }
    let said = again.output().unwrap();
    let out = String::from_utf8_lossy(&said.stdout);
    assert!(said.status.success(), "{out}");
    assert!(out.contains("a_local_store_conforms") && !out.contains("running 0 tests"), "{out}");
}
