use schemars::JsonSchema;
use sconce_core::{Context, Folder, Inputs, Resources, Result, Stage, outputs};
use serde::{Deserialize, Serialize};

use super::{files_of, some_stage};
use crate::image_set::ImageSet;
use crate::svhn;

/// Reads SVHN, digits of house numbers: the `.mat` files of its cropped format, as published.
///
/// `train_32x32.mat`, `test_32x32.mat` and `extra_32x32.mat` become the splits `train`, `test` and `extra`; one of them is
/// enough. The images are RGB, 32 × 32. The classes are `0` to `9`, those of `mnist` and `usps`: any two of these sets are a
/// source and a target for domain adaptation, such as SVHN → MNIST.
///
/// Netzer et al., "Reading digits in natural images with unsupervised feature learning" (2011). The files, whose digests
/// `fetch` tells:
///
/// ```toml
/// [stage.svhn-train]
/// kind = "fetch"
/// digest = "blake3:…"
/// sources = ["http://ufldl.stanford.edu/housenumbers/train_32x32.mat"]
///
/// [stage.svhn]
/// kind = "svhn"
/// files = ["svhn-train", "svhn-test"]
///
/// [stage.adapted]              # brings both to 28 × 28 in three channels
/// kind = "adapt"
/// source = "svhn"
/// target = "mnist"
/// ```
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Svhn {
    /// The files: one stage that has them all, or a list of stages.
    pub files: Inputs<Folder>,
}

outputs! { Svhn:
    /// The digits, with classes and splits.
    IMAGES: ImageSet = "images";
}

impl Stage for Svhn {
    const KIND: &'static str = "svhn";
    const VERSION: u32 = 1;

    fn resources(&self) -> Resources {
        Resources { memory: Resources::GIB, ..Resources::default() }
    }

    fn check(&self) -> Result<()> {
        some_stage(&self.files)
    }

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        let images = svhn::read(&files_of(ctx, &self.files)?)?;
        ctx.metric("images", images.len() as f64);
        ctx.write(Self::IMAGES, &images)
    }
}
