//! Where cells compute: what people ask for, what there is, and what comes of it.
//!
//! All that is asked for is looked for before the first cell runs. What is not there is an error, and the processor never steps in
//! for it; `auto` alone chooses, and says what.

mod found;

use std::collections::BTreeSet;

use sconce_core::executor::Limits;
use sconce_core::plan::{CellIndex, Plan, State};
use sconce_core::stage::Place;
use sconce_core::{Device, DeviceChoice, DeviceClass, DeviceClasses};

use crate::commands::assess_plan;
use crate::configuration::Configuration;
use crate::failure::Failure;
use crate::session::Session;

pub(crate) use found::describe;
use found::{find, is_program};

/// What a run's cells compute on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Devices {
    /// Those of cells that leave the choice to the run; none for the processor.
    usual: Vec<Device>,
    /// Those that cells may name.
    named: Vec<Device>,
    /// What `auto` of a stage comes to.
    auto: Option<DeviceChoice>,
    /// Whether nothing computes elsewhere than on the processor, whatever stages say.
    processor_alone: bool,
    /// What was chosen, and why.
    pub(crate) chosen: Option<String>,
}

/// What the flag or else the configuration asks for; `cpu` without either.
fn asked(configuration: &Configuration) -> Result<Vec<DeviceChoice>, Failure> {
    let mut choices = Vec::new();
    for name in &configuration.devices {
        let choice = name.parse().map_err(|error| {
            Failure::usage(format!("{}: {error}", configuration.devices_from()))
        })?;
        if !choices.contains(&choice) {
            choices.push(choice);
        }
    }
    let alone = |choice: &DeviceChoice| matches!(choice, DeviceChoice::Auto | DeviceChoice::Cpu);
    if choices.len() > 1
        && let Some(choice) = choices.iter().find(|choice| alone(choice))
    {
        return Err(Failure::usage(format!(
            "{}: `{choice}` stands alone, and is no device of several",
            configuration.devices_from()
        )));
    }
    if choices.is_empty() {
        choices.push(DeviceChoice::Cpu);
    }
    Ok(choices)
}

/// The classes that keys name, where they are to name any. Nothing is looked for but what `auto` comes to.
pub(crate) fn strict(configuration: &Configuration) -> Result<Option<DeviceClasses>, Failure> {
    if !configuration.strict_device {
        return Ok(None);
    }
    let auto = || find(DeviceChoice::Auto, false).map(|found| class(found.first().copied()));
    let choices = asked(configuration)?;
    let usual = match choices.first() {
        Some(DeviceChoice::Auto) => auto().unwrap_or(DeviceClass::Cpu),
        Some(DeviceChoice::Cuda(_)) => DeviceClass::Cuda,
        Some(DeviceChoice::Metal(_)) => DeviceClass::Metal,
        _ => DeviceClass::Cpu,
    };
    let mixed = choices.iter().any(|choice| match choice {
        DeviceChoice::Cuda(_) => usual != DeviceClass::Cuda,
        DeviceChoice::Metal(_) => usual != DeviceClass::Metal,
        _ => false,
    });
    if mixed {
        return Err(Failure::usage(format!(
            "{}: `--strict-device` expects devices of one class",
            configuration.devices_from()
        )));
    }
    Ok(Some(DeviceClasses { usual, auto: auto().unwrap_or(DeviceClass::Cpu) }))
}

fn class(device: Option<Device>) -> DeviceClass {
    device.map_or(DeviceClass::Cpu, Device::class)
}

/// What the cells of a run compute on. `queued` tells whether a cell goes to a cluster's queue, whose machines have other devices.
///
/// # Errors
/// A device that is asked for and not there.
pub(crate) fn resolve(
    session: &Session,
    plan: &Plan,
    wanted: &[String],
    queued: impl Fn(Place) -> bool,
) -> Result<Devices, Failure> {
    let configuration = &session.configuration;
    let choices = asked(configuration)?;
    let mut devices = Devices {
        processor_alone: configuration.devices_by_flag && choices == [DeviceChoice::Cpu],
        ..Devices::default()
    };
    if devices.processor_alone {
        return Ok(devices);
    }
    let named = match wanted {
        [] => plan.indices().collect(),
        names => crate::session::named(plan, names)?,
    };
    let cells = plan.with_upstream(named);
    let here = |choice: DeviceChoice| {
        let fits = |cell: &&CellIndex| {
            let needs = &plan[**cell].resources;
            needs.gpu && needs.device == choice && !queued(needs.place)
        };
        cells.iter().filter(fits).copied().collect::<Vec<_>>()
    };
    let programs = |cells: &[CellIndex]| {
        !cells.is_empty() && cells.iter().all(|&cell| is_program(plan[cell].kind.name))
    };
    // Of cells that leave it to the run. Where all of them go to a queue nothing is looked for here.
    let usual = here(DeviceChoice::Usual);
    let elsewhere = usual.is_empty()
        && cells.iter().any(|&cell| {
            let needs = &plan[cell].resources;
            needs.gpu && needs.device == DeviceChoice::Usual
        });
    for &choice in &choices {
        if elsewhere {
            devices.usual.extend(unseen(choice, configuration)?);
            continue;
        }
        match choice {
            DeviceChoice::Cpu | DeviceChoice::Usual => {}
            DeviceChoice::Auto => {
                let (found, why) = choose();
                devices.chosen = Some(why);
                devices.usual = found;
            }
            choice => {
                let found = find(choice, programs(&usual)).map_err(|missing| {
                    missing.failure(configuration.devices_from(), choice, None)
                })?;
                devices.usual.extend(found);
            }
        }
    }
    let mut seen = BTreeSet::new();
    devices.usual.retain(|&device| seen.insert(device));
    devices.of_stages(session, plan, &cells, &here, &programs)?;
    Ok(devices)
}

/// What a choice means on machines that cannot be looked at.
fn unseen(choice: DeviceChoice, configuration: &Configuration) -> Result<Option<Device>, Failure> {
    match choice {
        DeviceChoice::Cpu | DeviceChoice::Usual => Ok(None),
        DeviceChoice::Cuda(id) => Ok(Some(Device::Cuda(id.unwrap_or(0)))),
        DeviceChoice::Metal(id) => Ok(Some(Device::Metal(id.unwrap_or(0)))),
        DeviceChoice::Auto if configuration.executor.names_device() => Ok(None),
        DeviceChoice::Auto => Err(Failure::usage(format!(
            "{}: `auto` cannot look at the machines of a queue: expected `cpu` or `cuda`, here or as `executor.device`",
            configuration.devices_from()
        ))),
    }
}

/// What `auto` comes to, and why.
fn choose() -> (Vec<Device>, String) {
    match find(DeviceChoice::Auto, false) {
        Ok(found) => {
            let names: Vec<_> = found.iter().map(Device::to_string).collect();
            let text = format!("auto: {}, which can be used here", names.join(", "));
            (found, text)
        }
        Err(missing) => (Vec::new(), format!("auto: cpu, since {}", missing.in_short())),
    }
}

impl Devices {
    /// What stages ask for themselves. Where nothing of it has to run it need not be there.
    fn of_stages(
        &mut self,
        session: &Session,
        plan: &Plan,
        cells: &[CellIndex],
        here: &impl Fn(DeviceChoice) -> Vec<CellIndex>,
        programs: &impl Fn(&[CellIndex]) -> bool,
    ) -> Result<(), Failure> {
        let choices: BTreeSet<_> = cells.iter().map(|&cell| plan[cell].resources.device).collect();
        let mut assessed = None;
        for choice in choices {
            let who = here(choice);
            let Some(&first) = who.first() else { continue };
            match choice {
                DeviceChoice::Usual | DeviceChoice::Cpu => {}
                DeviceChoice::Auto => {
                    let (found, why) = choose();
                    self.auto = Some(match class(found.first().copied()) {
                        DeviceClass::Cpu => DeviceChoice::Cpu,
                        DeviceClass::Cuda => DeviceChoice::Cuda(None),
                        DeviceClass::Metal => DeviceChoice::Metal(None),
                    });
                    self.named.extend(found);
                    self.chosen.get_or_insert(why);
                }
                choice => match find(choice, programs(&who)) {
                    Ok(found) => self.named.extend(found),
                    Err(missing) => {
                        let assessed = match &mut assessed {
                            Some(assessed) => assessed,
                            none => none.insert(assess_plan(session, plan)?),
                        };
                        let states = &assessed.states;
                        if who.iter().any(|&cell| !matches!(states[cell], State::Hit(_))) {
                            let place = "`resources.device`";
                            return Err(missing.failure(
                                place,
                                choice,
                                Some(&plan[first].id.stage),
                            ));
                        }
                    }
                },
            }
        }
        Ok(())
    }

    /// Puts what was found into what running cells share.
    pub(crate) fn limit(&self, limits: &mut Limits) {
        limits.devices.clone_from(&self.usual);
        limits.named_devices.clone_from(&self.named);
    }

    /// Makes the cells of a plan ask for what their choice came to.
    pub(crate) fn settle(&self, plan: &mut Plan) {
        for cell in plan.graph.node_weights_mut() {
            if self.processor_alone {
                cell.resources.device = DeviceChoice::Cpu;
            } else if cell.resources.device == DeviceChoice::Auto {
                cell.resources.device = self.auto.unwrap_or(DeviceChoice::Auto);
            }
        }
    }
}
