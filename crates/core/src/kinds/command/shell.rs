//! Which shell runs a line, so that a pipe fails when any of its programs does.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::process::{Command, Stdio};
use std::sync::Mutex;

use super::process::Variables;
use super::workspace::Workspace;
use crate::error::IoResultExt;
use crate::mutex::relock;
use crate::{Context, Result};

/// Longer lines go to the shell as a file: Linux takes 128 KiB in one argument.
const LONGEST: usize = 100_000;

/// The program and its arguments that run `line`.
///
/// `bash`, else `sh`, with `-e`; and with `pipefail` where the shell has it. Where it has not, a line with a pipe is noted:
/// a failure in the middle of it would go unseen.
pub(super) fn command(
    ctx: &Context,
    line: &str,
    workspace: &Workspace,
    environment: &Variables,
) -> Result<Command> {
    let (program, arguments) = shell(ctx, line, environment);
    let mut command = Command::new(program);
    command.args(arguments);
    if line.len() <= LONGEST {
        command.args(["-c", line]);
    } else {
        let path = workspace.temporary.join("line.sh");
        fs::write(&path, line).at(&path)?;
        command.arg(path);
    }
    Ok(command)
}

fn shell(
    ctx: &Context,
    line: &str,
    environment: &Variables,
) -> (&'static str, &'static [&'static str]) {
    const STRICT: &[&str] = &["-e", "-o", "pipefail"];
    for program in ["bash", "sh"] {
        if knows(program, STRICT, environment) {
            return (program, STRICT);
        }
    }
    if line.contains('|') {
        ctx.note("there is no bash here, and sh has no `pipefail`: a pipe fails only when its last program does");
    }
    ("sh", &["-e"])
}

/// Whether there is such a shell, and it takes these options. Asked once in a process for each `PATH`.
fn knows(program: &str, options: &[&str], environment: &Variables) -> bool {
    static KNOWN: Mutex<BTreeMap<(String, Option<OsString>), bool>> = Mutex::new(BTreeMap::new());
    let path = environment.get(OsStr::new("PATH")).cloned();
    let mut known = relock(&KNOWN);
    *known.entry((program.to_owned(), path)).or_insert_with(|| ask(program, options, environment))
}

fn ask(program: impl AsRef<OsStr>, options: &[&str], environment: &Variables) -> bool {
    let mut probe = Command::new(program);
    probe.args(options).args(["-c", ":"]).env_clear().envs(environment);
    let silent = probe.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    silent.status().is_ok_and(|status| status.success())
}
