use schemars::JsonSchema;
use sconce_core::{Context, Error, Input, Resources, Result, Stage, outputs};
use sconce_data::{Column, Examples, ImageSet, SameClasses, Table, Weights};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::mosaic::{QUARTERS, draw, mosaic};
use crate::{Model, Of};

/// Sets four images of different classes as 2 × 2 mosaics, for the pointing game: each mosaic is there four times, once
/// for the class of each quarter.
///
/// Explain them with `saliency-map`, `of = "true"` and a `size` of twice the network's, and measure with `pointing-game`.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mosaics {
    /// The images.
    pub images: Input<ImageSet>,
    /// The network's weights, which say the size of a quarter and the class of an image.
    pub weights: Input<Weights>,
    /// The class of an image: the one that the network has `predicted`, or the `true` one, of those images alone whose class
    /// the network predicts.
    #[serde(default)]
    pub of: Of,
    /// Which of the network's classes an images' class is, where no name tells: `{ cat = "tabby", "my fish" = 1 }`. All
    /// others are matched by name, synonym (`goldfish`) or WordNet id (`n01443537`).
    #[serde(default)]
    pub classes: SameClasses,
    /// Mosaics.
    #[serde(default = "sixteen")]
    pub count: usize,
    /// The side of a quarter in pixels; by default the network's input.
    #[serde(default)]
    pub size: Option<usize>,
}

const fn sixteen() -> usize {
    16
}

outputs! { Mosaics:
    /// Each mosaic four times, with the class of one quarter.
    IMAGES: ImageSet = "images";
    /// A row for each image: image, quarter, class, source.
    TABLE: Table = "table";
}

impl Stage for Mosaics {
    const KIND: &'static str = "mosaics";
    const VERSION: u32 = 4;
    const SEEDED: bool = true;

    fn resources(&self) -> Resources {
        Resources::heavy(Resources::GIB)
    }

    fn check(&self) -> Result<()> {
        for (key, value) in [("count", self.count), ("size", self.size.unwrap_or(1))] {
            if value == 0 {
                return Err(Error::parameter(key, "expected 1 or more, found 0"));
            }
        }
        Ok(())
    }

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        let images = ctx.input(&self.images)?;
        let device = sconce_models::device(ctx.device())?;
        let model = Model::load(&ctx.input(&self.weights)?, self.size, device)?;
        let all: Vec<usize> = (0..images.len()).collect();
        let truth = match self.of {
            Of::True => Some(model.true_classes(&images, &all, &self.classes)?),
            Of::Predicted => None,
        };
        let mut pictures = Vec::new();
        let mut classes = Vec::new();
        let mut names = Vec::new();
        for &place in &all {
            let x = model.inputs(&images, &[place])?;
            let predicted = model.predict(&x).map_err(Error::other)?[0];
            if truth.as_ref().is_none_or(|truth| truth[place] == predicted) {
                pictures.push(model.image(&x, 0)?);
                classes.push(predicted);
                names.push(images.examples().ids[place].clone());
            }
            ctx.progress(place + 1, images.len(), "images")?;
        }
        let drawn = draw(&classes, self.count, &mut ctx.rng("mosaics"))?;
        let mut table =
            Table::new(["image", "quarter", "class", "source"].map(Column::text).to_vec());
        let mut examples = Examples::default();
        let mut samples = Vec::new();
        let mut size = (0, 0);
        let digits = drawn.len().saturating_sub(1).to_string().len();
        for (number, chosen) in drawn.into_iter().enumerate() {
            let whole = mosaic(&chosen.map(|image| pictures[image].clone()))?;
            size = (whole.width(), whole.height());
            for (quarter, image) in QUARTERS.iter().zip(chosen) {
                let id = format!("{number:0digits$}-{quarter}");
                let class = model.class_name(classes[image]);
                table.push(vec![json!(id), json!(quarter), json!(class), json!(names[image])])?;
                examples.ids.push(id);
                examples.labels.push(classes[image]);
                samples.extend_from_slice(whole.samples());
            }
        }
        examples.classes = model.class_names();
        let color = model.preprocessing().channels.color();
        ctx.write(Self::IMAGES, &ImageSet::packed(examples, color, size.0, size.1, samples)?)?;
        ctx.write(Self::TABLE, &table)
    }
}
