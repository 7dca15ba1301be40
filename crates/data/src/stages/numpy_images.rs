use schemars::JsonSchema;
use sconce_core::error::ResultExt;
use sconce_core::{Context, Folder, Input, Resources, Result, Stage, outputs};
use serde::{Deserialize, Serialize};

use crate::image_set::ImageSet;
use crate::{npz, weights};

/// Reads images from arrays of NumPy: an `.npz` file with bytes of shape `(n, height, width, 3)`, or grey ones, and
/// labels of shape `(n)` or `(n, 1)`; or one `.npy` file with the images alone.
///
/// Arrays of Python objects (pickles) in the file are left alone: they could run any code. Class names come from
/// `class_names`, or are the labels' numbers.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NumpyImages {
    /// The file, such as that of `fetch` or `file`: one `.npz` or `.npy`.
    pub file: Input<Folder>,
    /// The name of the array of images, in an `.npz` file.
    #[serde(default = "x")]
    pub image_array: String,
    /// The name of the array of labels, in an `.npz` file; empty for images without classes.
    #[serde(default = "y")]
    pub label_array: String,
    /// Names of the classes: one JSON file, a list or an object from numbers to names.
    #[serde(default)]
    pub class_names: Option<Input<Folder>>,
}

fn x() -> String {
    "X".to_owned()
}

fn y() -> String {
    "y".to_owned()
}

outputs! { NumpyImages:
    /// The images, named by their place, with classes.
    IMAGES: ImageSet = "images";
}

impl Stage for NumpyImages {
    const KIND: &'static str = "numpy-images";
    const VERSION: u32 = 1;

    fn resources(&self) -> Resources {
        Resources { memory: 256 << 20, ..Resources::default() }
    }

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        let Folder(files) = ctx.input(&self.file)?;
        let (name, path) = files.only().doing(|| "the arrays' file".to_owned())?;
        let classes = match ctx.optional(&self.class_names)? {
            None => Vec::new(),
            Some(Folder(files)) => {
                let (name, path) = files.only().doing(|| "the class names' file".to_owned())?;
                weights::class_names(path).doing(|| format!("reading `{name}`"))?
            }
        };
        let labels = Some(self.label_array.as_str()).filter(|labels| !labels.is_empty());
        if npz::is_npy(path)? {
            ctx.note("an .npy file holds one array: the images have no classes");
        }
        let images = npz::images(path, &self.image_array, labels, classes)
            .doing(|| format!("reading `{name}`"))?;
        ctx.metric("images", images.len() as f64);
        ctx.write(Self::IMAGES, &images)
    }
}
