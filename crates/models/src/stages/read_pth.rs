use std::collections::BTreeMap;

use candle_core::Tensor;
use schemars::JsonSchema;
use sconce_core::error::ResultExt;
use sconce_core::{Context, Error, Folder, Input, Resources, Result, Stage, outputs};
use serde::{Deserialize, Serialize};

/// Turns a file of `torch.save` (`.pth`) into a safetensors file, for kind `weights`.
///
/// The pickle is read, not run: only tensors of a state dictionary come out, in single precision.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReadPth {
    /// The file, such as that of `fetch` or `file`: one `.pth`.
    pub file: Input<Folder>,
}

outputs! { ReadPth:
    /// `model.safetensors`.
    FILE: Folder = "file";
}

impl Stage for ReadPth {
    const KIND: &'static str = "read-pth";
    const VERSION: u32 = 1;

    fn resources(&self) -> Resources {
        Resources { memory: 2 * Resources::GIB, ..Resources::default() }
    }

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        let Folder(files) = ctx.input(&self.file)?;
        let (_, path) = files.only().doing(|| "the weights' file".to_owned())?;
        let tensors = crate::read_pth(path)?;
        let by_name: BTreeMap<&str, &Tensor> = tensors.iter().collect();
        let path = ctx.folder(Self::FILE).join("model.safetensors");
        safetensors::serialize_to_file(by_name, None, &path)
            .map_err(Error::other)
            .doing(|| path.display().to_string())
    }
}
