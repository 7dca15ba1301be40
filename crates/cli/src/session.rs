//! What most commands begin with: configuration, store, pipeline.

use sconce_core::plan::Plan;
use sconce_core::spec::{Kinds, LoadOptions, load};
use sconce_core::{Device, Store};

use crate::arguments::{Global, PipelineArguments, ResourceArguments};
use crate::configuration::Configuration;
use crate::failure::Failure;
use crate::kinds;

/// Configuration, kinds and the open store.
pub(crate) struct Session {
    pub(crate) configuration: Configuration,
    pub(crate) kinds: Kinds,
    pub(crate) store: Store,
}

impl Session {
    pub(crate) fn open(global: &Global) -> Result<Self, Failure> {
        let configuration = Configuration::load(global)?;
        let store = Store::open(&configuration.store)?;
        Ok(Self { configuration, kinds: kinds::registry(), store })
    }
}

/// Reads a pipeline file. The store is not needed for that, and a wrong file makes none.
pub(crate) fn load_plan(arguments: &PipelineArguments, kinds: &Kinds) -> Result<Plan, Failure> {
    let options = LoadOptions {
        path: arguments.file.clone(),
        profiles: arguments.profiles.clone(),
        sets: arguments.sets.clone(),
    };
    load(&options, kinds).map_err(|diagnostics| Failure::Pipeline(Box::new(diagnostics)))
}

/// The plan and the session.
pub(crate) fn open_with_plan(
    global: &Global,
    arguments: &PipelineArguments,
) -> Result<(Session, Plan), Failure> {
    let plan = load_plan(arguments, &kinds::registry())?;
    Ok((Session::open(global)?, plan))
}

/// The stages of the plan that `wanted` names, or all.
pub(crate) fn check_stages(plan: &Plan, wanted: &[String]) -> Result<(), Failure> {
    for stage in wanted {
        if !plan.stages.contains(stage) {
            return Err(no_stage(plan, stage));
        }
    }
    Ok(())
}

/// The cells that `name` means: a stage, or one cell as `svm[c=10]`.
pub(crate) fn cells(plan: &Plan, name: &str) -> Result<Vec<usize>, Failure> {
    let found: Vec<_> = (0..plan.cells.len())
        .filter(|&index| {
            let id = &plan.cells[index].id;
            id.stage == name || id.to_string() == name
        })
        .collect();
    if !found.is_empty() {
        return Ok(found);
    }
    match name.split_once('[') {
        Some((stage, _)) if plan.stages.iter().any(|known| known == stage) => {
            let cells = plan.cells.iter().filter(|cell| cell.id.stage == stage);
            let names: Vec<_> = cells.map(|cell| format!("`{}`", cell.id)).take(12).collect();
            Err(Failure::usage(format!(
                "stage `{stage}` has no cell `{name}`; there are: {}",
                names.join(", ")
            )))
        }
        _ => Err(no_stage(plan, name)),
    }
}

fn no_stage(plan: &Plan, stage: &str) -> Failure {
    let names: Vec<_> = plan.stages.iter().map(|name| format!("`{name}`")).collect();
    Failure::usage(format!(
        "pipeline `{}` has no stage `{stage}`; there are: {}",
        plan.pipeline,
        names.join(", ")
    ))
}

/// The accelerators to use; none for the processor.
pub(crate) fn devices(
    resources: &ResourceArguments,
    configuration: &Configuration,
) -> Result<Vec<Device>, Failure> {
    let names =
        if resources.device.is_empty() { &configuration.devices } else { &resources.device };
    let mut devices = Vec::new();
    for name in names {
        match name.parse::<Device>().map_err(Failure::Usage)? {
            Device::Cpu => {}
            device if devices.contains(&device) => {}
            device => devices.push(device),
        }
    }
    Ok(devices)
}
