use schemars::JsonSchema;
use sconce_core::{Context, Error, Input, Resources, Result, Stage, outputs};
use sconce_data::resize::Fit;
use sconce_data::{Examples, ImageSet, Table, Weights};
use serde::{Deserialize, Serialize};

use crate::extract::{Extractor, Grey, Pooling, Taken};
use crate::top5;

/// Names the five likeliest ImageNet classes of photographs, with the network's own last layer.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PredictTop5 {
    /// The photographs.
    pub images: Input<ImageSet>,
    /// The network's weights, with the names of the classes.
    pub weights: Input<Weights>,
    /// The side of the network's square input in pixels; by default the one that the weights come with.
    #[serde(default)]
    pub size: Option<usize>,
    /// How an image is brought to that size: `stretch` or `crop`; by default as the weights say.
    #[serde(default)]
    pub fit: Option<Fit>,
}

outputs! { PredictTop5:
    /// Five rows an image: image, rank, class, probability.
    PREDICTIONS: Table = "predictions";
    /// The images as the network saw them, before its mean and deviation.
    PREPARED: ImageSet = "prepared";
}

/// Images that go through the network at a time.
const BATCH: usize = 8;

impl Stage for PredictTop5 {
    const KIND: &'static str = "predict-top5";
    const VERSION: u32 = 5;

    fn resources(&self) -> Resources {
        Resources::heavy(2 * Resources::GIB)
    }

    fn check(&self) -> Result<()> {
        match self.size {
            Some(0) => Err(Error::parameter("size", "expected at least 1 pixel")),
            _ => Ok(()),
        }
    }

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        let images = ctx.input(&self.images)?;
        let weights = ctx.input(&self.weights)?;
        let mut preprocessing = weights.info.preprocessing.clone();
        preprocessing.size = self.size.or(preprocessing.size);
        preprocessing.fit = self.fit.unwrap_or(preprocessing.fit);
        let Some(size) = preprocessing.size else {
            return Err(Error::parameter(
                "size",
                "the weights come without one: expected a number of pixels",
            ));
        };
        let all: Vec<usize> = (0..images.len()).collect();
        let color = preprocessing.channels.color();
        let fitted = images.batches(&all, BATCH, |_, image| {
            Ok(preprocessing.fit(&image)?.into_color(color).samples().to_vec())
        });
        let samples = fitted.collect::<Result<Vec<_>>>()?.concat().concat();
        let examples = Examples { ids: images.examples().ids.clone(), ..Examples::default() };
        ctx.write(Self::PREPARED, &ImageSet::packed(examples, color, size, size, samples)?)?;

        let device = sconce_models::device(ctx.device())?;
        let extractor = Extractor::new(
            &weights,
            preprocessing,
            Grey::Replicate,
            "logits",
            Pooling::None,
            device,
        )?;
        let mut table = top5::table();
        extractor.extract(&images, &all, BATCH, |Taken { shape, rows, done, .. }| {
            let classes: usize = shape.iter().product();
            let first = done - rows.len() / classes.max(1);
            for (i, logits) in rows.chunks_exact(classes.max(1)).enumerate() {
                let id = &images.examples().ids[first + i];
                top5::push(&mut table, id, logits, &weights.info.classes)?;
            }
            ctx.progress(done, all.len(), "images")
        })?;
        ctx.write(Self::PREDICTIONS, &table)
    }
}
