//! Slurm, by its commands.
//!
//! Seen with Slurm 22.05.8, and why things are as they are here:
//! - `squeue -j` of one id that it does not know fails, and of several it drops those: so all jobs of the
//!   user are asked for, and ours are told by their name. A number that is used again bears another name.
//! - An ended job is told only with `--states=all`, and only until `MinJobAge`.
//! - The last element of an array bears the array's own number: elements are told by their index.
//! - A script that a signal ends is `FAILED` with reason `JobLaunchFailure` and exit code `0:9`.
//! - `afterok` on a job that never was runs at once: no dependencies are handed over.
//! - A job whose start fails while the controller dies is put back and held (`launch failed requeued held`):
//!   it is released.
//! - With the controller down every command fails after some seconds: that is no answer.

use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::time::Duration;

use super::external::{Silence, call, quoted};
use super::{Ask, Cause, Job, Known, Queue, Refusal, Seen, State};

/// How `sbatch` is called.
#[derive(Debug, Clone)]
pub struct Slurm {
    /// Its partition; the cluster's own choice without one.
    pub partition: Option<String>,
    /// Who pays.
    pub account: Option<String>,
    /// What asks for a GPU.
    pub gpu: String,
    /// Further options of `sbatch`.
    pub options: Vec<String>,
    /// How long its commands may take.
    pub patience: Duration,
    /// Elements of an array, at most; asked once.
    pub most: OnceLock<usize>,
}

impl Default for Slurm {
    fn default() -> Self {
        Self {
            partition: None,
            account: None,
            gpu: "--gres=gpu:1".to_owned(),
            options: Vec::new(),
            patience: Duration::from_secs(60),
            most: OnceLock::new(),
        }
    }
}

/// So many seconds before its time is over a job is told.
pub(super) fn notice(seconds: Option<u64>) -> u64 {
    const NOTICE: u64 = 60;
    seconds.map_or(NOTICE, |seconds| NOTICE.min(seconds / 4).max(1))
}

/// Why a job waits that could not be started on its machine: until somebody releases it.
const HELD: &str = "launch failed requeued held";

/// Answers after which asking again makes no sense.
const FINAL: [&str; 16] = [
    "invalid account",
    "invalid partition",
    "invalid qos",
    "invalid generic resource",
    "invalid feature",
    "invalid license",
    "requested node configuration is not available",
    "requested time limit is invalid",
    "node count specification invalid",
    "memory specification can not be satisfied",
    "job violates accounting/qos policy",
    "access/permission denied",
    "unrecognized option",
    "invalid option",
    "user's group not permitted",
    "invalid job array specification",
];

impl Slurm {
    fn call(&self, program: &str, arguments: &[String]) -> Result<super::external::Said, Silence> {
        call(program, arguments, "", self.patience)
    }

    /// The arguments of `sbatch`.
    fn arguments(&self, job: &Job) -> Vec<String> {
        let Ask { threads, memory, gpu, seconds } = job.ask;
        let folder = job.folder.display();
        let mut arguments = vec![
            "--parsable".to_owned(),
            format!("--job-name={}", job.name),
            format!("--comment={}", job.comment),
            format!("--array=0-{}", job.elements.saturating_sub(1)),
            format!("--output={folder}/output-%a.txt"),
            "--open-mode=append".to_owned(),
            "--chdir=/".to_owned(),
            "--requeue".to_owned(),
            "--nodes=1".to_owned(),
            "--ntasks=1".to_owned(),
            format!("--cpus-per-task={}", threads.max(1)),
            format!("--mem={}M", memory.div_ceil(1 << 20).max(1)),
        ];
        if let Some(seconds) = seconds {
            // The least is a minute.
            arguments.push(format!("--time={}", seconds.div_ceil(60).max(1)));
        }
        arguments.push(format!("--signal=B:TERM@{}", notice(seconds)));
        arguments.extend(self.partition.iter().map(|name| format!("--partition={name}")));
        arguments.extend(self.account.iter().map(|name| format!("--account={name}")));
        if gpu {
            arguments.push(self.gpu.clone());
        }
        arguments.extend(self.options.iter().cloned());
        let command = job.command.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
        arguments.push(format!("--wrap=exec {command} \"$SLURM_ARRAY_TASK_ID\""));
        arguments
    }

    /// What accounting knows of jobs that the controller has forgotten; nothing without accounting.
    fn ended(&self, jobs: &[&Known]) -> Vec<Seen> {
        let ids: Vec<&str> = jobs.iter().filter_map(|known| known.job.as_deref()).collect();
        if ids.is_empty() {
            return Vec::new();
        }
        let arguments = [
            "--noheader".to_owned(),
            "--parsable2".to_owned(),
            "--allocations".to_owned(),
            format!("--jobs={}", ids.join(",")),
            "--format=JobName,JobID,State,ExitCode".to_owned(),
        ];
        match self.call("sacct", &arguments) {
            Ok(said) if said.ok => {
                said.out.lines().filter_map(|line| recorded(line, jobs)).collect()
            }
            _ => Vec::new(),
        }
    }
}

impl Queue for Slurm {
    fn name(&self) -> &'static str {
        "slurm"
    }

    fn submit(&self, job: &Job) -> Result<String, Refusal> {
        let said = match self.call("sbatch", &self.arguments(job)) {
            Ok(said) => said,
            Err(Silence::NotStarted(text)) => return Err(Refusal::Refused(text)),
            Err(Silence::Hung(text)) => return Err(Refusal::Unsure(text)),
        };
        if said.ok {
            // `123`, or `123;cluster`.
            let id = said.out.trim().split(';').next().unwrap_or_default().trim();
            if !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit()) {
                return Ok(id.to_owned());
            }
            return Err(Refusal::Unsure(format!("sbatch told no number: {}", said.out.trim())));
        }
        let low = said.error.to_lowercase();
        if FINAL.iter().any(|text| low.contains(text)) {
            return Err(Refusal::Refused(said.error));
        }
        Err(Refusal::Unsure(said.error))
    }

    fn look(&self, batches: &[Known]) -> Result<Vec<Seen>, String> {
        let arguments = [
            "--me".to_owned(),
            "--noheader".to_owned(),
            "--array".to_owned(),
            "--states=all".to_owned(),
            "--format=%j|%F|%K|%T|%r|%N".to_owned(),
        ];
        let said = self.call("squeue", &arguments).map_err(|silence| silence.to_string())?;
        // It may say what it has of a list that it could not read to its end.
        if !said.ok {
            return Err(format!("squeue: {}", said.error));
        }
        let mut seen: Vec<Seen> =
            said.out.lines().filter_map(|line| queued(line, batches)).collect();
        for one in seen.iter().filter(|one| one.words == HELD) {
            // Where that is not allowed the words stay to be seen.
            let job = format!("{}_{}", one.job, one.element);
            let _ = self.call("scontrol", &["release".to_owned(), job]);
        }
        let told: BTreeSet<(String, usize)> =
            seen.iter().map(|one| (one.name.clone(), one.element)).collect();
        let forgotten = |known: &&Known| {
            (0..known.elements).any(|element| !told.contains(&(known.name.clone(), element)))
        };
        let missing: Vec<&Known> = batches.iter().filter(forgotten).collect();
        let ended = self.ended(&missing);
        seen.extend(
            ended.into_iter().filter(|one| !told.contains(&(one.name.clone(), one.element))),
        );
        Ok(seen)
    }

    fn cancel(&self, batch: &Known) -> Result<(), String> {
        // By its name: a number may be another job's by now, and may not be known.
        let arguments = [format!("--name={}", batch.name)];
        let said = self.call("scancel", &arguments).map_err(|silence| silence.to_string())?;
        let gone = said.error.to_lowercase().contains("invalid job id");
        if said.ok || gone { Ok(()) } else { Err(format!("scancel: {}", said.error)) }
    }

    fn most_elements(&self) -> usize {
        const USUAL: usize = 1000;
        *self.most.get_or_init(|| {
            let said = self.call("scontrol", &["show".to_owned(), "config".to_owned()]);
            let text = said.map(|said| said.out).unwrap_or_default();
            let line = text.lines().find(|line| line.trim_start().starts_with("MaxArraySize"));
            let size = line.and_then(|line| line.split('=').nth(1)?.trim().parse::<usize>().ok());
            // The size is one more than the largest index.
            size.unwrap_or(USUAL).saturating_sub(1).clamp(1, 10_000)
        })
    }
}

/// A line of `squeue`: name, number of the array, index, state, reason, nodes.
fn queued(line: &str, batches: &[Known]) -> Option<Seen> {
    let fields: Vec<&str> = line.split('|').map(str::trim).collect();
    let [name, job, index, state, reason, nodes] = fields.as_slice() else { return None };
    let known = batches.iter().find(|known| known.name == *name)?;
    let element = index.parse::<usize>().ok().filter(|index| *index < known.elements)?;
    let (state, words) = match state_of(state, reason) {
        State::Runs if !nodes.is_empty() => {
            (State::Runs, format!("{} on {nodes}", state.to_lowercase()))
        }
        State::Runs => (State::Runs, state.to_lowercase()),
        State::Waits => (State::Waits, (*reason).to_owned()),
        ended @ State::Ended(_) => (ended, format!("{state}, reason {reason}")),
    };
    Some(Seen { name: known.name.clone(), element, job: (*job).to_owned(), state, words })
}

/// A line of `sacct`: name, `number_index`, state, exit code.
fn recorded(line: &str, batches: &[&Known]) -> Option<Seen> {
    let fields: Vec<&str> = line.split('|').map(str::trim).collect();
    let [name, id, state, exit] = fields.as_slice() else { return None };
    let known = batches.iter().find(|known| known.name == *name)?;
    let (job, index) = id.split_once('_')?;
    let element = index.parse::<usize>().ok().filter(|index| *index < known.elements)?;
    // `CANCELLED by 1000`.
    let word = state.split_whitespace().next().unwrap_or_default();
    let signal = exit.split(':').nth(1).is_some_and(|signal| signal != "0");
    let state = match state_of(word, "") {
        State::Ended(Cause::Failed) if signal => State::Ended(Cause::Killed),
        other => other,
    };
    let words = format!("{word}, exit code {exit}");
    Some(Seen { name: known.name.clone(), element, job: job.to_owned(), state, words })
}

/// What a state of Slurm means. One that is not known is a running one.
fn state_of(state: &str, reason: &str) -> State {
    match state {
        "PENDING" | "REQUEUED" | "REQUEUE_HOLD" | "REQUEUE_FED" | "RESV_DEL_HOLD"
        | "SPECIAL_EXIT" => State::Waits,
        "COMPLETED" => State::Ended(Cause::Well),
        "OUT_OF_MEMORY" => State::Ended(Cause::Memory),
        "TIMEOUT" | "DEADLINE" => State::Ended(Cause::Time),
        "NODE_FAIL" | "BOOT_FAIL" | "REVOKED" => State::Ended(Cause::Lost),
        "CANCELLED" => State::Ended(Cause::Cancelled),
        "FAILED" => match reason {
            "OutOfMemory" => State::Ended(Cause::Memory),
            "TimeLimit" => State::Ended(Cause::Time),
            "NodeDown" => State::Ended(Cause::Lost),
            "JobLaunchFailure" => State::Ended(Cause::Killed),
            signal if signal.starts_with("RaisedSignal") => State::Ended(Cause::Killed),
            _ => State::Ended(Cause::Failed),
        },
        // PREEMPTED is the state of a job that is put back into the queue, too.
        _ => State::Runs,
    }
}
