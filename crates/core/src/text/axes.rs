//! The axes of a stage's matrix.
//!
//! A list is an axis over a parameter, `matrix.layer = ["fire5", "fire9"]`, or over a field in a
//! table, `matrix."optimiser.adam.learning_rate" = [0.1, 0.01]`. A table is an axis of named
//! values, each of which sets several parameters: `matrix.setting = { plain = {}, blurred = { … } }`.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeString, DeValue};

use super::diagnostic::Diagnostic;
use super::document::{self, Node, Table};
use super::overlay;
use super::source::Span;
use crate::cell::{Plain, is_name};
use crate::stage::kinds::Shape;

/// One axis of a matrix.
pub(crate) struct Axis<'a> {
    /// The parameter, the path of a field (`optimiser.adam.learning_rate`), or a name of its own.
    pub(crate) name: String,
    pub(crate) span: Span,
    pub(crate) values: Vec<AxisValue<'a>>,
}

/// One value of an axis.
pub(crate) struct AxisValue<'a> {
    /// What the cell's name says.
    pub(crate) coordinate: Value,
    pub(crate) sets: Sets<'a>,
}

/// What a value sets.
pub(crate) enum Sets<'a> {
    /// The parameter or field that the axis is called by.
    One(Node<'a>),
    /// These parameters: a named value.
    Several(Table<'a>),
}

impl Axis<'_> {
    /// The keys from the stage's table on, for an axis over a parameter or a field.
    pub(crate) fn path(&self) -> Vec<&str> {
        self.name.split('.').collect()
    }

    pub(crate) fn is_named(&self) -> bool {
        // All values of an axis are of one form.
        self.values.first().is_some_and(|value| matches!(value.sets, Sets::Several(_)))
    }
}

impl<'a> AxisValue<'a> {
    /// Puts the value into a stage's parameters.
    pub(crate) fn put(&self, axis: &Axis<'a>, parameters: &mut Table<'a>, shape: &Shape) {
        match &self.sets {
            Sets::One(node) => put(parameters, &axis.path(), &axis.span, node),
            Sets::Several(table) => {
                overlay::tables(parameters, table.clone(), Some(&shape.schema));
            }
        }
    }
}

fn put<'a>(table: &mut Table<'a>, path: &[&str], span: &Span, node: &Node<'a>) {
    let [first, rest @ ..] = path else { return };
    let key = || Spanned::new(span.clone(), (*first).to_owned().into());
    if rest.is_empty() {
        table.insert(key(), node.clone());
        return;
    }
    if !matches!(table.get(*first).map(Spanned::get_ref), Some(DeValue::Table(_))) {
        table.insert(key(), Spanned::new(span.clone(), DeValue::Table(Table::default())));
    }
    if let Some(DeValue::Table(inner)) = table.get_mut(*first).map(Spanned::get_mut) {
        put(inner, rest, span, node);
    }
}

/// Reads a matrix. Returns the axes, and the names of those that are wrong, which has been said.
///
/// `own` is what the stage says itself, without the defaults of its kind.
pub(super) fn read<'a>(
    matrix: Table<'a>,
    own: &Table<'_>,
    shape: Option<&Shape>,
    errors: &mut Vec<Diagnostic>,
) -> (Vec<Axis<'a>>, Vec<String>) {
    let (mut axes, mut bad) = (Vec::new(), Vec::new());
    for (key, values) in matrix {
        match axis(&key, values, shape, errors) {
            Some(axis) => axes.push(axis),
            None => bad.push(key.into_inner().into_owned()),
        }
    }
    let mut written = Vec::new();
    leaves(own, &mut Vec::new(), &mut written);
    let settings: Vec<_> = axes.iter().map(settings).collect();
    for (axis, settings) in axes.iter().zip(&settings) {
        both_parameter_and_axis(axis, settings, &written, errors);
    }
    both_axes(&axes, &settings, errors);
    (axes, bad)
}

fn axis<'a>(
    key: &Spanned<DeString<'a>>,
    values: Node<'a>,
    shape: Option<&Shape>,
    errors: &mut Vec<Diagnostic>,
) -> Option<Axis<'a>> {
    let name = key.get_ref().to_string();
    let span = values.span();
    let found = values.get_ref().type_str();
    let values = match values.into_inner() {
        DeValue::Array(items) => list(&name, items, errors),
        DeValue::Table(names) => named(&name, &key.span(), names, shape, errors)?,
        _ => {
            let message = format!("axis `{name}`: expected a list of values, found {found}");
            errors.push(Diagnostic::new(message, span).label("expected a list"));
            return None;
        }
    };
    if values.is_empty() {
        let message = format!("axis `{name}` has no values");
        errors.push(Diagnostic::new(message, span).label("expected at least one value"));
        return None;
    }
    Some(Axis { name, span: key.span(), values })
}

fn list<'a>(
    axis: &str,
    items: impl IntoIterator<Item = Node<'a>>,
    errors: &mut Vec<Diagnostic>,
) -> Vec<AxisValue<'a>> {
    let mut values: Vec<AxisValue<'a>> = Vec::new();
    // By what cells, folders and logs are called by.
    let mut known: BTreeMap<String, (usize, Span)> = BTreeMap::new();
    for item in items {
        let coordinate = document::to_json(&item, errors);
        match known.entry(Plain(&coordinate).to_string()) {
            Entry::Vacant(free) => {
                free.insert((values.len(), item.span()));
                values.push(AxisValue { coordinate, sets: Sets::One(item) });
            }
            Entry::Occupied(taken) => {
                let (place, span) = taken.get();
                let message = if values[*place].coordinate == coordinate {
                    format!("axis `{axis}` has this value twice")
                } else {
                    format!("axis `{axis}` has two values that are written `{}`", taken.key())
                };
                errors.push(
                    Diagnostic::new(message, item.span()).note("the other one", span.clone()),
                );
            }
        }
    }
    values
}

fn named<'a>(
    axis: &str,
    span: &Span,
    names: Table<'a>,
    shape: Option<&Shape>,
    errors: &mut Vec<Diagnostic>,
) -> Option<Vec<AxisValue<'a>>> {
    if shape.is_some_and(|shape| shape.keys.iter().any(|key| key == axis)) {
        let message = format!("axis `{axis}` is a parameter: expected a list of its values");
        errors.push(Diagnostic::new(message, span.clone()).help(
            "an axis of named values, each of which sets several parameters, has a name of its own",
        ));
        return None;
    }
    let mut values = Vec::new();
    let before = errors.len();
    for (name, value) in names {
        if !is_name(name.get_ref()) {
            let message =
                format!("value `{}`: expected letters, digits, `-` and `_`", name.get_ref());
            errors.push(Diagnostic::new(message, name.span()));
        }
        let (place, found) = (value.span(), value.get_ref().type_str());
        let DeValue::Table(parameters) = value.into_inner() else {
            let name = name.get_ref();
            let message = format!(
                "value `{name}` of axis `{axis}`: expected a table of parameters, found {found}"
            );
            errors.push(Diagnostic::new(message, place).label("expected a table"));
            continue;
        };
        for (_, node) in parameters.iter() {
            document::to_json(node, errors);
        }
        let coordinate = Value::from(name.into_inner().into_owned());
        values.push(AxisValue { coordinate, sets: Sets::Several(parameters) });
    }
    (errors.len() == before).then_some(values)
}

/// A path from the stage's table on, and where it is set.
type Setting = (Vec<String>, Span);

/// What the axis sets, once for each value of a named axis.
fn settings(axis: &Axis<'_>) -> Vec<Setting> {
    let mut paths = Vec::new();
    for value in &axis.values {
        match &value.sets {
            Sets::Several(table) => leaves(table, &mut Vec::new(), &mut paths),
            Sets::One(_) => {
                let path = axis.path().into_iter().map(str::to_owned).collect();
                return vec![(path, axis.span.clone())];
            }
        }
    }
    paths
}

fn leaves(table: &Table<'_>, path: &mut Vec<String>, found: &mut Vec<Setting>) {
    for (key, node) in table {
        path.push(key.get_ref().to_string());
        match node.get_ref() {
            DeValue::Table(inner) => leaves(inner, path, found),
            _ => found.push((path.clone(), key.span())),
        }
        path.pop();
    }
}

/// A parameter that the stage sets and an axis sets in every cell would never be used.
fn both_parameter_and_axis(
    axis: &Axis<'_>,
    settings: &[Setting],
    written: &[Setting],
    errors: &mut Vec<Diagnostic>,
) {
    // How often each path is set, and each that a longer one is set below.
    let (mut set, mut above) = (BTreeMap::new(), BTreeMap::new());
    for (path, _) in settings {
        *set.entry(path.as_slice()).or_insert(0) += 1;
        for length in 1..path.len() {
            *above.entry(&path[..length]).or_insert(0) += 1;
        }
    }
    let count = |counts: &BTreeMap<&[String], usize>, path: &[String]| {
        counts.get(path).copied().unwrap_or_default()
    };
    for (path, place) in written {
        let mut covered: usize = (1..=path.len()).map(|length| count(&set, &path[..length])).sum();
        if !axis.is_named() {
            covered += count(&above, path);
        }
        let name = path.join(".");
        if axis.is_named() && covered == axis.values.len() {
            errors.push(
                Diagnostic::new(
                    format!(
                        "every value of axis `{}` sets `{name}`, so this is never used",
                        axis.name
                    ),
                    place.clone(),
                )
                .help("leave it out here or in one of the axis' values"),
            );
        } else if !axis.is_named() && covered > 0 {
            errors.push(
                Diagnostic::new(
                    format!("`{}` is both a parameter and an axis", axis.name),
                    axis.span.clone(),
                )
                .note("the parameter", place.clone())
                .help("keep one of them"),
            );
            return;
        }
    }
}

/// Two axes that set the same, or of which one sets a field of what the other sets.
fn both_axes(axes: &[Axis<'_>], settings: &[Vec<Setting>], errors: &mut Vec<Diagnostic>) {
    // The first axis that sets each path, and the first that sets something below it.
    let mut set: BTreeMap<&[String], (usize, &Span)> = BTreeMap::new();
    let mut below: BTreeMap<&[String], (usize, &Span)> = BTreeMap::new();
    for (number, (axis, settings)) in axes.iter().zip(settings).enumerate() {
        let conflict = settings.iter().find_map(|(path, place)| {
            let above = (1..=path.len()).find_map(|length| set.get(&path[..length]));
            above.or_else(|| below.get(path.as_slice())).map(|first| (path, place, *first))
        });
        if let Some((path, place, (earlier, first))) = conflict {
            let (one, path) = (&axes[earlier].name, path.join("."));
            let message = format!("axes `{one}` and `{}` both set `{path}`", axis.name);
            errors
                .push(Diagnostic::new(message, place.clone()).note("set here, too", first.clone()));
        }
        for (path, place) in settings {
            set.entry(path).or_insert((number, place));
            for length in 1..path.len() {
                below.entry(&path[..length]).or_insert((number, place));
            }
        }
    }
}
