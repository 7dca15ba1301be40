//! What lies in a file that should hold weights.

/// What a file is that begins with these bytes, in words, if it is known and no weights: a download often leaves something
/// else under the right name.
pub fn what(start: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(&start[..start.len().min(4096)]);
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let lower = text.to_ascii_lowercase();
    if lower.starts_with("<!doctype html") || lower.starts_with("<html") {
        let title = lower.find("<title>").and_then(|at| {
            let title = text.get(at + "<title>".len()..)?;
            title.get(..title.find('<')?).map(str::trim)
        });
        let titled = title.map(|title| format!(" (\"{title}\")")).unwrap_or_default();
        return Some(format!(
            "a web page{titled} in place of weights: the address needs a login, or shows the file instead of sending it"
        ));
    }
    if text.starts_with("version https://git-lfs.github.com/spec/") {
        return Some(
            "a pointer of Git LFS in place of weights: fetch the file itself with `git lfs pull`"
                .to_owned(),
        );
    }
    if start.starts_with(b"PK\x03\x04")
        || start.starts_with(b"\x80\x02")
        || start.starts_with(b"\x80\x04")
    {
        return Some(
            "a file of torch.save or another archive: read it with kind `read-pth`".to_owned(),
        );
    }
    if start.is_empty() {
        return Some("an empty file".to_owned());
    }
    if lower.starts_with("<?xml") || lower.starts_with('{') {
        return Some("a text, perhaps a server's error message, in place of weights".to_owned());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn downloads_that_are_none_are_told() {
        let said = |start: &str| what(start.as_bytes()).unwrap_or_default();
        let page = said("\n<!DOCTYPE html><html><head><title>Sign in</title></head></html>");
        assert!(page.starts_with("a web page (\"Sign in\") in place of weights"), "{page}");
        assert!(said("version https://git-lfs.github.com/spec/v1\noid").contains("git lfs pull"));
        assert!(said("PK\u{3}\u{4}").contains("read-pth"));
        assert!(said("{\"error\": 404}").contains("error message"));
        assert_eq!(said(""), "an empty file");
        assert_eq!(what(&[88, 0, 0, 0, 0, 0, 0, 0, b'{']), None);
    }
}
