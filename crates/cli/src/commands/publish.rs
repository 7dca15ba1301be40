//! `sconce publish`: brings written studies up to date and takes their pages out, as HTML and as PDF.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use sconce_core::plan::Plan;
use sconce_core::run::shown_at;

use super::run::run;
use crate::arguments::{PublishArguments, RunArguments};
use crate::failure::Failure;
use crate::session::{Call, named, open_with_plan};

/// The kind whose results are pages.
const STUDY: &str = "study";

/// Programs that print a page into a PDF file; the first that is there is taken.
const BROWSERS: [&str; 5] =
    ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];

pub(crate) fn publish(call: &Call<'_>, arguments: &PublishArguments) -> Result<ExitCode, Failure> {
    // Found before hours are spent on what it would print.
    let browser = match &arguments.pdf {
        Some(_) => Some(browser()?),
        None => None,
    };
    let (session, plan) = open_with_plan(call, &arguments.pipeline)?;
    let wanted = studies(&plan, arguments.stage.as_deref())?;
    if (arguments.html.is_some() || arguments.pdf.is_some()) && wanted.len() > 1 {
        let names = wanted.join(", ");
        return Err(Failure::usage(format!(
            "there are {} studies and one file to write: name one of {names}",
            wanted.len()
        )));
    }
    let run_arguments = RunArguments {
        pipeline: arguments.pipeline.clone(),
        stages: wanted.clone(),
        force: Vec::new(),
        locked: false,
        detach: false,
        resources: arguments.resources.clone(),
        talk: arguments.talk.clone(),
    };
    let code = run(call, &run_arguments)?;
    if code != ExitCode::SUCCESS {
        return Ok(code);
    }
    for cell in named(&plan, &wanted)? {
        let shown = shown_at(&session.configuration.artifacts, &plan.pipeline, &plan[cell].id);
        let page = shown.join("study.html");
        if let Some(file) = &arguments.html {
            copy(&page, file)?;
        }
        if let (Some(file), Some(browser)) = (&arguments.pdf, &browser) {
            print(browser, &page, file)?;
        }
        let written = arguments.html.iter().chain(&arguments.pdf).collect::<Vec<_>>();
        let written = if written.is_empty() { vec![&page] } else { written };
        for file in written {
            writeln!(anstream::stdout(), "{}", file.display())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The names of the wanted stages or cells, which are studies: all of the pipeline's without a name.
fn studies(plan: &Plan, name: Option<&str>) -> Result<Vec<String>, Failure> {
    let is_study = |cell| plan[cell].kind.name == STUDY;
    if let Some(name) = name {
        let names = vec![name.to_owned()];
        let cells = named(plan, &names)?;
        return match cells.iter().find(|&&cell| !is_study(cell)) {
            None => Ok(cells.iter().map(|&cell| plan[cell].id.to_string()).collect()),
            Some(&other) => Err(Failure::usage(format!(
                "`{}` is of kind `{}`: expected a stage of kind `{STUDY}`",
                plan[other].id, plan[other].kind.name
            ))),
        };
    }
    let all: Vec<String> = plan
        .indices()
        .filter(|&cell| is_study(cell))
        .map(|cell| plan[cell].id.to_string())
        .collect();
    if all.is_empty() {
        return Err(Failure::usage(format!(
            "the pipeline `{}` has no stage of kind `{STUDY}`: docs/studies.md tells how one is written",
            plan.pipeline
        )));
    }
    Ok(all)
}

fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    if let Some(folder) = to.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(|error| at(folder, &error))?;
    }
    // Not with the rights of what the store shows, which nobody may write.
    let page = std::fs::read(from).map_err(|error| at(from, &error))?;
    std::fs::write(to, page).map_err(|error| at(to, &error))
}

fn at(path: &Path, error: &std::io::Error) -> Failure {
    Failure::usage(format!("{}: {error}", path.display()))
}

/// A program of this machine that prints pages.
fn browser() -> Result<PathBuf, Failure> {
    let folders: Vec<PathBuf> =
        std::env::var_os("PATH").iter().flat_map(std::env::split_paths).collect();
    let found = BROWSERS
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
        .find(|path| path.is_file());
    found.ok_or_else(|| {
        Failure::usage(format!(
            "a PDF is printed by a browser, and there is none of {} in PATH: install one (Debian: `apt install \
             chromium`), or open the page and print it",
            BROWSERS.join(", ")
        ))
    })
}

/// Prints a page into a PDF file. What is folded on the page is open in print.
fn print(browser: &Path, page: &Path, pdf: &Path) -> Result<(), Failure> {
    let folder = std::env::temp_dir().join(format!("sconce-publish-{}", std::process::id()));
    std::fs::create_dir_all(&folder).map_err(|error| at(&folder, &error))?;
    let printed = print_in(&folder, browser, page, pdf);
    // Nothing depends on it.
    let _ = std::fs::remove_dir_all(&folder);
    printed
}

fn print_in(folder: &Path, browser: &Path, page: &Path, pdf: &Path) -> Result<(), Failure> {
    let html = std::fs::read_to_string(page).map_err(|error| at(page, &error))?;
    let open = folder.join("page.html");
    std::fs::write(&open, html.replace("<details>", "<details open>"))
        .map_err(|error| at(&open, &error))?;
    let made = folder.join("page.pdf");
    let mut command = Command::new(browser);
    command
        .args(["--headless", "--disable-gpu", "--no-pdf-header-footer", "--no-first-run"])
        .arg(format!("--user-data-dir={}", folder.join("profile").display()))
        .arg(format!("--print-to-pdf={}", made.display()))
        .stdin(Stdio::null());
    // The browser's sandbox does not work for root; the page has no scripts and asks for nothing.
    if crate::system::is_root() {
        command.arg("--no-sandbox");
    }
    let said = command.arg(format!("file://{}", open.display())).output();
    let said = said.map_err(|error| at(browser, &error))?;
    let is_pdf = std::fs::read(&made).is_ok_and(|bytes| bytes.starts_with(b"%PDF"));
    if !is_pdf {
        let log = String::from_utf8_lossy(&said.stderr);
        let last = log.lines().last().unwrap_or("it said nothing").to_owned();
        writeln!(
            anstream::stderr(),
            "{} did not print the page ({}): {last}",
            browser.display(),
            said.status
        )?;
        return Err(Failure::Engine(sconce_core::Error::message("no PDF was written")));
    }
    copy(&made, pdf)
}
