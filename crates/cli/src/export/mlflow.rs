//! An `mlruns` folder: MLflow's file store, a run for each cell.
//!
//! `mlruns/<experiment>/meta.yaml`, and below it `<run>/meta.yaml` with a file for each parameter, metric
//! and tag, and the artifacts (`mlflow/store/tracking/file_store.py`). A line of a metric is
//! `time value step`, the time in milliseconds.

use std::fmt::Write as _;
use std::path::Path;

use sconce_core::plan::Plan;
use sconce_core::{Digest, Store};

use super::{Exported, copy_output};
use crate::failure::Failure;
use crate::watch::Status;
use crate::watch::curves::Per;

/// MLflow refuses longer values of parameters, in characters.
const LONGEST_VALUE: usize = 6000;
const LONGEST_NAME: usize = 250;

pub(super) fn write(
    store: &Store,
    plan: &Plan,
    cells: &[Exported],
    out: &Path,
) -> Result<(), Failure> {
    let root = out.join("mlruns");
    // Numbers, as MLflow makes them; the same pipeline has the same one.
    let hex = Digest::of(plan.pipeline.as_bytes()).hex();
    let number = u64::from_str_radix(&hex[..12], 16).unwrap_or_default();
    let experiment = number.to_string();
    let folder = root.join(&experiment);
    let first = cells.iter().map(|cell| milliseconds(cell.started())).min().unwrap_or_default();
    let last = cells.iter().map(|cell| milliseconds(cell.ended())).max().unwrap_or_default();
    put(
        &folder.join("meta.yaml"),
        &yaml(&[
            ("artifact_location", quoted(&address(&folder))),
            ("creation_time", first.to_string()),
            ("experiment_id", quoted(&experiment)),
            ("last_update_time", last.to_string()),
            ("lifecycle_stage", "active".to_owned()),
            ("name", quoted(&plan.pipeline)),
        ]),
    )?;
    if !plan.description.is_empty() {
        put(&folder.join("tags/mlflow.note.content"), &plan.description)?;
    }
    for cell in cells {
        run(store, plan, cell, &experiment, &folder)?;
    }
    Ok(())
}

fn run(
    store: &Store,
    plan: &Plan,
    cell: &Exported,
    experiment: &str,
    experiment_folder: &Path,
) -> Result<(), Failure> {
    let name = cell.id.to_string();
    // Two cells of one key are two runs.
    let of = format!("{}\0{name}\0{:?}", plan.pipeline, cell.receipt.as_ref().map(|one| one.key));
    let id = Digest::of(of.as_bytes()).hex()[..32].to_owned();
    let folder = experiment_folder.join(&id);
    let artifacts = folder.join("artifacts");
    std::fs::create_dir_all(&artifacts)?;
    for kind in ["metrics", "params", "tags"] {
        std::fs::create_dir_all(folder.join(kind))?;
    }
    // RunStatus of service.proto.
    let status = match cell.status {
        Status::Running => 1,
        Status::Done => 3,
        Status::Failed | Status::Unreadable => 4,
        Status::Killed | Status::Stopped | Status::Ready | Status::Waiting => 5,
    };
    let ended = match cell.status {
        Status::Running => "null".to_owned(),
        _ => milliseconds(cell.ended()).to_string(),
    };
    put(
        &folder.join("meta.yaml"),
        &yaml(&[
            ("artifact_uri", quoted(&address(&artifacts))),
            ("end_time", ended),
            ("entry_point_name", quoted("")),
            ("experiment_id", quoted(experiment)),
            ("lifecycle_stage", "active".to_owned()),
            ("run_id", quoted(&id)),
            ("run_name", quoted(&name)),
            ("run_uuid", quoted(&id)),
            ("source_name", quoted("sconce")),
            ("source_type", "4".to_owned()),
            ("source_version", quoted("")),
            ("start_time", milliseconds(cell.started()).to_string()),
            ("status", status.to_string()),
            ("tags", "[]".to_owned()),
            ("user_id", quoted("sconce")),
        ]),
    )?;
    for (name, value) in &cell.parameters {
        let value: String = value.chars().take(LONGEST_VALUE).collect();
        put(&folder.join("params").join(plain(name)), &value)?;
    }
    metrics(cell, &folder.join("metrics"))?;
    let mut tags = vec![
        ("mlflow.runName", name),
        ("mlflow.source.name", "sconce".to_owned()),
        ("mlflow.source.type", "LOCAL".to_owned()),
        ("sconce.pipeline", plan.pipeline.clone()),
        ("sconce.stage", cell.id.stage.clone()),
        ("sconce.kind", cell.kind.clone()),
        ("sconce.status", cell.status.word().to_owned()),
    ];
    if !cell.error.is_empty() {
        tags.push(("sconce.error", cell.error.clone()));
    }
    if let Some(receipt) = &cell.receipt {
        tags.push(("sconce.key", receipt.key.to_string()));
        tags.push(("sconce.version", receipt.sconce.clone()));
        tags.push(("sconce.device", receipt.device.to_string()));
    }
    for (name, value) in tags {
        put(&folder.join("tags").join(name), &value)?;
    }
    for (name, output) in cell.outputs() {
        put(
            &folder.join("tags").join(plain(&format!("sconce.output.{name}"))),
            &output.digest.to_string(),
        )?;
        copy_output(store, output, &artifacts.join(plain(name)))?;
    }
    Ok(())
}

/// A file for each metric: its curve, or its last value. A name that a curve of epochs and one of steps
/// share is the epochs', and the steps' has `step/` before it, as a folder.
fn metrics(cell: &Exported, folder: &Path) -> Result<(), Failure> {
    let mut written = Vec::new();
    for curve in &cell.curves {
        let name = match written.contains(&curve.name) {
            true => format!("step/{}", curve.name),
            false => curve.name.clone(),
        };
        let mut text = String::new();
        for (place, &(step, value)) in curve.points.iter().enumerate() {
            let time = milliseconds(cell.time(curve, place));
            let _ = writeln!(text, "{time} {} {}", number(value), step as i64);
        }
        put(&folder.join(plain(&name)), &text)?;
        if curve.per == Per::Epoch {
            written.push(curve.name.clone());
        }
    }
    let Some(receipt) = &cell.receipt else { return Ok(()) };
    for (name, value) in &receipt.metrics {
        if cell.curves.iter().all(|curve| curve.name != *name) {
            let time = milliseconds(cell.ended());
            put(&folder.join(plain(name)), &format!("{time} {} 0\n", number(*value)))?;
        }
    }
    Ok(())
}

/// As Python reads it.
fn number(value: f64) -> String {
    if value.is_nan() {
        return "nan".to_owned();
    }
    value.to_string()
}

/// A name with what MLflow takes: letters, digits, `_`, `-`, `.`, blanks, `:` and `/`, and no way out of
/// its folder.
fn plain(name: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || "_-. :/".contains(c);
    let name: String = name.chars().map(|c| if fits(c) { c } else { '_' }).collect();
    let parts = name.split('/').filter(|part| !matches!(*part, "" | "." | ".."));
    parts.collect::<Vec<_>>().join("/").chars().take(LONGEST_NAME).collect()
}

fn milliseconds(seconds: f64) -> i64 {
    (seconds * 1000.0).round() as i64
}

fn yaml(entries: &[(&str, String)]) -> String {
    entries.iter().map(|(name, value)| format!("{name}: {value}\n")).collect()
}

/// A text in YAML's double quotes, which are JSON's.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The address of a folder, with all but plain characters escaped.
fn address(folder: &Path) -> String {
    let mut text = "file://".to_owned();
    for byte in folder.display().to_string().bytes() {
        match byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte) {
            true => text.push(char::from(byte)),
            false => _ = write!(text, "%{byte:02X}"),
        }
    }
    text
}

fn put(path: &Path, text: &str) -> Result<(), Failure> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    Ok(std::fs::write(path, text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_are_what_mlflow_takes() {
        assert_eq!(plain("training.optimiser.adam"), "training.optimiser.adam");
        assert_eq!(plain("top-5 (%)"), "top-5 ___");
        assert_eq!(plain("../../etc/passwd"), "etc/passwd");
        assert_eq!(address(Path::new("/a b/ü[1]")), "file:///a%20b/%C3%BC%5B1%5D");
        assert_eq!(quoted("a: \"b\""), r#""a: \"b\"""#);
        assert_eq!(number(f64::NAN), "nan");
        assert_eq!(number(f64::NEG_INFINITY), "-inf");
    }
}
