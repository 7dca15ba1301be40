use schemars::JsonSchema;
use sconce_core::{Context, Error, Gathered, Input, Inputs, Resources, Result, Stage, outputs};
use sconce_data::evaluation;
use sconce_data::resize::Fit;
use sconce_data::{ImageSet, Metrics, Preprocessing, Table, Weights};
use sconce_models::optim::{Method, Sgd};
use sconce_models::train::{
    Augmentation, CHECKPOINT_SECONDS, Checkpoints, Defaults, TrainingParameters, checkpoint_time,
};
use serde::{Deserialize, Serialize};

use super::{test, train};
use crate::fine_tune::{FineTuning, Part, fine_tune};

/// Trains a network that knows other classes on these: its last layer is replaced, and trained alone or with the rest.
///
/// To choose numbers, make them axes of a stage with `training.validation` and an empty `test_split`, such as
/// `matrix."training.learning_rate" = [1e-3, 3e-3]`; a second stage trains once with the best of them, by `numbers_from`.
/// An interrupted training goes on where it was, with the same result.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FineTune {
    /// The images, with classes.
    pub images: Input<ImageSet>,
    /// The network's weights, which also say how images have to be prepared.
    pub weights: Input<Weights>,
    /// Fine-tunings with `training.validation` to choose from, such as `"tuning[*]"`. The axes of the one with the highest
    /// validation accuracy take the place of what is written here, and its best epoch that of `training.epochs`.
    #[serde(default)]
    pub numbers_from: Inputs<Metrics>,
    /// What is trained: `head` (the new last layer) or `all`.
    #[serde(default)]
    pub train: Part,
    /// The split to train on; empty for all images.
    #[serde(default = "train")]
    pub split: String,
    /// The split to test on, once, at the end; empty for none.
    #[serde(default = "test")]
    pub test_split: String,
    /// How it is trained: epochs, batch, optimiser, learning rate, schedule, held-out images.
    #[serde(default)]
    pub training: TrainingParameters<FineTune>,
    /// What the learning rate is multiplied by for all layers but the new last one.
    #[serde(default = "one")]
    pub backbone_rate: f64,
    /// The part of each label that is spread evenly over all classes while training.
    #[serde(default)]
    pub label_smoothing: f64,
    /// Whether images are mirrored left to right in half of their updates. Not for digits.
    #[serde(default)]
    pub flip: bool,
    /// The smallest part of an image's area that an update sees, drawn anew each time as torchvision's
    /// `RandomResizedCrop` does (sides of 3:4 to 4:3); 1 for whole images.
    #[serde(default = "one")]
    pub crop: f64,
    /// Whether validation and test average the logits of each image and its mirror image. Not for digits.
    #[serde(default)]
    pub mirror: bool,
    /// The side of the network's square input in pixels; by default the one that the weights come with.
    #[serde(default)]
    pub size: Option<usize>,
    /// How an image is brought to that size: `stretch` or `crop`; by default as the weights say.
    #[serde(default)]
    pub fit: Option<Fit>,
    /// Seconds between checkpoints. It changes no result.
    #[serde(default = "checkpoint_seconds")]
    #[schemars(extend("x-sconce-cosmetic" = true))]
    pub checkpoint_seconds: f64,
}

fn checkpoint_seconds() -> f64 {
    CHECKPOINT_SECONDS
}

const fn one() -> f64 {
    1.0
}

impl Defaults for FineTune {
    fn epochs() -> usize {
        15
    }

    fn batch() -> usize {
        32
    }

    fn optimiser() -> Method {
        Method::Sgd(Sgd { weight_decay: 1e-4, ..Sgd::default() })
    }

    fn learning_rate() -> f64 {
        1e-3
    }
}

outputs! { FineTune:
    /// Accuracy, per class too, and the confusion matrix.
    METRICS: Metrics = "metrics" ["examples", "accuracy", "mean_class_accuracy", "validation_*", "best_epoch", "learning_rate", "epochs"];
    /// The network.
    WEIGHTS: Weights = "weights";
    /// Loss and accuracy of each epoch.
    HISTORY: Table = "history";
}

impl Stage for FineTune {
    const KIND: &'static str = "fine-tune";
    const VERSION: u32 = 4;
    const SEEDED: bool = true;

    fn resources(&self) -> Resources {
        Resources::heavy(4 * Resources::GIB)
    }

    fn check(&self) -> Result<()> {
        self.training.check()?;
        if self.size == Some(0) {
            return Err(Error::parameter("size", "expected at least 1 pixel"));
        }
        if !(self.backbone_rate.is_finite() && self.backbone_rate > 0.0) {
            let found = format!("expected a positive number, got {}", self.backbone_rate);
            return Err(Error::parameter("backbone_rate", found));
        }
        if !(0.0..1.0).contains(&self.label_smoothing) {
            let found = format!("expected at least 0 and below 1, got {}", self.label_smoothing);
            return Err(Error::parameter("label_smoothing", found));
        }
        self.augmentation().check()?;
        checkpoint_time(self.checkpoint_seconds).map(drop)
    }

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        match chosen(self, &ctx.inputs(&self.numbers_from)?)? {
            Some(chosen) => chosen.train(ctx),
            None => self.train(ctx),
        }
    }
}

/// The stage with the numbers of the fine-tuning that did best on its validation images; the first of equals.
fn chosen(stage: &FineTune, tried: &[Gathered<Metrics>]) -> Result<Option<FineTune>> {
    let mut best: Option<(f64, &Gathered<Metrics>)> = None;
    for one in tried {
        let accuracy = one.artifact.get("validation_accuracy").map_err(|error| Error::Input {
            slot: "numbers_from".into(),
            message: format!("expected fine-tunings with `training.validation`: {error}"),
        })?;
        if best.is_none_or(|(highest, _)| accuracy > highest) {
            best = Some((accuracy, one));
        }
    }
    let Some((_, best)) = best else { return Ok(None) };
    let mut numbers = serde_json::to_value(stage)?;
    for (axis, value) in best.coordinates.iter() {
        let place = numbers.pointer_mut(&format!("/{}", axis.replace('.', "/")));
        *place.ok_or_else(|| Error::Input {
            slot: "numbers_from".into(),
            message: format!("axis `{axis}` is no parameter of kind fine-tune"),
        })? = value.clone();
    }
    // Whole by construction; counted from 1.
    numbers["training"]["epochs"] = (best.artifact.get("best_epoch")? as usize).into();
    let chosen: FineTune = serde_json::from_value(numbers)?;
    chosen.check()?;
    Ok(Some(chosen))
}

impl FineTune {
    fn augmentation(&self) -> Augmentation {
        Augmentation { flip: self.flip, crop: self.crop }
    }

    fn train(&self, ctx: &Context<Self>) -> Result<()> {
        let images = ctx.input(&self.images)?;
        let weights = ctx.input(&self.weights)?;
        let examples = images.examples();
        let said = &weights.info.preprocessing;
        let preprocessing = Preprocessing {
            instance: false,
            size: self.size.or(said.size),
            fit: self.fit.unwrap_or(said.fit),
            ..said.clone()
        };
        let chosen = match self.split.as_str() {
            "" => (0..images.len()).collect(),
            split => examples.in_split(split)?,
        };
        examples
            .check_told_apart(&chosen)
            .map_err(|error| Error::Input { slot: "images".into(), message: error.to_string() })?;
        let (train, held_out) = self.training.hold_out(chosen, ctx.seed());
        let test = match self.test_split.as_str() {
            "" => Vec::new(),
            split => examples.in_split(split)?,
        };
        let tuned = fine_tune(
            ctx,
            &images,
            &weights,
            &FineTuning {
                part: self.train,
                train: &train,
                held_out: &held_out,
                test: &test,
                preprocessing: &preprocessing,
                training: &self.training,
                backbone_rate: self.backbone_rate,
                label_smoothing: self.label_smoothing,
                augmentation: self.augmentation(),
                mirror: self.mirror,
                checkpoints: Checkpoints {
                    every: checkpoint_time(self.checkpoint_seconds)?,
                    shared: Some(ctx.shared_checkpoint(self, &["training.epochs"])?),
                },
            },
        )?;
        let mut metrics = match test.is_empty() {
            true => Metrics { classes: examples.classes.clone(), ..Metrics::default() },
            false => {
                let labels = examples.labels_of(&test)?;
                evaluation::metrics(&examples.classes, &labels, &tuned.predicted)?
            }
        };
        if let (Some(best), false) = (tuned.history.best, held_out.is_empty()) {
            let row = tuned.history.rows.get(best).into_iter().flatten();
            for (name, value) in row.filter(|(name, _)| name.starts_with("validation")) {
                metrics.set(name.as_str(), *value);
            }
            metrics.set("best_epoch", (best + 1) as f64);
        }
        metrics.set("learning_rate", self.training.learning_rate);
        metrics.set("epochs", self.training.epochs as f64);
        for (name, value) in &metrics.values {
            ctx.metric(name, *value);
        }
        ctx.write(Self::METRICS, &metrics)?;
        ctx.write(Self::HISTORY, &tuned.history.table()?)?;
        ctx.write(Self::WEIGHTS, &tuned.weights)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sconce_core::{Artifact, Files, Yields};
    use sconce_data::{Channels, Color, Examples};
    use sconce_models::variables::{Variables, write_weights};
    use serde_json::json;
    use std::path::Path;

    /// Two classes of texture: stripes that lie and stripes that stand.
    fn stripes(count: usize) -> ImageSet {
        let mut samples = vec![];
        for i in 0..count {
            for pixel in 0..32 * 32 {
                let along = if i % 2 == 0 { pixel / 32 } else { pixel % 32 };
                let ink = if (along + i / 2) % 4 < 2 { 220 } else { 30 };
                samples.extend([ink, ink, ink]);
            }
        }
        let examples = Examples {
            ids: (0..count).map(|i| i.to_string()).collect(),
            classes: vec!["lying".into(), "standing".into()],
            labels: (0..count as u32).map(|i| i % 2).collect(),
            splits: vec!["train".into(), "test".into()],
            split: (0..count).map(|i| u32::from(i >= count * 2 / 3)).collect(),
        };
        ImageSet::packed(examples, Color::Rgb, 32, 32, samples).unwrap()
    }

    fn saved<A: Artifact>(artifact: &A, folder: &Path, name: &str) -> Files {
        let folder = folder.join(name);
        std::fs::create_dir_all(&folder).unwrap();
        artifact.save(&folder).unwrap();
        Files::from_folder(&folder).unwrap()
    }

    #[test]
    fn the_best_on_validation_images_decides() {
        let stage: FineTune = serde_json::from_value(json!({
            "images": "images", "weights": "weights", "numbers_from": "numbers_from",
            "training": { "batch": 8 },
        }))
        .unwrap();
        let tried = |axis: &str, numbers: &[(f64, f64, f64)]| -> Vec<Gathered<Metrics>> {
            let one = |&(rate, accuracy, epoch): &(f64, f64, f64)| {
                let mut coordinates = sconce_core::Coordinates::none();
                coordinates.set(axis, json!(rate));
                let mut artifact = Metrics::default();
                artifact.set("validation_accuracy", accuracy);
                artifact.set("best_epoch", epoch);
                Gathered { stage: "tuning".into(), coordinates, artifact }
            };
            numbers.iter().map(one).collect()
        };
        assert!(chosen(&stage, &[]).unwrap().is_none());
        let numbers = [(0.1, 0.5, 3.0), (0.01, 0.8, 4.0), (0.001, 0.8, 9.0)];
        let best = chosen(&stage, &tried("training.learning_rate", &numbers)).unwrap().unwrap();
        let TrainingParameters { learning_rate, epochs, batch, .. } = best.training;
        assert_eq!((learning_rate, epochs, batch), (0.01, 4, 8));
        let error = chosen(&stage, &tried("rate", &numbers)).err().unwrap().to_string();
        assert!(error.contains("axis `rate` is no parameter of kind fine-tune"), "{error}");
        let error =
            chosen(&stage, &tried("training.learning_rate", &[(-1.0, 0.5, 3.0)])).err().unwrap();
        assert!(error.to_string().contains("learning_rate"), "{error}");
        let mut untested = tried("training.batch", &[(4.0, 0.5, 3.0)]);
        untested[0].artifact = Metrics::default();
        let error = chosen(&stage, &untested).err().unwrap().to_string();
        assert!(error.contains("expected fine-tunings with `training.validation`"), "{error}");
    }

    #[test]
    fn numbers_that_cannot_be_used_are_refused() {
        for (name, value) in [("backbone_rate", 0.0), ("label_smoothing", 1.0), ("crop", 1.5)] {
            let mut parameters = json!({ "images": "images", "weights": "weights" });
            parameters[name] = value.into();
            let stage: FineTune = serde_json::from_value(parameters).unwrap();
            let error = stage.check().unwrap_err().to_string();
            assert!(error.starts_with(&format!("parameter `{name}`: expected")), "{error}");
        }
    }

    #[test]
    fn the_head_and_the_whole_network_learn() {
        let folder = tempfile::tempdir().unwrap();
        let architecture = sconce_models::architecture("squeezenet1_1").unwrap();
        let device = candle_core::Device::Cpu;
        let variables = Variables::drawn(&architecture.parameters(), 1, &device).unwrap();
        let preprocessing = Preprocessing {
            channels: Channels::Rgb,
            scale: 1.0,
            mean: vec![0.5; 3],
            std: vec![0.25; 3],
            instance: false,
            size: Some(32),
            fit: Fit::Stretch,
            filter: Default::default(),
        };
        let weights =
            write_weights(&variables, folder.path(), architecture.name(), &preprocessing, &[])
                .unwrap();
        let images = saved(&stripes(36), folder.path(), "images");
        let weights = saved(&weights, folder.path(), "weights");
        for (part, how) in [
            ("head", json!({})),
            (
                "all",
                json!({
                    "backbone_rate": 0.5, "label_smoothing": 0.1, "flip": true, "crop": 0.6, "mirror": true,
                }),
            ),
        ] {
            let mut parameters = json!({
                "images": "images", "weights": "weights", "train": part,
                "training": { "epochs": 3, "batch": 8, "validation": 0.25, "optimiser": { "adam": {} } },
            });
            parameters.as_object_mut().unwrap().extend(how.as_object().unwrap().clone());
            let stage: FineTune = serde_json::from_value(parameters).unwrap();
            stage.check().unwrap();
            let place = folder.path().join(part);
            let ctx = Context::in_folder(&place, FineTune::OUTPUTS)
                .unwrap()
                .with_input("images", images.clone())
                .with_input("weights", weights.clone());
            stage.run(&ctx).unwrap();
            let files = |name: &str| Files::from_folder(&place.join("out").join(name)).unwrap();
            let metrics = Metrics::load(&files("metrics")).unwrap();
            assert_eq!(metrics.get("examples").unwrap(), 12.0);
            assert!(metrics.get("validation_accuracy").is_ok() && metrics.get("accuracy").is_ok());
            let tuned = Weights::load(&files("weights")).unwrap();
            assert_eq!(tuned.info.classes, ["lying", "standing"]);
            sconce_models::load(&tuned, &device).unwrap();
            // what is not trained stays as it was, bit for bit
            let (old, new) = (Weights::load(&weights).unwrap(), tuned.tensors().unwrap());
            let same = |name: &str| {
                old.tensors().unwrap().tensor(name).unwrap().data()
                    == new.tensor(name).unwrap().data()
            };
            assert_eq!(same("features.3.squeeze.weight"), part == "head");
            assert_eq!(Table::load(&files("history")).unwrap().rows.len(), 3);
        }
    }
}
