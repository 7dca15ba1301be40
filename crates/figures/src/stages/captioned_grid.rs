//! Kind `captioned-grid`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use sconce_core::cell::Plain;
use sconce_core::{Context, Error, Folder, Gathered, Input, Inputs, Result, Stage, outputs};
use sconce_data::{Figure, ImageSet, Table};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::sample_sheet::check_cell;
use super::{Names, pictures};
use crate::Words;
use crate::color::series_color;
use crate::grid::{Cell, Grid, Row};
use crate::template::Template;

/// Sets the images of many cells in rows and columns along the cells' axes, with numbers from tables below each.
///
/// An image's row of a table is the first that has the image's name in the column `image` (or `id`, where there is no such
/// column), and its stage and coordinates in columns of these names, as far as there are such columns.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CaptionedGrid {
    /// The image sets, such as `"visualised[*]"`.
    pub images: Inputs<ImageSet>,
    /// The tables with the numbers: one stage for each of `lines` (the stages of the images themselves count as one).
    #[serde(default)]
    pub tables: Inputs<Table>,
    /// Below an image, one line for each stage of `tables`: `{column}`, `{column:.2}`, `{column:%}` are its values.
    #[serde(default)]
    pub lines: Names,
    /// What tells rows apart: an axis, `stage`, `image` (the name) or `class`; without it images follow each other.
    #[serde(default)]
    pub down: Option<String>,
    /// What tells columns apart, likewise.
    #[serde(default)]
    pub columns: Option<String>,
    /// A column of truth values in the last of `tables`: images where it is true get a green frame, others an orange one.
    #[serde(default)]
    pub mark: Option<String>,
    /// Takes every n-th image of each set, and the last.
    #[serde(default = "one")]
    pub every: usize,
    /// Images in a row, where `columns` is not given.
    #[serde(default = "across")]
    pub across: usize,
    /// Texts for values of rows and columns and for texts in captions: `"learning_rate=5"`, `fourier`.
    #[serde(default)]
    #[schemars(extend("x-sconce-labels" = true, "x-sconce-text" = true))]
    pub labels: BTreeMap<String, String>,
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

fn one() -> usize {
    1
}

fn across() -> usize {
    6
}

fn cell() -> f64 {
    128.0
}

/// One image, and where it is from.
struct Shown<'a> {
    set: &'a Gathered<ImageSet>,
    place: usize,
}

outputs! { CaptionedGrid:
    /// The grid as PNG.
    FIGURE: Figure = "figure";
}

impl Stage for CaptionedGrid {
    const KIND: &'static str = "captioned-grid";
    const VERSION: u32 = 3;

    fn check(&self) -> Result<()> {
        pictures::check_density(self.density)?;
        check_cell(self.cell)?;
        for (key, value) in [("every", self.every), ("across", self.across)] {
            if value == 0 {
                return Err(Error::parameter(key, "expected 1 or more, found 0"));
            }
        }
        for (key, given) in [("lines", !self.lines.is_empty()), ("mark", self.mark.is_some())] {
            if given && self.tables.edges().is_empty() {
                return Err(Error::parameter(key, "expected `tables` beside it"));
            }
        }
        for line in &self.lines.0 {
            Template::parse(line).map_err(|error| Error::parameter("lines", error.to_string()))?;
        }
        Ok(())
    }

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        pictures::with_fonts(ctx, &self.fonts, || {
            let sets = ctx.inputs(&self.images)?;
            let tables = ctx.inputs(&self.tables)?;
            let groups = groups(&tables, &sets);
            if self.lines.0.len() > groups.len() {
                let message = format!(
                    "expected a line for each of {} stages of `tables`, found {}",
                    groups.len(),
                    self.lines.0.len()
                );
                return Err(Error::parameter("lines", message));
            }
            let mut rows: Vec<(String, Vec<(String, Cell)>)> = Vec::new();
            for set in &sets {
                let count = set.artifact.len();
                for place in
                    (0..count).filter(|place| place % self.every == 0 || place + 1 == count)
                {
                    ctx.check_cancelled()?;
                    let shown = Shown { set, place };
                    let row = self.value("down", self.down.as_ref(), &shown)?;
                    let column = self.value("columns", self.columns.as_ref(), &shown)?;
                    let cell = self.cell(&shown, &groups)?;
                    match rows.iter_mut().find(|(name, _)| *name == row) {
                        Some((_, cells)) => cells.push((column, cell)),
                        None => rows.push((row, vec![(column, cell)])),
                    }
                }
            }
            let mut grid = self.grid(rows)?;
            grid.pixelated = pictures::are_small(&sets);
            grid.density = self.density;
            let scene = grid.scene()?;
            ctx.write(
                Self::FIGURE,
                &pictures::photograph("grid", &scene, self.density, &self.caption)?,
            )
        })
    }
}

impl CaptionedGrid {
    fn grid(&self, rows: Vec<(String, Vec<(String, Cell)>)>) -> Result<Grid> {
        let words = Words::new(&self.title, &self.caption);
        if self.columns.is_none() {
            let mut lines = Vec::new();
            for (name, cells) in rows {
                let mut cells = cells.into_iter().map(|(_, cell)| cell).peekable();
                let mut label = name;
                while cells.peek().is_some() {
                    let cells = cells.by_ref().take(self.across).collect();
                    lines.push(Row { label: std::mem::take(&mut label), cells });
                }
            }
            return Ok(Grid::new(words, lines, self.cell));
        }
        let mut columns: Vec<String> = Vec::new();
        for (column, _) in rows.iter().flat_map(|(_, cells)| cells) {
            if !columns.contains(column) {
                columns.push(column.clone());
            }
        }
        let mut lines = Vec::new();
        for (label, cells) in rows {
            let mut line = vec![Cell::default(); columns.len()];
            for (column, cell) in cells {
                let Some(free) = columns
                    .iter()
                    .position(|name| *name == column)
                    .and_then(|place| line.get_mut(place))
                    .filter(|free| free.image.is_none())
                else {
                    return Err(Error::parameter(
                        "columns",
                        format!(
                            "two images fall on row `{label}`, column `{column}`: expected `rows` and `columns` that tell \
                             them apart"
                        ),
                    ));
                };
                *free = cell;
            }
            lines.push(Row { label, cells: line });
        }
        let mut grid = Grid::new(words, lines, self.cell);
        grid.columns = columns;
        Ok(grid)
    }

    /// What stands at the row or column that an image belongs to; empty where `by` is not given.
    fn value(&self, key: &str, by: Option<&String>, shown: &Shown<'_>) -> Result<String> {
        let Some(by) = by else { return Ok(String::new()) };
        let Shown { set, place } = shown;
        let examples = set.artifact.examples();
        let id = examples.ids.get(*place).map_or("", String::as_str);
        let value = match (set.coordinates.get(by), by.as_str()) {
            (Some(value), _) => Plain(value).to_string(),
            (None, "stage") => set.stage.clone(),
            (None, "image") => match pictures::short_name(id) {
                // Numbers are padded so that files are in order.
                name if name.bytes().all(|byte| byte.is_ascii_digit()) => {
                    let number = name.trim_start_matches('0');
                    if number.is_empty() { "0".to_owned() } else { number.to_owned() }
                }
                name => name.to_owned(),
            },
            (None, "class") => {
                let class = examples.class_of(*place).unwrap_or_default();
                class.split(',').next().unwrap_or(class).to_owned()
            }
            (None, _) => {
                let known = set.coordinates.iter().map(|(axis, _)| axis);
                let known: Vec<&str> = known.chain(["stage", "image", "class"]).collect();
                let error = crate::Error::unknown("axis", by, known.iter().copied());
                return Err(Error::parameter(key, error.to_string()));
            }
        };
        let full = self.labels.get(&format!("{by}={value}"));
        Ok(full.cloned().unwrap_or_else(|| self.label(&value)))
    }

    fn label(&self, text: &str) -> String {
        self.labels.get(text).cloned().unwrap_or_else(|| text.to_owned())
    }

    fn cell(&self, shown: &Shown<'_>, groups: &[Vec<&Gathered<Table>>]) -> Result<Cell> {
        let wrong = |error: crate::Error| Error::Input {
            slot: "tables".into(),
            message: error.to_string(),
        };
        let mut lines = Vec::new();
        for (line, group) in self.lines.0.iter().zip(groups) {
            if let Some((table, row)) = find(shown, group) {
                let template = Template::parse(line)?;
                lines.push(template.fill(table, row, |text| self.label(text)).map_err(wrong)?);
            }
        }
        let image = pictures::pixels(&shown.set.artifact, shown.place)?;
        let mut cell = Cell::captioned(image, lines.join("\n"));
        if let (Some(mark), Some(group)) = (&self.mark, groups.last())
            && let Some((table, row)) = find(shown, group)
        {
            let column = crate::table::long::column(table, "column", mark)
                .map_err(|error| Error::parameter("mark", error.to_string()))?;
            cell.frame = match table.rows.get(row).and_then(|row| row.get(column)) {
                Some(Value::Bool(true)) => Some(series_color(2)),
                Some(Value::Bool(false)) => Some(series_color(1)),
                _ => None,
            };
        }
        Ok(cell)
    }
}

/// The tables of each line: those of one stage, stages in the order in which they come. Tables of the stages that the
/// images are from are taken together, since each tells of its own images.
fn groups<'a>(
    tables: &'a [Gathered<Table>],
    sets: &[Gathered<ImageSet>],
) -> Vec<Vec<&'a Gathered<Table>>> {
    let own = |stage: &str| sets.iter().any(|set| set.stage == stage);
    let mut groups: Vec<Vec<&Gathered<Table>>> = Vec::new();
    for table in tables {
        let belongs = |other: &&Gathered<Table>| {
            other.stage == table.stage || (own(&other.stage) && own(&table.stage))
        };
        match groups.iter_mut().find(|group| group.iter().any(belongs)) {
            Some(group) => group.push(table),
            None => groups.push(vec![table]),
        }
    }
    groups
}

/// The first row of these tables that is of the image.
fn find<'a>(shown: &Shown<'_>, group: &[&'a Gathered<Table>]) -> Option<(&'a Table, usize)> {
    let Shown { set, place } = shown;
    let id = set.artifact.examples().ids.get(*place)?;
    let text = |value: &Value| Plain(value).to_string();
    let here = |axis: &str, value: &Value| {
        set.coordinates.get(axis).is_none_or(|own| text(own) == text(value))
    };
    // Several stages in a group are those of images.
    let several = group.iter().any(|from| from.stage != group[0].stage);
    let mut fitting = group.iter().filter(|from| {
        (!several || from.stage == set.stage)
            && from.coordinates.iter().all(|(axis, value)| here(axis, value))
    });
    fitting.find_map(|from| {
        let table = &from.artifact;
        let has_image = table.columns.iter().any(|column| column.name == "image");
        let name = if has_image { "image" } else { "id" };
        let fits = |row: &Vec<Value>| {
            table.columns.iter().zip(row).all(|(column, value)| match column.name.as_str() {
                column if column == name => value.as_str() == Some(id),
                "stage" => value.as_str() == Some(&set.stage),
                axis => here(axis, value),
            })
        };
        Some((table, table.rows.iter().position(fits)?))
    })
}
