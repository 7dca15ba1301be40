use schemars::JsonSchema;
use sconce_core::error::ResultExt;
use sconce_core::{Context, Error, Folder, Input, Resources, Result, Stage, outputs};
use serde::{Deserialize, Serialize};

use crate::preprocess::Preprocessing;
use crate::weights::{self, Weights};

/// Takes a safetensors file as weights of a network, with the input that they expect.
///
/// The architecture and the preprocessing are read from the file's metadata (`architecture`,
/// `channels`, `input_scale`, `input_mean`, `input_std`, `input_size`) or given here, and never
/// guessed: the same network is published with inputs of 0–255 and 0–1, RGB and BGR.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReadWeights {
    /// The file, such as that of `fetch` or `file`: one `.safetensors`.
    pub file: Input<Folder>,
    /// The network's name, as in torchvision: `squeezenet1_1`, `vgg16`. By default what the file's
    /// metadata say; it has to agree with them.
    #[serde(default)]
    pub architecture: Option<String>,
    /// The input that the weights expect, in place of what the file's metadata say.
    #[serde(default)]
    pub preprocessing: Option<Preprocessing>,
    /// Names of the classes of the last layer: one JSON file, a list or an object from numbers to
    /// names.
    #[serde(default)]
    pub class_names: Option<Input<Folder>>,
}

outputs! { ReadWeights:
    /// The weights and the input that they expect.
    WEIGHTS: Weights = "weights";
}

impl Stage for ReadWeights {
    const KIND: &'static str = "weights";
    const VERSION: u32 = 1;

    fn resources(&self) -> Resources {
        Resources { memory: 64 << 20, ..Resources::default() }
    }

    fn check(&self) -> Result<()> {
        self.preprocessing.as_ref().map_or(Ok(()), Preprocessing::check)
    }

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        let Folder(files) = ctx.input(&self.file)?;
        let (name, path) = files.only().doing(|| "the weights' file".to_owned())?;
        if name.ends_with(".pth") || name.ends_with(".pt") || name.ends_with(".bin") {
            return Err(Error::Input {
                slot: "file".to_owned(),
                message: format!("`{name}` is a pickle of PyTorch; expected safetensors"),
            });
        }
        let classes = match ctx.optional(&self.class_names)? {
            None => Vec::new(),
            Some(Folder(files)) => {
                let (name, path) = files.only().doing(|| "the class names' file".to_owned())?;
                weights::class_names(path).doing(|| format!("reading `{name}`"))?
            }
        };
        let weights = Weights::from_safetensors(
            path,
            self.architecture.as_deref(),
            self.preprocessing.clone(),
            classes,
        )
        .doing(|| format!("`{name}`"))?;
        ctx.write(Self::WEIGHTS, &weights)
    }
}
