//! The remote store of this call: opened as the configuration says, and waited for at the end.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use sconce_core::run::Interrupt;
use sconce_core::store::Remote;
use sconce_core::{ByteSize, Store};
use sconce_remote::{Access, Limits, Location, Shared};

use crate::arguments::GcArguments;
use crate::configuration::{Configuration, RemoteSettings};
use crate::environment;
use crate::failure::Failure;
use crate::session::Session;
use crate::style::{BAD, DIM, GOOD, WARN, count, paint, status};

/// The store behind the one of this machine, if the configuration names one.
pub(crate) struct Behind(Option<Arc<Shared>>);

/// Puts the remote store that is configured behind the store of this machine. Nobody is asked yet.
pub(crate) fn attach(
    configuration: &Configuration,
    store: Store,
) -> Result<(Store, Behind), Failure> {
    let Some(remote) = configuration.remote.as_ref().filter(|remote| !remote.offline) else {
        return Ok((store, Behind(None)));
    };
    let shared = Arc::new(open(remote, &store)?);
    let store = store.with_remote(Arc::clone(&shared) as _);
    Ok((store, Behind(Some(shared))))
}

fn open(remote: &RemoteSettings, store: &Store) -> Result<Shared, Failure> {
    let location: Location =
        remote.address.parse().map_err(|error| Failure::usage(format!("{error}")))?;
    let access = if remote.read_only { Access::ReadOnly } else { Access::Full };
    Ok(Shared::new(location, environment::of_providers(), access, store.clone()))
}

impl Behind {
    /// The remote store, for the commands that are about it.
    ///
    /// # Errors
    /// None is configured.
    pub(crate) fn expect(&self) -> Result<&Arc<Shared>, Failure> {
        self.0.as_ref().ok_or_else(|| {
            Failure::usage(
                "no remote store is configured: expected `store.remote` in sconce.toml, SCONCE_REMOTE \
                 or --remote, and no --offline",
            )
        })
    }

    /// What `sconce doctor` says of it: its address, and whether it can be used.
    pub(crate) fn describe(&self) -> Vec<String> {
        let Some(shared) = &self.0 else {
            let hint = paint(DIM, "(set `store.remote`, SCONCE_REMOTE or --remote)");
            return vec![format!("none {hint}")];
        };
        let state = match shared.probe() {
            Ok(state) => state,
            Err(error) => paint(BAD, error),
        };
        vec![format!("{}: {state}", shared.address())]
    }

    /// Removes what nobody needs from the remote store, or tells what that is.
    pub(crate) fn collect(
        &self,
        session: &Session,
        arguments: &GcArguments,
    ) -> Result<ExitCode, Failure> {
        if arguments.max_size.is_some() {
            return Err(Failure::usage(
                "--max-size is for the store of this machine, not for --remote",
            ));
        }
        let limits = Limits {
            max_age: arguments.max_age,
            keep: session.store.last_keys()?,
            dry_run: !arguments.yes,
        };
        let gone = self.expect()?.collect(&limits)?;
        let mut out = anstream::stdout().lock();
        let word = if arguments.yes { "Removed" } else { "Would remove" };
        let mut any = false;
        for (what, size) in [
            ("result", gone.results),
            ("bundle", gone.bundles),
            ("chunk", gone.chunks),
            ("claim", gone.claims),
        ] {
            if size.number > 0 {
                any = true;
                let text = format!("{}, {}", count(size.number, what), ByteSize(size.bytes));
                writeln!(out, "{}", status(GOOD, word, text))?;
            }
        }
        if !any {
            writeln!(out, "{}", status(GOOD, word, "nothing"))?;
        }
        let text = format!("{}, {}", count(gone.left.number, "object"), ByteSize(gone.left.bytes));
        writeln!(out, "{}", status(GOOD, if arguments.yes { "Left" } else { "Would stay" }, text))?;
        Ok(ExitCode::SUCCESS)
    }

    /// Puts there meanwhile what earlier processes computed and did not come to put there.
    pub(crate) fn offer_owed(&self) -> Result<(), Failure> {
        if let Some(shared) = &self.0 {
            shared.offer_owed()?;
        }
        Ok(())
    }

    /// Waits until what was computed is there, unless the user stops that.
    pub(crate) fn finish(&self, interrupt: &Interrupt, quiet: bool) {
        let Some(shared) = &self.0 else { return };
        let bar = bar("pushing", quiet);
        while shared.waiting() > 0 {
            if interrupt.is_asked() {
                let text = count(shared.waiting(), "result");
                warn(&format!("{text} not pushed: the next run or `sconce push` does it"));
                return;
            }
            draw(&bar, shared);
            std::thread::sleep(Duration::from_millis(20));
        }
        bar.finish_and_clear();
        let pushed = shared.finish();
        tell(shared);
        if pushed.failed > 0 {
            let text = count(pushed.failed, "result");
            warn(&format!("{text} not pushed: the next run or `sconce push` does it"));
        }
    }
}

/// Tells what went wrong with the remote store.
pub(crate) fn tell(shared: &Shared) {
    for text in shared.take_told() {
        warn(&text);
    }
}

fn warn(text: &str) {
    // Without a reader there is no one to tell.
    let _ = writeln!(anstream::stderr(), "{}", status(WARN, "Warning", text));
}

/// Runs `work` and shows meanwhile how much is moved.
pub(crate) fn with_bar<T: Send>(
    shared: &Shared,
    what: &'static str,
    quiet: bool,
    work: impl FnOnce() -> T + Send,
) -> T {
    let bar = bar(what, quiet);
    std::thread::scope(|scope| {
        let worker = scope.spawn(work);
        while !worker.is_finished() {
            draw(&bar, shared);
            std::thread::sleep(Duration::from_millis(20));
        }
        bar.finish_and_clear();
        match worker.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

fn bar(what: &'static str, quiet: bool) -> ProgressBar {
    let draws = std::io::stderr().is_terminal() && !crate::style::is_dumb() && !quiet;
    if !draws {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(12));
    let template = "{prefix:>14} {binary_bytes} of {binary_total_bytes}, {binary_bytes_per_sec}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_prefix(what);
    bar
}

fn draw(bar: &ProgressBar, shared: &Shared) {
    let (moved, expected) = shared.progress();
    if expected > 0 {
        bar.set_length(expected);
        bar.set_position(moved);
    }
}
