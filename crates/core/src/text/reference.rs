//! Texts that carry values: `σ = {maps.smoothgrad.noise}, {lenet.accuracy:.1%}`.
//!
//! A place in braces refers to a parameter of the stage itself (`{threshold}`), of another stage
//! (`{maps.smoothgrad.samples}`), to a metric of another stage (`{lenet.accuracy}`), to a variable
//! (`{$size}`) or to the seed (`{seed}`). `{{` and `}}` are braces.

use std::fmt;
use std::ops::Range;

use serde_json::Value;

use crate::cell::is_name;

/// A part of a text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Part {
    /// As it stands, without doubled braces.
    Text(String),
    /// A place for a value, and where it stands in the text, with its braces.
    Place(Reference, Range<usize>),
}

/// What stands in a place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reference {
    /// The text before any `:`, as written.
    pub(crate) written: String,
    pub(crate) name: Name,
    pub(crate) format: Format,
}

/// What a place refers to, as far as its text tells.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Name {
    /// `$size`.
    Variable(String),
    /// `seed`, `threshold`, `maps.smoothgrad.samples`: a parameter of the stage, or a stage and
    /// what is behind it.
    Path {
        /// The names between the dots.
        path: Vec<String>,
        /// What stands in brackets behind the first name.
        select: Option<String>,
    },
}

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// As short as it can be.
    Plain,
    /// A number with so many decimals: `:.2`.
    Decimals(usize),
    /// A share in percent with so many decimals: `:%`, `:.1%`.
    Percent(usize),
}

/// What is wrong with a text, and where.
#[derive(Debug, PartialEq)]
pub(crate) struct BadText {
    pub(crate) message: String,
    pub(crate) at: Range<usize>,
}

/// Takes a text apart.
pub(crate) fn parse(text: &str) -> Result<Vec<Part>, BadText> {
    let mut parts = Vec::new();
    let mut plain = String::new();
    let mut at = 0;
    while let Some(found) = text[at..].find(['{', '}']) {
        let brace = at + found;
        plain.push_str(&text[at..brace]);
        let sign = &text[brace..=brace];
        if text[brace + 1..].starts_with(sign) {
            plain.push_str(sign);
            at = brace + 2;
            continue;
        }
        let close = if sign == "{" { text[brace..].find('}') } else { None };
        let Some(close) = close.map(|close| brace + close) else {
            let message = format!("expected `{{name}}`, or `{sign}{sign}` for a brace");
            return Err(BadText { message, at: brace..brace + 1 });
        };
        let place = brace..close + 1;
        let reference = Reference::parse(&text[brace + 1..close])
            .map_err(|message| BadText { message, at: place.clone() })?;
        if !plain.is_empty() {
            parts.push(Part::Text(std::mem::take(&mut plain)));
        }
        at = place.end;
        parts.push(Part::Place(reference, place));
    }
    plain.push_str(&text[at..]);
    if !plain.is_empty() {
        parts.push(Part::Text(plain));
    }
    Ok(parts)
}

/// The text with every brace doubled: [`parse`] gives it back.
pub(crate) fn escape(text: &str) -> String {
    text.replace('{', "{{").replace('}', "}}")
}

impl Reference {
    pub(crate) fn parse(place: &str) -> Result<Self, String> {
        const EXPECTED: &str = "expected a reference such as `{seed}`, `{$variable}`, \
                                `{parameter}`, `{stage.parameter}` or `{stage.metric:.2}`";
        let expected = || EXPECTED.to_owned();
        // A `:` in brackets belongs to a value.
        let end = place.rfind(']').unwrap_or(0);
        let (written, format) = match place[end..].split_once(':') {
            Some((rest, format)) => (&place[..end + rest.len()], Format::parse(format)?),
            None => (place, Format::Plain),
        };
        let name = if let Some(variable) = written.strip_prefix('$') {
            if !is_name(variable) {
                return Err(expected());
            }
            Name::Variable(variable.to_owned())
        } else {
            let (head, select, tail) = match written.split_once('[') {
                None => (written, None, ""),
                Some((head, rest)) => {
                    let (select, tail) = rest.rsplit_once(']').ok_or_else(expected)?;
                    (head, Some(select.to_owned()), tail)
                }
            };
            let mut path: Vec<String> = head.split('.').map(str::to_owned).collect();
            if select.is_some() {
                let tail = tail.strip_prefix('.').ok_or_else(expected)?;
                if path.len() > 1 {
                    return Err(expected());
                }
                path.extend(tail.split('.').map(str::to_owned));
            }
            if !path.iter().all(|name| is_name(name)) {
                return Err(expected());
            }
            Name::Path { path, select }
        };
        Ok(Self { written: written.to_owned(), name, format })
    }
}

impl Format {
    fn parse(text: &str) -> Result<Self, String> {
        let (number, percent) = match text.strip_suffix('%') {
            Some(number) => (number, true),
            None => (text, false),
        };
        let decimals = match number.strip_prefix('.') {
            Some(digits) => digits.parse().ok().filter(|decimals| *decimals <= 12),
            None => (percent && number.is_empty()).then_some(0),
        };
        match decimals {
            Some(decimals) if percent => Ok(Self::Percent(decimals)),
            Some(decimals) => Ok(Self::Decimals(decimals)),
            None => Err(format!(
                "expected `:.2` (decimals), `:%` or `:.1%` (a share in percent), found `:{text}`"
            )),
        }
    }

    /// The value as words; `None` where it has no such form.
    pub(crate) fn write(self, value: &Value) -> Option<String> {
        let scaled = |times: f64| Some(value.as_f64()? * times);
        match self {
            Self::Decimals(decimals) => scaled(1.0).map(|number| format!("{number:.decimals$}")),
            Self::Percent(decimals) => scaled(100.0).map(|number| format!("{number:.decimals$}%")),
            Self::Plain => match value {
                Value::Null | Value::Object(_) => None,
                Value::String(text) => Some(text.clone()),
                Value::Bool(value) => Some(value.to_string()),
                Value::Number(number) => Some(match number.as_f64() {
                    Some(number) if value.is_f64() => shortest(number),
                    _ => number.to_string(),
                }),
                Value::Array(items) => {
                    let items = items.iter().map(|item| self.write(item));
                    items.collect::<Option<Vec<_>>>().map(|items| items.join(", "))
                }
            },
        }
    }
}

/// The shortest digits of a number; one that a parameter holds as `f32` is written as such.
fn shortest(number: f64) -> String {
    #[allow(clippy::cast_possible_truncation, reason = "the comparison tells whether it fits")]
    let single = number as f32;
    if f64::from(single) == number { single.to_string() } else { number.to_string() }
}

/// `.2`, `%`, as in a place behind the colon.
impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain => Ok(()),
            Self::Decimals(decimals) => write!(f, ":.{decimals}"),
            Self::Percent(0) => f.write_str(":%"),
            Self::Percent(decimals) => write!(f, ":.{decimals}%"),
        }
    }
}

/// The strings in a value, each with the keys and indices to it.
pub(crate) fn strings<'v>(
    value: &'v Value,
    path: &mut Vec<String>,
    found: &mut Vec<(Vec<String>, &'v str)>,
) {
    match value {
        Value::String(text) => found.push((path.clone(), text)),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                path.push(index.to_string());
                strings(item, path, found);
                path.pop();
            }
        }
        Value::Object(entries) => {
            for (key, item) in entries {
                path.push(key.clone());
                strings(item, path, found);
                path.pop();
            }
        }
        _ => {}
    }
}

/// The string at `path`, to be replaced.
pub(crate) fn string_at<'v>(value: &'v mut Value, path: &[String]) -> Option<&'v mut String> {
    let [first, rest @ ..] = path else {
        return match value {
            Value::String(text) => Some(text),
            _ => None,
        };
    };
    let inner = match value {
        Value::Array(items) => items.get_mut(first.parse::<usize>().ok()?)?,
        other => other.get_mut(first.as_str())?,
    };
    string_at(inner, rest)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn names(text: &str) -> Vec<Name> {
        let place = |part| match part {
            Part::Place(reference, _) => Some(reference.name),
            Part::Text(_) => None,
        };
        parse(text).unwrap().into_iter().filter_map(place).collect()
    }

    fn path(names: &[&str], select: Option<&str>) -> Name {
        let path = names.iter().map(|name| (*name).to_owned()).collect();
        Name::Path { path, select: select.map(str::to_owned) }
    }

    #[test]
    fn places_and_braces() {
        let parts = parse("{{a}} σ = {maps.noise:.2}, }}").unwrap();
        let [Part::Text(before), Part::Place(reference, at), Part::Text(after)] = parts.as_slice()
        else {
            panic!("{parts:?}");
        };
        assert_eq!((before.as_str(), after.as_str()), ("{a} σ = ", ", }"));
        assert_eq!(&"{{a}} σ = {maps.noise:.2}, }}"[at.clone()], "{maps.noise:.2}");
        assert_eq!(reference.written, "maps.noise");
        assert_eq!(reference.format, Format::Decimals(2));
        assert_eq!(parse(&escape("a {b} c")).unwrap(), [Part::Text("a {b} c".to_owned())]);
        assert_eq!(
            names("{seed}{$size}{svm[c=1,layer=a:b].model.c:%}"),
            [
                path(&["seed"], None),
                Name::Variable("size".to_owned()),
                path(&["svm", "model", "c"], Some("c=1,layer=a:b")),
            ]
        );
    }

    #[test]
    fn bad_texts_are_refused_where_they_are() {
        for (text, at) in [
            ("a {b", 2..3),
            ("a } b", 2..3),
            ("a {}", 2..4),
            ("{a b}", 0..5),
            ("{a[b=1]}", 0..8),
            ("x{a:2}", 1..6),
            ("{a:.13}", 0..7),
            ("{a.}", 0..4),
            ("{$}", 0..3),
        ] {
            assert_eq!(parse(text).unwrap_err().at, at, "{text}");
        }
    }

    #[test]
    fn values_are_written_as_people_write_them() {
        let plain = |value| Format::Plain.write(&value);
        assert_eq!(plain(json!(0.15)).as_deref(), Some("0.15"));
        assert_eq!(plain(json!(0.15_f32)).as_deref(), Some("0.15"));
        assert_eq!(plain(json!(1.0)).as_deref(), Some("1"));
        assert_eq!(plain(json!(50)).as_deref(), Some("50"));
        assert_eq!(plain(json!(["a", 2, true])).as_deref(), Some("a, 2, true"));
        assert_eq!(plain(json!({ "a": 1 })), None);
        assert_eq!(Format::Decimals(2).write(&json!(0.987)).as_deref(), Some("0.99"));
        assert_eq!(Format::Percent(1).write(&json!(0.9876)).as_deref(), Some("98.8%"));
        assert_eq!(Format::Percent(0).write(&json!("a")), None);
    }
}
