//! Written studies: prose in Markdown with values and exhibits put in by reference, rendered to one page.
//!
//! A text goes three steps. [`places`] finds the references in it, before anything runs. [`values`] fills the template
//! with what the stages yielded, which leaves plain Markdown. `page` makes HTML of it: headings with a table of
//! contents, numbered exhibits and references to them, footnotes. `typed` finds numbers that were typed by hand where
//! a value exists.

mod html;
mod lexer;
mod numbers;
pub mod origin;
mod page;
pub mod places;
mod typed;
pub mod values;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Range;

use minijinja::value::Value;
use minijinja::{OutputSpan, OutputSpanKind};
use sconce_core::stage::document::Misplaced;

use places::Scanned;

pub use html::Page;

/// All that a text's places stand for.
#[derive(Debug, Default)]
pub struct Meanings {
    /// Values by the name of their place.
    pub values: BTreeMap<String, Value>,
    /// Exhibits by the edge that is written.
    pub exhibits: BTreeMap<String, Vec<Part>>,
    /// Numbers that could have been put in, by how they are referred to.
    pub numbers: Vec<(String, f64)>,
    /// Names and what is written for them by the filter `label`.
    pub labels: BTreeMap<String, String>,
}

/// What an exhibit shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// A PNG or GIF file; `width` is in CSS pixels, where it is known.
    Image {
        /// `image/png`, `image/gif`.
        mime: &'static str,
        /// The file.
        bytes: Vec<u8>,
        /// Width on the page.
        width: Option<u32>,
    },
    /// An HTML fragment: a table.
    Html(String),
}

/// A part of an exhibit: what one cell drew.
#[derive(Debug, Clone)]
pub struct Part {
    /// Its place along the axes: axis and value.
    pub coordinates: Vec<(String, String)>,
    /// What it shows, for readers who do not see it.
    pub caption: String,
    /// The picture or the table.
    pub body: Body,
}

/// The page of a text.
///
/// # Errors
/// All that is wrong with it, each with its place in the text.
pub fn render(
    scanned: &Scanned,
    meanings: &Meanings,
    strict: bool,
) -> Result<Page, Vec<Misplaced>> {
    let (markdown, spans) =
        fill(scanned, meanings).map_err(|error| vec![values::misplaced(scanned, &error)])?;
    let place = |range: Range<usize>| source(scanned, &spans, range);
    let mut wrong = Vec::new();
    if strict {
        let by_hand = |at: &Range<usize>| {
            let span = span_of(&spans, at.start);
            span.is_some_and(|span| span.kind() == OutputSpanKind::Raw)
        };
        for (message, at) in typed::find(&markdown, &meanings.numbers) {
            if by_hand(&at) {
                wrong.push(
                    Misplaced::new(message, place(at)).help("a quoted result (`>`) is left alone"),
                );
            }
        }
    }
    match page::page(&markdown, &scanned.exhibits, &meanings.exhibits) {
        Ok(page) if wrong.is_empty() => Ok(page),
        Ok(_) => Err(wrong),
        Err(bad) => {
            let bad = bad.into_iter().map(|(message, at)| Misplaced::new(message, place(at)));
            wrong.extend(bad);
            Err(wrong)
        }
    }
}

/// The text with its values, and what each part came from.
fn fill(
    scanned: &Scanned,
    meanings: &Meanings,
) -> Result<(String, Vec<OutputSpan>), minijinja::Error> {
    let mut environment = values::environment(meanings.labels.clone());
    environment.add_global("exhibit", values::exhibit(scanned.exhibits.len()));
    let template = environment.template_from_str(&scanned.template)?;
    let named = scanned.names.iter();
    let known: BTreeMap<String, Value> = named
        .filter_map(|(written, name)| Some((name.clone(), meanings.values.get(written)?.clone())))
        .collect();
    template.render_with_spans(Value::from(known))
}

fn span_of(spans: &[OutputSpan], at: usize) -> Option<&OutputSpan> {
    spans.iter().find(|span| span.output_range().contains(&at))
}

/// Where a part of the filled text came from.
fn source(scanned: &Scanned, spans: &[OutputSpan], range: Range<usize>) -> Range<usize> {
    let at = |byte: usize| {
        let span = span_of(spans, byte)?;
        let (from, to) = (span.output_range(), span.source_range());
        Some(match span.kind() {
            OutputSpanKind::Raw => {
                to.start + (byte - from.start)..to.start + (byte - from.start) + 1
            }
            _ => to,
        })
    };
    let end = scanned.template.len();
    let start = at(range.start).unwrap_or(end..end);
    let last = at(range.end.saturating_sub(1).max(range.start)).unwrap_or(start.clone());
    scanned.place(start.start..last.end.max(start.end))
}

/// What is wrong with a text, in words: the place, the line and a caret under it.
pub fn told(path: &str, text: &str, wrong: &[Misplaced]) -> String {
    const MOST: usize = 20;
    let mut out = String::new();
    for (index, one) in wrong.iter().take(MOST).enumerate() {
        let start = one.at.start.min(text.len());
        let before = text.get(..start).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let shown = text.get(line_start..).unwrap_or_default().lines().next().unwrap_or_default();
        let column = before[line_start..].chars().count();
        let marked = text.get(start..one.at.end).unwrap_or_default();
        let width = marked.lines().next().unwrap_or_default().chars().count().max(1);
        let separator = if index > 0 { "\n" } else { "" };
        let _ = write!(
            out,
            "{separator}{path}:{line}:{}: {}\n  {line} | {shown}\n  {} | {}{}",
            column + 1,
            one.message,
            " ".repeat(line.to_string().len()),
            " ".repeat(column),
            "^".repeat(width)
        );
        if !one.help.is_empty() {
            let _ = write!(out, "\n  help: {}", one.help);
        }
    }
    if wrong.len() > MOST {
        let _ = write!(out, "\nand {} more", wrong.len() - MOST);
    }
    out
}

#[cfg(test)]
mod tests;
