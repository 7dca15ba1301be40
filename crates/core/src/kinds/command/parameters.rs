//! The parameters of kind `command` that can be written in two ways.
//!
//! Each has a visitor of its own: an untagged enum would lose the place of an error.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Component, Path};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::SerializeMap};

use crate::{Error, Result};

/// What is run.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Line {
    /// A line for the shell.
    Shell(String),
    /// A program and its arguments.
    Arguments(Vec<String>),
}

impl Line {
    pub(super) fn check(&self) -> Result<()> {
        let empty = match self {
            Self::Shell(line) => line.trim().is_empty(),
            Self::Arguments(words) => words.first().is_none_or(String::is_empty),
        };
        if empty {
            return Err(Error::parameter("run", "expected a shell line or a list of arguments"));
        }
        Ok(())
    }
}

impl Serialize for Line {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Shell(line) => line.serialize(serializer),
            Self::Arguments(words) => words.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Line {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Of;
        impl<'de> Visitor<'de> for Of {
            type Value = Line;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a shell line, or a list of the program and its arguments")
            }
            fn visit_str<E>(self, line: &str) -> Result<Line, E> {
                Ok(Line::Shell(line.to_owned()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Line, A::Error> {
                strings(items).map(Line::Arguments)
            }
        }
        deserializer.deserialize_any(Of)
    }
}

/// The paths that the program has to write.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Outputs {
    /// Together they are one output.
    Together(Vec<String>),
    /// One output each.
    Named(BTreeMap<String, OutputPath>),
}

/// The path of one output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OutputPath {
    /// The file or folder.
    pub(super) path: String,
    /// The artifact's type.
    #[serde(default = "files", rename = "type")]
    pub(super) artifact: String,
}

fn files() -> String {
    "files".to_owned()
}

impl Outputs {
    pub(super) fn check(&self) -> Result<()> {
        let wrong = |message: String| Err(Error::parameter("outputs", message));
        let paths: Vec<&str> = match self {
            Self::Together(paths) => paths.iter().map(String::as_str).collect(),
            Self::Named(named) => named.values().map(|one| one.path.as_str()).collect(),
        };
        if paths.is_empty() {
            return wrong("expected at least one path".to_owned());
        }
        for path in paths {
            let inside = |part: Component<'_>| matches!(part, Component::Normal(_));
            if path.is_empty() || !Path::new(path).components().all(inside) {
                return wrong(format!(
                    "`{path}`: expected a path inside the working directory, without `..`"
                ));
            }
        }
        if let Self::Named(named) = self {
            for name in named.keys() {
                let plain = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
                if name.is_empty() || !name.chars().all(plain) {
                    return wrong(format!(
                        "`{name}` cannot name an output: expected letters, digits, `-` and `_`"
                    ));
                }
            }
        }
        Ok(())
    }
}

impl Serialize for Outputs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Together(paths) => paths.serialize(serializer),
            Self::Named(named) => named.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Outputs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Of;
        impl<'de> Visitor<'de> for Of {
            type Value = Outputs;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a path, a list of paths, or a table of output names and paths")
            }
            fn visit_str<E>(self, path: &str) -> Result<Outputs, E> {
                Ok(Outputs::Together(vec![path.to_owned()]))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Outputs, A::Error> {
                strings(items).map(Outputs::Together)
            }
            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Outputs, A::Error> {
                let mut named = BTreeMap::new();
                while let Some(name) = entries.next_key::<String>()? {
                    named.insert(name, entries.next_value::<PathOrTable>()?.0);
                }
                Ok(Outputs::Named(named))
            }
        }
        deserializer.deserialize_any(Of)
    }
}

/// `"path"` or `{ path = "…", type = "…" }`.
struct PathOrTable(OutputPath);

impl<'de> Deserialize<'de> for PathOrTable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Of;
        impl<'de> Visitor<'de> for Of {
            type Value = OutputPath;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a path, or a table { path = \"…\", type = \"…\" }")
            }
            fn visit_str<E>(self, path: &str) -> Result<OutputPath, E> {
                Ok(OutputPath { path: path.to_owned(), artifact: files() })
            }
            fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<OutputPath, A::Error> {
                OutputPath::deserialize(serde::de::value::MapAccessDeserializer::new(entries))
            }
        }
        deserializer.deserialize_any(Of).map(Self)
    }
}

/// Environment variables that count.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Environment {
    from_user: Vec<String>,
    fixed: BTreeMap<String, String>,
}

impl Environment {
    /// Names of the variables whose values are the user's, sorted.
    pub(super) fn of_user(&self) -> &[String] {
        &self.from_user
    }

    /// Variables with a value from the pipeline file.
    pub(super) fn fixed(&self) -> &BTreeMap<String, String> {
        &self.fixed
    }

    pub(super) fn check(&self) -> Result<()> {
        for name in self.from_user.iter().chain(self.fixed.keys()) {
            if name.is_empty() || name.contains(['=', '\0']) {
                let message = format!("`{name}` cannot name an environment variable");
                return Err(Error::parameter("env", message));
            }
        }
        Ok(())
    }

    fn add(&mut self, name: String, value: Option<String>) {
        match value {
            Some(value) => {
                self.fixed.insert(name, value);
            }
            None => self.from_user.push(name),
        }
    }

    fn sorted(mut self) -> Self {
        self.from_user.sort_unstable();
        self.from_user.dedup();
        self
    }
}

/// A table: `true` for a value of the user, a text for itself.
impl Serialize for Environment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for name in &self.from_user {
            map.serialize_entry(name, &true)?;
        }
        for (name, value) in &self.fixed {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Environment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Of;
        impl<'de> Visitor<'de> for Of {
            type Value = Environment;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of names, or a table of names and values")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Environment, A::Error> {
                let mut environment = Environment::default();
                for name in strings(items)? {
                    environment.add(name, None);
                }
                Ok(environment.sorted())
            }
            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Environment, A::Error> {
                let mut environment = Environment::default();
                while let Some(name) = entries.next_key::<String>()? {
                    environment.add(name, entries.next_value::<VariableValue>()?.0);
                }
                Ok(environment.sorted())
            }
        }
        deserializer.deserialize_any(Of)
    }
}

/// `true` or a text.
struct VariableValue(Option<String>);

impl<'de> Deserialize<'de> for VariableValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Of;
        impl Visitor<'_> for Of {
            type Value = Option<String>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, or true for the value of the user's environment")
            }
            fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
                Ok(Some(value.to_owned()))
            }
            fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Self::Value, E> {
                if value {
                    return Ok(None);
                }
                Err(E::invalid_value(serde::de::Unexpected::Bool(value), &self))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
                Ok(Some(value.to_string()))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
                Ok(Some(value.to_string()))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
                Ok(Some(value.to_string()))
            }
        }
        deserializer.deserialize_any(Of).map(Self)
    }
}

fn strings<'de, A: SeqAccess<'de>>(mut items: A) -> Result<Vec<String>, A::Error> {
    let mut list = Vec::new();
    while let Some(item) = items.next_element()? {
        list.push(item);
    }
    Ok(list)
}

macro_rules! schema_impl {
    ($name:ident, $schema:tt) => {
        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

schema_impl!(Line, {
    "type": ["string", "array"],
    "items": { "type": "string" },
    "minItems": 1
});
schema_impl!(Outputs, {
    "type": ["string", "array", "object"],
    "items": { "type": "string" },
    "minItems": 1,
    "additionalProperties": {
        "type": ["string", "object"],
        "properties": { "path": { "type": "string" }, "type": { "type": "string" } },
        "required": ["path"],
        "additionalProperties": false
    }
});
schema_impl!(Environment, {
    "type": ["array", "object"],
    "items": { "type": "string" },
    "additionalProperties": { "type": ["string", "number", "boolean"] }
});
