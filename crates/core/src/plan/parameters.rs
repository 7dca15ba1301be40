//! One stage's parameters, checked and parsed for one combination of its matrix.

use serde::Deserialize;
use serde_json::Value;
use toml::Spanned;
use toml::de::DeValue;

use crate::stage::kinds::Shape;
use crate::text::diagnostic::Diagnostic;
use crate::text::document::{self, Node, Table};
use crate::text::pipeline::StageTable;
use crate::text::source::Span;
use crate::text::words;
use crate::{AnyStage, ByteSize, Error, quantity};

/// Parses the stage with `axes` put into its parameters; says all that is wrong with them.
pub(crate) fn parse<'a>(
    stage: &StageTable<'a>,
    shape: &Shape,
    axes: &[(&str, &Node<'a>)],
    errors: &mut Vec<Diagnostic>,
) -> Option<(Box<dyn AnyStage>, Table<'a>)> {
    let mut table = stage.parameters.clone();
    for (axis, value) in axes {
        if shape.keys.iter().any(|key| key == axis) {
            let span = value.span();
            table.insert(Spanned::new(span, (*axis).to_owned().into()), (*value).clone());
        }
    }
    let before = errors.len();
    check_keys(stage, shape, &table, errors);
    let mut rest = table.clone();
    for key in table.keys().filter(|key| !shape.keys.iter().any(|known| known == key.get_ref())) {
        rest.remove(key.get_ref().as_ref());
    }
    let mut said = errors.len() > before || !stage.bad_axes.is_empty();
    loop {
        let node = Spanned::new(stage.header.clone(), DeValue::Table(rest.clone()));
        let error = match shape.kind.from_toml(node) {
            Ok(parsed) => {
                if errors.len() > before {
                    return None;
                }
                if let Err(error) = parsed.check() {
                    say(errors, refusal(stage, &table, &error));
                    return None;
                }
                return Some((parsed, table));
            }
            Err(error) => error,
        };
        // One wrong value at a time: say it, take it out, and go on to the next one.
        let span = error.span();
        let culprit = span.as_ref().and_then(|span| {
            let holds = |node: &Node<'_>| {
                let outer = node.span();
                outer.start <= span.start && span.end <= outer.end
            };
            rest.iter().find(|(_, node)| holds(node)).map(|(key, _)| key.get_ref().to_string())
        });
        match (culprit, span) {
            (Some(key), Some(span)) => {
                let path = path_to(&rest, &key, &span);
                let diagnostic = words::diagnose(&path, error.message(), span);
                say(errors, explain_variable(stage, diagnostic));
                rest.remove(key.as_str());
                said = true;
            }
            _ => {
                // What is left is a field that was taken out above, or is missing and was said.
                if !said {
                    let message = format!("stage `{}`: {}", stage.name, error.message());
                    errors.push(Diagnostic::new(message, stage.header.clone()));
                }
                return None;
            }
        }
    }
}

/// Adds the diagnostic, unless something is already said of that very value.
fn say(errors: &mut Vec<Diagnostic>, diagnostic: Diagnostic) {
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
        let known = shape.keys.contains(&axis.name);
        if !known && !shape.kind.free_axes && axis.name != "seed" {
            let message = format!("kind `{kind}` has no parameter `{}` for this axis", axis.name);
            errors.push(Diagnostic::new(message, axis.span.clone()).did_you_mean(
                &axis.name,
                shape.keys.iter().map(String::as_str),
                "parameters",
            ));
        }
        if axis.name == "seed" && !shape.kind.seeded {
            let message = format!("kind `{kind}` takes no seed: nothing in it is random");
            errors.push(Diagnostic::new(message, axis.span.clone()));
        }
    }
    for key in &shape.required {
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

/// The path of the value at `span` below parameter `key`: `sources.1`.
fn path_to(table: &Table<'_>, key: &str, span: &Span) -> String {
    let mut path = key.to_owned();
    let mut node = table.get(key);
    while let Some(current) = node {
        if current.span() == *span {
            break;
        }
        let holds =
            |inner: &Node<'_>| inner.span().start <= span.start && span.end <= inner.span().end;
        node = match current.get_ref() {
            DeValue::Array(items) => {
                let found = items.iter().position(&holds);
                if let Some(index) = found {
                    path.push_str(&format!(".{index}"));
                }
                found.and_then(|index| items.get(index))
            }
            DeValue::Table(entries) => {
                let found = entries.iter().find(|(_, value)| holds(value));
                if let Some((name, _)) = found {
                    path.push_str(&format!(".{}", name.get_ref()));
                }
                found.map(|(_, value)| value)
            }
            _ => None,
        };
    }
    path
}

/// A value that the kind's own check refuses.
fn refusal(stage: &StageTable<'_>, table: &Table<'_>, error: &Error) -> Diagnostic {
    match error.root() {
        Error::Parameter { key, message } => {
            let top = key.split('.').next().unwrap_or(key);
            let span = table.get(top).map_or_else(|| stage.header.clone(), Spanned::span);
            explain_variable(stage, Diagnostic::new(format!("`{key}`: {message}"), span))
        }
        other => Diagnostic::new(format!("stage `{}`: {other}", stage.name), stage.header.clone()),
    }
}

/// Tells which variable the value at the diagnostic's place came from.
fn explain_variable(stage: &StageTable<'_>, diagnostic: Diagnostic) -> Diagnostic {
    let from = stage.variables.iter().find(|(at, _, _)| Some(at) == diagnostic.span.as_ref());
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
        Value::Object(entries) => entries
            .iter()
            .map(|(name, item)| {
                let node = node.and_then(|outer| match outer.get_ref() {
                    DeValue::Array(items) => items
                        .iter()
                        .find(|node| node.get_ref().as_str() == item.as_str())
                        .or(Some(outer)),
                    inner => inner.get(name.as_str()).or(Some(outer)),
                });
                (format!("{slot}.{name}"), text(item), span(node))
            })
            .collect(),
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

/// The parameters that are part of the key.
pub(crate) fn key_parameters(parameters: &Value, shape: &Shape) -> Value {
    let Value::Object(all) = parameters else {
        return parameters.clone();
    };
    let counts = |key: &String| {
        !shape.cosmetic.contains(key) && shape.slots.iter().all(|slot| slot.key != *key)
    };
    let kept = all.iter().filter(|(key, _)| counts(key));
    Value::Object(kept.map(|(key, value)| (key.clone(), value.clone())).collect())
}

/// Overrides of what a cell needs: `resources = { threads = 2, memory = "4GiB", gpu = false }`.
pub(crate) fn resources(
    stage: &StageTable<'_>,
    mut resources: crate::Resources,
    errors: &mut Vec<Diagnostic>,
) -> crate::Resources {
    for (key, node) in &stage.resources {
        let value = document::to_json(node, &mut Vec::new());
        let expected = match (key.as_str(), &value) {
            ("threads", Value::Number(n)) if n.as_u64().is_some_and(|n| n > 0) => {
                let count = n.as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(1);
                resources.threads = crate::Threads::Count(count);
                continue;
            }
            ("threads", Value::String(all)) if all == "all" => {
                resources.threads = crate::Threads::All;
                continue;
            }
            ("threads", _) => "a number of threads or \"all\"",
            ("memory", value) => match ByteSize::deserialize(value) {
                Ok(size) => {
                    resources.memory = size.0;
                    continue;
                }
                Err(_) => quantity::SIZE,
            },
            ("gpu", Value::Bool(gpu)) => {
                resources.gpu = *gpu;
                continue;
            }
            ("gpu", _) => "true or false",
            _ => {
                let message = format!("`{key}` is no resource");
                errors.push(Diagnostic::new(message, node.span()).did_you_mean(
                    key,
                    ["threads", "memory", "gpu"],
                    "resources",
                ));
                continue;
            }
        };
        errors
            .push(Diagnostic::new(format!("`resources.{key}`: expected {expected}"), node.span()));
    }
    resources
}
