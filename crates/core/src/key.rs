//! Keys: what decides a cell's result, and nothing else. Keys are made here alone.
//!
//! A key is BLAKE3 over the [canonical JSON](crate::canonical) of the [`KeyParts`].
//!
//! | what | enters | because |
//! |---|---|---|
//! | number of this recipe | always | another recipe gives other keys |
//! | kind and its version | always | they say what is done |
//! | parameters that differ from their defaults | always | they say how |
//! | parameters at their defaults | never | one that a kind gets later must re-run nothing |
//! | parameters without a default | always | whatever they are |
//! | inputs | by content, slot by slot | a producer that gives the same again stops a re-run there |
//! | stage and coordinates of a gathered input | with it | the stage sees them |
//! | seed | where the result depends on it | other kinds must not re-run for it |
//! | axes that are no parameters | for kinds that read them | else they only name the cell |
//! | environment variables | those that the stage declares | the program sees them |
//! | content of a local path | kind `file` | it is the result |
//! | cosmetic parameters, names of stages, pipelines and edges | never | they change no result |
//! | class of the device | under `--strict-device`, for cells that can compute on an accelerator | results of different classes are then apart |
//! | times, absolute paths, machine, which device, threads, memory, log settings | never | they belong in the receipt |
//!
//! # Defaults
//!
//! `c` not written and `c = 1`, where 1 is the default of `c`, are one key. So it is at any depth:
//! in inner tables, in the tables of an enum, in lists of tables. An inner field is left out
//! against its own default, and a whole table against the table's; [`Defaults`] says why two
//! different sets of parameters still have two keys. The price: a *changed* default changes what
//! a key means. It is a changed result, and raises the kind's version; a test of the command line's
//! crate pins every default of every kind to it (`INSTA_UPDATE=always` writes new lines).
//!
//! ```
//! use schemars::JsonSchema;
//! use sconce_core::{Context, Folder, Kind, Result, Stage, outputs};
//! use serde::{Deserialize, Serialize};
//! use serde_json::json;
//!
//! /// Fits.
//! #[derive(Serialize, Deserialize, JsonSchema)]
//! struct Fit {
//!     /// Rows.
//!     rows: u32,
//!     /// Inverse of the weight of the penalty.
//!     #[serde(default = "one")]
//!     c: f64,
//! }
//!
//! fn one() -> f64 {
//!     1.0
//! }
//! # outputs! { Fit:
//! #     /// The files.
//! #     FILES: Folder = "files";
//! # }
//! # impl Stage for Fit {
//! #     const KIND: &'static str = "fit";
//! #     const VERSION: u32 = 1;
//! #     fn run(&self, ctx: &Context<Self>) -> Result<()> { ctx.folder(Self::FILES); Ok(()) }
//! # }
//!
//! let defaults = Kind::of::<Fit>().defaults();
//! assert_eq!(defaults.leave_out(&json!({ "rows": 3, "c": 1.0 })), json!({ "rows": 3 }));
//! assert_eq!(defaults.leave_out(&json!({ "rows": 3, "c": 2.0 })), json!({ "rows": 3, "c": 2.0 }));
//! assert_eq!(defaults.fill_in(&json!({ "rows": 3 })), json!({ "rows": 3, "c": 1.0 }));
//! ```
//!
//! # Recipes
//!
//! Recipe 1 (until November 2026) had all parameters in the key. What a store holds from then is
//! not found by keys of recipe 2: everything runs once more, and `sconce why` says so. `gc` takes
//! the old results.

mod defaults;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::stage::kinds::Shape;
use crate::{
    CellId, Coordinates, DeviceClass, Digest, Files, Gathered, Kind, Result, Stage, canonical,
};

pub use defaults::Defaults;
pub(crate) use defaults::same;

/// The number of the present recipe.
pub const RECIPE: u32 = 2;

/// All that decides a cell's result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeyParts {
    /// The recipe that makes the key.
    #[serde(default = "first_recipe")]
    pub recipe: u32,
    /// The kind's name.
    pub kind: String,
    /// The kind's version.
    pub version: u32,
    /// Parameters that differ from their defaults, without inputs and cosmetic ones.
    pub parameters: Value,
    /// The parameters beside them, which stand at their defaults. Not part of the key: for people,
    /// who want to know what a result was computed with.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub defaults: Value,
    /// Content of the inputs by slot.
    pub inputs: BTreeMap<String, Vec<InputPart>>,
    /// The seed, for kinds whose result depends on it.
    pub seed: Option<u64>,
    /// Axes that are no parameters, for kinds that read them.
    #[serde(default, skip_serializing_if = "Coordinates::is_empty")]
    pub axes: Coordinates,
    /// Values of the environment variables that count; null for one that is not set.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, Option<String>>,
    /// Content of the local file or folder, for kind `file`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Digest>,
    /// The class of the device, under `--strict-device`, for cells that can compute on an accelerator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceClass>,
}

fn first_recipe() -> u32 {
    1
}

/// One artifact of an input slot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InputPart {
    /// Digest of the artifact's tree.
    pub digest: Digest,
    /// For gathering inputs: the stage and the place along the gathered axes, which the stage sees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<CellId>,
}

impl KeyParts {
    /// The parts of a kind without inputs, seed, axes, environment and content.
    pub fn of(kind: &str, version: u32, parameters: Value) -> Self {
        Self {
            recipe: RECIPE,
            kind: kind.to_owned(),
            version,
            parameters,
            defaults: Value::Null,
            inputs: BTreeMap::new(),
            seed: None,
            axes: Coordinates::none(),
            environment: BTreeMap::new(),
            content: None,
            device: None,
        }
    }

    /// The key.
    pub fn key(&self) -> Digest {
        let mut parts = Map::new();
        let mut put = |name: &str, value: Value| parts.insert(name.to_owned(), value);
        put("kind", json!(self.kind));
        put("version", json!(self.version));
        put("parameters", self.parameters.clone());
        put("inputs", json!(self.inputs));
        put("seed", json!(self.seed));
        if !self.axes.is_empty() {
            put("axes", json!(self.axes));
        }
        if !self.environment.is_empty() {
            put("environment", json!(self.environment));
        }
        if let Some(content) = self.content {
            put("content", json!(content));
        }
        if let Some(device) = self.device {
            put("device", json!(device));
        }
        // Serialising cannot fail: all maps have string keys and the numbers are finite.
        canonical::digest(&json!({ "sconce": self.recipe, "parts": parts }))
    }

    /// All parameters that count, those at their defaults too.
    pub fn all_parameters(&self) -> Value {
        joined(&self.parameters, &self.defaults)
    }
}

/// The parameters that count, as a key takes them.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameters {
    /// Those that differ from their defaults.
    pub differing: Value,
    /// Those that stand at their defaults; null for none.
    pub defaults: Value,
}

impl Parameters {
    /// All of them.
    pub fn all(&self) -> Value {
        joined(&self.differing, &self.defaults)
    }

    /// Parts `all` parameters of a stage, inputs and cosmetic ones among them.
    pub(crate) fn of(all: &Value, shape: &Shape) -> Self {
        let Value::Object(all) = all else {
            return Self { differing: all.clone(), defaults: Value::Null };
        };
        let counts = |key: &String| {
            !shape.cosmetic.contains(key) && shape.slots.iter().all(|slot| slot.key != *key)
        };
        let counting = all.iter().filter(|(key, _)| counts(key));
        let counting = counting.map(|(key, value)| (key.clone(), value.clone())).collect();
        let counting = Value::Object(counting);
        let differing = shape.defaults.leave_out(&counting);
        let defaults = left_out(&counting, &differing);
        Self { differing, defaults }
    }
}

/// What `all` has and `kept` has not; null for nothing.
fn left_out(all: &Value, kept: &Value) -> Value {
    match (all, kept) {
        (Value::Object(all), Value::Object(kept)) => {
            let mut left = Map::new();
            for (name, value) in all {
                match kept.get(name) {
                    None => {
                        left.insert(name.clone(), value.clone());
                    }
                    Some(kept) => {
                        let inner = left_out(value, kept);
                        if !inner.is_null() {
                            left.insert(name.clone(), inner);
                        }
                    }
                }
            }
            if left.is_empty() { Value::Null } else { Value::Object(left) }
        }
        (Value::Array(all), Value::Array(kept)) => {
            let left: Vec<_> =
                all.iter().zip(kept).map(|(all, kept)| left_out(all, kept)).collect();
            if left.iter().all(Value::is_null) { Value::Null } else { Value::Array(left) }
        }
        _ => Value::Null,
    }
}

/// The two halves that [`left_out`] parted.
fn joined(kept: &Value, left: &Value) -> Value {
    match (kept, left) {
        (Value::Object(kept), Value::Object(left)) => {
            let mut all = kept.clone();
            for (name, value) in left {
                let value =
                    kept.get(name).map_or_else(|| value.clone(), |kept| joined(kept, value));
                all.insert(name.clone(), value);
            }
            Value::Object(all)
        }
        (Value::Array(kept), Value::Array(left)) => {
            kept.iter().zip(left).map(|(kept, left)| joined(kept, left)).collect()
        }
        (kept, _) => kept.clone(),
    }
}

/// What all cells share that differ from this one only in the parameters `but`: the name of a
/// folder where a longer computation finds the end of a shorter one.
pub(crate) fn shared<S: Stage>(
    stage: &S,
    but: &[&str],
    inputs: &BTreeMap<String, Vec<Gathered<Files>>>,
    seed: u64,
    axes: &Coordinates,
) -> Result<Digest> {
    let kind = Kind::of::<S>();
    let mut parameters = serde_json::to_value(stage)?;
    for path in but {
        let (table, key) = path.rsplit_once('.').unwrap_or(("", path));
        let table = match table {
            "" => Some(&mut parameters),
            table => parameters.pointer_mut(&format!("/{}", table.replace('.', "/"))),
        };
        if let Some(table) = table.and_then(Value::as_object_mut) {
            table.remove(key);
        }
    }
    // Only now: a table that stands at its default has no longer all that the default has.
    let parameters = Parameters::of(&parameters, &Shape::new(kind)).differing;
    let from = |one: &Gathered<Files>| json!([one.stage, one.coordinates, one.artifact.digest()]);
    let inputs: BTreeMap<_, Vec<_>> =
        inputs.iter().map(|(slot, all)| (slot, all.iter().map(from).collect())).collect();
    Ok(canonical::digest(&json!({
        "sconce": RECIPE,
        "shared": [kind.name, kind.version, but],
        "parameters": parameters,
        "inputs": inputs,
        "seed": kind.seeded.then_some(seed),
        "axes": kind.free_axes.then_some(axes),
    })))
}

#[cfg(test)]
mod tests;
