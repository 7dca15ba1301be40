//! Rows and columns.

use std::fmt::Write as _;
use std::path::Path;

use sconce_core::error::IoResultExt;
use sconce_core::{Artifact, Error, Files, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A table: typed columns, rows of scalars.
///
/// Saved as `table.json` and `table.csv` (RFC 4180, a missing cell is empty).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// What the table shows, in a sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub caption: String,
    /// The columns, from the left.
    pub columns: Vec<Column>,
    /// The rows, each with one value for each column: a string, number, boolean or null.
    pub rows: Vec<Vec<Value>>,
}

/// A column of a [`Table`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// The column's name.
    pub name: String,
    /// What its cells hold.
    #[serde(rename = "type")]
    pub kind: ColumnType,
    /// Digits after the point when a number is shown; the files keep all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decimals: Option<u8>,
}

/// What the cells of a column hold; any may be missing (null).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColumnType {
    /// Strings.
    Text,
    /// Whole numbers.
    Integer,
    /// Finite numbers.
    Number,
    /// True or false.
    Boolean,
}

impl Column {
    /// A column of strings.
    pub fn text(name: impl Into<String>) -> Self {
        Self::new(name, ColumnType::Text)
    }

    /// A column of whole numbers.
    pub fn integer(name: impl Into<String>) -> Self {
        Self::new(name, ColumnType::Integer)
    }

    /// A column of numbers.
    pub fn number(name: impl Into<String>) -> Self {
        Self::new(name, ColumnType::Number)
    }

    /// A column of numbers, shown with so many digits after the point.
    pub fn decimals(name: impl Into<String>, decimals: u8) -> Self {
        Self { decimals: Some(decimals), ..Self::number(name) }
    }

    /// A column of truth values.
    pub fn boolean(name: impl Into<String>) -> Self {
        Self::new(name, ColumnType::Boolean)
    }

    /// A column of any type.
    pub fn new(name: impl Into<String>, kind: ColumnType) -> Self {
        Self { name: name.into(), kind, decimals: None }
    }

    /// A cell of this column as people read it; a missing one is empty.
    pub fn show(&self, value: &Value) -> String {
        match (value, self.decimals) {
            (Value::Null, _) => String::new(),
            (Value::String(text), _) => text.clone(),
            (Value::Number(number), Some(decimals)) => {
                let decimals = usize::from(decimals);
                number.as_f64().map_or_else(String::new, |number| format!("{number:.decimals$}"))
            }
            (other, _) => other.to_string(),
        }
    }
}

impl ColumnType {
    /// The type that holds all `values`; text where they differ in more than integer and number.
    pub fn of<'a>(values: impl IntoIterator<Item = &'a Value>) -> Self {
        let mut found = None;
        for value in values {
            let kind = match value {
                Value::Null => continue,
                Value::Bool(_) => Self::Boolean,
                Value::Number(number) if number.is_f64() => Self::Number,
                Value::Number(_) => Self::Integer,
                _ => Self::Text,
            };
            found = match (found, kind) {
                (None, kind) => Some(kind),
                (Some(same), kind) if same == kind => Some(same),
                (Some(Self::Integer | Self::Number), Self::Integer | Self::Number) => {
                    Some(Self::Number)
                }
                _ => return Self::Text,
            };
        }
        found.unwrap_or(Self::Text)
    }

    fn holds(self, value: &Value) -> bool {
        match (self, value) {
            (_, Value::Null)
            | (Self::Text, Value::String(_))
            | (Self::Boolean, Value::Bool(_))
            | (Self::Number, Value::Number(_)) => true,
            (Self::Integer, Value::Number(number)) => !number.is_f64(),
            _ => false,
        }
    }
}

impl Table {
    /// A table without rows.
    pub fn new(columns: Vec<Column>) -> Self {
        Self { caption: String::new(), columns, rows: Vec::new() }
    }

    /// Adds a row; it must have one value of the right type for each column.
    ///
    /// A NaN or an infinity turns into JSON's null, a missing cell.
    pub fn push(&mut self, row: Vec<Value>) -> Result<()> {
        check_row(&self.columns, &row)?;
        self.rows.push(row);
        Ok(())
    }

    /// The place of the column called `name`.
    pub fn column(&self, name: &str) -> Result<usize> {
        self.columns.iter().position(|column| column.name == name).ok_or_else(|| {
            let names: Vec<_> = self.columns.iter().map(|column| column.name.as_str()).collect();
            Error::message(format!("no column `{name}`; there are: {}", names.join(", ")))
        })
    }

    /// The values of the column called `name`, from the top.
    pub fn values(&self, name: &str) -> Result<Vec<&Value>> {
        let column = self.column(name)?;
        Ok(self.rows.iter().filter_map(|row| row.get(column)).collect())
    }

    /// The numbers of the column called `name`; a missing cell or a text is an error.
    pub fn numbers(&self, name: &str) -> Result<Vec<f64>> {
        let number = |(row, value): (usize, &Value)| {
            value.as_f64().ok_or_else(|| {
                Error::message(format!(
                    "column `{name}`, row {row}: expected a number, found {value}"
                ))
            })
        };
        self.values(name)?.into_iter().enumerate().map(number).collect()
    }

    /// The table as comma-separated values with a line of names.
    pub fn to_csv(&self) -> String {
        let mut csv = String::new();
        write_csv_line(&mut csv, self.columns.iter().map(|column| column.name.clone()));
        for row in &self.rows {
            let cells = row.iter().map(|value| match value {
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            });
            write_csv_line(&mut csv, cells);
        }
        csv
    }
}

fn check_row(columns: &[Column], row: &[Value]) -> Result<()> {
    if row.len() != columns.len() {
        return Err(Error::message(format!(
            "expected a row of {} values, found {}",
            columns.len(),
            row.len()
        )));
    }
    for (column, value) in columns.iter().zip(row) {
        if !column.kind.holds(value) {
            return Err(Error::message(format!(
                "column `{}` holds {}, not {value}",
                column.name,
                serde_json::to_string(&column.kind)?.trim_matches('"')
            )));
        }
    }
    Ok(())
}

fn write_csv_line(csv: &mut String, cells: impl Iterator<Item = String>) {
    for (i, cell) in cells.enumerate() {
        if i > 0 {
            csv.push(',');
        }
        if cell.contains([',', '"', '\n', '\r']) {
            let _ = write!(csv, "\"{}\"", cell.replace('"', "\"\""));
        } else {
            csv.push_str(&cell);
        }
    }
    csv.push('\n');
}

impl Artifact for Table {
    const TYPE: &'static str = "table";

    fn load(files: &Files) -> Result<Self> {
        let table: Self = files.read_json("table.json")?;
        for row in &table.rows {
            check_row(&table.columns, row)?;
        }
        Ok(table)
    }

    fn save(&self, folder: &Path) -> Result<()> {
        // `rows` is public: what was pushed around `push` is checked here.
        for row in &self.rows {
            check_row(&self.columns, row)?;
        }
        let path = folder.join("table.json");
        std::fs::write(&path, serde_json::to_vec_pretty(self)?).at(&path)?;
        let path = folder.join("table.csv");
        std::fs::write(&path, self.to_csv()).at(&path)
    }
}
