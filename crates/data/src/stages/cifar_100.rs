use schemars::JsonSchema;
use sconce_core::{Context, Folder, Inputs, Resources, Result, Stage, outputs};
use serde::{Deserialize, Serialize};

use super::{files_of, some_stage};
use crate::cifar;
use crate::image_set::ImageSet;

/// Reads CIFAR-100, photographs of a hundred classes: the files of its binary version.
///
/// `train.bin` and `test.bin` become the splits `train` and `test`; one of them is enough. The images are RGB, 32 × 32.
/// `fine_label_names.txt` names the classes, `coarse_label_names.txt` the superclasses.
///
/// Krizhevsky, "Learning multiple layers of features from tiny images" (2009). The archive, whose digest `fetch` tells:
///
/// ```toml
/// [stage.files]
/// kind = "fetch"
/// digest = "blake3:…"
/// sources = ["https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz"]
///
/// [stage.cifar]
/// kind = "cifar-100"
/// files = ["files"]
/// ```
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cifar100 {
    /// The files: one stage that has them all, or a list of stages.
    pub files: Inputs<Folder>,
    /// Whether the 20 superclasses, of five classes each, are the classes.
    #[serde(default)]
    pub superclasses: bool,
}

outputs! { Cifar100:
    /// The photographs, with classes and splits.
    IMAGES: ImageSet = "images";
}

impl Stage for Cifar100 {
    const KIND: &'static str = "cifar-100";
    const VERSION: u32 = 1;

    fn resources(&self) -> Resources {
        Resources { memory: 512 << 20, ..Resources::default() }
    }

    fn check(&self) -> Result<()> {
        some_stage(&self.files)
    }

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        let images = cifar::read_100(&files_of(ctx, &self.files)?, self.superclasses)?;
        ctx.metric("images", images.len() as f64);
        ctx.write(Self::IMAGES, &images)
    }
}
