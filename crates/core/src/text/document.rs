//! The pipeline file as one table: read, laid over by profiles and `--set`, variables put in.

use std::collections::BTreeMap;

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::diagnostic::Diagnostic;
use super::source::{Sources, Span};
use super::{settings, syntax};
use crate::cell::is_name;

pub(crate) type Table<'a> = DeTable<'a>;
pub(crate) type Node<'a> = Spanned<DeValue<'a>>;

/// The file's name and text, and the texts of `--set`, ready to be parsed.
pub(crate) fn sources(name: &str, text: String, sets: &[String]) -> Result<Sources, Diagnostic> {
    let mut sources = Sources::default();
    sources.add(name, text);
    for set in sets {
        sources.add("--set", settings::text(set)?);
    }
    Ok(sources)
}

/// Parses `text`, which begins at `start` of all texts.
pub(crate) fn parse<'a>(
    text: &'a str,
    start: usize,
    errors: &mut Vec<Diagnostic>,
) -> Option<Table<'a>> {
    let (table, found) = Table::parse_recoverable(text);
    let wrong = !found.is_empty();
    for error in syntax::with_causes(text, found) {
        let span = error.span().map(|span| span.start + start..span.end + start);
        let message = error.message().trim_end().replace('\n', ", ");
        errors.push(Diagnostic::new(format!("not valid TOML: {message}"), span));
    }
    if wrong {
        return None;
    }
    let mut table = table.into_inner();
    if start > 0 {
        table = shift_table(table, start);
    }
    Some(table)
}

fn shift_table(table: Table<'_>, by: usize) -> Table<'_> {
    let shift_key = |key: Spanned<_>| Spanned::new(shift(key.span(), by), key.into_inner());
    table.into_iter().map(|(key, value)| (shift_key(key), shift_node(value, by))).collect()
}

pub(super) fn shift_node(node: Node<'_>, by: usize) -> Node<'_> {
    let span = shift(node.span(), by);
    let value = match node.into_inner() {
        DeValue::Table(table) => DeValue::Table(shift_table(table, by)),
        DeValue::Array(items) => {
            let mut shifted = DeArray::new();
            items.into_iter().for_each(|item| shifted.push(shift_node(item, by)));
            DeValue::Array(shifted)
        }
        scalar => scalar,
    };
    Spanned::new(span, value)
}

fn shift(span: Span, by: usize) -> Span {
    span.start + by..span.end + by
}

/// Puts the values of `[vars]` where `"$name"` stands. Returns where that was done.
pub(crate) fn substitute<'a>(
    node: &mut Node<'a>,
    vars: &BTreeMap<String, Node<'a>>,
    done: &mut Vec<(Span, String, Span)>,
    errors: &mut Vec<Diagnostic>,
) {
    let span = node.span();
    match node.get_mut() {
        DeValue::Table(table) => {
            for (_, value) in table.iter_mut() {
                substitute(value, vars, done, errors);
            }
        }
        DeValue::Array(items) => {
            for item in items.iter_mut() {
                substitute(item, vars, done, errors);
            }
        }
        DeValue::String(text) => {
            let Some(name) = text.strip_prefix('$').map(str::to_owned) else {
                return;
            };
            if let Some(literal) = name.strip_prefix('$').filter(|rest| is_name(rest)) {
                *text = format!("${literal}").into();
            } else if is_name(&name) {
                match vars.get(&name) {
                    Some(value) => {
                        done.push((span.clone(), name, value.span()));
                        *node = Spanned::new(span, value.get_ref().clone());
                    }
                    None => errors.push(
                        Diagnostic::new(format!("there is no variable `{name}`"), span)
                            .did_you_mean(&name, vars.keys().map(String::as_str), "variables")
                            .help(format!(
                                "set it under [vars], or write \"$${name}\" for the text itself"
                            )),
                    ),
                }
            }
        }
        _ => {}
    }
}

/// The value as JSON. Infinite and undefined numbers, and numbers beyond 64 bits, are errors.
pub(crate) fn to_json(node: &Node<'_>, errors: &mut Vec<Diagnostic>) -> Value {
    match node.get_ref() {
        DeValue::String(text) => Value::from(&**text),
        DeValue::Boolean(value) => Value::from(*value),
        DeValue::Datetime(value) => Value::from(value.to_string()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Value::from(number),
            Err(_) => {
                let message = format!("{number} does not fit in 64 bits");
                errors.push(Diagnostic::new(message, node.span()));
                Value::Null
            }
        },
        DeValue::Float(number) => match number.as_str().parse::<f64>() {
            Ok(value) if value.is_finite() => Value::from(value),
            _ => {
                let message = format!("expected a finite number, found {number}");
                errors.push(Diagnostic::new(message, node.span()).label("not finite"));
                Value::Null
            }
        },
        DeValue::Array(items) => items.iter().map(|item| to_json(item, errors)).collect(),
        DeValue::Table(table) => table
            .iter()
            .map(|(key, value)| (key.get_ref().to_string(), to_json(value, errors)))
            .collect(),
    }
}
