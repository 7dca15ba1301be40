//! Metrics, as the engine reads them: single numbers by name.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use crate::error::IoResultExt;
use crate::{Error, Result};

/// The type of artifacts whose numbers texts and tables can carry. They hold a file `metrics.json`
/// with an object `values` of numbers by name.
pub const METRICS: &str = "metrics";

pub(crate) const FILE: &str = "metrics.json";

/// What [`FILE`] holds, as far as it is single numbers.
#[derive(Deserialize)]
pub(crate) struct Numbers {
    pub(crate) values: BTreeMap<String, f64>,
}

/// The numbers that metrics in a folder hold.
pub(crate) fn numbers(folder: &Path) -> Result<BTreeMap<String, f64>> {
    let path = folder.join(FILE);
    let bytes = std::fs::read(&path).at(&path)?;
    Ok(serde_json::from_slice::<Numbers>(&bytes)?.values)
}

/// Whether a folder holds what `output` says, where that is metrics: others' programs write them, and
/// what is not understood would be missing from every table without a word.
pub(crate) fn check(output: &str, artifact: &str, folder: &Path) -> Result<()> {
    if artifact != METRICS {
        return Ok(());
    }
    let wrong = |why: &str| {
        Error::message(format!(
            "output `{output}` is of type `{METRICS}`: expected a file `{FILE}` such as {{\"values\": \
             {{\"accuracy\": 0.93}}}}; {why}"
        ))
    };
    if !folder.join(FILE).is_file() {
        return Err(wrong("it is not there"));
    }
    numbers(folder).map(|_| ()).map_err(|error| wrong(&error.to_string()))
}
