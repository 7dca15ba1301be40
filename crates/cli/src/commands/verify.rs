//! `sconce verify`: computes results again, in private, and compares the bits.

use std::process::ExitCode;

use super::run::{execute_plan, options};
use crate::arguments::VerifyArguments;
use crate::failure::Failure;
use crate::session::{Call, named, open_with_plan};

pub(crate) fn verify(call: &Call<'_>, arguments: &VerifyArguments) -> Result<ExitCode, Failure> {
    let (session, plan) = open_with_plan(call, &arguments.pipeline)?;
    let mut options = options(&session, &arguments.resources)?;
    named(&plan, &arguments.stages)?;
    options.wanted.clone_from(&arguments.stages);
    options.verify = true;
    execute_plan(call, &session, &plan, &options, &arguments.talk)
}
