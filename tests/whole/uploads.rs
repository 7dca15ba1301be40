//! Processes that are killed while they put results into a remote store.
#![cfg(feature = "remote")]

use std::path::PathBuf;
use std::process::Child;
use std::time::Duration;

use crate::bench::{Bench, Said, eventually, signal};
use crate::s3::{Moto, Who};

/// Results with chunks of their own, and small ones.
const STUDY: &str = r#"
name = "study"
[stage.large]
kind = "command"
run = "seq -f \"$x %g\" 60000 > n"
outputs = ["n"]
matrix."env.x" = ["a", "b", "c", "d", "e", "f", "g", "h"]
[stage.small]
kind = "command"
run = "sha256sum < large/n > sum"
inputs = ["large"]
outputs = ["sum"]
[stage.all]
kind = "command"
run = "cat small/*/sum > all"
inputs = ["small[*]"]
outputs = ["all"]
"#;

const CELLS: usize = 17;

/// Machines and the folder or the bucket that they share.
struct Group {
    folder: tempfile::TempDir,
    moto: Option<Moto>,
}

impl Group {
    fn machine(&self) -> Bench {
        let bench = Bench::new(STUDY);
        let remote = match &self.moto {
            Some(_) => "s3://group/results".to_owned(),
            None => format!("file://{}", self.folder.path().display()),
        };
        bench.write("sconce.toml", &format!("[store]\nremote = \"{remote}\"\n"));
        bench
    }

    fn command(&self, bench: &Bench, arguments: &[&str]) -> std::process::Command {
        let mut command = bench.command(arguments);
        command.envs(self.moto.iter().flat_map(|moto| moto.environment(Who::Owner)));
        command
    }

    fn sconce(&self, bench: &Bench, arguments: &[&str]) -> Said {
        Said::from(self.command(bench, arguments).output().unwrap())
    }

    fn start(&self, bench: &Bench, arguments: &[&str]) -> Child {
        let mut command = self.command(bench, arguments);
        let quiet = std::process::Stdio::null;
        command.stdout(quiet()).stderr(quiet()).spawn().unwrap()
    }

    /// Contents and results that are in the folder.
    fn there(&self) -> usize {
        ["chunks", "results"].map(|name| files(self.folder.path().join(name)).len()).iter().sum()
    }

    /// Ends a process without a word when so many more objects are there; with a server, in so many tenths
    /// of a second.
    fn kill_after(&self, objects: usize, mut child: Child) {
        let before = self.there();
        if self.moto.is_some() {
            std::thread::sleep(Duration::from_millis(100 * objects as u64));
        } else {
            let mut ended = || child.try_wait().unwrap().is_some();
            eventually("something is put", || self.there() >= before + objects || ended());
        }
        if child.try_wait().unwrap().is_none() {
            signal("KILL", child.id());
        }
        child.wait().unwrap();
    }

    /// How many cells a machine finds that never saw any of it. All that it finds is whole and right.
    fn found(&self, all: &str) -> usize {
        let other = self.machine();
        let said = self.sconce(&other, &["--read-only-remote", "run", "p.toml", "large", "all"]);
        assert_eq!(said.code, Some(0), "{}", said.err);
        assert!(!said.err.contains("damaged"), "{}", said.err);
        assert_eq!(other.read("artifacts/study/all/all"), all);
        let checked = self.sconce(&other, &["--offline", "doctor", "--check-store"]);
        assert!(checked.out.contains("nothing is damaged"), "{}", checked.out);
        CELLS - said.cells("Finished").len()
    }
}

fn files(folder: PathBuf) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { found.extend(files(path)) } else { found.push(path) }
    }
    found
}

/// What the study comes to, computed apart.
fn expected(one: &Bench) -> String {
    let apart = Bench::new(STUDY);
    apart.run(&[]);
    let all = apart.read("artifacts/study/all/all");
    assert_eq!(all.lines().count(), 8);
    assert!(!one.path("artifacts").exists());
    all
}

fn a_push_is_killed(group: &Group) {
    let one = group.machine();
    let all = expected(&one);
    assert_eq!(group.sconce(&one, &["--offline", "run", "p.toml"]).code, Some(0));
    for objects in [1, 3, 2] {
        group.kill_after(objects, group.start(&one, &["push", "p.toml"]));
        group.found(&all);
    }
    let said = group.sconce(&one, &["push", "p.toml"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert_eq!(group.found(&all), CELLS);
}

fn a_run_is_killed(group: &Group) {
    let one = group.machine();
    let all = expected(&one);
    for objects in [2, 5] {
        group.kill_after(objects, group.start(&one, &["run", "p.toml"]));
        group.found(&all);
    }
    // What was computed and is not there goes there with the rest.
    let said = group.sconce(&one, &["run", "p.toml"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(!said.err.contains("not pushed"), "{}", said.err);
    assert_eq!(group.found(&all), CELLS);
    let notes = files(one.path(".sconce/remote"));
    assert!(!notes.iter().any(|path| path.to_string_lossy().contains("/owed/")), "{notes:?}");
}

fn folder() -> Group {
    Group { folder: tempfile::tempdir().unwrap(), moto: None }
}

#[test]
fn a_push_that_is_killed_leaves_nothing_half_and_the_next_goes_on() {
    a_push_is_killed(&folder());
}

#[test]
fn a_run_that_is_killed_leaves_nothing_half_and_the_next_puts_all_there() {
    a_run_is_killed(&folder());
}

#[test]
fn so_it_is_in_a_bucket() {
    let Some(moto) = Moto::start(&["group"], true) else { return };
    let group = Group { moto: Some(moto), ..folder() };
    a_run_is_killed(&group);
}
