//! `sconce schema`: the JSON Schema of pipeline files.
//!
//! Draft 7, because that is what the TOML editors know. A stage is one of the kinds, told apart by
//! `kind`; a parameter may be a variable (`"$name"`), and a required one may be an axis instead.

use std::io::Write;
use std::process::ExitCode;

use sconce_core::stage::properties;
use sconce_core::{Kind, Kinds};
use serde_json::{Map, Value, json};

use crate::failure::Failure;
use crate::session::Call;

pub(crate) fn schema(call: &Call<'_>) -> Result<ExitCode, Failure> {
    let mut out = std::io::stdout().lock();
    let text = serde_json::to_string_pretty(&pipeline(call.kinds))?;
    writeln!(out, "{text}")?;
    Ok(ExitCode::SUCCESS)
}

/// The schema of the whole file.
fn pipeline(kinds: &Kinds) -> Value {
    let kinds: Vec<_> = kinds.iter().map(stage).collect();
    let seed = json!({
        "description": "All randomness follows from it.",
        "anyOf": [
            { "type": "integer", "minimum": 0, "maximum": 9_007_199_254_740_991_u64 },
            variable()
        ]
    });
    let vars = json!({
        "type": "object",
        "description": "Values to be used elsewhere as \"$name\"."
    });
    let name = json!({ "pattern": "^[\\w-]+$" });
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Sconce pipeline",
        "type": "object",
        "required": ["stage"],
        "additionalProperties": false,
        "properties": {
            "name": {
                "type": "string",
                "description": "The pipeline's name; the file's without one.",
                "pattern": "^[\\w-]+$"
            },
            "description": { "type": "string", "description": "What it is about." },
            "seed": seed,
            "vars": vars,
            "stage": {
                "type": "object",
                "description": "The stages: named steps, each of a kind.",
                "minProperties": 1,
                "propertyNames": name,
                "additionalProperties": { "oneOf": kinds }
            },
            "profile": {
                "type": "object",
                "description": "Named overrides, laid over the file by `--profile`.",
                "additionalProperties": {
                    "type": "object",
                    "additionalProperties": false,
                    "properties": {
                        "description": { "type": "string", "description": "What it is for." },
                        "extends": {
                            "type": "string",
                            "description": "A profile that is laid over the file before this one."
                        },
                        "extends": { "type": "string", "description": "A profile that is laid over before." },
                        "seed": seed,
                        "vars": vars,
                        "stage": {
                            "type": "object",
                            "description": "Parameters that replace those of the file.",
                            "additionalProperties": {
                                "type": "object",
                                "properties": engine_keys()
                            }
                        }
                    }
                }
            }
        }
    })
}

/// `"$name"` in place of a value.
fn variable() -> Value {
    json!({ "type": "string", "pattern": "^\\$[\\w-]+$" })
}

/// The keys that every stage can have.
fn engine_keys() -> Value {
    json!({
        "description": { "type": "string", "description": "What the stage is for." },
        "matrix": {
            "type": "object",
            "description": "Axes: a list of values each; the stage has a cell for each combination.",
            "additionalProperties": { "anyOf": [{ "type": "array", "minItems": 1 }, variable()] }
        },
        "resources": {
            "type": "object",
            "description": "What a cell needs while it runs; it changes no result.",
            "additionalProperties": false,
            "properties": {
                "threads": { "anyOf": [{ "type": "integer", "minimum": 1 }, { "const": "all" }] },
                "memory": {
                    "type": ["integer", "string"],
                    "minimum": 0,
                    "description": "Bytes, or a size such as \"4GiB\"."
                },
                "gpu": { "type": "boolean" }
            }
        }
    })
}

/// The schema of the stages of one kind.
fn stage(kind: &Kind) -> Value {
    let own = kind.schema();
    let mut fields = Map::new();
    fields.insert(
        "kind".to_owned(),
        json!({ "const": kind.name, "description": "What the stage does." }),
    );
    for (name, field) in properties(&own) {
        fields.insert(name.clone(), or_variable(field));
    }
    if let Value::Object(keys) = engine_keys() {
        fields.extend(keys);
    }
    if kind.seeded {
        let seed = json!({ "type": "integer", "minimum": 0, "description": "In place of the pipeline's seed." });
        fields.insert("seed".to_owned(), seed);
    }
    let required = own.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    let given: Vec<_> = required.iter().filter_map(Value::as_str).map(parameter_or_axis).collect();
    let mut schema = json!({
        "title": kind.name,
        "type": "object",
        "required": ["kind"],
        "properties": fields,
        "additionalProperties": false
    });
    if let Value::Object(schema) = &mut schema {
        if let Some(description) = own.get("description") {
            schema.insert("description".to_owned(), description.clone());
        }
        if !given.is_empty() {
            schema.insert("allOf".to_owned(), Value::Array(given));
        }
        for key in ["$defs", "definitions"] {
            if let Some(definitions) = own.get(key) {
                schema.insert(key.to_owned(), definitions.clone());
            }
        }
    }
    schema
}

fn or_variable(field: &Value) -> Value {
    let mut outer = Map::new();
    let mut inner = field.clone();
    if let Value::Object(inner) = &mut inner {
        // Editors show these of the property itself.
        for key in ["description", "default"] {
            outer.extend(inner.remove(key).map(|value| (key.to_owned(), value)));
        }
        inner.retain(|key, _| !key.starts_with("x-sconce-"));
        if inner.get("type") == Some(&Value::from("string")) && inner.len() == 1 {
            outer.insert("type".to_owned(), Value::from("string"));
            return Value::Object(outer);
        }
    }
    if inner == json!({}) || inner == json!(true) {
        return Value::Object(outer);
    }
    outer.insert("anyOf".to_owned(), json!([inner, variable()]));
    Value::Object(outer)
}

fn parameter_or_axis(name: &str) -> Value {
    json!({
        "anyOf": [
            { "required": [name] },
            { "required": ["matrix"], "properties": { "matrix": { "required": [name] } } }
        ]
    })
}
