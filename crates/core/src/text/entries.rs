//! Reading known entries of a table, and saying which are not known.

use toml::de::DeValue;

use super::diagnostic::Diagnostic;
use super::document::{self, Node, Table};

/// Says which keys of `table` are not among `known`.
pub(super) fn unknown_keys(
    table: &Table<'_>,
    known: &[&str],
    what: &str,
    errors: &mut Vec<Diagnostic>,
) {
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

/// Takes the table at `key` out; anything else there is an error.
pub(super) fn take_table<'a>(
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

/// Takes the string at `key` out; anything else there is an error.
pub(super) fn take_string(
    table: &mut Table<'_>,
    key: &str,
    errors: &mut Vec<Diagnostic>,
) -> Option<String> {
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

/// The most cells of a pipeline: a whole number, 1 or more.
pub(super) fn max_cells(node: &Node<'_>, errors: &mut Vec<Diagnostic>) -> Option<usize> {
    let value = document::to_json(node, &mut Vec::new());
    let most = value.as_u64().filter(|most| *most > 0);
    if most.is_none() {
        let message = "`max_cells`: expected a whole number, 1 or more";
        errors.push(Diagnostic::new(message, node.span()));
    }
    most.and_then(|most| usize::try_from(most).ok())
}
