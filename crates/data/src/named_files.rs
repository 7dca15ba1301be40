//! Files that are known by their names.

use std::collections::BTreeMap;
use std::path::Path;

use sconce_core::{Error, Files, Result};

/// The files among `files`, in any folder, whose names without `ending` are `known`: name and path of each, by its place there.
///
/// # Errors
/// When there is none, or two of one name.
pub(crate) fn find<'a>(
    files: &'a [Files],
    known: &[&str],
    ending: &str,
) -> Result<BTreeMap<usize, (&'a str, &'a Path)>> {
    let mut found = BTreeMap::new();
    for (name, _, path) in files.iter().flat_map(Files::iter) {
        let file = name.rsplit('/').next().unwrap_or(name);
        let plain = file.strip_suffix(ending).unwrap_or(file);
        let Some(place) = known.iter().position(|known| *known == plain) else { continue };
        if let Some((other, _)) = found.insert(place, (name, path)) {
            return Err(Error::message(format!(
                "expected one `{plain}`: there are `{other}` and `{name}`"
            )));
        }
    }
    if found.is_empty() {
        let known: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
        let with =
            if ending.is_empty() { String::new() } else { format!(", plain or with `{ending}`") };
        let there = files.iter().flat_map(Files::iter).map(|(name, ..)| name);
        let there: Vec<&str> = there.take(8).collect();
        return Err(Error::message(format!(
            "expected {}{with}; there are: {}",
            known.join(" or "),
            there.join(", ")
        )));
    }
    Ok(found)
}
