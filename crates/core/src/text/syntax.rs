//! Which syntax errors are told: not those that only follow from an earlier one.
//!
//! A lost bracket makes a parser stumble over every line after it. An error is told if the line
//! and the table in which it lies are wrong by themselves; the first one always.

use toml::de::{DeTable, Error};

use super::source::Span;

/// The errors of `text` that have a cause of their own, in the order of the text.
pub(super) fn with_causes(text: &str, mut errors: Vec<Error>) -> Vec<Error> {
    errors.sort_by_key(|error| error.span().map_or(0, |span| span.start));
    let starts: Vec<usize> = headers(text).collect();
    let mut told: Vec<Error> = Vec::new();
    // The table that was looked at last, and whether it is wrong by itself.
    let mut last: Option<(usize, bool)> = None;
    for error in errors {
        let at = error.span().map_or(0, |span| span.start);
        // What a key given twice says does not come from a lost bracket.
        if told.is_empty() || error.message().starts_with("duplicate key") {
            told.push(error);
            continue;
        }
        let line = line(text, at);
        let same = |told: &Error| told.span().is_some_and(|span| line.contains(&span.start));
        if told.last().is_some_and(same) || is_right(&text[line.clone()]) {
            continue;
        }
        let table = starts.partition_point(|start| *start <= at);
        let wrong = match last {
            Some((known, wrong)) if known == table => wrong,
            _ => {
                let start = if table == 0 { 0 } else { starts[table - 1] };
                let end = starts.get(table).copied().unwrap_or(text.len());
                !is_right(&text[start..end])
            }
        };
        last = Some((table, wrong));
        if wrong {
            told.push(error);
        }
    }
    told
}

/// Where lines begin that look like the header of a table.
fn headers(text: &str) -> impl Iterator<Item = usize> {
    let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1));
    starts.filter(|&at| text[at..].starts_with('['))
}

/// The line around `at`.
fn line(text: &str, at: usize) -> Span {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    let start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let end = text[at..].find('\n').map_or(text.len(), |newline| at + newline);
    start..end
}

fn is_right(text: &str) -> bool {
    DeTable::parse_recoverable(text).1.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<usize> {
        let (_, errors) = DeTable::parse_recoverable(text);
        let line = |error: &Error| text[..error.span().unwrap().start].matches('\n').count() + 1;
        with_causes(text, errors).iter().map(line).collect()
    }

    #[test]
    fn a_lost_bracket_is_one_error() {
        let stage = "[stage.a]\nkind = \"x\"\nmatrix.n = [1, 2]\ntitle = 'y'\n";
        let text = stage.repeat(1000).replacen("2]", "2", 1);
        let raw = DeTable::parse_recoverable(&text).1.len();
        let found = lines(&text);
        assert!(raw > 100 && found.len() == 1 && found[0] <= 5, "{raw} {found:?}");
    }

    #[test]
    fn independent_errors_are_all_told() {
        let text = "a = \nb = 1\n[t]\nc = = 2\nd = 'x\n[u]\ne = 1\ne = 2\nf == 1\n";
        assert_eq!(lines(text), [1, 4, 5, 8, 9]);
    }
}
