//! `sconce verify`: computes results again, in private, and compares the bits.

use std::process::ExitCode;

use super::run::{execute_plan, options};
use crate::arguments::{Global, VerifyArguments};
use crate::failure::Failure;
use crate::session::{named, open_with_plan};

pub(crate) fn verify(global: &Global, arguments: &VerifyArguments) -> Result<ExitCode, Failure> {
    let (session, plan) = open_with_plan(global, &arguments.pipeline)?;
    let mut options = options(&session, &arguments.resources)?;
    named(&plan, &arguments.stages)?;
    options.wanted.clone_from(&arguments.stages);
    options.verify = true;
    execute_plan(&session, &plan, &options, &arguments.talk)
}
