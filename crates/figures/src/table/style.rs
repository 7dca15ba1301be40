//! How a pivot is written: labels, decimals, percentages, the best values.

use std::collections::BTreeMap;

use sconce_core::cell::Plain;
use sconce_data::rank::Best;
use serde_json::Value;

use super::{Cell, Emphasis, Head, Pivot, Summary, View};
use crate::Words;
use crate::ticks::{fixed, plain};

/// How a pivot is written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Style {
    /// Title and caption.
    pub words: Words,
    /// Texts for names and values: `normalize`, `normalize=true`, `true`, `accuracy`.
    pub labels: BTreeMap<String, String>,
    /// Decimals by quantity; others have three, or none where all are whole.
    pub decimals: BTreeMap<String, u8>,
    /// Whether numbers are shown as percentages.
    pub percent: bool,
    /// Which value of a quantity is bold. Ties are all bold, unless all values are the same. Published ones do not
    /// compete.
    pub best: BTreeMap<String, Best>,
}

impl Style {
    /// The label of a name, or of a value of the column `of`.
    pub fn label(&self, of: Option<&str>, value: &Value) -> String {
        let text = match value {
            Value::Number(number) if number.is_f64() => plain(number.as_f64().unwrap_or(f64::NAN)),
            Value::Null => "–".to_owned(),
            value => Plain(value).to_string(),
        };
        let key = Plain(value).to_string();
        let whole = of.and_then(|of| self.labels.get(&format!("{of}={key}")));
        let plain_label = || {
            of.filter(|_| value.is_boolean())
                .map(|of| format!("{of}: {}", if key == "true" { "yes" } else { "no" }))
        };
        whole.or_else(|| self.labels.get(&key)).cloned().or_else(plain_label).unwrap_or(text)
    }

    /// The label of a column: its name with spaces, where there is no other.
    pub fn name(&self, name: &str) -> String {
        self.labels.get(name).cloned().unwrap_or_else(|| name.replace('_', " "))
    }
}

impl Pivot {
    /// The pivot as it is shown.
    pub fn view(&self, style: &Style) -> View {
        let mut heads: Vec<Head> = self
            .index
            .iter()
            .enumerate()
            .map(|(place, name)| Head {
                name: style.name(name),
                group: String::new(),
                numeric: self.rows.iter().all(|row| row.get(place).is_some_and(Value::is_number)),
            })
            .collect();
        let beside: Vec<bool> =
            (0..self.columns.len()).map(|column| self.is_published(column)).collect();
        for ((value, quantity), beside) in self.columns.iter().zip(&beside) {
            let value = value.as_ref().map(|value| style.label(self.spread.as_deref(), value));
            heads.extend(self.heads(value, style.name(quantity), *beside));
        }
        let best = self.best(&style.best);
        let rows = self.rows.iter().enumerate().map(|(row, key)| {
            let index = self.index.iter().zip(key).map(|(name, value)| Cell {
                text: style.label(Some(name), value),
                emphasis: Emphasis::None,
            });
            let cells = self.columns.iter().enumerate().flat_map(|(column, (_, quantity))| {
                let show = |summary: Option<Summary>| self.show(style, quantity, summary);
                let ours = self.summary(row, column);
                let is_best =
                    ours.is_some_and(|ours| best.get(quantity.as_str()) == Some(&ours.mean));
                let emphasis = if is_best { Emphasis::Best } else { Emphasis::None };
                let theirs =
                    self.published.get(row).and_then(|row| row.get(column)).copied().flatten();
                let theirs = beside[column].then(|| Cell {
                    text: show(theirs.map(|mean| Summary { mean, deviation: None, count: 1 })),
                    emphasis: Emphasis::Published,
                });
                std::iter::once(Cell { text: show(ours), emphasis }).chain(theirs)
            });
            index.chain(cells).collect()
        });
        View { words: style.words.clone(), rows: rows.collect(), heads, strips: None }
    }

    /// Whether a published number stands beside one of ours in this column.
    fn is_published(&self, column: usize) -> bool {
        self.published.iter().any(|row| row.get(column).copied().flatten().is_some())
    }

    /// The heads of one column: a second one where published numbers stand beside ours.
    fn heads(&self, value: Option<String>, quantity: String, beside: bool) -> Vec<Head> {
        let head = |group: &str, name: &str| Head {
            name: name.to_owned(),
            group: group.to_owned(),
            numeric: true,
        };
        let several = self
            .columns
            .iter()
            .any(|(_, other)| Some(other) != self.columns.first().map(|(_, first)| first));
        let any_beside = (0..self.columns.len()).any(|column| self.is_published(column));
        match (value, several, beside) {
            (None, _, false) => vec![head("", &quantity)],
            (None, _, true) => vec![head(&quantity, "ours"), head(&quantity, "published")],
            (Some(value), false, true) => vec![head(&value, "ours"), head(&value, "published")],
            (Some(value), false, false) if any_beside => vec![head(&value, "ours")],
            (Some(value), false, false) => vec![head(&quantity, &value)],
            (Some(value), true, false) => vec![head(&value, &quantity)],
            (Some(value), true, true) => {
                vec![head(&value, &quantity), head(&value, &format!("{quantity}, published"))]
            }
        }
    }

    fn show(&self, style: &Style, quantity: &str, summary: Option<Summary>) -> String {
        let Some(summary) = summary else { return "–".to_owned() };
        let whole = self.cells.iter().flat_map(|row| row.iter().zip(&self.columns)).all(
            |(cell, (_, other))| {
                other != quantity
                    || cell.is_none_or(|cell| cell.mean.fract() == 0.0 && cell.deviation.is_none())
            },
        );
        let decimals = style.decimals.get(quantity).map(|decimals| usize::from(*decimals));
        if style.percent {
            let scaled = Summary {
                mean: summary.mean * 100.0,
                deviation: summary.deviation.map(|deviation| deviation * 100.0),
                count: summary.count,
            };
            return format!("{} %", scaled.show(decimals.unwrap_or(1)));
        }
        match decimals {
            Some(decimals) => summary.show(decimals),
            None if whole => fixed(summary.mean, 0),
            None => summary.show(3),
        }
    }

    fn best(&self, wanted: &BTreeMap<String, Best>) -> BTreeMap<&str, f64> {
        let mut found = BTreeMap::new();
        for (_, quantity) in &self.columns {
            let Some(best) = wanted.get(quantity) else { continue };
            let columns =
                (0..self.columns.len()).filter(|column| self.columns[*column].1 == *quantity);
            let means: Vec<f64> = columns
                .flat_map(|column| {
                    (0..self.rows.len()).filter_map(move |row| self.summary(row, column))
                })
                .map(|cell| cell.mean)
                .collect();
            let largest = means.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let smallest = means.iter().copied().fold(f64::INFINITY, f64::min);
            if largest > smallest {
                found
                    .insert(quantity.as_str(), if *best == Best::Max { largest } else { smallest });
            }
        }
        found
    }
}
