//! Kind `map-grid`.

use image::RgbImage;
use schemars::JsonSchema;
use sconce_core::Gathered;
use sconce_core::cell::Plain;
use sconce_core::{Context, Error, Folder, Input, Inputs, Resources, Result, Stage, outputs};
use sconce_data::{Features, Figure, ImageSet, Table};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::sample_sheet::check_cell;
use super::{Names, pictures};
use crate::color::series_color;
use crate::grid::{Cell, Grid, Row};
use crate::heat::{Heat, outline};
use crate::table::long;
use crate::{ColorMap, Field, Words};

/// Sets explanation maps beside their photographs: a row for each photograph, a column for each stage or cell that made
/// maps. With `down`, one photograph alone is shown, and the axis of that name goes down.
///
/// Maps without negative numbers go from 0 to their largest number; maps with negative numbers are blue where the number is
/// negative, white at 0, red where it is positive. Each map has a scale of its own.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MapGrid {
    /// The maps, from left to right: features of 1 × height × width.
    pub maps: Inputs<Features>,
    /// The photographs as the network saw them.
    pub images: Input<ImageSet>,
    /// The axis that goes down, of one photograph.
    #[serde(default)]
    pub down: Option<String>,
    /// Names of the columns behind the photograph's; by default values of the axes, or stages.
    #[serde(default)]
    #[schemars(extend("x-sconce-text" = true))]
    pub heads: Names,
    /// Columns (or, with `down`, rows), by the value of their axis or by their stage, whose maps are laid over the
    /// photograph.
    #[serde(default)]
    pub overlay: Names,
    /// Photographs to show, in groups: a table with the columns `image`, `group` and `label`, as of `choose-cases`.
    #[serde(default)]
    pub cases: Option<Input<Table>>,
    /// What the network says: a table with the columns `image`, `class` and `probability`, as of `saliency-map`; it stands
    /// below the photographs.
    #[serde(default)]
    pub predictions: Option<Input<Table>>,
    /// Boxes drawn on the photographs: a table with the columns `image`, `left`, `top`, `width` and `height` in pixels, as of
    /// `localise`.
    #[serde(default)]
    pub boxes: Option<Input<Table>>,
    /// Names of the photographs that are shown; by default the first `max_images`.
    #[serde(default)]
    pub only: Names,
    /// Images at most.
    #[serde(default = "max_images")]
    pub max_images: usize,
    /// The colours of maps without negative numbers.
    #[serde(default = "inferno")]
    pub colors: ColorMap,
    /// Share of a map's numbers, by size, that its scale holds; larger ones have the colour of its end.
    #[serde(default = "clip")]
    pub clip: f64,
    /// Width of an image in CSS pixels.
    #[serde(default = "cell")]
    pub cell: f64,
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
    6
}

fn inferno() -> ColorMap {
    ColorMap::Inferno
}

fn clip() -> f64 {
    0.995
}

fn cell() -> f64 {
    112.0
}

outputs! { MapGrid:
    /// The grid as PNG.
    FIGURE: Figure = "figure";
}

impl Stage for MapGrid {
    const KIND: &'static str = "map-grid";
    const VERSION: u32 = 2;

    fn resources(&self) -> Resources {
        Resources { memory: Resources::GIB, ..Resources::default() }
    }

    fn check(&self) -> Result<()> {
        pictures::check_density(self.density)?;
        check_cell(self.cell)?;
        if self.max_images == 0 {
            return Err(Error::parameter("max_images", "expected 1 or more, found 0"));
        }
        if !(0.5..=1.0).contains(&self.clip) {
            return Err(Error::parameter(
                "clip",
                format!("expected 0.5 to 1, found {}", self.clip),
            ));
        }
        Ok(())
    }

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        pictures::with_fonts(ctx, &self.fonts, || {
            let sets = ctx.inputs(&self.maps)?;
            if sets.is_empty() {
                return Err(Error::parameter("maps", "expected at least one stage"));
            }
            let shown = Shown {
                stage: self,
                images: ctx.input(&self.images)?,
                predictions: ctx.optional(&self.predictions)?,
                boxes: ctx.optional(&self.boxes)?,
                heat: Heat { colors: self.colors, clip: self.clip },
            };
            let cases = self.cases(ctx, &shown)?;
            let (heads, rows) = match &self.down {
                Some(axis) => shown.down(axis, &sets, &cases)?,
                None => shown.across(ctx, &sets, &cases)?,
            };
            let small = shown.images.size().is_some_and(|(w, h)| w.max(h) <= 64);
            let mut grid = Grid::new(Words::new(&self.title, &self.caption), rows, self.cell);
            grid.columns = [vec![String::new()], self.heads(heads)?].concat();
            grid.pixelated = small;
            grid.density = self.density;
            ctx.write(
                Self::FIGURE,
                &pictures::photograph("maps", &grid.scene()?, self.density, &self.caption)?,
            )
        })
    }
}

/// A photograph to show.
struct Case {
    id: String,
    group: String,
    label: String,
}

impl MapGrid {
    fn heads(&self, automatic: Vec<String>) -> Result<Vec<String>> {
        let given = &self.heads.0;
        if given.is_empty() {
            return Ok(automatic);
        }
        if given.len() != automatic.len() {
            let message = format!(
                "expected a name for each of {} columns ({}), found {}",
                automatic.len(),
                automatic.join(", "),
                given.len()
            );
            return Err(Error::parameter("heads", message));
        }
        Ok(given.clone())
    }

    fn cases(&self, ctx: &Context, shown: &Shown<'_>) -> Result<Vec<Case>> {
        if let Some(table) = ctx.optional(&self.cases)? {
            let read = |name| long::column(&table, "column", name).map_err(|e| in_slot("cases", e));
            let (image, group, label) = (read("image")?, read("group")?, read("label")?);
            let text = |row: &[Value], at: usize| {
                row.get(at).and_then(Value::as_str).unwrap_or_default().to_owned()
            };
            let mut last = String::new();
            let case = |row: &Vec<Value>| {
                let group = text(row, group);
                let first = group != last;
                last.clone_from(&group);
                let group = if first { group } else { String::new() };
                Case { id: text(row, image), group, label: text(row, label) }
            };
            return Ok(table.rows.iter().map(case).collect());
        }
        let ids = &shown.images.examples().ids;
        let chosen = match self.only.is_empty() {
            true => ids.iter().take(self.max_images).collect::<Vec<_>>(),
            false => self.only.0.iter().collect(),
        };
        let case = |id: &&String| {
            Ok(Case { id: (*id).clone(), group: String::new(), label: shown.label(id)? })
        };
        chosen.iter().map(case).collect()
    }

    /// Whether the maps of a column or row are laid over the photograph.
    fn is_laid(&self, set: &Gathered<Features>) -> bool {
        let value = |(_, value): (&str, &Value)| self.overlay.contains(&Plain(value).to_string());
        self.overlay.contains(&set.stage) || set.coordinates.iter().any(value)
    }
}

fn in_slot(slot: &str, error: crate::Error) -> Error {
    Error::Input { slot: slot.to_owned(), message: error.to_string() }
}

/// What the rows are made of.
struct Shown<'a> {
    stage: &'a MapGrid,
    images: ImageSet,
    predictions: Option<Table>,
    boxes: Option<Table>,
    heat: Heat,
}

impl Shown<'_> {
    /// The class and its probability below a photograph, or its own class or name.
    fn label(&self, id: &str) -> Result<String> {
        let examples = self.images.examples();
        let place = pictures::place_of("images", &examples.ids, id)?;
        let own = examples.class_of(place).unwrap_or_else(|| pictures::short_name(id));
        let Some(table) = &self.predictions else { return Ok(own.to_owned()) };
        let read =
            |name| long::column(table, "column", name).map_err(|e| in_slot("predictions", e));
        let (image, class, probability) = (read("image")?, read("class")?, read("probability")?);
        let row = table.rows.iter().find(|row| row.get(image).and_then(Value::as_str) == Some(id));
        let Some(row) = row else { return Ok(own.to_owned()) };
        let class = row.get(class).and_then(Value::as_str).unwrap_or_default();
        let share = row.get(probability).and_then(Value::as_f64).unwrap_or(f64::NAN);
        Ok(format!("{class}\n{:.0} %", 100.0 * share))
    }

    fn photograph(&self, id: &str) -> Result<RgbImage> {
        let place = pictures::place_of("images", &self.images.examples().ids, id)?;
        let mut image = pictures::pixels(&self.images, place)?;
        if let Some(table) = &self.boxes {
            let read = |name| long::column(table, "column", name).map_err(|e| in_slot("boxes", e));
            let name = read("image")?;
            let sides = [read("left")?, read("top")?, read("width")?, read("height")?];
            for row in
                table.rows.iter().filter(|row| row.get(name).and_then(Value::as_str) == Some(id))
            {
                let side =
                    |at: usize| row.get(at).and_then(Value::as_u64).unwrap_or_default() as u32;
                outline(&mut image, sides.map(side), series_color(1));
            }
        }
        Ok(image)
    }

    fn picture(&self, set: &Gathered<Features>, id: &str) -> Result<RgbImage> {
        let features = &set.artifact;
        let row = pictures::place_of("maps", &features.examples().ids, id)?;
        let mut maps = pictures::maps("maps", features, row, 1)?;
        let map: Field = match (maps.pop(), features.shape()) {
            (Some(map), [1, ..]) => map,
            _ => {
                return Err(Error::Input {
                    slot: "maps".to_owned(),
                    message: format!(
                        "expected maps of shape 1 × height × width, found {:?}",
                        features.shape()
                    ),
                });
            }
        };
        if self.stage.is_laid(set) {
            let place = pictures::place_of("images", &self.images.examples().ids, id)?;
            Ok(self.heat.overlay(&pictures::pixels(&self.images, place)?, &map))
        } else {
            Ok(self.heat.picture(&map))
        }
    }

    /// A row for each photograph, a column for each set of maps.
    fn across(
        &self,
        ctx: &Context,
        sets: &[Gathered<Features>],
        cases: &[Case],
    ) -> Result<(Vec<String>, Vec<Row>)> {
        let heads = sets.iter().map(|set| head(set, None)).collect();
        let rows = cases.iter().map(|case| {
            ctx.check_cancelled()?;
            let mut cells = vec![Cell::captioned(self.photograph(&case.id)?, &case.label)];
            for set in sets {
                cells.push(Cell::new(self.picture(set, &case.id)?));
            }
            Ok(Row { label: case.group.clone(), cells })
        });
        Ok((heads, rows.collect::<Result<_>>()?))
    }

    /// One photograph: the values of `axis` go down, those of the other axes across.
    fn down(
        &self,
        axis: &str,
        sets: &[Gathered<Features>],
        cases: &[Case],
    ) -> Result<(Vec<String>, Vec<Row>)> {
        let Some(case) = cases.first() else {
            return Err(Error::parameter("only", "expected a photograph, found none"));
        };
        let mut heads: Vec<String> = Vec::new();
        let mut rows: Vec<Row> = Vec::new();
        for set in sets {
            // A stage without the axis, such as the maps of the trained network, may have one of another stage's.
            let Some(value) = set.coordinates.get(axis) else {
                let message = format!("`{}` has no axis `{axis}`", set.stage);
                return Err(Error::parameter("down", message));
            };
            // Lines break at spaces.
            let label = Plain(value).to_string().replace('-', " ");
            let head = head(set, Some(axis));
            let column = heads.iter().position(|known| *known == head).unwrap_or_else(|| {
                heads.push(head);
                heads.len() - 1
            });
            let row = rows.iter().position(|row| row.label == label).unwrap_or_else(|| {
                rows.push(Row { label, cells: vec![Cell::default()] });
                rows.len() - 1
            });
            let cells = &mut rows[row].cells;
            if cells.len() < column + 2 {
                cells.resize(column + 2, Cell::default());
            }
            cells[column + 1] = Cell::new(self.picture(set, &case.id)?);
        }
        if let Some(first) = rows.first_mut().and_then(|row| row.cells.first_mut()) {
            *first = Cell::captioned(self.photograph(&case.id)?, &case.label);
        }
        Ok((heads, rows))
    }
}

/// The values of a set's axes but one, or its stage where there are none.
fn head(set: &Gathered<Features>, but: Option<&str>) -> String {
    let values: Vec<String> = set
        .coordinates
        .iter()
        .filter(|(axis, _)| Some(*axis) != but)
        .map(|(_, value)| Plain(value).to_string())
        .collect();
    if values.is_empty() { set.stage.clone() } else { values.join(", ") }
}
