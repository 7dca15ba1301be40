use schemars::JsonSchema;
use sconce_core::{Context, Folder, Input, Resources, Result, Stage, Threads, outputs};
use serde::{Deserialize, Serialize};

use crate::image::Color;
use crate::image_folder;
use crate::image_set::ImageSet;

/// Reads images from a folder with one folder for each class, as `CLASS/…` or `SPLIT/CLASS/…`;
/// files without class folders are images without classes.
///
/// JPEG, PNG and GIF. Every image is decoded once: broken ones are reported by name, all in one
/// message, and none is passed over; a JPEG file that lacks only its end marker is read and told.
/// Hidden files and files that hold no image by their ending
/// (`README.md`) are left out and told.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImageFolder {
    /// The files, such as those of `fetch` or `file`.
    pub files: Input<Folder>,
    /// What images are decoded to: `rgb` or `grey`.
    #[serde(default)]
    pub color: Color,
    /// Folders at the top that are splits, in their order. Without it, they are splits when all
    /// of them are called like one: `train`, `val`, `valid`, `validation`, `test`, or as `Training`,
    /// `test_set`, `val2017`, which become `train`, `test` and `val`. An empty list: none.
    #[serde(default)]
    pub splits: Option<Vec<String>>,
}

outputs! { ImageFolder:
    /// The images, with classes and splits.
    IMAGES: ImageSet = "images";
}

impl Stage for ImageFolder {
    const KIND: &'static str = "image-folder";
    const VERSION: u32 = 2;

    fn resources(&self) -> Resources {
        Resources { threads: Threads::All, ..Resources::default() }
    }

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        let Folder(files) = ctx.input(&self.files)?;
        let (images, passed_over) = image_folder::read(&files, self.color, self.splits.as_deref())?;
        if let Some(first) = passed_over.files.first() {
            let n = passed_over.files.len();
            ctx.note(format!("{n} files that are no images were left out, such as `{first}`"));
        }
        let without_end = images.check_images(|done| ctx.progress(done, images.len(), "images"))?;
        if let Some(&first) = without_end.first() {
            let (n, id) = (without_end.len(), &images.examples().ids[first]);
            ctx.note(format!(
                "{n} JPEG files end without their end marker, such as `{id}`; no pixel is missing"
            ));
        }
        ctx.metric("images", images.len() as f64);
        ctx.metric("classes", images.examples().classes.len() as f64);
        ctx.write(Self::IMAGES, &images)
    }
}
