use schemars::JsonSchema;
use sconce_core::{Context, Error, Input, Resources, Result, Stage, outputs};
use sconce_data::{ImageSet, Metrics, Table, Weights};
use serde::{Deserialize, Serialize};

use super::recorder::{self, Recorder};
use super::visualise_class_fourier::copies;
use crate::Model;
use crate::visualisation::picture;
use crate::visualisation::pixels::{Penalty, PixelAscent, Step, noise};
use crate::visualisation::score::Goal;
use crate::visualisation::standard::Standard;
use crate::visualisation::transform::Transforms;
use crate::visualisation::views::Views;

/// Changes a picture, noise or a photograph, until a network takes it for a class: gradient ascent on pixels.
///
/// Every step makes `logit − regularisation · penalty(u)` larger, where `u = (pixel / 255 − mean) / deviation` is the picture
/// in ImageNet's standardised scale, whatever input the weights take: learning rate, penalty and noise are in this scale.
/// A step is `learning_rate` long (in the 2-norm of all pixels together). Simonyan et al., 2014; Yosinski et al., 2015.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VisualiseClass {
    /// The network's weights.
    pub weights: Input<Weights>,
    /// The class: its name, one of its synonyms, or its number.
    pub class: String,
    /// Photographs to start from, in place of noise.
    #[serde(default)]
    pub start: Option<Input<ImageSet>>,
    /// The photograph of `start`: its name, or the class that it shows; by default the first.
    #[serde(default)]
    pub start_image: Option<String>,
    /// The side of the square picture in pixels; by default that of the network's input.
    #[serde(default)]
    pub size: Option<usize>,
    /// Steps.
    #[serde(default = "steps")]
    pub steps: usize,
    /// Length of a step, or with `step_length = "raw"` what the gradient is multiplied by.
    #[serde(default = "learning_rate")]
    pub learning_rate: f64,
    /// Whether every step is `learning_rate` long (`normalised`) or as long as the gradient says (`raw`).
    #[serde(default)]
    pub step_length: Step,
    /// Weight of the penalty, λ; 0 for none.
    #[serde(default = "regularisation")]
    pub regularisation: f64,
    /// What the penalty is: `squared-norm` or `norm` of the standardised picture.
    #[serde(default)]
    pub penalty: Penalty,
    /// Blurs after the first step and every n-th from there; 0 for never.
    #[serde(default = "blur_every")]
    pub blur_every: usize,
    /// Standard deviation of the blur in pixels.
    #[serde(default = "blur")]
    pub blur: f64,
    /// Pixels at most by which the picture is rolled before a step, and back after it.
    #[serde(default = "jitter")]
    pub jitter: usize,
    /// Share at most by which what the network sees is enlarged or made smaller, about the middle of the rolled picture.
    #[serde(default)]
    pub scale: f64,
    /// Degrees at most that it is turned, either way.
    #[serde(default)]
    pub rotation: f64,
    /// Copies of the picture that the network sees at a step, each with its own scale, turn and noise; a step follows the
    /// mean of their gradients.
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
    PixelAscent::default().iterations
}

fn learning_rate() -> f64 {
    PixelAscent::default().learning_rate
}

fn regularisation() -> f64 {
    PixelAscent::default().regularisation
}

fn blur_every() -> usize {
    PixelAscent::default().blur_every
}

fn blur() -> f64 {
    PixelAscent::default().blur
}

fn jitter() -> usize {
    PixelAscent::default().jitter
}

outputs! { VisualiseClass:
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

impl Stage for VisualiseClass {
    const KIND: &'static str = "visualise-class";
    const VERSION: u32 = 6;
    const SEEDED: bool = true;

    fn resources(&self) -> Resources {
        Resources::heavy(Resources::GIB)
    }

    fn check(&self) -> Result<()> {
        recorder::check_size(self.size)?;
        recorder::check_positive("learning_rate", self.learning_rate)?;
        for (key, value) in [("regularisation", self.regularisation), ("blur", self.blur)] {
            if !(value.is_finite() && value >= 0.0) {
                return Err(Error::parameter(key, format!("expected 0 or more, found {value}")));
            }
        }
        self.views().check()?;
        if self.start_image.is_some() && self.start.is_none() {
            return Err(Error::parameter(
                "start_image",
                "expected `start` beside it: the photographs",
            ));
        }
        Ok(())
    }

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        let weights = ctx.input(&self.weights)?;
        let model = Model::load(&weights, self.size, sconce_models::device(ctx.device())?)?;
        let class = model.class_number("class", &self.class)?;
        let size = recorder::size(&model)?;
        let start = match ctx.optional(&self.start)? {
            None => noise(&model, size, &mut ctx.rng("start"))?,
            Some(images) => self.photograph(&model, &images)?,
        };
        let ascent = PixelAscent {
            iterations: self.steps,
            learning_rate: self.learning_rate,
            step: self.step_length,
            regularisation: self.regularisation,
            penalty: self.penalty,
            blur_every: self.blur_every,
            blur: self.blur,
            jitter: self.jitter,
            views: self.views(),
            goal: self.objective,
        };
        let mut recorder = Recorder::new(ctx, &model, class, self.steps, self.show_every);
        ascent.run(&model, class, start, &mut ctx.rng("jitter"), &mut |progress, pixels| {
            recorder.observe(progress, pixels)
        })?;
        let record = recorder.finish()?;
        ctx.write(Self::PICTURE, &record.picture)?;
        ctx.write(Self::FRAMES, &record.frames)?;
        ctx.write(Self::HISTORY, &record.history)?;
        ctx.write(Self::METRICS, &record.metrics)
    }
}

impl VisualiseClass {
    fn views(&self) -> Views {
        // The jitter moves the picture.
        let transforms = Transforms { shift: 0.0, scale: self.scale, rotation: self.rotation };
        Views { copies: self.copies, transforms, noise: self.noise }
    }

    /// The photograph to start from, in the standardised scale.
    fn photograph(&self, model: &Model, images: &ImageSet) -> Result<candle_core::Tensor> {
        let examples = images.examples();
        let place = match &self.start_image {
            None => 0,
            Some(wanted) => {
                let called = |place: &usize| {
                    let id = examples.ids.get(*place).map_or("", String::as_str);
                    let stem = id.rsplit_once('.').map_or(id, |(stem, _)| stem);
                    let class = examples.class_of(*place).unwrap_or_default();
                    let known = |name: &str| name.trim().eq_ignore_ascii_case(wanted);
                    known(id) || known(stem) || class.split(',').any(known)
                };
                (0..images.len()).find(called).ok_or_else(|| {
                    let few: Vec<&str> = examples.ids.iter().take(8).map(String::as_str).collect();
                    Error::parameter(
                        "start_image",
                        format!(
                            "no photograph is or shows `{wanted}`; there are: {}",
                            few.join(", ")
                        ),
                    )
                })?
            }
        };
        if images.is_empty() {
            return Err(Error::Input {
                slot: "start".into(),
                message: "expected at least one photograph".into(),
            });
        }
        let fitted = model.preprocessing().fit(&images.decode(place)?)?;
        let pixels = picture::pixels(model, &fitted)?;
        let standard = Standard::new(model.preprocessing().channels, model.device());
        standard.and_then(|standard| standard.of_pixels(&pixels)).map_err(Error::other)
    }
}
