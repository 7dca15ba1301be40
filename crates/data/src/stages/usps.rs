use schemars::JsonSchema;
use sconce_core::{Context, Folder, Inputs, Resources, Result, Stage, outputs};
use serde::{Deserialize, Serialize};

use super::{files_of, some_stage};
use crate::image_set::ImageSet;
use crate::usps;

/// Reads USPS, digits of zip codes on letters: the text files of LIBSVM's collection, plain or packed by bzip2.
///
/// `usps.bz2` (7,291 digits) becomes the split `train`, `usps.t.bz2` (2,007) the split `test`; one of the two is enough. The
/// images are grey, 16 × 16, bright on black, bit for bit as torchvision has them. The classes are `0` to `9`, those of `mnist`
/// and `svhn`: any two of these sets are a source and a target for domain adaptation, such as USPS → MNIST.
///
/// Hull, "A database for handwritten text recognition research", IEEE PAMI 16 (1994). The files, whose digests `fetch`
/// tells:
///
/// ```toml
/// [stage.usps-train]
/// kind = "fetch"
/// digest = "blake3:…"
/// sources = ["https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass/usps.bz2"]
///
/// [stage.usps]
/// kind = "usps"
/// files = ["usps-train", "usps-test"]
///
/// [stage.adapted]              # brings both to 28 × 28 in three channels
/// kind = "adapt"
/// source = "usps"
/// target = "mnist"
/// ```
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Usps {
    /// The files: one stage that has them all, or a list of stages.
    pub files: Inputs<Folder>,
}

outputs! { Usps:
    /// The digits, with classes and splits.
    IMAGES: ImageSet = "images";
}

impl Stage for Usps {
    const KIND: &'static str = "usps";
    const VERSION: u32 = 1;

    fn resources(&self) -> Resources {
        Resources { memory: 128 << 20, ..Resources::default() }
    }

    fn check(&self) -> Result<()> {
        some_stage(&self.files)
    }

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        let images = usps::read(&files_of(ctx, &self.files)?)?;
        ctx.metric("images", images.len() as f64);
        ctx.write(Self::IMAGES, &images)
    }
}
