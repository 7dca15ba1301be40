//! A build without the remote store (without the feature `remote`): what asks for one is told so.

use std::process::ExitCode;

use sconce_core::Store;
use sconce_core::run::Interrupt;

use crate::arguments::GcArguments;
use crate::configuration::Configuration;
use crate::failure::Failure;
use crate::session::Session;

/// Nothing is behind the store of this machine.
pub(crate) struct Behind;

/// Refuses what the configuration asks for.
pub(crate) fn attach(
    configuration: &Configuration,
    store: Store,
) -> Result<(Store, Behind), Failure> {
    match configuration.remote.as_ref().filter(|remote| !remote.offline) {
        None => Ok((store, Behind)),
        Some(_) => Err(Failure::usage(
            "this sconce was built without its feature `remote`: --offline goes on without the remote \
             store",
        )),
    }
}

impl Behind {
    pub(crate) fn describe(&self) -> Vec<String> {
        vec!["not in this build (feature `remote`)".to_owned()]
    }

    pub(crate) fn collect(&self, _: &Session, _: &GcArguments) -> Result<ExitCode, Failure> {
        Err(Failure::usage("this sconce was built without its feature `remote`"))
    }

    pub(crate) fn offer_owed(&self) -> Result<(), Failure> {
        Ok(())
    }

    pub(crate) fn finish(&self, _interrupt: &Interrupt, _quiet: bool) {}
}
