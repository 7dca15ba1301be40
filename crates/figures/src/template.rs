//! Lines of text with places for values: `{class}: p = {probability:.2}`.

use sconce_data::{Column, Table};
use serde_json::Value;

use crate::table::long;
use crate::{Error, Result, ticks};

/// A line with places for the columns of a table's row.
#[derive(Debug, Clone, PartialEq)]
pub struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Text(String),
    Place { column: String, format: Format },
}

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Format {
    /// As in tables: with the column's own decimals, if it has any.
    Plain,
    /// So many decimals.
    Decimals(usize),
    /// A share as a whole percentage.
    Percent,
}

impl Template {
    /// Reads a line: `{column}`, `{column:.2}` (two decimals), `{column:%}` (a share in percent); `{{` is a brace.
    ///
    /// # Errors
    /// When a brace is not closed or a format is unknown.
    pub fn parse(line: &str) -> Result<Self> {
        let mut parts = Vec::new();
        let mut text = String::new();
        let mut rest = line;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(at);
            text.push_str(before);
            let brace = &from[..1];
            if from[1..].starts_with(brace) {
                text.push_str(brace);
                rest = &from[2..];
                continue;
            }
            let place = from.strip_prefix('{').and_then(|from| from.split_once('}'));
            let Some((place, after)) = place else {
                return Err(Error::Value(format!(
                    "`{line}`: expected `{{column}}`, or `{{{{` for a brace"
                )));
            };
            if !text.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut text)));
            }
            parts.push(Part::place(line, place)?);
            rest = after;
        }
        text.push_str(rest);
        if !text.is_empty() {
            parts.push(Part::Text(text));
        }
        Ok(Self(parts))
    }

    /// The line for row `row` of a table; a missing value is a dash. `label` rewrites texts.
    ///
    /// # Errors
    /// When the table has no such column, or a text is to be written as a number.
    pub fn fill(
        &self,
        table: &Table,
        row: usize,
        label: impl Fn(&str) -> String,
    ) -> Result<String> {
        let mut line = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => line.push_str(text),
                Part::Place { column, format } => {
                    let place = long::column(table, "column", column)?;
                    line.push_str(&format.write(table, row, place, &label)?);
                }
            }
        }
        Ok(line)
    }
}

impl Part {
    fn place(line: &str, place: &str) -> Result<Self> {
        let (column, format) = place.split_once(':').unwrap_or((place, ""));
        let decimals = format.strip_prefix('.').and_then(|digits| digits.parse().ok());
        let format = match (format, decimals) {
            ("", _) => Format::Plain,
            ("%", _) => Format::Percent,
            (_, Some(decimals @ 0..=12)) => Format::Decimals(decimals),
            _ => {
                return Err(Error::Value(format!(
                    "`{line}`: expected `:.2` (decimals) or `:%` after a column's name, found `:{format}`"
                )));
            }
        };
        Ok(Self::Place { column: column.trim().to_owned(), format })
    }
}

impl Format {
    fn write(
        self,
        table: &Table,
        row: usize,
        column: usize,
        label: impl Fn(&str) -> String,
    ) -> Result<String> {
        let number = |decimals: usize, times: f64| {
            Ok(long::number(table, row, column)?
                .map_or_else(|| "–".to_owned(), |value| ticks::fixed(value * times, decimals)))
        };
        match self {
            Self::Decimals(decimals) => number(decimals, 1.0),
            Self::Percent => Ok(format!("{} %", number(0, 100.0)?)),
            Self::Plain => {
                let value = table.rows.get(row).and_then(|cells| cells.get(column));
                let column: Option<&Column> = table.columns.get(column);
                Ok(match (value, column) {
                    (None | Some(Value::Null), _) | (_, None) => "–".to_owned(),
                    (Some(Value::String(text)), _) => label(text),
                    (Some(value), Some(column)) => column.show(value),
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn places_are_filled() {
        let mut table = Table::new(vec![
            Column::text("name"),
            Column::decimals("p", 1),
            Column::integer("n"),
            Column::boolean("right"),
        ]);
        table.push(vec![json!("tick"), json!(0.987), json!(3), json!(true)]).unwrap();
        table.push(vec![json!(null), json!(null), json!(4), json!(false)]).unwrap();
        let fill =
            |line: &str, row: usize| Template::parse(line)?.fill(&table, row, str::to_uppercase);
        assert_eq!(fill("{name}: {p:.2} of {n}", 0).unwrap(), "TICK: 0.99 of 3");
        assert_eq!(fill("{p}, {p:%} {right}", 0).unwrap(), "1.0, 99 % true");
        assert_eq!(fill("{name} {p:.2}", 1).unwrap(), "– –");
        assert_eq!(fill("{{n}} = {n}", 1).unwrap(), "{n} = 4");
        assert_eq!(fill("plain", 1).unwrap(), "plain");
        let said = |line: &str| fill(line, 0).unwrap_err().to_string();
        assert_eq!(said("{q}"), "no column `q`; there are: name, p, n, right; did you mean `p`?");
        assert_eq!(said("{p"), "`{p`: expected `{column}`, or `{{` for a brace");
        assert!(said("{p:x}").contains("found `:x`"));
        assert!(said("{name:.1}").contains("expected a number"));
    }
}
