//! `sconce verify`: computes results again, in private, and compares the bits.

use std::process::ExitCode;

use sconce_core::run::Options;

use super::run::{execute_plan, limits};
use crate::arguments::VerifyArguments;
use crate::devices;
use crate::executor;
use crate::failure::Failure;
use crate::session::{Call, named, open_with_plan};

pub(crate) fn verify(call: &Call<'_>, arguments: &VerifyArguments) -> Result<ExitCode, Failure> {
    let (session, mut plan) = open_with_plan(call, &arguments.pipeline)?;
    let mut limits = limits(&session, &arguments.resources);
    named(&plan, &arguments.stages)?;
    let place = executor::place(&session, &plan, arguments.resources.executor);
    let devices = devices::resolve(&session, &plan, &arguments.stages, |cell| {
        executor::is_queued(place, cell)
    })?;
    devices.limit(&mut limits);
    devices.settle(&mut plan);
    let options = Options {
        wanted: arguments.stages.clone(),
        verify: true,
        mirror: session.configuration.mirror.clone(),
        ..Options::default()
    };
    let where_to = (place, devices.chosen);
    execute_plan(call, &session, &plan, &options, limits, &arguments.talk, where_to)
}
