use schemars::JsonSchema;
use sconce_core::error::ResultExt;
use sconce_core::{Context, Folder, Input, Resources, Result, Stage, outputs};
use serde::{Deserialize, Serialize};

use crate::Checkpoint;

/// Turns a file of `torch.save` (`.pth`) into a safetensors file, for kind `weights`.
///
/// The pickle is read, not run: only tensors of a state dictionary come out. Floating point becomes single precision,
/// whole numbers of other types 64 bits, flags bytes; what cannot be read exactly is refused by name.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReadPth {
    /// The file, such as that of `fetch` or `file`: one `.pth`.
    pub file: Input<Folder>,
    /// The key of the network's dictionary in a checkpoint with several: `"state_dict"`, `"model"`, `"ema.model"`; `""` for
    /// the outermost. One alone is found without it.
    #[serde(default)]
    pub key: Option<String>,
    /// What the names of the network's tensors begin with, to be cut off; others are left out. `module.` and `_orig_mod.`
    /// before all names go without it.
    #[serde(default)]
    pub prefix: Option<String>,
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
        let (name, path) = files.only().doing(|| "the weights' file".to_owned())?;
        let checkpoint = Checkpoint::read(path, self.key.as_deref(), self.prefix.as_deref())
            .doing(|| format!("`{name}`"))?;
        checkpoint.write(&ctx.folder(Self::FILE).join("model.safetensors"))
    }
}
