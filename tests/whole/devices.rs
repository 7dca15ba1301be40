//! Where cells compute: devices are played, since no test may need one.

use crate::bench::{Bench, Said};

/// The variable that plays devices.
const PLAYED: &str = "SCONCE_TEST_DEVICES";

/// Each cell holds a folder of its device's name for a while: two cells on one device would meet.
const SLOTS: &str = r#"
name = "slots"
[stage.network]
kind = "command"
run = "mkdir $LOCKS/$CUDA_VISIBLE_DEVICES && sleep 0.2 && rmdir $LOCKS/$CUDA_VISIBLE_DEVICES && echo $CUDA_VISIBLE_DEVICES > id"
outputs = ["id"]
env = ["LOCKS"]
resources = { gpu = true }
matrix.part = [1, 2, 3, 4, 5, 6]
[stage.plain]
kind = "command"
run = "echo \"[$CUDA_VISIBLE_DEVICES]\" > id"
outputs = ["id"]
"#;

/// A call on a machine with these devices.
fn on(devices: &str, bench: &Bench, arguments: &[&str]) -> Said {
    let mut command = bench.command(arguments);
    let played = command.env(PLAYED, devices).env("LOCKS", bench.path("locks"));
    Said::from(played.output().unwrap())
}

fn receipt(bench: &Bench, stage: &str) -> serde_json::Value {
    let said = on("cuda", bench, &["show", "p.toml", stage, "--json"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let read: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    read["cells"][0]["receipt"].clone()
}

#[test]
fn each_cell_has_a_device_of_its_own_and_sees_no_other() {
    let bench = Bench::new(SLOTS);
    std::fs::create_dir(bench.path("locks")).unwrap();
    let run = ["run", "p.toml", "--device", "cuda", "--threads", "8"];
    let said = on("cuda:0,cuda:1", &bench, &run);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let ids: Vec<_> = (1..=6)
        .map(|part| bench.read(&format!("artifacts/slots/network/part={part}/id")))
        .collect();
    assert!(ids.iter().all(|id| id == "0\n" || id == "1\n"), "{ids:?}");
    assert!(ids.contains(&"0\n".to_owned()) && ids.contains(&"1\n".to_owned()), "{ids:?}");
    assert_eq!(bench.read("artifacts/slots/plain/id"), "[]\n");

    // One that is named, of several.
    let bench = Bench::new(SLOTS);
    std::fs::create_dir(bench.path("locks")).unwrap();
    let run = ["run", "p.toml", "network", "--device", "cuda:3", "--threads", "8"];
    let said = on("cuda:0,cuda:3", &bench, &run);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert_eq!(bench.read("artifacts/slots/network/part=1/id"), "3\n");
}

#[test]
fn numbers_count_within_what_the_run_sees() {
    let bench = Bench::new(SLOTS);
    std::fs::create_dir(bench.path("locks")).unwrap();
    let mut command = bench.command(&["run", "p.toml", "network", "--device", "cuda:1"]);
    command.env(PLAYED, "cuda:0,cuda:1").env("LOCKS", bench.path("locks"));
    let said = Said::from(command.env("CUDA_VISIBLE_DEVICES", "4,6").output().unwrap());
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert_eq!(bench.read("artifacts/slots/network/part=1/id"), "6\n");
}

#[test]
fn what_is_not_there_fails_before_any_cell() {
    let bench = Bench::new(SLOTS);
    for device in ["cuda", "cuda:2", "metal"] {
        let said = on("cuda:0,cuda:1", &bench, &["run", "p.toml", "--device", device]);
        if device == "cuda" {
            continue;
        }
        assert_eq!(said.code, Some(2), "{}", said.err);
        let named = format!("`--device`: there is no device `{device}` that can be used");
        assert!(said.err.contains(&named), "{}", said.err);
        assert!(
            said.err.contains("what helps: ") && said.err.contains("--device cpu"),
            "{}",
            said.err
        );
    }
    let bench = Bench::new(SLOTS);
    for said in [
        on("metal", &bench, &["run", "p.toml", "--device", "cuda"]),
        on("metal", &bench, &["verify", "p.toml", "--device", "cuda"]),
    ] {
        assert_eq!(said.code, Some(2), "{}", said.err);
        assert!(
            said.cells("Started").is_empty() && !bench.path("artifacts").exists(),
            "{}",
            said.err
        );
    }
    bench.write("sconce.toml", "device = \"cuda\"\n");
    let said = on("metal", &bench, &["run", "p.toml"]);
    assert!(said.err.contains("`device` of a configuration file: there is no"), "{}", said.err);
    // What looks at results, and computes none, does not ask.
    assert_eq!(on("metal", &bench, &["plan", "p.toml"]).code, Some(0));
    for (device, told) in
        [("abacus", "expected `auto`, `cpu`, `cuda`, `cuda:N` or `metal`"), ("auto,cuda", "alone")]
    {
        let said = on("cuda", &bench, &["run", "p.toml", "--device", device]);
        assert_eq!(said.code, Some(2), "{}", said.err);
        assert!(said.err.contains(told), "{}", said.err);
    }
}

/// Without a build for devices networks cannot use one, whatever the machine has.
#[test]
#[cfg(not(any(feature = "cuda", feature = "metal")))]
fn a_build_without_devices_says_so() {
    let bench = Bench::new(
        "name = \"p\"\n[stage.a]\nkind = \"command\"\nrun = \"echo > a\"\noutputs = [\"a\"]\n",
    );
    let said = bench.sconce(&["run", "p.toml", "--device", "cuda"]);
    assert_eq!(said.code, Some(2), "{}", said.err);
    assert!(said.err.contains("built with: no "), "{}", said.err);
    assert!(!bench.path(".sconce/results").exists() && !bench.path("artifacts").exists());
    let said = bench.run(&["--device", "auto"]);
    assert!(said.err.contains("Device auto: cpu, since "), "{}", said.err);
}

#[test]
fn auto_says_what_it_took() {
    let bench = Bench::new(SLOTS);
    std::fs::create_dir(bench.path("locks")).unwrap();
    let run = ["run", "p.toml", "--device", "auto", "--threads", "8"];
    let said = on("cuda:0,cuda:1", &bench, &run);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.err.contains("auto: cuda:0, cuda:1, which can be used here"), "{}", said.err);
    assert_eq!(
        receipt(&bench, "network[part=1]")["device"].as_str().map(|d| &d[..5]),
        Some("cuda:")
    );
}

/// What a stage says beats what the run says, and `--device cpu` beats both.
#[test]
fn a_stage_names_its_device() {
    let pipeline = |device: &str| {
        format!(
            "name = \"p\"\n[stage.a]\nkind = \"command\"\nrun = \"echo \\\"[$CUDA_VISIBLE_DEVICES]\\\" > a\"\n\
             outputs = [\"a\"]\nresources = {{ device = \"{device}\" }}\n"
        )
    };
    for (device, flags, seen) in [
        ("cuda", &[][..], "[0]\n"),
        ("cuda:1", &[], "[1]\n"),
        ("auto", &[], "[0]\n"),
        ("cpu", &["--device", "cuda"], "[]\n"),
        ("cuda:1", &["--device", "cuda:0"], "[1]\n"),
        ("cuda:1", &["--device", "cpu"], "[]\n"),
    ] {
        let bench = Bench::new(&pipeline(device));
        let said = on("cuda:0,cuda:1", &bench, &[&["run", "p.toml"], flags].concat());
        assert_eq!(said.code, Some(0), "{}", said.err);
        assert_eq!(bench.read("artifacts/p/a/a"), seen, "{device} {flags:?}");
        // The result is there: nothing has to compute, and so no device is needed.
        let again = on("metal", &bench, &["run", "p.toml"]);
        assert_eq!(again.code, Some(0), "{device}: {}", again.err);
    }
    let bench = Bench::new(&pipeline("cuda"));
    let said = on("metal", &bench, &["run", "p.toml"]);
    assert_eq!(said.code, Some(2), "{}", said.err);
    let told = "`resources.device` of stage `a`: there is no device `cuda`";
    assert!(said.err.contains(told), "{}", said.err);
}

#[test]
fn what_cannot_be_is_said_with_its_place() {
    let said = |resources: &str, kind: &str| {
        let bench =
            Bench::new(&format!("name = \"p\"\n[stage.a]\n{kind}\nresources = {resources}\n"));
        bench.write("text", "text");
        let said = bench.sconce(&["plan", "p.toml"]);
        assert_eq!(said.code, Some(2), "{}", said.err);
        said.err
    };
    let file = "kind = \"file\"\npath = \"text\"";
    let command = "kind = \"command\"\nrun = \"echo > a\"\noutputs = [\"a\"]";
    for resources in ["{ device = \"cuda\" }", "{ gpu = true }"] {
        let text = said(resources, file);
        assert!(text.contains("kind `file` computes on the processor alone"), "{text}");
    }
    let text = said("{ device = \"gpu\" }", command);
    assert!(text.contains("`resources.device`: expected `auto`, `cpu`"), "{text}");
    let text = said("{ device = \"cuda\", gpu = false }", command);
    assert!(text.contains("`resources.gpu` is false, and `resources.device` `cuda`"), "{text}");
}

/// Where a cell was computed stands in its receipt, and in its key only where people ask for that.
#[test]
fn classes_are_apart_under_strict_device_alone() {
    let bench = Bench::new(SLOTS);
    std::fs::create_dir(bench.path("locks")).unwrap();
    let run = |more: &[&str]| {
        let said = on("cuda:0,cuda:1", &bench, &[&["run", "p.toml"], more].concat());
        assert_eq!(said.code, Some(0), "{}", said.err);
        said
    };
    // On the processor there is no device to lock, so the folder is `locks/` itself: another program.
    bench.write(
        "p.toml",
        &SLOTS.replace("$LOCKS/$CUDA", "$LOCKS/x$CUDA").replace("1, 2, 3, 4, 5, 6", "1"),
    );
    let first = run(&["--device", "cuda"]);
    assert_eq!(first.cells("Finished").len(), 2, "{}", first.err);
    let receipt = receipt(&bench, "network");
    assert_eq!(receipt["device"], "cuda:0");
    assert!(receipt["parts"].get("device").is_none(), "{receipt}");
    assert!(run(&["--device", "cpu"]).err.contains("nothing to do"));

    // The class of what ran is not in its key: the cell runs once more, and the one that needs no device does not.
    let strict = run(&["--device", "cuda", "--strict-device"]);
    assert_eq!(strict.cells("Finished"), ["network[part=1]"], "{}", strict.err);
    assert!(strict.err.contains("class of the device is new: cuda"), "{}", strict.err);
    assert!(run(&["--device", "cuda:1", "--strict-device"]).err.contains("nothing to do"));
    let other = run(&["--device", "cpu", "--strict-device"]);
    assert_eq!(other.cells("Finished"), ["network[part=1]"], "{}", other.err);
    assert!(other.err.contains("class of the device changed: cuda → cpu"), "{}", other.err);
    // As it is for what reads results, by a flag or by the configuration.
    bench.write("sconce.toml", "device = \"cuda\"\nstrict_device = true\n");
    let shown = self::receipt(&bench, "network");
    assert_eq!(shown["parts"]["device"], "cuda");
    let plan = on("cuda", &bench, &["plan", "p.toml"]);
    assert!(!plan.out.contains("run "), "{}", plan.out);
}

/// Bits are compared within one class of devices, numbers across two: by a tolerance.
#[test]
fn verify_compares_numbers_across_classes() {
    let bench = Bench::new(
        r#"
name = "p"
[stage.near]
kind = "command"
run = "echo {\\\"a\\\": [${CUDA_VISIBLE_DEVICES:-0.0001}, \\\"x\\\"]} > m.json"
outputs = ["m.json"]
resources = { gpu = true }
[stage.far]
kind = "command"
run = "echo ${CUDA_VISIBLE_DEVICES:-0.5} > m.json"
outputs = ["m.json"]
resources = { gpu = true }
[stage.text]
kind = "command"
run = "echo \"$CUDA_VISIBLE_DEVICES\" > text"
outputs = ["text"]
resources = { gpu = true }
"#,
    );
    let said = on("cuda:0", &bench, &["run", "p.toml", "--device", "cuda"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let same = on("cuda:0", &bench, &["verify", "p.toml", "--device", "cuda"]);
    assert_eq!(same.code, Some(0), "{}", same.err);
    assert_eq!(same.err.matches("the same bits").count(), 3, "{}", same.err);
    let near = on("cuda:0", &bench, &["verify", "p.toml", "near"]);
    assert_eq!(near.code, Some(0), "{}", near.err);
    assert!(near.err.contains("near: the same within the tolerance"), "{}", near.err);
    assert!(near.err.contains("apart by 1.0e-4"), "{}", near.err);
    let other = on("cuda:0", &bench, &["verify", "p.toml"]);
    assert_eq!(other.code, Some(1), "{}", other.err);
    assert!(other.err.contains("numbers in `m.json` differ by 5.0e-1"), "{}", other.err);
    assert!(other.err.contains("`text` differs in more than numbers"), "{}", other.err);
}
