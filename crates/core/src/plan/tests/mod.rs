//! Pipeline files against small kinds of their own.

mod bad_files;
mod cells;
mod documents;
mod kinds;
mod large;
mod layers;
mod settings;
mod texts;

use super::{LoadOptions, load_resolved};
use crate::Kinds;
use crate::plan::Plan;
use crate::text::{Diagnostics, Resolved};

/// Loads `text` as `p.toml` with profiles (`+name`) and settings.
fn plan(text: &str, options: &[&str]) -> Result<Plan, Diagnostics> {
    resolved(text, options).map(|(plan, _)| plan)
}

/// The plan, and the stages after all layers.
fn resolved(text: &str, options: &[&str]) -> Result<(Plan, Vec<Resolved>), Diagnostics> {
    beside(text, options, &[])
}

/// The same, with other files beside the pipeline's.
fn beside(
    text: &str,
    options: &[&str],
    files: &[(&str, &str)],
) -> Result<(Plan, Vec<Resolved>), Diagnostics> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p.toml");
    std::fs::write(&path, text).unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let mut load_options = LoadOptions::file(&path);
    for option in options {
        match option.strip_prefix('+') {
            Some(profile) => load_options.profiles.push(profile.to_owned()),
            None => load_options.sets.push((*option).to_owned()),
        }
    }
    load_resolved(&load_options, &Kinds::new([kinds::KINDS]).unwrap())
}

/// What is wrong with `text`, with the folder taken out.
fn errors(text: &str, options: &[&str]) -> String {
    match plan(text, options) {
        Ok(_) => "nothing is wrong".to_owned(),
        Err(errors) => {
            let text = errors.to_string();
            let folder = text.split("p.toml").next().unwrap_or_default();
            let folder = folder.rsplit(['\n', '(']).next().unwrap_or_default().to_owned();
            if folder.contains('/') { text.replace(&folder, "") } else { text }
        }
    }
}
