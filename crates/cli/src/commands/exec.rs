//! `sconce exec`: one resolved cell. The same command serves as worker of a run and as a job of a
//! cluster.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use sconce_core::executor::{Lines, serve};
use sconce_core::run::Request;

use crate::arguments::ExecArguments;
use crate::failure::{FAILED, Failure};
use crate::session::{Call, Session};
use crate::spans;

pub(crate) fn exec(call: &Call<'_>, arguments: &ExecArguments) -> Result<ExitCode, Failure> {
    let supervised = arguments.cell == Path::new("-");
    let (text, control) = if supervised {
        let mut control = BufReader::new(std::io::stdin());
        let mut line = String::new();
        control.read_line(&mut line)?;
        (line, Some(Box::new(control) as Box<dyn BufRead + Send>))
    } else {
        let text = std::fs::read_to_string(&arguments.cell)
            .map_err(|error| Failure::usage(format!("{}: {error}", arguments.cell.display())))?;
        (text, None)
    };
    let request: Request = serde_json::from_str(&text).map_err(|error| {
        Failure::usage(format!("{}: not a resolved cell: {error}", arguments.cell.display()))
    })?;
    let out = if supervised { protocol_output()? } else { Box::new(std::io::stdout()) };
    let lines = Arc::new(Lines::new(out));
    if let Some(filter) = &arguments.spans {
        spans::send(filter, &lines)?;
    }
    let session = Session::open(call)?;
    let good = serve(&session.store, call.kinds, &request, control, &lines);
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

/// Takes standard output for the protocol alone: what libraries print there goes to the log.
#[cfg(unix)]
fn protocol_output() -> Result<Box<dyn Write + Send>, Failure> {
    use std::os::fd::AsFd;
    let copy = std::io::stdout().as_fd().try_clone_to_owned()?;
    rustix::stdio::dup2_stdout(std::io::stderr()).map_err(std::io::Error::from)?;
    Ok(Box::new(std::fs::File::from(copy)))
}

#[cfg(not(unix))]
fn protocol_output() -> Result<Box<dyn Write + Send>, Failure> {
    Ok(Box::new(std::io::stdout()))
}
