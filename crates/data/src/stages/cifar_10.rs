use schemars::JsonSchema;
use sconce_core::{Context, Folder, Inputs, Resources, Result, Stage, outputs};
use serde::{Deserialize, Serialize};

use super::{files_of, some_stage};
use crate::cifar;
use crate::image_set::ImageSet;

/// Reads CIFAR-10, photographs of ten classes: the files of its binary version.
///
/// `data_batch_1.bin` to `data_batch_5.bin` become the split `train`, `test_batch.bin` the split `test`; one of the two splits
/// is enough. The images are RGB, 32 × 32. `batches.meta.txt` names the classes; without it they are called as published,
/// `airplane` to `truck`.
///
/// Krizhevsky, "Learning multiple layers of features from tiny images" (2009). The archive, whose digest `fetch` tells:
///
/// ```toml
/// [stage.files]
/// kind = "fetch"
/// digest = "blake3:…"
/// sources = ["https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"]
///
/// [stage.cifar]
/// kind = "cifar-10"
/// files = ["files"]
/// ```
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cifar10 {
    /// The files: one stage that has them all, or a list of stages.
    pub files: Inputs<Folder>,
}

outputs! { Cifar10:
    /// The photographs, with classes and splits.
    IMAGES: ImageSet = "images";
}

impl Stage for Cifar10 {
    const KIND: &'static str = "cifar-10";
    const VERSION: u32 = 1;

    fn resources(&self) -> Resources {
        Resources { memory: 512 << 20, ..Resources::default() }
    }

    fn check(&self) -> Result<()> {
        some_stage(&self.files)
    }

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        let images = cifar::read_10(&files_of(ctx, &self.files)?)?;
        ctx.metric("images", images.len() as f64);
        ctx.write(Self::IMAGES, &images)
    }
}
