//! A store that machines share: a folder here, what speaks S3 in `crates/remote`.
#![cfg(feature = "remote")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::bench::{Bench, Said};

const STUDY: &str = r#"
name = "study"
[vars]
more = "x"
[stage.words]
kind = "file"
path = "words.txt"
[stage.large]
kind = "command"
run = "cat words/words.txt > n; seq 300000 >> n"
inputs = ["words"]
outputs = ["n"]
[stage.sum]
kind = "command"
run = "wc -l < large/n > sum; echo $axis $more >> sum"
inputs = ["large"]
outputs = ["sum"]
matrix."env.axis" = ["1", "2", "3"]
env = { more = "$more" }
[stage.all]
kind = "command"
run = "cat sum/*/sum > all"
inputs = ["sum[*]"]
outputs = ["all"]
"#;

/// A group: machines with stores of their own, and a folder that they share.
struct Group(tempfile::TempDir);

impl Group {
    fn new() -> Self {
        let group = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir(group.0.path().join("shared")).unwrap();
        group
    }

    fn folder(&self) -> PathBuf {
        self.0.path().join("shared")
    }

    fn address(&self) -> String {
        format!("file://{}", self.folder().display())
    }

    fn machine(&self, more: &str) -> Bench {
        let bench = Bench::new(STUDY);
        bench.write("words.txt", "some words\n");
        bench.write("sconce.toml", &format!("[store]\nremote = \"{}\"\n{more}", self.address()));
        bench
    }

    /// The objects whose names begin so.
    fn objects(&self, folder: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        below(&self.folder().join(folder), &mut found);
        found
    }
}

fn below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() { below(&path, found) } else { found.push(path) }
    }
}

fn ran(said: &Said) -> Vec<&str> {
    let mut cells = said.cells("Finished");
    cells.sort_unstable();
    cells
}

#[test]
fn a_second_machine_runs_nothing_and_brings_only_what_is_asked_for() {
    let group = Group::new();
    let one = group.machine("");
    assert_eq!(ran(&one.run(&[])).len(), 6, "the file, and five cells");
    let two = group.machine("");
    let said = two.run(&[]);
    assert_eq!(ran(&said), [""; 0], "{}", said.err);
    assert_eq!(two.read("artifacts/study/all/all"), one.read("artifacts/study/all/all"));
    assert!(!two.path("artifacts/study/large").exists(), "nobody asked for it");
    two.run(&["large"]);
    assert_eq!(two.read("artifacts/study/large/n"), one.read("artifacts/study/large/n"));
    // Something new here, of what was computed there.
    let said = two.run(&["--set", "vars.more=y"]);
    assert_eq!(
        ran(&said),
        ["all", "sum[env.axis=1]", "sum[env.axis=2]", "sum[env.axis=3]"],
        "{}",
        said.err
    );
    let said = one.run(&["--set", "vars.more=y"]);
    assert_eq!(ran(&said), [""; 0], "{}", said.err);
    assert!(group.objects("claims").is_empty(), "claims are given back");
}

#[test]
fn an_intermediate_result_comes_over_when_a_cell_reads_it() {
    let group = Group::new();
    group.machine("").run(&[]);
    let two = group.machine("");
    let said = two.run(&["--set", "vars.more=new"]);
    assert_eq!(ran(&said).len(), 4, "{}", said.err);
    let blobs = |bench: &Bench| {
        let mut found = Vec::new();
        below(&bench.path(".sconce/blobs"), &mut found);
        found.len()
    };
    assert!(blobs(&two) > 0);
    let three = group.machine("");
    assert_eq!(three.sconce(&["pull", "p.toml", "large"]).code, Some(0));
    let said = three.sconce(&["--offline", "run", "p.toml", "large"]);
    assert_eq!((said.code, ran(&said)), (Some(0), vec![]), "{}", said.err);
}

#[test]
fn what_was_computed_before_is_pushed_by_hand() {
    let group = Group::new();
    let one = group.machine("");
    one.sconce(&["--offline", "run", "p.toml"]);
    assert!(group.objects("").is_empty());
    let said = one.sconce(&["push", "p.toml", "sum"]);
    assert!(said.out.contains("Pushed 3 results"), "{}{}", said.out, said.err);
    let said = one.sconce(&["push"]);
    assert!(
        said.out.contains("Pushed 3 results") && said.out.contains("There 3 results"),
        "{}",
        said.out
    );
    let said = group.machine("").run(&[]);
    assert_eq!(ran(&said), [""; 0], "{}", said.err);
}

#[test]
fn a_fork_takes_results_and_puts_none() {
    let group = Group::new();
    group.machine("").run(&[]);
    let before = group.objects("");
    let fork = group.machine("read_only = true\n");
    assert_eq!(ran(&fork.run(&[])), [""; 0]);
    assert_eq!(ran(&fork.run(&["--set", "vars.more=theirs"])).len(), 4);
    assert_eq!(group.objects(""), before);
    let said = fork.sconce(&["push", "p.toml"]);
    assert!(said.err.contains("only read"), "{}", said.err);
}

#[test]
fn damage_in_the_remote_store_is_told_and_mended() {
    let group = Group::new();
    group.machine("").run(&[]);
    for path in group.objects("chunks").into_iter().chain(group.objects("results")) {
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 4;
        std::fs::write(&path, bytes).unwrap();
    }
    let two = group.machine("");
    let said = two.run(&[]);
    assert_eq!(ran(&said).len(), 6, "{}", said.err);
    assert!(said.err.contains("is damaged"), "{}", said.err);
    let said = group.machine("").run(&["large", "all"]);
    assert_eq!(ran(&said), [""; 0], "{}", said.err);
}

#[test]
fn a_remote_store_that_cannot_be_used_is_told() {
    let group = Group::new();
    let machine = group.machine("");
    let without = |arguments: &[&str]| {
        let mut command = machine.command(arguments);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("AWS_") {
                command.env_remove(&name);
            }
        }
        command.env("HOME", machine.path("home")).env("AWS_EC2_METADATA_DISABLED", "true");
        Said::from(command.output().unwrap())
    };
    let said = without(&["--remote", "s3://some-bucket/group", "run", "p.toml"]);
    assert_ne!(said.code, Some(0));
    for wanted in ["s3://some-bucket/group", "no credentials", "AWS_ACCESS_KEY_ID", "~/.aws"] {
        assert!(said.err.contains(wanted), "{}", said.err);
    }
    let said = machine.sconce(&["--remote", "ftp://x", "run", "p.toml"]);
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("s3://BUCKET/PREFIX"), "{}", said.err);
    // One that does not answer keeps nobody from working.
    let mut command = machine.command(&["--remote", "s3://some-bucket/group", "run", "p.toml"]);
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    command
        .env("AWS_ACCESS_KEY_ID", "a")
        .env("AWS_SECRET_ACCESS_KEY", "b")
        .env("AWS_ENDPOINT_URL", format!("http://{closed}"));
    let said = Said::from(command.output().unwrap());
    assert_eq!((said.code, ran(&said).len()), (Some(0), 6), "{}", said.err);
    assert_eq!(said.err.matches("does not answer").count(), 1, "{}", said.err);
    assert!(said.err.contains("not pushed"), "{}", said.err);
    let said = machine.sconce(&["doctor"]);
    assert!(said.out.contains("reachable, with conditional put"), "{}", said.out);
}

/// The files of a folder by name, but for locks and what belongs to one process.
fn copy(from: &Path, to: &Path) {
    let done = Command::new("cp").args(["-a", "--no-clobber"]).arg(from.join(".")).arg(to).status();
    assert!(done.unwrap().success());
}

#[test]
fn the_stores_of_two_machines_that_were_written_apart_are_one_when_their_files_are() {
    let group = Group::new();
    let (one, two) = (group.machine(""), group.machine(""));
    for (machine, more) in [(&one, "x"), (&two, "y")] {
        let said =
            machine.sconce(&["--offline", "run", "p.toml", "--set", &format!("vars.more={more}")]);
        assert_eq!(said.code, Some(0), "{}", said.err);
    }
    let mut wanted = BTreeMap::new();
    for machine in [&one, &two] {
        let mut files = Vec::new();
        below(&machine.path(".sconce/receipts"), &mut files);
        let name = |path: &PathBuf| path.file_name().unwrap().to_owned();
        wanted.extend(files.iter().map(|path| (name(path), ())));
    }
    // Each way round: whoever copies wins, and both are right.
    for (from, to) in [(&one, &two), (&two, &one)] {
        copy(&from.path(".sconce"), &to.path(".sconce"));
        let mut files = Vec::new();
        below(&to.path(".sconce/receipts"), &mut files);
        assert_eq!(files.len(), wanted.len(), "nothing is lost");
        for more in ["x", "y"] {
            let set = format!("vars.more={more}");
            let said = to.sconce(&["--offline", "run", "p.toml", "--set", &set]);
            assert_eq!((said.code, ran(&said)), (Some(0), vec![]), "{}", said.err);
            let end = format!("3 {more}\n");
            assert!(to.read("artifacts/study/all/all").ends_with(&end));
        }
        let said = to.sconce(&["--offline", "doctor", "--check-store"]);
        assert!(said.out.contains("nothing is damaged"), "{}", said.out);
    }
}
