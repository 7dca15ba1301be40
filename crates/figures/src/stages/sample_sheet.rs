//! Kind `sample-sheet`.

use schemars::JsonSchema;
use sconce_core::{Context, Error, Folder, Input, Result, Stage, outputs};
use sconce_data::{Figure, ImageSet};
use serde::{Deserialize, Serialize};

use super::{Names, pictures};
use crate::Words;
use crate::grid::{Cell, Grid, Row};

/// Shows some images of each class of a data set, a class a row.
///
/// The images are taken evenly from the first to the last of each class, so that no seed is needed. A set without
/// classes is shown in rows.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SampleSheet {
    /// The images.
    pub images: Input<ImageSet>,
    /// The split whose images are shown; empty for all images.
    #[serde(default)]
    pub split: String,
    /// The classes that are shown; all by default.
    #[serde(default)]
    pub only_classes: Names,
    /// Images of each class.
    #[serde(default = "eight")]
    pub per_class: usize,
    /// Width of an image in CSS pixels.
    #[serde(default = "cell")]
    pub cell: f64,
    /// Whether file names stand below the images.
    #[serde(default)]
    pub names: bool,
    /// Above the sheet.
    #[serde(default)]
    #[schemars(extend("x-sconce-text" = true))]
    pub title: String,
    /// Below the sheet; by default it says what the set holds.
    #[serde(default)]
    #[schemars(extend("x-sconce-text" = true))]
    pub caption: String,
    /// Pixels of the PNG for each CSS pixel.
    #[serde(default = "pictures::density")]
    pub density: f64,
    /// Fonts for letters that the bundled ones (Latin, Greek, Cyrillic) lack: a folder of `.ttf` or `.otf` files, such as that
    /// of a stage of kind `file`. Letters that no font has are drawn as boxes, and told.
    #[serde(default)]
    pub fonts: Option<Input<Folder>>,
}

fn eight() -> usize {
    8
}

fn cell() -> f64 {
    72.0
}

outputs! { SampleSheet:
    /// The sheet as PNG.
    FIGURE: Figure = "figure";
}

impl Stage for SampleSheet {
    const KIND: &'static str = "sample-sheet";
    const VERSION: u32 = 2;

    fn check(&self) -> Result<()> {
        pictures::check_density(self.density)?;
        check_cell(self.cell)?;
        if (1..=100).contains(&self.per_class) {
            Ok(())
        } else {
            Err(Error::parameter(
                "per_class",
                format!("expected 1 to 100, found {}", self.per_class),
            ))
        }
    }

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        pictures::with_fonts(ctx, &self.fonts, || {
            let images = ctx.input(&self.images)?;
            let examples = images.examples();
            let chosen = match self.split.as_str() {
                "" => (0..images.len()).collect(),
                split => examples
                    .in_split(split)
                    .map_err(|error| Error::parameter("split", error.to_string()))?,
            };
            if let Some(class) =
                self.only_classes.0.iter().find(|class| !examples.classes.contains(class))
            {
                let known = examples.classes.iter().map(String::as_str);
                return Err(Error::parameter(
                    "only_classes",
                    crate::Error::unknown("class", class, known).to_string(),
                ));
            }
            let mut rows = Vec::new();
            if examples.is_labelled() {
                for class in examples.classes.iter().filter(|class| {
                    self.only_classes.is_empty() || self.only_classes.contains(class)
                }) {
                    let members: Vec<usize> = chosen
                        .iter()
                        .copied()
                        .filter(|place| examples.class_of(*place) == Some(class))
                        .collect();
                    rows.push(self.row(
                        &images,
                        class,
                        &pictures::spread(&members, self.per_class),
                    )?);
                    ctx.check_cancelled()?;
                }
            } else {
                let places = pictures::spread(&chosen, self.per_class * self.per_class);
                for places in places.chunks(self.per_class) {
                    rows.push(self.row(&images, "", places)?);
                }
            }
            let caption = pictures::or_automatic(&self.caption, || {
                let of = match self.split.as_str() {
                    "" => String::new(),
                    split => format!(" of the split {split}"),
                };
                let classes = if examples.is_labelled() {
                    format!(" in {} classes", examples.classes.len())
                } else {
                    String::new()
                };
                format!(
                    "{} images{of}{classes}; those shown are taken evenly from first to last.",
                    chosen.len()
                )
            });
            let mut grid = Grid::new(Words::new(&self.title, &caption), rows, self.cell);
            grid.pixelated = images.size().is_some_and(|(width, height)| width.max(height) <= 64);
            grid.density = self.density;
            ctx.write(
                Self::FIGURE,
                &pictures::photograph("samples", &grid.scene()?, self.density, &caption)?,
            )
        })
    }
}

impl SampleSheet {
    fn row(&self, images: &ImageSet, label: &str, places: &[usize]) -> Result<Row> {
        let cells = places.iter().map(|place| {
            let id = images.examples().ids.get(*place).map_or("", String::as_str);
            let caption = if self.names { pictures::short_name(id) } else { "" };
            Ok(Cell::captioned(pictures::pixels(images, *place)?, caption))
        });
        Ok(Row { label: label.to_owned(), cells: cells.collect::<Result<_>>()? })
    }
}

pub(super) fn check_cell(cell: f64) -> Result<()> {
    if (8.0..=1000.0).contains(&cell) {
        Ok(())
    } else {
        Err(Error::parameter("cell", format!("expected 8 to 1000, found {cell}")))
    }
}
