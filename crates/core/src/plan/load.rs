//! From a pipeline file to a [`Plan`], or to all that is wrong with the file.

use std::path::{Path, PathBuf};

use super::Plan;
use super::expand::{self, From};
use crate::text::pipeline::Pipeline;
use crate::text::{Diagnostic, Diagnostics, Resolved, Sources, document, pipeline, resolved};
use crate::{DeviceClass, Kinds};

/// What to load.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// The pipeline file.
    pub path: PathBuf,
    /// Profiles to lay over it, in order.
    pub profiles: Vec<String>,
    /// `path=value` settings, such as `stage.svm.c=10`; they win over profiles.
    pub sets: Vec<String>,
    /// The classes that keys of cells name which can compute on an accelerator; without, no key names one.
    pub strict_device: Option<DeviceClasses>,
}

/// What the choices of a run come to that are not classes themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceClasses {
    /// Of cells that leave the choice to the run.
    pub usual: DeviceClass,
    /// Of cells that say `auto`.
    pub auto: DeviceClass,
}

impl LoadOptions {
    /// The file alone.
    pub fn file(path: impl AsRef<Path>) -> Self {
        Self { path: path.as_ref().to_owned(), ..Self::default() }
    }
}

/// Reads a pipeline file and expands it into cells.
///
/// # Errors
/// All that is wrong with the file, each with its place.
pub fn load(options: &LoadOptions, kinds: &Kinds) -> Result<Plan, Diagnostics> {
    read(options, kinds, |_, _| ()).map(|(plan, ())| plan)
}

/// The plan, and the stages as they are after all layers, with the defaults of their kinds.
///
/// # Errors
/// As [`load`].
pub fn load_resolved(
    options: &LoadOptions,
    kinds: &Kinds,
) -> Result<(Plan, Vec<Resolved>), Diagnostics> {
    let (plan, mut stages) = read(options, kinds, resolved::resolve)?;
    for stage in &mut stages {
        if let Some(cell) = plan.of_stage(&stage.stage).next() {
            stage.add_defaults(&plan[cell].parameters);
        }
    }
    Ok((plan, stages))
}

fn read<T>(
    options: &LoadOptions,
    kinds: &Kinds,
    look: impl FnOnce(&Pipeline<'_>, &Sources) -> T,
) -> Result<(Plan, T), Diagnostics> {
    let parse = tracing::info_span!("parse", file = %options.path.display()).entered();
    let name = options.path.display().to_string();
    let unreadable = |message: String| {
        Diagnostics::new(Sources::default(), vec![Diagnostic::new(message, None)])
    };
    let bytes = std::fs::read(&options.path)
        .map_err(|error| unreadable(format!("{name}: cannot read the pipeline file: {error}")))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let line = error.as_bytes()[..error.utf8_error().valid_up_to()]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count()
            + 1;
        unreadable(format!("{name}:{line}: a pipeline file has to be UTF-8"))
    })?;
    let folder = match options.path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let stem = options.path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let sources = document::sources(&name, text, &options.sets)
        .map_err(|error| Diagnostics::new(Sources::default(), vec![error]))?;
    // With the texts that stages read beside the file.
    let mut all = sources.clone();
    let mut errors = Vec::new();
    let pipeline = pipeline::read(&sources, options, kinds, &mut errors);
    parse.exit();
    let found = pipeline.and_then(|pipeline| {
        let _span = tracing::info_span!("plan").entered();
        let seen = look(&pipeline, &sources);
        let from = From { folder, stem: stem.unwrap_or_default(), options };
        let mut plan = expand::expand(pipeline, from, &mut all, &mut errors)?;
        if let Some(classes) = options.strict_device {
            plan.name_device_classes(classes);
        }
        Some((plan, seen))
    });
    match found {
        Some(found) if errors.is_empty() => Ok(found),
        _ => Err(Diagnostics::new(all, errors)),
    }
}
