//! A stage as it is after all layers, and where each value is from: `sconce show --resolved`.

use std::fmt;

use serde_json::Value;
use toml::de::DeValue;

use super::axes::Sets;
use super::document::{self, Node, Table};
use super::pipeline::{Pipeline, StageTable};
use super::source::{Sources, Span};
use crate::cell::{Plain, is_name};

/// A stage after defaults, profiles, variables and settings. It is displayed as TOML, the place of
/// each value behind it.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    /// The stage's name.
    pub stage: String,
    /// Its values.
    pub entries: Vec<Entry>,
}

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The keys from the stage's table on.
    pub path: Vec<String>,
    /// The value.
    pub value: Value,
    /// Where it is from.
    pub origin: Origin,
}

/// Where a value is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// `file:line`, or the text of a setting.
    Written(String),
    /// It is a variable's: where that stands, the variable, and where it is set.
    Variable {
        /// Where the variable stands.
        at: String,
        /// Its name.
        name: String,
        /// Where its value is set.
        set: String,
    },
    /// The kind's own default.
    Kind,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Written(at) => f.write_str(at),
            Self::Variable { at, name, set } => write!(f, "{at}, ${name} of {set}"),
            Self::Kind => f.write_str("by default"),
        }
    }
}

/// All stages of a pipeline, without the defaults of their kinds.
pub(crate) fn resolve(pipeline: &Pipeline<'_>, sources: &Sources) -> Vec<Resolved> {
    let writer = Writer { sources, variables: &pipeline.variables };
    pipeline.stages.iter().map(|stage| writer.stage(stage)).collect()
}

struct Writer<'s> {
    sources: &'s Sources,
    variables: &'s [(Span, String, Span)],
}

impl Writer<'_> {
    fn stage(&self, stage: &StageTable<'_>) -> Resolved {
        let mut entries = Vec::new();
        if let Some(shape) = &stage.shape {
            let origin = self.origin(&stage.kind_at);
            entries.push(Entry {
                path: vec!["kind".to_owned()],
                value: shape.kind.name.into(),
                origin,
            });
        }
        self.table(&mut Vec::new(), &stage.parameters, &mut entries);
        for axis in &stage.axes {
            let mut path = vec!["matrix".to_owned(), axis.name.clone()];
            let mut list = Vec::new();
            for value in &axis.values {
                match &value.sets {
                    Sets::One(_) => list.push(value.coordinate.clone()),
                    Sets::Several(table) => {
                        path.push(Plain(&value.coordinate).to_string());
                        match table.is_empty() {
                            true => entries.push(Entry {
                                path: path.clone(),
                                value: Value::Object(serde_json::Map::new()),
                                origin: self.origin(&axis.span),
                            }),
                            false => self.table(&mut path, table, &mut entries),
                        }
                        path.pop();
                    }
                }
            }
            if !list.is_empty() {
                entries.push(Entry { path, value: list.into(), origin: self.origin(&axis.span) });
            }
        }
        if let Some(span) = &stage.own_seed {
            let path = vec!["seed".to_owned()];
            entries.push(Entry { path, value: stage.seed.into(), origin: self.origin(span) });
        }
        for (key, node) in &stage.resources {
            self.node(&mut vec!["resources".to_owned(), key.clone()], node, &mut entries);
        }
        if let Some(node) = &stage.executor {
            self.node(&mut vec!["executor".to_owned()], node, &mut entries);
        }
        Resolved { stage: stage.name.clone(), entries }
    }

    fn table(&self, path: &mut Vec<String>, table: &Table<'_>, entries: &mut Vec<Entry>) {
        for (key, node) in table {
            path.push(key.get_ref().to_string());
            self.node(path, node, entries);
            path.pop();
        }
    }

    fn node(&self, path: &mut Vec<String>, node: &Node<'_>, entries: &mut Vec<Entry>) {
        match node.get_ref() {
            DeValue::Table(table) if !table.is_empty() => self.table(path, table, entries),
            _ => entries.push(Entry {
                path: path.clone(),
                value: document::to_json(node, &mut Vec::new()),
                origin: self.origin(&node.span()),
            }),
        }
    }

    fn origin(&self, span: &Span) -> Origin {
        let at = self.place(span);
        let within = |there: &Span| span.start <= there.start && there.end <= span.end;
        match self.variables.iter().find(|(there, _, _)| within(there)) {
            Some((_, name, set)) => {
                Origin::Variable { at, name: name.clone(), set: self.place(set) }
            }
            None => Origin::Written(at),
        }
    }

    fn place(&self, span: &Span) -> String {
        match self.sources.place(span) {
            Some(place) if place.name == "--set" => format!("--set {}", place.source),
            Some(place) => format!("{}:{}", place.name, place.line),
            None => String::new(),
        }
    }
}

impl Resolved {
    /// Adds what the kind sets where nothing is written.
    pub(crate) fn add_defaults(&mut self, parameters: &Value) {
        let Value::Object(parameters) = parameters else { return };
        for (key, value) in parameters {
            let written = |entry: &Entry| {
                entry.path.first() == Some(key)
                    || entry.path.first().is_some_and(|first| first == "matrix")
                        && entry.path.get(1) == Some(key)
            };
            let empty = match value {
                Value::Null => true,
                Value::Array(items) => items.is_empty(),
                Value::Object(entries) => entries.is_empty(),
                Value::String(text) => text.is_empty(),
                _ => false,
            };
            if !empty && !self.entries.iter().any(written) {
                self.entries.push(Entry {
                    path: vec![key.clone()],
                    value: value.clone(),
                    origin: Origin::Kind,
                });
            }
        }
    }
}

/// TOML with the values' places as comments.
impl fmt::Display for Resolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "[stage.{}]", key(&self.stage))?;
        let lines: Vec<(String, &Origin)> = self
            .entries
            .iter()
            .map(|entry| {
                let path: Vec<_> = entry.path.iter().map(|name| key(name)).collect();
                (format!("{} = {}", path.join("."), Toml(&entry.value)), &entry.origin)
            })
            .collect();
        let length = |line: &str| line.chars().count();
        let width = lines.iter().map(|(line, _)| length(line)).filter(|length| *length <= 60).max();
        for (line, origin) in &lines {
            let gap = width.unwrap_or(0).saturating_sub(length(line));
            writeln!(f, "{line}{}  # {origin}", " ".repeat(gap))?;
        }
        Ok(())
    }
}

/// A key, in quotes where it needs them.
fn key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if is_name(name) && name.chars().all(bare) {
        name.to_owned()
    } else {
        Value::from(name).to_string()
    }
}

/// A value in TOML's notation; JSON's strings and numbers are TOML's, too.
struct Toml<'v>(&'v Value);

impl fmt::Display for Toml<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::Array(items) => {
                f.write_str("[")?;
                for (position, item) in items.iter().filter(|item| !item.is_null()).enumerate() {
                    let comma = if position > 0 { ", " } else { "" };
                    write!(f, "{comma}{}", Toml(item))?;
                }
                f.write_str("]")
            }
            Value::Object(entries) => {
                let entries: Vec<_> = entries
                    .iter()
                    .filter(|(_, value)| !value.is_null())
                    .map(|(name, value)| format!("{} = {}", key(name), Toml(value)))
                    .collect();
                match entries.is_empty() {
                    true => f.write_str("{}"),
                    false => write!(f, "{{ {} }}", entries.join(", ")),
                }
            }
            // As it is written for the text itself, and not for a variable.
            Value::String(text) if text.strip_prefix('$').is_some_and(is_name) => {
                write!(f, "{}", Value::from(format!("${text}")))
            }
            scalar => write!(f, "{scalar}"),
        }
    }
}
