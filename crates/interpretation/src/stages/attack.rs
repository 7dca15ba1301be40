use std::time::Instant;

use schemars::JsonSchema;
use sconce_core::{Context, Input, Resources, Result, Stage, outputs};
use sconce_data::{ImageSet, Metrics, SameClasses, Table, Weights};
use serde::{Deserialize, Serialize};

use crate::Model;
use crate::attack::subjects::{Changed, Choice, choose, judge, report};
use crate::attack::{Attacked, Method, Target};

/// Changes images slightly, along a network's gradients, so that the network takes them for something else.
///
/// A step, a radius and a distance are in levels of 0–255 unless said otherwise, and every image stays within 0–255. What
/// was found is written to 8-bit PNG files, read again and judged a second time.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Attack {
    /// The images.
    pub images: Input<ImageSet>,
    /// The network's weights, which also say how images have to be prepared.
    pub weights: Input<Weights>,
    /// The method with its parameters: `{ ascent = { step = 1 } }`, `{ fgsm = { epsilon = 8 } }`, `{ pgd = { epsilon = 8 } }`,
    /// `{ deepfool = {} }` or `{ carlini-wagner = {} }`.
    pub method: Method,
    /// What the images are to be taken for: `any`, `next`, `random`, `least-likely` or `{ classes = ["hay", "modem"] }`.
    #[serde(default)]
    pub target: Target,
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

outputs! { Attack:
    /// The changed images, as 8-bit files hold them.
    FOOLED: ImageSet = "fooled";
    /// The same images before, as the network was given them.
    ORIGINALS: ImageSet = "originals";
    /// A row an image: prediction before, after and after rounding, distances, steps.
    RESULTS: Table = "results";
    /// Success before and after rounding, mean distances and steps.
    METRICS: Metrics = "metrics" ["success", "rounded_success", "iterations", "evaluations", "confidence", "l0", "l2", "linf", "rounded_confidence", "rounded_l0", "rounded_l2", "rounded_linf", "images"];
    /// Seconds in all and for an image.
    TIMINGS: Metrics = "timings" ["seconds", "seconds_an_image"], volatile;
}

impl Stage for Attack {
    const KIND: &'static str = "attack";
    const VERSION: u32 = 5;
    const SEEDED: bool = true;

    fn seeded(&self) -> bool {
        self.method.is_random() || self.target == Target::Random
    }

    fn resources(&self) -> Resources {
        Resources::heavy(3 * Resources::GIB)
    }

    fn check(&self) -> Result<()> {
        super::check_count("max_images", self.max_images)?;
        super::check_count("size", self.size)?;
        super::check_classes(&self.classes, self.correct)?;
        self.method.check(&self.target)
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
        let started = Instant::now();
        let mut judged = Vec::with_capacity(subjects.len());
        for subject in &subjects {
            ctx.progress(judged.len(), subjects.len(), "images")?;
            let check = || ctx.check_cancelled();
            let classifier = Attacked::new(&model, subject.shape, &check);
            let mut rng = ctx.rng(&format!("attack on {}", subject.id));
            let attempt = self.method.run(&classifier, &subject.levels, subject.goal, &mut rng)?;
            let changed = Changed {
                levels: attempt.image,
                iterations: attempt.iterations,
                evaluations: None,
                note: None,
            };
            let label = images.examples().class_of(subject.place);
            judged.push(judge(&classifier, subject, label, changed)?);
        }
        let report = report(ctx, &model, &images, &subjects, &judged, started)?;
        ctx.write(Self::FOOLED, &report.fooled)?;
        ctx.write(Self::ORIGINALS, &report.originals)?;
        ctx.write(Self::RESULTS, &report.results)?;
        ctx.write(Self::METRICS, &report.metrics)?;
        ctx.write(Self::TIMINGS, &report.timings)
    }
}
