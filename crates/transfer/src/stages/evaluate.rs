use schemars::JsonSchema;
use sconce_core::{Context, Input, Result, Stage, outputs};
use sconce_data::classes::Outputs;
use sconce_data::evaluation::{self, argmax};
use sconce_data::{Examples, Features, Metrics, SameClasses, Table};
use serde::{Deserialize, Serialize};

use super::{choose, test};
use crate::classifier::Classifier;

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
    /// Which of the classifier's classes a class of the features is, where no name tells: `{ cat = "tabby" }`.
    #[serde(default)]
    pub classes: SameClasses,
}

/// The examples with the classifier's classes, at least those at `places`.
fn in_classes_of(
    model: &Classifier,
    examples: &Examples,
    places: &[usize],
    said: &SameClasses,
) -> Result<Examples> {
    let outputs = Outputs { names: &model.classes, count: Some(model.classes.len()) };
    let chosen = examples.labels_of(places)?;
    let numbers = outputs.same_as(&examples.classes, &chosen, said)?;
    let mut labels = vec![0; examples.len()];
    for (&place, label) in places.iter().zip(chosen) {
        labels[place] = numbers.get(label as usize).copied().flatten().unwrap_or_default();
    }
    Ok(Examples { classes: model.classes.clone(), labels, ..examples.clone() })
}

outputs! { Evaluate:
    /// Accuracy, per class too, and the confusion matrix.
    METRICS: Metrics = "metrics" ["examples", "accuracy", "mean_class_accuracy"];
    /// One row an example: class, prediction, margin.
    PREDICTIONS: Table = "predictions";
}

impl Stage for Evaluate {
    const KIND: &'static str = "evaluate";
    const VERSION: u32 = 1;

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        let model = ctx.input(&self.model)?;
        let features = ctx.input(&self.features)?;
        let chosen = choose(&features, &self.split, false)?;
        let examples = in_classes_of(&model, features.examples(), &chosen.places, &self.classes)?;
        let labels = examples.labels_of(&chosen.places)?;
        let decision = model.decision(chosen.values, features.dimension())?;
        let predicted: Vec<usize> =
            decision.chunks_exact(model.classes.len()).map(argmax).collect();
        let metrics = evaluation::metrics(&model.classes, &labels, &predicted)?;
        ctx.metric("accuracy", metrics.get("accuracy")?);
        ctx.write(Self::METRICS, &metrics)?;
        let table = evaluation::predictions(&examples, &chosen.places, &model.classes, &decision)?;
        ctx.write(Self::PREDICTIONS, &table)
    }
}
