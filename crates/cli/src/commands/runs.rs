//! `sconce runs`: what was run when, and how it ended.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use sconce_core::Store;
use sconce_core::store::{Commit, Invocation, RunEnd, RunRecord, RunState};
use serde_json::json;

use crate::arguments::RunsArguments;
use crate::failure::Failure;
use crate::session::{Call, Session};
use crate::style::{BAD, BOLD, BUSY, DIM, GOOD, WARN, age, paint, seconds};
use crate::table::{Head, Table, terminal_width};

pub(crate) fn runs(call: &Call<'_>, arguments: &RunsArguments) -> Result<ExitCode, Failure> {
    let session = Session::open(call)?;
    let (file, run) = match &arguments.which {
        Some(which) => named_run(which),
        None => (None, None),
    };
    if let Some(id) = run {
        let record = find(&session.store, id, file.as_deref())?;
        return one(&session.store, &record, arguments.json);
    }
    let mut runs = session.store.runs()?;
    if let Some(file) = &file {
        let file = std::path::absolute(file)?;
        runs.retain(|run| run.invocation.file == file);
    }
    let left = match arguments.limit {
        0 => 0,
        limit => runs.len().saturating_sub(limit),
    };
    runs.drain(..left);
    let mut out = anstream::stdout().lock();
    if arguments.json {
        writeln!(out, "{}", json!({ "runs": runs, "older": left }))?;
        return Ok(ExitCode::SUCCESS);
    }
    if runs.is_empty() {
        let of = file.map_or(String::new(), |file| format!(" of {}", file.display()));
        writeln!(out, "no run{of} is recorded in {}", session.store.root().display())?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new(vec![
        Head::number("run"),
        Head::text("when"),
        Head { weight: 3, ..Head::number("took") },
        Head::text("ended"),
        Head { weight: 2, ..Head::text("cells") },
        Head::text("file"),
        Head { weight: 1, ..Head::text("with") },
        Head { weight: 4, ..Head::text("commit") },
    ]);
    table.rows = runs.iter().map(line).collect();
    let gone = table.without_empty().write(&mut out, terminal_width())?;
    let mut notes = Vec::new();
    if left > 0 {
        notes.push(format!("{left} older: --limit 0 shows all"));
    }
    if !gone.is_empty() {
        notes.push(format!("not shown for want of room: {}", gone.join(", ")));
    }
    for note in notes {
        writeln!(out, "{}", paint(DIM, note))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What `FILE`, `FILE@RUN`, `RUN` or `@RUN` names. A file whose name has an `@` in it is itself.
pub(crate) fn named_run(text: &str) -> (Option<PathBuf>, Option<u64>) {
    let number = |text: &str| text.parse::<u64>().ok();
    if Path::new(text).exists() {
        return (Some(text.into()), None);
    }
    if let Some(id) = number(text) {
        return (None, Some(id));
    }
    match text.rsplit_once('@') {
        Some((file, id)) if number(id).is_some() => {
            ((!file.is_empty()).then(|| file.into()), number(id))
        }
        _ => (Some(text.into()), None),
    }
}

/// The run of this number, which has to be one of `file` where that is given.
pub(crate) fn find(store: &Store, id: u64, file: Option<&Path>) -> Result<RunRecord, Failure> {
    let Some(run) = store.run(id)? else {
        return Err(Failure::usage(format!(
            "there is no run {id} in {}; `sconce runs` lists those that are recorded",
            store.root().display()
        )));
    };
    if let Some(file) = file
        && std::path::absolute(file)? != run.invocation.file
    {
        return Err(Failure::usage(format!(
            "run {id} is one of {}, and not of {}",
            shown(&run.invocation.file),
            file.display()
        )));
    }
    Ok(run)
}

fn line(run: &RunRecord) -> Vec<String> {
    vec![
        run.id.to_string(),
        age(run.started as u64),
        run.seconds.map_or(String::new(), seconds),
        end(run.end).to_owned(),
        cells(run),
        shown(&run.invocation.file),
        with(&run.invocation),
        run.commit.as_ref().map_or(String::new(), commit),
    ]
}

fn end(end: RunEnd) -> &'static str {
    match end {
        RunEnd::Running => "running",
        RunEnd::Succeeded => "succeeded",
        RunEnd::Failed => "failed",
        RunEnd::Interrupted => "interrupted",
        RunEnd::Killed => "killed",
    }
}

fn state(state: RunState) -> &'static str {
    match state {
        RunState::Fresh => "fresh",
        RunState::Running => "running",
        RunState::Ran => "ran",
        RunState::Failed => "failed",
        RunState::Skipped => "skipped",
        RunState::Interrupted => "interrupted",
    }
}

/// `3 ran, 12 fresh`.
fn cells(run: &RunRecord) -> String {
    let counts = &run.counts;
    let parts = [
        (counts.ran, "ran"),
        (counts.fresh, "fresh"),
        (counts.failed, "failed"),
        (counts.skipped, "skipped"),
        (counts.interrupted, "interrupted"),
    ];
    let parts: Vec<_> = parts
        .iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, what)| format!("{number} {what}"))
        .collect();
    match parts.is_empty() {
        true => format!("none of {}", run.cells),
        false => parts.join(", "),
    }
}

/// The path from the current folder on where it lies below.
fn shown(file: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    file.strip_prefix(&here).unwrap_or(file).display().to_string()
}

/// What was asked beside the file, as it is written on the command line.
pub(crate) fn with(invocation: &Invocation) -> String {
    let mut words = Vec::new();
    for profile in &invocation.profiles {
        words.extend(["--profile".to_owned(), quoted(profile)]);
    }
    for set in &invocation.sets {
        words.extend(["--set".to_owned(), quoted(set)]);
    }
    words.extend(invocation.force.iter().map(|name| match name.as_str() {
        "*" => "--force".to_owned(),
        name => format!("--force={}", quoted(name)),
    }));
    words.extend(invocation.wanted.iter().map(|name| quoted(name)));
    words.join(" ")
}

/// A word for a POSIX shell.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./=:,+@%".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

/// The short hash, with a star where files were changed and a question mark where nobody asked.
fn commit(commit: &Commit) -> String {
    let mark = match commit.dirty {
        Some(true) => "*",
        Some(false) => "",
        None => "?",
    };
    format!("{}{mark}", &commit.hash[..commit.hash.len().min(9)])
}

/// All about one run.
fn one(store: &Store, run: &RunRecord, json: bool) -> Result<ExitCode, Failure> {
    let found = store.run_cells(run.id)?;
    let mut out = anstream::stdout().lock();
    if json {
        let mut record = serde_json::to_value(run)?;
        record["run_cells"] = serde_json::to_value(&found)?;
        writeln!(out, "{record}")?;
        return Ok(ExitCode::SUCCESS);
    }
    let style = match run.end {
        RunEnd::Succeeded => GOOD,
        RunEnd::Running => BUSY,
        RunEnd::Interrupted => WARN,
        RunEnd::Failed | RunEnd::Killed => BAD,
    };
    let took = run.seconds.map_or(String::new(), |took| format!(" after {}", seconds(took)));
    writeln!(
        out,
        "{} {}{took}",
        paint(BOLD, format_args!("run {}", run.id)),
        paint(style, end(run.end))
    )?;
    let mut field = |name: &str, text: &str| match text.is_empty() {
        true => Ok(()),
        false => writeln!(out, "  {name:<10} {text}"),
    };
    field("file", &shown(&run.invocation.file))?;
    field("pipeline", &run.pipeline)?;
    field("with", &with(&run.invocation))?;
    field("started", &age(run.started as u64))?;
    field("cells", &cells(run))?;
    if let Some(one) = &run.commit {
        let state = match one.dirty {
            Some(true) => ", with changes that were not committed",
            Some(false) => ", without further changes",
            None => ", whether changed is not known",
        };
        let branch = one.branch.as_ref().map_or(String::new(), |name| format!(" on {name}"));
        field("commit", &format!("{}{branch}{state}", one.hash))?;
    }
    field("sconce", &run.sconce)?;
    field("error", run.error.as_deref().unwrap_or_default())?;
    if found.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(out)?;
    let mut table = Table::new(vec![
        Head::text("cell"),
        Head::text("state"),
        Head::number("took"),
        Head::text("key"),
        Head { weight: 1, ..Head::text("error") },
    ]);
    table.rows = found
        .iter()
        .map(|one| {
            let took = match (one.started, one.ended) {
                (Some(started), Some(ended)) => seconds((ended - started).max(0.0)),
                _ => String::new(),
            };
            let key = one.key.map_or(String::new(), |key| key.short());
            let error = one.error.as_deref().and_then(|text| text.lines().next());
            let error = error.unwrap_or_default().to_owned();
            vec![one.cell.to_string(), state(one.state).to_owned(), took, key, error]
        })
        .collect();
    table.without_empty().write(&mut out, terminal_width())?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_back_from_a_shell() {
        for word in ["a", "stage.svm.c=10", "svm[c=1]", "it's", "a b", "", "$x", "\"q\""] {
            let line = format!("printf %s {}", quoted(word));
            let output = std::process::Command::new("sh").args(["-c", &line]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), word);
        }
    }

    #[test]
    fn runs_are_named_with_and_without_their_file() {
        let named = |text| named_run(text);
        assert_eq!(named("12"), (None, Some(12)));
        assert_eq!(named("@12"), (None, Some(12)));
        assert_eq!(named("a/p.toml@3"), (Some("a/p.toml".into()), Some(3)));
        assert_eq!(named("a@b.toml"), (Some("a@b.toml".into()), None));
    }
}
