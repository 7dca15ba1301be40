//! `sconce kinds`: what stages can be, from the structs' own schemas.

use std::io::Write;
use std::process::ExitCode;

use sconce_core::stage::input::TEXT_KEY;
use sconce_core::stage::{Arity, properties};
use sconce_core::{Kind, Slot};
use serde_json::Value;

use crate::arguments::KindsArguments;
use crate::failure::Failure;
use crate::session::Call;
use crate::style::{BOLD, DIM, paint};

pub(crate) fn kinds(call: &Call<'_>, arguments: &KindsArguments) -> Result<ExitCode, Failure> {
    let kinds = call.kinds;
    let mut out = anstream::stdout().lock();
    let Some(name) = &arguments.kind else {
        let width = kinds.names().map(str::len).max().unwrap_or(0);
        for kind in kinds.iter() {
            let name = paint(BOLD, format_args!("{:<width$}", kind.name));
            writeln!(out, "{name}  {}", summary(kind))?;
        }
        writeln!(out, "\n{}", paint(DIM, "`sconce kinds KIND` tells all about one"))?;
        return Ok(ExitCode::SUCCESS);
    };
    let kind = kinds.get(name).ok_or_else(|| {
        let names: Vec<_> = kinds.names().map(|name| format!("`{name}`")).collect();
        Failure::usage(format!("there is no kind `{name}`; there are: {}", names.join(", ")))
    })?;
    write(&mut out, kind)?;
    Ok(ExitCode::SUCCESS)
}

/// The first sentence of the docs.
fn summary(kind: &Kind) -> String {
    let schema = kind.schema();
    let text = description(schema.as_value());
    let paragraph = text.split("\n\n").next().unwrap_or_default().replace('\n', " ");
    let sentence = paragraph.split_inclusive(". ").next().unwrap_or_default();
    sentence.trim().trim_end_matches('.').to_owned()
}

fn write(out: &mut impl Write, kind: &Kind) -> Result<(), Failure> {
    let schema = kind.schema();
    writeln!(
        out,
        "{} {}",
        paint(BOLD, kind.name),
        paint(DIM, format_args!("version {}", kind.version))
    )?;
    writeln!(out, "\n{}", description(schema.as_value()))?;
    let required: Vec<&str> = schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let slots = kind.slots();
    let slot = |name: &str| slots.iter().find(|slot| slot.key == name);
    for (title, inputs) in [("Inputs", true), ("Parameters", false)] {
        let fields: Vec<_> =
            properties(&schema).filter(|(name, _)| slot(name).is_some() == inputs).collect();
        if fields.is_empty() {
            continue;
        }
        writeln!(out, "\n{}", paint(BOLD, title))?;
        for (name, field) in fields {
            let mut what = slot(name).map_or_else(|| type_of(field), input);
            if field.get(TEXT_KEY) == Some(&Value::Bool(true)) {
                what.push_str(", with values in braces");
            }
            let default = default(field, required.contains(&name.as_str()));
            writeln!(
                out,
                "  {} {}",
                paint(BOLD, name),
                paint(DIM, format_args!("{what}{default}"))
            )?;
            for line in description(field).lines() {
                writeln!(out, "      {line}")?;
            }
            for (value, doc) in variants(field) {
                writeln!(out, "      {value}: {}", doc.replace('\n', " "))?;
            }
        }
    }
    writeln!(out, "\n{}", paint(BOLD, "Outputs"))?;
    for output in kind.outputs {
        let volatile = if output.volatile { ", may differ between two runs" } else { "" };
        let what = paint(DIM, format_args!("{}{volatile}", output.artifact));
        writeln!(out, "  {} {what}\n      {}", paint(BOLD, &output.name), output.doc)?;
    }
    let mut notes = Vec::new();
    if kind.seeded {
        notes.push(
            "Its seed follows from the pipeline's, unless the stage has a `seed` of its own.",
        );
    }
    if kind.free_axes {
        notes.push("Axes of its matrix need not be parameters.");
    }
    if !notes.is_empty() {
        writeln!(out, "\n{}", notes.join("\n"))?;
    }
    Ok(())
}

fn description(schema: &Value) -> String {
    schema.get("description").and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn input(slot: &Slot) -> String {
    let artifact = if slot.artifact == "any" { "anything" } else { &slot.artifact };
    match slot.arity {
        Arity::One => artifact.to_owned(),
        Arity::List => format!("list of {artifact}"),
        Arity::Named => format!("{artifact} by name"),
    }
}

fn default(field: &Value, required: bool) -> String {
    if required {
        return ", required".to_owned();
    }
    match field.get("default") {
        None | Some(Value::Null) => ", optional".to_owned(),
        Some(Value::Array(items)) if items.is_empty() => ", optional".to_owned(),
        Some(Value::Object(entries)) if entries.is_empty() => ", optional".to_owned(),
        Some(value) => format!(", default {value}"),
    }
}

/// The type of a parameter in words.
fn type_of(field: &Value) -> String {
    if let Some(value) = field.get("const") {
        return value.to_string();
    }
    if let Some(values) = field.get("enum").and_then(Value::as_array) {
        return values.iter().map(Value::to_string).collect::<Vec<_>>().join(" | ");
    }
    for key in ["anyOf", "oneOf"] {
        if let Some(options) = field.get(key).and_then(Value::as_array) {
            let mut words: Vec<_> = options
                .iter()
                .filter(|option| option.get("type") != Some(&Value::from("null")))
                .map(type_of)
                .collect();
            words.dedup();
            return words.join(" | ");
        }
    }
    let one = |name: &str| match name {
        "array" => match field.get("items") {
            Some(items) => format!("list of {}", type_of(items)),
            None => "list".to_owned(),
        },
        "object" => "table".to_owned(),
        "integer" => "whole number".to_owned(),
        "boolean" => "true or false".to_owned(),
        other => other.to_owned(),
    };
    let words = match field.get("type") {
        Some(Value::String(name)) => one(name),
        Some(Value::Array(names)) => {
            let names = names.iter().filter_map(Value::as_str).filter(|name| *name != "null");
            names.map(one).collect::<Vec<_>>().join(" or ")
        }
        _ => "any value".to_owned(),
    };
    let limits: Vec<_> = [("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤")]
        .iter()
        .filter_map(|(key, sign)| Some(format!("{sign} {}", number(field.get(key)?))))
        .collect();
    if limits.is_empty() { words } else { format!("{words} {}", limits.join(" and ")) }
}

fn number(value: &Value) -> String {
    match value.as_f64() {
        Some(value) if value.fract() == 0.0 && value.abs() < 1e15 => format!("{value:.0}"),
        _ => value.to_string(),
    }
}

/// The values of an enum that have docs of their own.
fn variants(field: &Value) -> Vec<(String, String)> {
    let options = ["oneOf", "anyOf"].iter().find_map(|key| field.get(key)?.as_array());
    let of = |option: &Value| {
        let doc = option.get("description")?.as_str()?.to_owned();
        Some((option.get("const")?.to_string(), doc))
    };
    options.into_iter().flatten().filter_map(of).collect()
}
