//! Settings of the command line: one value, `stage.svm.c=10`, or several, `stage.svm.c=1,10,100`.
//!
//! Several values put an axis on the stage, as if `matrix.c = [1, 10, 100]` stood in the file: the
//! cells are those of the file written by hand, and so are their keys. A list in brackets is one
//! value, `stage.table.over=[1, 2]`, and `[1],[2]` are two. What could be both one text and several
//! values, or one list and several values, is refused.

use std::ops::Range;

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeArray, DeString, DeValue};

use super::diagnostic::Diagnostic;
use super::document::{self, Node, Table};
use super::overlay;
use super::source::Span;
use crate::stage::kinds::{Kinds, Shapes};

/// A setting, ready to be laid over the file.
pub(super) struct Setting<'a> {
    pub(super) table: Table<'a>,
    /// Where it gives a stage's parameter several values.
    several: Option<Several>,
}

/// Several values of one parameter.
struct Several {
    stage: String,
    /// The keys from the stage's table on.
    path: Vec<String>,
    /// Where the values are, and whether each is a list.
    values: Vec<(Span, bool)>,
}

/// The text of a setting as it is parsed: a bare word is a text, `stage.features.layer=fire9`.
pub(super) fn text(setting: &str) -> Result<String, Diagnostic> {
    let Some((path, value)) = setting.split_once('=') else {
        let message = format!("`--set {setting}`: expected `path=value`, such as `stage.svm.c=10`");
        return Err(Diagnostic::new(message, None));
    };
    if Table::parse(setting).is_ok() || pieces(value).len() > 1 {
        return Ok(setting.to_owned());
    }
    Ok(format!("{path} = {}", Value::from(value.trim())))
}

/// Reads the text of a setting, which begins at `start` of all texts.
pub(super) fn parse<'a>(
    text: &'a str,
    start: usize,
    errors: &mut Vec<Diagnostic>,
) -> Option<Setting<'a>> {
    let several = match text.split_once('=') {
        Some((path, values)) if Table::parse(text).is_err() && pieces(values).len() > 1 => {
            Some((path, values))
        }
        _ => None,
    };
    let Some((path, values)) = several else {
        let table = document::parse(text, start, errors)?;
        return Some(Setting { table, several: None });
    };
    let at = start + path.len() + 1;
    let keys = keys(path, start, errors)?;
    let place = at..at + values.len();
    let (stage, rest) = match keys.as_slice() {
        [first, stage, rest @ ..] if first.0 == "stage" && !rest.is_empty() => (stage, rest),
        _ => {
            errors.push(no_parameter(&keys, place));
            return None;
        }
    };
    let axis = match rest {
        [matrix, axis] if matrix.0 == "matrix" => std::slice::from_ref(axis),
        [one, ..]
            if matches!(
                one.0.as_str(),
                "kind" | "matrix" | "resources" | "executor" | "description" | "unset"
            ) =>
        {
            let message = format!("`{}` is no parameter, and cannot have several values", one.0);
            errors.push(Diagnostic::new(message, place).label("several values"));
            return None;
        }
        parameter => parameter,
    };
    let nodes = nodes(values, at, errors)?;
    let is_list = |node: &Node<'_>| matches!(node.get_ref(), DeValue::Array(_));
    let found = nodes.iter().map(|node| (node.span(), is_list(node))).collect();
    let mut list = DeArray::new();
    nodes.into_iter().for_each(|node| list.push(node));
    let name = axis.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>().join(".");
    let span = match axis {
        [first, .., last] => first.1.start..last.1.end,
        [one] => one.1.clone(),
        [] => place.clone(),
    };
    let mut value = Spanned::new(place, DeValue::Array(list));
    let outer = [
        (name, span.clone()),
        ("matrix".to_owned(), span),
        stage.clone(),
        ("stage".to_owned(), stage.1.clone()),
    ];
    let mut table = Table::default();
    for (name, span) in outer {
        let key: Spanned<DeString<'_>> = Spanned::new(span.clone(), name.into());
        let mut inner = Table::default();
        inner.insert(key, value);
        table = inner.clone();
        value = Spanned::new(span, DeValue::Table(inner));
    }
    let path = axis.iter().map(|(key, _)| key.clone()).collect();
    let several = Several { stage: stage.0.clone(), path, values: found };
    Some(Setting { table, several: Some(several) })
}

impl Setting<'_> {
    /// Says where several values could as well be one list, which the stage's kind takes there.
    /// `root` is the file with all layers below this one.
    pub(super) fn is_clear(
        &self,
        root: &Table<'_>,
        kinds: &Kinds,
        shapes: &Shapes,
        errors: &mut Vec<Diagnostic>,
    ) -> bool {
        let Some(several) = &self.several else { return true };
        let stage = root.get("stage").and_then(|all| all.get_ref().get(several.stage.as_str()));
        let kind = stage.and_then(|stage| stage.get_ref().get("kind")?.get_ref().as_str());
        let Some(kind) = kind.and_then(|kind| kinds.get(kind)) else { return true };
        let shape = shapes.of(kind);
        let schema = several
            .path
            .iter()
            .try_fold(&shape.schema, |schema, name| overlay::field(schema, name));
        if !schema.is_some_and(takes_list) {
            return true;
        }
        let Some((place, _)) = several.values.iter().find(|(_, is_list)| !is_list) else {
            return true;
        };
        let name = several.path.join(".");
        errors.push(
            Diagnostic::new(
                format!("`{name}` takes a list: this could be one list or several values"),
                place.clone(),
            )
            .label("expected a list")
            .help(format!("one list: {name}=[a, b]; several values: {name}=[a],[b]")),
        );
        false
    }
}

fn no_parameter(keys: &[(String, Span)], place: Span) -> Diagnostic {
    let first = keys.first().map_or("", |(key, _)| key.as_str());
    let message = match (first, keys) {
        ("vars", [_, (name, _), ..]) => {
            format!("variable `{name}` may stand in several stages: it cannot have several values")
        }
        ("stage", _) => "several values need a parameter of a stage".to_owned(),
        _ => format!("`{first}` holds for the whole file: it cannot have several values"),
    };
    Diagnostic::new(message, place)
        .label("several values")
        .help("several values put an axis on a stage: `stage.NAME.PARAMETER=1,2`")
        .help("a text with a comma stands in quotes: 'PATH=\"a, b\"'")
}

/// The keys of a path, from the outermost on, with their places.
fn keys(path: &str, start: usize, errors: &mut Vec<Diagnostic>) -> Option<Vec<(String, Span)>> {
    let text = format!("{path}=0");
    let mut table = document::parse(&text, start, errors)?;
    let mut keys = Vec::new();
    loop {
        let (key, node) = table.into_iter().next()?;
        let span = key.span();
        keys.push((key.into_inner().into_owned(), span));
        match node.into_inner() {
            DeValue::Table(inner) => table = inner,
            _ => return Some(keys),
        }
    }
}

/// The values that stand between commas; they begin at `at` of all texts.
fn nodes<'a>(values: &'a str, at: usize, errors: &mut Vec<Diagnostic>) -> Option<Vec<Node<'a>>> {
    let before = errors.len();
    let mut nodes = Vec::new();
    for piece in pieces(values) {
        let written = values[piece.clone()].trim();
        let space = values[piece.clone()].len() - values[piece.clone()].trim_start().len();
        let start = piece.start + space;
        let span = at + start..at + start + written.len();
        if written.is_empty() {
            let place = at + piece.start..at + piece.end;
            errors.push(Diagnostic::new("expected a value beside the comma", place));
            continue;
        }
        if let Ok(node) = DeValue::parse(written) {
            nodes.push(document::shift_node(node, span.start));
            continue;
        }
        let is_word = |c: char| c.is_alphanumeric() || "-_+./:$*%@~|=[]".contains(c);
        let spaced = written.len() != piece.len();
        if written.chars().all(is_word) && !spaced {
            nodes.push(Spanned::new(span, DeValue::String(written.into())));
            continue;
        }
        errors.push(
            Diagnostic::new("this could be one text with a comma or several values", span)
                .label("in quotes?")
                .help(format!("one text: 'PATH={}'", Value::from(values.trim())))
                .help("several: 'PATH=\"a b\",\"c\"', each in quotes"),
        );
    }
    (errors.len() == before).then_some(nodes)
}

/// The values that stand between commas.
pub(crate) fn values(text: &str) -> Vec<&str> {
    pieces(text).into_iter().map(|piece| &text[piece]).collect()
}

/// Where the values between the commas are; a comma in quotes or brackets parts nothing.
fn pieces(values: &str) -> Vec<Range<usize>> {
    let mut pieces = Vec::new();
    let (mut start, mut depth, mut quote) = (0, 0_usize, None);
    let mut escaped = false;
    for (at, c) in values.char_indices() {
        match (quote, c) {
            (Some('"'), '\\') if !escaped => {
                escaped = true;
                continue;
            }
            (Some(open), _) if open == c && !escaped => quote = None,
            (Some(_), _) => {}
            // A quote within a word, as in `it's`, is a sign like others.
            (None, '\'' | '"') if depth > 0 || values[start..at].trim().is_empty() => {
                quote = Some(c);
            }
            (None, '[' | '{' | '(') => depth += 1,
            (None, ']' | '}' | ')') => depth = depth.saturating_sub(1),
            (None, ',') if depth == 0 => {
                pieces.push(start..at);
                start = at + 1;
            }
            _ => {}
        }
        escaped = false;
    }
    pieces.push(start..values.len());
    pieces
}

/// Whether a value of this schema may be a list.
fn takes_list(schema: &Value) -> bool {
    let own = match schema.get("type") {
        Some(Value::String(one)) => one == "array",
        Some(Value::Array(several)) => several.iter().any(|one| one == "array"),
        _ => false,
    };
    let options = ["oneOf", "anyOf"].iter().filter_map(|key| schema.get(key)?.as_array());
    own || options.flatten().any(takes_list)
}
