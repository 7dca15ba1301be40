//! `sconce compare`: results side by side. Runs nothing.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use sconce_core::plan::{Plan, Selection};
use sconce_core::{LoadOptions, load};

use super::runs::{find, named_run, quoted};
use crate::arguments::{CompareArguments, TableFormat};
use crate::compare::expression::{self, order};
use crate::compare::figures;
use crate::compare::frame::Frame;
use crate::compare::page::{self, Words};
use crate::compare::side::{Found, Side, State};
use crate::compare::write;
use crate::failure::Failure;
use crate::session::{Call, Session};
use crate::style::{DIM, count, paint};
use crate::table::terminal_width;

pub(crate) fn compare(call: &Call<'_>, arguments: &CompareArguments) -> Result<ExitCode, Failure> {
    let (file, runs, names) = what(arguments)?;
    let (mut sides, plans, session) = match runs.is_empty() {
        true => of_plans(call, arguments, &file)?,
        false => of_runs(call, arguments, &file, &runs)?,
    };
    let selections = selections(&names)?;
    let named = |found: &Found| selections.iter().any(|one| one.takes(&found.cell));
    let (stages, by_metrics) = default_stages(&sides);
    let takes = |found: &Found| match selections.is_empty() {
        true => stages.contains(&found.cell.stage),
        false => named(found),
    };
    let rows: Vec<(usize, usize)> = sides
        .iter()
        .enumerate()
        .flat_map(|(number, side)| {
            let cells = side.cells.iter().enumerate().filter(|(_, found)| takes(found));
            cells.map(move |(cell, _)| (number, cell))
        })
        .collect();
    for (selection, name) in selections.iter().zip(&names) {
        if !sides.iter().flat_map(|side| &side.cells).any(|found| selection.takes(&found.cell)) {
            return Err(no_cell(name, &plans));
        }
    }
    for side in &mut sides {
        side.read_numbers(&session.store, takes);
    }
    let mut frame = Frame::of(&sides, rows);
    let all = frame.rows.len();
    choose_rows(&mut frame, arguments)?;
    let shown = match &arguments.columns {
        Some(names) => {
            let columns = expression::columns("--columns", names, &frame)?;
            columns.into_iter().map(|(column, _)| column).collect()
        }
        None => frame.differing(),
    };
    let cells: usize = sides.iter().map(|side| side.cells.len()).sum();
    let mut notes = Vec::new();
    if selections.is_empty() && by_metrics && cells > all {
        notes.push(format!(
            "{} with metrics, of {cells} in all: name stages to see others",
            count(all, "cell")
        ));
    }
    if frame.rows.len() < all {
        notes.push(format!("{} of {}", frame.rows.len(), count(all, "row")));
    }
    notes.extend(absent(&sides, &frame));
    let mut out = std::io::BufWriter::new(anstream::stdout().lock());
    match arguments.format {
        TableFormat::Csv => write::csv(&mut out, &frame, &shown)?,
        TableFormat::Markdown => write::markdown(&mut out, &frame, &shown)?,
        TableFormat::Json => write::json(&mut out, &sides, &frame, &shown)?,
        TableFormat::Html => {
            let several = sides.len() > 1 && names.is_empty();
            // Where nothing was named, sides are compared in all their figures.
            let name = |&(side, cell): &(usize, usize)| sides[side].cells[cell].cell.to_string();
            let taken: BTreeSet<String> = frame.rows.iter().map(name).collect();
            let wanted = |found: &Found| several || taken.contains(&found.cell.to_string());
            let (figures, left_out) = figures::differing(&sides, &session.store, wanted);
            if left_out > 0 {
                notes.push(format!("{} left out", count(left_out, "figure")));
            }
            let title = format!("Comparison of {}", file.display());
            notes.insert(0, as_written());
            page::html(&mut out, &Words { title, notes }, &frame, &shown, &figures)?;
        }
        TableFormat::Text => {
            let gone = match shown.is_empty() {
                true => {
                    notes.push(format!("nothing differs between {}", count(all, "row")));
                    Vec::new()
                }
                false => write::text(&mut out, &frame, &shown, terminal_width())?,
            };
            if !gone.is_empty() {
                notes.push(format!(
                    "not shown for want of room: {} (--columns, or another --format)",
                    gone.join(", ")
                ));
            }
            for note in notes {
                writeln!(out, "{}", paint(DIM, note))?;
            }
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// The call as it is written in a shell.
fn as_written() -> String {
    let words: Vec<String> = std::env::args().skip(1).map(|word| quoted(&word)).collect();
    format!("sconce {}", words.join(" "))
}

/// The file, the runs, and the names of cells.
fn what(arguments: &CompareArguments) -> Result<(PathBuf, Vec<u64>, Vec<String>), Failure> {
    let (file, first) = named_run(&arguments.file);
    let Some(file) = file else {
        return Err(Failure::usage(format!(
            "`{}`: expected a pipeline file, or a run of one: FILE@RUN",
            arguments.file
        )));
    };
    let mut runs: Vec<u64> = first.into_iter().collect();
    let mut names = Vec::new();
    for what in &arguments.what {
        match what.strip_prefix('@').unwrap_or(what).parse::<u64>() {
            Ok(id) => runs.push(id),
            Err(_) => names.push(what.clone()),
        }
    }
    let sets = !arguments.profiles.is_empty()
        || !arguments.sets.is_empty()
        || !arguments.variants.is_empty()
        || arguments.base;
    if !runs.is_empty() && sets {
        return Err(Failure::usage(
            "runs are compared as they were: expected no --profile, --set, --variant or --base \
             beside them",
        ));
    }
    let mut seen = BTreeSet::new();
    if let Some(twice) = runs.iter().find(|id| !seen.insert(**id)) {
        return Err(Failure::usage(format!("run {twice} is there twice")));
    }
    Ok((file, runs, names))
}

type Sides = (Vec<Side>, Vec<Plan>, Session);

/// The file as each profile and variant makes it.
fn of_plans(call: &Call<'_>, arguments: &CompareArguments, file: &Path) -> Result<Sides, Failure> {
    let mut profiles: Vec<(String, Vec<String>)> = arguments
        .profiles
        .iter()
        .map(|names| (names.clone(), names.split('+').map(str::to_owned).collect()))
        .collect();
    if arguments.base || profiles.is_empty() {
        profiles.insert(0, ("(none)".to_owned(), Vec::new()));
    }
    let mut variants: Vec<(String, Vec<String>)> = arguments
        .variants
        .iter()
        .map(|text| {
            let sets = text.split(';').map(|set| set.trim().to_owned());
            (text.clone(), sets.filter(|set| !set.is_empty()).collect())
        })
        .collect();
    if variants.is_empty() {
        variants.push((String::new(), Vec::new()));
    }
    for (what, names) in [("profile", &profiles), ("variant", &variants)] {
        let mut seen = BTreeSet::new();
        if let Some((twice, _)) = names.iter().find(|(name, _)| !seen.insert(name)) {
            return Err(Failure::usage(format!("{what} `{twice}` is there twice")));
        }
    }
    let mut plans = Vec::new();
    let mut labels = Vec::new();
    for (profile, names) in &profiles {
        for (variant, sets) in &variants {
            let options = LoadOptions {
                path: file.to_owned(),
                profiles: names.clone(),
                sets: arguments.sets.iter().chain(sets).cloned().collect(),
                strict_device: call.strict_device()?,
            };
            plans.push(
                load(&options, call.kinds).map_err(|errors| Failure::Pipeline(Box::new(errors)))?,
            );
            labels.push(vec![("profile", profile.clone()), ("variant", variant.clone())]);
        }
    }
    let session = Session::open(call)?;
    let sides: Result<Vec<_>, Failure> = plans
        .iter()
        .zip(labels)
        .map(|(plan, labels)| Side::of_plan(labels, plan, &session.store))
        .collect();
    Ok((sides?, plans, session))
}

fn of_runs(
    call: &Call<'_>,
    arguments: &CompareArguments,
    file: &Path,
    runs: &[u64],
) -> Result<Sides, Failure> {
    let session = Session::open(call)?;
    // A word that is a number may also be a stage's name.
    let mut sides = Vec::new();
    for &id in runs {
        find(&session.store, id, Some(file))?;
        let side = Side::of_run(vec![("run", id.to_string())], id, &session.store)?;
        let is_stage = |name: &String| {
            name.parse() == Ok(id) && side.cells.iter().any(|found| found.cell.stage == *name)
        };
        if arguments.what.iter().any(is_stage) {
            return Err(Failure::usage(format!(
                "`{id}` is a run and a stage: write @{id} for the run, '{id}[*]' for the stage"
            )));
        }
        sides.push(side);
    }
    Ok((sides, Vec::new(), session))
}

fn selections(names: &[String]) -> Result<Vec<Selection>, Failure> {
    let parse = |name: &String| Selection::parse(name).map_err(|e| Failure::usage(e.to_string()));
    names.iter().map(parse).collect()
}

/// A name that no row has, in the words of a plan where there is one.
fn no_cell(name: &str, plans: &[Plan]) -> Failure {
    match plans.first().map(|plan| plan.select(name)) {
        Some(Err(error)) => Failure::usage(error.to_string()),
        _ => Failure::usage(format!("no run that is compared has a cell `{name}`")),
    }
}

/// The stages whose cells are compared when none is named: those with metrics, if there are any.
fn default_stages(sides: &[Side]) -> (BTreeSet<String>, bool) {
    let all = || sides.iter().flat_map(|side| &side.cells);
    let stages = |takes: &dyn Fn(&Found) -> bool| -> BTreeSet<String> {
        all().filter(|found| takes(found)).map(|found| found.cell.stage.clone()).collect()
    };
    let told = |found: &Found| found.receipt.as_ref().is_some_and(|one| !one.metrics.is_empty());
    let with_metrics = stages(&|found| found.yields_metrics);
    if !with_metrics.is_empty() {
        return (with_metrics, true);
    }
    let telling = stages(&told);
    match telling.is_empty() {
        true => (stages(&|_| true), false),
        false => (telling, true),
    }
}

/// Filters, sorts and limits.
fn choose_rows(frame: &mut Frame, arguments: &CompareArguments) -> Result<(), Failure> {
    let mut rows: Vec<usize> = (0..frame.rows.len()).collect();
    if let Some(text) = &arguments.condition {
        let condition = expression::parse(text, frame)?;
        rows.retain(|&row| condition.holds(frame, row));
    }
    if let Some(names) = &arguments.sort {
        let columns = expression::columns("--sort", names, frame)?;
        rows.sort_by(|&a, &b| {
            let by = |&(column, down): &(usize, bool)| {
                let values = &frame.columns[column].values;
                let (a, b) = (&values[a], &values[b]);
                // What is not there comes last, whatever the direction.
                let there = a.is_null().cmp(&b.is_null());
                let order = order(a, b).unwrap_or_else(|| a.to_string().cmp(&b.to_string()));
                there.then(if down { order.reverse() } else { order })
            };
            columns.iter().map(by).find(|order| order.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
        });
    }
    rows.truncate(arguments.limit.unwrap_or(usize::MAX));
    if rows.len() < frame.rows.len() || arguments.sort.is_some() {
        frame.keep(&rows);
    }
    Ok(())
}

/// What the store does not have.
fn absent(sides: &[Side], frame: &Frame) -> Option<String> {
    let is_absent = |&&(side, cell): &&(usize, usize)| {
        matches!(sides[side].cells[cell].state, State::NotRun | State::Depends)
    };
    match frame.rows.iter().filter(is_absent).count() {
        0 => None,
        1 => Some("1 row is not in the store: `sconce run` computes it".to_owned()),
        more => Some(format!("{more} rows are not in the store: `sconce run` computes them")),
    }
}
