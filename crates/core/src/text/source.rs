//! The texts that a pipeline is read from: its file, and one for each `--set`.

use std::ops::Range;

/// A range of bytes over all texts, one behind the other.
pub type Span = Range<usize>;

/// The texts, one behind the other, so that one offset names a place in any of them.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    texts: Vec<SourceText>,
}

/// One text.
#[derive(Debug, Clone)]
pub struct SourceText {
    /// The file's path, or `--set`.
    pub name: String,
    /// The text.
    pub text: String,
    start: usize,
}

impl SourceText {
    /// Offset of the text's first byte among all texts.
    pub fn start(&self) -> usize {
        self.start
    }
}

/// A place for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place<'a> {
    /// The text that holds it.
    pub source: &'a str,
    /// Name of that text.
    pub name: &'a str,
    /// Bytes within that text.
    pub range: Range<usize>,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl Sources {
    /// Adds a text; its bytes begin at the returned offset.
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<String>) -> usize {
        // One byte lies between two texts, so that an end is never the next one's start.
        let start = self.texts.last().map_or(0, |last| last.start + last.text.len() + 1);
        self.texts.push(SourceText { name: name.into(), text: text.into(), start });
        start
    }

    /// The texts in order.
    pub fn texts(&self) -> impl Iterator<Item = &SourceText> {
        self.texts.iter()
    }

    /// Where `span` is.
    pub fn place(&self, span: &Span) -> Option<Place<'_>> {
        let text = self.texts.iter().rev().find(|text| text.start <= span.start)?;
        let clamp = |offset: usize| {
            let mut offset = (offset - text.start).min(text.text.len());
            while !text.text.is_char_boundary(offset) {
                offset -= 1;
            }
            offset
        };
        let range = clamp(span.start)..clamp(span.end.max(span.start));
        let before = &text.text[..range.start];
        let line = before.matches('\n').count() + 1;
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let column = before[line_start..].chars().count() + 1;
        Some(Place { source: &text.text, name: &text.name, range, line, column })
    }
}
