use schemars::JsonSchema;
use sconce_core::{Context, Error, Input, Resources, Result, Stage, Threads, outputs};
use sconce_data::{Column, Features, Metrics, Table};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{choose_to_fit, train, unsolved, yes};
use crate::svm::Stopping;
use crate::{CrossValidation, Rows, cross_validate, stratified_folds};

/// Chooses C of `fit-svm` by cross-validation on the training set.
///
/// Stratified folds, shuffled by the seed; the samples of one split only, so that the test set has no say.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CrossValidate {
    /// The features, with classes.
    pub features: Input<Features>,
    /// The values of C to try.
    #[serde(default = "cs")]
    pub c: Vec<f64>,
    /// Number of folds.
    #[serde(default = "folds")]
    pub folds: usize,
    /// Whether rows are divided by their Euclidean norm.
    #[serde(default = "yes")]
    pub normalize: bool,
    /// The split to choose on; empty for all rows.
    #[serde(default = "train")]
    pub split: String,
}

fn cs() -> Vec<f64> {
    vec![0.01, 0.1, 1.0, 10.0, 100.0]
}

const fn folds() -> usize {
    5
}

outputs! { CrossValidate:
    /// The best `c`, its mean `accuracy` and `deviation`; for `c_from`.
    BEST: Metrics = "best" ["c", "accuracy", "deviation"];
    /// Accuracy of each C on each fold.
    FOLDS: Table = "folds";
    /// Mean accuracy and deviation of each C.
    CURVE: Table = "curve";
}

impl Stage for CrossValidate {
    const KIND: &'static str = "cross-validate";
    const VERSION: u32 = 3;
    const SEEDED: bool = true;

    fn resources(&self) -> Resources {
        Resources { threads: Threads::All, memory: 3 * Resources::GIB, ..Resources::default() }
    }

    fn check(&self) -> Result<()> {
        if self.c.is_empty() || self.c.iter().any(|c| !(c.is_finite() && *c > 0.0)) {
            return Err(Error::parameter("c", "expected at least one value, all positive"));
        }
        if self.folds < 2 {
            return Err(Error::parameter("folds", "expected at least 2"));
        }
        Ok(())
    }

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        let features = ctx.input(&self.features)?;
        let chosen = choose_to_fit(&features, &self.split, self.normalize)?;
        let rows = Rows::new(&chosen.values, features.dimension()).map_err(Error::other)?;
        let folds = stratified_folds(&chosen.labels, self.folds, &mut ctx.rng("folds"))
            .map_err(Error::other)?;
        let classes = features.examples().classes.len();
        let stopping = Stopping::default();
        let result = cross_validate(rows, &chosen.labels, classes, &folds, &self.c, stopping)
            .map_err(Error::other)?;
        if result.violation > stopping.tolerance {
            ctx.note(unsolved(result.violation, stopping));
        }
        write(ctx, &result)
    }
}

fn write(ctx: &Context<CrossValidate>, result: &CrossValidation) -> Result<()> {
    let mut folds = Table::new(vec![
        Column::number("c"),
        Column::integer("fold"),
        Column::decimals("accuracy", 4),
    ]);
    folds.caption = "Accuracy on the held-out fold".to_owned();
    let mut curve = Table::new(vec![
        Column::number("c"),
        Column::decimals("accuracy", 4),
        Column::decimals("deviation", 4),
    ]);
    curve.caption = "Mean accuracy over the folds, and its standard deviation".to_owned();
    let mut best = Metrics::default();
    for (i, (&c, accuracies)) in result.cs.iter().zip(&result.accuracies).enumerate() {
        for (fold, accuracy) in accuracies.iter().enumerate() {
            folds.push(vec![json!(c), json!(fold + 1), json!(accuracy)])?;
        }
        let (mean, deviation) = result.mean_and_deviation(i).unwrap_or_default();
        curve.push(vec![json!(c), json!(mean), json!(deviation)])?;
        if result.best() == Some(c) {
            best.set("c", c);
            best.set("accuracy", mean);
            best.set("deviation", deviation);
            ctx.metric("c", c);
            ctx.metric("accuracy", mean);
        }
    }
    ctx.write(CrossValidate::FOLDS, &folds)?;
    ctx.write(CrossValidate::BEST, &best)?;
    ctx.write(CrossValidate::CURVE, &curve)
}
