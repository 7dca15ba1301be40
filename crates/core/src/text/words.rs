//! serde's messages in the words of a pipeline file.

use super::diagnostic::{Diagnostic, closest};
use super::source::Span;

/// Turns a message of serde about parameter `key` into a diagnostic.
pub(crate) fn diagnose(key: &str, message: &str, span: Span) -> Diagnostic {
    if let Some((found, expected)) = invalid(message) {
        let expected = expected_words(expected);
        return Diagnostic::new(format!("`{key}`: expected {expected}, found {found}"), span)
            .label(format!("expected {expected}"));
    }
    for what in ["unknown variant", "unknown field"] {
        let rest = message.strip_prefix(what).map(str::trim_start);
        if let Some((name, expected)) = rest.and_then(|rest| rest.split_once(", ")) {
            let name = name.trim_matches('`');
            let known: Vec<_> = expected.split('`').skip(1).step_by(2).collect();
            let noun = if what == "unknown field" { "key" } else { "value" };
            let list = known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            let message = format!("`{key}`: unknown {noun} `{name}`, expected one of {list}");
            let diagnostic = Diagnostic::new(message, span).label(format!("unknown {noun}"));
            return match closest(name, &known) {
                Some(close) => diagnostic.help(format!("did you mean `{close}`?")),
                None => diagnostic,
            };
        }
    }
    Diagnostic::new(format!("`{key}`: {}", message.trim_end()), span)
}

/// Splits `invalid type: FOUND, expected EXPECTED` and its like.
fn invalid(message: &str) -> Option<(&str, &str)> {
    let rest = ["invalid type: ", "invalid value: ", "invalid length "]
        .iter()
        .find_map(|prefix| message.strip_prefix(prefix))?;
    rest.rsplit_once(", expected ")
}

fn expected_words(expected: &str) -> &str {
    match expected.trim_end() {
        "f32" | "f64" => "a number",
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, 0 or more",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a map" => "a table",
        other => other,
    }
}
