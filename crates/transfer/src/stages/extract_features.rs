use schemars::JsonSchema;
use sconce_core::{Context, Error, Input, Resources, Result, Stage, outputs};
use sconce_data::resize::Fit;
use sconce_data::{Features, FeaturesWriter, ImageSet, Preprocessing, Weights};
use serde::{Deserialize, Serialize};

use crate::extract::{Extractor, Grey, Pooling};

/// Takes a layer's output of a network for every image.
///
/// Images are read, prepared as the weights expect, and sent through the network in batches; few are in memory.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExtractFeatures {
    /// The images; classes and splits go along.
    pub images: Input<ImageSet>,
    /// The network's weights, which also say how images have to be prepared.
    pub weights: Input<Weights>,
    /// The layer: `fire9`, `relu6`, `logits`, … An unknown name lists those of the network.
    pub layer: String,
    /// What becomes of a layer's maps: `gap` (mean of each), `gmp` (maximum of each) or `none` (all numbers).
    #[serde(default)]
    pub pooling: Pooling,
    /// The side of the network's square input in pixels; by default the one that the weights come with.
    #[serde(default)]
    pub size: Option<usize>,
    /// How an image is brought to that size: `stretch` or `crop`; by default as the weights say.
    #[serde(default)]
    pub fit: Option<Fit>,
    /// How grey images enter the network: `replicate` the channel, or `sum` the first convolution's weights.
    #[serde(default)]
    pub grey: Grey,
    /// What the network expects of its input, in the place of what the weights say.
    #[serde(default)]
    pub preprocessing: Option<Preprocessing>,
    /// Images that go through the network at a time: memory against speed. It may change the last bits of a result.
    #[serde(default = "batch")]
    pub batch: usize,
}

const fn batch() -> usize {
    8
}

outputs! { ExtractFeatures:
    /// One row an image, with the images' classes and splits.
    FEATURES: Features = "features";
}

impl Stage for ExtractFeatures {
    const KIND: &'static str = "extract-features";
    const VERSION: u32 = 3;

    fn resources(&self) -> Resources {
        Resources::heavy(2 * Resources::GIB)
    }

    fn check(&self) -> Result<()> {
        if self.batch == 0 {
            return Err(Error::parameter("batch", "expected at least 1"));
        }
        if self.size == Some(0) {
            return Err(Error::parameter("size", "expected at least 1 pixel"));
        }
        self.preprocessing.as_ref().map_or(Ok(()), Preprocessing::check)
    }

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        let images = ctx.input(&self.images)?;
        let weights = ctx.input(&self.weights)?;
        let mut preprocessing =
            self.preprocessing.clone().unwrap_or_else(|| weights.info.preprocessing.clone());
        preprocessing.size = self.size.or(preprocessing.size);
        preprocessing.fit = self.fit.unwrap_or(preprocessing.fit);
        let device = sconce_models::device(ctx.device())?;
        let extractor =
            Extractor::new(&weights, preprocessing, self.grey, &self.layer, self.pooling, device)?;

        let all: Vec<usize> = (0..images.len()).collect();
        if all.is_empty() {
            return Err(Error::Input { slot: "images".into(), message: "no image".into() });
        }
        let folder = ctx.folder(Self::FEATURES);
        let mut writer = None;
        ctx.progress(0, all.len(), "images")?;
        extractor.extract(&images, &all, self.batch, |shape, rows, done| {
            let writer = match &mut writer {
                Some(writer) => writer,
                None => writer.insert(FeaturesWriter::create(&folder, images.examples(), shape)?),
            };
            writer.push(rows)?;
            ctx.progress(done, all.len(), "images")
        })?;
        writer.map_or(Ok(()), FeaturesWriter::finish)
    }
}
