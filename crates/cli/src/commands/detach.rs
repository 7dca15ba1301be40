//! Runs that go on without their terminal.

use std::fs::File;
use std::io::{IsTerminal, Write};
use std::process::{Command, ExitCode, Stdio};

use sconce_core::CellId;
use sconce_core::clock;
use sconce_core::executor::queue::Reins;
use sconce_core::system::processes;

use crate::arguments::TalkArguments;
use crate::executor::own_arguments;
use crate::failure::Failure;
use crate::report::Pause;
use crate::session::Session;
use crate::style::{GOOD, WARN, status};
use crate::system;

/// Starts this very call in the background.
pub(crate) fn detach(session: &Session) -> Result<ExitCode, Failure> {
    let now = clock::now() as u64;
    let name =
        CellId { stage: format!("run-{now}"), coordinates: sconce_core::Coordinates::none() };
    let log = session.store.log_path("detached", &name);
    let file = File::create(&log)?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(own_arguments()).stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
    // A group of its own, and no terminal to be hung up: the run passes over SIGHUP as over a
    // stop that leaves its jobs.
    processes::set_apart(&mut command);
    let child = command.spawn()?;
    let text = format!("in the background as process {}; it tells {}", child.id(), log.display());
    writeln!(anstream::stderr(), "{}", status(GOOD, "Detached", text))?;
    Ok(ExitCode::SUCCESS)
}

/// On Ctrl-C asks whether jobs are cancelled or go on. Without a terminal they go on: who ends a run
/// from outside, such as a login node that is restarted, does not mean its jobs.
pub(crate) fn ask_on_signals(reins: &Reins, pause: Pause) {
    let reins = reins.clone();
    let asks = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    // Without a handler Ctrl-C ends the run, and its jobs go on.
    system::on_stop(move || {
        if !asks {
            reins.detach.set();
            reins.interrupt.ask();
            return;
        }
        pause(&|| match question() {
            Answer::Detach => {
                reins.detach.set();
                reins.interrupt.ask();
            }
            Answer::Cancel => reins.interrupt.ask(),
            Answer::GoOn => {}
        });
    });
}

enum Answer {
    Detach,
    Cancel,
    GoOn,
}

fn question() -> Answer {
    let mut err = anstream::stderr();
    let text = "[d]etach: jobs go on; [c]ancel them; Enter: go on with the run";
    let _ = write!(err, "{} ", status(WARN, "Stop?", text)).and_then(|()| err.flush());
    let mut line = String::new();
    match std::io::stdin().read_line(&mut line) {
        Ok(0) | Err(_) => Answer::Detach,
        Ok(_) => match line.trim().chars().next() {
            Some('d' | 'D') => Answer::Detach,
            Some('c' | 'C') => Answer::Cancel,
            _ => Answer::GoOn,
        },
    }
}

/// Tells how to go on after a stop that left jobs.
pub(crate) fn tell(talk: &TalkArguments) {
    if talk.json {
        return;
    }
    let text = "jobs go on; the same command takes them up, `sconce status` shows and `sconce cancel` ends them";
    let _ = writeln!(anstream::stderr(), "{}", status(GOOD, "Detached", text));
}
