use schemars::JsonSchema;
use sconce_core::{Context, Error, Input, Resources, Result, Stage, outputs};
use sconce_data::{ImageSet, Metrics, Table, Weights};
use serde::{Deserialize, Serialize};

use super::recorder::{self, Recorder};
use crate::Model;
use crate::visualisation::fourier::FourierAscent;
use crate::visualisation::score::Goal;
use crate::visualisation::transform::Transforms;
use crate::visualisation::views::Views;

/// Makes a picture that a network takes for a class, as frequencies of independent colours, seen under random transforms.
///
/// Adam changes the coefficients of a Fourier transform, weighted as they are in photographs; what it means in pixels goes
/// through the colours' correlation and a sigmoid. The network sees the picture moved, turned and scaled at random, with
/// grey beyond its edges, and on request several copies at a step, with noise. Olah, Mordvintsev and Schubert, "Feature
/// visualization", 2017, with the constants of Lucid.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VisualiseClassFourier {
    /// The network's weights.
    pub weights: Input<Weights>,
    /// The class: its name, one of its synonyms, or its number.
    pub class: String,
    /// The side of the square picture in pixels; by default that of the network's input.
    #[serde(default)]
    pub size: Option<usize>,
    /// Steps.
    #[serde(default = "steps")]
    pub steps: usize,
    /// Adam's learning rate.
    #[serde(default = "learning_rate")]
    pub learning_rate: f64,
    /// A frequency `f` weighs `1 / f^decay`: 1 as in photographs, 0 for all alike.
    #[serde(default = "decay")]
    pub decay: f64,
    /// Standard deviation of the coefficients at the start.
    #[serde(default = "deviation")]
    pub deviation: f64,
    /// Pixels at most that the picture is moved, in both directions.
    #[serde(default = "shift")]
    pub shift: f64,
    /// Share at most by which it is enlarged or made smaller.
    #[serde(default = "scale")]
    pub scale: f64,
    /// Degrees at most that it is turned, either way.
    #[serde(default = "rotation")]
    pub rotation: f64,
    /// Copies of the picture that the network sees at a step, each with transforms and noise of its own; the mean of their
    /// scores is climbed.
    #[serde(default = "copies")]
    pub copies: usize,
    /// Deviation of the normal noise on every copy, as a share of the range from black to white.
    #[serde(default)]
    pub noise: f64,
    /// What is made large: the class's `logit` or its `log-probability`.
    #[serde(default)]
    pub objective: Goal,
    /// Keeps every n-th picture, the first and the last; 0 for the last alone.
    #[serde(default)]
    pub show_every: usize,
}

fn steps() -> usize {
    FourierAscent::default().iterations
}

fn learning_rate() -> f64 {
    FourierAscent::default().learning_rate
}

fn decay() -> f64 {
    FourierAscent::default().decay
}

fn deviation() -> f64 {
    FourierAscent::default().deviation
}

fn shift() -> f64 {
    Transforms::default().shift
}

fn scale() -> f64 {
    Transforms::default().scale
}

fn rotation() -> f64 {
    Transforms::default().rotation
}

pub(super) fn copies() -> usize {
    1
}

outputs! { VisualiseClassFourier:
    /// The last picture, named and labelled by the class.
    PICTURE: ImageSet = "picture";
    /// The pictures on the way, named by the number of steps.
    FRAMES: ImageSet = "frames";
    /// A row a step: iteration, objective, logit, probability of the picture as the network saw it,
    /// frame.
    HISTORY: Table = "history";
    /// Of the last picture as 8-bit file: probability, rank; and the first step with probability
    /// 0.9.
    METRICS: Metrics = "metrics" ["probability", "rank", "reached"];
}

impl Stage for VisualiseClassFourier {
    const KIND: &'static str = "visualise-class-fourier";
    const VERSION: u32 = 6;
    const SEEDED: bool = true;

    fn resources(&self) -> Resources {
        Resources::heavy(Resources::GIB)
    }

    fn check(&self) -> Result<()> {
        recorder::check_size(self.size)?;
        recorder::check_positive("learning_rate", self.learning_rate)?;
        recorder::check_positive("deviation", self.deviation)?;
        if !self.decay.is_finite() {
            return Err(Error::parameter(
                "decay",
                format!("expected a number, found {}", self.decay),
            ));
        }
        self.views().check()
    }

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        let weights = ctx.input(&self.weights)?;
        let model = Model::load(&weights, self.size, sconce_models::device(ctx.device())?)?;
        let class = model.class_number("class", &self.class)?;
        let size = recorder::size(&model)?;
        let ascent = FourierAscent {
            iterations: self.steps,
            learning_rate: self.learning_rate,
            decay: self.decay,
            deviation: self.deviation,
            views: self.views(),
            goal: self.objective,
        };
        let mut recorder = Recorder::new(ctx, &model, class, self.steps, self.show_every);
        let draws = [&mut ctx.rng("start"), &mut ctx.rng("transforms")];
        ascent.run(&model, class, size, draws, &mut |progress, pixels| {
            recorder.observe(progress, pixels)
        })?;
        let record = recorder.finish()?;
        ctx.write(Self::PICTURE, &record.picture)?;
        ctx.write(Self::FRAMES, &record.frames)?;
        ctx.write(Self::HISTORY, &record.history)?;
        ctx.write(Self::METRICS, &record.metrics)
    }
}

impl VisualiseClassFourier {
    fn views(&self) -> Views {
        let transforms =
            Transforms { shift: self.shift, scale: self.scale, rotation: self.rotation };
        Views { copies: self.copies, transforms, noise: self.noise }
    }
}
