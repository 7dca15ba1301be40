use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use rayon::prelude::*;
use schemars::JsonSchema;
use sconce_core::{Context, Error, Input, Resources, Result, Stage, outputs};
use sconce_data::{ImageSet, Metrics, SameClasses, Table, Weights};
use serde::{Deserialize, Serialize};

use crate::Model;
use crate::attack::subjects::{Changed, Choice, Subject, choose, judge, report};
use crate::attack::{Attacked, Change, Evolution, OnePixelAttempt, Target};

/// Fools a network with one or a few pixels, found by differential evolution without gradients.
///
/// Su, Vargas and Sakurai, "One pixel attack for fooling deep neural networks" (arXiv 2017): a candidate is the places and
/// colours of the pixels, a child is `a + F (b − c)` of three others and competes with its parent. The search ends with the
/// first generation that has a fooled image. What was found is written to 8-bit PNG files, read again and judged a second time.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OnePixel {
    /// The images.
    pub images: Input<ImageSet>,
    /// The network's weights, which also say how images have to be prepared.
    pub weights: Input<Weights>,
    /// Pixels that may change.
    #[serde(default = "one")]
    pub pixels: usize,
    /// What the images are to be taken for: `any`, `next`, `random`, `least-likely` or `{ classes = ["3", "8"] }`.
    #[serde(default)]
    pub target: Target,
    /// Members of the population; each generation judges as many images.
    #[serde(default = "population")]
    pub population: usize,
    /// Generations after the first population, at most.
    #[serde(default = "generations")]
    pub generations: usize,
    /// F: the weight of the difference of two members.
    #[serde(default = "half")]
    pub weight: f64,
    /// Probability of each number to come from the child and not from its parent; 1 in the paper.
    #[serde(default = "all")]
    pub crossover: f64,
    /// The split whose images are attacked; empty for all images.
    #[serde(default)]
    pub split: String,
    /// Images at most, evenly spread over the split; all by default.
    #[serde(default)]
    pub max_images: Option<usize>,
    /// Whether only images are attacked that the network takes for what they are labelled.
    #[serde(default)]
    pub correct: bool,
    /// Which of the network's classes an images' class is, where no name tells: `{ cat = "tabby", "my fish" = 1 }`. All
    /// others are matched by name, synonym (`goldfish`) or WordNet id (`n01443537`).
    #[serde(default)]
    pub classes: SameClasses,
    /// The side of the network's square input in pixels; by default the one that the weights come with.
    #[serde(default)]
    pub size: Option<usize>,
}

const fn one() -> usize {
    1
}

const fn population() -> usize {
    400
}

const fn generations() -> usize {
    100
}

const fn half() -> f64 {
    0.5
}

const fn all() -> f64 {
    1.0
}

/// Images that are attacked at the same time.
const TOGETHER: usize = 8;

outputs! { OnePixel:
    /// The changed images, as 8-bit files hold them.
    FOOLED: ImageSet = "fooled";
    /// The same images before, as the network was given them.
    ORIGINALS: ImageSet = "originals";
    /// A row an image: prediction before and after, the pixels, generations.
    RESULTS: Table = "results";
    /// Success, mean distances, generations and judged images.
    METRICS: Metrics = "metrics" ["success", "rounded_success", "iterations", "evaluations", "confidence", "l0", "l2", "linf", "rounded_confidence", "rounded_l0", "rounded_l2", "rounded_linf", "images"];
    /// Seconds in all and for an image.
    TIMINGS: Metrics = "timings" ["seconds", "seconds_an_image"], volatile;
}

impl Stage for OnePixel {
    const KIND: &'static str = "one-pixel";
    const VERSION: u32 = 5;
    const SEEDED: bool = true;

    fn resources(&self) -> Resources {
        Resources::heavy(3 * Resources::GIB)
    }

    fn check(&self) -> Result<()> {
        super::check_count("max_images", self.max_images)?;
        super::check_count("size", self.size)?;
        super::check_classes(&self.classes, self.correct)?;
        super::check_count("pixels", Some(self.pixels))?;
        if self.population < 4 {
            let message = format!("expected at least 4, found {}", self.population);
            return Err(Error::parameter("population", message));
        }
        if !(self.weight.is_finite() && self.weight > 0.0) {
            return Err(Error::parameter("weight", "expected a number above 0"));
        }
        if !(0.0..=1.0).contains(&self.crossover) {
            return Err(Error::parameter("crossover", "expected a number of 0 to 1"));
        }
        self.target.check()
    }

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        let images = ctx.input(&self.images)?;
        let weights = ctx.input(&self.weights)?;
        let model = Model::load(&weights, self.size, sconce_models::device(ctx.device())?)?;
        let choice = Choice {
            split: &self.split,
            count: self.max_images,
            correct: self.correct,
            classes: &self.classes,
            target: &self.target,
        };
        let subjects = choose(ctx, &model, &images, choice)?;
        let method = crate::attack::OnePixel {
            pixels: self.pixels,
            population: self.population,
            evolution: Evolution {
                generations: self.generations,
                weight: self.weight,
                crossover: self.crossover,
            },
        };
        let started = Instant::now();
        let done = AtomicUsize::new(0);
        let attack = |subject: &Subject| {
            let check = || ctx.check_cancelled();
            let classifier = Attacked::new(&model, subject.shape, &check);
            let mut rng = ctx.rng(&format!("pixels of {}", subject.id));
            let attempt = method.run(&classifier, &subject.levels, subject.goal, &mut rng)?;
            let note = Some(words(subject, &attempt));
            let changed = Changed {
                levels: attempt.image,
                iterations: attempt.generations,
                evaluations: Some(attempt.evaluations),
                note,
            };
            let label = images.examples().class_of(subject.place);
            let judged = judge(&classifier, subject, label, changed)?;
            ctx.progress(done.fetch_add(1, Ordering::Relaxed) + 1, subjects.len(), "images")?;
            Ok(judged)
        };
        let mut judged = Vec::with_capacity(subjects.len());
        for together in subjects.chunks(TOGETHER) {
            judged.extend(together.par_iter().map(attack).collect::<Result<Vec<_>>>()?);
        }
        let report = report(ctx, &model, &images, &subjects, &judged, started)?;
        ctx.write(Self::FOOLED, &report.fooled)?;
        ctx.write(Self::ORIGINALS, &report.originals)?;
        ctx.write(Self::RESULTS, &report.results)?;
        ctx.write(Self::METRICS, &report.metrics)?;
        ctx.write(Self::TIMINGS, &report.timings)
    }
}

/// `(row, column): 0 → 255`, for each pixel.
fn words(subject: &Subject, attempt: &OnePixelAttempt) -> String {
    let [_, height, width] = subject.shape;
    let pixel = |Change { row, column, levels }: &Change| {
        let before = subject.levels.iter().skip(row * width + column).step_by(height * width);
        let list = |levels: Vec<String>| levels.join(" ");
        format!(
            "({row}, {column}): {} → {}",
            list(before.map(f32::to_string).collect()),
            list(levels.iter().map(u8::to_string).collect())
        )
    };
    attempt.changes.iter().map(pixel).collect::<Vec<_>>().join("; ")
}
