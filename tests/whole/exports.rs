//! What is exported for other tools. That those open it is tested by `tests/exports.py`.

use crate::bench::Bench;

const PIPELINE: &str = r#"
name = "exported"
[stage.a]
kind = "command"
run = "echo step=1 loss=$n.5 >> $SCONCE_JOURNAL; echo step=2 loss=nan >> $SCONCE_JOURNAL; echo $n > out"
outputs = { number = "out" }
matrix.n = [1, 2]
[stage.b]
kind = "command"
run = "cat a/*/out > out"
inputs = { a = "a[*]" }
outputs = ["out"]
"#;

fn export(bench: &Bench, format: &str, more: &[&str]) {
    let out = format!("as-{format}");
    let arguments = ["export", "p.toml", "--format", format, "--out", &out];
    let said = bench.sconce(&[&arguments[..], more].concat());
    assert_eq!(said.code, Some(0), "{format}: {}", said.err);
}

#[test]
fn each_format_has_all_cells() {
    let bench = Bench::new(PIPELINE);
    bench.run(&[]);
    for format in ["csv", "tensorboard", "mlflow", "ro-crate"] {
        export(&bench, format, &[]);
    }
    let steps = bench.read("as-csv/histories/a[n=2].steps.csv");
    assert_eq!(steps, "step,loss\n1,2.5\n2,NaN\n");
    let cells = bench.read("as-csv/cells.csv");
    assert_eq!(cells.lines().count(), 1 + 3, "{cells}");
    let folders = bench.path("as-tensorboard").read_dir().unwrap().count();
    assert_eq!(folders, 3);
    let metadata: serde_json::Value =
        serde_json::from_str(&bench.read("as-ro-crate/ro-crate-metadata.json")).unwrap();
    let graph = metadata["@graph"].as_array().unwrap();
    let run = graph.iter().find(|one| one["@id"] == "#run").unwrap();
    assert_eq!(run["name"], "run 1 of exported");
    // What no other cell reads is the run's result; what a cell read is named by its action.
    assert_eq!(run["result"]["@id"], "results/b/files/");
    let all = graph.iter().find(|one| one["@id"] == "#cell-b").unwrap();
    let read: Vec<_> = all["object"].as_array().unwrap().iter().map(|one| &one["@id"]).collect();
    for n in [1, 2] {
        let id = format!("results/a%5Bn%3D{n}%5D/number/");
        assert!(read.iter().any(|one| **one == *id), "{read:?}");
        assert_eq!(
            bench.read(&format!("as-ro-crate/results/a[n={n}]/number/out")),
            format!("{n}\n")
        );
    }
}

#[test]
fn one_cell_can_be_exported_and_nothing_is_written_over() {
    let bench = Bench::new(PIPELINE);
    let nothing = bench.sconce(&["export", "p.toml", "--format", "csv", "--out", "x"]);
    assert_eq!(nothing.code, Some(2));
    assert!(nothing.err.contains("nothing to export"), "{}", nothing.err);
    bench.run(&[]);
    export(&bench, "mlflow", &["a[n=1]"]);
    let experiment = bench.path("as-mlflow/mlruns").read_dir().unwrap().next().unwrap().unwrap();
    let runs = experiment.path().read_dir().unwrap().flatten();
    assert_eq!(runs.filter(|entry| entry.path().is_dir()).count(), 1);
    let again = bench.sconce(&["export", "p.toml", "--format", "csv", "--out", "as-mlflow"]);
    assert_eq!(again.code, Some(2));
    assert!(again.err.contains("expected a folder that is empty"), "{}", again.err);
}

#[test]
fn a_crate_tells_of_no_run_that_had_other_results() {
    let bench = Bench::new(PIPELINE);
    bench.run(&[]);
    bench.write("p.toml", &PIPELINE.replace("loss=nan", "loss=1"));
    bench.run(&[]);
    let arguments = ["export", "p.toml", "--format", "ro-crate", "--out"];
    let wrong = bench.sconce(&[&arguments[..], &["x", "--run", "1"]].concat());
    assert_eq!(wrong.code, Some(2));
    assert!(wrong.err.contains("run 1 had another result of `a[n=1]`"), "{}", wrong.err);
    export(&bench, "ro-crate", &["--run", "2", "--max-size", "0B"]);
    let text = bench.read("as-ro-crate/ro-crate-metadata.json");
    assert!(text.contains("which is not in this crate") && !text.contains("results/a"), "{text}");
}
