//! Pictures and texts for people.

use std::collections::BTreeMap;
use std::path::Path;

use sconce_core::error::IoResultExt;
use sconce_core::{Artifact, Error, Files, Result};
use serde::{Deserialize, Serialize};

/// A figure or a rendered table: one or more files (svg, png, gif, md, html, …) of one content.
///
/// Saved as these files and `figure.json` (the caption).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figure {
    /// What the figure shows, in a sentence or two.
    pub caption: String,
    /// The files by name: `c-curve.svg`, `c-curve.png`.
    pub files: BTreeMap<String, Vec<u8>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Index {
    caption: String,
}

const INDEX: &str = "figure.json";

impl Figure {
    /// A figure without files yet.
    pub fn new(caption: impl Into<String>) -> Self {
        Self { caption: caption.into(), files: BTreeMap::new() }
    }

    /// Adds a file.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        self.files.insert(name.into(), bytes.into());
        self
    }

    /// The first file whose name ends in `.extension`.
    pub fn with_extension(&self, extension: &str) -> Option<(&str, &[u8])> {
        self.files
            .iter()
            .find(|(name, _)| name.rsplit_once('.').is_some_and(|(_, end)| end == extension))
            .map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
    }
}

impl Artifact for Figure {
    const TYPE: &'static str = "figure";

    fn load(files: &Files) -> Result<Self> {
        let Index { caption } = files.read_json(INDEX)?;
        let mut figure = Self::new(caption);
        for (name, _, path) in files.iter().filter(|(name, ..)| *name != INDEX) {
            figure.files.insert(name.to_owned(), std::fs::read(path).at(name)?);
        }
        Ok(figure)
    }

    fn save(&self, folder: &Path) -> Result<()> {
        for (name, bytes) in &self.files {
            if name == INDEX
                || name.is_empty()
                || name.contains(['/', '\\'])
                || name.starts_with('.')
            {
                return Err(Error::message(format!(
                    "`{name}` cannot be the name of a figure's file"
                )));
            }
            let path = folder.join(name);
            std::fs::write(&path, bytes).at(&path)?;
        }
        let path = folder.join(INDEX);
        let index = Index { caption: self.caption.clone() };
        std::fs::write(&path, serde_json::to_vec_pretty(&index)?).at(&path)
    }
}
