//! `sconce export`: results in the forms of other tools.

mod csv;
mod mlflow;
mod ro_crate;
mod tensorboard;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use sconce_core::plan::{CellIndex, Plan};
use sconce_core::store::{Journal, OutputRecord, Receipt};
use sconce_core::system::files::make_writable;
use sconce_core::{CellId, Store};

use crate::arguments::{ExportArguments, ExportFormat};
use crate::commands::{assess_plan, flat};
use crate::failure::Failure;
use crate::session::{Call, cells, open_with_plan};
use crate::style::{GOOD, count, status};
use crate::watch::curves::{Curve, curves};
use crate::watch::{Look, Status};

/// A cell that has something to show: a result, or a curve.
struct Exported {
    index: CellIndex,
    id: CellId,
    kind: String,
    status: Status,
    error: String,
    /// All parameters by their paths.
    parameters: Vec<(String, String)>,
    receipt: Option<Box<Receipt>>,
    journal: Option<Journal>,
    curves: Vec<Curve>,
}

impl Exported {
    /// When it began, in seconds since 1970.
    fn started(&self) -> f64 {
        let journal = self.journal.as_ref().map(|journal| journal.started);
        let receipt = self.receipt.as_ref().map(|receipt| receipt.started as f64);
        receipt.or(journal).unwrap_or_default()
    }

    /// When it was over, or last heard of.
    fn ended(&self) -> f64 {
        match (&self.receipt, &self.journal) {
            (Some(receipt), _) => receipt.started as f64 + receipt.seconds,
            (None, Some(journal)) => journal.told(),
            (None, None) => self.started(),
        }
    }

    /// When the point at this place of a curve was told. Where that is not known: in equal steps from the
    /// begin to the end.
    fn time(&self, curve: &Curve, place: usize) -> f64 {
        let (from, to) = (self.started(), self.ended());
        let share = (place + 1) as f64 / curve.points.len().max(1) as f64;
        curve.times.get(place).copied().unwrap_or(from + (to - from) * share)
    }

    fn outputs(&self) -> impl Iterator<Item = (&String, &OutputRecord)> {
        self.receipt.iter().flat_map(|receipt| &receipt.outputs)
    }
}

pub(crate) fn export(call: &Call<'_>, arguments: &ExportArguments) -> Result<ExitCode, Failure> {
    let (session, plan) = open_with_plan(call, &arguments.pipeline)?;
    let store = &session.store;
    let named = match &arguments.stage {
        Some(name) => cells(&plan, name)?,
        None => plan.indices().collect(),
    };
    let assessed = assess_plan(&session, &plan)?;
    let mut found = Vec::new();
    for index in named {
        let look = Look::at(store, &assessed, index)?;
        let curves = curves(store, look.receipt.as_deref(), look.journal.as_ref());
        if look.receipt.is_some() || !curves.is_empty() {
            found.push(exported(&plan, index, look, curves));
        }
    }
    if found.is_empty() {
        return Err(Failure::usage("nothing to export: no cell has a result or a curve yet"));
    }
    let out = std::path::absolute(&arguments.out)?;
    make_empty(&out)?;
    match arguments.format {
        ExportFormat::Tensorboard => tensorboard::write(store, &found, &out)?,
        ExportFormat::Csv => csv::write(&found, &out)?,
        ExportFormat::Mlflow => mlflow::write(store, &plan, &found, &out)?,
        ExportFormat::RoCrate => ro_crate::write(store, &plan, arguments, &found, &out)?,
    }
    let text = format!("{} to {}", count(found.len(), "cell"), arguments.out.display());
    let _ = writeln!(anstream::stderr(), "{}", status(GOOD, "Exported", text));
    Ok(ExitCode::SUCCESS)
}

fn exported(plan: &Plan, index: CellIndex, look: Look, curves: Vec<Curve>) -> Exported {
    let cell = &plan[index];
    let Look { status, receipt, journal, error } = look;
    let all = match &receipt {
        Some(receipt) => receipt.parts.all_parameters(),
        None => cell.key_parameters.differing.clone(),
    };
    let mut parameters: Vec<(String, String)> = Vec::new();
    for (axis, value) in cell.id.coordinates.iter() {
        parameters.push((axis.to_owned(), sconce_core::cell::Plain(value).to_string()));
    }
    for (path, value) in flat("", &all) {
        // Texts as people write them.
        let plain = serde_json::from_str::<String>(&value).unwrap_or(value);
        if parameters.iter().all(|(name, _)| *name != path) && !path.is_empty() {
            parameters.push((path, plain));
        }
    }
    if let Some(seed) = receipt.as_ref().and_then(|receipt| receipt.parts.seed) {
        parameters.push(("seed".to_owned(), seed.to_string()));
    }
    let (id, kind) = (cell.id.clone(), cell.kind.name.to_owned());
    Exported { index, id, kind, status, error, parameters, receipt, journal, curves }
}

/// Makes the folder that is exported to.
fn make_empty(out: &Path) -> Result<(), Failure> {
    match std::fs::read_dir(out) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(Failure::usage(format!(
                "{}: expected a folder that is empty or does not exist, found files",
                out.display()
            ))),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Ok(std::fs::create_dir_all(out)?)
        }
        Err(error) => Err(Failure::usage(format!("{}: {error}", out.display()))),
    }
}

/// Copies the files of an output below `to`. Every byte is verified.
fn copy_output(store: &Store, output: &OutputRecord, to: &Path) -> Result<(), Failure> {
    for (name, _, from) in store.files(&output.digest)?.iter() {
        let to = to.join(name);
        if let Some(folder) = to.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::copy(from, &to)?;
        make_writable(&to)?;
    }
    Ok(())
}
