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
    let stages: Vec<_> = kinds.iter().map(stage).collect();
    let defaults: Map<_, _> =
        kinds.iter().map(|kind| (kind.name.to_owned(), defaults(kind))).collect();
    let needed: Vec<_> = kinds.iter().filter_map(needed).collect();
    let name = json!({ "pattern": "^[\\w-]+$" });
    let seed = json!({ "$ref": "#/definitions/seed" });
    let vars = json!({ "$ref": "#/definitions/vars" });
    let labels = json!({ "$ref": "#/definitions/labels" });
    let of_kinds = json!({ "$ref": "#/definitions/defaults" });
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
            "max_cells": {
                "description": "The most cells that the pipeline may have; a larger matrix is refused.",
                "default": 100_000,
                "anyOf": [{ "type": "integer", "minimum": 1 }, variable()]
            },
            "vars": vars,
            "defaults": of_kinds,
            "labels": labels,
            "stage": {
                "type": "object",
                "description": "The stages: named steps, each of a kind.",
                "minProperties": 1,
                "propertyNames": name,
                "additionalProperties": { "oneOf": stages }
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
                        "seed": seed,
                        "vars": vars,
                        "defaults": of_kinds,
                        "labels": labels,
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
        },
        "allOf": needed,
        "definitions": {
            "seed": {
                "description": "All randomness follows from it.",
                "anyOf": [
                    { "type": "integer", "minimum": 0, "maximum": 9_007_199_254_740_991_u64 },
                    variable()
                ]
            },
            "vars": {
                "type": "object",
                "description": "Values to be used elsewhere as \"$name\"."
            },
            "labels": {
                "type": "object",
                "description": "Texts that figures show for names and values.",
                "additionalProperties": { "type": "string" }
            },
            "defaults": {
                "type": "object",
                "description": "By kind: parameters of all its stages, where they say nothing else.",
                "additionalProperties": false,
                "properties": defaults
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
            "additionalProperties": {
                "anyOf": [
                    { "type": "array", "minItems": 1 },
                    {
                        "type": "object",
                        "description": "Named values: the parameters that each of them sets.",
                        "minProperties": 1,
                        "additionalProperties": { "type": "object" }
                    },
                    variable()
                ]
            }
        },
        "unset": {
            "type": "array",
            "description": "Parameters that get the kind's own default, whatever lies under the stage says.",
            "items": { "type": "string" }
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
                "gpu": { "type": "boolean", "description": "Whether it computes on a device where the run has one." },
                "device": {
                    "type": "string",
                    "pattern": "^(auto|cpu|(cuda|metal)(:[0-9]+)?)$",
                    "description": "Where it computes: \"auto\", \"cpu\", \"cuda\", \"cuda:1\" or \"metal\"."
                },
                "time": { "type": "string", "description": "What a queue gives a cell at most: \"2h\"." }
            }
        },
        "executor": {
            "enum": ["local", "slurm", "command"],
            "description": "Where the cells run; it changes no result."
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
    fields.extend(parameters(kind));
    if let Value::Object(keys) = engine_keys() {
        fields.extend(keys);
    }
    if kind.seeded {
        let seed = json!({ "type": "integer", "minimum": 0, "description": "In place of the pipeline's seed." });
        fields.insert("seed".to_owned(), seed);
    }
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
        for key in ["$defs", "definitions"] {
            if let Some(definitions) = own.get(key) {
                schema.insert(key.to_owned(), definitions.clone());
            }
        }
    }
    schema
}

/// What `[defaults.KIND]` may hold.
fn defaults(kind: &Kind) -> Value {
    let mut fields = parameters(kind);
    for name in ["resources", "executor"] {
        if let Some(key) = engine_keys().get(name) {
            fields.insert(name.to_owned(), key.clone());
        }
    }
    json!({ "type": "object", "properties": fields, "additionalProperties": false })
}

fn parameters(kind: &Kind) -> Map<String, Value> {
    properties(&kind.schema()).map(|(name, field)| (name.clone(), or_variable(field))).collect()
}

/// What a stage of the kind has to say itself, where the file has no defaults for the kind: each
/// required parameter, as a parameter or along an axis.
fn needed(kind: &Kind) -> Option<Value> {
    let schema = kind.schema();
    let required = schema.get("required").and_then(Value::as_array)?;
    let given: Vec<_> = required.iter().filter_map(Value::as_str).map(parameter_or_axis).collect();
    let of_kind = json!({ "required": ["kind"], "properties": { "kind": { "const": kind.name } } });
    let has_defaults = json!({
        "required": ["defaults"],
        "properties": { "defaults": { "required": [kind.name] } }
    });
    let needed = json!({ "if": of_kind, "then": { "allOf": given } });
    Some(json!({
        "if": { "not": has_defaults },
        "then": { "properties": { "stage": { "additionalProperties": needed } } }
    }))
}

/// A value's schema, or a variable in its place; the same for all values in it.
fn or_variable(field: &Value) -> Value {
    let mut outer = Map::new();
    let mut inner = with_variables(field);
    if let Value::Object(inner) = &mut inner {
        // Editors show these of the property itself.
        for key in ["description", "default"] {
            outer.extend(inner.remove(key).map(|value| (key.to_owned(), value)));
        }
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

/// The schema without the engine's own marks, and with variables allowed for the values in it.
fn with_variables(schema: &Value) -> Value {
    let Value::Object(schema) = schema else { return schema.clone() };
    let kept = schema.iter().filter(|(key, _)| !key.starts_with("x-sconce-"));
    let within = |(key, value): (&String, &Value)| {
        let value = match (key.as_str(), value) {
            ("properties", Value::Object(fields)) => {
                fields.iter().map(|(name, field)| (name.clone(), or_variable(field))).collect()
            }
            ("items" | "additionalProperties", Value::Object(_)) => or_variable(value),
            ("oneOf" | "anyOf" | "allOf", Value::Array(options)) => {
                options.iter().map(with_variables).collect()
            }
            _ => value.clone(),
        };
        (key.clone(), value)
    };
    Value::Object(kept.map(within).collect())
}

fn parameter_or_axis(name: &str) -> Value {
    // A path on an axis (`"optimiser.adam.learning_rate"`) or a named value may set it.
    let path = json!({ "not": { "propertyNames": { "not": { "pattern": "[.]" } } } });
    let named = json!({ "not": { "additionalProperties": { "not": { "type": "object" } } } });
    let axis = json!({ "anyOf": [{ "required": [name] }, path, named] });
    json!({
        "anyOf": [
            { "required": [name] },
            { "required": ["matrix"], "properties": { "matrix": axis } }
        ]
    })
}
