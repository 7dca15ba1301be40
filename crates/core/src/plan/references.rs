//! What the places in texts refer to: `{maps.smoothgrad.samples}`, `{lenet.accuracy:.1%}`.
//!
//! Parameters, variables and seeds are put in when the file is planned, so that they are part of
//! the key as the text that is shown. A metric becomes an input of the cell, keyed by content, and
//! is put in when the cell runs.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::Value;

use crate::plan::edge::Edge;
use crate::stage::METRICS;
use crate::stage::kinds::Shape;
use crate::text::diagnostic::Diagnostic;
use crate::text::reference::{Name, Reference};

/// What texts can refer to.
pub(crate) struct Scope {
    /// Shapes of the stages by name; `None` for a kind that is wrong, which has been said.
    pub(crate) stages: BTreeMap<String, Option<Rc<Shape>>>,
    pub(crate) variables: BTreeMap<String, Value>,
}

/// What a place refers to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Meaning {
    /// The seed of the cell's stage.
    Seed,
    /// A variable's value.
    Variable(Value),
    /// A parameter of the cell itself.
    Own(Vec<String>),
    /// A parameter of these cells.
    Parameter {
        /// Which cells.
        edge: Edge,
        /// The keys to it.
        path: Vec<String>,
    },
    /// A metric of this cell.
    Metric {
        /// The cell and its output.
        edge: Edge,
        /// The same as a text refers to it: `svm[c=1].metrics`.
        from: String,
        /// The metric's name.
        name: String,
    },
}

impl Scope {
    /// What `reference` means in a text of a stage of shape `own`; `None` where the stage's kind is
    /// wrong, which has been said. The diagnostic has no place yet.
    pub(crate) fn meaning(
        &self,
        own: &Shape,
        reference: &Reference,
    ) -> Result<Option<Meaning>, Diagnostic> {
        let (path, select) = match &reference.name {
            Name::Variable(name) => {
                let value = self.variables.get(name).cloned().ok_or_else(|| {
                    wrong(format!("there is no variable `{name}`")).did_you_mean(
                        name,
                        self.variables.keys().map(String::as_str),
                        "variables",
                    )
                })?;
                return Ok(Some(Meaning::Variable(value)));
            }
            Name::Path { path, select } => (path.as_slice(), select.as_deref()),
        };
        let [first, rest @ ..] = path else { return Ok(None) };
        if let ("this", [parameter, ..]) = (first.as_str(), rest) {
            return match is_parameter(own, parameter) {
                true => own_value(own, rest).map(Some),
                false => Err(no_parameter(own, parameter)),
            };
        }
        let is_stage = self.stages.contains_key(first);
        if select.is_none() && first == "seed" && rest.is_empty() {
            return Ok(Some(Meaning::Seed));
        }
        if select.is_none() && is_parameter(own, first) {
            if is_stage && !rest.is_empty() {
                return Err(wrong(format!(
                    "`{first}` is a stage and a parameter of kind `{}`",
                    own.kind.name
                ))
                .help(format!("write `{{this.{}}}` for the parameter", path.join(".")))
                .help("give the stage another name to refer to it"));
            }
            return own_value(own, path).map(Some);
        }
        if !is_stage {
            let own = own.keys.iter().filter(|key| is_parameter(own, key)).map(String::as_str);
            let known = self.stages.keys().map(String::as_str);
            let what = if rest.is_empty() { "parameter" } else { "stage or parameter" };
            let known: Vec<&str> = match rest.is_empty() {
                true => own.chain(["seed"]).collect(),
                false => known.chain(own).collect(),
            };
            return Err(wrong(format!("there is no {what} `{first}`")).did_you_mean(
                first,
                known,
                "there are",
            ));
        }
        match self.stages.get(first) {
            Some(Some(shape)) => behind(first, shape, select, rest).map(Some),
            _ => Ok(None),
        }
    }
}

fn own_value(own: &Shape, path: &[String]) -> Result<Meaning, Diagnostic> {
    no_text(own, path.first().map_or("", String::as_str))?;
    Ok(Meaning::Own(path.to_vec()))
}

/// A text may hold references itself; none is put into another.
fn no_text(shape: &Shape, parameter: &str) -> Result<(), Diagnostic> {
    match shape.texts.iter().any(|text| text == parameter) {
        true => Err(wrong(format!("`{parameter}` is a text itself, and cannot be put into one"))),
        false => Ok(()),
    }
}

/// What `rest` is of stage `stage`.
fn behind(
    stage: &str,
    shape: &Shape,
    select: Option<&str>,
    rest: &[String],
) -> Result<Meaning, Diagnostic> {
    let kind = shape.kind.name;
    let edge = |output: Option<&str>| {
        let output = output.map(|output| format!(".{output}")).unwrap_or_default();
        let select = select.map(|select| format!("[{select}]")).unwrap_or_default();
        match Edge::parse(&format!("{stage}{output}{select}")) {
            Ok(edge) if !edge.gathers() => Ok(edge),
            Ok(_) => Err(wrong(format!("expected one cell of stage `{stage}`, found several"))),
            Err(expected) => Err(wrong(expected)),
        }
    };
    let metric = |output: &str, name: &str| {
        let declared = shape.kind.outputs.iter().find(|declared| declared.name == *output);
        if let Some(declared) = declared.filter(|declared| !declared.may_hold(name)) {
            let known = declared.numbers.iter().copied();
            return Err(wrong(format!("`{stage}.{output}` has no number `{name}`"))
                .did_you_mean(name, known, "numbers"));
        }
        let select = select.map(|select| format!("[{select}]")).unwrap_or_default();
        Ok(Meaning::Metric {
            edge: edge(Some(output))?,
            from: format!("{stage}{select}.{output}"),
            name: name.to_owned(),
        })
    };
    let Some(second) = rest.first() else {
        return Err(wrong(format!(
            "`{stage}` is a stage: expected what of it, such as `{{{stage}.NAME}}`"
        ))
        .did_you_mean("", parameters(shape), "parameters"));
    };
    let metrics: Vec<&str> = shape
        .kind
        .outputs
        .iter()
        .filter(|output| output.artifact == METRICS)
        .map(|output| &*output.name)
        .collect();
    let is_output = metrics.contains(&second.as_str());
    if is_output && is_parameter(shape, second) {
        return Err(wrong(format!(
            "`{second}` is a parameter and an output of kind `{kind}`: neither can be referred to"
        )));
    }
    match (is_output, rest) {
        (true, [output, name]) => {
            return metric(output, name);
        }
        (true, _) => {
            return Err(wrong(format!(
                "expected a metric of `{stage}.{second}`, such as `{{{stage}.{second}.accuracy}}`"
            )));
        }
        _ if is_parameter(shape, second) => {
            no_text(shape, second)?;
            return Ok(Meaning::Parameter { edge: edge(None)?, path: rest.to_vec() });
        }
        _ => {}
    }
    match (metrics.as_slice(), rest) {
        ([output], [name]) if is_declared(shape, output, name) => metric(output, name),
        // A slip of the pen in a parameter's name shall not wait for the run to be found.
        ([output], [name])
            if is_slot(shape, name) || crate::text::closest(name, &parameters(shape)).is_some() =>
        {
            Err(no_parameter(shape, name)
                .help(format!("a metric of this name is `{{{stage}.{output}.{name}}}`")))
        }
        ([output], [name]) => metric(output, name),
        ([_, _, ..], [name]) => {
            let names: Vec<_> =
                metrics.iter().map(|output| format!("`{{{stage}.{output}.{name}}}`")).collect();
            Err(wrong(format!("stage `{stage}` has several outputs with metrics"))
                .help(format!("name one: {}", names.join(" or "))))
        }
        _ => Err(no_parameter(shape, second)),
    }
}

/// Whether an output says that it holds a number of this name.
fn is_declared(shape: &Shape, output: &str, number: &str) -> bool {
    let declared = shape.kind.outputs.iter().find(|declared| declared.name == *output);
    declared.is_some_and(|declared| !declared.numbers.is_empty() && declared.may_hold(number))
}

/// The value at `path` of a cell's parameters.
pub(crate) fn value<'v>(parameters: &'v Value, path: &[String]) -> Result<&'v Value, Diagnostic> {
    let mut value = parameters;
    for (place, key) in path.iter().enumerate() {
        let so_far = path[..place].join(".");
        value = match value {
            Value::Object(entries) => entries.get(key).ok_or_else(|| {
                let message = if place == 0 {
                    format!("`{key}` is not set")
                } else {
                    format!("`{so_far}` has no `{key}`")
                };
                wrong(message).did_you_mean(key, entries.keys().map(String::as_str), "it has")
            })?,
            Value::Null => return Err(wrong(format!("`{so_far}` is not set"))),
            other => {
                let message = format!("`{so_far}` is no table, but {other}");
                return Err(wrong(message));
            }
        };
    }
    Ok(value)
}

fn wrong(message: String) -> Diagnostic {
    Diagnostic::new(message, None)
}

fn is_parameter(shape: &Shape, name: &str) -> bool {
    shape.keys.iter().any(|key| key == name) && !is_slot(shape, name)
}

fn is_slot(shape: &Shape, name: &str) -> bool {
    shape.slots.iter().any(|slot| slot.key == name)
}

fn parameters(shape: &Shape) -> Vec<&str> {
    shape.keys.iter().filter(|key| is_parameter(shape, key)).map(String::as_str).collect()
}

fn no_parameter(shape: &Shape, name: &str) -> Diagnostic {
    let message = match is_slot(shape, name) {
        true => format!("`{name}` is an input of kind `{}`, and no parameter", shape.kind.name),
        false => format!("kind `{}` has no parameter `{name}`", shape.kind.name),
    };
    wrong(message).did_you_mean(name, parameters(shape), "parameters")
}
