use std::time::Instant;

use schemars::JsonSchema;
use sconce_core::{Context, Error, Input, Resources, Result, Stage, Threads, outputs};
use sconce_data::{Column, Features, Table};
use sconce_ops::rows::pca::Pca;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{choose, choose_to_fit, test, train, unsolved, yes};
use crate::Rows;
use crate::svm::{self, Stopping};

/// Tests `fit-svm` on fewer dimensions: the principal components of the training set.
///
/// The components come from the training rows alone; the last row of the table is without them.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PcaCurve {
    /// The features, with classes and splits.
    pub features: Input<Features>,
    /// Numbers of components to try; those that the features do not have are left out.
    #[serde(default = "components")]
    pub components: Vec<usize>,
    /// Weight of the errors against the penalty.
    #[serde(default = "one")]
    pub c: f64,
    /// Whether rows are divided by their Euclidean norm, before and after the projection.
    #[serde(default = "yes")]
    pub normalize: bool,
    /// The split to fit on.
    #[serde(default = "train")]
    pub split: String,
    /// The split to test on.
    #[serde(default = "test")]
    pub test_split: String,
}

fn components() -> Vec<usize> {
    vec![2, 4, 8, 16, 32, 64, 128, 256, 512]
}

const fn one() -> f64 {
    1.0
}

outputs! { PcaCurve:
    /// Test accuracy and explained variance for each number of components.
    CURVE: Table = "curve";
    /// Seconds to fit the machine and to predict the test rows.
    TIMINGS: Table = "timings", volatile;
}

impl Stage for PcaCurve {
    const KIND: &'static str = "pca";
    const VERSION: u32 = 3;

    fn resources(&self) -> Resources {
        Resources { threads: Threads::All, memory: 3 * Resources::GIB, ..Resources::default() }
    }

    fn check(&self) -> Result<()> {
        if self.components.is_empty() || self.components.contains(&0) {
            return Err(Error::parameter(
                "components",
                "expected at least one number, all positive",
            ));
        }
        if !(self.c.is_finite() && self.c > 0.0) {
            return Err(Error::parameter("c", "expected a positive number"));
        }
        Ok(())
    }

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        let features = ctx.input(&self.features)?;
        let d = features.dimension();
        let classes = features.examples().classes.len();
        let train = choose_to_fit(&features, &self.split, self.normalize)?;
        let test = choose(&features, &self.test_split, self.normalize)?;
        let train_rows = Rows::new(&train.values, d).map_err(Error::other)?;
        let test_rows = Rows::new(&test.values, d).map_err(Error::other)?;

        let most = d.min(train_rows.len().saturating_sub(1));
        let mut counts: Vec<usize> =
            self.components.iter().copied().filter(|k| *k <= most).collect();
        counts.sort_unstable();
        counts.dedup();
        let Some(&last) = counts.last() else {
            return Err(Error::parameter(
                "components",
                format!("expected at most {most} for these features"),
            ));
        };
        let started = Instant::now();
        let pca = Pca::fit(train_rows, last).map_err(Error::other)?;
        let pca_seconds = started.elapsed().as_secs_f64();

        let mut curve = Table::new(vec![
            Column::integer("components"),
            Column::boolean("projected"),
            Column::decimals("explained", 4),
            Column::decimals("accuracy", 4),
        ]);
        curve.caption = "Test accuracy against the number of principal components".to_owned();
        let mut timings = Table::new(vec![
            Column::integer("components"),
            Column::boolean("projected"),
            Column::decimals("pca_seconds", 3),
            Column::decimals("fit_seconds", 3),
            Column::decimals("predict_seconds", 3),
        ]);
        timings.caption = "Seconds against the number of principal components".to_owned();

        for (done, &count) in counts.iter().enumerate() {
            ctx.progress(done, counts.len() + 1, "dimensions")?;
            let mut values = pca.transform(train_rows, count).map_err(Error::other)?;
            let mut unseen = pca.transform(test_rows, count).map_err(Error::other)?;
            if self.normalize {
                crate::l2_normalise(&mut values, count);
                crate::l2_normalise(&mut unseen, count);
            }
            let rows = Rows::new(&values, count).map_err(Error::other)?;
            let unseen = Rows::new(&unseen, count).map_err(Error::other)?;
            let trial = self.trial(ctx, rows, &train.labels, unseen, &test.labels, classes)?;
            curve.push(vec![
                json!(count),
                json!(true),
                json!(pca.explained(count)),
                json!(trial.accuracy),
            ])?;
            timings.push(vec![
                json!(count),
                json!(true),
                json!(pca_seconds),
                json!(trial.fit_seconds),
                json!(trial.predict_seconds),
            ])?;
        }
        ctx.progress(counts.len(), counts.len() + 1, "dimensions")?;
        let trial = self.trial(ctx, train_rows, &train.labels, test_rows, &test.labels, classes)?;
        curve.push(vec![json!(d), json!(false), json!(1.0), json!(trial.accuracy)])?;
        timings.push(vec![
            json!(d),
            json!(false),
            json!(0.0),
            json!(trial.fit_seconds),
            json!(trial.predict_seconds),
        ])?;
        ctx.write(Self::CURVE, &curve)?;
        ctx.write(Self::TIMINGS, &timings)
    }
}

/// One machine, fitted and tested.
struct Trial {
    accuracy: f64,
    fit_seconds: f64,
    predict_seconds: f64,
}

impl PcaCurve {
    fn trial(
        &self,
        ctx: &Context<Self>,
        rows: Rows<'_>,
        labels: &[usize],
        unseen: Rows<'_>,
        truth: &[usize],
        classes: usize,
    ) -> Result<Trial> {
        let started = Instant::now();
        let stopping = Stopping::default();
        let fit = svm::fit(rows, labels, classes, self.c, stopping).map_err(Error::other)?;
        let (model, fit_seconds) = (fit.model, started.elapsed().as_secs_f64());
        if fit.violation > stopping.tolerance {
            let said = unsolved(fit.violation, stopping);
            ctx.note(format!("{} dimensions: {said}", rows.columns()));
        }
        let started = Instant::now();
        let predicted = model.predict(unseen).map_err(Error::other)?;
        let predict_seconds = started.elapsed().as_secs_f64();
        let right = predicted.iter().zip(truth).filter(|(a, b)| a == b).count();
        if truth.is_empty() {
            return Err(Error::message(format!("no example in the split `{}`", self.test_split)));
        }
        Ok(Trial { accuracy: right as f64 / truth.len() as f64, fit_seconds, predict_seconds })
    }
}
