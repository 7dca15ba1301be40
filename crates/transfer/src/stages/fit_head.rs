use std::ops::ControlFlow;

use schemars::JsonSchema;
use sconce_core::{Context, Error, Input, Resources, Result, Stage, Threads, outputs};
use sconce_data::Features;
use serde::{Deserialize, Serialize};

use super::{choose_to_fit, train, yes};
use crate::Rows;
use crate::classifier::{Classifier, Method};
use crate::logistic::{self, Options};

/// Trains a logistic head on frozen features: scikit-learn's `LogisticRegression`.
///
/// Softmax over the classes, L2 penalty on the weights but not on the intercepts, L-BFGS over all samples.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FitHead {
    /// The features, with classes.
    pub features: Input<Features>,
    /// Weight of the errors against the penalty.
    #[serde(default = "one")]
    pub c: f64,
    /// Whether rows are divided by their Euclidean norm.
    #[serde(default = "yes")]
    pub normalize: bool,
    /// Whether each feature is brought to mean 0 and deviation 1 on the split, after `normalize`.
    #[serde(default)]
    pub standardize: bool,
    /// The split to fit on; empty for all rows.
    #[serde(default = "train")]
    pub split: String,
    /// Largest entry of the mean gradient at which the head counts as fitted.
    #[serde(default = "tolerance")]
    pub tolerance: f64,
    /// Most steps.
    #[serde(default = "steps")]
    pub max_steps: usize,
}

fn one() -> f64 {
    Options::default().c
}

fn tolerance() -> f64 {
    Options::default().tolerance
}

fn steps() -> usize {
    Options::default().max_steps
}

outputs! { FitHead:
    /// The classifier.
    MODEL: Classifier = "model";
}

impl Stage for FitHead {
    const KIND: &'static str = "fit-head";
    const VERSION: u32 = 2;

    fn resources(&self) -> Resources {
        Resources { threads: Threads::All, memory: 2 * Resources::GIB, ..Resources::default() }
    }

    fn check(&self) -> Result<()> {
        for (key, value) in [("c", self.c), ("tolerance", self.tolerance)] {
            if !(value.is_finite() && value > 0.0) {
                return Err(Error::parameter(key, "expected a positive number"));
            }
        }
        Ok(())
    }

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        let features = ctx.input(&self.features)?;
        let chosen = choose_to_fit(&features, &self.split, self.normalize)?;
        let rows = Rows::new(&chosen.values, features.dimension()).map_err(Error::other)?;
        let classes = features.examples().classes.clone();
        let (labels, count) = (&chosen.labels, classes.len());
        if let Some((_, name)) = classes.iter().enumerate().find(|(i, _)| !labels.contains(i)) {
            return Err(Error::Input {
                slot: "features".into(),
                message: format!("class `{name}` has no row to train on"),
            });
        }
        let options = Options {
            c: self.c,
            standardize: self.standardize,
            tolerance: self.tolerance,
            max_steps: self.max_steps,
        };
        let mut going_on = Ok(());
        let watch = |step, loss, gradient| {
            ctx.point(step, None, [("loss", loss), ("gradient", gradient)]);
            going_on = ctx.check_cancelled();
            if going_on.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        let fit = logistic::fit(rows, labels, count, options, watch).map_err(Error::other)?;
        going_on?;
        if fit.gradient > self.tolerance {
            ctx.note(format!(
                "stopped after {} steps with a gradient of {:.1e}, above the tolerance {:.1e}",
                fit.steps, fit.gradient, self.tolerance
            ));
        }
        ctx.metric("loss", fit.loss);
        let method = Method::Logistic { c: self.c };
        ctx.write(
            Self::MODEL,
            &Classifier { model: fit.model, classes, normalize: self.normalize, method },
        )
    }
}
