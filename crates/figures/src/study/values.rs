//! What stands in a study's text for values: their types, and the filters that write them.

use std::collections::BTreeMap;
use std::sync::Arc;

use minijinja::value::{Kwargs, Rest, Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind, Output, State, UndefinedBehavior};
use sconce_core::stage::document::Misplaced;
use sconce_data::Metrics;
use serde_json::Value as Json;

use super::numbers::{
    MINUS, NO_BREAK, count, deviation, duration, fixed, mean, power, signed, spread, words,
};
use super::places::Scanned;

/// Filters that take one number.
pub(super) const NUMERIC: &[&str] = &[
    "percent", "decimals", "signed", "points", "seconds", "count", "words", "power", "round",
    "abs", "int", "float",
];

/// The filters that texts can use.
pub(super) const FILTERS: &[&str] = &[
    "percent",
    "decimals",
    "signed",
    "points",
    "seconds",
    "count",
    "words",
    "power",
    "mean",
    "deviation",
    "spread",
    "where",
    "label",
    "code",
    "round",
    "abs",
    "int",
    "float",
    "first",
    "last",
    "min",
    "max",
    "sum",
    "sort",
    "list",
    "length",
    "join",
    "map",
    "selectattr",
    "rejectattr",
    "select",
    "reject",
    "unique",
    "reverse",
    "groupby",
    "default",
    "lower",
    "upper",
    "replace",
    "capitalize",
    "attr",
];

/// The tests that texts can use, behind `is`.
pub(super) const TESTS: &[&str] = &[
    "defined",
    "undefined",
    "none",
    "odd",
    "even",
    "divisibleby",
    "number",
    "string",
    "in",
    "eq",
    "ne",
    "lt",
    "le",
    "gt",
    "ge",
    "true",
    "false",
    "startingwith",
    "endingwith",
];

/// A sign that ordinary text has not: what is between it and [`CLOSE`] is an exhibit.
pub(super) const OPEN: char = '\u{e000}';
/// See [`OPEN`].
pub(super) const CLOSE: char = '\u{e001}';

/// What is wrong with the template's syntax.
pub(super) fn syntax(scanned: &Scanned) -> Option<Misplaced> {
    let environment = environment(BTreeMap::new());
    let error = environment.template_from_str(&scanned.template).err()?;
    Some(misplaced(scanned, &error))
}

/// An error of the template with its place in the text.
pub(super) fn misplaced(scanned: &Scanned, error: &Error) -> Misplaced {
    let range = error.range().unwrap_or_else(|| {
        let lines = scanned.template.split_inclusive('\n');
        let line = error.line().unwrap_or(1).saturating_sub(1);
        let start: usize = lines.clone().take(line).map(str::len).sum();
        let length = lines.clone().nth(line).map_or(0, |line| line.trim_end().len());
        start..start + length
    });
    let mut message = match (error.kind(), error.detail()) {
        (ErrorKind::SyntaxError | ErrorKind::InvalidOperation, Some(detail)) => detail.to_owned(),
        (kind, Some(detail)) => format!("{kind}: {detail}"),
        (kind, None) => kind.to_string(),
    };
    // The template's own names are nobody's.
    for (written, name) in scanned.names.iter().rev() {
        message = replace_word(&message, name, written);
    }
    Misplaced::new(message, scanned.place(range))
}

/// `text` with the whole word `name` replaced.
fn replace_word(text: &str, name: &str, with: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(name) {
        let end = at + name.len();
        let part = |c: char| c.is_alphanumeric() || c == '_';
        let inside = rest[..at].ends_with(part) || rest[end..].starts_with(part);
        out.push_str(&rest[..at]);
        out.push_str(if inside { name } else { with });
        rest = &rest[end..];
    }
    out + rest
}

/// The template language of studies. `labels` rewrites names.
pub(super) fn environment<'e>(labels: BTreeMap<String, String>) -> Environment<'e> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_debug(true);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    let syntax = minijinja::syntax::SyntaxConfig::builder().keep_trailing_newline(true).build();
    if let Ok(syntax) = syntax {
        environment.set_syntax(syntax);
    }
    environment.set_formatter(write);
    environment.add_filter("percent", |value: Value, decimals: Option<usize>| {
        Ok::<_, Error>(format!(
            "{}{NO_BREAK}%",
            fixed(number(&value)? * 100.0, decimals.unwrap_or(0))?
        ))
    });
    environment
        .add_filter("decimals", |value: Value, decimals: usize| fixed(number(&value)?, decimals));
    environment.add_filter("signed", |value: Value, decimals: usize| {
        number(&value).and_then(|value| signed(value, decimals))
    });
    environment.add_filter("points", |value: Value, decimals: Option<usize>| {
        let points = signed(number(&value)? * 100.0, decimals.unwrap_or(1))?;
        Ok::<_, Error>(format!("{points}{NO_BREAK}points"))
    });
    environment.add_filter("seconds", |value: Value| number(&value).and_then(duration));
    environment.add_filter("count", |value: Value| number(&value).and_then(count));
    environment.add_filter("words", |value: Value| number(&value).and_then(words));
    environment.add_filter("power", |value: Value, decimals: Option<usize>| {
        number(&value).and_then(|value| power(value, decimals.unwrap_or(0)))
    });
    environment.add_filter("mean", |rows: Value, name: Option<String>| {
        numbers(&rows, name.as_deref()).and_then(|numbers| mean(&numbers))
    });
    environment.add_filter("deviation", |rows: Value, name: Option<String>| {
        numbers(&rows, name.as_deref()).and_then(|numbers| deviation(&numbers))
    });
    environment.add_filter("spread", |rows: Value, name: String, how: Kwargs| {
        spread(&numbers(&rows, Some(&name))?, &how)
    });
    environment.add_filter("where", |rows: Value, wanted: Kwargs| chosen(&rows, &wanted));
    environment.add_filter("label", move |value: Value| {
        let text = plain(&value)?;
        Ok::<_, Error>(labels.get(&text).cloned().unwrap_or(text))
    });
    environment.add_filter("code", |value: Value| {
        Ok::<_, Error>(Value::from_safe_string(format!("`{}`", plain(&value)?.replace('`', "'"))))
    });
    environment
}

pub(super) fn wrong(detail: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, detail.into())
}

fn number(value: &Value) -> Result<f64, Error> {
    let number = value.is_number().then(|| f64::try_from(value.clone()).ok()).flatten();
    number.ok_or_else(|| wrong(format!("expected a number, found {}", described(value))))
}

fn described(value: &Value) -> String {
    match value.kind() {
        ValueKind::Seq | ValueKind::Iterable => {
            "several: pick one, or go through them by `for`".to_owned()
        }
        ValueKind::Map => "a row: name one of its values".to_owned(),
        ValueKind::None => "nothing".to_owned(),
        ValueKind::Undefined => "nothing".to_owned(),
        _ => format!("`{value}`"),
    }
}

/// The numbers of rows, or of one of their values.
fn numbers(rows: &Value, name: Option<&str>) -> Result<Vec<f64>, Error> {
    if rows.kind() == ValueKind::Map || rows.is_number() {
        return Err(wrong(format!("expected several rows, found {}", described(rows))));
    }
    let one = |row: Value| match name {
        Some(name) => number(&attribute(&row, name)?),
        None => number(&row),
    };
    let numbers: Vec<f64> = rows.try_iter()?.map(one).collect::<Result<_, _>>()?;
    if numbers.is_empty() {
        Err(wrong("expected at least one row, found none"))
    } else {
        Ok(numbers)
    }
}

fn attribute(row: &Value, name: &str) -> Result<Value, Error> {
    let found = row.get_attr(name)?;
    if !found.is_undefined() {
        return Ok(found);
    }
    let names: Vec<String> = row.try_iter()?.map(|name| format!("`{name}`")).collect();
    Err(wrong(format!("a row has no `{name}`; it has {}", names.join(", "))))
}

/// The rows that have these values.
fn chosen(rows: &Value, wanted: &Kwargs) -> Result<Value, Error> {
    let names: Vec<&str> = wanted.args().collect();
    let mut chosen = Vec::new();
    for row in rows.try_iter()? {
        let mut fits = true;
        for name in &names {
            fits &= attribute(&row, name)? == wanted.get::<Value>(name)?;
        }
        if fits {
            chosen.push(row);
        }
    }
    wanted.assert_all_used()?;
    Ok(Value::from(chosen))
}

/// A value as text, without signs of Markdown.
fn plain(value: &Value) -> Result<String, Error> {
    if value.is_number() {
        let number = number(value)?;
        let text = if number.fract() == 0.0 && number.abs() < 9e15 {
            format!("{}", number as i64)
        } else {
            shortest(number)
        };
        return Ok(text.replace('-', &MINUS.to_string()));
    }
    match value.kind() {
        ValueKind::String => Ok(value.to_string()),
        ValueKind::Bool => Ok(value.to_string()),
        _ => Err(wrong(format!("expected one value, found {}", described(value)))),
    }
}

/// The shortest digits of a number; one that a parameter holds as `f32` is written as such.
fn shortest(number: f64) -> String {
    let single = number as f32;
    if f64::from(single) == number { single.to_string() } else { number.to_string() }
}

/// Writes a value into Markdown.
fn write(out: &mut Output<'_>, _: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    let text = if value.is_safe() { value.to_string() } else { escaped(&plain(value)?) };
    out.write_str(&text).map_err(|_| Error::from(ErrorKind::WriteFailure))
}

/// The text, so that Markdown shows it as it is.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for sign in text.chars() {
        if "\\`*_[]<>#|~{}&$".contains(sign) {
            out.push('\\');
        }
        out.push(sign);
    }
    out
}

/// A value of JSON.
pub fn of_json(value: &Json) -> Value {
    match value {
        Json::Null => Value::from(()),
        Json::Bool(value) => Value::from(*value),
        Json::Number(number) => match number.as_i64() {
            Some(number) => Value::from(number),
            None => Value::from(number.as_f64().unwrap_or_default()),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => items.iter().map(of_json).collect(),
        Json::Object(entries) => {
            let entries: BTreeMap<String, Value> =
                entries.iter().map(|(name, value)| (name.clone(), of_json(value))).collect();
            Value::from(entries)
        }
    }
}

/// A row: the place along the axes, and what was measured there.
pub fn row<'c>(coordinates: impl Iterator<Item = (&'c str, &'c Json)>, metrics: &Metrics) -> Value {
    let mut row: BTreeMap<String, Value> =
        metrics.values.iter().map(|(name, value)| (name.clone(), Value::from(*value))).collect();
    row.extend(coordinates.map(|(axis, value)| (axis.to_owned(), of_json(value))));
    Value::from(row)
}

/// The function that leaves the place of an exhibit.
pub(super) fn exhibit(count: usize) -> Value {
    let count = Arc::new(count);
    Value::from_function(move |number: usize, _: Rest<Value>| {
        if number < *count {
            Ok(Value::from_safe_string(format!("{OPEN}{number}{CLOSE}")))
        } else {
            Err(wrong("there is no such exhibit"))
        }
    })
}
