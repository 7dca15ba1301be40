//! Files out of packages, through the user's own package clients.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sconce_core::error::IoResultExt;
use sconce_core::{Context, Error, Result};

/// A client that takes longer is stopped.
const PATIENCE: Duration = Duration::from_secs(900);

/// Runs `npm pack` in `folder`: the package's tarball. No script of the package runs.
pub(super) fn npm(
    ctx: &Context,
    search: Option<&OsStr>,
    name: &str,
    version: &str,
    folder: &Path,
) -> Result<PathBuf> {
    let package = format!("{name}@{version}");
    // Not `--silent`, which keeps errors to itself too.
    let arguments = ["pack", package.as_str(), "--ignore-scripts", "--loglevel=error"];
    run(ctx, search, &[("npm", &[])], &arguments, folder)?;
    only_file(folder, &["tgz"])
}

/// Runs `pip download` in `folder`: the package's wheel. Source distributions are refused, since
/// pip would run their code.
pub(super) fn pypi(
    ctx: &Context,
    search: Option<&OsStr>,
    name: &str,
    version: &str,
    folder: &Path,
) -> Result<PathBuf> {
    let package = format!("{name}=={version}");
    let arguments = [
        "download",
        "--no-deps",
        "--only-binary=:all:",
        "--ignore-requires-python",
        "--disable-pip-version-check",
        "--no-input",
        "--quiet",
        "--dest",
        ".",
        package.as_str(),
    ];
    let clients: [(&str, &[&str]); 3] = [("pip", &[]), ("pip3", &[]), ("python3", &["-m", "pip"])];
    run(ctx, search, &clients, &arguments, folder)?;
    only_file(folder, &["whl"])
}

/// Runs the first client that exists; `search` replaces the path that programs are searched in.
fn run(
    ctx: &Context,
    search: Option<&OsStr>,
    clients: &[(&str, &[&str])],
    arguments: &[&str],
    folder: &Path,
) -> Result<()> {
    std::fs::create_dir_all(folder).at(folder)?;
    let log = folder.join("client.log");
    for (program, first) in clients {
        let mut command = Command::new(program);
        command.args(*first).args(arguments).current_dir(folder).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(std::fs::File::create(&log).at(&log)?);
        if let Some(search) = search {
            command.env("PATH", search);
        }
        let mut child = match command.spawn() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            child => child.at(program)?,
        };
        let start = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().at(program)? {
                break status;
            }
            if ctx.is_cancelled() || start.elapsed() > PATIENCE {
                let _ = child.kill();
                let _ = child.wait();
                ctx.check_cancelled()?;
                return Err(Error::message(format!("`{program}` took more than {PATIENCE:?}")));
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        if status.success() {
            return std::fs::remove_file(&log).at(&log);
        }
        let said = std::fs::read_to_string(&log).unwrap_or_default();
        let (arguments, cause) = (arguments.join(" "), cause(&said));
        return Err(Error::message(format!("`{program} {arguments}` failed: {cause}")));
    }
    let names: Vec<_> = clients.iter().map(|(program, _)| format!("`{program}`")).collect();
    Err(Error::message(format!("no {} on the search path", names.join(" or "))))
}

/// What a client said: npm begins with the cause and ends with advice, pip ends with what it comes to.
fn cause(said: &str) -> String {
    const FIRST: usize = 4;
    const LAST: usize = 2;
    let plain = |line| {
        let line = str::trim(line);
        let rest = ["npm error", "npm ERR!"].into_iter().find_map(|start| line.strip_prefix(start));
        rest.unwrap_or(line).trim()
    };
    // Places in npm's own code, and where it keeps its log.
    let tells = |line: &&str| {
        !(line.is_empty()
            || line.starts_with("at ")
            || line.starts_with("A complete log of this run"))
    };
    let lines: Vec<&str> = said.lines().map(plain).filter(tells).collect();
    match lines.len() {
        0 => "it said nothing".to_owned(),
        n if n > FIRST + LAST => {
            format!("{}; …; {}", lines[..FIRST].join("; "), lines[n - LAST..].join("; "))
        }
        _ => lines.join("; "),
    }
}

fn only_file(folder: &Path, endings: &[&str]) -> Result<PathBuf> {
    for entry in std::fs::read_dir(folder).at(folder)? {
        let path = entry.at(folder)?.path();
        if path.extension().and_then(OsStr::to_str).is_some_and(|end| endings.contains(&end)) {
            return Ok(path);
        }
    }
    Err(Error::message("the client succeeded but left no package file"))
}
