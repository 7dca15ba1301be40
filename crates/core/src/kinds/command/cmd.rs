//! Windows' shell: it runs one line.

use std::os::windows::process::CommandExt;
use std::process::Command;

use super::process::Variables;
use super::workspace::Workspace;
use crate::{Context, Error, Result};

/// Windows takes 8 KiB in one line.
const LONGEST: usize = 8_000;

/// Windows' shell with `line`. It would go on after a line that fails, so there is only one; it does not tell of a program that fails in
/// the middle of a pipe, which is noted.
///
/// # Errors
/// Several lines, or one that is longer than the shell takes.
pub(super) fn command(ctx: &Context, line: &str, _: &Workspace, _: &Variables) -> Result<Command> {
    let line = line.trim();
    if line.contains('\n') {
        let text = "expected one line, or a list of a program and its arguments: Windows' `cmd` would go on after a line that fails";
        return Err(Error::parameter("run", text));
    }
    if line.len() > LONGEST {
        let text = format!("expected at most {LONGEST} bytes, which is what Windows' `cmd` takes");
        return Err(Error::parameter("run", text));
    }
    if line.contains('|') {
        ctx.note("Windows' `cmd` fails a pipe only when its last program fails");
    }
    let mut command = Command::new("cmd");
    // As it is: `cmd` takes off the outer quotes, and has its own rules for those within.
    command.args(["/D", "/S", "/C"]).raw_arg(format!("\"{line}\""));
    Ok(command)
}
