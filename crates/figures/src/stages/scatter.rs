//! Kind `scatter`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use sconce_core::{Context, Error, Folder, Input, Inputs, Result, Stage, outputs};
use sconce_data::{Figure, Metrics, Table};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Names, pictures, rows};
use crate::Words;
use crate::plot::{self, Clouds, Dot, README_WIDTH};
use crate::table::{Style, long};

/// Draws points by their places, such as an embedding: no axes, as wide as high, coloured by one or several quantities.
///
/// A single cloud coloured by several quantities stands side by side; several clouds (`columns`) stand in a row for each quantity.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scatter {
    /// Tables with a row for each point: `"embedding"`, `"embedding[*]"`.
    pub tables: Inputs<Table>,
    /// The columns with the places: to the right, and upwards.
    #[serde(default = "at")]
    pub at: [String; 2],
    /// Columns or axes whose values have a colour each, a picture for each of them: `["class", "domain"]`.
    #[serde(default)]
    pub color_by: Names,
    /// A column or axis whose values have a mark each: disc, square, triangle, diamond.
    #[serde(default)]
    pub mark_by: Option<String>,
    /// A column or axis whose values stand side by side.
    #[serde(default)]
    pub columns: Option<String>,
    /// Texts for names and values: `domain`, `"class=cat"`.
    #[serde(default)]
    #[schemars(extend("x-sconce-labels" = true, "x-sconce-text" = true))]
    pub labels: BTreeMap<String, String>,
    /// Radius of a point in CSS pixels.
    #[serde(default = "radius")]
    pub radius: f64,
    /// Above the plot.
    #[serde(default)]
    #[schemars(extend("x-sconce-text" = true))]
    pub title: String,
    /// Below the plot.
    #[serde(default)]
    #[schemars(extend("x-sconce-text" = true))]
    pub caption: String,
    /// Width in CSS pixels.
    #[serde(default = "readme_width")]
    pub width: f64,
    /// Pixels of the PNG for each CSS pixel.
    #[serde(default = "pictures::density")]
    pub density: f64,
    /// Fonts for letters that the bundled ones (Latin, Greek, Cyrillic) lack: a folder of `.ttf` or `.otf` files, such as that
    /// of a stage of kind `file`. Letters that no font has are drawn as boxes, and told.
    #[serde(default)]
    pub fonts: Option<Input<Folder>>,
}

fn at() -> [String; 2] {
    ["x", "y"].map(str::to_owned)
}

fn radius() -> f64 {
    2.5
}

fn readme_width() -> f64 {
    README_WIDTH
}

outputs! { Scatter:
    /// The plot as SVG and PNG.
    FIGURE: Figure = "figure";
}

impl Stage for Scatter {
    const KIND: &'static str = "scatter";
    const VERSION: u32 = 1;

    fn check(&self) -> Result<()> {
        pictures::check_density(self.density)?;
        for (key, value, least, most) in
            [("width", self.width, 200.0, 4000.0), ("radius", self.radius, 0.5, 20.0)]
        {
            if !(least..=most).contains(&value) {
                return Err(Error::parameter(
                    key,
                    format!("expected {least} to {most}, found {value}"),
                ));
            }
        }
        Ok(())
    }

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        pictures::with_fonts(ctx, &self.fonts, || {
            let rows = rows::read(ctx, &Inputs::<Metrics>::default(), &self.tables)?;
            rows.check("at", &self.at)?;
            rows.check("color_by", &self.color_by.0)?;
            rows.check("mark_by", self.mark_by.as_slice())?;
            rows.check("columns", self.columns.as_slice())?;
            let told = self.color_by.0.iter().chain(&self.mark_by).chain(&self.columns);
            if let Some(differ) = rows.unplaced(&told.map(String::as_str).collect::<Vec<_>>())? {
                return Err(Error::parameter(
                    "columns",
                    format!("{differ}: expected it in `columns`, in `color_by` or in `mark_by`"),
                ));
            }
            let scene = self.scatter(&rows)?.scene()?;
            let figure = pictures::drawing("scatter", &scene, self.density, &self.caption)?;
            ctx.write(Self::FIGURE, &figure)
        })
    }
}

impl Scatter {
    fn scatter(&self, rows: &rows::Rows) -> Result<plot::Scatter> {
        let style = Style { labels: self.labels.clone(), ..Style::default() };
        let table = &rows.table;
        let [x, y] = [&self.at[0], &self.at[1]].map(|name| long::column(table, "column", name));
        let (x, y) = (x?, y?);
        let panels = Groups::of(rows, self.columns.as_ref(), &style)?;
        let forms = Groups::of(rows, self.mark_by.as_ref(), &style)?;
        let mut clouds = Vec::new();
        let by: Vec<Option<&String>> = match self.color_by.is_empty() {
            true => vec![None],
            false => self.color_by.0.iter().map(Some).collect(),
        };
        for by in by {
            let colors = Groups::of(rows, by, &style)?;
            let mut drawn = vec![Vec::new(); panels.names.len()];
            for row in 0..table.rows.len() {
                let place = (long::number(table, row, x)?, long::number(table, row, y)?);
                if let (Some(x), Some(y)) = place
                    && let Some(panel) = drawn.get_mut(panels.of_row[row])
                {
                    panel.push(Dot { x, y, color: colors.of_row[row], form: forms.of_row[row] });
                }
            }
            let label = by.map_or_else(String::new, |by| style.name(by));
            clouds.push(Clouds { label, names: colors.names, panels: drawn });
        }
        Ok(plot::Scatter {
            words: Words::new(&self.title, &self.caption),
            heads: panels.names,
            forms: forms.names,
            clouds,
            radius: self.radius,
            width: self.width,
        })
    }
}

/// The distinct values of a column, and which of them each row has; a single one without a name where there is no column.
struct Groups {
    names: Vec<String>,
    of_row: Vec<usize>,
}

impl Groups {
    fn of(rows: &rows::Rows, column: Option<&String>, style: &Style) -> Result<Self> {
        let count = rows.table.rows.len();
        let Some(column) = column else {
            return Ok(Self { names: vec![String::new()], of_row: vec![0; count] });
        };
        let mut values = rows.distinct(column)?;
        // Numbers in their order, also where they are names, as digits are; others as they come.
        let number = |value: &Value| match value {
            Value::String(text) => text.parse::<f64>().ok(),
            other => other.as_f64(),
        };
        if values.iter().all(|value| number(value).is_some()) {
            values.sort_by(|a, b| number(a).unwrap_or(0.0).total_cmp(&number(b).unwrap_or(0.0)));
        }
        let place = |value: &Value| values.iter().position(|known| long::same(known, value));
        let of_row = rows.table.values(column)?;
        let of_row = of_row.into_iter().map(|value| place(value).unwrap_or_default()).collect();
        let names = values.iter().map(|value| style.label(Some(column), value)).collect();
        Ok(Self { names, of_row })
    }
}
