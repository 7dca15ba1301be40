//! The tables of a pipeline file: head, variables, profiles, stages.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::Value;
use toml::Spanned;
use toml::de::DeValue;

use super::diagnostic::Diagnostic;
use super::document::{self, Node, Table};
use super::source::{Sources, Span};
use super::words;
use crate::cell::is_name;
use crate::plan::LoadOptions;
use crate::stage::kinds::{Kinds, Shape, Shapes};

/// Keys of a stage that belong to the engine; no kind has a parameter of these names.
pub const RESERVED: [&str; 5] = ["kind", "matrix", "seed", "resources", "description"];

const TOP: [&str; 6] = ["name", "description", "seed", "vars", "stage", "profile"];
const PROFILE: [&str; 5] = ["description", "extends", "seed", "vars", "stage"];

/// A pipeline with its overrides laid over, not yet expanded.
pub(crate) struct Pipeline<'a> {
    pub(crate) name: Option<(String, Span)>,
    pub(crate) description: String,
    pub(crate) stages: Vec<StageTable<'a>>,
}

/// The table of one stage.
pub(crate) struct StageTable<'a> {
    pub(crate) name: String,
    /// The name in the stage's header.
    pub(crate) header: Span,
    /// `None` where the kind is missing or unknown, which has been said.
    pub(crate) shape: Option<Rc<Shape>>,
    pub(crate) axes: Vec<Axis<'a>>,
    /// Names of axes whose values are wrong, which has been said.
    pub(crate) bad_axes: Vec<String>,
    /// Seed of the pipeline or of the stage.
    pub(crate) seed: u64,
    pub(crate) resources: Vec<(String, Node<'a>)>,
    /// The kind's own parameters.
    pub(crate) parameters: Table<'a>,
    /// The variables that were put in: where, which, and where it is set.
    pub(crate) variables: Rc<Vec<(Span, String, Span)>>,
}

/// One axis of a matrix.
pub(crate) struct Axis<'a> {
    pub(crate) name: String,
    pub(crate) span: Span,
    pub(crate) values: Vec<(Value, Node<'a>)>,
}

/// Reads the texts; what is wrong goes to `errors`.
pub(crate) fn read<'a>(
    sources: &'a Sources,
    options: &LoadOptions,
    kinds: &Kinds,
    errors: &mut Vec<Diagnostic>,
) -> Option<Pipeline<'a>> {
    let mut tables = sources
        .texts()
        .map(|text| document::parse(&text.text, text.start(), errors))
        .collect::<Vec<_>>()
        .into_iter();
    let mut root = tables.next()??;
    let sets: Vec<_> = tables.collect::<Option<_>>()?;
    unknown_keys(&root, &TOP, "key of a pipeline", errors);
    let profiles = take_table(&mut root, "profile", errors).unwrap_or_default();
    check_profiles(&root, &profiles, errors);
    for name in &options.profiles {
        lay_over(&mut root, &profiles, name, None, &mut Vec::new(), errors);
    }
    for mut set in sets {
        check_override(&root, &set, &TOP[..5], errors);
        drop_unknown_stages(&root, &mut set);
        document::overlay(&mut root, set, &[]);
    }

    let vars = take_table(&mut root, "vars", errors).unwrap_or_default();
    let vars: BTreeMap<_, _> =
        vars.into_iter().map(|(name, value)| (name.into_inner().into_owned(), value)).collect();
    let mut variables = Vec::new();
    for (key, value) in root.iter_mut() {
        if key.get_ref() != "name" && key.get_ref() != "description" {
            document::substitute(value, &vars, &mut variables, errors);
        }
    }
    let variables = Rc::new(variables);

    let name_span = root.get("name").map_or(0..0, Spanned::span);
    let name = take_string(&mut root, "name", errors).map(|name| (name, name_span));
    let description = take_string(&mut root, "description", errors).unwrap_or_default();
    let seed = root.remove("seed").map_or(0, |node| seed(&node, errors));
    let stages = take_table(&mut root, "stage", errors).unwrap_or_default();
    if stages.is_empty() && errors.is_empty() {
        errors.push(
            Diagnostic::new("a pipeline needs at least one stage", None)
                .help("add a table such as [stage.data] with a `kind`"),
        );
    }
    let shapes = Shapes::default();
    let stages = stages
        .into_iter()
        .filter_map(|(key, value)| {
            let header = key.span();
            let name = key.into_inner().into_owned();
            stage(name, header, value, seed, kinds, &shapes, Rc::clone(&variables), errors)
        })
        .collect();
    Some(Pipeline { name, description, stages })
}

#[allow(clippy::too_many_arguments, reason = "one call; a struct would only rename them")]
fn stage<'a>(
    name: String,
    header: Span,
    value: Node<'a>,
    pipeline_seed: u64,
    kinds: &Kinds,
    shapes: &Shapes,
    variables: Rc<Vec<(Span, String, Span)>>,
    errors: &mut Vec<Diagnostic>,
) -> Option<StageTable<'a>> {
    if !is_name(&name) {
        let message = format!("stage name `{name}`: expected letters, digits, `-` and `_`");
        errors.push(Diagnostic::new(message, header.clone()));
    }
    let DeValue::Table(mut parameters) = value.into_inner() else {
        let message = format!("stage `{name}`: expected a table: [stage.{name}]");
        errors.push(Diagnostic::new(message, header));
        return None;
    };
    let shape = match parameters.remove("kind") {
        None => {
            errors.push(
                Diagnostic::new(format!("stage `{name}` has no `kind`"), header.clone())
                    .label("expected `kind = \"…\"`")
                    .help("`sconce kinds` lists all kinds"),
            );
            None
        }
        Some(node) => match node.get_ref().as_str() {
            None => {
                errors.push(words::diagnose(
                    "kind",
                    &format!("invalid type: {}, expected a string", node.get_ref().type_str()),
                    node.span(),
                ));
                None
            }
            Some(kind) => match kinds.get(kind) {
                Some(kind) => Some(shapes.of(kind)),
                None => {
                    errors.push(
                        Diagnostic::new(format!("unknown kind `{kind}`"), node.span())
                            .did_you_mean(kind, kinds.names(), "kinds"),
                    );
                    None
                }
            },
        },
    };
    parameters.remove("description");
    let own_seed = parameters.remove("seed");
    if let (Some(node), Some(shape)) = (&own_seed, &shape)
        && !shape.kind.seeded
    {
        let message = format!("kind `{}` takes no seed: nothing in it is random", shape.kind.name);
        errors.push(Diagnostic::new(message, node.span()));
    }
    let seed = own_seed.map_or(pipeline_seed, |node| seed(&node, errors));
    let resources = take_table(&mut parameters, "resources", errors).unwrap_or_default();
    let resources =
        resources.into_iter().map(|(key, value)| (key.into_inner().into_owned(), value)).collect();
    let matrix = take_table(&mut parameters, "matrix", errors).unwrap_or_default();
    let (mut axes, mut bad_axes) = (Vec::new(), Vec::new());
    for (key, values) in matrix {
        match axis(&key, values, &parameters, errors) {
            Some(axis) => axes.push(axis),
            None => bad_axes.push(key.into_inner().into_owned()),
        }
    }
    for (_, node) in parameters.iter() {
        document::to_json(node, errors);
    }
    Some(StageTable { name, header, shape, axes, bad_axes, seed, resources, parameters, variables })
}

fn axis<'a>(
    key: &Spanned<toml::de::DeString<'a>>,
    values: Node<'a>,
    parameters: &Table<'_>,
    errors: &mut Vec<Diagnostic>,
) -> Option<Axis<'a>> {
    let name = key.get_ref().to_string();
    let span = values.span();
    if let Some((parameter, _)) = document::entry(parameters, &name) {
        errors.push(
            Diagnostic::new(format!("`{name}` is both a parameter and an axis"), key.span())
                .note("the parameter", parameter)
                .help("keep one of them"),
        );
    }
    let found = values.get_ref().type_str();
    let DeValue::Array(items) = values.into_inner() else {
        let message = format!("axis `{name}`: expected a list of values, found {found}");
        errors.push(Diagnostic::new(message, span).label("expected a list"));
        return None;
    };
    if items.is_empty() {
        let message = format!("axis `{name}` has no values");
        errors.push(Diagnostic::new(message, span).label("expected at least one value"));
        return None;
    }
    let mut list: Vec<(Value, Node<'a>)> = Vec::new();
    for item in items {
        let value = document::to_json(&item, errors);
        if list.iter().any(|(other, _)| *other == value) {
            let message = format!("axis `{name}` has this value twice");
            errors.push(Diagnostic::new(message, item.span()));
        } else {
            list.push((value, item));
        }
    }
    Some(Axis { name, span: key.span(), values: list })
}

/// Lays profile `name` over the pipeline, after the one that it extends.
fn lay_over<'a>(
    root: &mut Table<'a>,
    profiles: &Table<'a>,
    name: &str,
    span: Option<Span>,
    within: &mut Vec<String>,
    errors: &mut Vec<Diagnostic>,
) {
    let Some(DeValue::Table(profile)) = profiles.get(name).map(Spanned::get_ref) else {
        // One that is no table has been said.
        if !profiles.contains_key(name) {
            let known = profiles.keys().map(|key| &**key.get_ref());
            errors.push(
                Diagnostic::new(format!("there is no profile `{name}`"), span)
                    .did_you_mean(name, known, "profiles"),
            );
        }
        return;
    };
    within.push(name.to_owned());
    if let Some(node) = profile.get("extends") {
        match node.get_ref().as_str() {
            Some(other) if within.iter().any(|outer| outer == other) => {
                errors.push(Diagnostic::new(
                    format!(
                        "profiles extend each other in a circle: {} → {other}",
                        within.join(" → ")
                    ),
                    node.span(),
                ))
            }
            Some(other) => lay_over(root, profiles, other, Some(node.span()), within, errors),
            None => errors.push(words::diagnose(
                "extends",
                &format!("invalid type: {}, expected a string", node.get_ref().type_str()),
                node.span(),
            )),
        }
    }
    let mut profile = profile.clone();
    profile.remove("description");
    profile.remove("extends");
    drop_unknown_stages(root, &mut profile);
    document::overlay(root, profile, &[]);
}

/// A profile's keys, its stages and variables are checked even when it is not in use.
fn check_profiles(root: &Table<'_>, profiles: &Table<'_>, errors: &mut Vec<Diagnostic>) {
    for (name, profile) in profiles {
        match profile.get_ref() {
            DeValue::Table(profile) => check_override(root, profile, &PROFILE, errors),
            other => {
                let found = other.type_str();
                let message =
                    format!("profile `{}`: expected a table, found {found}", name.get_ref());
                errors.push(Diagnostic::new(message, profile.span()));
            }
        }
    }
}

/// Overrides must name what is there.
fn check_override(root: &Table<'_>, over: &Table<'_>, keys: &[&str], errors: &mut Vec<Diagnostic>) {
    unknown_keys(over, keys, "key of an override", errors);
    let names = |key: &str| match root.get(key).map(Spanned::get_ref) {
        Some(DeValue::Table(table)) => {
            table.keys().map(|name| name.get_ref().to_string()).collect()
        }
        _ => Vec::new(),
    };
    for (section, what) in [("stage", "stage"), ("vars", "variable")] {
        let Some(DeValue::Table(entries)) = over.get(section).map(Spanned::get_ref) else {
            continue;
        };
        let known: Vec<String> = names(section);
        for (name, entry) in entries {
            // A profile may bring a stage of its own, which then has a kind.
            let own = section == "stage" && entry.get_ref().get("kind").is_some();
            if !own && known.iter().all(|known| known != name.get_ref()) {
                let message = format!("there is no {what} `{}`", name.get_ref());
                errors.push(Diagnostic::new(message, name.span()).did_you_mean(
                    name.get_ref(),
                    known.iter().map(String::as_str),
                    &format!("{what}s"),
                ));
            }
        }
    }
}

/// Overrides of stages that are not there have been said; they do not become stages.
fn drop_unknown_stages(root: &Table<'_>, over: &mut Table<'_>) {
    let known = root.get("stage").map(Spanned::get_ref);
    let Some(DeValue::Table(stages)) = over.get_mut("stage").map(Spanned::get_mut) else {
        return;
    };
    let unknown: Vec<String> = stages
        .iter()
        .filter(|(name, stage)| {
            let name: &str = name.get_ref();
            known.and_then(|known| known.get(name)).is_none()
                && stage.get_ref().get("kind").is_none()
        })
        .map(|(name, _)| name.get_ref().to_string())
        .collect();
    for name in unknown {
        stages.remove(name.as_str());
    }
}

fn unknown_keys(table: &Table<'_>, known: &[&str], what: &str, errors: &mut Vec<Diagnostic>) {
    for key in table.keys() {
        let name = &**key.get_ref();
        if !known.contains(&name) {
            errors.push(
                Diagnostic::new(format!("`{name}` is no {what}"), key.span()).did_you_mean(
                    name,
                    known.iter().copied(),
                    "known keys",
                ),
            );
        }
    }
}

fn take_table<'a>(
    table: &mut Table<'a>,
    key: &str,
    errors: &mut Vec<Diagnostic>,
) -> Option<Table<'a>> {
    let node = table.remove(key)?;
    let (span, found) = (node.span(), node.get_ref().type_str());
    match node.into_inner() {
        DeValue::Table(table) => Some(table),
        _ => {
            let message = format!("`{key}`: expected a table, found {found}");
            errors.push(Diagnostic::new(message, span).label("expected a table"));
            None
        }
    }
}

fn take_string(table: &mut Table<'_>, key: &str, errors: &mut Vec<Diagnostic>) -> Option<String> {
    let node = table.remove(key)?;
    match node.get_ref().as_str() {
        Some(text) => Some(text.to_owned()),
        None => {
            let found = node.get_ref().type_str();
            let message = format!("`{key}`: expected a string, found {found}");
            errors.push(Diagnostic::new(message, node.span()).label("expected a string"));
            None
        }
    }
}

/// A seed: a whole number, 0 or more, small enough for every JSON reader.
pub(crate) fn seed(node: &Node<'_>, errors: &mut Vec<Diagnostic>) -> u64 {
    let value = document::to_json(node, &mut Vec::new());
    match value.as_u64().filter(|seed| *seed < 1 << 53) {
        Some(seed) => seed,
        None => {
            let message = "`seed`: expected a whole number from 0 to 2^53 - 1";
            errors.push(Diagnostic::new(message, node.span()));
            0
        }
    }
}
