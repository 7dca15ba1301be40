use sconce_core::{Error, Result};
use sconce_data::{Column, Table};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The numbers of each epoch.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    /// One row an epoch: names and values, the same names in all.
    pub rows: Vec<Vec<(String, f64)>>,
    /// The epoch, from 0, that the monitor found best.
    pub best: Option<usize>,
}

/// Which number decides about the best epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Monitor {
    /// Its name in the history.
    pub metric: String,
    /// Whether small or large is good.
    pub direction: Direction,
    /// Epochs without a better one after which the training stops; it never does when there is none.
    pub patience: Option<usize>,
}

/// Whether a small or a large number is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Small, as of a loss.
    Lower,
    /// Large, as of an accuracy.
    Higher,
}

impl Direction {
    /// Whether `value` beats `best`; a tie does not.
    pub fn is_better(self, value: f64, best: f64) -> bool {
        match self {
            Self::Lower => value < best,
            Self::Higher => value > best,
        }
    }
}

impl History {
    /// Number of epochs.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no epoch.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(super) fn push(&mut self, row: Vec<(String, f64)>) -> Result<()> {
        if let Some((name, _)) = row.iter().enumerate().find_map(|(i, (name, value))| {
            row[..i].iter().any(|(other, _)| other == name).then_some((name, value))
        }) {
            return Err(Error::message(format!("a training reports `{name}` twice an epoch")));
        }
        self.rows.push(row);
        Ok(())
    }

    /// The value called `name` of the last epoch.
    ///
    /// # Errors
    /// When there is none.
    pub fn last(&self, name: &str) -> Result<f64> {
        let row = self.rows.last().map_or(&[][..], Vec::as_slice);
        row.iter().find(|(other, _)| other == name).map(|(_, value)| *value).ok_or_else(|| {
            let names: Vec<_> = row.iter().map(|(name, _)| name.as_str()).collect();
            Error::message(format!(
                "the training reports no `{name}`; there are: {}",
                names.join(", ")
            ))
        })
    }

    /// A table: `epoch` from 1, then a column for each number.
    ///
    /// # Errors
    /// When epochs differ in their numbers.
    pub fn table(&self) -> Result<Table> {
        let names = self.rows.first().map_or(&[][..], Vec::as_slice);
        let mut columns = vec![Column::integer("epoch")];
        columns.extend(names.iter().map(|(name, _)| Column::decimals(name.clone(), 4)));
        let mut table = Table::new(columns);
        for (epoch, row) in self.rows.iter().enumerate() {
            let mut cells: Vec<Value> = vec![json!(epoch + 1)];
            cells.extend(row.iter().map(|(_, value)| json!(value)));
            table.push(cells)?;
        }
        Ok(table)
    }
}
