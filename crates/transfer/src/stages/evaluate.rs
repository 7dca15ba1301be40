use schemars::JsonSchema;
use sconce_core::{Context, Error, Input, Result, Stage, outputs};
use sconce_data::{Features, Metrics, Table};
use serde::{Deserialize, Serialize};

use super::{choose, test};
use crate::classifier::Classifier;
use crate::evaluation;
use crate::svm::argmax;

/// Tests a classifier on features that it has not seen.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Evaluate {
    /// The classifier.
    pub model: Input<Classifier>,
    /// The features, with classes, of the layer that the classifier was fitted on.
    pub features: Input<Features>,
    /// The split to test on; empty for all rows.
    #[serde(default = "test")]
    pub split: String,
}

outputs! { Evaluate:
    /// Accuracy, per class too, and the confusion matrix.
    METRICS: Metrics = "metrics";
    /// One row an example: class, prediction, margin.
    PREDICTIONS: Table = "predictions";
}

impl Stage for Evaluate {
    const KIND: &'static str = "evaluate";
    const VERSION: u32 = 1;

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        let model = ctx.input(&self.model)?;
        let features = ctx.input(&self.features)?;
        if features.examples().classes != model.classes {
            return Err(Error::Input {
                slot: "features".into(),
                message: format!(
                    "expected the model's classes ({}), found {}",
                    model.classes.join(", "),
                    features.examples().classes.join(", ")
                ),
            });
        }
        let chosen = choose(&features, &self.split, false)?;
        let labels = features.examples().labels_of(&chosen.places)?;
        let decision = model.decision(chosen.values, features.dimension())?;
        let predicted: Vec<usize> =
            decision.chunks_exact(model.classes.len()).map(argmax).collect();
        let metrics = evaluation::metrics(&model.classes, &labels, &predicted)?;
        ctx.metric("accuracy", metrics.get("accuracy")?);
        ctx.write(Self::METRICS, &metrics)?;
        let examples = features.examples();
        let table = evaluation::predictions(examples, &chosen.places, &model.classes, &decision)?;
        ctx.write(Self::PREDICTIONS, &table)
    }
}
