use schemars::JsonSchema;
use sconce_core::{Context, Error, Input, Result, Stage, outputs};
use sconce_data::ImageSet;
use sconce_data::classes::Outputs;
use serde::{Deserialize, Serialize};

use super::places;
use crate::altered::{Noise, blurred, image_set, moments, noise};
use crate::metrics::draw;

/// Makes images worse in a known way: references that metrics of generated images are read beside.
///
/// Real images that were not trained on, as they are, show how good a perfect generator is (the floor); noise, how bad the
/// worst; a class left out, what a collapse costs; a blur, what lost details cost. Names, classes, labels and splits stay.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AlterImages {
    /// The images.
    pub images: Input<ImageSet>,
    /// What becomes of them: `as-is`, `noise` (every pixel is drawn, and nothing of an image is left but its shape), `blur`, or
    /// `drop-class`.
    pub method: Alteration,
    /// The split that is used; empty for all.
    #[serde(default)]
    pub split: String,
    /// Images at most, drawn; by default all.
    #[serde(default)]
    pub max_images: Option<usize>,
    /// Distribution of noise: `uniform` on all values, or `normal` with the images' mean and deviation of each channel.
    #[serde(default)]
    pub distribution: Distribution,
    /// Deviation of the blur, as a share of the image's shorter side.
    #[serde(default = "twentieth")]
    pub blurred: f64,
    /// The class that is left out: its name or its number.
    #[serde(default)]
    pub class: String,
}

const fn twentieth() -> f64 {
    0.05
}

/// What becomes of images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Alteration {
    /// Nothing: a draw of them.
    AsIs,
    /// Noise of their shape.
    Noise,
    /// A Gaussian blur.
    Blur,
    /// One class is left out.
    DropClass,
}

/// How samples of noise are distributed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Distribution {
    /// Each value as often.
    #[default]
    Uniform,
    /// As the images' own, were they normal.
    Normal,
}

outputs! { AlterImages:
    /// The images.
    IMAGES: ImageSet = "images";
}

impl Stage for AlterImages {
    const KIND: &'static str = "alter-images";
    const VERSION: u32 = 1;
    const SEEDED: bool = true;

    fn check(&self) -> Result<()> {
        if self.max_images == Some(0) {
            return Err(Error::parameter("max_images", "expected 1 or more, found 0"));
        }
        if !(self.blurred > 0.0 && self.blurred < 1.0) {
            let message = format!("expected a share between 0 and 1, found {}", self.blurred);
            return Err(Error::parameter("blurred", message));
        }
        match (self.method == Alteration::DropClass, self.class.is_empty()) {
            (true, true) => Err(Error::parameter("class", "expected the class that is left out")),
            (false, false) => {
                Err(Error::parameter("class", "expected it with `method = \"drop-class\"` alone"))
            }
            _ => Ok(()),
        }
    }

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        let images = ctx.input(&self.images)?;
        let mut chosen = places(images.examples(), "split", &self.split)?;
        if self.method == Alteration::DropClass {
            let classes = &images.examples().classes;
            let outputs = Outputs { names: classes, count: Some(classes.len()) };
            let dropped = outputs.number("class", &self.class)?;
            let labels = images.examples().labels_of(&chosen).map_err(|error| Error::Input {
                slot: "images".to_owned(),
                message: error.to_string(),
            })?;
            let mut labels = labels.into_iter();
            chosen.retain(|_| labels.next() != Some(dropped));
            if chosen.is_empty() {
                let message = format!("all images are of the class `{}`", self.class);
                return Err(Error::parameter("class", message));
            }
        }
        if let Some(most) = self.max_images {
            let drawn = draw(chosen.len(), most, &mut ctx.rng("images"));
            chosen = drawn.into_iter().map(|place| chosen[place]).collect();
        }
        let set = match self.method {
            Alteration::AsIs | Alteration::DropClass => images.select(&chosen)?,
            Alteration::Noise | Alteration::Blur => {
                let altered = self.altered(ctx, &images, &chosen)?;
                image_set(images.examples().select(&chosen), &altered, ctx.scratch())?
            }
        };
        ctx.write(Self::IMAGES, &set)
    }
}

impl AlterImages {
    fn altered(
        &self,
        ctx: &Context<Self>,
        images: &ImageSet,
        chosen: &[usize],
    ) -> Result<Vec<sconce_data::Image>> {
        const TOGETHER: usize = 256;
        let blur = self.method == Alteration::Blur;
        let mut altered = Vec::with_capacity(chosen.len());
        ctx.progress(0, chosen.len(), "images")?;
        let batches = images.batches(chosen, TOGETHER, |_, image| {
            if blur { blurred(&image, self.blurred) } else { Ok(image) }
        });
        for batch in batches {
            altered.extend(batch?);
            ctx.progress(altered.len(), chosen.len(), "images")?;
        }
        if !blur {
            let how = match self.distribution {
                Distribution::Uniform => Noise::Uniform,
                Distribution::Normal => Noise::Normal(moments(&altered)),
            };
            let mut generator = ctx.rng("noise");
            for image in &mut altered {
                *image = noise(image, how, &mut generator)?;
            }
        }
        Ok(altered)
    }
}
