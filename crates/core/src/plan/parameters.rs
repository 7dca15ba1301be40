//! One stage's parameters, checked and parsed for one combination of its matrix.

use std::collections::BTreeMap;

use serde_json::Value;
use toml::Spanned;
use toml::de::DeValue;

use super::edge::Edge;
use crate::stage::kinds::Shape;
use crate::text::axes::{Axis, AxisValue};
use crate::text::diagnostic::Diagnostic;
use crate::text::document::{self, Node, Table};
use crate::text::pipeline::StageTable;
use crate::text::source::Span;
use crate::text::words;
use crate::{AnyStage, Error};

/// Parses the stage with `axes` put into its parameters; says all that is wrong with them.
pub(crate) fn parse<'a>(
    stage: &StageTable<'a>,
    shape: &Shape,
    axes: &[(&Axis<'a>, &AxisValue<'a>)],
    errors: &mut Vec<Diagnostic>,
) -> Option<(Box<dyn AnyStage>, Table<'a>)> {
    let mut table = stage.parameters.clone();
    for (axis, value) in axes {
        if axis.is_named() || shape.keys.iter().any(|key| key == axis.path()[0]) {
            value.put(axis, &mut table, shape);
        }
    }
    let before = errors.len();
    check_keys(stage, shape, &table, errors);
    let mut rest = table.clone();
    for key in table.keys().filter(|key| !shape.keys.iter().any(|known| known == key.get_ref())) {
        rest.remove(key.get_ref().as_ref());
    }
    match read(shape, &stage.header, rest, &stage.variables, errors) {
        Ok((parsed, values_said)) => {
            // What is wrong may have been said of another combination.
            if errors.len() > before || values_said {
                return None;
            }
            if let Err(error) = parsed.check() {
                say(errors, refusal(stage, &table, &error));
                return None;
            }
            Some((parsed, table))
        }
        Err(Unread { message, values_said }) => {
            // What is left is a field that was taken out above, or is missing and was said.
            if errors.len() == before && !values_said && stage.bad_axes.is_empty() {
                let message = format!("stage `{}`: {message}", stage.name);
                errors.push(Diagnostic::new(message, stage.header.clone()));
            }
            None
        }
    }
}

/// What remains wrong and is no value's fault, such as a missing parameter.
struct Unread {
    message: String,
    /// Whether values were taken out, of which it has been said what is wrong.
    values_said: bool,
}

/// Reads a kind's parameters; what is wrong with values is said, one after the other. Tells whether values were taken out.
fn read<'a>(
    shape: &Shape,
    header: &Span,
    mut rest: Table<'a>,
    variables: &[(Span, String, Span)],
    errors: &mut Vec<Diagnostic>,
) -> Result<(Box<dyn AnyStage>, bool), Unread> {
    let mut values_said = false;
    loop {
        let node = Spanned::new(header.clone(), DeValue::Table(rest.clone()));
        let error = match shape.kind.from_toml(node) {
            Ok(parsed) => return Ok((parsed, values_said)),
            Err(error) => error,
        };
        // One wrong value at a time: say it, take it out, and go on to the next one.
        let span = error.span();
        let culprit = span.as_ref().and_then(|span| {
            let holds = |(_, node): &(&Spanned<_>, &Node<'_>)| holds(node, span);
            rest.iter().find(holds).map(|(key, _)| key.get_ref().to_string())
        });
        let (Some(key), Some(span)) = (culprit, span) else {
            return Err(Unread { message: error.message().to_owned(), values_said });
        };
        let (path, value) = path_to(&rest, &key, &span);
        let choices = words::choices(&shape.schema, &path);
        let diagnostic = words::diagnose_choice(&path, error.message(), span, value, &choices);
        say(errors, explain_variable(variables, diagnostic));
        rest.remove(key.as_str());
        values_said = true;
    }
}

/// What is wrong with the values and edges of `[defaults.KIND]`, also where no stage is of the
/// kind. `stages` are the names of all stages.
pub(crate) fn check_defaults(
    shape: &Shape,
    table: &Table<'_>,
    variables: &[(Span, String, Span)],
    stages: &[&str],
    errors: &mut Vec<Diagnostic>,
) {
    let mut known = table.clone();
    for key in table.keys().filter(|key| shape.keys.iter().all(|known| known != key.get_ref())) {
        known.remove(key.get_ref().as_ref());
    }
    for (_, node) in known.iter() {
        document::to_json(node, errors);
    }
    // What is missing is in the stages.
    let _ = read(shape, &(0..0), known.clone(), variables, errors);
    for slot in &shape.slots {
        let Some(node) = known.get(slot.key.as_str()) else { continue };
        let value = document::to_json(node, &mut Vec::new());
        for (path, text, span) in edges(&slot.key, &value, Some(node), &(0..0)) {
            if let Ok(edge) = Edge::parse(&text)
                && !stages.contains(&edge.stage.as_str())
            {
                errors.push(no_stage(&path, &edge.stage, stages.iter().copied(), span));
            } else if let Err(expected) = Edge::parse(&text) {
                let message = format!("`{path}`: {expected}, found `{text}`");
                errors.push(Diagnostic::new(message, span));
            }
        }
    }
}

/// An edge to a stage that is not there.
pub(crate) fn no_stage<'a>(
    path: &str,
    stage: &str,
    stages: impl IntoIterator<Item = &'a str>,
    span: Span,
) -> Diagnostic {
    Diagnostic::new(format!("`{path}`: there is no stage `{stage}`"), span)
        .label("no such stage")
        .did_you_mean(stage, stages, "stages")
}

/// Whether the value at `span` is `node` or lies in it. A table's entries may come from other
/// places than the table itself: from defaults, profiles, settings.
fn holds(node: &Node<'_>, span: &Span) -> bool {
    let outer = node.span();
    if outer.start <= span.start && span.end <= outer.end {
        return true;
    }
    match node.get_ref() {
        DeValue::Table(entries) => {
            entries.iter().any(|(key, value)| key.span() == *span || holds(value, span))
        }
        DeValue::Array(items) => items.iter().any(|item| holds(item, span)),
        _ => false,
    }
}

/// Adds the diagnostic, unless something is already said of that very value.
pub(crate) fn say(errors: &mut Vec<Diagnostic>, diagnostic: Diagnostic) {
    if errors.iter().all(|said| said.span != diagnostic.span) {
        errors.push(diagnostic);
    }
}

fn check_keys(
    stage: &StageTable<'_>,
    shape: &Shape,
    table: &Table<'_>,
    errors: &mut Vec<Diagnostic>,
) {
    let kind = shape.kind.name;
    for key in table.keys() {
        let name = &**key.get_ref();
        if shape.keys.iter().all(|known| known != name) {
            errors.push(
                Diagnostic::new(format!("kind `{kind}` has no parameter `{name}`"), key.span())
                    .label("unknown parameter")
                    .did_you_mean(name, shape.keys.iter().map(String::as_str), "parameters"),
            );
        }
    }
    for axis in &stage.axes {
        let path = axis.path();
        let known = axis.is_named() || shape.keys.iter().any(|key| *key == path[0]);
        if !known && !shape.kind.free_axes && axis.name != "seed" {
            let message = format!("kind `{kind}` has no parameter `{}` for this axis", path[0]);
            errors.push(Diagnostic::new(message, axis.span.clone()).did_you_mean(
                path[0],
                shape.keys.iter().map(String::as_str),
                "parameters",
            ));
        }
        if axis.name == "seed" && !shape.kind.seeded {
            let message = format!("kind `{kind}` takes no seed: nothing in it is random");
            errors.push(Diagnostic::new(message, axis.span.clone()));
        }
    }
    // What a wrong axis of named values would have set is not known.
    let hidden = stage.bad_axes.iter().any(|axis| !shape.keys.contains(axis));
    for key in shape.required.iter().filter(|_| !hidden) {
        if !table.contains_key(key.as_str()) && !stage.bad_axes.contains(key) {
            let doc = shape.docs.get(key).map(|doc| format!("`{key}`: {doc}"));
            let message = format!("stage `{}` (kind `{kind}`) needs `{key}`", stage.name);
            let mut diagnostic =
                Diagnostic::new(message, stage.header.clone()).label(format!("`{key}` is missing"));
            if let Some(doc) = doc {
                diagnostic = diagnostic.help(doc);
            }
            errors.push(diagnostic);
        }
    }
}

/// The path of the value at `span` below parameter `key`, `sources.1`, and the value.
fn path_to<'t, 'a>(
    table: &'t Table<'a>,
    key: &str,
    span: &Span,
) -> (String, Option<&'t DeValue<'a>>) {
    let mut path = key.to_owned();
    let mut node = table.get(key);
    while let Some(current) = node {
        if current.span() == *span {
            break;
        }
        node = match current.get_ref() {
            DeValue::Array(items) => {
                let found = items.iter().position(|inner| holds(inner, span));
                if let Some(index) = found {
                    path.push_str(&format!(".{index}"));
                }
                found.and_then(|index| items.get(index))
            }
            DeValue::Table(entries) => {
                let found = entries.iter().find(|(_, value)| holds(value, span));
                if let Some((name, _)) = found {
                    path.push_str(&format!(".{}", name.get_ref()));
                }
                found.map(|(_, value)| value)
            }
            _ => None,
        };
    }
    (path, node.map(Spanned::get_ref))
}

/// A value that the kind's own check refuses.
fn refusal(stage: &StageTable<'_>, table: &Table<'_>, error: &Error) -> Diagnostic {
    match error.root() {
        Error::Parameter { key, message } => {
            let top = key.split('.').next().unwrap_or(key);
            let span = table.get(top).map_or_else(|| stage.header.clone(), Spanned::span);
            explain_variable(&stage.variables, Diagnostic::new(format!("`{key}`: {message}"), span))
        }
        other => Diagnostic::new(format!("stage `{}`: {other}", stage.name), stage.header.clone()),
    }
}

/// Tells which variable the value at the diagnostic's place came from.
fn explain_variable(variables: &[(Span, String, Span)], diagnostic: Diagnostic) -> Diagnostic {
    let from = variables.iter().find(|(at, _, _)| Some(at) == diagnostic.span.as_ref());
    match from {
        Some((_, name, set)) => diagnostic.note(format!("`${name}` is set here"), set.clone()),
        None => diagnostic,
    }
}

/// The texts of the edges of a slot, each with its place: `(slot path, edge, span)`.
///
/// `value` is the slot's parameter as parsed, `node` as written, where it is written.
pub(crate) fn edges(
    slot: &str,
    value: &Value,
    node: Option<&Node<'_>>,
    fallback: &Span,
) -> Vec<(String, String, Span)> {
    let span = |node: Option<&Node<'_>>| node.map_or_else(|| fallback.clone(), Spanned::span);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match value {
        Value::String(edge) => vec![(slot.to_owned(), edge.clone(), span(node))],
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(index, item)| {
                let node = node.and_then(|node| node.get_ref().get(index).or(Some(node)));
                (slot.to_owned(), text(item), span(node))
            })
            .collect(),
        Value::Object(entries) => {
            // Where each edge of a list is written.
            let mut listed: BTreeMap<&str, &Node<'_>> = BTreeMap::new();
            if let Some(DeValue::Array(items)) = node.map(Spanned::get_ref) {
                for item in items {
                    item.get_ref().as_str().map(|text| listed.entry(text).or_insert(item));
                }
            }
            let place = |name: &str, item: &Value| {
                let outer = node?;
                let inner = match outer.get_ref() {
                    DeValue::Array(_) => item.as_str().and_then(|text| listed.get(text).copied()),
                    table => table.get(name),
                };
                inner.or(Some(outer))
            };
            entries
                .iter()
                .map(|(name, item)| (format!("{slot}.{name}"), text(item), span(place(name, item))))
                .collect()
        }
        _ => Vec::new(),
    }
}

/// The parameters with the slots' names in place of the edges, as a running stage sees them.
pub(crate) fn with_slots(mut parameters: Value, shape: &Shape) -> Value {
    for slot in &shape.slots {
        match parameters.get_mut(&slot.key) {
            Some(Value::String(edge)) => *edge = slot.key.clone(),
            Some(Value::Array(edges)) if !edges.is_empty() => {
                *edges = vec![Value::from(slot.key.as_str())];
            }
            Some(Value::Object(edges)) => {
                for (name, edge) in edges.iter_mut() {
                    *edge = Value::from(format!("{}.{name}", slot.key));
                }
            }
            _ => {}
        }
    }
    parameters
}
