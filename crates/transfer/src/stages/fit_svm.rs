use schemars::JsonSchema;
use sconce_core::{Context, Error, Input, Resources, Result, Stage, Threads, outputs};
use sconce_data::{Features, Metrics};
use serde::{Deserialize, Serialize};

use super::{choose_to_fit, train, unsolved, yes};
use crate::Rows;
use crate::classifier::{Classifier, Method};
use crate::svm::{self, Stopping};

/// Fits linear support vector machines, one class against the rest: scikit-learn's `LinearSVC`.
///
/// Squared hinge, L2 penalty, the intercept penalised as the weight of a feature that is always 1. Solved by Newton's method for
/// up to 512 features (1024 where C and the features are large) and for more than 20,000 rows of fewer than a quarter as many
/// features, else by coordinate descent on the dual.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FitSvm {
    /// The features, with classes.
    pub features: Input<Features>,
    /// Weight of the errors against the penalty. 1 by default, or what `c_from` chose.
    #[serde(default)]
    pub c: Option<f64>,
    /// A choice of C by cross-validation, in the place of `c`: output `best` of kind `cross-validate`.
    #[serde(default)]
    pub c_from: Option<Input<Metrics>>,
    /// Whether rows are divided by their Euclidean norm.
    #[serde(default = "yes")]
    pub normalize: bool,
    /// The split to fit on; empty for all rows.
    #[serde(default = "train")]
    pub split: String,
    /// Largest projected gradient of the dual at which a machine counts as fitted.
    #[serde(default = "tolerance")]
    pub tolerance: f64,
    /// Passes over the rows (or steps of Newton's method) at most, as scikit-learn's `max_iter`; a note says when they did not
    /// suffice.
    #[serde(default = "max_passes")]
    pub max_passes: usize,
}

fn tolerance() -> f64 {
    Stopping::default().tolerance
}

fn max_passes() -> usize {
    Stopping::default().max_sweeps
}

outputs! { FitSvm:
    /// The classifier.
    MODEL: Classifier = "model";
}

impl Stage for FitSvm {
    const KIND: &'static str = "fit-svm";
    const VERSION: u32 = 3;

    fn resources(&self) -> Resources {
        Resources { threads: Threads::All, memory: 2 * Resources::GIB, ..Resources::default() }
    }

    fn check(&self) -> Result<()> {
        if self.c.is_some() && self.c_from.is_some() {
            return Err(Error::parameter("c", "expected either `c` or `c_from`, not both"));
        }
        if self.c.is_some_and(|c| !(c.is_finite() && c > 0.0)) {
            return Err(Error::parameter("c", "expected a positive number"));
        }
        if !(self.tolerance.is_finite() && self.tolerance > 0.0) {
            return Err(Error::parameter("tolerance", "expected a positive number"));
        }
        if self.max_passes == 0 {
            return Err(Error::parameter("max_passes", "expected at least 1"));
        }
        Ok(())
    }

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        let features = ctx.input(&self.features)?;
        let c = match ctx.optional(&self.c_from)? {
            Some(chosen) => chosen.get("c")?,
            None => self.c.unwrap_or(1.0),
        };
        let chosen = choose_to_fit(&features, &self.split, self.normalize)?;
        let rows = Rows::new(&chosen.values, features.dimension()).map_err(Error::other)?;
        let classes = features.examples().classes.clone();
        let stopping = Stopping { tolerance: self.tolerance, max_sweeps: self.max_passes };
        let fit =
            svm::fit(rows, &chosen.labels, classes.len(), c, stopping).map_err(Error::other)?;
        if fit.violation > self.tolerance {
            ctx.note(unsolved(fit.violation, stopping));
        }
        ctx.metric("c", c);
        let method = Method::LinearSvm { c };
        ctx.write(
            Self::MODEL,
            &Classifier { model: fit.model, classes, normalize: self.normalize, method },
        )
    }
}
