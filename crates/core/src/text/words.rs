//! serde's messages in the words of a pipeline file.

use serde_json::Value;
use toml::de::DeValue;

use super::diagnostic::{Diagnostic, closest};
use super::source::Span;

/// One way to write a choice: `adam`, or `{ adam = {} }` where numbers belong to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Choice {
    name: String,
    is_table: bool,
}

impl Choice {
    fn written(&self) -> String {
        match self.is_table {
            true => format!("`{{ {} = {{}} }}`", self.name),
            false => format!("`{}`", self.name),
        }
    }
}

/// The choices that a schema has at a path such as `training.optimiser`; none where it has no choice there.
pub(crate) fn choices(schema: &Value, path: &str) -> Vec<Choice> {
    if path.is_empty() {
        return alternatives(schema).into_iter().flat_map(ways).collect();
    }
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    let inside = |schema: &Value| {
        let named = schema.get("properties").and_then(|fields| fields.get(first));
        let other = || schema.get("additionalProperties").filter(|other| other.is_object());
        named.or_else(|| schema.get("items")).or_else(other).map(|inner| choices(inner, rest))
    };
    let all = alternatives(schema).into_iter().filter_map(inside);
    all.max_by_key(Vec::len).unwrap_or_default()
}

/// A schema's alternatives, at any depth; itself where it has none.
fn alternatives(schema: &Value) -> Vec<&Value> {
    let list = |key: &str| schema.get(key).and_then(Value::as_array).into_iter().flatten();
    let all: Vec<&Value> = list("oneOf").chain(list("anyOf")).collect();
    match all.is_empty() {
        true => vec![schema],
        false => all.into_iter().flat_map(alternatives).collect(),
    }
}

/// How one alternative of a choice is written: a constant text, or a table that names it.
fn ways(alternative: &Value) -> Vec<Choice> {
    let plain = |name: &Value| Some(Choice { name: name.as_str()?.to_owned(), is_table: false });
    if let Some(name) = alternative.get("const") {
        return plain(name).into_iter().collect();
    }
    if let Some(names) = alternative.get("enum").and_then(Value::as_array) {
        return names.iter().filter_map(plain).collect();
    }
    let required = alternative.get("required").and_then(Value::as_array);
    let fields = alternative.get("properties").and_then(Value::as_object);
    match (required.map(Vec::as_slice), fields.map(serde_json::Map::len)) {
        (Some([Value::String(name)]), Some(1)) => {
            vec![Choice { name: name.clone(), is_table: true }]
        }
        _ => Vec::new(),
    }
}

/// A value that is no way to write one of several choices. A key that is none of them is told at its own place.
fn no_choice(key: &str, value: &DeValue<'_>, choices: &[Choice], span: Span) -> Diagnostic {
    let known = |name: &str| choices.iter().find(|choice| choice.name == name);
    let keys: Vec<_> = value.as_table().into_iter().flat_map(|table| table.keys()).collect();
    if let Some(stranger) = keys.iter().find(|name| known(name.get_ref()).is_none()) {
        return unknown(key, "value", stranger.get_ref(), choices, stranger.span());
    }
    let (found, label) = match value {
        DeValue::String(text) => (format!("`{text}`"), "none of the choices"),
        DeValue::Table(table) if table.is_empty() => {
            ("an empty table".to_owned(), "none of the choices")
        }
        DeValue::Table(_) => {
            let names: Vec<_> = keys.iter().map(|name| format!("`{}`", name.get_ref())).collect();
            (format!("a table with {}", names.join(" and ")), "several choices")
        }
        DeValue::Integer(_) => ("a whole number".to_owned(), "none of the choices"),
        DeValue::Float(_) => ("a number".to_owned(), "none of the choices"),
        DeValue::Boolean(_) => ("true or false".to_owned(), "none of the choices"),
        DeValue::Array(_) => ("a list".to_owned(), "none of the choices"),
        DeValue::Datetime(_) => ("a date".to_owned(), "none of the choices"),
    };
    let message = format!("`{key}`: expected one of {}, found {found}", all_of(choices));
    let diagnostic = Diagnostic::new(message, span).label(label);
    match value.as_str().and_then(known) {
        Some(choice) => diagnostic.help(format!("write {}", choice.written())),
        None => diagnostic,
    }
}

/// `` `a`, `{ b = {} }` ``.
fn all_of(choices: &[Choice]) -> String {
    choices.iter().map(Choice::written).collect::<Vec<_>>().join(", ")
}

/// A name that is none of the choices.
fn unknown(key: &str, noun: &str, name: &str, choices: &[Choice], span: Span) -> Diagnostic {
    let message = format!("`{key}`: unknown {noun} `{name}`, expected one of {}", all_of(choices));
    let diagnostic = Diagnostic::new(message, span).label(format!("unknown {noun}"));
    let names: Vec<_> = choices.iter().map(|choice| choice.name.as_str()).collect();
    let close = closest(name, &names);
    match choices.iter().find(|choice| Some(choice.name.as_str()) == close) {
        Some(choice) => diagnostic.help(format!("did you mean {}?", choice.written())),
        None => diagnostic,
    }
}

/// Whether a message of serde is about the form of a choice, for which it has Rust's words.
fn is_about_a_choice(message: &str) -> bool {
    message.contains(" variant") || message.starts_with("wanted ")
}

/// Turns a message of serde about parameter `key` into a diagnostic.
pub(crate) fn diagnose(key: &str, message: &str, span: Span) -> Diagnostic {
    diagnose_choice(key, message, span, None, &[])
}

/// The same of a value for which a schema has choices, which are told as they are written.
pub(crate) fn diagnose_choice(
    key: &str,
    message: &str,
    span: Span,
    value: Option<&DeValue<'_>>,
    choices: &[Choice],
) -> Diagnostic {
    for what in ["unknown variant", "unknown field"] {
        let rest = message.strip_prefix(what).map(str::trim_start);
        if let Some((name, expected)) = rest.and_then(|rest| rest.split_once(", ")) {
            let name = name.trim_matches('`');
            let noun = if what == "unknown field" { "key" } else { "value" };
            if noun == "value" && !choices.is_empty() {
                return unknown(key, noun, name, choices, span);
            }
            let known = expected.split('`').skip(1).step_by(2);
            let plain = |name: &str| Choice { name: name.to_owned(), is_table: false };
            let known: Vec<_> = known.map(plain).collect();
            return unknown(key, noun, name, &known, span);
        }
    }
    match value {
        Some(value) if is_about_a_choice(message) && !choices.is_empty() => {
            return no_choice(key, value, choices, span);
        }
        _ => {}
    }
    if let Some((found, expected)) = invalid(message) {
        let expected = expected_words(expected);
        return Diagnostic::new(format!("`{key}`: expected {expected}, found {found}"), span)
            .label(format!("expected {expected}"));
    }
    Diagnostic::new(format!("`{key}`: {}", message.trim_end()), span)
}

/// Splits `invalid type: FOUND, expected EXPECTED` and its like.
fn invalid(message: &str) -> Option<(&str, &str)> {
    let rest = ["invalid type: ", "invalid value: ", "invalid length "]
        .iter()
        .find_map(|prefix| message.strip_prefix(prefix))?;
    rest.rsplit_once(", expected ")
}

fn expected_words(expected: &str) -> &str {
    match expected.trim_end() {
        "f32" | "f64" => "a number",
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, 0 or more",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a map" => "a table",
        other if other.starts_with("struct ") => "a table",
        other => other,
    }
}
