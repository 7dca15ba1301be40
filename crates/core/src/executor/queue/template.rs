//! Any command that runs or submits another: `ssh node {command}`, `qsub … `, `sem --fg {command}`.
//!
//! Without a command that asks, the store alone tells: a job that gave signs of life and gives none any
//! more is lost.

use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use super::external::{Silence, call, quoted};
use super::{Cause, Job, Known, Queue, Refusal, Seen, State};
use crate::mutex::relock;
use crate::system::processes;

/// A command for each element, with `{command}`, and where it has them `{name}`, `{threads}`,
/// `{memory}` (MiB), `{seconds}`, `{gpus}` and `{output}` put in; `sh` runs it.
#[derive(Debug, Default)]
pub struct Template {
    /// Runs an element, or submits it where [`Template::ask`] is there: then it prints the job's number
    /// as its last word.
    pub command: String,
    /// Succeeds while a job, by its number `{job}`, waits or runs.
    pub ask: Option<String>,
    /// Cancels a job, by its number `{job}`.
    pub cancel: Option<String>,
    /// How long the commands that submit, ask and cancel may take.
    pub patience: Duration,
    /// Elements that this process runs: their ends.
    running: std::sync::Arc<Mutex<std::collections::BTreeMap<(String, usize), State>>>,
}

impl Template {
    /// Elements by a command.
    pub fn new(
        command: String,
        ask: Option<String>,
        cancel: Option<String>,
        patience: Duration,
    ) -> Self {
        Self { command, ask, cancel, patience, running: std::sync::Arc::default() }
    }

    fn sh(&self, text: &str) -> Result<super::external::Said, Silence> {
        call("sh", &["-c".to_owned(), text.to_owned()], "", self.patience)
    }

    fn filled(&self, job: &Job, element: usize) -> String {
        let words = job.command.iter().map(String::as_str).map(quoted);
        let command: Vec<String> = words.chain([element.to_string()]).collect();
        // One word of the outer shell, so that it passes through ssh as it is.
        let command = quoted(&command.join(" "));
        let seconds = job.ask.seconds.unwrap_or(24 * 3600).to_string();
        let output = job.folder.join(format!("output-{element}.txt"));
        let fields = [
            ("{command}", command),
            ("{name}", format!("{}-{element}", job.name)),
            ("{threads}", job.ask.threads.to_string()),
            ("{memory}", job.ask.memory.div_ceil(1 << 20).to_string()),
            ("{seconds}", seconds),
            ("{gpus}", usize::from(job.ask.gpu).to_string()),
            ("{output}", quoted(&output.to_string_lossy())),
        ];
        fields.iter().fold(self.command.clone(), |text, (field, value)| text.replace(field, value))
    }

    /// Starts an element's command and leaves it to itself; its end is noted.
    fn start(&self, job: &Job, element: usize) -> Result<(), Refusal> {
        let refused =
            |error: std::io::Error| Refusal::Refused(format!("cannot run a command: {error}"));
        let output = job.folder.join(format!("output-{element}.txt"));
        let output =
            std::fs::File::options().append(true).create(true).open(output).map_err(refused)?;
        let mut command = Command::new("sh");
        command.arg("-c").arg(self.filled(job, element)).stdin(Stdio::null());
        command.stdout(output.try_clone().map_err(refused)?).stderr(output);
        // It outlives this process: the jobs go on.
        processes::set_apart(&mut command);
        let mut child = command.spawn().map_err(refused)?;
        let (running, place) = (std::sync::Arc::clone(&self.running), (job.name.clone(), element));
        relock(&running).insert(place.clone(), State::Runs);
        std::thread::spawn(move || {
            let cause = match child.wait() {
                Ok(status) if status.success() => Cause::Well,
                Ok(_) => Cause::Failed,
                Err(_) => Cause::Lost,
            };
            relock(&running).insert(place, State::Ended(cause));
        });
        Ok(())
    }
}

impl Queue for Template {
    fn name(&self) -> &'static str {
        "command"
    }

    fn submit(&self, job: &Job) -> Result<String, Refusal> {
        if self.ask.is_none() {
            (0..job.elements).try_for_each(|element| self.start(job, element))?;
            return Ok(String::new());
        }
        let mut numbers = Vec::new();
        for element in 0..job.elements {
            let said = self.sh(&self.filled(job, element)).map_err(|silence| match silence {
                Silence::NotStarted(text) => Refusal::Refused(text),
                Silence::Hung(text) => Refusal::Unsure(text),
            })?;
            if !said.ok {
                return Err(Refusal::Refused(said.error));
            }
            match said.out.split_whitespace().last() {
                Some(number) => numbers.push(number.to_owned()),
                None => {
                    return Err(Refusal::Refused("the command printed no job's number".to_owned()));
                }
            }
        }
        Ok(numbers.join(" "))
    }

    fn look(&self, batches: &[Known]) -> Result<Vec<Seen>, String> {
        let mut found = Vec::new();
        for known in batches {
            let numbers = known.job.as_deref().unwrap_or_default().split_whitespace();
            let mut numbers: Vec<&str> = numbers.collect();
            numbers.resize(known.elements, "");
            for (element, number) in numbers.into_iter().enumerate() {
                let state = match &self.ask {
                    Some(ask) if !number.is_empty() => {
                        let text = ask.replace("{job}", &quoted(number));
                        let said = self.sh(&text).map_err(|silence| silence.to_string())?;
                        said.ok.then_some(State::Runs)
                    }
                    Some(_) => None,
                    None => relock(&self.running).get(&(known.name.clone(), element)).copied(),
                };
                let job = number.to_owned();
                let name = known.name.clone();
                found.extend(state.map(|state| Seen {
                    name,
                    element,
                    job,
                    state,
                    words: String::new(),
                }));
            }
        }
        Ok(found)
    }

    fn cancel(&self, batch: &Known) -> Result<(), String> {
        // Without a command the jobs see for themselves that the batch is cancelled.
        let Some(cancel) = &self.cancel else { return Ok(()) };
        for number in batch.job.as_deref().unwrap_or_default().split_whitespace() {
            let text = cancel.replace("{job}", &quoted(number));
            self.sh(&text).map_err(|silence| silence.to_string())?;
        }
        Ok(())
    }

    fn most_elements(&self) -> usize {
        if self.ask.is_none() { 1000 } else { 100 }
    }

    fn is_asked(&self) -> bool {
        self.ask.is_some()
    }
}
