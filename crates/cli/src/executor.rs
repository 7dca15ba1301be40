//! `[executor]` of a configuration file, and the executor that it makes.

use std::ffi::OsString;
use std::time::Duration;

use sconce_core::executor::queue::{Cluster, Group, Habits, Queue, Reins, Slurm, Template};
use sconce_core::executor::{Limits, Machine, Processes, Routes};
use sconce_core::plan::Plan;
use sconce_core::stage::Place;
use sconce_core::{ByteSize, Device, quantity};
use serde::{Deserialize, Deserializer};

use crate::arguments::Where;
use crate::failure::Failure;
use crate::session::Session;

/// The table `[executor]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ExecutorSettings {
    /// Where cells run that do not say.
    name: Option<Where>,
    partition: Option<String>,
    account: Option<String>,
    /// What asks for a GPU.
    gpu: Option<String>,
    options: Vec<String>,
    #[serde(deserialize_with = "duration")]
    time: Option<Duration>,
    threads: Option<usize>,
    /// Where cells compute that want a GPU.
    device: Option<String>,
    group: Option<GroupSetting>,
    jobs: Option<usize>,
    retries: Option<u32>,
    max_memory: Option<ByteSize>,
    /// The program on the machines of the queue.
    program: Option<String>,
    command: Option<String>,
    ask: Option<String>,
    cancel: Option<String>,
    #[serde(deserialize_with = "duration")]
    poll: Option<Duration>,
    #[serde(deserialize_with = "duration")]
    lost_after: Option<Duration>,
    #[serde(deserialize_with = "duration")]
    late: Option<Duration>,
    #[serde(deserialize_with = "duration")]
    patience: Option<Duration>,
}

impl ExecutorSettings {
    /// Whether it says where cells of the queue compute.
    pub(crate) fn names_device(&self) -> bool {
        self.device.is_some()
    }
}

/// `50`, or `"10m"`.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum GroupSetting {
    Cells(usize),
    Time(String),
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    quantity::duration(&text).map(Some).map_err(serde::de::Error::custom)
}

/// Where the cells of a run go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Places {
    /// Which queue there is.
    queue: Where,
    /// Where cells go that do not say.
    usual: Place,
}

/// Where the cells of a plan go; none when all run on this machine.
pub(crate) fn place(session: &Session, plan: &Plan, asked: Option<Where>) -> Option<Places> {
    let configured = session.configuration.executor.name;
    let queue = |one: &Where| *one != Where::Local;
    match asked {
        Some(Where::Local) => None,
        Some(queue) => Some(Places { queue, usual: Place::Queue }),
        None => {
            if let Some(queue) = configured.filter(queue) {
                return Some(Places { queue, usual: Place::Queue });
            }
            let wants = plan.cells().any(|(_, cell)| cell.resources.place == Place::Queue);
            let has_command = session.configuration.executor.command.is_some();
            let queue = if has_command { Where::Command } else { Where::Slurm };
            wants.then_some(Places { queue, usual: Place::Local })
        }
    }
}

/// Whether cells of this place go to a queue.
pub(crate) fn is_queued(places: Option<Places>, place: Place) -> bool {
    places.is_some_and(|places| match place {
        Place::Usual => places.usual == Place::Queue,
        place => place == Place::Queue,
    })
}

/// The queue of the configuration.
pub(crate) fn queue(settings: &ExecutorSettings, which: Where) -> Result<Box<dyn Queue>, Failure> {
    let patience = settings.patience.unwrap_or(Duration::from_secs(60));
    if which == Where::Command {
        let Some(command) = settings.command.clone() else {
            return Err(Failure::usage(
                "the executor `command` has no command: expected `command = \"ssh node \
                 {command}\"` or the like in `[executor]` of sconce.toml",
            ));
        };
        if !command.contains("{command}") {
            return Err(Failure::usage(format!(
                "`executor.command`: expected a command with `{{command}}` in it, found `{command}`"
            )));
        }
        let (ask, cancel) = (settings.ask.clone(), settings.cancel.clone());
        return Ok(Box::new(Template::new(command, ask, cancel, patience)));
    }
    let usual = Slurm::default();
    Ok(Box::new(Slurm {
        partition: settings.partition.clone(),
        account: settings.account.clone(),
        gpu: settings.gpu.clone().unwrap_or_else(|| usual.gpu.clone()),
        options: settings.options.clone(),
        patience,
        ..usual
    }))
}

/// The queue that the configuration names, for who asks about it.
pub(crate) fn configured_queue(settings: &ExecutorSettings) -> Result<Box<dyn Queue>, Failure> {
    let which = match settings.name {
        Some(Where::Command) => Where::Command,
        Some(Where::Slurm) => Where::Slurm,
        _ if settings.command.is_some() => Where::Command,
        _ => Where::Slurm,
    };
    queue(settings, which)
}

fn habits(session: &Session, limits: &Limits) -> Result<Habits, Failure> {
    let settings = &session.configuration.executor;
    let usual = Habits::default();
    let group = match &settings.group {
        None => usual.group,
        Some(GroupSetting::Cells(cells)) => Group::Cells((*cells).max(1)),
        Some(GroupSetting::Time(text)) => {
            let time = quantity::duration(text)
                .map_err(|error| Failure::usage(format!("`executor.group`: {error}")))?;
            Group::Seconds(time.as_secs_f64())
        }
    };
    let device = match &settings.device {
        Some(name) => name.parse::<Device>().map_err(Failure::Usage)?,
        None => limits.devices.first().copied().unwrap_or(Device::Cpu),
    };
    let program = match &settings.program {
        Some(program) => program.clone(),
        None => std::env::current_exe()?.to_string_lossy().into_owned(),
    };
    let store = session.as_arguments();
    let mut command = vec![program];
    command.extend(store.iter().map(|argument| argument.to_string_lossy().into_owned()));
    command.extend(["exec", "--batch"].map(str::to_owned));
    let poll = settings.poll.unwrap_or(usual.poll);
    Ok(Habits {
        command,
        group,
        jobs: settings.jobs.unwrap_or(usual.jobs),
        threads: settings.threads.unwrap_or(limits.threads),
        device,
        seconds: settings.time.map(|time| time.as_secs().max(1)),
        tick: usual.tick.min(poll),
        poll,
        lost_after: settings.lost_after.unwrap_or(usual.lost_after),
        late: settings.late.unwrap_or(usual.late),
        retries: settings.retries.unwrap_or(usual.retries),
        max_memory: settings.max_memory.map(|size| size.0),
    })
}

/// The executor of a run that has a queue.
pub(crate) fn routes(
    session: &Session,
    workers: Processes,
    limits: Limits,
    reins: &Reins,
    places: Places,
) -> Result<Routes<Machine<Processes>, Cluster>, Failure> {
    let habits = habits(session, &limits)?;
    let queue = queue(&session.configuration.executor, places.queue)?;
    let cluster = Cluster::new(&session.store, queue, habits, limits.clone(), reins.clone());
    Ok(Routes::new(Machine::new(workers, limits), cluster, places.usual))
}

/// The arguments of this call without `--detach`.
pub(crate) fn own_arguments() -> Vec<OsString> {
    std::env::args_os().skip(1).filter(|argument| argument != "--detach").collect()
}
