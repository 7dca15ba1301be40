use std::collections::BTreeMap;

use schemars::JsonSchema;
use sconce_core::{Context, Error, Input, Result, Stage, outputs};
use sconce_data::classes::Outputs;
use sconce_data::evaluation::{self, argmax};
use sconce_data::{Column, Examples, Features, ImageSet, Metrics, SameClasses, Table};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{moments, test};
use crate::logits::{Logits, cross_entropy, log_softmax};

/// Tests what a network said of images, at each checkpoint of its training, against their labels.
///
/// Logits of a target domain come without labels: here they meet, by the images' names, and nowhere else.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EvaluateLogits {
    /// Logits of images, with the network's classes: rows of checkpoints × classes, or of classes.
    pub logits: Input<Features>,
    /// The images, with classes; they are found by name.
    pub images: Input<ImageSet>,
    /// The epoch and the step of each checkpoint: columns `checkpoint` (from 0), `epoch`, `step`.
    #[serde(default)]
    pub checkpoints: Option<Input<Table>>,
    /// The split of the logits to test on; empty for all.
    #[serde(default = "test")]
    pub split: String,
    /// Which of the network's classes a class of the images is, where no name tells: `{ three = "3" }`.
    #[serde(default)]
    pub classes: SameClasses,
    /// Images at most among `mistakes`.
    #[serde(default = "twenty_four")]
    pub max_mistakes: usize,
    /// The probability from which on a prediction counts as confident, 0 to 1.
    #[serde(default = "nine_tenths")]
    pub confidence: f64,
}

const fn nine_tenths() -> f64 {
    0.9
}

const fn twenty_four() -> usize {
    24
}

outputs! { EvaluateLogits:
    /// Accuracy, per class too, confusion matrix and loss at the last checkpoint; `confident`, the share of the images whose
    /// prediction has a probability of `confidence` or more, and the accuracy among them (absent where there are none).
    METRICS: Metrics = "metrics" ["examples", "accuracy", "mean_class_accuracy", "loss", "confident", "confident_accuracy"];
    /// Accuracy, loss (mean cross-entropy) and share of confident predictions at each checkpoint.
    CURVE: Table = "curve";
    /// One row an image: class, prediction at the last checkpoint, margin.
    PREDICTIONS: Table = "predictions";
    /// Images that the last checkpoint takes for another class, the surest first.
    MISTAKES: ImageSet = "mistakes";
}

impl Stage for EvaluateLogits {
    const KIND: &'static str = "evaluate-logits";
    const VERSION: u32 = 2;

    fn check(&self) -> Result<()> {
        match (0.0..=1.0).contains(&self.confidence) {
            true => Ok(()),
            false => {
                let message = format!("expected 0 to 1, got {}", self.confidence);
                Err(Error::parameter("confidence", message))
            }
        }
    }

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        let logits = Logits::of("logits", ctx.input(&self.logits)?)?;
        let images = ctx.input(&self.images)?;
        let moments = moments(ctx, self.checkpoints.as_ref(), logits.checkpoints())?;
        let places = logits.places("split", &self.split)?;
        let found = found(&images, logits.examples(), &places)?;
        let labels = labels(&images, &found, logits.examples(), &self.classes)?;
        let (names, classes) = (&logits.examples().classes, logits.classes());

        let mut curve = Table::new(vec![
            Column::integer("checkpoint"),
            Column::decimals("epoch", 2),
            Column::integer("step"),
            Column::decimals("accuracy", 4),
            Column::decimals("loss", 4),
            Column::decimals("confident", 4),
        ]);
        curve.caption = "Accuracy and loss at each checkpoint".to_owned();
        for (checkpoint, moment) in moments.into_iter().enumerate() {
            let logits = logits.at(checkpoint, &places);
            let right = logits.chunks_exact(classes).map(argmax).zip(&labels);
            let right = right.filter(|&(predicted, &label)| predicted == label as usize).count();
            curve.push(vec![
                json!(checkpoint),
                moment.epoch,
                moment.step,
                json!(right as f64 / labels.len() as f64),
                json!(cross_entropy(&logits, classes, &labels)),
                json!(confident(&logits, classes, &labels, self.confidence).0),
            ])?;
        }

        let last = logits.at(logits.checkpoints() - 1, &places);
        let predicted: Vec<usize> = last.chunks_exact(classes).map(argmax).collect();
        let mut metrics = evaluation::metrics(names, &labels, &predicted)?;
        metrics.set("loss", cross_entropy(&last, classes, &labels));
        let (share, accuracy) = confident(&last, classes, &labels, self.confidence);
        metrics.set("confident", share);
        if let Some(accuracy) = accuracy {
            metrics.set("confident_accuracy", accuracy);
        }
        ctx.metric("accuracy", metrics.get("accuracy")?);
        let examples = Examples { labels: labels.clone(), ..logits.examples().select(&places) };
        let all: Vec<usize> = (0..examples.len()).collect();
        let predictions = evaluation::predictions(&examples, &all, names, &last)?;
        let mistakes = surest_mistakes(&last, classes, &labels, self.max_mistakes);
        let mistakes: Vec<usize> = mistakes.into_iter().map(|row| found[row]).collect();
        ctx.write(Self::METRICS, &metrics)?;
        ctx.write(Self::CURVE, &curve)?;
        ctx.write(Self::PREDICTIONS, &predictions)?;
        ctx.write(Self::MISTAKES, &images.select(&mistakes)?)
    }
}

/// Where the images of the rows `places` are among `images`, by name.
fn found(images: &ImageSet, examples: &Examples, places: &[usize]) -> Result<Vec<usize>> {
    let wrong = |message: String| Error::Input { slot: "images".to_owned(), message };
    let mut by_name = BTreeMap::new();
    for (place, id) in images.examples().ids.iter().enumerate() {
        if by_name.insert(id.as_str(), place).is_some() {
            return Err(wrong(format!("two images are called `{id}`: expected names that differ")));
        }
    }
    let places = places.iter().map(|&place| {
        let id = examples.ids[place].as_str();
        by_name.get(id).copied().ok_or_else(|| {
            wrong(format!("no image `{id}`, of which there are logits: expected the same images"))
        })
    });
    places.collect()
}

/// The network's class of each of the images `found`.
fn labels(
    images: &ImageSet,
    found: &[usize],
    examples: &Examples,
    said: &SameClasses,
) -> Result<Vec<u32>> {
    let own = images
        .examples()
        .labels_of(found)
        .map_err(|error| Error::Input { slot: "images".to_owned(), message: error.to_string() })?;
    let outputs = Outputs { names: &examples.classes, count: Some(examples.classes.len()) };
    let numbers = outputs.same_as(&images.examples().classes, &own, said)?;
    // `same_as` has a number for each class that occurs.
    Ok(own.iter().filter_map(|&label| *numbers.get(label as usize)?).collect())
}

/// The share of rows whose largest probability is `threshold` or more, and how many of those are right.
fn confident(logits: &[f64], classes: usize, labels: &[u32], threshold: f64) -> (f64, Option<f64>) {
    let log = log_softmax(logits, classes);
    let rows = log.chunks_exact(classes).zip(labels);
    let sure = rows.map(|(log, &label)| (argmax(log), log, label));
    let sure = sure.filter(|(class, log, _)| log[*class].exp() >= threshold);
    let right: Vec<bool> = sure.map(|(class, _, label)| class == label as usize).collect();
    let hits = right.iter().filter(|&&hit| hit).count() as f64;
    let accuracy = (!right.is_empty()).then(|| hits / right.len() as f64);
    (right.len() as f64 / labels.len().max(1) as f64, accuracy)
}

/// Rows whose largest logit is not their label's, by the probability of the class that they are taken for.
fn surest_mistakes(logits: &[f64], classes: usize, labels: &[u32], most: usize) -> Vec<usize> {
    let log = log_softmax(logits, classes);
    let mut wrong: Vec<(usize, f64)> = Vec::new();
    for (row, (log, &label)) in log.chunks_exact(classes).zip(labels).enumerate() {
        let predicted = argmax(log);
        if predicted != label as usize {
            wrong.push((row, log[predicted]));
        }
    }
    wrong.sort_by(|a, b| b.1.total_cmp(&a.1));
    wrong.into_iter().take(most).map(|(row, _)| row).collect()
}
