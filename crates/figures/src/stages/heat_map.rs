//! Kind `heat-map`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use sconce_core::{Context, Error, Folder, Input, Inputs, Result, Stage, outputs};
use sconce_data::{Figure, Metrics, Table};
use serde::{Deserialize, Serialize};

use super::{Names, pictures, rows};
use crate::plot::Matrix;
use crate::table::{Layout, Style, pivot};
use crate::{ColorMap, Words};

/// Draws a quantity against two parameters as coloured cells with numbers.
///
/// Rows and columns come in the order of the axes' values. Cells along the axes of `over` are averaged, and show mean ± sample
/// standard deviation.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HeatMap {
    /// Metrics, such as `"evaluate[*]"`.
    #[serde(default)]
    pub rows: Inputs<Metrics>,
    /// Tables, in place of metrics; their rows are taken below each other.
    #[serde(default)]
    pub tables: Inputs<Table>,
    /// The axis or column whose values are rows.
    pub down: String,
    /// The axis or column whose values are columns.
    pub columns: String,
    /// The metric or column with the numbers.
    pub value: Names,
    /// Axes along which rows are averaged.
    #[serde(default)]
    pub over: Names,
    /// Texts for names and values: `strength`, `"schedule=constant"`.
    #[serde(default)]
    #[schemars(extend("x-sconce-labels" = true, "x-sconce-text" = true))]
    pub labels: BTreeMap<String, String>,
    /// Decimals of the quantity; three by default, or none where all numbers are whole.
    #[serde(default)]
    pub decimals: BTreeMap<String, u8>,
    /// Whether numbers are shown as percentages.
    #[serde(default)]
    pub percent: bool,
    /// Values at the two ends of the colours; by default the smallest and the largest.
    #[serde(default)]
    pub limits: Option<(f64, f64)>,
    /// The colours.
    #[serde(default = "colors")]
    pub colors: ColorMap,
    /// Above the cells.
    #[serde(default)]
    #[schemars(extend("x-sconce-text" = true))]
    pub title: String,
    /// Below the cells. What is averaged is added.
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

fn colors() -> ColorMap {
    ColorMap::Blues
}

outputs! { HeatMap:
    /// The cells as SVG and PNG.
    FIGURE: Figure = "figure";
}

impl Stage for HeatMap {
    const KIND: &'static str = "heat-map";
    const VERSION: u32 = 1;

    fn check(&self) -> Result<()> {
        rows::check_inputs(&self.rows, &self.tables)?;
        pictures::check_density(self.density)?;
        if self.value.0.len() != 1 {
            let message = format!("expected one metric or column, found {}", self.value.0.len());
            return Err(Error::parameter("value", message));
        }
        if self.down == self.columns {
            return Err(Error::parameter("columns", "expected another axis than in `down`"));
        }
        match self.limits {
            Some((low, high)) if !(low < high && low.is_finite() && high.is_finite()) => {
                let message =
                    format!("expected two numbers, the smaller first; found {low} and {high}");
                Err(Error::parameter("limits", message))
            }
            _ => Ok(()),
        }
    }

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        pictures::with_fonts(ctx, &self.fonts, || {
            let rows = rows::read(ctx, &self.rows, &self.tables)?;
            rows.check("down", std::slice::from_ref(&self.down))?;
            rows.check("columns", std::slice::from_ref(&self.columns))?;
            rows.check("value", &self.value.0)?;
            rows.check("over", &self.over.0)?;
            let placed = [self.down.as_str(), self.columns.as_str()];
            rows.check_axes(&placed, &self.over.0, "`down`, in `columns`")?;
            let (matrix, caption) = self.matrix(&rows)?;
            let figure = pictures::drawing("heat-map", &matrix.scene()?, self.density, &caption)?;
            ctx.write(Self::FIGURE, &figure)
        })
    }
}

impl HeatMap {
    fn matrix(&self, rows: &rows::Rows) -> Result<(Matrix, String)> {
        let layout = Layout {
            index: vec![self.down.clone()],
            columns: Some(self.columns.clone()),
            values: self.value.0.clone(),
        };
        let pivot = pivot(&rows.table, &layout, None)?;
        let counts = pivot.cells.iter().flatten().flatten().map(|cell| cell.count);
        let (fewest, most) =
            counts.fold((usize::MAX, 0), |(low, high), n| (low.min(n), high.max(n)));
        let mut caption = self.caption.clone();
        if most > 1 {
            let counts = rows::counts(fewest, most, &self.over.0);
            rows::add_sentence(
                &mut caption,
                &format!("Mean ± sample standard deviation over {counts}."),
            );
        }
        let style = Style {
            labels: self.labels.clone(),
            decimals: self.decimals.clone(),
            percent: self.percent,
            ..Style::default()
        };
        let view = pivot.view(&style);
        let of_columns = pivot.columns.iter().filter_map(|(value, _)| value.as_ref());
        let mean = |cell: &Option<crate::table::Summary>| cell.map_or(f64::NAN, |cell| cell.mean);
        let matrix = Matrix {
            words: Words::new(&self.title, &caption),
            row_title: style.name(&self.down),
            column_title: style.name(&self.columns),
            rows: view.rows.iter().filter_map(|row| Some(row.first()?.text.clone())).collect(),
            columns: of_columns.map(|value| style.label(Some(&self.columns), value)).collect(),
            values: pivot.cells.iter().flatten().map(mean).collect(),
            texts: view
                .rows
                .iter()
                .flat_map(|row| row.iter().skip(1))
                .map(|cell| cell.text.clone())
                .collect(),
            limits: self.limits,
            map: self.colors,
            margin: None,
        };
        Ok((matrix, caption))
    }
}
