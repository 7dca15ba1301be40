//! `sconce verify`: computes results again, in private, and compares the bits.

use std::process::ExitCode;

use sconce_core::run::Options;

use super::run::{execute_plan, placed};
use crate::arguments::VerifyArguments;
use crate::failure::Failure;
use crate::session::{Call, named, open_with_plan};

pub(crate) fn verify(call: &Call<'_>, arguments: &VerifyArguments) -> Result<ExitCode, Failure> {
    let (session, mut plan) = open_with_plan(call, &arguments.pipeline)?;
    named(&plan, &arguments.stages)?;
    let placed = placed(&session, &mut plan, &arguments.stages, &arguments.resources)?;
    let options = Options {
        wanted: arguments.stages.clone(),
        verify: true,
        mirror: session.configuration.mirror.clone(),
        ..Options::default()
    };
    execute_plan(call, &session, &plan, &options, &arguments.talk, placed)
}
