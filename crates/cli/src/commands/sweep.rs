//! `sconce sweep`: trials over ranges of parameters, by random search or successive halving.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use sconce_core::executor::{Executor, Machine, Processes};
use sconce_core::plan::Plan;
use sconce_core::run::Interrupt;
use sconce_core::stage::METRICS;
use sconce_core::sweep::{Dimension, Halving, Objective, draw};
use serde_json::{Value, json};

use super::run::{limits, stop_on_signals, workers};
use super::runs::quoted;
use crate::arguments::{SweepArguments, Where};
use crate::compare::number::Style;
use crate::devices;
use crate::executor;
use crate::failure::{FAILED, Failure, INTERRUPTED};
use crate::session::{Call, Session, load_plan};
use crate::style::{BAD, BUSY, DIM, GOOD, WARN, count, paint, seconds, status};
use crate::sweep::listing::{Trial, json, short_names, sort, table};
use crate::sweep::room::Room;
use crate::sweep::trial::{Came, Search};
use crate::table::terminal_width;

/// Trials that run at once may want the same cell, which a queue is given once.
const STAYS_HERE: &str = "trials run on this machine; `sconce run FILE --set PATH=VALUE,VALUE` sends a grid \
                          through the queue";

pub(crate) fn sweep(call: &Call<'_>, arguments: &SweepArguments) -> Result<ExitCode, Failure> {
    let asked = arguments.resources.executor;
    if asked.is_some_and(|asked| asked != Where::Local) {
        return Err(Failure::usage(format!("--executor: {STAYS_HERE}")));
    }
    let dimensions = dimensions(&arguments.over)?;
    let halving = match &arguments.budget {
        Some(text) => Some(Halving::parse(text, arguments.eta).map_err(Failure::Usage)?),
        None => None,
    };
    check_plot(arguments)?;
    let base = load_plan(call, &arguments.pipeline)?;
    let objective = objective(arguments, &base)?;
    let session = Session::open(call)?;
    let wanted = [objective.cell.clone()];
    let devices = devices::resolve(&session, &base, &wanted, |_| false)?;
    if executor::place(&session, &base, asked).is_some() {
        writeln!(anstream::stderr(), "{}", status(WARN, "Warning", STAYS_HERE))?;
    }
    let interrupt = Interrupt::default();
    let search = Search {
        file: arguments.pipeline.file.clone(),
        profiles: arguments.pipeline.profiles.clone(),
        sets: arguments.pipeline.sets.clone(),
        objective,
        devices: devices.clone(),
        strict_device: call.strict_device()?,
        kinds: call.kinds,
        store: session.store.clone(),
        mirror: session.configuration.mirror.clone(),
        interrupt: interrupt.clone(),
    };
    let values = draw(&dimensions, arguments.trials, arguments.seed);
    let mut sweep = Sweep {
        trials: values
            .into_iter()
            .enumerate()
            .map(|(place, values)| Trial { number: place + 1, values, results: Vec::new() })
            .collect(),
        names: short_names(&dimensions),
        dimensions,
        halving,
        search,
        quiet: arguments.quiet || arguments.json,
        said: Mutex::default(),
    };
    sweep.say_what(arguments)?;
    let mut limits = limits(&session, &arguments.resources);
    devices.limit(&mut limits);
    let at_once = limits.jobs.unwrap_or(limits.threads).max(1);
    stop_on_signals(&interrupt);
    let executor = Machine::new(workers(call, &session)?.adopting().settling(), limits);
    session.behind.offer_owed()?;
    sweep.run(&executor, at_once)?;
    session.behind.finish(&interrupt, arguments.quiet || arguments.json);
    sweep.finish(arguments, interrupt.is_asked())
}

struct Sweep<'a> {
    search: Search<'a>,
    dimensions: Vec<Dimension>,
    /// Their short names.
    names: Vec<String>,
    halving: Option<Halving>,
    trials: Vec<Trial>,
    quiet: bool,
    /// Lines of several threads do not mix.
    said: Mutex<()>,
}

fn dimensions(over: &[String]) -> Result<Vec<Dimension>, Failure> {
    let mut dimensions: Vec<Dimension> = Vec::new();
    for text in over {
        let one = Dimension::parse("--over", text).map_err(Failure::Pipeline)?;
        if dimensions.iter().any(|other| other.path == one.path) {
            return Err(Failure::usage(format!("--over: `{}` is there twice", one.path)));
        }
        dimensions.push(one);
    }
    Ok(dimensions)
}

fn check_plot(arguments: &SweepArguments) -> Result<(), Failure> {
    let Some(path) = &arguments.plot else { return Ok(()) };
    if !cfg!(feature = "chapters") {
        return Err(Failure::usage("--plot: this sconce was built without figures"));
    }
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("svg" | "png") => Ok(()),
        _ => Err(Failure::usage(format!(
            "--plot {}: expected a name that ends in .svg or .png",
            path.display()
        ))),
    }
}

fn objective(arguments: &SweepArguments, base: &Plan) -> Result<Objective, Failure> {
    let (text, maximise) = match (&arguments.maximise, &arguments.minimise) {
        (Some(text), _) => (text, true),
        (None, Some(text)) => (text, false),
        (None, None) => {
            return Err(Failure::usage(
                "expected what is searched for: --maximise STAGE.METRIC or --minimise STAGE.METRIC",
            ));
        }
    };
    let is_output = |stage: &str, name: &str| {
        let cell = base.of_stage(stage).next();
        let outputs = cell.into_iter().flat_map(|cell| &base[cell].outputs);
        outputs.into_iter().any(|one| one.name == name && one.artifact == METRICS)
    };
    let objective = Objective::parse(text, maximise, is_output).map_err(Failure::Usage)?;
    let stage = objective.cell.split('[').next().unwrap_or_default();
    // A stage that is not there is told by name; which of its cells the trials have they say themselves.
    base.select(stage).map_err(|error| Failure::usage(error.to_string()))?;
    Ok(objective)
}

impl Sweep<'_> {
    /// Says what is searched, and on which data the objective is measured.
    fn say_what(&self, arguments: &SweepArguments) -> Result<(), Failure> {
        let Some(first) = self.trials.first() else {
            return Err(Failure::usage("--trials: expected at least one"));
        };
        // All that is wrong with the file, the settings and the objective is told before anything runs.
        let (plan, cell) = self.search.plan(&self.sets(first, self.budgets().last().copied()))?;
        let mut said = Vec::new();
        for dimension in &self.dimensions {
            said.push(status(BUSY, "Over", dimension));
        }
        let trials = count(self.trials.len(), "trial");
        let mut text = format!("{trials}, seed {}", arguments.seed);
        if self.trials.len() < arguments.trials {
            text += ": there are no more different ones";
        }
        if let Some(halving) = &self.halving {
            let budgets: Vec<_> = halving.budgets().iter().map(u64::to_string).collect();
            text += &format!(
                ", {} {}, one in {} goes on",
                halving.path,
                budgets.join(" → "),
                halving.eta
            );
        }
        said.push(status(BUSY, "Search", text));
        let (style, word, text) =
            match split(&plan[cell].key_parameters.all(), &self.search.objective) {
                Split::Test(text) => (WARN, "Warning", text),
                Split::Other(text) => (BUSY, "Objective", text),
            };
        said.push(status(style, word, text));
        if !self.quiet {
            self.say(&said);
        } else if word == "Warning" {
            self.say(&said[said.len() - 1..]);
        }
        Ok(())
    }

    fn say(&self, lines: &[String]) {
        let _one = self.said.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        // Without a reader there is no one to tell; the sweep goes on.
        let _ = writeln!(anstream::stderr(), "{}", lines.join("\n"));
    }

    /// The budgets, from the smallest on; none without halving.
    fn budgets(&self) -> Vec<Option<u64>> {
        match &self.halving {
            Some(halving) => halving.budgets().into_iter().map(Some).collect(),
            None => vec![None],
        }
    }

    /// The settings of a trial with a budget.
    fn sets(&self, trial: &Trial, budget: Option<Option<u64>>) -> Vec<String> {
        let budget = match (&self.halving, budget.flatten()) {
            (Some(halving), Some(budget)) => Some(halving.setting(budget)),
            _ => None,
        };
        trial.sets(&self.dimensions, budget)
    }

    /// Runs all trials, with halving the best of each budget with the next one.
    fn run(&mut self, executor: &Machine<Processes>, at_once: usize) -> Result<(), Failure> {
        let mut active: Vec<usize> = (0..self.trials.len()).collect();
        let budgets = self.budgets();
        for (round, &budget) in budgets.iter().enumerate() {
            let sets: Vec<Vec<String>> =
                active.iter().map(|&place| self.sets(&self.trials[place], Some(budget))).collect();
            if at_once > 1
                && sets.len() > 1
                && let Some(error) = self.search.run_shared(executor, &sets)?
            {
                return Err(Failure::Engine(sconce_core::Error::message(format!(
                    "what all trials share has no result: {error}"
                ))));
            }
            let came = self.run_at_once(executor, at_once, &active, &sets, budget)?;
            for (&place, came) in active.iter().zip(came) {
                self.trials[place].results.push((budget, came));
            }
            if self.search.interrupt.is_asked() {
                return Ok(());
            }
            let (Some(halving), true) = (&self.halving, round + 1 < budgets.len()) else {
                continue;
            };
            let mut ranked: Vec<Trial> =
                active.iter().map(|&place| self.trials[place].clone()).collect();
            sort(&mut ranked, &self.search.objective);
            ranked.truncate(halving.going_on(active.len()));
            ranked.retain(|trial| trial.last().is_some());
            active = ranked.iter().map(|trial| trial.number - 1).collect();
        }
        Ok(())
    }

    /// Runs trials, several at once, in their order.
    fn run_at_once(
        &self,
        executor: &(dyn Executor + Sync),
        at_once: usize,
        active: &[usize],
        sets: &[Vec<String>],
        budget: Option<u64>,
    ) -> Result<Vec<Came>, Failure> {
        let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let room = Room::new(executor, sets.len());
        let came: Mutex<Vec<Option<Result<Came, Failure>>>> =
            Mutex::new(sets.iter().map(|_| None).collect());
        let work = || {
            loop {
                let place = next.fetch_add(1, Ordering::Relaxed);
                let Some(sets) = sets.get(place) else { return };
                let result = match self.search.interrupt.is_asked() {
                    true => Ok(Came::Stopped),
                    false => self.search.run(&room, sets),
                };
                room.leave();
                let number = done.fetch_add(1, Ordering::Relaxed) + 1;
                if let Ok(came) = &result {
                    self.tell(&self.trials[active[place]], came, budget, number, active.len());
                } else {
                    // The others would fail in the same way.
                    next.fetch_add(active.len(), Ordering::Relaxed);
                }
                let mut all = came.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                all[place] = Some(result);
            }
        };
        std::thread::scope(|scope| {
            let threads = at_once.min(sets.len());
            (1..threads).for_each(|_| _ = scope.spawn(work));
            work();
        });
        let all = came.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        all.into_iter().map(|one| one.unwrap_or(Ok(Came::Stopped))).collect()
    }

    fn tell(&self, trial: &Trial, came: &Came, budget: Option<u64>, done: usize, of: usize) {
        if matches!(came, Came::Stopped) || (self.quiet && !matches!(came, Came::Failed(_))) {
            return;
        }
        let values: Vec<String> = self
            .names
            .iter()
            .zip(&trial.values)
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let budget = budget.map_or(String::new(), |budget| format!(", budget {budget}"));
        let what = format!("trial {} ({}{budget})", trial.number, values.join(", "));
        let metric = &self.search.objective.metric;
        let left = paint(DIM, format_args!("{done}/{of}"));
        self.say(&[match came {
            Came::To { value, cached: true, .. } => {
                status(GOOD, "Fresh", format!("{what}: {metric} {value} {left}"))
            }
            Came::To { value, seconds: took, .. } => {
                let took = seconds(*took);
                status(GOOD, "Finished", format!("{what}: {metric} {value} in {took} {left}"))
            }
            Came::Failed(error) => status(BAD, "Failed", format!("{what}: {error} {left}")),
            Came::Stopped => return,
        }]);
    }

    /// Prints the trials, and the call that gives the best again.
    fn finish(mut self, arguments: &SweepArguments, stopped: bool) -> Result<ExitCode, Failure> {
        sort(&mut self.trials, &self.search.objective);
        let best = self.trials.first().filter(|trial| trial.last().is_some());
        let command = best.map(|trial| self.command(trial));
        let mut out = anstream::stdout().lock();
        if arguments.json {
            let trials: Vec<Value> =
                self.trials.iter().map(|trial| json(trial, &self.dimensions)).collect();
            let best = best.zip(command.as_ref()).map(|(trial, command)| {
                let (budget, value) = trial.last().unwrap_or_default();
                json!({ "trial": trial.number, "value": value, "budget": budget, "command": command })
            });
            let objective = &self.search.objective;
            let text = json!({
                "objective": objective.to_string(),
                "maximise": objective.maximise,
                "best": best,
                "trials": trials,
                "stopped": stopped,
            });
            writeln!(out, "{text}")?;
        } else {
            let budget = self.halving.as_ref().map(|halving| halving.path.as_str());
            let objective = &self.search.objective;
            let table = table(&self.trials, &self.dimensions, objective, budget);
            table.write(&mut out, terminal_width())?;
            if let (Some(trial), Some(command), Some((_, value))) =
                (best, &command, best.and_then(Trial::last))
            {
                let value = Style::Full.write(value);
                writeln!(
                    out,
                    "{}",
                    status(GOOD, "Best", format!("trial {}: {objective} {value}", trial.number))
                )?;
                writeln!(out, "{:>12} {command}", "")?;
            }
        }
        #[cfg(feature = "chapters")]
        if let (Some(path), Some(_)) = (&arguments.plot, best) {
            let objective = &self.search.objective;
            crate::sweep::plot::write(path, &self.trials, &self.dimensions, objective)?;
            if !self.quiet {
                self.say(&[status(GOOD, "Plot", path.display())]);
            }
        }
        if stopped {
            if !self.quiet {
                let text = "what is done stays: the same call goes on from here";
                self.say(&[status(WARN, "Stopped", text)]);
            }
            return Ok(ExitCode::from(INTERRUPTED));
        }
        Ok(if best.is_some() { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
    }

    /// The call that runs a trial, or finds it in the store.
    fn command(&self, trial: &Trial) -> String {
        let mut words =
            vec!["sconce run".to_owned(), quoted(&self.search.file.display().to_string())];
        for profile in &self.search.profiles {
            words.extend(["--profile".to_owned(), quoted(profile)]);
        }
        let budget = trial.results.last().map(|(budget, _)| *budget);
        for set in self.search.all_sets(&self.sets(trial, budget)) {
            words.extend(["--set".to_owned(), quoted(&set)]);
        }
        words.join(" ")
    }
}

/// On which data an objective is measured.
enum Split {
    /// Perhaps on test data.
    Test(String),
    Other(String),
}

/// What the parameters of the objective's cell and the metric's name say of the split.
fn split(parameters: &Value, objective: &Objective) -> Split {
    let advice = "choose by validation data, and test once at the end";
    let text = |name: &str| parameters.get(name).and_then(Value::as_str);
    let is_test = |text: &str| text.to_lowercase().contains("test");
    match (text("split"), text("test_split")) {
        _ if is_test(&objective.metric) => {
            Split::Test(format!("{objective} tells of test data by its name: {advice}"))
        }
        (_, Some(split)) if !split.is_empty() => Split::Test(format!(
            "{objective} may be measured on split `{split}`, the stage's `test_split`: {advice}"
        )),
        (Some(""), _) => Split::Test(format!(
            "{objective} is measured on all splits, test data among them: {advice}"
        )),
        (Some(split), _) if is_test(split) => {
            Split::Test(format!("{objective} is measured on split `{split}`: {advice}"))
        }
        (Some(split), _) => Split::Other(format!("{objective}, measured on split `{split}`")),
        (None, _) => Split::Other(format!(
            "{objective}; on which split it is measured its parameters do not tell"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_data_is_told_of() {
        let told = |parameters: Value, metric: &str| {
            let objective = Objective {
                cell: "stage".to_owned(),
                output: None,
                metric: metric.to_owned(),
                maximise: true,
            };
            matches!(split(&parameters, &objective), Split::Test(_))
        };
        assert!(told(json!({ "split": "test" }), "accuracy"));
        assert!(told(json!({ "split": "" }), "accuracy"));
        assert!(told(json!({ "split": "train", "test_split": "test" }), "loss"));
        assert!(told(json!({}), "test_accuracy"));
        assert!(!told(json!({ "split": "validation" }), "accuracy"));
        assert!(!told(json!({ "split": "train", "test_split": "" }), "loss"));
        assert!(!told(json!({}), "accuracy"));
    }
}
