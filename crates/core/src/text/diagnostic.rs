//! What is wrong with a pipeline file, and where.

use std::fmt;

use super::source::{Sources, Span};

/// So many things that are wrong are told; of more their number.
pub(crate) const MOST: usize = 20;

/// So many known names are listed.
const LISTED: usize = 20;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// What is wrong and what was expected, in a line.
    pub message: String,
    /// The exact key or value.
    pub span: Option<Span>,
    /// A few words beside the caret; may be empty.
    pub label: String,
    /// More to know, with a place where there is one.
    pub notes: Vec<(String, Option<Span>)>,
    /// What to do.
    pub help: Vec<String>,
}

impl Diagnostic {
    /// Something wrong at `span`.
    pub fn new(message: impl Into<String>, span: impl Into<Option<Span>>) -> Self {
        Self {
            message: message.into(),
            span: span.into(),
            label: String::new(),
            notes: Vec::new(),
            help: Vec::new(),
        }
    }

    /// Adds a few words beside the caret.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Adds more to know.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>, span: impl Into<Option<Span>>) -> Self {
        self.notes.push((note.into(), span.into()));
        self
    }

    /// Adds what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// Adds "did you mean" where one of `known` is close to `name`, else what there is.
    #[must_use]
    pub fn did_you_mean<'a>(
        self,
        name: &str,
        known: impl IntoIterator<Item = &'a str>,
        what: &str,
    ) -> Self {
        let mut known: Vec<_> = known.into_iter().collect();
        known.dedup();
        match closest(name, &known) {
            Some(close) => self.help(format!("did you mean `{close}`?")),
            None if known.is_empty() => self,
            None => {
                let listed = known.iter().take(LISTED);
                let quoted: Vec<_> = listed.map(|name| format!("`{name}`")).collect();
                let more = match known.len().saturating_sub(LISTED) {
                    0 => String::new(),
                    more => format!(" and {} more", thousands(more)),
                };
                self.help(format!("{what}: {}{more}", quoted.join(", ")))
            }
        }
    }
}

/// The one of `known` that is closest to `name`, when it is close at all.
pub(crate) fn closest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    known
        .iter()
        .map(|known| (strsim::damerau_levenshtein(name, known), *known))
        .filter(|(distance, known)| {
            let length = known.chars().count();
            *distance <= length.max(3) / 3 && *distance < length
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

/// `3,085`.
pub(crate) fn thousands(number: impl std::fmt::Display) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// What is wrong with a pipeline file, in the order of the file.
#[derive(Debug, Clone)]
pub struct Diagnostics {
    /// The texts that the places refer to.
    pub sources: Sources,
    /// What is wrong; never empty.
    pub items: Vec<Diagnostic>,
    /// How much more is wrong.
    more: usize,
}

impl Diagnostics {
    /// Puts them in the order of the texts.
    pub fn new(sources: Sources, mut items: Vec<Diagnostic>) -> Self {
        items.sort_by_key(|item| item.span.as_ref().map_or(0, |span| span.start));
        items.dedup();
        let more = items.len().saturating_sub(MOST);
        items.truncate(MOST);
        Self { sources, items, more }
    }

    /// `3,105 errors; 3,085 more are not shown`, or `1 error`.
    pub fn count(&self) -> String {
        let all = self.items.len() + self.more;
        let errors = if all == 1 { "error" } else { "errors" };
        let more = match self.more {
            0 => String::new(),
            more => format!(", the first {MOST} of them above and {} more", thousands(more)),
        };
        format!("{} {errors}{more}", thousands(all))
    }
}

/// `file:line:column: message`, a line each, with help and notes indented below.
impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, item) in self.items.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            if let Some(place) = item.span.as_ref().and_then(|span| self.sources.place(span)) {
                write!(f, "{}:{}:{}: ", place.name, place.line, place.column)?;
            }
            f.write_str(&item.message)?;
            for (note, span) in &item.notes {
                write!(f, "\n  note: {note}")?;
                if let Some(place) = span.as_ref().and_then(|span| self.sources.place(span)) {
                    write!(f, " ({}:{}:{})", place.name, place.line, place.column)?;
                }
            }
            for help in &item.help {
                write!(f, "\n  help: {help}")?;
            }
        }
        if self.more > 0 {
            write!(f, "\nand {} more", thousands(self.more))?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_errors_are_counted() {
        let mut sources = Sources::default();
        sources.add("p.toml", "\n".repeat(3105));
        let items = (0..3105).rev().map(|at| Diagnostic::new(format!("no {at}"), at..at)).collect();
        let text = Diagnostics::new(sources, items).to_string();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!((lines.len(), lines[0], lines[20]), (21, "p.toml:1:1: no 0", "and 3,085 more"));
    }

    #[test]
    fn a_long_list_of_names_is_cut() {
        let known: Vec<_> = (0..2020).map(|number| format!("name{number}")).collect();
        let known = known.iter().map(String::as_str);
        let help = Diagnostic::new("x", None).did_you_mean("other", known, "names").help.concat();
        assert!(help.ends_with("`name19` and 2,000 more"), "{help}");
    }
}
