//! Where names, references, strings and tags of a study's text end.

/// Whether what stands behind `figure`, `table` or `ref` is an edge, so that the word is no reference itself.
pub(super) fn is_exhibit(behind: &str) -> bool {
    behind.starts_with(|c: char| c.is_alphanumeric() || c == '_')
}

/// The name at the beginning of `text`, without hyphens at its end.
pub(super) fn name_at(text: &str) -> &str {
    let part = |(at, c): (usize, char)| {
        c.is_alphanumeric() || c == '-' || c == '_' || (at == 0 && c == '$')
    };
    let end = text.char_indices().find(|&one| !part(one)).map_or(text.len(), |(at, _)| at);
    text[..end].trim_end_matches('-')
}

/// Where a reference ends whose first name has `length` bytes: behind brackets and further names.
pub(super) fn reference_end(text: &str, length: usize) -> usize {
    let mut end = length;
    loop {
        let rest = &text[end..];
        if rest.starts_with('[') {
            match rest.find(']') {
                Some(close) => end += close + 1,
                None => return text.len(),
            }
        } else if let Some(behind) = rest.strip_prefix('.') {
            let name = name_at(behind);
            if name.is_empty() {
                return end;
            }
            end += 1 + name.len();
        } else {
            return end;
        }
    }
}

/// Where the tag at the beginning of `text` closes; what stands in quotes closes nothing.
pub(super) fn end_of_tag(text: &str, close: &str) -> Option<usize> {
    let mut at = 2;
    while at < text.len() {
        let rest = &text[at..];
        if rest.starts_with(close) {
            return Some(at);
        }
        let sign = rest.chars().next()?;
        at += match sign {
            '"' | '\'' => string_end(rest).unwrap_or(1),
            other => other.len_utf8(),
        };
    }
    None
}

/// Where the string at the beginning of `text` ends.
pub(super) fn string_end(text: &str) -> Option<usize> {
    let quote = text.chars().next()?;
    let mut escaped = false;
    for (at, sign) in text.char_indices().skip(1) {
        match sign {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if sign == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}
