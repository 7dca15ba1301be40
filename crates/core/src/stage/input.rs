//! Typed input fields of a stage.
//!
//! In the pipeline file an input is an edge: `"stage"`, `"stage.output"`, or with a selection of
//! cells `"stage[*]"`. When the stage runs, the engine has put the slot's name in its place, and
//! [`Context`](crate::Context) gives the content.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Artifact;

/// The schema key that marks a field as an input; its value is the artifact's type.
pub const INPUT_KEY: &str = "x-sconce-input";
/// The schema key that says how many artifacts an input takes: `one`, `list` or `named`.
pub const ARITY_KEY: &str = "x-sconce-arity";
/// The schema key, set to true, of a parameter that changes no result and stays out of the key.
pub const COSMETIC_KEY: &str = "x-sconce-cosmetic";
/// The schema key, set to true, of a parameter whose strings are texts: `{maps.smoothgrad.noise}`
/// in them is replaced by that value.
pub const TEXT_KEY: &str = "x-sconce-text";
/// The schema key, set to true, of a table of texts that a figure shows for names and values: the
/// file's `[labels]` lie under it.
pub const LABELS_KEY: &str = "x-sconce-labels";

/// One artifact of type `T`.
pub struct Input<T> {
    pub(crate) edge: String,
    artifact: PhantomData<fn() -> T>,
}

/// A list of artifacts of type `T`: `"svm[*]"`, or `["svm[*]", "head"]`.
pub struct Inputs<T> {
    pub(crate) edges: Vec<String>,
    artifact: PhantomData<fn() -> T>,
}

/// Artifacts of type `T` by name: `{ data = "digits", script = "script" }`, or a list of stages,
/// each under its own name.
pub struct NamedInputs<T> {
    pub(crate) edges: BTreeMap<String, String>,
    artifact: PhantomData<fn() -> T>,
}

impl<T> Input<T> {
    /// The edge as written; in a running stage, the slot.
    pub fn edge(&self) -> &str {
        &self.edge
    }

    /// An input that refers to `edge`. Tests build stages with it.
    pub fn new(edge: impl Into<String>) -> Self {
        Self { edge: edge.into(), artifact: PhantomData }
    }
}

impl<T> Inputs<T> {
    /// The edges as written; in a running stage, the slot alone.
    pub fn edges(&self) -> &[String] {
        &self.edges
    }

    /// A list input that refers to `edges`.
    pub fn new<S: Into<String>>(edges: impl IntoIterator<Item = S>) -> Self {
        Self { edges: edges.into_iter().map(Into::into).collect(), artifact: PhantomData }
    }
}

impl<T> NamedInputs<T> {
    /// The edges by name; in a running stage, the slots by name.
    pub fn edges(&self) -> &BTreeMap<String, String> {
        &self.edges
    }
}

impl<T> Default for Inputs<T> {
    fn default() -> Self {
        Self { edges: Vec::new(), artifact: PhantomData }
    }
}

impl<T> Default for NamedInputs<T> {
    fn default() -> Self {
        Self { edges: BTreeMap::new(), artifact: PhantomData }
    }
}

macro_rules! plain_impls {
    ($name:ident, $field:ident) => {
        impl<T> Clone for $name<T> {
            fn clone(&self) -> Self {
                Self { $field: self.$field.clone(), artifact: PhantomData }
            }
        }

        impl<T> std::fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{:?}", self.$field)
            }
        }

        impl<T> Serialize for $name<T> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.$field.serialize(serializer)
            }
        }
    };
}

plain_impls!(Input, edge);
plain_impls!(Inputs, edges);
plain_impls!(NamedInputs, edges);

impl<'de, T> Deserialize<'de> for Input<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

impl<'de, T> Deserialize<'de> for Inputs<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Vec<String>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a stage such as \"svm[*]\", or a list of stages")
            }

            fn visit_str<E>(self, edge: &str) -> Result<Self::Value, E> {
                Ok(vec![edge.to_owned()])
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(
                self,
                mut items: A,
            ) -> Result<Self::Value, A::Error> {
                let mut edges = Vec::new();
                while let Some(edge) = items.next_element()? {
                    edges.push(edge);
                }
                Ok(edges)
            }
        }
        deserializer.deserialize_any(Visitor).map(Self::new)
    }
}

impl<'de, T> Deserialize<'de> for NamedInputs<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = BTreeMap<String, String>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list of stages, or a table of names and stages")
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(
                self,
                mut items: A,
            ) -> Result<Self::Value, A::Error> {
                let mut edges = BTreeMap::new();
                while let Some(edge) = items.next_element::<String>()? {
                    let name = edge.split(['.', '[']).next().unwrap_or_default().to_owned();
                    if edges.insert(name.clone(), edge).is_some() {
                        return Err(serde::de::Error::custom(format!(
                            "`{name}` is there twice; give each a name: {{ a = \"…\", b = \"…\" }}"
                        )));
                    }
                }
                Ok(edges)
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut entries: A,
            ) -> Result<Self::Value, A::Error> {
                let mut edges = BTreeMap::new();
                while let Some((name, edge)) = entries.next_entry()? {
                    edges.insert(name, edge);
                }
                Ok(edges)
            }
        }
        let edges = deserializer.deserialize_any(Visitor)?;
        Ok(Self { edges, artifact: PhantomData })
    }
}

macro_rules! schema_impl {
    ($name:ident, $arity:literal, $schema:tt) => {
        impl<T: Artifact> JsonSchema for $name<T> {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                format!("{}<{}>", stringify!($name), T::TYPE).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                let mut schema = json_schema!($schema);
                schema.insert(INPUT_KEY.to_owned(), T::TYPE.into());
                schema.insert(ARITY_KEY.to_owned(), $arity.into());
                schema
            }
        }
    };
}

schema_impl!(Input, "one", { "type": "string" });
schema_impl!(Inputs, "list", { "type": ["string", "array"], "items": { "type": "string" } });
schema_impl!(NamedInputs, "named", {
    "type": ["object", "array"],
    "items": { "type": "string" },
    "additionalProperties": { "type": "string" }
});
