//! The file: read with exact errors, written so that a change of one result is a change of one line.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Locked, LockedCell};
use crate::error::IoResultExt;
use crate::system::files;
use crate::{Error, Result};

/// The number of the present form.
const FORMAT: u32 = 1;

/// A lock file: what each set of profiles yielded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockFile {
    format: u32,
    /// Without any profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base: Option<Locked>,
    /// By the profiles' names, in the order in which they are laid over the file: `quick`, `scenes+paper`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    profile: BTreeMap<String, Locked>,
}

/// Where the lock of a pipeline file lies: beside it.
pub fn lock_path(pipeline: &Path) -> PathBuf {
    pipeline.with_extension("lock")
}

/// How a set of profiles is called in messages: `the base`, `profile quick`.
pub fn profile_name(profiles: &[String]) -> String {
    match profiles {
        [] => "the base".to_owned(),
        some => format!("profile {}", some.join("+")),
    }
}

impl LockFile {
    /// Reads a lock file; none where there is no file.
    ///
    /// # Errors
    /// One that is no lock file, names its line, or is of another format.
    pub fn read(path: &Path) -> Result<Option<Self>> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).at(path),
        };
        let bad = |what: String| {
            Error::message(format!(
                "{}: {what}; expected what `sconce lock` writes",
                path.display()
            ))
        };
        let file: Self = toml::from_str(&text).map_err(|error| {
            let line = error.span().map(|span| text[..span.start].matches('\n').count() + 1);
            let place = line.map(|line| format!("line {line}: ")).unwrap_or_default();
            bad(format!("{place}{}", error.message()))
        })?;
        if file.format != FORMAT {
            return Err(bad(format!("the file is of format {}, not {FORMAT}", file.format)));
        }
        Ok(Some(file))
    }

    /// What is expected with these profiles.
    pub fn locked(&self, profiles: &[String]) -> Option<&Locked> {
        match profiles {
            [] => self.base.as_ref(),
            some => self.profile.get(&some.join("+")),
        }
    }

    /// A file that expects nothing yet.
    pub fn empty() -> Self {
        Self { format: FORMAT, ..Self::default() }
    }

    /// Puts what is expected with these profiles, and gives what was.
    pub fn put(&mut self, profiles: &[String], locked: Locked) -> Option<Locked> {
        match profiles {
            [] => self.base.replace(locked),
            some => self.profile.insert(some.join("+"), locked),
        }
    }

    /// Writes the file, whole or not at all.
    pub fn write(&self, path: &Path, pipeline: &Path) -> Result<()> {
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let new = folder.join(format!(".{name}.{}", std::process::id()));
        std::fs::write(&new, self.text(pipeline)).at(&new)?;
        files::rename(&new, path).at(path)
    }

    fn text(&self, pipeline: &Path) -> String {
        let file = pipeline.file_name().unwrap_or_default().to_string_lossy();
        let mut text = format!(
            "# What each cell of {file} yields. `sconce lock {file} [--profile NAME]` writes this file,\n\
             # `sconce run {file} [--profile NAME] --locked` holds a run to it.\n\
             format = {FORMAT}\n"
        );
        if let Some(base) = &self.base {
            write(&mut text, "base", base);
        }
        for (name, locked) in &self.profile {
            write(&mut text, &format!("profile.{}", key(name)), locked);
        }
        text
    }
}

fn write(text: &mut String, table: &str, locked: &Locked) {
    let Locked { processor, sconce, cells } = locked;
    let (processor, sconce) = (quoted(processor), quoted(sconce));
    let _ = writeln!(text, "\n[{table}]\nprocessor = {processor}\nsconce = {sconce}");
    for (name, cell) in cells {
        let LockedCell { kind, parameters, inputs, varies, outputs } = cell;
        let _ = writeln!(text, "\n[{table}.cell.{}]", key(name));
        let _ = writeln!(text, "kind = {}\nparameters = {}", quoted(kind), quoted(parameters));
        if let Some(inputs) = inputs {
            let _ = writeln!(text, "inputs = {}", quoted(inputs));
        }
        if *varies {
            text.push_str("varies = true\n");
        }
        for (output, digest) in outputs {
            let _ = writeln!(text, "outputs.{} = \"{digest}\"", key(output));
        }
    }
}

/// A key of TOML, bare where it can be.
fn key(text: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if !text.is_empty() && text.chars().all(bare) { text.to_owned() } else { quoted(text) }
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}
