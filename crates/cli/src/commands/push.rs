//! `sconce push`: puts results into the remote store.

use std::io::Write;
use std::process::ExitCode;

use sconce_core::plan::{Plan, State, assess};
use sconce_core::run::snapshots;
use sconce_core::store::Receipt;
use sconce_core::{ByteSize, Store};

use crate::arguments::{PushArguments, TransferArguments};
use crate::failure::{FAILED, Failure};
use crate::remote::{tell, with_bar};
use crate::session::{Call, Session, load_plan, named};
use crate::style::{BAD, GOOD, WARN, count, status};

pub(crate) fn push(call: &Call<'_>, arguments: &PushArguments) -> Result<ExitCode, Failure> {
    let (pin, arguments) = (arguments.pin, &arguments.which);
    let plan = arguments.pipeline().map(|pipeline| load_plan(call, &pipeline)).transpose()?;
    let session = Session::open(call)?;
    let shared = session.behind.expect()?;
    let store = session.store.alone();
    let receipts = match &plan {
        Some(plan) => held(plan, &store, &arguments.stages)?.0,
        None => all(&store)?,
    };
    let pushed = with_bar(shared, "pushing", false, || shared.push(&receipts, false));
    tell(shared);
    let pushed = pushed?;
    let sent = shared.calls().sent;
    if let Some(plan) = plan.filter(|_| pin) {
        let keys = receipts.iter().map(|receipt| receipt.key).collect();
        shared.pin(&plan.pipeline, &keys)?;
    }
    let mut out = anstream::stdout().lock();
    let text = format!("{}, {}", count(pushed.results, "result"), ByteSize(sent));
    writeln!(out, "{}", status(GOOD, "Pushed", text))?;
    if pushed.there > 0 {
        writeln!(out, "{}", status(GOOD, "There", count(pushed.there, "result")))?;
    }
    if pushed.missing > 0 {
        let text = format!("{} without content on this machine", count(pushed.missing, "result"));
        writeln!(out, "{}", status(WARN, "Left out", text))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// `sconce pull`: brings results, with their content.
pub(crate) fn pull(call: &Call<'_>, arguments: &TransferArguments) -> Result<ExitCode, Failure> {
    let Some(pipeline) = arguments.pipeline() else {
        return Err(Failure::usage("expected a pipeline file: sconce pull FILE [STAGE]…"));
    };
    let plan = load_plan(call, &pipeline)?;
    let session = Session::open(call)?;
    let shared = session.behind.expect()?;
    let store = &session.store;
    let done = with_bar(shared, "pulling", false, || -> Result<_, Failure> {
        let (receipts, absent) = held(&plan, store, &arguments.stages)?;
        let mut lost = 0;
        for receipt in &receipts {
            lost += usize::from(!store.have(receipt)?);
        }
        Ok((receipts.len() - lost, absent, lost))
    });
    tell(shared);
    let (here, absent, lost) = done?;
    let mut out = anstream::stdout().lock();
    let text = format!("{}, {}", count(here, "result"), ByteSize(shared.calls().received));
    writeln!(out, "{}", status(GOOD, "Pulled", text))?;
    if absent > 0 {
        writeln!(out, "{}", status(WARN, "Not there", count(absent, "cell")))?;
    }
    if lost > 0 {
        writeln!(out, "{}", status(BAD, "Damaged", count(lost, "result")))?;
        return Ok(ExitCode::from(FAILED));
    }
    Ok(ExitCode::SUCCESS)
}

/// The receipts of the named cells that `store` has, and how many it has not.
fn held(plan: &Plan, store: &Store, names: &[String]) -> Result<(Vec<Receipt>, usize), Failure> {
    let wanted = named(plan, names)?;
    let contents = snapshots(plan, store)
        .into_iter()
        .filter_map(|(cell, snapshot)| Some((cell, snapshot.ok()?.digest)))
        .collect();
    let states = assess(plan, store, &contents)?;
    let (mut receipts, mut absent) = (Vec::new(), 0);
    for cell in wanted {
        match take(&states[cell]) {
            Some(receipt) => receipts.push(receipt),
            None => absent += 1,
        }
    }
    Ok((receipts, absent))
}

fn take(state: &State) -> Option<Receipt> {
    match state {
        State::Hit(receipt) => Some((**receipt).clone()),
        State::Run { .. } | State::Depends(_) => None,
    }
}

/// All receipts of the store of this machine.
fn all(store: &Store) -> Result<Vec<Receipt>, Failure> {
    let mut receipts = Vec::new();
    for receipt in store.recorded_all(&store.keys()?)? {
        receipts.extend(receipt);
    }
    Ok(receipts)
}
