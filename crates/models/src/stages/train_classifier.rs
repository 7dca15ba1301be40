use schemars::JsonSchema;
use sconce_core::{Context, Error, Input, Resources, Result, Stage, outputs};
use sconce_data::resize::{Filter, Fit};
use sconce_data::{Channels, ImageSet, Metrics, Preprocessing, Table, Weights};
use serde::{Deserialize, Serialize};

use crate::images::Images;
use crate::optim::{Method, Sgd};
use crate::train::{
    CHECKPOINT_SECONDS, Checkpoints, Defaults, TrainingParameters, checkpoint_time,
};
use crate::variables::{Variables, write_weights};
use crate::{NETWORKS, Trainable, architecture, check_size, from_tensors};

/// Trains a network from nothing to tell the classes of images apart, by cross-entropy.
///
/// An interrupted training goes on where it was, with the same result. Where the schedule does not depend on the number
/// of epochs, a longer training begins with the end of a shorter one.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrainClassifier {
    /// The images, with classes.
    pub images: Input<ImageSet>,
    /// The network: `lenet5`, `dann`, `squeezenet1_1`, … Its last layer gets as many outputs as the images have classes.
    #[serde(default = "lenet5")]
    pub architecture: String,
    /// The split to train on; empty for all images.
    #[serde(default = "train")]
    pub split: String,
    /// The split whose accuracy is measured once, at the end; empty for none.
    #[serde(default = "test")]
    pub test_split: String,
    /// How it is trained: epochs, batch, optimiser, learning rate, schedule, held-out images.
    #[serde(default)]
    pub training: TrainingParameters<TrainClassifier>,
    /// How an image becomes the network's input; MNIST's mean and deviation, 28 pixels by default.
    #[serde(default = "mnist")]
    pub preprocessing: Preprocessing,
    /// Seconds between checkpoints. It changes no result.
    #[serde(default = "checkpoint_seconds")]
    #[schemars(extend("x-sconce-cosmetic" = true))]
    pub checkpoint_seconds: f64,
}

fn checkpoint_seconds() -> f64 {
    CHECKPOINT_SECONDS
}

fn lenet5() -> String {
    "lenet5".to_owned()
}

fn train() -> String {
    "train".to_owned()
}

fn test() -> String {
    "test".to_owned()
}

impl Defaults for TrainClassifier {
    fn epochs() -> usize {
        10
    }

    fn batch() -> usize {
        64
    }

    fn optimiser() -> Method {
        Method::Sgd(Sgd::default())
    }

    fn learning_rate() -> f64 {
        0.01
    }
}

fn mnist() -> Preprocessing {
    Preprocessing {
        channels: Channels::Grey,
        scale: 1.0,
        mean: vec![0.1307],
        std: vec![0.3081],
        instance: false,
        size: Some(28),
        fit: Fit::Stretch,
        filter: Filter::default(),
    }
}

outputs! { TrainClassifier:
    /// The trained network.
    WEIGHTS: Weights = "weights";
    /// Loss and accuracy of each epoch.
    HISTORY: Table = "history";
    /// Accuracy and loss on the test split.
    METRICS: Metrics = "metrics" ["test_loss", "test_accuracy"];
}

impl Stage for TrainClassifier {
    const KIND: &'static str = "train-classifier";
    const VERSION: u32 = 4;
    const SEEDED: bool = true;

    fn resources(&self) -> Resources {
        Resources::heavy(2 * Resources::GIB)
    }

    fn check(&self) -> Result<()> {
        self.check_architecture()
            .map_err(|error| Error::parameter("architecture", error.to_string()))?;
        self.training.check()?;
        checkpoint_time(self.checkpoint_seconds)?;
        self.preprocessing.check()
    }

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        let images = ctx.input(&self.images)?;
        let examples = images.examples();
        let architecture = architecture(&self.architecture)?;
        let classes = examples.classes.len();
        let chosen = match self.split.as_str() {
            "" => (0..images.len()).collect(),
            split => examples.in_split(split)?,
        };
        examples
            .check_told_apart(&chosen)
            .map_err(|error| Error::Input { slot: "images".into(), message: error.to_string() })?;
        let (train, held_out) = self.training.hold_out(chosen, ctx.seed());
        let load = |chosen: &[usize]| Images::load(&images, chosen, &self.preprocessing);
        let (train, held_out) = (load(&train)?, load(&held_out)?);
        let test = match self.test_split.as_str() {
            "" => None,
            split => Some(load(&examples.in_split(split)?)?),
        };

        let device = crate::device(ctx.device())?;
        let parameters = architecture.parameters_for(classes);
        let variables = Variables::drawn(&parameters, ctx.seed(), &device)?;
        let network = from_tensors(architecture.name(), &variables.live())?;
        if let Some(size) = self.preprocessing.size {
            let channels = self.preprocessing.channels.count();
            check_size(&*network, ("preprocessing.size", size), channels, "logits", &device)?;
        }
        let mut task = self.training.classifier(
            |x: &candle_core::Tensor| network.forward_to(x, "logits"),
            &variables,
            &train,
            &held_out,
        )?;
        let checkpoints = Checkpoints {
            every: checkpoint_time(self.checkpoint_seconds)?,
            shared: Some(ctx.shared_checkpoint(self, &["training.epochs"])?),
        };
        let history = self.training.run(ctx, &mut task, (&train, &held_out), checkpoints)?;

        let mut metrics = Metrics::default();
        if let Some(test) = &test {
            let (loss, accuracy) = task.evaluate(test)?;
            for (name, value) in [("test_loss", loss), ("test_accuracy", accuracy)] {
                metrics.set(name, value);
                ctx.metric(name, value);
            }
        }
        ctx.write(Self::METRICS, &metrics)?;
        ctx.write(Self::HISTORY, &history.table()?)?;
        let weights = write_weights(
            &variables,
            ctx.scratch(),
            architecture.name(),
            &self.preprocessing,
            &examples.classes,
        )?;
        ctx.write(Self::WEIGHTS, &weights)
    }
}

impl TrainClassifier {
    /// Refuses a network that cannot be trained from nothing, or takes other channels.
    fn check_architecture(&self) -> Result<()> {
        let architecture = architecture(&self.architecture)?;
        let name = architecture.name();
        if architecture.trainable() != Trainable::FromNothing {
            let can = NETWORKS.iter().filter(|n| n.trainable() == Trainable::FromNothing);
            let can: Vec<_> = can.map(|n| n.name()).collect();
            return Err(Error::message(format!(
                "{name} cannot be trained from nothing; these can: {}",
                can.join(", ")
            )));
        }
        let ([expected, ..], given) = (architecture.input(), self.preprocessing.channels.count());
        if expected != given {
            return Err(Error::message(format!(
                "{name} takes images of {expected} channel(s), `preprocessing` makes {given}"
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use sconce_core::{Artifact, Files, Yields};
    use sconce_data::{Color, Examples};
    use serde_json::json;

    use super::*;

    /// Bars of ten directions with noise.
    fn bars(count: usize) -> ImageSet {
        use rand::RngExt;
        let mut rng = sconce_core::random::generator(3, "bars");
        let mut samples = vec![];
        let labels: Vec<u32> = (0..count as u32).map(|i| i % 10).collect();
        for &label in &labels {
            let (sin, cos) = (f64::from(label) * 0.314).sin_cos();
            let shift = rng.random::<f64>() * 4.0 - 2.0;
            for pixel in 0..784 {
                let (y, x) = (f64::from(pixel / 28) - 13.5, f64::from(pixel % 28) - 13.5);
                let ink = if (x * sin - y * cos + shift).abs() < 2.0 { 200 } else { 0 };
                samples.push(ink + rng.random_range(0..40u8));
            }
        }
        let examples = Examples {
            ids: (0..count).map(|i| i.to_string()).collect(),
            classes: (0..10).map(|i| i.to_string()).collect(),
            labels,
            splits: vec!["train".into(), "test".into()],
            split: (0..count).map(|i| u32::from(i >= count * 4 / 5)).collect(),
        };
        ImageSet::packed(examples, Color::Grey, 28, 28, samples).unwrap()
    }

    #[test]
    fn a_network_learns_and_its_weights_can_be_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let input = folder.path().join("input");
        std::fs::create_dir_all(&input).unwrap();
        bars(600).save(&input).unwrap();
        let stage: TrainClassifier = serde_json::from_value(json!({
            "images": "images", "training": {
                "epochs": 4, "batch": 20, "validation": 0.1, "optimiser": { "adam": {} }, "learning_rate": 0.002,
            },
        }))
        .unwrap();
        stage.check().unwrap();
        let ctx = Context::in_folder(folder.path(), TrainClassifier::OUTPUTS)
            .unwrap()
            .with_input("images", Files::from_folder(&input).unwrap());
        stage.run(&ctx).unwrap();
        let files = |name: &str| Files::from_folder(&folder.path().join("out").join(name)).unwrap();
        let metrics = Metrics::load(&files("metrics")).unwrap();
        assert!(metrics.get("test_accuracy").unwrap() > 0.9, "{metrics:?}");
        let history = Table::load(&files("history")).unwrap();
        assert_eq!(history.rows.len(), 4);
        assert!(history.column("validation_accuracy").is_ok());
        let weights = Weights::load(&files("weights")).unwrap();
        let network = crate::load(&weights, &candle_core::Device::Cpu).unwrap();
        assert_eq!(network.architecture(), "lenet5");
    }

    #[test]
    fn parameters_that_cannot_be_used_are_refused() {
        for (parameters, message) in [
            (json!({ "architecture": "lenet6" }), "unknown architecture `lenet6`"),
            (json!({ "architecture": "resnet18" }), "resnet18 cannot be trained from nothing"),
            (
                json!({ "architecture": "dann" }),
                "dann takes images of 3 channel(s), `preprocessing`",
            ),
            (json!({ "training": { "patience": 3 } }), "expected `training.validation` above 0"),
            (
                json!({ "training": { "learning_rate": -0.1 } }),
                "parameter `training.learning_rate`",
            ),
            (json!({ "checkpoint_seconds": -1.0 }), "parameter `checkpoint_seconds`"),
            (
                json!({ "training": { "optimiser": { "sgd": { "momentum": 1.5 } } } }),
                "parameter `training.momentum`",
            ),
            (json!({ "training": { "batch": 0 } }), "parameter `training.batch`"),
        ] {
            let mut all = json!({ "images": "images" });
            all.as_object_mut().unwrap().extend(parameters.as_object().unwrap().clone());
            let stage: TrainClassifier = serde_json::from_value(all).unwrap();
            let error = stage.check().unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }
}
