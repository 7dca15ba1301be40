//! `sconce lock`: writes what each cell yields beside the pipeline file, and `run --locked` holds a run to it.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use sconce_core::lock::{Held, LockFile, Locked, lock_path, profile_name};
use sconce_core::plan::{PerCell, Plan, State};
use sconce_core::processor;
use sconce_core::run::Summary;

use super::plan::assess_plan;
use crate::arguments::{LockArguments, PipelineArguments, TalkArguments};
use crate::failure::{FAILED, Failure};
use crate::session::{Call, named, open_with_plan};
use crate::style::{BAD, GOOD, WARN, count, status};

/// So many cells are named; of more their number.
const NAMED: usize = 8;

pub(crate) fn lock(call: &Call<'_>, arguments: &LockArguments) -> Result<ExitCode, Failure> {
    let pipeline = &arguments.pipeline;
    without_settings(pipeline)?;
    let (session, plan) = open_with_plan(call, pipeline)?;
    let mut assessed = assess_plan(&session, &plan)?;
    let mut absent = Vec::new();
    let receipts = PerCell::new(&plan, |cell| {
        let state = std::mem::replace(&mut assessed.states[cell], State::Depends(Vec::new()));
        match state {
            State::Hit(receipt) => Some(*receipt),
            _ => {
                absent.push(plan[cell].id.to_string());
                None
            }
        }
    });
    let path = lock_path(&pipeline.file);
    if !absent.is_empty() {
        let (number, names) = (count(absent.len(), "cell"), list(absent.into_iter()));
        return Err(Failure::usage(format!(
            "{}: {number} of {} without a result: {names}; `sconce run` it first",
            path.display(),
            profile_name(&pipeline.profiles),
        )));
    }
    let locked = Locked::of(&plan, &receipts);
    let (cells, varying) = (locked.cells.len(), varying(&locked));
    let mut file = read(&path)?.unwrap_or_else(LockFile::empty);
    let before = file.put(&pipeline.profiles, locked);
    let (changed, other): (_, Vec<String>) = match (&before, file.locked(&pipeline.profiles)) {
        (Some(before), Some(now)) => {
            (now.differing_cells(before), now.other_bits(before).map(str::to_owned).collect())
        }
        _ => (cells, Vec::new()),
    };
    file.write(&path, &pipeline.file)?;
    let of = profile_name(&pipeline.profiles);
    let text =
        format!("{}: {} of {of}, {changed} changed{varying}", path.display(), count(cells, "cell"));
    writeln!(anstream::stdout(), "{}", status(GOOD, "Locked", text))?;
    if !other.is_empty() {
        let number = count(other.len(), "cell");
        let text = format!(
            "other bits from the same kind, parameters and inputs as before, in {number}: {}; a kind whose results change has to get a new version",
            list(other.into_iter()),
        );
        writeln!(anstream::stderr(), "{}", status(WARN, "Warning", text))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A lock file that cannot be read is a mistake of the user's, as in a pipeline file.
fn read(path: &Path) -> Result<Option<LockFile>, Failure> {
    LockFile::read(path).map_err(|error| Failure::usage(error.to_string()))
}

/// A lock is of what the file and its profiles say.
fn without_settings(pipeline: &PipelineArguments) -> Result<(), Failure> {
    match pipeline.sets.first() {
        None => Ok(()),
        Some(set) => Err(Failure::usage(format!(
            "`--set {set}`: a lock holds the results of the file and its profiles as they are; make it a profile"
        ))),
    }
}

fn varying(locked: &Locked) -> String {
    match locked.cells.values().filter(|cell| cell.varies).count() {
        0 => String::new(),
        number => format!("; {number} read what may differ between two runs and are not held"),
    }
}

/// What a run of the cells `wanted` is held to. Cells, kinds and parameters are held before anything runs: `Err` holds the exit
/// code after they were told.
pub(super) fn held(
    pipeline: &PipelineArguments,
    plan: &Plan,
    wanted: &[String],
) -> Result<Result<Arc<Held>, ExitCode>, Failure> {
    without_settings(pipeline)?;
    let path = lock_path(&pipeline.file);
    let profile = profile_name(&pipeline.profiles);
    let file = read(&path)?;
    let locked = file.as_ref().and_then(|file| file.locked(&pipeline.profiles)).cloned();
    let Some(locked) = locked else {
        let what = match file {
            Some(_) => format!("it does not have {profile}"),
            None => "no such file".to_owned(),
        };
        let flags: String =
            pipeline.profiles.iter().map(|name| format!(" --profile {name}")).collect();
        return Err(Failure::usage(format!(
            "{}: {what}; `sconce lock {}{flags}` writes it",
            path.display(),
            pipeline.file.display()
        )));
    };
    let held = Held::to(locked);
    let cells = plan.with_upstream(named(plan, wanted)?);
    let mut changes = held.differing(plan, &cells)?;
    if wanted.is_empty() {
        changes.extend(held.gone(plan));
    }
    if changes.is_empty() {
        return Ok(Ok(Arc::new(held)));
    }
    let mut out = anstream::stderr().lock();
    for (name, change) in changes.iter().take(NAMED) {
        writeln!(out, "{}", status(BAD, "Differs", format_args!("{name}: {change}")))?;
    }
    let more = changes.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(", {more} more than shown") } else { String::new() };
    let cells = count(changes.len(), "cell");
    let text = format!("{cells} differ from {}{more}; nothing ran", path.display());
    writeln!(out, "{}", status(BAD, "Summary", text))?;
    Ok(Err(ExitCode::from(FAILED)))
}

/// Tells how far the results were held.
pub(super) fn tell(held: &Held, summary: &Summary, talk: &TalkArguments) -> Result<(), Failure> {
    if talk.json || (talk.quiet && summary.other_bits == 0) || !summary.is_success() {
        return Ok(());
    }
    let mut out = anstream::stderr().lock();
    if summary.other_bits == 0 {
        writeln!(out, "{}", status(GOOD, "Held", "every result is as locked"))?;
        return Ok(());
    }
    let text = format!(
        "code and parameters are as locked; the bits of {} differ, and are of another kind of machine: {} (here {})",
        count(summary.other_bits, "cell"),
        held.processor(),
        processor::describe()
    );
    writeln!(out, "{}", status(WARN, "Held", text))?;
    Ok(())
}

fn list(names: impl ExactSizeIterator<Item = String>) -> String {
    let more = names.len().saturating_sub(NAMED);
    let mut shown: Vec<_> = names.take(NAMED).collect();
    if more > 0 {
        shown.push(format!("{more} more"));
    }
    shown.join(", ")
}
