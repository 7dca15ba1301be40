//! The rows that tables and plots start from.

use std::collections::BTreeMap;

use sconce_core::cell::Plain;
use sconce_core::{Context, Coordinates, Error, Inputs, Result};
use sconce_data::{Column, ColumnType, Metrics, Table};
use serde_json::Value;

use crate::table::long::{self, STAGE};

/// A long table, and which of its columns are coordinates of cells.
pub(super) struct Rows {
    pub(super) table: Table,
    pub(super) axes: Vec<String>,
}

pub(super) fn check_inputs(rows: &Inputs<Metrics>, tables: &Inputs<Table>) -> Result<()> {
    match (rows.edges().is_empty(), tables.edges().is_empty()) {
        (true, true) => {
            Err(Error::parameter("rows", "expected `rows` (metrics) or `tables`, found neither"))
        }
        (false, false) => {
            Err(Error::parameter("tables", "expected `rows` (metrics) or `tables`, found both"))
        }
        _ => Ok(()),
    }
}

/// Reads the metrics or the tables into one long table.
pub(super) fn read(ctx: &Context, rows: &Inputs<Metrics>, tables: &Inputs<Table>) -> Result<Rows> {
    let (table, cells) = if tables.edges().is_empty() {
        let gathered = ctx.inputs(rows)?;
        let cells: Vec<_> =
            gathered.iter().map(|from| (from.stage.clone(), from.coordinates.clone())).collect();
        (long::of_metrics(&gathered)?, cells)
    } else {
        let gathered = ctx.inputs(tables)?;
        let cells: Vec<_> =
            gathered.iter().map(|from| (from.stage.clone(), from.coordinates.clone())).collect();
        (long::of_tables(&gathered)?, cells)
    };
    Ok(Rows { table, axes: axes(&cells) })
}

fn axes(cells: &[(String, Coordinates)]) -> Vec<String> {
    let mut axes: Vec<String> = Vec::new();
    if cells.windows(2).any(|pair| matches!(pair, [a, b] if a.0 != b.0)) {
        axes.push(STAGE.to_owned());
    }
    for (axis, _) in cells.iter().flat_map(|(_, coordinates)| coordinates.iter()) {
        if !axes.iter().any(|known| known == axis) {
            axes.push(axis.to_owned());
        }
    }
    axes
}

impl Rows {
    /// Refuses a parameter that names a column that is not there.
    pub(super) fn check(&self, key: &str, names: &[String]) -> Result<()> {
        for name in names {
            long::column(&self.table, "column", name)
                .map_err(|error| Error::parameter(key, error.to_string()))?;
        }
        Ok(())
    }

    /// Refuses to average over an axis unawares: each with several values must be in `placed` or in `over`.
    pub(super) fn check_axes(&self, placed: &[&str], over: &[String], keys: &str) -> Result<()> {
        let names = placed.iter().copied().chain(over.iter().map(String::as_str));
        match self.unplaced(&names.collect::<Vec<_>>())? {
            None => Ok(()),
            Some(differ) => Err(Error::parameter(
                "over",
                format!("{differ}: expected it in {keys}, or in `over` to average over it"),
            )),
        }
    }

    /// Which axis has several values and is not in `placed`, in words: ``rows differ along `split` (0, 1, 2)``.
    pub(super) fn unplaced(&self, placed: &[&str]) -> Result<Option<String>> {
        for axis in self.axes.iter().filter(|axis| !placed.contains(&axis.as_str())) {
            let values = self.distinct(axis)?;
            if values.len() > 1 {
                let values: Vec<String> =
                    values.iter().map(|value| Plain(value).to_string()).take(6).collect();
                return Ok(Some(format!("rows differ along `{axis}` ({})", values.join(", "))));
            }
        }
        Ok(None)
    }

    pub(super) fn distinct(&self, axis: &str) -> Result<Vec<Value>> {
        let mut found: Vec<Value> = Vec::new();
        for value in self.table.values(axis)? {
            if !found.iter().any(|known| long::same(known, value)) {
                found.push(value.clone());
            }
        }
        Ok(found)
    }
}

/// Published numbers from parameters: each row has axes and quantities by name.
pub(super) fn published_table(rows: &[BTreeMap<String, Value>]) -> Table {
    let mut names: Vec<&String> = Vec::new();
    for name in rows.iter().flat_map(|row| row.keys()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let columns = names.iter().map(|name| {
        let values = rows.iter().filter_map(|row| row.get(*name));
        Column::new(name.as_str(), ColumnType::of(values))
    });
    let mut table = Table::new(columns.collect());
    for row in rows {
        let cells = table.columns.iter().map(|column| match (column.kind, row.get(&column.name)) {
            (_, None | Some(Value::Null)) => Value::Null,
            (ColumnType::Text, Some(value)) => Value::String(Plain(value).to_string()),
            (_, Some(value)) => value.clone(),
        });
        table.rows.push(cells.collect());
    }
    table
}

/// `5 values of split`, `3 to 5 rows`.
pub(super) fn counts(fewest: usize, most: usize, over: &[String]) -> String {
    let count = if fewest == most { most.to_string() } else { format!("{fewest} to {most}") };
    if over.is_empty() {
        format!("{count} rows")
    } else {
        format!("{count} values of {}", over.join(" × "))
    }
}

pub(super) fn add_sentence(text: &mut String, sentence: &str) {
    if !text.is_empty() {
        text.push(' ');
    }
    text.push_str(sentence);
}
