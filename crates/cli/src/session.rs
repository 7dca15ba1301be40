//! What most commands begin with: kinds, configuration, store, pipeline.

use std::collections::BTreeSet;
use std::ffi::OsString;

use sconce_core::plan::{CellIndex, Plan, load_resolved};
use sconce_core::run::Interrupt;
use sconce_core::text::Resolved;
use sconce_core::{DeviceClasses, Digest, Kinds, LoadOptions, Store, load};

use crate::arguments::{Global, PipelineArguments};
use crate::configuration::Configuration;
use crate::devices;
use crate::failure::Failure;
use crate::remote::{Behind, attach};
use crate::spans::Spans;

/// What every command is given.
pub(crate) struct Call<'a> {
    pub(crate) global: &'a Global,
    pub(crate) kinds: &'a Kinds,
    pub(crate) spans: &'a Spans,
}

impl Call<'_> {
    /// The classes of devices that keys name, if they do.
    pub(crate) fn strict_device(&self) -> Result<Option<DeviceClasses>, Failure> {
        devices::strict(&Configuration::load(self.global)?)
    }
}

/// Configuration and the open store.
pub(crate) struct Session {
    pub(crate) configuration: Configuration,
    /// The store of this machine, with the remote one behind it.
    pub(crate) store: Store,
    pub(crate) behind: Behind,
}

impl Session {
    pub(crate) fn open(call: &Call<'_>) -> Result<Self, Failure> {
        let configuration = Configuration::load(call.global)?;
        let (store, behind) = attach(&configuration, Store::open(&configuration.store)?)?;
        Ok(Self { configuration, store, behind })
    }

    /// The store of this call and the remote one, as arguments of another.
    pub(crate) fn as_arguments(&self) -> Vec<OsString> {
        let mut arguments = vec!["--store".into(), self.store.root().as_os_str().to_owned()];
        match &self.configuration.remote {
            Some(remote) if !remote.offline => {
                arguments.extend(["--remote".into(), remote.address.clone().into()]);
                arguments.extend(remote.read_only.then(|| "--read-only-remote".into()));
            }
            _ => arguments.push("--offline".into()),
        }
        arguments
    }

    /// Puts a result into the remote store, if there is one.
    pub(crate) fn push_result(&self, key: &Digest, replace: bool) -> Result<(), Failure> {
        if let (Some(remote), Some(receipt)) =
            (self.store.remote(), self.store.alone().receipt(key)?)
        {
            remote.offer(&receipt, replace);
            self.behind.finish(&Interrupt::default(), true);
        }
        Ok(())
    }
}

/// Reads a pipeline file. The store is not needed for that, and a wrong file makes none.
pub(crate) fn load_plan(call: &Call<'_>, arguments: &PipelineArguments) -> Result<Plan, Failure> {
    load(&options(arguments, call.strict_device()?), call.kinds)
        .map_err(|diagnostics| Failure::Pipeline(Box::new(diagnostics)))
}

/// The plan, and the stages that any of `names` means as they are after all layers.
pub(crate) fn load_stages(
    call: &Call<'_>,
    arguments: &PipelineArguments,
    names: &[String],
) -> Result<Vec<Resolved>, Failure> {
    let (plan, mut stages) = load_resolved(&options(arguments, call.strict_device()?), call.kinds)
        .map_err(|diagnostics| Failure::Pipeline(Box::new(diagnostics)))?;
    let named = named(&plan, names)?;
    let is_named = |stage: &Resolved| named.iter().any(|&cell| plan[cell].id.stage == stage.stage);
    stages.retain(is_named);
    Ok(stages)
}

/// How the pipeline file is to be read.
pub(crate) fn options(
    arguments: &PipelineArguments,
    strict_device: Option<DeviceClasses>,
) -> LoadOptions {
    LoadOptions {
        path: arguments.file.clone(),
        profiles: arguments.profiles.clone(),
        sets: arguments.sets.clone(),
        strict_device,
    }
}

/// The plan and the session.
pub(crate) fn open_with_plan(
    call: &Call<'_>,
    arguments: &PipelineArguments,
) -> Result<(Session, Plan), Failure> {
    let plan = load_plan(call, arguments)?;
    Ok((Session::open(call)?, plan))
}

/// The cells that any of `names` means; all cells without any name.
pub(crate) fn named(plan: &Plan, names: &[String]) -> Result<BTreeSet<CellIndex>, Failure> {
    plan.named(names).map_err(|error| Failure::usage(error.to_string()))
}

/// The cells that `name` means: those of a stage, or some of them, as `svm[c=10]`.
pub(crate) fn cells(plan: &Plan, name: &str) -> Result<Vec<CellIndex>, Failure> {
    plan.select(name).map_err(|error| Failure::usage(error.to_string()))
}
