//! Who may come into a group's bucket, and what others are told: a server that verifies signatures.
#![cfg(feature = "remote")]

use std::collections::BTreeMap;

use crate::bench::{Bench, Said};
use crate::s3::{Moto, Who};

const STUDY: &str = r#"
name = "study"
[stage.point]
kind = "command"
run = "echo point $x > n"
outputs = ["n"]
matrix."env.x" = ["1", "2", "3"]
[stage.all]
kind = "command"
run = "cat point/*/n > all"
inputs = ["point[*]"]
outputs = ["all"]
"#;

fn machine() -> Bench {
    let bench = Bench::new(STUDY);
    bench.write("sconce.toml", "[store]\nremote = \"s3://group/results\"\n");
    bench
}

/// What is said to somebody with these variables, and no others of a provider.
fn says(bench: &Bench, variables: &BTreeMap<String, String>, arguments: &[&str]) -> Said {
    let mut command = bench.command(arguments);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("AWS_") {
            command.env_remove(&name);
        }
    }
    command
        .envs(variables)
        .env("HOME", bench.path("home"))
        .env("AWS_EC2_METADATA_DISABLED", "true");
    Said::from(command.output().unwrap())
}

/// Nothing ran, and each of these words is said once.
fn refused(said: &Said, words: &[&str]) {
    assert_ne!(said.code, Some(0), "{}", said.err);
    assert_eq!(said.cells("Finished"), [""; 0], "{}", said.err);
    for wanted in words.iter().chain(&["s3://group/results"]) {
        assert_eq!(said.err.matches(wanted).count(), 1, "`{wanted}` in {}", said.err);
    }
}

#[test]
fn who_may_come_in_shares_and_who_may_not_is_told_at_the_start() {
    let Some(moto) = Moto::start(&["group"], true) else { return };
    let [owner, reader, mistyped, stranger] =
        [Who::Owner, Who::Reader, Who::Mistyped, Who::Stranger].map(|who| moto.environment(who));
    let said = says(&machine(), &owner, &["run", "p.toml"]);
    assert_eq!((said.code, said.cells("Finished").len()), (Some(0), 4), "{}", said.err);
    assert!(!said.err.contains("not pushed"), "{}", said.err);
    let second = machine();
    let said = says(&second, &owner, &["run", "p.toml"]);
    assert_eq!((said.code, said.cells("Finished")), (Some(0), vec![]), "{}", said.err);
    assert_eq!(second.read("artifacts/study/all/all"), "point 1\npoint 2\npoint 3\n");

    let names = "the credentials of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are refused";
    for (who, why) in [(&mistyped, "SignatureDoesNotMatch"), (&stranger, "InvalidAccessKeyId")] {
        refused(&says(&machine(), who, &["run", "p.toml"]), &[names, why]);
        let said = says(&machine(), who, &["doctor"]);
        assert!(said.out.contains(names) && said.out.contains(why), "{}", said.out);
    }
    let mut nobody = owner.clone();
    nobody.remove("AWS_ACCESS_KEY_ID");
    nobody.remove("AWS_SECRET_ACCESS_KEY");
    let said = says(&machine(), &nobody, &["run", "p.toml"]);
    refused(&said, &["no credentials were found", "AWS_ACCESS_KEY_ID", "~/.aws"]);
    let mut half = owner;
    half.remove("AWS_SECRET_ACCESS_KEY");
    refused(&says(&machine(), &half, &["run", "p.toml"]), &["SecretAccessKey"]);

    // Who may only read takes results, and is told how to go on where something is to be computed.
    let said = says(&machine(), &reader, &["run", "p.toml"]);
    assert_eq!((said.code, said.cells("Finished")), (Some(0), vec![]), "{}", said.err);
    let other = ["run", "p.toml", "--set", "stage.point.env.y=\"2\""];
    let said = says(&machine(), &reader, &other);
    assert_ne!(said.code, Some(0), "{}", said.err);
    assert!(
        said.err.contains("AccessDenied") && said.err.contains("--read-only-remote"),
        "{}",
        said.err
    );
    let fork = machine();
    let said = says(&fork, &reader, &[&["--read-only-remote"], &other[..]].concat());
    assert_eq!((said.code, said.cells("Finished").len()), (Some(0), 3), "{}", said.err);
}
