//! Comparisons as text, CSV, Markdown and JSON.

use std::io::{self, Write};

use serde_json::{Map, Value, json};

use super::frame::{Frame, Group};
use super::side::Side;
use crate::table::{Head, Table};

/// Writes a table for a terminal. Returns the columns that did not fit.
pub(crate) fn text(
    out: &mut impl Write,
    frame: &Frame,
    shown: &[usize],
    width: Option<usize>,
) -> io::Result<Vec<String>> {
    let head = |&place: &usize| {
        let column = &frame.columns[place];
        Head { name: column.name.clone(), right: column.is_number(), weight: column.group.weight() }
    };
    let mut table = Table::new(shown.iter().map(head).collect());
    table.rows = rows(frame, shown);
    table.write(out, width)
}

/// The rows' texts of these columns.
pub(crate) fn rows(frame: &Frame, shown: &[usize]) -> Vec<Vec<String>> {
    let columns: Vec<Vec<String>> =
        shown.iter().map(|&place| frame.columns[place].texts()).collect();
    let mut columns: Vec<_> = columns.into_iter().map(Vec::into_iter).collect();
    (0..frame.rows.len())
        .map(|_| columns.iter_mut().map(|column| column.next().unwrap_or_default()).collect())
        .collect()
}

/// Writes RFC 4180, numbers with all their digits.
pub(crate) fn csv(out: &mut impl Write, frame: &Frame, shown: &[usize]) -> io::Result<()> {
    let quoted = |text: String| match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    };
    let heads: Vec<_> =
        shown.iter().map(|&place| quoted(frame.columns[place].name.clone())).collect();
    write!(out, "{}\r\n", heads.join(","))?;
    for row in 0..frame.rows.len() {
        let cell = |&place: &usize| match &frame.columns[place].values[row] {
            Value::Null => String::new(),
            Value::String(text) => quoted(text.clone()),
            other => quoted(other.to_string()),
        };
        let cells: Vec<_> = shown.iter().map(cell).collect();
        write!(out, "{}\r\n", cells.join(","))?;
    }
    Ok(())
}

/// Writes a table of GitHub's Markdown.
pub(crate) fn markdown(out: &mut impl Write, frame: &Frame, shown: &[usize]) -> io::Result<()> {
    let escaped = |text: &str| text.replace('\\', "\\\\").replace('|', "\\|");
    let line = |cells: Vec<String>| format!("| {} |", cells.join(" | "));
    writeln!(
        out,
        "{}",
        line(shown.iter().map(|&place| escaped(&frame.columns[place].name)).collect())
    )?;
    let rule = |&place: &usize| match frame.columns[place].is_number() {
        true => "--:".to_owned(),
        false => "---".to_owned(),
    };
    writeln!(out, "{}", line(shown.iter().map(rule).collect()))?;
    for row in rows(frame, shown) {
        writeln!(out, "{}", line(row.iter().map(|text| escaped(text)).collect()))?;
    }
    Ok(())
}

/// Writes one object: the columns that are shown, and each row with all that is known of it.
pub(crate) fn json(
    out: &mut impl Write,
    sides: &[Side],
    frame: &Frame,
    shown: &[usize],
) -> io::Result<()> {
    let names: Vec<&str> = shown.iter().map(|&place| frame.columns[place].name.as_str()).collect();
    let rows: Vec<Value> = (0..frame.rows.len()).map(|row| object(sides, frame, row)).collect();
    writeln!(out, "{}", json!({ "columns": names, "rows": rows }))
}

fn object(sides: &[Side], frame: &Frame, row: usize) -> Value {
    let (side, cell) = frame.rows[row];
    let found = &sides[side].cells[cell];
    let mut groups: [(Group, Map<String, Value>); 4] =
        [Group::Side, Group::Axis, Group::Stage, Group::Metric].map(|group| (group, Map::new()));
    let mut values = Map::new();
    for column in frame.columns.iter().filter(|column| !column.values[row].is_null()) {
        let value = column.values[row].clone();
        // A parameter is one whether or not an axis goes over it.
        let group = match column.group {
            Group::Parameter => Group::Axis,
            group => group,
        };
        let name = frame.own_name(column);
        match groups.iter_mut().find(|(other, _)| *other == group) {
            Some((_, map)) => _ = map.insert(name.to_owned(), value),
            None => _ = values.insert(name.to_owned(), value),
        }
    }
    values.insert("cell".to_owned(), found.cell.to_string().into());
    for (name, (_, map)) in ["set", "parameters", "stages", "metrics"].into_iter().zip(groups) {
        if !map.is_empty() || name == "parameters" || name == "metrics" {
            values.insert(name.to_owned(), map.into());
        }
    }
    values.into()
}
