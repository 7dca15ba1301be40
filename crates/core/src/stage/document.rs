//! Texts beside the pipeline file that refer to what other stages yield.
//!
//! In the pipeline file a document is a path. The planner reads the text, lets the kind find the places in it that
//! refer to something ([`Stage::places`](crate::Stage::places)), and looks up what they mean: a parameter's value is
//! put in, and what only a run tells becomes an input of the cell, keyed by content, ordered and gathered like any
//! other. The running stage is given the text with what was found, and needs no path.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;

use crate::{Digest, canonical};

/// The schema key, set to true, of a parameter that is a [`Document`].
pub const DOCUMENT_KEY: &str = "x-sconce-document";

/// A text beside the pipeline file. Its content is part of the key, its path is not.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// The file, relative to the folder of the pipeline file.
    pub path: String,
    /// What the planner read; nothing before that.
    pub content: Option<Content>,
}

/// A document's text, and what its places mean.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Content {
    /// The text as it stands in the file.
    pub text: String,
    /// What the places in it mean, by their [names](Place::name).
    pub found: BTreeMap<String, Found>,
    /// How the stage came to its inputs.
    pub origin: Origin,
}

/// What a place means.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Found {
    /// A parameter, a variable or a seed.
    Value(Value),
    /// A number in the metrics that come through a slot.
    Metric {
        /// The slot.
        slot: String,
        /// The number's name.
        name: String,
    },
    /// Metrics or tables that come through a slot, each with the cell it is from.
    Rows {
        /// The slot.
        slot: String,
        /// The artifacts' type.
        artifact: String,
    },
    /// One or more artifacts of the wanted type that come through a slot.
    Artifact {
        /// The slot.
        slot: String,
    },
}

/// What a stage was planned from, for people. Part of the key as the text is, so that the same key gives the same page.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// The cell of the document.
    pub stage: String,
    /// The pipeline's name.
    pub pipeline: String,
    /// The name of its file, without folders.
    pub file: String,
    /// The profiles laid over it.
    pub profiles: Vec<String>,
    /// Settings of the command line.
    pub sets: Vec<String>,
    /// The version of Sconce.
    pub sconce: String,
    /// The pipeline's seed.
    pub seed: u64,
    /// The stages upstream, in the order of the file.
    pub stages: Vec<OriginStage>,
}

/// A stage upstream of a document's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OriginStage {
    /// Its name.
    pub stage: String,
    /// Its kind with the version: `fit-svm@2`.
    pub kind: String,
    /// How many of its cells are upstream.
    pub cells: usize,
    /// Whether its results depend on the seed.
    pub seeded: bool,
    /// Its parameters that count and differ from their defaults, for a stage that reads no other one: what the data are.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub parameters: Value,
}

/// A place in a document that refers to something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// What stands there: `test[layer=fire9].accuracy`, `confusion`.
    pub written: String,
    /// Where, in bytes of the text.
    pub at: Range<usize>,
    /// What it has to be.
    pub wants: Wants,
}

/// What a place of a document has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wants {
    /// A value, or rows of them.
    Value {
        /// Whether it has to be one number.
        number: bool,
    },
    /// An artifact of this type, or several.
    Artifact(&'static str),
}

/// What is wrong with a document's text, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misplaced {
    /// What is wrong and what was expected.
    pub message: String,
    /// Where, in bytes of the text.
    pub at: Range<usize>,
    /// What to do; may be empty.
    pub help: String,
}

impl Place {
    /// The name under which [`Content::found`] has what is meant. One text can be written where a value and where a
    /// figure is wanted.
    pub fn name(&self) -> String {
        match self.wants {
            Wants::Value { .. } => self.written.clone(),
            Wants::Artifact(artifact) => format!("{artifact} {}", self.written),
        }
    }
}

impl Misplaced {
    /// Something wrong at `at`.
    pub fn new(message: impl Into<String>, at: Range<usize>) -> Self {
        Self { message: message.into(), at, help: String::new() }
    }

    /// Adds what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = help.into();
        self
    }
}

impl Document {
    /// A document that was not read yet.
    pub fn new(path: impl Into<String>) -> Self {
        Self { path: path.into(), content: None }
    }
}

impl Content {
    /// What stands for the document in the key.
    pub(crate) fn digest(&self) -> Digest {
        // Serialising cannot fail: all maps have string keys, and numbers of JSON are finite.
        canonical::digest(&serde_json::to_value(self).unwrap_or_default())
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Whole {
    path: String,
    content: Content,
}

impl Serialize for Document {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.content {
            None => self.path.serialize(serializer),
            Some(content) => {
                Whole { path: self.path.clone(), content: content.clone() }.serialize(serializer)
            }
        }
    }
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Document;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E: de::Error>(self, path: &str) -> Result<Document, E> {
                Ok(Document::new(path))
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Document, A::Error> {
                let Whole { path, content } =
                    Whole::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(Document { path, content: Some(content) })
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Document {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Document".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let mut schema = json_schema!({ "type": "string" });
        schema.insert(DOCUMENT_KEY.to_owned(), true.into());
        schema
    }
}
