//! Kind `adversarial-panel`.

use schemars::JsonSchema;
use sconce_core::{Context, Error, Folder, Input, Result, Stage, outputs};
use sconce_data::{Figure, ImageSet, Table};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::sample_sheet::check_cell;
use super::{Many, Names, pictures};
use crate::Words;
use crate::adversarial::{difference, marked};
use crate::color::series_color;
use crate::grid::{Cell, Grid, Row};
use crate::table::long;

/// Shows what attacks made of images: original, fooled image, difference and amplified difference, with what the network
/// takes them for.
///
/// `images` and `fooled` are the outputs `originals` and `fooled` of an attack, and `results` is its table; the fooled image
/// is the one that an 8-bit file holds, and so are its prediction and its distances. An image that fooled nobody is framed.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdversarialPanel {
    /// The images before.
    pub images: Input<ImageSet>,
    /// The images after.
    pub fooled: Input<ImageSet>,
    /// A row for each image: predictions, distances, steps.
    pub results: Input<Table>,
    /// What is shown of each image: `original`, `fooled`, `difference`, `amplified`.
    #[serde(default = "everything")]
    pub show: Many<Shown>,
    /// By how much the amplified difference is multiplied.
    #[serde(default = "ten")]
    pub amplify: f64,
    /// Whether a square stands around each changed pixel of the fooled image: for attacks that change few.
    #[serde(default)]
    pub mark_pixels: bool,
    /// Names of the images that are shown; by default the first `max_images`.
    #[serde(default)]
    pub only: Names,
    /// Whether only images that fool are shown; where none does, all are.
    #[serde(default)]
    pub successes: bool,
    /// Images at most.
    #[serde(default = "six")]
    pub max_images: usize,
    /// Images side by side.
    #[serde(default = "one")]
    pub across: usize,
    /// Width of a picture in CSS pixels.
    #[serde(default = "cell")]
    pub cell: f64,
    /// Above the panel.
    #[serde(default)]
    #[schemars(extend("x-sconce-text" = true))]
    pub title: String,
    /// Below the panel; by default it says what the pictures are.
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

/// A picture of an attacked image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Shown {
    /// Before.
    Original,
    /// After.
    Fooled,
    /// What changed, around grey.
    Difference,
    /// What changed, times `amplify`, around grey.
    Amplified,
}

fn everything() -> Many<Shown> {
    Many(vec![Shown::Original, Shown::Fooled, Shown::Difference, Shown::Amplified])
}

fn ten() -> f64 {
    10.0
}

fn six() -> usize {
    6
}

fn one() -> usize {
    1
}

fn cell() -> f64 {
    168.0
}

outputs! { AdversarialPanel:
    /// The panel as PNG.
    FIGURE: Figure = "figure";
}

impl Stage for AdversarialPanel {
    const KIND: &'static str = "adversarial-panel";
    const VERSION: u32 = 2;

    fn check(&self) -> Result<()> {
        pictures::check_density(self.density)?;
        check_cell(self.cell)?;
        if !(self.amplify.is_finite() && self.amplify > 0.0) {
            let message = format!("expected a number above 0, found {}", self.amplify);
            return Err(Error::parameter("amplify", message));
        }
        if self.show.is_empty() {
            return Err(Error::parameter("show", "expected at least one picture of each image"));
        }
        for (key, value) in [("max_images", self.max_images), ("across", self.across)] {
            if value == 0 {
                return Err(Error::parameter(key, "expected 1 or more, found 0"));
            }
        }
        Ok(())
    }

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        pictures::with_fonts(ctx, &self.fonts, || {
            let images = ctx.input(&self.images)?;
            let fooled = ctx.input(&self.fooled)?;
            let results = Results::of(ctx.input(&self.results)?)?;
            let ids: Vec<&str> = if self.only.is_empty() {
                let successes = self.successes && results.ids().any(|id| results.fooled(id));
                results
                    .ids()
                    .filter(|id| !successes || results.fooled(id))
                    .take(self.max_images)
                    .collect()
            } else {
                self.only.0.iter().map(String::as_str).collect()
            };
            let mut shown = Vec::new();
            for id in ids {
                ctx.check_cancelled()?;
                let place = pictures::place_of("images", &images.examples().ids, id)?;
                let before = pictures::pixels(&images, place)?;
                let place = pictures::place_of("fooled", &fooled.examples().ids, id)?;
                let after = pictures::pixels(&fooled, place)?;
                let row = results.row(id)?;
                let cells = self.show.0.iter().map(|shown| {
                    let picture = match shown {
                        Shown::Original => before.clone(),
                        Shown::Fooled if self.mark_pixels => marked(&before, &after)?,
                        Shown::Fooled => after.clone(),
                        Shown::Difference => difference(&before, &after, 1.0)?,
                        Shown::Amplified => difference(&before, &after, self.amplify)?,
                    };
                    let failed = *shown == Shown::Fooled && !results.fooled(id);
                    let frame = failed.then(|| series_color(1));
                    Ok(Cell { frame, ..Cell::captioned(picture, results.words(row, *shown)?) })
                });
                shown.push((results.label(row, id), cells.collect::<Result<Vec<_>>>()?));
            }
            let caption = pictures::or_automatic(&self.caption, || self.automatic());
            let small = images.size().is_some_and(|(width, height)| width.max(height) <= 64);
            let mut grid = self.grid(shown, &caption);
            grid.pixelated = small;
            grid.density = self.density;
            ctx.write(
                Self::FIGURE,
                &pictures::photograph("adversarial", &grid.scene()?, self.density, &caption)?,
            )
        })
    }
}

impl AdversarialPanel {
    fn grid(&self, shown: Vec<(String, Vec<Cell>)>, caption: &str) -> Grid {
        let across = self.across.min(shown.len().max(1));
        let rows = shown.chunks(across).map(|images| Row {
            label: match images {
                [(label, _)] if across == 1 => label.clone(),
                _ => String::new(),
            },
            cells: images.iter().flat_map(|(_, cells)| cells.clone()).collect(),
        });
        let mut grid = Grid::new(Words::new(&self.title, caption), rows.collect(), self.cell);
        let head = |shown: &Shown| match shown {
            Shown::Original => "original".to_owned(),
            Shown::Fooled => "fooled".to_owned(),
            Shown::Difference => "difference".to_owned(),
            Shown::Amplified => format!("difference × {}", self.amplify),
        };
        let heads: Vec<String> = self.show.0.iter().map(head).collect();
        grid.columns = vec![heads; across].concat();
        grid
    }

    fn automatic(&self) -> String {
        let mut caption = "Below each image what the network takes it for".to_owned();
        let differs = |shown: &&Shown| matches!(shown, Shown::Difference | Shown::Amplified);
        if self.show.0.iter().any(|shown| differs(&shown)) {
            caption.push_str("; differences are around grey, distances in levels of 0–255");
        }
        caption.push_str(". All images are 8-bit files; an image that fools nobody is framed.");
        caption
    }
}

/// The table of an attack.
struct Results {
    table: Table,
    image: usize,
}

impl Results {
    fn of(table: Table) -> Result<Self> {
        let image = column(&table, "image")?;
        Ok(Self { image, table })
    }

    fn ids(&self) -> impl Iterator<Item = &str> {
        self.table.rows.iter().filter_map(|row| row.get(self.image)?.as_str())
    }

    fn row(&self, id: &str) -> Result<&[Value]> {
        let place = self.ids().position(|other| other == id);
        place.and_then(|place| self.table.rows.get(place)).map(Vec::as_slice).ok_or_else(|| {
            Error::Input { slot: "results".into(), message: format!("no row for the image `{id}`") }
        })
    }

    fn cell<'a>(&self, row: &'a [Value], name: &str) -> Result<&'a Value> {
        Ok(row.get(column(&self.table, name)?).unwrap_or(&Value::Null))
    }

    fn text(&self, row: &[Value], name: &str) -> Result<String> {
        // ImageNet's names list synonyms: the first is enough.
        let name = self.cell(row, name)?.as_str().unwrap_or_default();
        Ok(name.split(',').next().unwrap_or_default().to_owned())
    }

    fn number(&self, row: &[Value], name: &str) -> Result<f64> {
        self.cell(row, name)?.as_f64().ok_or_else(|| Error::Input {
            slot: "results".into(),
            message: format!("column `{name}`: expected a number"),
        })
    }

    fn fooled(&self, id: &str) -> bool {
        let fooled = self.row(id).and_then(|row| self.cell(row, "rounded_fooled"));
        fooled.is_ok_and(|fooled| *fooled == Value::Bool(true))
    }

    /// Beside the row: what the image was to be taken for, or its name.
    fn label(&self, row: &[Value], id: &str) -> String {
        match self.text(row, "target") {
            Ok(target) if !target.is_empty() => format!("to {target}"),
            _ => pictures::short_name(id).to_owned(),
        }
    }

    fn words(&self, row: &[Value], shown: Shown) -> Result<String> {
        let said = |class: &str, probability: &str| {
            let share = 100.0 * self.number(row, probability)?;
            Ok(format!("{}\n{share:.1} %", self.text(row, class)?))
        };
        match shown {
            Shown::Original => said("before", "before_probability"),
            Shown::Fooled => said("rounded", "rounded_probability"),
            Shown::Difference => Ok(format!(
                "L2 {:.0}, L∞ {:.0}",
                self.number(row, "rounded_l2")?,
                self.number(row, "rounded_linf")?
            )),
            Shown::Amplified => Ok(String::new()),
        }
    }
}

fn column(table: &Table, name: &str) -> Result<usize> {
    long::column(table, "column", name)
        .map_err(|error| Error::Input { slot: "results".into(), message: error.to_string() })
}
