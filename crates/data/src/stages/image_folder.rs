use schemars::JsonSchema;
use sconce_core::{Context, Error, Folder, Input, Resources, Result, Stage, Threads, outputs};
use serde::{Deserialize, Serialize};

use crate::image::Color;
use crate::image_folder;
use crate::image_set::ImageSet;
use crate::label_files::{LabelFiles, Labels};

/// Reads images from a folder with one folder for each class, as `CLASS/…` or `SPLIT/CLASS/…`;
/// files without class folders are images without classes, or have them from text files (`label_files`).
///
/// JPEG, PNG and GIF. Every image is decoded once: broken ones are reported by name, all in one
/// message, and none is passed over; a JPEG file that lacks only its end marker is read and told.
/// Hidden files and files that hold no image by their ending
/// (`README.md`) are left out and told.
///
/// MNIST-M as it is passed round, flat folders of PNG files and a text file for each:
///
/// ```toml
/// [stage.mnist-m]
/// kind = "image-folder"
/// files = "files"          # mnist_m_train/…, mnist_m_test/…, and two text files
/// label_files = { train = "mnist_m_train_labels.txt", test = "mnist_m_test_labels.txt" }
/// ```
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
    /// `test_set`, `val2017`, which become `train`, `test` and `val`, also behind a word that all begin with
    /// (`mnist_m_train`, `mnist_m_test`). An empty list: none.
    #[serde(default)]
    pub splits: Option<Vec<String>>,
    /// Text files that tell labels, among `files`: one for all images, or one for each split as `{ train = "train.csv" }`.
    /// A line is an image's name and its label, with a tab, a comma, a semicolon or white space between them, whichever of
    /// these the first line has first; quotes as in CSV. A name is the image's path or the end of it, with or without its
    /// ending. The first line may be one of heads (`filename,label`). Every line has to name an image, and every image
    /// needs its line. Classes are ordered by number where all are numbers; folders below the splits say nothing.
    #[serde(default)]
    pub label_files: Option<LabelFiles>,
    /// The heads of the columns with names and labels in those files, such as `["image_id", "class"]`: where there are more
    /// columns than two, or the first line is not known as one of heads.
    #[serde(default)]
    pub label_columns: Option<[String; 2]>,
}

outputs! { ImageFolder:
    /// The images, with classes and splits.
    IMAGES: ImageSet = "images";
}

impl Stage for ImageFolder {
    const KIND: &'static str = "image-folder";
    const VERSION: u32 = 3;

    fn resources(&self) -> Resources {
        Resources { threads: Threads::All, ..Resources::default() }
    }

    fn check(&self) -> Result<()> {
        if self.label_columns.is_some() && self.label_files.is_none() {
            return Err(Error::parameter("label_columns", "expected `label_files` beside it"));
        }
        Ok(())
    }

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        let Folder(files) = ctx.input(&self.files)?;
        let columns = self.label_columns.as_ref();
        let labels = self.label_files.as_ref().map(|files| Labels { files, columns });
        let (images, passed_over) =
            image_folder::read(&files, self.color, self.splits.as_deref(), labels)?;
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
