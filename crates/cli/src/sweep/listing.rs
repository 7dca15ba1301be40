//! The trials as a table, the best first, with a bar for each objective.

use std::collections::BTreeSet;

use sconce_core::sweep::{Dimension, Objective};
use serde_json::{Value, json};

use super::trial::Came;
use crate::compare::number::{self, Style};
use crate::table::{Head, Table};

/// Letters that the longest bar has.
const BAR: usize = 20;

/// A trial and what it came to, with each budget.
#[derive(Debug, Clone)]
pub(crate) struct Trial {
    /// From 1, in the order in which they were drawn.
    pub(crate) number: usize,
    /// The values of the dimensions.
    pub(crate) values: Vec<String>,
    /// With which budgets it ran, where there are several, and what it came to.
    pub(crate) results: Vec<(Option<u64>, Came)>,
}

impl Trial {
    /// What it came to with its last budget.
    pub(crate) fn last(&self) -> Option<(Option<u64>, f64)> {
        let (budget, came) = self.results.last()?;
        Some((*budget, came.value()?))
    }

    /// The settings, with that of a budget.
    pub(crate) fn sets(&self, dimensions: &[Dimension], budget: Option<String>) -> Vec<String> {
        let values = dimensions.iter().zip(&self.values);
        values.map(|(dimension, value)| dimension.setting(value)).chain(budget).collect()
    }
}

/// The best first: the largest budget, then the objective, then the number. Those without come last.
pub(crate) fn sort(trials: &mut [Trial], objective: &Objective) {
    trials.sort_by(|a, b| {
        let better = |a: f64, b: f64| match objective.maximise {
            true => b.total_cmp(&a),
            false => a.total_cmp(&b),
        };
        let order = match (a.last(), b.last()) {
            (Some((x, a)), Some((y, b))) => y.cmp(&x).then(better(a, b)),
            (a, b) => a.is_none().cmp(&b.is_none()),
        };
        order.then(a.number.cmp(&b.number))
    });
}

/// The shortest ends of the paths that tell them apart: `c`, `training.epochs`.
pub(crate) fn short_names(dimensions: &[Dimension]) -> Vec<String> {
    let end = |path: &str, parts: usize| -> String {
        let all: Vec<&str> = path.split('.').collect();
        all[all.len().saturating_sub(parts)..].join(".")
    };
    let most = dimensions.iter().map(|one| one.path.split('.').count()).max().unwrap_or(1);
    for parts in 1..=most {
        let names: Vec<String> = dimensions.iter().map(|one| end(&one.path, parts)).collect();
        if names.iter().collect::<BTreeSet<_>>().len() == names.len() {
            return names;
        }
    }
    dimensions.iter().map(|one| one.path.clone()).collect()
}

/// The table of the trials.
pub(crate) fn table(
    trials: &[Trial],
    dimensions: &[Dimension],
    objective: &Objective,
    budget: Option<&str>,
) -> Table {
    let mut heads = vec![Head::number("trial")];
    for (place, name) in short_names(dimensions).into_iter().enumerate() {
        let number = trials.iter().all(|trial| trial.values[place].parse::<f64>().is_ok());
        heads.push(if number { Head::number(name) } else { Head::text(name) });
    }
    if let Some(path) = budget {
        heads.push(Head::number(path.rsplit('.').next().unwrap_or(path)));
    }
    heads.push(Head::number(objective.metric.as_str()));
    heads.push(Head { weight: 1, ..Head::text("") });
    heads.push(Head { weight: 2, ..Head::number("seconds") });
    heads.push(Head::text("state"));
    let values: Vec<f64> = trials.iter().filter_map(|trial| Some(trial.last()?.1)).collect();
    let style = Style::of(values.iter().copied());
    let (low, high) =
        values.iter().fold((f64::MAX, f64::MIN), |(low, high), &one| (low.min(one), high.max(one)));
    let mut table = Table::new(heads);
    for trial in trials {
        let mut row = vec![trial.number.to_string()];
        row.extend(trial.values.iter().cloned());
        let last = trial.results.last();
        if budget.is_some() {
            row.push(last.and_then(|(budget, _)| *budget).map_or(String::new(), |b| b.to_string()));
        }
        let value = trial.last().map(|(_, value)| value);
        row.push(value.map_or(String::new(), |value| style.write(value)));
        row.push(value.map_or(String::new(), |value| bar(value, low, high)));
        let (seconds, state) = match last {
            Some((_, Came::To { cached: true, .. })) => (String::new(), "fresh"),
            Some((_, Came::To { seconds, .. })) => (number::seconds(*seconds), "ran"),
            Some((_, Came::Failed(_))) => (String::new(), "failed"),
            Some((_, Came::Stopped)) => (String::new(), "stopped"),
            None => (String::new(), "not run"),
        };
        row.push(seconds);
        row.push(state.to_owned());
        table.rows.push(row);
    }
    table
}

/// From one letter for the smallest to [`BAR`] for the largest.
fn bar(value: f64, low: f64, high: f64) -> String {
    let share = if high > low { (value - low) / (high - low) } else { 1.0 };
    let eighths = 8 + (share * (BAR - 1) as f64 * 8.0).round() as usize;
    let rest = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"][eighths % 8];
    format!("{}{rest}", "█".repeat(eighths / 8))
}

/// A trial for programs.
pub(crate) fn json(trial: &Trial, dimensions: &[Dimension]) -> Value {
    let sets: Vec<String> = trial.sets(dimensions, None);
    let result = |(budget, came): &(Option<u64>, Came)| match came {
        Came::To { value, seconds, cached } => {
            json!({ "budget": budget, "value": value, "seconds": seconds, "cached": cached })
        }
        Came::Failed(error) => json!({ "budget": budget, "error": error }),
        Came::Stopped => json!({ "budget": budget, "error": "stopped" }),
    };
    let results: Vec<Value> = trial.results.iter().map(result).collect();
    json!({ "trial": trial.number, "sets": sets, "results": results })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dimension(path: &str) -> Dimension {
        Dimension { path: path.to_owned(), range: sconce_core::sweep::Range::Uniform(0.0, 1.0) }
    }

    #[test]
    fn names_are_as_short_as_tells_them_apart() {
        let short = |paths: &[&str]| {
            short_names(&paths.iter().map(|path| dimension(path)).collect::<Vec<_>>())
        };
        assert_eq!(short(&["stage.svm.c", "stage.a.training.epochs"]), ["c", "epochs"]);
        assert_eq!(short(&["stage.svm.c", "stage.head.c"]), ["svm.c", "head.c"]);
    }

    #[test]
    fn the_best_is_the_first_and_what_has_no_value_the_last() {
        let trial = |number, results: &[(u64, Option<f64>)]| Trial {
            number,
            values: Vec::new(),
            results: results
                .iter()
                .map(|(budget, value)| {
                    let came = match value {
                        Some(value) => Came::To { value: *value, seconds: 1.0, cached: false },
                        None => Came::Failed("no".to_owned()),
                    };
                    (Some(*budget), came)
                })
                .collect(),
        };
        let all = [
            trial(1, &[(1, Some(0.9))]),
            trial(2, &[(1, Some(0.8)), (3, Some(0.7))]),
            trial(3, &[(1, None)]),
            trial(4, &[(1, Some(0.95)), (3, Some(0.75))]),
        ];
        let order = |maximise| {
            let mut all = all.to_vec();
            let objective =
                Objective { cell: "a".to_owned(), output: None, metric: "m".to_owned(), maximise };
            sort(&mut all, &objective);
            all.iter().map(|trial| trial.number).collect::<Vec<_>>()
        };
        assert_eq!(order(true), [4, 2, 1, 3]);
        assert_eq!(order(false), [2, 4, 1, 3]);
    }

    #[test]
    fn bars_grow_with_the_value() {
        assert_eq!(bar(0.0, 0.0, 1.0), "█");
        assert_eq!(bar(1.0, 0.0, 1.0).chars().count(), BAR);
        assert_eq!(bar(5.0, 5.0, 5.0).chars().count(), BAR, "the only one is the best");
    }
}
