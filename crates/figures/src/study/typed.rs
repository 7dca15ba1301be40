//! Numbers that were typed by hand where a value exists that rounds to them.

use std::ops::Range;

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// A number as it was typed.
struct Typed {
    at: Range<usize>,
    value: f64,
    decimals: usize,
    percent: bool,
}

/// Finds such numbers in the prose of a filled text: `known` has what could have been put in. Code and quotations are
/// left alone.
pub(super) fn find(markdown: &str, known: &[(String, f64)]) -> Vec<(String, Range<usize>)> {
    let mut found = Vec::new();
    let mut quoted = 0;
    let options =
        Options::ENABLE_TABLES | Options::ENABLE_FOOTNOTES | Options::ENABLE_STRIKETHROUGH;
    for (event, range) in Parser::new_ext(markdown, options).into_offset_iter() {
        match event {
            Event::Start(Tag::BlockQuote(_) | Tag::CodeBlock(_)) => quoted += 1,
            Event::End(TagEnd::BlockQuote(_) | TagEnd::CodeBlock) => quoted -= 1,
            Event::Text(_) if quoted == 0 => {
                for typed in numbers(&markdown[range.clone()], range.start) {
                    let text = &markdown[typed.at.clone()];
                    let fits = |(_, value): &&(String, f64)| rounds_to(*value, &typed);
                    if let Some((name, value)) = known.iter().find(fits) {
                        let filter = match typed.percent {
                            true => format!("percent({})", typed.decimals),
                            false => format!("decimals({})", typed.decimals),
                        };
                        let message = format!(
                            "`{text}` is typed by hand, and {name} is {value}: write `{{{{ {name} | {filter} }}}}`"
                        );
                        found.push((message, typed.at));
                    }
                }
            }
            _ => {}
        }
    }
    found
}

/// Whether the value, written with as many digits, is what was typed.
fn rounds_to(value: f64, typed: &Typed) -> bool {
    let value = if typed.percent { value * 100.0 } else { value };
    let text = format!("{value:.*}", typed.decimals);
    text.parse::<f64>().is_ok_and(|rounded| rounded == typed.value)
}

/// The numbers of three digits that count or more, and percentages of two: fewer are found by chance.
fn numbers(text: &str, start: usize) -> Vec<Typed> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
        let begins = digit(at) || (bytes[at] == b'.' && digit(at + 1));
        if !begins {
            at += 1;
            continue;
        }
        let mut end = at;
        while digit(end)
            || (bytes.get(end) == Some(&b'.') && digit(end + 1) && !text[at..end].contains('.'))
            || (bytes.get(end) == Some(&b',') && thousands(&bytes[end + 1..]))
        {
            end += 1;
        }
        let number = &text[at..end];
        let inside = |c: char| c.is_alphanumeric() || c == '_' || c == '-' || c == '/' || c == '.';
        let before = text[..at].ends_with(inside);
        let after = text[end..]
            .starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == '-' || c == '/');
        let decimals = number.split_once('.').map_or(0, |(_, decimals)| decimals.len());
        let digits: String = number.chars().filter(char::is_ascii_digit).collect();
        let counting = digits.trim_start_matches('0').len();
        let percent = text[end..].trim_start_matches([' ', '\u{a0}', '\u{202f}']).starts_with('%');
        let enough = counting >= 3 || (percent && counting >= 2);
        if let Ok(mut value) = number.replace(',', "").parse::<f64>()
            && enough
            && !before
            && !after
        {
            if text[..at].ends_with('\u{2212}') {
                value = -value;
            }
            found.push(Typed { at: start + at..start + end, value, decimals, percent });
        }
        at = end;
    }
    found
}

/// Whether three digits and no more stand here.
fn thousands(bytes: &[u8]) -> bool {
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    digits == 3
}
