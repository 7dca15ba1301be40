//! The engine's view of one [`Stage`] type, and what its schema says.

use std::fmt;
use std::path::Path;

use schemars::{Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::Value;
use toml::Spanned;
use toml::de::{DeValue, ValueDeserializer};

use super::document::{Misplaced, Place};
use super::input::{ARITY_KEY, COSMETIC_KEY, INPUT_KEY, TEXT_KEY};
use super::{Output, Resources, Stage, engine};
use crate::key::Defaults;
use crate::{Context, Error, Result};

/// A parsed stage of any kind.
pub trait AnyStage: Send + Sync {
    /// All parameters after defaults, inputs among them.
    fn parameters(&self) -> Result<Value>;
    /// The outputs of this very stage. The first is what the stage's name alone refers to.
    fn outputs(&self) -> Vec<Output>;
    /// See [`Stage::seeded`].
    fn seeded(&self) -> bool;
    /// See [`Stage::SMALL`].
    fn small(&self) -> bool;
    /// See [`Stage::TOGETHER`].
    fn together(&self) -> &'static [&'static str];
    /// See [`Stage::resources`].
    fn resources(&self) -> Resources;
    /// See [`Stage::can_use_gpu`].
    fn can_use_gpu(&self) -> bool;
    /// See [`Stage::check`].
    fn check(&self) -> Result<()>;
    /// See [`Stage::local_path`].
    fn local_path(&self) -> Option<&Path>;
    /// See [`Stage::follows_links`].
    fn follows_links(&self) -> bool;
    /// See [`Stage::environment`].
    fn environment(&self) -> &[String];
    /// See [`Stage::run`].
    fn run(&self, ctx: &Context) -> Result<()>;
}

impl<S: Stage> AnyStage for S {
    fn parameters(&self) -> Result<Value> {
        Ok(serde_json::to_value(self)?)
    }
    fn outputs(&self) -> Vec<Output> {
        Stage::outputs(self, engine::Own)
    }
    fn seeded(&self) -> bool {
        Stage::seeded(self)
    }
    fn small(&self) -> bool {
        S::SMALL
    }
    fn together(&self) -> &'static [&'static str] {
        S::TOGETHER
    }
    fn resources(&self) -> Resources {
        Stage::resources(self)
    }
    fn can_use_gpu(&self) -> bool {
        Stage::can_use_gpu(self)
    }
    fn check(&self) -> Result<()> {
        Stage::check(self)
    }
    fn local_path(&self) -> Option<&Path> {
        Stage::local_path(self)
    }
    fn follows_links(&self) -> bool {
        Stage::follows_links(self)
    }
    fn environment(&self) -> &[String] {
        Stage::environment(self)
    }
    fn run(&self, ctx: &Context) -> Result<()> {
        Stage::run(self, ctx.of())
    }
}

/// Finds the places of a text that refer to something, given the profiles that were asked for.
type FindPlaces = fn(&str, &[String]) -> Result<Vec<Place>, Vec<Misplaced>>;

type FromToml = fn(Spanned<DeValue<'_>>) -> Result<Box<dyn AnyStage>, toml::de::Error>;

/// A row of a crate's `KINDS`: the engine's view of one [`Stage`] type.
///
/// ```
/// let command = sconce_core::kinds::KINDS.iter().find(|kind| kind.name == "command").unwrap();
/// assert_eq!(command.slots()[0].key, "inputs");
/// assert!(command.defaults().list().iter().any(|(path, value)| path == "seeded" && **value == false));
/// ```
#[derive(Clone, Copy)]
pub struct Kind {
    /// The kind's name.
    pub name: &'static str,
    /// See [`Stage::VERSION`].
    pub version: u32,
    /// See [`Yields::OUTPUTS`](super::Yields::OUTPUTS).
    pub outputs: &'static [Output],
    /// See [`Stage::SEEDED`].
    pub seeded: bool,
    /// See [`Stage::FREE_AXES`].
    pub free_axes: bool,
    /// See [`Stage::places`].
    pub(crate) places: FindPlaces,
    schema: fn() -> Schema,
    from_toml: FromToml,
    from_json: fn(Value) -> Result<Box<dyn AnyStage>, serde_json::Error>,
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.version)
    }
}

/// An input field of a kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// The parameter's key.
    pub key: String,
    /// The artifact's type; `any` takes all.
    pub artifact: String,
    /// How many artifacts it takes.
    pub arity: Arity,
}

/// How many artifacts an input takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arity {
    /// One.
    One,
    /// A list.
    List,
    /// Several by name.
    Named,
}

impl Kind {
    /// The row of kind `S`.
    pub const fn of<S: Stage>() -> Self {
        Self {
            name: S::KIND,
            version: S::VERSION,
            outputs: S::OUTPUTS,
            seeded: S::SEEDED,
            free_axes: S::FREE_AXES,
            places: S::places,
            schema: schema::<S>,
            from_toml: |value| {
                let stage = S::deserialize(ValueDeserializer::from(value))?;
                Ok(Box::new(stage))
            },
            from_json: |value| Ok(Box::new(serde_json::from_value::<S>(value)?)),
        }
    }

    /// The JSON Schema of the parameters, with docs and defaults.
    pub fn schema(&self) -> Schema {
        (self.schema)()
    }

    /// The stage that a table of the pipeline file describes (without the engine's own keys).
    pub fn from_toml(
        &self,
        table: Spanned<DeValue<'_>>,
    ) -> Result<Box<dyn AnyStage>, toml::de::Error> {
        (self.from_toml)(table)
    }

    /// The stage with these parameters.
    pub fn from_json(&self, parameters: Value) -> Result<Box<dyn AnyStage>> {
        (self.from_json)(parameters).map_err(Error::from)
    }

    /// The input fields, in the struct's order.
    pub fn slots(&self) -> Vec<Slot> {
        let schema = self.schema();
        let slot = |(key, field): (&String, &Value)| {
            let artifact = field.get(INPUT_KEY)?.as_str()?.to_owned();
            let arity = match field.get(ARITY_KEY)?.as_str()? {
                "list" => Arity::List,
                "named" => Arity::Named,
                _ => Arity::One,
            };
            Some(Slot { key: key.clone(), artifact, arity })
        };
        properties(&schema).filter_map(slot).collect()
    }

    /// What the parameters are where they are not written.
    pub fn defaults(&self) -> Defaults {
        Defaults::of(&self.schema())
    }

    /// The parameters that change no result.
    pub fn cosmetic(&self) -> Vec<String> {
        marked(&self.schema(), COSMETIC_KEY)
    }

    /// The parameters whose strings are texts with references in braces.
    pub fn texts(&self) -> Vec<String> {
        marked(&self.schema(), TEXT_KEY)
    }
}

/// The fields that carry the engine's mark `key`.
pub(crate) fn marked(schema: &Schema, key: &str) -> Vec<String> {
    properties(schema)
        .filter(|(_, field)| field.get(key) == Some(&Value::Bool(true)))
        .map(|(name, _)| name.clone())
        .collect()
}

/// The fields of a kind's schema.
pub fn properties(schema: &Schema) -> impl Iterator<Item = (&String, &Value)> {
    schema.get("properties").and_then(Value::as_object).into_iter().flatten()
}

fn schema<S: Stage>() -> Schema {
    let settings =
        SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    SchemaGenerator::new(settings).into_root_schema_for::<S>()
}

#[cfg(test)]
mod tests {
    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::{Folder, Input, Inputs, Yields};

    /// Adds.
    #[derive(Serialize, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Add {
        /// Left.
        left: Input<Folder>,
        /// Right, where there is one.
        right: Option<Input<Folder>>,
        /// Many.
        #[serde(default)]
        rest: Inputs<Folder>,
        /// Weight.
        #[serde(default = "one")]
        weight: f64,
        /// Title.
        #[serde(default)]
        #[schemars(extend("x-sconce-cosmetic" = true))]
        title: String,
    }

    fn one() -> f64 {
        1.0
    }

    impl Yields for Add {
        const OUTPUTS: &'static [Output] = &[Output::of::<Folder>("sum", "The sum.")];
    }

    impl Stage for Add {
        const KIND: &'static str = "add";
        const VERSION: u32 = 1;

        fn run(&self, _: &Context<Self>) -> Result<()> {
            Ok(())
        }
    }

    #[test]
    fn slots_and_cosmetic_parameters_come_from_the_struct() {
        let kind = Kind::of::<Add>();
        let slots: Vec<_> =
            kind.slots().into_iter().map(|s| (s.key, s.artifact, s.arity)).collect();
        let files = || "files".to_owned();
        assert_eq!(
            slots,
            [
                ("left".to_owned(), files(), Arity::One),
                ("right".to_owned(), files(), Arity::One),
                ("rest".to_owned(), files(), Arity::List),
            ]
        );
        assert_eq!(kind.cosmetic(), ["title"]);
        assert_eq!(kind.schema().get("description").and_then(Value::as_str), Some("Adds."));
    }

    #[test]
    fn an_omitted_default_and_the_same_value_give_the_same_parameters() {
        let kind = Kind::of::<Add>();
        let parse = |text: &str| {
            let value = DeValue::parse(text).unwrap();
            kind.from_toml(value).unwrap().parameters().unwrap()
        };
        assert_eq!(parse(r#"{ left = "a" }"#), parse(r#"{ left = "a", weight = 1, rest = [] }"#));
    }
}
