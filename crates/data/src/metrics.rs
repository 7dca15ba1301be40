//! Numbers by name.

use std::collections::BTreeMap;
use std::path::Path;

use sconce_core::error::{IoResultExt, ResultExt};
use sconce_core::{Artifact, Error, Files, Result};
use serde::{Deserialize, Serialize};

/// Numbers by name, and arrays such as a confusion matrix.
///
/// Saved as `metrics.json`. All numbers are finite.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// Single numbers: `accuracy`, `C`, `seconds`.
    #[serde(default)]
    pub values: BTreeMap<String, f64>,
    /// Names along the classes' axis of arrays, where there are classes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<String>,
    /// Arrays by name: `class_accuracy` (classes), `confusion` (true class × predicted class).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub arrays: BTreeMap<String, Array>,
}

/// An array of numbers, row-major.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Array {
    /// Length along each axis.
    pub shape: Vec<usize>,
    /// The numbers, the last axis running fastest.
    pub data: Vec<f64>,
}

impl Array {
    /// An array from its shape and its numbers.
    pub fn new(shape: impl Into<Vec<usize>>, data: Vec<f64>) -> Result<Self> {
        let shape = shape.into();
        if shape.iter().product::<usize>() != data.len() {
            return Err(Error::message(format!(
                "an array of shape {shape:?} cannot hold {} numbers",
                data.len()
            )));
        }
        Ok(Self { shape, data })
    }
}

impl Metrics {
    /// The number called `name`.
    pub fn get(&self, name: &str) -> Result<f64> {
        self.values.get(name).copied().ok_or_else(|| {
            let names: Vec<_> = self.values.keys().map(String::as_str).collect();
            Error::message(format!("no metric `{name}`; there are: {}", names.join(", ")))
        })
    }

    /// Sets the number called `name`.
    pub fn set(&mut self, name: impl Into<String>, value: f64) {
        self.values.insert(name.into(), value);
    }

    /// The array called `name`.
    pub fn array(&self, name: &str) -> Result<&Array> {
        self.arrays.get(name).ok_or_else(|| {
            let names: Vec<_> = self.arrays.keys().map(String::as_str).collect();
            Error::message(format!(
                "no array `{name}` in the metrics; there are: {}",
                names.join(", ")
            ))
        })
    }
}

impl Artifact for Metrics {
    const TYPE: &'static str = "metrics";

    fn load(files: &Files) -> Result<Self> {
        let metrics: Self = files.read_json("metrics.json")?;
        for (name, array) in &metrics.arrays {
            Array::new(array.shape.clone(), array.data.clone())
                .doing(|| format!("array `{name}`"))?;
        }
        Ok(metrics)
    }

    fn save(&self, folder: &Path) -> Result<()> {
        // JSON has no NaN: it would be read as a missing number.
        let values = self.values.iter().map(|(name, value)| (name, std::slice::from_ref(value)));
        let arrays = self.arrays.iter().map(|(name, array)| (name, array.data.as_slice()));
        for (name, numbers) in values.chain(arrays) {
            if let Some(value) = numbers.iter().find(|value| !value.is_finite()) {
                return Err(Error::message(format!(
                    "metric `{name}` is {value}: expected a finite number"
                )));
            }
        }
        let path = folder.join("metrics.json");
        std::fs::write(&path, serde_json::to_vec_pretty(self)?).at(&path)
    }
}
