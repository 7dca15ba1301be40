//! Kind `top5-panel`.

use schemars::JsonSchema;
use sconce_core::{Context, Error, Folder, Input, Result, Stage, outputs};
use sconce_data::classes::is_same;
use sconce_data::{Figure, ImageSet, Table};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Names, pictures};
use crate::Words;
use crate::panels::{self, Prediction};
use crate::table::long;

/// Shows photographs with their likeliest classes: the original, what the network was given, a bar for each class.
///
/// `predictions` is a table with a row for each photograph and class and the columns `image` (the photograph's name),
/// `class` and `probability` (0 to 1). Where the photographs have classes of the same names, the true one is set apart.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Top5Panel {
    /// The photographs.
    pub images: Input<ImageSet>,
    /// The same photographs as the network was given them.
    #[serde(default)]
    pub preprocessed: Option<Input<ImageSet>>,
    /// Classes and probabilities.
    pub predictions: Input<Table>,
    /// Names of the photographs that are shown; by default the first `max_images`.
    #[serde(default)]
    pub only: Names,
    /// Images at most.
    #[serde(default = "six")]
    pub max_images: usize,
    /// Classes of each photograph, likeliest first.
    #[serde(default = "five")]
    pub top: usize,
    /// Above the panel.
    #[serde(default)]
    #[schemars(extend("x-sconce-text" = true))]
    pub title: String,
    /// Below the panel.
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

fn five() -> usize {
    5
}

fn six() -> usize {
    6
}

outputs! { Top5Panel:
    /// The panel as PNG.
    FIGURE: Figure = "figure";
}

impl Stage for Top5Panel {
    const KIND: &'static str = "top5-panel";
    const VERSION: u32 = 2;

    fn check(&self) -> Result<()> {
        pictures::check_density(self.density)?;
        for (key, value) in [("max_images", self.max_images), ("top", self.top)] {
            if !(1..=20).contains(&value) {
                return Err(Error::parameter(key, format!("expected 1 to 20, found {value}")));
            }
        }
        Ok(())
    }

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        pictures::with_fonts(ctx, &self.fonts, || {
            let images = ctx.input(&self.images)?;
            let preprocessed = ctx.optional(&self.preprocessed)?;
            let predictions = ctx.input(&self.predictions)?;
            let ids = &images.examples().ids;
            let chosen: Vec<usize> = if self.only.is_empty() {
                (0..ids.len().min(self.max_images)).collect()
            } else {
                self.only
                    .0
                    .iter()
                    .map(|id| pictures::place_of("images", ids, id))
                    .collect::<Result<_>>()?
            };
            let rows = chosen.iter().map(|place| {
                let id = ids.get(*place).map_or("", String::as_str);
                let mut shown = vec![pictures::pixels(&images, *place)?];
                if let Some(preprocessed) = &preprocessed {
                    let place =
                        pictures::place_of("preprocessed", &preprocessed.examples().ids, id)?;
                    shown.push(pictures::pixels(preprocessed, place)?);
                }
                let mut classes = self.classes_of(&predictions, id)?;
                classes.truncate(self.top);
                let truth = images.examples().class_of(*place);
                let label = truth.unwrap_or_else(|| pictures::short_name(id)).to_owned();
                let place = |truth| classes.iter().position(|(class, _)| is_same(class, truth));
                let truth = truth.and_then(place);
                Ok(Prediction { label, images: shown, classes, truth })
            });
            let rows: Vec<Prediction> = rows.collect::<Result<_>>()?;
            let heads = ["original".to_owned(), "preprocessed".to_owned()];
            let heads = if preprocessed.is_some() { &heads[..] } else { &[] };
            let scene = panels::predictions(&Words::new(&self.title, &self.caption), heads, &rows)?;
            ctx.write(
                Self::FIGURE,
                &pictures::photograph("top5", &scene, self.density, &self.caption)?,
            )
        })
    }
}

impl Top5Panel {
    /// The classes of one photograph, likeliest first.
    fn classes_of(&self, table: &Table, id: &str) -> Result<Vec<(String, f64)>> {
        let wrong = |message: String| Error::Input { slot: "predictions".to_owned(), message };
        let find =
            |name| long::column(table, "column", name).map_err(|error| wrong(error.to_string()));
        let (image, class, probability) = (find("image")?, find("class")?, find("probability")?);
        let mut classes = Vec::new();
        for (index, row) in table.rows.iter().enumerate() {
            if row.get(image).and_then(Value::as_str) != Some(id) {
                continue;
            }
            let name = row.get(class).and_then(Value::as_str).unwrap_or_default().to_owned();
            let number = long::number(table, index, probability)
                .map_err(|error| wrong(error.to_string()))?;
            classes.push((name, number.unwrap_or(f64::NAN)));
        }
        if classes.is_empty() {
            return Err(wrong(format!("no row for the image `{id}`")));
        }
        classes.sort_by(|a, b| b.1.total_cmp(&a.1));
        Ok(classes)
    }
}
