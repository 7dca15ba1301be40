//! `sconce doctor`: what this machine has.

use std::io::Write;
use std::process::ExitCode;

use sconce_core::executor::{machine_memory, machine_threads};
use sconce_core::{ByteSize, processor};

use crate::arguments::DoctorArguments;
use crate::configuration::candidates;
use crate::devices;
use crate::failure::{FAILED, Failure};
use crate::session::{Call, Session};
use crate::style::{BAD, BOLD, DIM, GOOD, paint};
use crate::system::find_program;

/// Package clients that sources of kind `fetch` go through.
const CLIENTS: [&str; 2] = ["npm", "pip"];

pub(crate) fn doctor(call: &Call<'_>, arguments: &DoctorArguments) -> Result<ExitCode, Failure> {
    let session = Session::open(call)?;
    let configuration = &session.configuration;
    let mut out = anstream::stdout().lock();
    let mut line = |title: &str, text: String| -> Result<(), Failure> {
        writeln!(out, "{} {text}", paint(BOLD, format_args!("{title:<14}")))?;
        Ok(())
    };
    line("sconce", format!("{}, {}", env!("CARGO_PKG_VERSION"), kinds(call)))?;
    line("system", format!("{} on {}", std::env::consts::OS, std::env::consts::ARCH))?;
    line("threads", machine_threads().to_string())?;
    line(
        "memory",
        machine_memory().map_or("unknown".to_owned(), |bytes| ByteSize(bytes).to_string()),
    )?;
    line("processor", processor::describe())?;
    #[cfg(feature = "chapters")]
    line("kernels", sconce_ops::processor::instructions().to_owned())?;
    for (title, text) in devices::describe() {
        line(title, text)?;
    }
    let root = session.store.root();
    let format = std::fs::read_to_string(root.join("format")).unwrap_or_default();
    let usage = session.store.usage()?;
    line("store", format!("{}, format {}", root.display(), format.trim()))?;
    let text = format!(
        "{} results, {} pieces of content, {} in all",
        usage.receipts.number,
        usage.blobs.number,
        ByteSize(usage.size())
    );
    line("", text)?;
    if usage.quarantine.number > 0 {
        let text = format!("{} damaged files in quarantine", usage.quarantine.number);
        line("", paint(BAD, text))?;
    }
    line("artifacts", configuration.artifacts.display().to_string())?;
    line(
        "mirror",
        match &configuration.mirror {
            Some(mirror) => mirror.display().to_string(),
            None => format!("none {}", paint(DIM, "(set SCONCE_MIRROR or --mirror)")),
        },
    )?;
    for text in session.behind.describe() {
        line("remote", text)?;
    }
    for name in CLIENTS {
        let found = find_program(name);
        line(name, found.map_or("not found".to_owned(), |path| path.display().to_string()))?;
    }
    for place in candidates() {
        let state = if configuration.files.contains(&place) { "read" } else { "not there" };
        line("configuration", format!("{} {}", place.display(), paint(DIM, state)))?;
    }
    if !arguments.check_store {
        return Ok(ExitCode::SUCCESS);
    }
    let report = session.store.check(|_, _| {})?;
    let checked = format!("{} in {} pieces", ByteSize(report.blobs.size), report.blobs.number);
    if report.damage.is_empty() {
        line("check", paint(GOOD, format_args!("{checked} hashed, nothing is damaged")))?;
        return Ok(ExitCode::SUCCESS);
    }
    for damage in &report.damage {
        line("damaged", paint(BAD, damage))?;
    }
    line("check", format!("{checked} hashed; the next run rebuilds what was damaged"))?;
    Ok(ExitCode::from(FAILED))
}

fn kinds(call: &Call<'_>) -> String {
    format!("{} kinds", call.kinds.names().count())
}
