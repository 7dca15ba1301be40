//! What people and machines see of a run: events become lines, bars or JSON.

mod json;
mod lines;
mod live;
mod tally;

use std::cell::RefCell;
use std::io::{IsTerminal, Write};
use std::time::Instant;

use sconce_core::plan::Plan;
use sconce_core::run::{Event, Options};

use crate::arguments::TalkArguments;
use crate::failure::Failure;
use crate::session::Call;
use json::Json;
use lines::Lines;
use live::Live;

/// Shows the events of one run.
pub(crate) enum Report {
    /// One JSON object a line on standard output.
    Json(RefCell<Json>),
    /// Lines on standard error, and on a terminal what is going on below them.
    Text(RefCell<Text>),
}

/// Calls a function while nothing is drawn.
pub(crate) type Pause = Box<dyn Fn(&dyn Fn()) + Send>;

/// Lines, and live bars on a terminal.
pub(crate) struct Text {
    lines: Lines,
    live: Option<Live>,
}

impl Report {
    /// The way of showing that the arguments and the terminal ask for.
    pub(crate) fn new(
        plan: &Plan,
        options: &Options,
        talk: &TalkArguments,
        call: &Call<'_>,
    ) -> Self {
        if talk.json {
            return Self::Json(RefCell::new(Json::new(options.interrupt.clone())));
        }
        let draws = std::io::stderr().is_terminal() && !crate::style::is_dumb() && !talk.quiet;
        let live = draws.then(|| Live::new(plan));
        if let Some(live) = &live {
            call.spans.print_with(live.above());
        }
        let verbose = call.global.verbose > 0;
        Self::Text(RefCell::new(Text {
            lines: Lines::new(plan, talk.quiet, verbose, !draws),
            live,
        }))
    }

    /// Shows one event.
    pub(crate) fn event(&self, event: &Event) {
        match self {
            Self::Json(json) => json.borrow_mut().event(event),
            Self::Text(text) => {
                let text = &mut *text.borrow_mut();
                let lines = text.lines.of(event, Instant::now());
                match &mut text.live {
                    Some(live) => live.event(event, &lines),
                    None => print(&lines),
                }
            }
        }
    }

    /// Calls a function while nothing is drawn.
    pub(crate) fn pause(&self) -> Pause {
        match self {
            Self::Text(text) => match &text.borrow().live {
                Some(live) => Box::new(live.paused()),
                None => Box::new(|ask| ask()),
            },
            Self::Json(_) => Box::new(|ask| ask()),
        }
    }

    /// Shows what is left to be shown.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        match self {
            Self::Json(json) => json.into_inner().finish(),
            Self::Text(_) => Ok(()),
        }
    }
}

/// Writes lines to standard error.
fn print(lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    let mut text = lines.join("\n");
    text.push('\n');
    // Without a reader there is no one to tell; the run goes on.
    let _ = anstream::stderr().write_all(text.as_bytes());
}
