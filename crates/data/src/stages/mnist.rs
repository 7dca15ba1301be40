use schemars::JsonSchema;
use sconce_core::{Context, Error, Folder, Inputs, Output, Resources, Result, Stage};
use serde::{Deserialize, Serialize};

use crate::idx;
use crate::image_set::ImageSet;

/// Reads MNIST and what is laid out like it (Fashion-MNIST, KMNIST, EMNIST): IDX files of images
/// and labels, plain or gzipped.
///
/// `train-images-idx3-ubyte` and `train-labels-idx1-ubyte` become the split `train`, the same
/// with `t10k` the split `test`; one of the two is enough. The images are grey.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mnist {
    /// The files: one stage that has them all, or a list of stages.
    pub files: Inputs<Folder>,
}

impl Stage for Mnist {
    const KIND: &'static str = "mnist";
    const VERSION: u32 = 1;
    const OUTPUTS: &'static [Output] =
        &[Output::of::<ImageSet>("images", "the digits, with classes and splits")];

    fn resources(&self) -> Resources {
        Resources { memory: 256 << 20, ..Resources::default() }
    }

    fn check(&self) -> Result<()> {
        if self.files.edges().is_empty() {
            return Err(Error::parameter("files", "expected at least one stage"));
        }
        Ok(())
    }

    fn run(&self, ctx: &Context) -> Result<()> {
        let files = ctx.inputs(&self.files)?;
        let files: Vec<_> = files.into_iter().map(|from| from.artifact.0).collect();
        let images = idx::mnist(&files)?;
        ctx.metric("images", images.len() as f64);
        ctx.write("images", &images)
    }
}
