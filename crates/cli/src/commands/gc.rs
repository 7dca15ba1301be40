//! `sconce gc`: removes what no pipeline uses.

use std::io::Write;
use std::process::ExitCode;

use sconce_core::ByteSize;
use sconce_core::store::{Count, GcLimits};

use crate::arguments::GcArguments;
use crate::failure::Failure;
use crate::session::{Call, Session};
use crate::style::{GOOD, WARN, status};

pub(crate) fn gc(call: &Call<'_>, arguments: &GcArguments) -> Result<ExitCode, Failure> {
    let session = Session::open(call)?;
    if call.global.remote.is_some() {
        return session.behind.collect(&session, arguments);
    }
    let limits = GcLimits {
        max_age: arguments.max_age,
        max_size: arguments.max_size.map(|size| size.0),
        dry_run: arguments.dry_run,
    };
    let keep = session.store.last_keys()?;
    let report = session.store.gc(&keep, &limits)?;
    let mut out = anstream::stdout().lock();
    let word = if arguments.dry_run { "Would remove" } else { "Removed" };
    let parts: [(&str, Count); 7] = [
        ("results", report.receipts),
        ("pieces of content", report.blobs),
        ("checkpoints", report.checkpoints),
        ("journals", report.journals),
        ("scratch folders", report.scratch),
        ("logs", report.logs),
        ("quarantined files", report.quarantine),
    ];
    let mut any = false;
    for (what, count) in parts.iter().filter(|(_, count)| count.number > 0) {
        any = true;
        let text = format!("{} {what}, {}", count.number, ByteSize(count.size));
        writeln!(out, "{}", status(GOOD, word, text))?;
    }
    if !any {
        writeln!(out, "{}", status(GOOD, word, "nothing"))?;
    }
    writeln!(out, "{}", status(GOOD, "Left", ByteSize(report.left)))?;
    if report.over {
        let text = "the store is still larger than asked for: all the rest is in use";
        writeln!(out, "{}", status(WARN, "Warning", text))?;
    }
    Ok(ExitCode::SUCCESS)
}
