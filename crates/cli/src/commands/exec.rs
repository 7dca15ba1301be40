//! `sconce exec`: one resolved cell. The same command serves as worker of a run and as a job of a
//! cluster.

use std::io::BufReader;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sconce_core::executor::queue::{ElementEnd, run_element};
use sconce_core::executor::{Lines, serve, serve_all};
use sconce_core::run::{Mode, Request};

use super::run::workers;
use crate::arguments::ExecArguments;
use crate::environment;
use crate::failure::{FAILED, Failure, INTERRUPTED};
use crate::session::{Call, Session};
use crate::spans;
use crate::system::{self, protocol_output, send_errors_to};

pub(crate) fn exec(call: &Call<'_>, arguments: &ExecArguments) -> Result<ExitCode, Failure> {
    if let Some(batch) = &arguments.batch {
        return element(call, batch, &arguments.cell);
    }
    if arguments.cell == Path::new("-") {
        return supervised(call, arguments);
    }
    let text = std::fs::read_to_string(&arguments.cell)
        .map_err(|error| Failure::usage(format!("{}: {error}", arguments.cell.display())))?;
    let request: Request = serde_json::from_str(&text).map_err(|error| {
        Failure::usage(format!("{}: not a resolved cell: {error}", arguments.cell.display()))
    })?;
    let lines = Arc::new(Lines::new(Box::new(std::io::stdout())));
    if let Some(filter) = &arguments.spans {
        spans::send(filter, &lines)?;
    }
    let session = Session::open(call)?;
    let good = serve(&session.store, call.kinds, &request, &lines);
    if good && request.mode != Mode::Verify {
        session.push_result(&request.cell.parts.key(), request.mode == Mode::Force)?;
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

/// A worker of a run. What a run started, the run pushes.
fn supervised(call: &Call<'_>, arguments: &ExecArguments) -> Result<ExitCode, Failure> {
    let lines = Arc::new(Lines::new(protocol_output()?));
    if let Some(filter) = &arguments.spans {
        spans::send(filter, &lines)?;
    }
    let session = Session::open(call)?;
    let control = BufReader::new(std::io::stdin());
    let good = serve_all(&session.store, call.kinds, control, &send_errors_to, &lines);
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

/// A job of a cluster: the cells of one element of a batch, each in a process of its own.
fn element(call: &Call<'_>, batch: &str, number: &Path) -> Result<ExitCode, Failure> {
    let text = number.to_string_lossy();
    let element = text.parse::<usize>().map_err(|_| {
        Failure::usage(format!("`{text}`: expected the number of an element of the batch"))
    })?;
    let session = Session::open(call)?;
    let stop = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&stop);
    // The queue's notice that time will be over, or that the place is wanted.
    system::on_stop(move || asked.store(true, Ordering::SeqCst));
    let workers = workers(call, &session)?.adopting();
    let job = environment::job()?;
    let end = run_element(&session.store, batch, element, &job, &workers, &stop)?;
    Ok(match end {
        ElementEnd::Done | ElementEnd::NotOurs => ExitCode::SUCCESS,
        ElementEnd::Stopped => ExitCode::from(INTERRUPTED),
    })
}
