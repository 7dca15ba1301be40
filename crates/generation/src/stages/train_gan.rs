use schemars::JsonSchema;
use sconce_core::{Context, Error, Input, Resources, Result, Stage, outputs};
use sconce_data::{Column, ImageSet, Metrics, Table, Weights};
use sconce_models::networks::dcgan::{
    Condition, DiscriminatorLayout, GeneratorLayout, Initialisation, Loss, Normalisation,
    Objective, Penalty, Updates,
};
use sconce_models::optim::{Adam, Method};
use sconce_models::train::{CHECKPOINT_SECONDS, Defaults, TrainingParameters, checkpoint_time};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::sample::Mode;
use crate::train::{Play, play};

/// Trains a generator of images against a discriminator (DCGAN), plain or told the class.
///
/// Images are brought to `size` pixels and to −1 to 1. An interrupted training goes on where it was, with the same result. A
/// loss, a weight or an image that is no number ends the updates, and the verdict says so: what is given are both networks as they
/// were at the last look before, and losses and epochs up to there.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrainGan {
    /// The images, with classes where a network is told them.
    pub images: Input<ImageSet>,
    /// The split to train on; empty for all images.
    #[serde(default = "super::train")]
    pub split: String,
    /// Side of the generated images in pixels: 32 or 64.
    #[serde(default = "size")]
    pub size: usize,
    /// Numbers of noise that an image is made from.
    #[serde(default = "latent")]
    pub latent: usize,
    /// The generator.
    #[serde(default)]
    pub generator: GeneratorParameters,
    /// The discriminator.
    #[serde(default)]
    pub discriminator: DiscriminatorParameters,
    /// How parameters are drawn: `dcgan` (the paper's N(0, 0.02)), `pytorch-default` or `kaiming-normal`.
    #[serde(default)]
    pub initialisation: Initialisation,
    /// What the networks make small: `non-saturating`, `saturating`, `least-squares`, `hinge` or `relativistic`.
    #[serde(default)]
    pub loss: Loss,
    /// What is taken off the discriminator's target of 1 for real images.
    #[serde(default)]
    pub label_smoothing: f64,
    /// Zero-centred gradient penalties of the discriminator on real and on generated images, by differences of first order.
    #[serde(default)]
    pub gradient_penalty: Penalty,
    /// Whose parameters change: of `both`, or of the `generator` or the `discriminator` alone.
    #[serde(default)]
    pub updates: Updates,
    /// Decay of the exponential moving average of the generator's weights that images are made by in place of the last
    /// update's; 0 for none.
    #[serde(default)]
    pub average: f64,
    /// How it is trained: epochs, batch, optimiser, learning rate (of both), schedule.
    #[serde(default)]
    pub training: TrainingParameters<TrainGan>,
    /// Updates from one look at generated images to the next; they are looked at before the first and after the last too.
    #[serde(default = "hundred")]
    pub sample_every: usize,
    /// Images at each look, always from the same noise; of the classes in turn where the generator is told them.
    #[serde(default = "sixty_four")]
    pub samples: usize,
    /// What batch norm takes for mean and variance in these images: `eval` (the running ones) or `train` (the batch's).
    #[serde(default)]
    pub mode: Mode,
    /// Updates from one row of `losses` to the next, which holds their means; the last row is of what is left.
    #[serde(default = "ten")]
    pub record_every: usize,
    /// Seconds between checkpoints that an interrupted training goes on from. It changes no result.
    #[serde(default = "checkpoint_seconds")]
    #[schemars(extend("x-sconce-cosmetic" = true))]
    pub checkpoint_seconds: f64,
}

/// What the generator is: `{ width = 32 }` is 100 → 128 → 64 → 32 → 1; told the class, `{ width = 128 }` is noise → 256 beside
/// class → 256, then 256 → 128 → 1.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GeneratorParameters {
    /// Maps before the last layer.
    pub width: usize,
    /// Behind each layer but the last: `batch` or `none`.
    pub norm: Normalisation,
    /// Whether it is told the class, by a first layer of its own beside that of the noise.
    pub conditional: bool,
    /// Its own learning rate in the place of `training.learning_rate`.
    pub learning_rate: Option<f64>,
}

impl Default for GeneratorParameters {
    fn default() -> Self {
        Self { width: 32, norm: Normalisation::Batch, conditional: false, learning_rate: None }
    }
}

/// What the discriminator is: `{ width = 32 }` is 1 → 32 → 64 → 128 → 1; with a concatenated class, `{ width = 128 }` is image → 64
/// beside class → 64, then 256 → 512 → 1.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DiscriminatorParameters {
    /// Maps behind the first layer.
    pub width: usize,
    /// Behind each layer but the last: `batch` or `none`; or `spectral`, of each weight.
    pub norm: Normalisation,
    /// Whether batch norm also stands behind the first layer, which the DCGAN paper leaves out.
    pub norm_first: bool,
    /// How it is told the class: `none`, `concatenated` or `projected`.
    pub condition: Condition,
    /// Its own learning rate in the place of `training.learning_rate`.
    pub learning_rate: Option<f64>,
}

impl Default for DiscriminatorParameters {
    fn default() -> Self {
        Self {
            width: 32,
            norm: Normalisation::Batch,
            norm_first: true,
            condition: Condition::None,
            learning_rate: None,
        }
    }
}

fn size() -> usize {
    32
}

fn latent() -> usize {
    100
}

fn hundred() -> usize {
    100
}

fn sixty_four() -> usize {
    64
}

fn ten() -> usize {
    10
}

fn checkpoint_seconds() -> f64 {
    CHECKPOINT_SECONDS
}

impl Defaults for TrainGan {
    fn epochs() -> usize {
        5
    }

    fn batch() -> usize {
        128
    }

    fn optimiser() -> Method {
        Method::Adam(Adam { betas: [0.5, 0.999], ..Adam::default() })
    }

    fn learning_rate() -> f64 {
        2e-4
    }
}

outputs! { TrainGan:
    /// The generator, of averaged weights where there are such.
    GENERATOR: Weights = "generator";
    /// The discriminator.
    DISCRIMINATOR: Weights = "discriminator";
    /// Images from the same noise on the way: a split each look, called `step 100` after 100 updates.
    SAMPLES: ImageSet = "samples";
    /// Means over `record_every` updates: losses, mean probability of "is real" for real and generated images, part of pairs
    /// that the discriminator ranks rightly, penalty.
    LOSSES: Table = "losses";
    /// The same means over each epoch that was played to its end.
    HISTORY: Table = "history";
    /// The verdict at each look, the first of these that holds: `diverged` (a loss, a weight or an image was no number),
    /// `discriminator wins` (it ranks at least .998 of all pairs rightly, in the mean over the last tenth of the rows of `losses`),
    /// `generator wins` (at most .25), `mode collapse` (diversity, the median distance of a generated image to the nearest other one
    /// by that of real images, is at most .25), `stable`. The limits are conventions, and no verdict says anything of quality. Before
    /// the first row of `losses` there is none.
    VERDICTS: Table = "verdicts";
    /// The verdict at the end, in a table of one row.
    VERDICT: Table = "verdict";
    /// What the verdict rests on, and the numbers of the last update that gave some.
    METRICS: Metrics = "metrics" ["ranking", "diversity", "discriminator_loss", "generator_loss", "real", "fake", "diverged_at"];
    /// Seconds of an update, on the mean of those that were done since the last interruption.
    TIMINGS: Metrics = "timings" ["step_seconds"], volatile;
}

impl TrainGan {
    fn generator(&self, classes: usize) -> GeneratorLayout {
        let GeneratorParameters { width, norm, conditional, .. } = self.generator;
        let classes = if conditional { classes } else { 0 };
        GeneratorLayout { latent: self.latent, width, channels: 1, size: self.size, classes, norm }
    }

    fn discriminator(&self, classes: usize) -> DiscriminatorLayout {
        let DiscriminatorParameters { width, norm, norm_first, condition, .. } = self.discriminator;
        let classes = if condition == Condition::None { 0 } else { classes };
        DiscriminatorLayout {
            width,
            channels: 1,
            size: self.size,
            condition,
            classes,
            norm,
            norm_first,
        }
    }
}

/// Puts `behind.` before a parameter's name, but for those that both networks share.
fn within(behind: &'static str) -> impl Fn(Error) -> Error {
    move |error| match error {
        Error::Parameter { key, message } if key != "size" && key != "latent" => {
            Error::parameter(format!("{behind}.{key}"), message)
        }
        other => other,
    }
}

impl Stage for TrainGan {
    const KIND: &'static str = "train-gan";
    // 2: the last updates count where they are fewer than a record's; a training that diverges keeps the networks of its last look;
    // a penalty with a spectral norm is of one network.
    const VERSION: u32 = 2;
    const SEEDED: bool = true;

    fn resources(&self) -> Resources {
        Resources::heavy(2 * Resources::GIB)
    }

    fn check(&self) -> Result<()> {
        let wrong = |key: &str, message: String| Err(Error::parameter(key, message));
        self.generator(1).check().map_err(within("generator"))?;
        self.discriminator(1).check().map_err(within("discriminator"))?;
        if self.generator.conditional && self.generator.width < 2 {
            return wrong("generator.width", "expected at least 2 with a class, got 1".into());
        }
        self.training.check()?;
        checkpoint_time(self.checkpoint_seconds)?;
        for (key, rate) in [
            ("generator.learning_rate", self.generator.learning_rate),
            ("discriminator.learning_rate", self.discriminator.learning_rate),
        ] {
            if let Some(rate) = rate.filter(|rate| !(rate.is_finite() && *rate > 0.0)) {
                return wrong(key, format!("expected a positive number, got {rate}"));
            }
        }
        for (key, value) in [("average", self.average), ("label_smoothing", self.label_smoothing)] {
            if !(0.0..1.0).contains(&value) {
                return wrong(key, format!("expected at least 0 and below 1, got {value}"));
            }
        }
        if self.label_smoothing > 0.0 && !self.loss.has_target() {
            let message = "the loss has no target to smooth: expected `non-saturating`, `saturating` or `least-squares`";
            return wrong("label_smoothing", message.into());
        }
        let Penalty { real, fake, sigma } = self.gradient_penalty;
        for (key, value) in [("gradient_penalty.real", real), ("gradient_penalty.fake", fake)] {
            if !(value.is_finite() && value >= 0.0) {
                return wrong(key, format!("expected at least 0, got {value}"));
            }
        }
        if !(sigma.is_finite() && sigma > 0.0) {
            return wrong(
                "gradient_penalty.sigma",
                format!("expected a positive number, got {sigma}"),
            );
        }
        if self.gradient_penalty.is_used() && self.discriminator.norm == Normalisation::Batch {
            let message = "a penalty looks at each image alone, and batch norm mixes them: expected `none` or `spectral`";
            return wrong("discriminator.norm", message.into());
        }
        if self.training.validation != 0.0 {
            return wrong("training.validation", "nothing is held out: expected 0".into());
        }
        if self.training.batch < 2 {
            let message = format!(
                "batch norm needs several images: expected at least 2, got {}",
                self.training.batch
            );
            return wrong("training.batch", message);
        }
        for (key, value) in [
            ("training.epochs", self.training.epochs),
            ("sample_every", self.sample_every),
            ("record_every", self.record_every),
        ] {
            if value == 0 {
                return wrong(key, "expected at least 1, got 0".into());
            }
        }
        if self.samples < 2 {
            return wrong("samples", format!("expected at least 2, got {}", self.samples));
        }
        Ok(())
    }

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        let images = ctx.input(&self.images)?;
        let classes = images.examples().classes.len();
        let told = self.generator.conditional || self.discriminator.condition != Condition::None;
        if told && classes == 0 {
            let message = "expected images with classes, which a network is told".to_owned();
            return Err(Error::Input { slot: "images".into(), message });
        }
        let rate = self.training.learning_rate;
        let how = Play {
            split: &self.split,
            generator: self.generator(classes),
            discriminator: self.discriminator(classes),
            learning_rates: [
                self.generator.learning_rate.unwrap_or(rate),
                self.discriminator.learning_rate.unwrap_or(rate),
            ],
            initialisation: self.initialisation,
            objective: Objective {
                loss: self.loss,
                smoothing: self.label_smoothing,
                penalty: self.gradient_penalty,
                updates: self.updates,
            },
            average: self.average,
            sample_every: self.sample_every,
            samples: self.samples,
            mode: self.mode,
            record_every: self.record_every,
            every: checkpoint_time(self.checkpoint_seconds)?,
        };
        let played = play(ctx, &how, &self.training, &images)?;
        ctx.note(format!("verdict: {}", played.verdict));
        let mut metrics = Metrics::default();
        for (name, value) in &played.metrics {
            ctx.metric(name, *value);
            metrics.set(*name, *value);
        }
        ctx.write(Self::METRICS, &metrics)?;
        let mut timings = Metrics::default();
        if let Some(seconds) = played.step_seconds {
            timings.set("step_seconds", seconds);
        }
        ctx.write(Self::TIMINGS, &timings)?;
        let mut verdict = Table::new(vec![
            Column::text("verdict"),
            Column::number("ranking"),
            Column::number("diversity"),
        ]);
        let number = |name: &str| json!(metrics.values.get(name));
        verdict.push(vec![
            json!(played.verdict.to_string()),
            number("ranking"),
            number("diversity"),
        ])?;
        ctx.write(Self::VERDICT, &verdict)?;
        ctx.write(Self::VERDICTS, &played.verdicts)?;
        ctx.write(Self::LOSSES, &played.losses)?;
        ctx.write(Self::HISTORY, &played.history.table()?)?;
        ctx.write(Self::SAMPLES, &played.samples)?;
        ctx.write(Self::GENERATOR, &played.generator)?;
        ctx.write(Self::DISCRIMINATOR, &played.discriminator)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn parameters_that_cannot_be_used_are_refused() {
        for (parameters, message) in [
            (json!({ "size": 28 }), "parameter `size`: expected 32 or 64 pixels, got 28"),
            (json!({ "latent": 0 }), "parameter `latent`"),
            (json!({ "generator": { "width": 0 } }), "parameter `generator.width`"),
            (json!({ "generator": { "norm": "spectral" } }), "parameter `generator.norm`"),
            (json!({ "generator": { "learning_rate": 0.0 } }), "`generator.learning_rate`"),
            (
                json!({ "discriminator": { "width": 1, "condition": "concatenated" } }),
                "parameter `discriminator.width`: expected at least 2 with a class, got 1",
            ),
            (json!({ "loss": "hinge", "label_smoothing": 0.1 }), "parameter `label_smoothing`"),
            (
                json!({ "gradient_penalty": { "real": 1.0 } }),
                "parameter `discriminator.norm`: a penalty",
            ),
            (json!({ "gradient_penalty": { "sigma": 0.0 } }), "parameter `gradient_penalty.sigma`"),
            (json!({ "average": 1.0 }), "parameter `average`"),
            (json!({ "training": { "batch": 1 } }), "parameter `training.batch`"),
            (json!({ "training": { "epochs": 0 } }), "parameter `training.epochs`"),
            (json!({ "training": { "validation": 0.1 } }), "parameter `training.validation`"),
            (json!({ "sample_every": 0 }), "parameter `sample_every`"),
            (json!({ "samples": 1 }), "parameter `samples`"),
        ] {
            let mut all = json!({ "images": "a" });
            all.as_object_mut().unwrap().extend(parameters.as_object().unwrap().clone());
            let stage: TrainGan = serde_json::from_value(all).unwrap();
            let error = stage.check().unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }
}
