//! From a long table to one with a row for each layer and a column for each setting.

use std::collections::BTreeMap;

use sconce_core::cell::Plain;
use sconce_data::{Column, ColumnType, Table};
use serde_json::{Map, Value};

use super::Summary;
use super::long::{self, same};
use crate::{Error, Result};

/// What becomes rows and what becomes columns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layout {
    /// Columns of the long table whose values name the rows.
    pub index: Vec<String>,
    /// A column whose values become columns; none for a column for each of `values` alone.
    pub columns: Option<String>,
    /// The columns with the numbers. Rows of the long table that fall into one cell are averaged.
    pub values: Vec<String>,
}

/// Numbers by row and column.
#[derive(Debug, Clone, PartialEq)]
pub struct Pivot {
    /// Names of the index columns.
    pub index: Vec<String>,
    /// The values of the index columns, for each row in order of first appearance.
    pub rows: Vec<Vec<Value>>,
    /// The name of the column that was spread, where there is one.
    pub spread: Option<String>,
    /// For each column the value of the spread column and the quantity.
    pub columns: Vec<(Option<Value>, String)>,
    /// Ours, rows × columns.
    pub cells: Vec<Vec<Option<Summary>>>,
    /// Published numbers, rows × columns.
    pub published: Vec<Vec<Option<f64>>>,
}

/// Gathers the rows of `long` into cells, and those of `published` beside them.
///
/// `published` has the same index and spread columns and one or more of the quantities. Rows of it that ours lack
/// come last.
pub fn pivot(long: &Table, layout: &Layout, published: Option<&Table>) -> Result<Pivot> {
    if layout.values.is_empty() {
        return Err(Error::Empty("the list of values", "column"));
    }
    let mut pivot = Pivot {
        index: layout.index.clone(),
        rows: Vec::new(),
        spread: layout.columns.clone(),
        columns: Vec::new(),
        cells: Vec::new(),
        published: Vec::new(),
    };
    let ours = Keys::of(long, layout, true)?;
    let theirs = published
        .map(|table| Keys::of(table, layout, false).map(|keys| (table, keys)))
        .transpose()?;
    let mut spread: Vec<Value> = Vec::new();
    let all =
        std::iter::once((long, &ours)).chain(theirs.iter().map(|(table, keys)| (*table, keys)));
    for (table, keys) in all {
        for row in &table.rows {
            let key = keys.index(row);
            if !pivot.rows.iter().any(|known| same_key(known, &key)) {
                pivot.rows.push(key);
            }
            if let Some(value) = keys.spread(row)
                && !spread.iter().any(|known| same(known, value))
            {
                spread.push(value.clone());
            }
        }
    }
    let quantities = || layout.values.iter().cloned();
    pivot.columns = match &layout.columns {
        None => quantities().map(|quantity| (None, quantity)).collect(),
        Some(_) => {
            spread.iter().flat_map(|value| quantities().map(|q| (Some(value.clone()), q))).collect()
        }
    };
    for key in pivot.rows.clone() {
        let gather = |table: &Table, keys: &Keys| -> Result<Vec<Vec<f64>>> {
            pivot
                .columns
                .iter()
                .map(|(value, quantity)| keys.numbers(table, &key, value.as_ref(), quantity))
                .collect()
        };
        let cells = gather(long, &ours)?;
        pivot.cells.push(cells.iter().map(|numbers| Summary::of(numbers)).collect());
        pivot.published.push(match &theirs {
            None => vec![None; pivot.columns.len()],
            Some((table, keys)) => {
                gather(table, keys)?.iter().map(|numbers| numbers.first().copied()).collect()
            }
        });
    }
    Ok(pivot)
}

/// Places of the columns in one table.
struct Keys {
    index: Vec<usize>,
    spread: Option<usize>,
    values: BTreeMap<String, usize>,
}

impl Keys {
    fn of(table: &Table, layout: &Layout, all: bool) -> Result<Self> {
        let find = |what, name: &String| long::column(table, what, name);
        let index = layout.index.iter().map(|name| find("column", name)).collect::<Result<_>>()?;
        let spread = layout.columns.as_ref().map(|name| find("column", name)).transpose()?;
        let mut values = BTreeMap::new();
        for name in &layout.values {
            match find("value", name) {
                Ok(place) => drop(values.insert(name.clone(), place)),
                Err(error) if all => return Err(error),
                Err(_) => {}
            }
        }
        Ok(Self { index, spread, values })
    }

    fn index(&self, row: &[Value]) -> Vec<Value> {
        self.index.iter().map(|place| row.get(*place).cloned().unwrap_or(Value::Null)).collect()
    }

    fn spread<'a>(&self, row: &'a [Value]) -> Option<&'a Value> {
        self.spread.and_then(|place| row.get(place))
    }

    fn numbers(
        &self,
        table: &Table,
        key: &[Value],
        spread: Option<&Value>,
        quantity: &str,
    ) -> Result<Vec<f64>> {
        let Some(column) = self.values.get(quantity) else { return Ok(Vec::new()) };
        let mut numbers = Vec::new();
        for (index, row) in table.rows.iter().enumerate() {
            let fits = match (spread, self.spread(row)) {
                (Some(wanted), Some(found)) => same(wanted, found),
                _ => true,
            };
            if fits && same_key(key, &self.index(row)) {
                numbers.extend(long::number(table, index, *column)?);
            }
        }
        Ok(numbers)
    }
}

fn same_key(a: &[Value], b: &[Value]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
}

impl Pivot {
    pub(super) fn summary(&self, row: usize, column: usize) -> Option<Summary> {
        self.cells.get(row).and_then(|row| row.get(column)).copied().flatten()
    }

    /// The pivot for programs: columns `accuracy[normalize=true]`, with `… sd`, `… n` where values were averaged
    /// and `… published` where there are published ones.
    pub fn table(&self) -> Table {
        let mut columns = Vec::new();
        for (place, name) in self.index.iter().enumerate() {
            let values: Vec<&Value> = self.rows.iter().filter_map(|row| row.get(place)).collect();
            columns.push((
                Column::new(name, ColumnType::of(values.iter().copied())),
                values.into_iter().cloned().collect::<Vec<_>>(),
            ));
        }
        for (column, (value, quantity)) in self.columns.iter().enumerate() {
            let name = match (&self.spread, value) {
                (Some(spread), Some(value)) => format!("{quantity}[{spread}={}]", Plain(value)),
                _ => quantity.clone(),
            };
            let cells: Vec<Option<Summary>> =
                (0..self.rows.len()).map(|row| self.summary(row, column)).collect();
            let numbers = |pick: fn(&Summary) -> Option<f64>| -> Vec<Value> {
                cells
                    .iter()
                    .map(|cell| cell.as_ref().and_then(pick).map_or(Value::Null, Value::from))
                    .collect()
            };
            columns.push((Column::number(&name), numbers(|cell| Some(cell.mean))));
            if cells.iter().flatten().any(|cell| cell.count > 1) {
                columns
                    .push((Column::number(format!("{name} sd")), numbers(|cell| cell.deviation)));
                let counts = cells
                    .iter()
                    .map(|cell| cell.map_or(Value::Null, |cell| Value::from(cell.count)));
                columns.push((Column::integer(format!("{name} n")), counts.collect()));
            }
            let published: Vec<Value> = self
                .published
                .iter()
                .map(|row| row.get(column).copied().flatten().map_or(Value::Null, Value::from))
                .collect();
            if published.iter().any(|value| !value.is_null()) {
                columns.push((Column::number(format!("{name} published")), published));
            }
        }
        let rows = (0..self.rows.len()).map(|row| {
            let cells =
                columns.iter().map(|(column, values)| match (column.kind, values.get(row)) {
                    (_, None | Some(Value::Null)) => Value::Null,
                    (ColumnType::Text, Some(value)) => Value::String(Plain(value).to_string()),
                    (_, Some(value)) => value.clone(),
                });
            cells.collect()
        });
        let rows = rows.collect();
        Table {
            caption: String::new(),
            rows,
            columns: columns.into_iter().map(|(column, _)| column).collect(),
        }
    }

    /// The rows as JSON objects, keys as in [`table`](Self::table).
    pub fn records(&self) -> Value {
        let table = self.table();
        let record = |row: &Vec<Value>| {
            let named =
                table.columns.iter().map(|column| column.name.clone()).zip(row.iter().cloned());
            Value::Object(named.collect::<Map<_, _>>())
        };
        Value::Array(table.rows.iter().map(record).collect())
    }
}
