use schemars::JsonSchema;
use sconce_core::{Context, Error, Input, Resources, Result, Stage, outputs};
use sconce_data::{Color, Examples, ImageSet, Weights};
use sconce_models::Tensors;
use sconce_models::networks::dcgan::{Generator, GeneratorLayout, Initialisation};
use sconce_models::networks::{LastLayer, architecture, fit};
use sconce_models::variables::{Origin, Variables};
use serde::{Deserialize, Serialize};

use crate::latent::{self, Path};
use crate::sample::{self, Mode};

/// Makes images by a generator: from noise of their own, of all classes from the same noise, or along paths.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Generate {
    /// A generator of `train-gan`.
    pub weights: Input<Weights>,
    /// What stands side by side: `independent` images; `each-class`, a row of `count` images for each class, a column from the
    /// same noise; `between-noise`, `count` rows from one noise to another; `between-classes`, `count` rows of one noise each,
    /// from a class to the next.
    #[serde(default)]
    pub arrangement: Arrangement,
    /// Images, or rows or columns of them.
    #[serde(default = "count")]
    pub count: usize,
    /// Images from one end of a path to the other.
    #[serde(default = "steps")]
    pub steps: usize,
    /// How `between-noise` goes: `spherical` or `straight`.
    #[serde(default)]
    pub interpolation: Path,
    /// What batch norm takes for mean and variance: `eval` (the running ones) or `train` (the batch's).
    #[serde(default)]
    pub mode: Mode,
    /// Images that go through the network at a time. With `mode = "train"` it changes them.
    #[serde(default = "batch")]
    pub batch: usize,
}

/// How generated images belong together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Arrangement {
    /// Not at all; of the classes in turn where the generator is told them.
    #[default]
    Independent,
    /// A row for each class, a column for each noise.
    EachClass,
    /// Rows between two noises, of one class each where the generator is told classes.
    BetweenNoise,
    /// Rows of one noise, from a class to the next.
    BetweenClasses,
}

fn count() -> usize {
    64
}

fn steps() -> usize {
    10
}

fn batch() -> usize {
    128
}

outputs! { Generate:
    /// The images, each of the class that was wanted where the generator is told classes.
    IMAGES: ImageSet = "images";
}

/// Noise and classes of each image, and its name.
#[derive(Default)]
struct Wanted {
    ids: Vec<String>,
    noise: Vec<Vec<f32>>,
    /// Weights of each class.
    classes: Vec<Vec<f32>>,
    labels: Vec<u32>,
}

impl Wanted {
    fn push(&mut self, id: String, noise: Vec<f32>, classes: usize, [a, b]: [usize; 2], t: f64) {
        let mut weights = vec![0.0; classes];
        if classes > 0 {
            weights[a % classes] += (1.0 - t) as f32;
            weights[b % classes] += t as f32;
            self.labels.push(if t < 0.5 { a % classes } else { b % classes } as u32);
        }
        self.ids.push(id);
        self.noise.push(noise);
        self.classes.push(weights);
    }
}

impl Generate {
    fn wanted(&self, ctx: &Context<Self>, layout: &GeneratorLayout) -> Wanted {
        let (count, steps, classes) = (self.count, self.steps, layout.classes);
        let noise = |rows| latent::noise(rows, layout.latent, &mut ctx.rng("noise"));
        let along = |step: usize| step as f64 / (steps - 1).max(1) as f64;
        let mut wanted = Wanted::default();
        match self.arrangement {
            Arrangement::Independent => {
                for (i, noise) in noise(count).into_iter().enumerate() {
                    wanted.push(format!("{i:05}"), noise, classes, [i, i], 0.0);
                }
            }
            Arrangement::EachClass => {
                let noise = noise(count);
                for class in 0..classes {
                    for (i, noise) in noise.iter().enumerate() {
                        wanted.push(
                            format!("{class:02}/{i:03}"),
                            noise.clone(),
                            classes,
                            [class; 2],
                            0.0,
                        );
                    }
                }
            }
            Arrangement::BetweenNoise => {
                for (row, ends) in noise(2 * count).chunks_exact(2).enumerate() {
                    for step in 0..steps {
                        let point = self.interpolation.point(&ends[0], &ends[1], along(step));
                        wanted.push(format!("{row:03}/{step:03}"), point, classes, [row; 2], 0.0);
                    }
                }
            }
            Arrangement::BetweenClasses => {
                for (row, noise) in noise(count).into_iter().enumerate() {
                    for step in 0..steps {
                        let id = format!("{row:03}/{step:03}");
                        wanted.push(id, noise.clone(), classes, [row, row + 1], along(step));
                    }
                }
            }
        }
        wanted
    }
}

impl Stage for Generate {
    const KIND: &'static str = "generate";
    const VERSION: u32 = 1;
    const SEEDED: bool = true;

    fn resources(&self) -> Resources {
        Resources::heavy(Resources::GIB)
    }

    fn check(&self) -> Result<()> {
        for (key, value, least) in
            [("count", self.count, 1), ("steps", self.steps, 2), ("batch", self.batch, 1)]
        {
            if value < least {
                return Err(Error::parameter(
                    key,
                    format!("expected at least {least}, got {value}"),
                ));
            }
        }
        if self.mode == Mode::Train && self.batch == 1 {
            let message = "one image has no statistics of a batch: expected at least 2 with `mode = \"train\"`";
            return Err(Error::parameter("batch", message));
        }
        Ok(())
    }

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        let weights = ctx.input(&self.weights)?;
        let device = sconce_models::device(ctx.device())?;
        let wrong = |message: String| Error::Input { slot: "weights".into(), message };
        if weights.info.architecture != GENERATOR {
            let found = &weights.info.architecture;
            return Err(wrong(format!("expected weights of `{GENERATOR}`, found `{found}`")));
        }
        let tensors = Tensors::from_weights(&weights, &device)?;
        let fitted = fit(architecture(GENERATOR)?, &tensors, LastLayer::Kept)?;
        let layout = GeneratorLayout::of(&fitted.tensors)?;
        let parameters = layout.parameters(Initialisation::default());
        let variables =
            Variables::of(&parameters, &fitted.tensors, 0, &device, |_| Origin::Frozen)?;
        let generator = Generator::new(layout, &variables)?;
        let of_classes = [Arrangement::EachClass, Arrangement::BetweenClasses];
        if layout.classes == 0 && of_classes.contains(&self.arrangement) {
            let message = "the generator is told no classes: expected `independent` or `between-noise`, or `weights` of a \
                           generator with `generator.conditional = true`";
            return Err(Error::parameter("arrangement", message));
        }
        if layout.classes > 0 && weights.info.classes.len() != layout.classes {
            return Err(wrong(format!("expected names of {} classes", layout.classes)));
        }
        let wanted = self.wanted(ctx, &layout);
        let noise = latent::tensor(&wanted.noise, &device)?;
        let classes = match layout.classes {
            0 => None,
            _ => Some(latent::tensor(&wanted.classes, &device)?),
        };
        let samples = sample::images(&generator, &noise, classes.as_ref(), self.mode, self.batch)?;
        let examples = Examples {
            ids: wanted.ids,
            classes: weights.info.classes,
            labels: wanted.labels,
            ..Examples::default()
        };
        let color = if layout.channels == 1 { Color::Grey } else { Color::Rgb };
        ctx.write(
            Self::IMAGES,
            &ImageSet::packed(examples, color, layout.size, layout.size, samples)?,
        )
    }
}

const GENERATOR: &str = "dcgan_generator";
