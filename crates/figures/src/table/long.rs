//! Long tables: one row for each measurement, with the coordinates of the cell that it came from.

use sconce_core::cell::Plain;
use sconce_core::{Coordinates, Gathered};
use sconce_data::{Column, ColumnType, Metrics, Table};
use serde_json::Value;

use crate::{Error, Result};

/// The column that says from which stage a row came, where there are several.
pub const STAGE: &str = "stage";

/// One row for each of `gathered`: its coordinates, then its numbers. What a row lacks is missing (null).
pub fn of_metrics(gathered: &[Gathered<Metrics>]) -> Result<Table> {
    let rows = gathered.iter().map(|from| {
        let numbers = from.artifact.values.iter();
        let numbers = numbers.map(|(name, value)| (name.clone(), Value::from(*value))).collect();
        (prefix(from, gathered), numbers)
    });
    assemble(rows.collect(), &[])
}

/// The rows of all `gathered` tables below each other, each with its table's coordinates before it.
pub fn of_tables(gathered: &[Gathered<Table>]) -> Result<Table> {
    let mut rows = Vec::new();
    let mut known: Vec<&Column> = Vec::new();
    for from in gathered {
        let table = &from.artifact;
        known.extend(&table.columns);
        for row in &table.rows {
            let names = table.columns.iter().map(|column| column.name.clone());
            rows.push((prefix(from, gathered), names.zip(row.iter().cloned()).collect()));
        }
    }
    assemble(rows, &known)
}

/// Values by name.
pub(crate) type Named = Vec<(String, Value)>;

/// One row for each cell: its coordinates, then its values.
pub(crate) fn of_cells<'a>(
    cells: impl IntoIterator<Item = (&'a Coordinates, Named)>,
) -> Result<Table> {
    let axes = |of: &Coordinates| of.iter().map(|(axis, v)| (axis.to_owned(), v.clone())).collect();
    assemble(cells.into_iter().map(|(of, values)| (axes(of), values)).collect(), &[])
}

/// The stage, where there are several, and the coordinates.
fn prefix<T>(from: &Gathered<T>, all: &[Gathered<T>]) -> Named {
    let several = all.iter().any(|other| other.stage != from.stage);
    let stage = several.then(|| (STAGE.to_owned(), Value::from(from.stage.clone())));
    let axes = from.coordinates.iter().map(|(axis, value)| (axis.to_owned(), value.clone()));
    stage.into_iter().chain(axes).collect()
}

/// Columns in the order in which they first appear, coordinates before the rest.
fn assemble(rows: Vec<(Named, Named)>, known: &[&Column]) -> Result<Table> {
    let mut names: Vec<&str> = Vec::new();
    let coordinates = rows.iter().flat_map(|(coordinates, _)| coordinates);
    for (name, _) in coordinates.chain(rows.iter().flat_map(|(_, values)| values)) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    if let Some((coordinates, values)) =
        rows.iter().find(|(a, b)| a.iter().any(|(x, _)| b.iter().any(|(y, _)| x == y)))
    {
        let both =
            coordinates.iter().find(|(name, _)| values.iter().any(|(other, _)| name == other));
        let name = both.map_or("", |(name, _)| name.as_str());
        return Err(Error::Value(format!(
            "`{name}` is both an axis and a column: expected different names"
        )));
    }
    let find = |row: &(Named, Named), name: &str| {
        let value = row.0.iter().chain(&row.1).find(|(other, _)| other == name);
        value.map_or(Value::Null, |(_, value)| scalar(value))
    };
    let columns = names.iter().map(|name| {
        let values: Vec<Value> = rows.iter().map(|row| find(row, name)).collect();
        let decimals =
            known.iter().find(|column| column.name == *name).and_then(|column| column.decimals);
        Column { decimals, ..Column::new(*name, ColumnType::of(&values)) }
    });
    let mut table = Table::new(columns.collect());
    for row in &rows {
        let cells =
            table.columns.iter().map(|column| match (column.kind, find(row, &column.name)) {
                (_, Value::Null) => Value::Null,
                // A column of different types is text.
                (ColumnType::Text, value) => Value::String(Plain(&value).to_string()),
                (_, value) => value,
            });
        table.rows.push(cells.collect());
    }
    Ok(table)
}

/// Axes may have lists and tables as values: they are shown as text.
fn scalar(value: &Value) -> Value {
    match value {
        Value::Array(_) | Value::Object(_) => Value::String(value.to_string()),
        scalar => scalar.clone(),
    }
}

/// The place of a column, or an error that says what there is.
pub fn column(table: &Table, what: &'static str, name: &str) -> Result<usize> {
    let names = || table.columns.iter().map(|column| column.name.as_str());
    names().position(|other| other == name).ok_or_else(|| Error::unknown(what, name, names()))
}

/// The number in a cell; `None` for a missing one.
pub fn number(table: &Table, row: usize, column: usize) -> Result<Option<f64>> {
    match table.rows.get(row).and_then(|cells| cells.get(column)) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_f64().map(Some).ok_or_else(|| {
            let name = table.columns.get(column).map_or("", |column| column.name.as_str());
            Error::Value(format!(
                "column `{name}`, row {}: expected a number, found {value}",
                row + 1
            ))
        }),
    }
}

/// Whether two values are the same for people: 1 and 1.0 are.
pub fn same(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}
