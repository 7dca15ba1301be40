use schemars::JsonSchema;
use sconce_core::{Context, Error, Input, Resources, Result, Sibling, Stage, outputs};
use sconce_data::resize::Fit;
use sconce_data::{Examples, Features, FeaturesWriter, ImageSet, Preprocessing, Weights};
use serde::{Deserialize, Serialize};

use crate::extract::{Extractor, Grey, Pooling, Taken};

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
    /// Images that go through the network at a time: memory against speed. On the processor it changes no bit of a result.
    #[serde(default = "batch")]
    #[schemars(extend("x-sconce-cosmetic" = true))]
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
    const VERSION: u32 = 5;
    const TOGETHER: &'static [&'static str] = &["layer", "pooling"];

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
        let (layer, pooling) = (&self.layer, self.pooling);
        let mut extractor =
            Extractor::new(&weights, preprocessing, self.grey, layer, pooling, device)?;

        let all: Vec<usize> = (0..images.len()).collect();
        if all.is_empty() {
            return Err(Error::Input { slot: "images".into(), message: "no image".into() });
        }
        // Further layers on the way: what is wrong with one, its own cell says.
        let mut siblings = ctx.siblings();
        siblings.retain(|sibling| {
            let Self { layer, pooling, .. } = sibling.stage();
            extractor.also(layer, *pooling).is_ok()
        });
        if !siblings.is_empty() {
            let layers: Vec<_> = siblings.iter().map(|sibling| &*sibling.stage().layer).collect();
            ctx.note(format!("with further layers on the way: {}", layers.join(", ")));
        }
        let mut siblings: Vec<Along> = siblings.into_iter().map(Along::new).collect();
        let folder = ctx.folder(Self::FEATURES);
        let mut writer = None;
        ctx.progress(0, all.len(), "images")?;
        let whole = extractor.extract(&images, &all, self.batch, |taken| {
            let Taken { tap, shape, rows, done } = taken;
            if tap > 0 {
                siblings[tap - 1].push(images.examples(), shape, rows);
                return Ok(());
            }
            let writer = match &mut writer {
                Some(writer) => writer,
                None => writer.insert(FeaturesWriter::create(&folder, images.examples(), shape)?),
            };
            writer.push(rows)?;
            ctx.progress(done, all.len(), "images")
        })?;
        for (sibling, is_whole) in siblings.into_iter().zip(whole) {
            if is_whole {
                sibling.finish();
            }
        }
        writer.map_or(Ok(()), FeaturesWriter::finish)
    }
}

/// A cell whose features are taken on the way. What goes wrong with it, it says itself when its turn comes.
struct Along {
    sibling: Sibling<ExtractFeatures>,
    writer: Option<Result<FeaturesWriter>>,
}

impl Along {
    fn new(sibling: Sibling<ExtractFeatures>) -> Self {
        Self { sibling, writer: None }
    }

    fn push(&mut self, examples: &Examples, shape: &[usize], rows: &[f32]) {
        let create = || {
            let folder = self.sibling.folder(ExtractFeatures::FEATURES)?;
            FeaturesWriter::create(&folder, examples, shape)
        };
        let writer = self.writer.get_or_insert_with(create);
        if let Ok(open) = writer
            && let Err(error) = open.push(rows)
        {
            *writer = Err(error);
        }
    }

    fn finish(self) {
        if let Some(Ok(writer)) = self.writer
            && writer.finish().is_ok()
        {
            let _ = self.sibling.finish();
        }
    }
}
