use std::collections::BTreeMap;

use schemars::JsonSchema;
use sconce_core::{Context, Error, Input, Result, Stage, outputs};
use sconce_data::rank::Best;
use sconce_data::{Column, Metrics, Table};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::choice::{choose, high_is_good, known, rank_correlation, standardised};

/// Sets each score of checkpoints beside their accuracy: which checkpoint it would choose, what that is worth, and whether it ranks
/// them rightly.
///
/// Of checkpoints with equal scores the last is chosen, so that a score that tells nothing chooses the end of the training.
/// Rank correlations are Spearman's, with scores turned so that high is good: 1 is best. Where all scores or all accuracies are the
/// same there is none, and the cell is empty.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChooseCheckpoint {
    /// A row for each checkpoint and a column for each score beside `checkpoint`, `epoch` and `step`: that of `validators`.
    pub scores: Input<Table>,
    /// The same checkpoints with their `accuracy`: that of `evaluate-logits`.
    pub curve: Input<Table>,
    /// Which value of a score is best, `max` or `min`; those of `validators` are known.
    #[serde(default)]
    pub best: BTreeMap<String, Best>,
}

outputs! { ChooseCheckpoint:
    /// A row for each score: the checkpoint that it chooses and its accuracy, the last and the best accuracy, rank correlation.
    CHOICES: Table = "choices";
    /// A row for each score and checkpoint: `score`, `standardised` (high is good, mean 0, deviation 1), `accuracy`.
    JOINED: Table = "joined";
    /// The scores with the column `accuracy`: a panel for each in kind `plot`.
    SCORES: Table = "scores";
    /// `last_accuracy`, `best_accuracy`, and of each score `NAME_accuracy` and `NAME_rank_correlation`.
    METRICS: Metrics = "metrics" ["*_accuracy", "*_rank_correlation"];
}

/// Columns of scores that are none.
const MOMENTS: [&str; 3] = ["checkpoint", "epoch", "step"];

impl Stage for ChooseCheckpoint {
    const KIND: &'static str = "choose-checkpoint";
    const VERSION: u32 = 1;

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        let scores = ctx.input(&self.scores)?;
        let curve = ctx.input(&self.curve)?;
        let of = |slot: &str, message: String| Error::Input { slot: slot.to_owned(), message };
        let read = |slot: &str, table: &Table, column: &str| {
            table.numbers(column).map_err(|error| of(slot, error.to_string()))
        };
        let checkpoints = read("scores", &scores, "checkpoint")?;
        if checkpoints.is_empty() || checkpoints != read("curve", &curve, "checkpoint")? {
            return Err(of("curve", "expected the same checkpoints as in `scores`".to_owned()));
        }
        let accuracy = read("curve", &curve, "accuracy")?;
        let last = accuracy[accuracy.len() - 1];
        let highest = accuracy.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let moments: Vec<[Value; 2]> = (0..checkpoints.len())
            .map(|row| ["checkpoint", "epoch"].map(|name| cell(&scores, row, name)))
            .collect();

        let mut choices = Table::new(vec![
            Column::text("validator"),
            Column::integer("checkpoint"),
            Column::decimals("epoch", 2),
            Column::decimals("accuracy", 4),
            Column::decimals("last_accuracy", 4),
            Column::decimals("best_accuracy", 4),
            Column::decimals("rank_correlation", 3),
        ]);
        choices.caption = "What scores without target labels choose".to_owned();
        let mut joined = Table::new(vec![
            Column::text("validator"),
            Column::integer("checkpoint"),
            Column::decimals("epoch", 2),
            Column::decimals("score", 4),
            Column::decimals("standardised", 3),
            Column::decimals("accuracy", 4),
        ]);
        joined.caption = "Scores of checkpoints beside their accuracy".to_owned();
        let mut metrics = Metrics::default();
        metrics.set("last_accuracy", last);
        metrics.set("best_accuracy", highest);
        for name in self.names(&scores)? {
            let values = read("scores", &scores, name)?;
            let goods = high_is_good(&values, self.best_of(name)?);
            let chosen = choose(&goods).unwrap_or_default();
            let correlation = rank_correlation(&goods, &accuracy);
            let [checkpoint, epoch] = moments[chosen].clone();
            choices.push(vec![
                json!(name),
                checkpoint,
                epoch,
                json!(accuracy[chosen]),
                json!(last),
                json!(highest),
                json!(correlation),
            ])?;
            metrics.set(format!("{name}_accuracy"), accuracy[chosen]);
            if let Some(correlation) = correlation {
                metrics.set(format!("{name}_rank_correlation"), correlation);
            }
            for (row, standard) in standardised(&goods).into_iter().enumerate() {
                let [checkpoint, epoch] = moments[row].clone();
                joined.push(vec![
                    json!(name),
                    checkpoint,
                    epoch,
                    json!(values[row]),
                    json!(standard),
                    json!(accuracy[row]),
                ])?;
            }
        }
        let mut wide = scores;
        wide.columns.push(Column::decimals("accuracy", 4));
        for (row, accuracy) in wide.rows.iter_mut().zip(&accuracy) {
            row.push(json!(accuracy));
        }
        ctx.write(Self::CHOICES, &choices)?;
        ctx.write(Self::JOINED, &joined)?;
        ctx.write(Self::SCORES, &wide)?;
        ctx.write(Self::METRICS, &metrics)
    }
}

impl ChooseCheckpoint {
    /// The columns that hold scores.
    fn names<'a>(&self, scores: &'a Table) -> Result<Vec<&'a str>> {
        let names = scores.columns.iter().map(|column| column.name.as_str());
        let names: Vec<&str> = names.filter(|name| !MOMENTS.contains(name)).collect();
        if let Some(unknown) = self.best.keys().find(|name| !names.contains(&name.as_str())) {
            let message = format!("no score `{unknown}`; there are: {}", names.join(", "));
            return Err(Error::parameter("best", message));
        }
        if names.is_empty() || names.contains(&"accuracy") {
            return Err(Error::Input {
                slot: "scores".to_owned(),
                message: "expected a column for each score, and none called `accuracy`".to_owned(),
            });
        }
        Ok(names)
    }

    fn best_of(&self, name: &str) -> Result<Best> {
        self.best.get(name).copied().or_else(|| known(name)).ok_or_else(|| {
            Error::parameter("best", format!("expected what is best of `{name}`: `max` or `min`"))
        })
    }
}

/// A cell of a column, null where there is no such column.
fn cell(table: &Table, row: usize, name: &str) -> Value {
    let column = table.column(name).ok();
    column.and_then(|column| table.rows[row].get(column)).cloned().unwrap_or(Value::Null)
}
