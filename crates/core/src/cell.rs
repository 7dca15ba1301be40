//! Names of cells: a stage and its coordinates along the axes.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A cell's place along the axes, outermost first: `layer=relu6,normalize=true`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Coordinates(Vec<(String, Value)>);

impl Coordinates {
    /// No axis at all.
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// The value along `axis`.
    pub fn get(&self, axis: &str) -> Option<&Value> {
        self.0.iter().find(|(name, _)| name == axis).map(|(_, value)| value)
    }

    /// Sets the value along `axis`.
    pub fn set(&mut self, axis: &str, value: Value) {
        match self.0.iter_mut().find(|(name, _)| name == axis) {
            Some((_, old)) => *old = value,
            None => self.0.push((axis.to_owned(), value)),
        }
    }

    /// Axes and values, outermost first.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(axis, value)| (axis.as_str(), value))
    }

    /// Whether there is no axis.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The coordinates without the axes that `drop` names.
    pub fn without(&self, drop: impl Fn(&str) -> bool) -> Self {
        Self(self.0.iter().filter(|(axis, _)| !drop(axis)).cloned().collect())
    }
}

impl FromIterator<(String, Value)> for Coordinates {
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(items: I) -> Self {
        Self(items.into_iter().collect())
    }
}

/// `layer=relu6,normalize=true`; strings stand without quotes.
impl fmt::Display for Coordinates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (axis, value)) in self.iter().enumerate() {
            let comma = if i > 0 { "," } else { "" };
            write!(f, "{comma}{axis}={}", Plain(value))?;
        }
        Ok(())
    }
}

/// Writes a parameter value as people write it: strings without quotes.
pub struct Plain<'a>(pub &'a Value);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::String(text) => f.write_str(text),
            other => write!(f, "{other}"),
        }
    }
}

/// A stage, or one cell of a stage that has a matrix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellId {
    /// The stage's name in the pipeline file.
    pub stage: String,
    /// The cell's place along the axes.
    #[serde(default, skip_serializing_if = "Coordinates::is_empty")]
    pub coordinates: Coordinates,
}

impl CellId {
    /// A name that can be a file's: the cell's name with unusual characters replaced, and a digest
    /// of the name where something was replaced, so that no two cells share one.
    pub fn file_name(&self) -> String {
        let name = self.to_string();
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.,=+[]".contains(c);
        if name.len() <= 120 && name.chars().all(plain) {
            return name;
        }
        let kept: String = name.chars().map(|c| if plain(c) { c } else { '_' }).take(100).collect();
        format!("{kept}~{}", &crate::Digest::of(name.as_bytes()).hex()[..16])
    }
}

/// `svm[layer=relu6,normalize=true]`, or the stage's name alone.
impl fmt::Display for CellId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.stage)?;
        if !self.coordinates.is_empty() {
            write!(f, "[{}]", self.coordinates)?;
        }
        Ok(())
    }
}

/// Whether `text` can name a stage, an output or an axis: letters, digits, `-` and `_`.
pub(crate) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_')
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn cells_of_different_names_have_different_files() {
        let long = "x".repeat(200);
        let values = [
            "é",
            "*",
            "e",
            "e\u{301}",
            "_",
            "a/b",
            "a_b",
            "a b",
            "",
            ".",
            "~",
            "1",
            "1.0",
            "ü",
            &long,
            &format!("{long}x"),
            "E",
        ];
        let file = |value: &&str| {
            let coordinates = [("x".to_owned(), Value::from(*value))].into_iter().collect();
            CellId { stage: "s".to_owned(), coordinates }.file_name()
        };
        let files: BTreeSet<String> = values.iter().map(file).collect();
        assert_eq!(files.len(), values.len(), "{files:?}");
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.,=+[]~".contains(c);
        assert!(files.iter().all(|name| name.len() < 140 && name.chars().all(plain)), "{files:?}");
    }
}
