//! Starting a program, waiting for it, stopping it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::journal::Told;
use super::parameters::{Environment, Line};
use super::shell;
use super::workspace::Workspace;
use crate::cell::Plain;
use crate::stage::device::VISIBLE;
use crate::system::processes;
use crate::{Context, Error, Result};

/// What a program keeps of the user's environment: where programs and their libraries are, and who
/// the user is. None of it is part of the key.
const KEPT: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "SYSTEMROOT",
    "SYSTEMDRIVE",
    "COMSPEC",
    "PATHEXT",
    "USERPROFILE",
    "APPDATA",
    "LOCALAPPDATA",
    "PROGRAMFILES",
];

/// Variables with one value everywhere, because many programs sort, print and hash by them.
const FIXED: &[(&str, &str)] = &[
    ("LANG", "C.UTF-8"),
    ("LC_ALL", "C.UTF-8"),
    ("TZ", "UTC"),
    ("PYTHONHASHSEED", "0"),
    ("PYTHONDONTWRITEBYTECODE", "1"),
];

/// How many threads the numeric libraries of a program start.
const THREADS: &[&str] = &[
    "SCONCE_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "RAYON_NUM_THREADS",
];

/// How long a program may take to end after it was asked to.
const GRACE: Duration = Duration::from_secs(3);

pub(super) type Variables = BTreeMap<OsString, OsString>;

/// All that the program sees of the environment.
pub(super) fn environment(
    ctx: &Context,
    workspace: &Workspace,
    env: &Environment,
    seed: Option<u64>,
) -> Result<Variables> {
    let mut variables = Variables::new();
    for name in KEPT {
        if let Some(value) = std::env::var_os(name) {
            variables.insert(name.into(), value);
        }
    }
    for (name, value) in FIXED {
        variables.insert(name.into(), value.into());
    }
    for name in ["TMPDIR", "TEMP", "TMP"] {
        variables.insert(name.into(), workspace.temporary.clone().into());
    }
    for name in THREADS {
        variables.insert(name.into(), ctx.threads().to_string().into());
    }
    variables.insert(VISIBLE.into(), ctx.device().visible_alone().into());
    for (axis, value) in ctx.coordinates().iter() {
        if variables.contains_key(&OsString::from(axis)) {
            return Err(Error::message(format!(
                "the axis `{axis}` has the name of an environment variable that programs need; \
                 give it another name"
            )));
        }
        variables.insert(axis.into(), Plain(value).to_string().into());
    }
    for (name, folder) in &workspace.inputs {
        let name: String = name
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' })
            .collect();
        variables.insert(format!("SCONCE_INPUT_{name}").into(), folder.clone().into());
    }
    variables.insert("SCONCE_JOURNAL".into(), workspace.journal.clone().into());
    if let Some(seed) = seed {
        variables.insert("SCONCE_SEED".into(), seed.to_string().into());
    }
    for (name, value) in env.fixed() {
        variables.insert(name.into(), value.into());
    }
    // The values that are part of the key, not those that the variables have by now.
    for (name, value) in ctx.environment() {
        variables.insert(name.into(), value.into());
    }
    Ok(variables)
}

/// Runs the program. What it prints goes to this process's standard error: the cell's log.
pub(super) fn run(
    ctx: &Context,
    line: &Line,
    workspace: &Workspace,
    environment: &Variables,
) -> Result<()> {
    let mut command = match line {
        Line::Shell(line) => shell::command(ctx, line, workspace, environment)?,
        Line::Arguments(words) => {
            let Some((program, arguments)) = words.split_first() else {
                return Err(Error::parameter("run", "expected a program"));
            };
            let mut command = Command::new(program);
            command.args(arguments);
            command
        }
    };
    let program = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .current_dir(&workspace.folder)
        .env_clear()
        .envs(environment)
        .stdin(Stdio::null())
        .stdout(std::io::stderr())
        .stderr(Stdio::inherit())
        .spawn()
        .map_err(|error| {
            Error::message(match error.kind() {
                std::io::ErrorKind::NotFound => format!(
                    "no program `{program}`: it is neither in PATH nor in the working directory"
                ),
                _ => format!("cannot start `{program}`: {error}"),
            })
        })?;
    let mut told = Told::new(&workspace.journal);
    let status = wait(ctx, &mut child, &mut told)?;
    told.finish(ctx);
    if status.success() {
        return Ok(());
    }
    let code = status.code().unwrap_or(-1);
    let text = match (processes::cause_of_end(status), line) {
        (Some(signal), _) => format!("the program was ended by {signal}"),
        (None, Line::Shell(_)) => {
            format!("the program ended with status {code}{}", processes::cause_in_shell(code))
        }
        (None, Line::Arguments(_)) => format!("the program ended with status {code}"),
    };
    // As the system does when memory is short: a queue may have more.
    const BY_KILL: i32 = 128 + 9;
    Err(if processes::is_killed(status) || code == BY_KILL {
        Error::Killed(text)
    } else {
        Error::message(text)
    })
}

/// Waits for the program; ends it when the run is cancelled.
fn wait(ctx: &Context, child: &mut Child, told: &mut Told) -> Result<ExitStatus> {
    let failed = |error| Error::message(format!("cannot wait for the program: {error}"));
    let mut pause = Duration::from_micros(500);
    let mut asked: Option<Instant> = None;
    loop {
        if let Some(status) = child.try_wait().map_err(failed)? {
            return if asked.is_some() { Err(Error::Cancelled) } else { Ok(status) };
        }
        match asked {
            None if ctx.is_cancelled() => {
                processes::ask_to_end(child);
                asked = Some(Instant::now());
            }
            Some(since) if since.elapsed() > GRACE => {
                // It may have ended by itself in the meantime.
                let _ = child.kill();
                child.wait().map_err(failed)?;
                return Err(Error::Cancelled);
            }
            _ => {}
        }
        told.look(ctx);
        processes::rest(child, pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}
