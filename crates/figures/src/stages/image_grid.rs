//! Kind `image-grid`.

use schemars::JsonSchema;
use sconce_core::{Context, Error, Folder, Input, Inputs, Result, Stage, outputs};
use sconce_data::{Figure, ImageSet};
use serde::{Deserialize, Serialize};

use super::sample_sheet::check_cell;
use super::{Names, pictures};
use crate::Words;
use crate::grid::{Cell, Grid, Row};

/// Sets images of several stages side by side: a column for each image set, a row for each image, matched by name.
///
/// One image set alone is shown in rows of `across`, or with a row for each of its splits, such as a training's looks at images.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImageGrid {
    /// The image sets, from left to right; the first decides the rows.
    pub images: Inputs<ImageSet>,
    /// Names of the columns; by default the stages with their coordinates.
    #[serde(default)]
    #[schemars(extend("x-sconce-text" = true))]
    pub heads: Names,
    /// Names of the images that are shown; by default the first `max_images`.
    #[serde(default)]
    pub only: Names,
    /// Images at most; of several sets, and of splits, rows.
    #[serde(default = "max_images")]
    pub max_images: usize,
    /// Images in a row of a single set.
    #[serde(default = "across")]
    pub across: usize,
    /// Whether a single set has a row for each split: the first `across` images of it. Where there are more splits than
    /// `max_images`, they are taken evenly, the first and the last among them.
    #[serde(default)]
    pub split_rows: bool,
    /// Width of an image in CSS pixels.
    #[serde(default = "cell")]
    pub cell: f64,
    /// Distance between images in CSS pixels.
    #[serde(default = "gap")]
    pub gap: f64,
    /// Whether the names of images, with their classes, stand beside the rows.
    #[serde(default = "yes")]
    pub names: bool,
    /// Above the grid.
    #[serde(default)]
    #[schemars(extend("x-sconce-text" = true))]
    pub title: String,
    /// Below the grid.
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

fn max_images() -> usize {
    8
}

fn across() -> usize {
    8
}

fn cell() -> f64 {
    112.0
}

fn gap() -> f64 {
    6.0
}

fn yes() -> bool {
    true
}

outputs! { ImageGrid:
    /// The grid as PNG.
    FIGURE: Figure = "figure";
}

impl Stage for ImageGrid {
    const KIND: &'static str = "image-grid";
    const VERSION: u32 = 2;

    fn check(&self) -> Result<()> {
        pictures::check_density(self.density)?;
        check_cell(self.cell)?;
        if !(0.0..=100.0).contains(&self.gap) {
            let message = format!("expected 0 to 100, found {}", self.gap);
            return Err(Error::parameter("gap", message));
        }
        for (key, value) in [("max_images", self.max_images), ("across", self.across)] {
            if value == 0 {
                return Err(Error::parameter(key, "expected 1 or more, found 0"));
            }
        }
        if self.split_rows && !self.only.is_empty() {
            let message = "a row for each split leaves no choice of images: expected no `only`";
            return Err(Error::parameter("split_rows", message));
        }
        Ok(())
    }

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        pictures::with_fonts(ctx, &self.fonts, || {
            let sets = ctx.inputs(&self.images)?;
            let first = sets
                .first()
                .ok_or_else(|| Error::parameter("images", "expected at least one image set"))?;
            if !self.heads.is_empty() && self.heads.0.len() != sets.len() {
                let message = format!(
                    "expected a name for each of {} columns, found {}",
                    sets.len(),
                    self.heads.0.len()
                );
                return Err(Error::parameter("heads", message));
            }
            if self.split_rows && sets.len() > 1 {
                let message = format!("expected one image set, found {}", sets.len());
                return Err(Error::parameter("split_rows", message));
            }
            let ids = &first.artifact.examples().ids;
            let chosen: Vec<usize> = if self.only.is_empty() {
                (0..ids.len().min(self.max_images)).collect()
            } else {
                self.only
                    .0
                    .iter()
                    .map(|id| pictures::place_of("images", ids, id))
                    .collect::<Result<_>>()?
            };
            let words = Words::new(&self.title, &self.caption);
            let mut grid = if self.split_rows {
                Grid::new(words, self.rows_of_splits(&first.artifact)?, self.cell)
            } else if sets.len() == 1 {
                let cell = |place: &usize| {
                    let label =
                        if self.names { label(&first.artifact, *place) } else { String::new() };
                    Ok(Cell::captioned(pictures::pixels(&first.artifact, *place)?, label))
                };
                let cells = chosen.iter().map(cell).collect::<Result<_>>()?;
                Grid::of_cells(words, cells, self.across, self.cell)
            } else {
                let rows = chosen.iter().map(|place| {
                    ctx.check_cancelled()?;
                    let id = ids.get(*place).map_or("", String::as_str);
                    let cells = sets.iter().map(|set| {
                        let place = pictures::place_of("images", &set.artifact.examples().ids, id)?;
                        Ok(Cell::new(pictures::pixels(&set.artifact, place)?))
                    });
                    let label =
                        if self.names { label(&first.artifact, *place) } else { String::new() };
                    Ok(Row { label, cells: cells.collect::<Result<_>>()? })
                });
                let mut grid = Grid::new(words, rows.collect::<Result<_>>()?, self.cell);
                grid.columns = match self.heads.is_empty() {
                    false => self.heads.0.clone(),
                    true => sets
                        .iter()
                        .map(|set| match set.coordinates.is_empty() {
                            true => set.stage.clone(),
                            false => format!("{} {}", set.stage, set.coordinates),
                        })
                        .collect(),
                };
                grid
            };
            grid.pixelated = pictures::are_small(&sets);
            grid.density = self.density;
            grid.gap = self.gap;
            ctx.write(
                Self::FIGURE,
                &pictures::photograph("grid", &grid.scene()?, self.density, &self.caption)?,
            )
        })
    }
}

impl ImageGrid {
    /// A row for each split, or for as many as there may be, of its first images.
    fn rows_of_splits(&self, images: &ImageSet) -> Result<Vec<Row>> {
        let splits = &images.examples().splits;
        if splits.is_empty() {
            let message = "expected images with splits, a row for each".to_owned();
            return Err(Error::Input { slot: "images".to_owned(), message });
        }
        let rows = self.max_images.min(splits.len());
        let row = |i: usize| {
            let split = &splits[i * (splits.len() - 1) / (rows - 1).max(1)];
            let places = images.examples().in_split(split)?;
            let cells = places.into_iter().take(self.across);
            let cells = cells.map(|place| Ok(Cell::new(pictures::pixels(images, place)?)));
            let label = if self.names { split.clone() } else { String::new() };
            Ok(Row { label, cells: cells.collect::<Result<_>>()? })
        };
        (0..rows).map(row).collect()
    }
}

fn label(images: &ImageSet, place: usize) -> String {
    let examples = images.examples();
    match examples.class_of(place) {
        Some(class) => class.to_owned(),
        None => pictures::short_name(examples.ids.get(place).map_or("", String::as_str)).to_owned(),
    }
}
