//! One layer over another: profiles and settings over the file, stages over defaults.

use serde_json::Value;
use toml::Spanned;
use toml::de::DeValue;

use super::document::{Node, Table};
use crate::stage::kinds::{Kinds, Shapes};

/// Lays a profile or a setting over the whole file.
///
/// Tables merge, everything else is replaced. In a stage a parameter replaces the matrix axis over
/// it and the other way round, `unset` takes parameters out, and another `kind` replaces the whole
/// stage. One of several choices (`optimiser = { adam = {} }`) replaces another.
pub(super) fn file<'a>(base: &mut Table<'a>, over: Table<'a>, kinds: &Kinds, shapes: &Shapes) {
    let schema = |kind: &str| kinds.get(kind).map(|kind| shapes.of(kind));
    for (key, value) in over {
        let section = key.get_ref().to_string();
        let old = base.get_mut(section.as_str()).map(Spanned::get_mut);
        let span = value.span();
        match (section.as_str(), old, value.into_inner()) {
            ("stage", Some(DeValue::Table(old)), DeValue::Table(new)) => {
                entries(old, new, |old, new, _| {
                    let (before, after) = (kind(old), kind(new));
                    if after.is_some() && before != after {
                        *old = std::mem::take(new);
                        return;
                    }
                    let shape = before.and_then(|kind| schema(&kind));
                    stage(old, std::mem::take(new), shape.as_ref().map(|shape| &shape.schema));
                });
            }
            ("defaults", Some(DeValue::Table(old)), DeValue::Table(new)) => {
                entries(old, new, |old, new, kind| {
                    let shape = schema(kind);
                    tables(old, std::mem::take(new), shape.as_ref().map(|shape| &shape.schema));
                });
            }
            (_, Some(DeValue::Table(old)), DeValue::Table(new)) => tables(old, new, None),
            (_, _, value) => {
                base.insert(key, Spanned::new(span, value));
            }
        }
    }
}

/// Joins tables of tables, entry by entry.
fn entries<'a>(
    base: &mut Table<'a>,
    over: Table<'a>,
    mut join: impl FnMut(&mut Table<'a>, &mut Table<'a>, &str),
) {
    for (key, mut value) in over {
        let name = key.get_ref().to_string();
        match (base.get_mut(name.as_str()).map(Spanned::get_mut), value.get_mut()) {
            (Some(DeValue::Table(old)), DeValue::Table(new)) => join(old, new, &name),
            _ => {
                base.insert(key, value);
            }
        }
    }
}

fn kind(stage: &Table<'_>) -> Option<String> {
    stage.get("kind").and_then(|kind| kind.get_ref().as_str().map(str::to_owned))
}

/// Lays what a layer says of a stage over the stage. `schema` is that of its kind.
pub(super) fn stage<'a>(base: &mut Table<'a>, over: Table<'a>, schema: Option<&Value>) {
    if let Some(list) = over.get("unset") {
        unset(base, list);
    }
    for (key, value) in over {
        let name = key.get_ref().to_string();
        make_room(base, &name, value.get_ref());
        match (name.as_str(), base.get_mut(name.as_str()).map(Spanned::get_mut), value.get_ref()) {
            ("unset", Some(DeValue::Array(old)), DeValue::Array(new)) => {
                new.iter().for_each(|item| old.push(item.clone()));
            }
            _ => entry(base, key, value, schema),
        }
    }
}

/// Lays `over` on `base`: tables merge, everything else is replaced. `schema` describes the table
/// where it is a kind's.
pub(crate) fn tables<'a>(base: &mut Table<'a>, over: Table<'a>, schema: Option<&Value>) {
    if let (Some(schema), Some(new)) = (schema, only_key(&over))
        && choices(schema).contains(&new)
        && !base.contains_key(new)
    {
        *base = Table::default();
    }
    for (key, value) in over {
        entry(base, key, value, schema);
    }
}

fn entry<'a>(
    base: &mut Table<'a>,
    key: Spanned<toml::de::DeString<'a>>,
    value: Node<'a>,
    schema: Option<&Value>,
) {
    let name = key.get_ref().to_string();
    let span = value.span();
    match (base.get_mut(name.as_str()).map(Spanned::get_mut), value.into_inner()) {
        (Some(DeValue::Table(old)), DeValue::Table(new)) => {
            tables(old, new, schema.and_then(|schema| field(schema, &name)));
        }
        (_, value) => {
            base.insert(key, Spanned::new(span, value));
        }
    }
}

fn only_key<'t>(table: &'t Table<'_>) -> Option<&'t str> {
    match table.keys().collect::<Vec<_>>().as_slice() {
        [one] => Some(one.get_ref()),
        _ => None,
    }
}

/// The options of a schema, if it is one of several.
fn options(schema: &Value) -> impl Iterator<Item = &Value> {
    ["oneOf", "anyOf"].iter().filter_map(|key| schema.get(key)?.as_array()).flatten()
}

/// The keys of which a table of this schema has exactly one: `adam`, `sgd`.
fn choices(schema: &Value) -> Vec<&str> {
    let mut keys = Vec::new();
    for option in options(schema) {
        keys.extend(choices(option));
        let required = option.get("required").and_then(Value::as_array).map(Vec::as_slice);
        let fields = option.get("properties").and_then(Value::as_object).map_or(0, |all| all.len());
        if let (Some([Value::String(key)]), 1) = (required, fields) {
            keys.push(key);
        }
    }
    keys
}

/// The schema of a field.
pub(super) fn field<'s>(schema: &'s Value, name: &str) -> Option<&'s Value> {
    let own = schema.get("properties").and_then(|fields| fields.get(name));
    own.or_else(|| options(schema).find_map(|option| field(option, name)))
}

/// Takes out of a stage what the layer over it unsets.
fn unset(stage: &mut Table<'_>, list: &Node<'_>) {
    let DeValue::Array(names) = list.get_ref() else { return };
    for name in names.iter().filter_map(|name| name.get_ref().as_str()) {
        let path: Vec<&str> = name.split('.').collect();
        remove(stage, &path);
        if let Some(DeValue::Table(axes)) = stage.get_mut("matrix").map(Spanned::get_mut) {
            axes.remove(name);
        }
    }
}

/// Takes out of a stage what the entry `name` replaces beside the entry of its own name.
fn make_room(stage: &mut Table<'_>, name: &str, value: &DeValue<'_>) {
    if let ("matrix", DeValue::Table(axes)) = (name, value) {
        for (axis, values) in axes {
            if matches!(values.get_ref(), DeValue::Array(_)) {
                let path: Vec<&str> = axis.get_ref().split('.').collect();
                remove(stage, &path);
            }
        }
    }
    let axes = match stage.get_mut("matrix").map(Spanned::get_mut) {
        Some(DeValue::Table(axes)) => axes,
        _ => return,
    };
    let replaced: Vec<String> = axes
        .keys()
        .map(|axis| axis.get_ref().to_string())
        .filter(|axis| match axis.strip_prefix(name) {
            Some("") => true,
            Some(field) => field.strip_prefix('.').is_some_and(|field| is_set(value, field)),
            None => false,
        })
        .collect();
    for axis in replaced {
        axes.remove(axis.as_str());
    }
}

/// Whether `value` replaces what `path` below it was.
fn is_set(value: &DeValue<'_>, path: &str) -> bool {
    let (first, rest) = path.split_once('.').map_or((path, None), |(a, b)| (a, Some(b)));
    match value {
        DeValue::Table(table) => table
            .get(first)
            .is_some_and(|inner| rest.is_none_or(|rest| is_set(inner.get_ref(), rest))),
        _ => true,
    }
}

/// Takes out what is at `path`.
pub(super) fn remove(table: &mut Table<'_>, path: &[&str]) {
    match path {
        [] => {}
        [last] => {
            table.remove(*last);
        }
        [first, rest @ ..] => {
            if let Some(DeValue::Table(inner)) = table.get_mut(*first).map(Spanned::get_mut) {
                remove(inner, rest);
            }
        }
    }
}
