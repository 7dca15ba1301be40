//! Kind `confusion-matrix`.

use schemars::JsonSchema;
use sconce_core::{Context, Error, Folder, Input, Result, Stage, outputs};
use sconce_data::{Figure, Metrics};
use serde::{Deserialize, Serialize};

use super::pictures;
use super::table::share;
use crate::plot::confusion;
use crate::{ColorMap, Words};

/// Draws a confusion matrix: true classes down, predicted classes across; counts in the cells, colours by the share
/// of each true class, and each class' accuracy at the right.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfusionMatrix {
    /// Metrics with classes and the matrix.
    pub metrics: Input<Metrics>,
    /// The name of the array of counts, true class × predicted class.
    #[serde(default = "array")]
    pub array: String,
    /// Above the matrix.
    #[serde(default)]
    #[schemars(extend("x-sconce-text" = true))]
    pub title: String,
    /// Below the matrix; by default it says the overall accuracy.
    #[serde(default)]
    #[schemars(extend("x-sconce-text" = true))]
    pub caption: String,
    /// The colours.
    #[serde(default = "colors")]
    pub colors: ColorMap,
    /// Pixels of the PNG for each CSS pixel.
    #[serde(default = "pictures::density")]
    pub density: f64,
    /// Fonts for letters that the bundled ones (Latin, Greek, Cyrillic) lack: a folder of `.ttf` or `.otf` files, such as that
    /// of a stage of kind `file`. Letters that no font has are drawn as boxes, and told.
    #[serde(default)]
    pub fonts: Option<Input<Folder>>,
}

fn array() -> String {
    "confusion".to_owned()
}

fn colors() -> ColorMap {
    ColorMap::Blues
}

outputs! { ConfusionMatrix:
    /// The matrix as SVG and PNG.
    FIGURE: Figure = "figure";
}

impl Stage for ConfusionMatrix {
    const KIND: &'static str = "confusion-matrix";
    const VERSION: u32 = 2;

    fn check(&self) -> Result<()> {
        pictures::check_density(self.density)
    }

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        pictures::with_fonts(ctx, &self.fonts, || {
            let metrics = ctx.input(&self.metrics)?;
            let names = || metrics.arrays.keys().map(String::as_str);
            let array = metrics.arrays.get(&self.array).ok_or_else(|| {
                Error::parameter(
                    "array",
                    crate::Error::unknown("array", &self.array, names()).to_string(),
                )
            })?;
            let n = metrics.classes.len();
            if array.shape != [n, n] {
                return Err(Error::parameter(
                    "array",
                    format!(
                        "`{}` has shape {:?}: expected [{n}, {n}], a row and a column for each class",
                        self.array, array.shape
                    ),
                ));
            }
            let caption = pictures::or_automatic(&self.caption, || {
                let total: f64 = array.data.iter().sum();
                let hits: f64 = array.data.iter().step_by(n + 1).sum();
                format!(
                    "Counts; colours are shares of each true class. {} of {} right: accuracy {}.",
                    crate::ticks::plain(hits),
                    crate::ticks::plain(total),
                    share(hits / total)
                )
            });
            let mut matrix =
                confusion(Words::new(&self.title, &caption), &metrics.classes, &array.data)?;
            matrix.map = self.colors;
            ctx.write(
                Self::FIGURE,
                &pictures::drawing("confusion", &matrix.scene()?, self.density, &caption)?,
            )
        })
    }
}
