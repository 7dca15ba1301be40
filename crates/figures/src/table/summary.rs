//! Several measurements in one cell: their mean and how far they spread.

use sconce_data::Column;
use serde_json::Value;

use crate::ticks::{fixed, plain};

/// Mean, spread and number of some measurements.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// The arithmetic mean.
    pub mean: f64,
    /// The sample standard deviation (divisor n − 1); none for a single measurement.
    pub deviation: Option<f64>,
    /// How many there were.
    pub count: usize,
}

impl Summary {
    /// Of finite measurements; `None` where there is none.
    pub fn of(values: &[f64]) -> Option<Self> {
        let count = values.len();
        if count == 0 {
            return None;
        }
        let mean = values.iter().sum::<f64>() / count as f64;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let deviation = (count > 1).then(|| (squares / (count - 1) as f64).sqrt());
        Some(Self { mean, deviation, count })
    }

    /// `0.873`, or `0.873 ± 0.008` where there were several.
    pub fn show(&self, decimals: usize) -> String {
        match self.deviation {
            Some(deviation) => {
                format!("{} ± {}", fixed(self.mean, decimals), fixed(deviation, decimals))
            }
            None => fixed(self.mean, decimals),
        }
    }
}

/// A cell of a data table as people read it.
pub(crate) fn show(column: &Column, value: &Value) -> String {
    match (value, value.as_f64()) {
        (Value::Null, _) => "–".to_owned(),
        (_, Some(number)) => match column.decimals {
            Some(decimals) => fixed(number, usize::from(decimals)),
            None if value.is_f64() => plain(number),
            None => fixed(number, 0),
        },
        (Value::Bool(true), _) => "yes".to_owned(),
        (Value::Bool(false), _) => "no".to_owned(),
        (Value::String(text), _) => text.clone(),
        (other, _) => other.to_string(),
    }
}
