//! Errors as people see them: all of a pipeline file at once, each with a caret under the exact
//! key or value.

use std::io::Write;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use sconce_core::text::{Diagnostic, Diagnostics, Sources};

use crate::failure::Failure;
use crate::style;

/// Writes a failure to standard error.
pub(crate) fn print(failure: &Failure) {
    let text = match failure {
        Failure::Pipeline(diagnostics) => render(diagnostics),
        other => format!("{}: {other}\n", style::paint(style::BAD, "error")),
    };
    // Nothing is left to tell it to.
    let _ = anstream::stderr().write_all(text.as_bytes());
}

/// The diagnostics with source snippets, and how many there are.
pub(crate) fn render(diagnostics: &Diagnostics) -> String {
    let renderer = Renderer::styled();
    let mut text = String::new();
    for item in &diagnostics.items {
        let report = report(&diagnostics.sources, item);
        text.push_str(&renderer.render(&report));
        text.push_str("\n\n");
    }
    let errors = diagnostics.count();
    let name = diagnostics.sources.texts().next().map_or("the pipeline", |text| &text.name);
    text.push_str(&format!("{}: {name}: {errors}\n", style::paint(style::BAD, "error")));
    text
}

fn report<'a>(sources: &'a Sources, item: &'a Diagnostic) -> Vec<Group<'a>> {
    let mut group = Level::ERROR.primary_title(item.message.as_str()).elements(
        item.span.as_ref().and_then(|span| {
            let place = sources.place(span)?;
            let annotation = AnnotationKind::Primary.span(caret(place.source, &place.range));
            let annotation = if item.label.is_empty() {
                annotation
            } else {
                annotation.label(item.label.as_str())
            };
            Some(Snippet::source(place.source).path(place.name).annotation(annotation))
        }),
    );
    for (note, span) in &item.notes {
        match span.as_ref().and_then(|span| sources.place(span)) {
            Some(place) => {
                group = group.element(Level::NOTE.message(note.as_str())).element(
                    Snippet::source(place.source).path(place.name).annotation(
                        AnnotationKind::Context.span(caret(place.source, &place.range)),
                    ),
                );
            }
            None => group = group.element(Level::NOTE.message(note.as_str())),
        }
    }
    for help in &item.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    vec![group]
}

/// A caret of at least one column, and of one line where the range has several.
fn caret(source: &str, range: &std::ops::Range<usize>) -> std::ops::Range<usize> {
    let text = &source[range.clone()];
    let end = range.start + text.find('\n').unwrap_or(text.len());
    let first = source[range.start..].chars().next().map_or(0, char::len_utf8);
    range.start..end.max(range.start + first)
}
