//! The grid of C by cross-validation, timed on the features that `grid_search.py` wrote, which runs this beside
//! scikit-learn. By hand: `cargo bench --workspace --bench grid_search -- FOLDER CLASSES COLUMNS C…`.
//!
//! FOLDER holds `train.f32` and `test.f32` (rows), `labels.u32` and `folds.u32` (one a training row). Prints JSON.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a benchmark prints, and fails aloud"
)]

use std::{fs, path::Path, process::ExitCode, time::Instant};

use sconce_transfer::{
    Rows, cross_validate,
    svm::{self, Stopping},
};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    match run(&arguments) {
        Ok(json) => {
            println!("{json}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!(
                "{error}\nrun crates/transfer/benches/grid_search.py, which makes the features"
            );
            // `cargo bench` without arguments builds this and has nothing to time.
            ExitCode::from(u8::from(!arguments.is_empty()))
        }
    }
}

fn run(arguments: &[String]) -> Result<String, Box<dyn std::error::Error>> {
    let [folder, classes, columns, cs @ ..] = arguments else {
        return Err("usage: FOLDER CLASSES COLUMNS C…".into());
    };
    let folder = Path::new(folder);
    let (classes, columns): (usize, usize) = (classes.parse()?, columns.parse()?);
    let cs: Vec<f64> = cs.iter().map(|c| c.parse()).collect::<Result<_, _>>()?;
    let (train, test) = (floats(&folder.join("train.f32"))?, floats(&folder.join("test.f32"))?);
    let labels = integers(&folder.join("labels.u32"))?;
    let folds = integers(&folder.join("folds.u32"))?;
    let rows = Rows::new(&train, columns)?;

    let started = Instant::now();
    let result = cross_validate(rows, &labels, classes, &folds, &cs, Stopping::default())?;
    let grid_seconds = started.elapsed().as_secs_f64();

    let started = Instant::now();
    let fit = svm::fit(rows, &labels, classes, 1.0, Stopping::default())?;
    let fit_seconds = started.elapsed().as_secs_f64();
    let predicted = fit.model.predict(Rows::new(&test, columns)?)?;
    Ok(serde_json::json!({
        "grid_seconds": grid_seconds,
        "fit_seconds": fit_seconds,
        "sweeps": fit.sweeps,
        "violation": fit.violation,
        "best_c": result.best(),
        "accuracies": result.accuracies,
        "predicted": predicted,
    })
    .to_string())
}

fn floats(path: &Path) -> std::io::Result<Vec<f32>> {
    Ok(words(path)?.map(f32::from_le_bytes).collect())
}

fn integers(path: &Path) -> std::io::Result<Vec<usize>> {
    Ok(words(path)?.map(|w| u32::from_le_bytes(w) as usize).collect())
}

fn words(path: &Path) -> std::io::Result<impl Iterator<Item = [u8; 4]>> {
    let bytes = fs::read(path)?;
    let words: Vec<[u8; 4]> = bytes.as_chunks().0.to_vec();
    Ok(words.into_iter())
}
