//! Kind `plot`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use sconce_core::{Context, Error, Folder, Input, Inputs, Result, Stage, outputs};
use sconce_data::{Figure, Metrics, Table};
use serde::{Deserialize, Serialize};

use super::{Many, Names, pictures, rows};
use crate::plot::from_table::{self, Columns};
use crate::plot::{self, BarChart, Marks, README_WIDTH, Spread};
use crate::table::{Best, Style};
use crate::ticks::{Scale, plain};
use crate::{Scene, Words};

/// Draws numbers against a parameter: lines with their spread, points or bars, one panel for each quantity.
///
/// Rows of one series with the same x are averaged, and their sample standard deviation is the spread; axes along
/// which that is meant are named in `over`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Plot {
    /// Metrics, such as `"evaluate[*]"`.
    #[serde(default)]
    pub rows: Inputs<Metrics>,
    /// Tables, in place of metrics: `"curve"`, `"curve[*]"`, `"table.rows"`.
    #[serde(default)]
    pub tables: Inputs<Table>,
    /// Column or axis along the bottom.
    pub x: String,
    /// Columns or metrics up the side, a panel for each.
    pub y: Names,
    /// Columns with half the length of the spread, one for each of `y`.
    #[serde(default)]
    pub error: Names,
    /// Columns or axes that tell the series apart.
    #[serde(default)]
    pub series: Names,
    /// Axes along which rows are averaged.
    #[serde(default)]
    pub over: Names,
    /// Lines or bars.
    #[serde(default)]
    pub form: Form,
    /// Whether the x axis is linear or logarithmic.
    #[serde(default)]
    pub x_scale: Scale,
    /// The same of the y axes, one for each panel; the last holds for the rest.
    #[serde(default)]
    pub y_scale: Many<Scale>,
    /// Ends of the x axis.
    #[serde(default)]
    pub x_limits: Option<(f64, f64)>,
    /// Ends of the y axes.
    #[serde(default)]
    pub y_limits: Option<(f64, f64)>,
    /// Line, points or both.
    #[serde(default)]
    pub marks: Marks,
    /// How the spread is drawn.
    #[serde(default)]
    pub spread: Spread,
    /// Marks the x of the best value of a quantity: `{ accuracy = "max" }`.
    #[serde(default)]
    pub best: BTreeMap<String, Best>,
    /// Dashed lines at values of a quantity: the published one, chance.
    #[serde(default)]
    pub rules: Vec<Rule>,
    /// Texts for names and values: axis labels (`C`, `accuracy`) and series (`"normalize=true"`).
    #[serde(default)]
    #[schemars(extend("x-sconce-labels" = true, "x-sconce-text" = true))]
    pub labels: BTreeMap<String, String>,
    /// Decimals of the numbers at bars.
    #[serde(default = "three")]
    pub bar_decimals: u8,
    /// Above the plot.
    #[serde(default)]
    #[schemars(extend("x-sconce-text" = true))]
    pub title: String,
    /// Below the plot. What rows were averaged is added.
    #[serde(default)]
    #[schemars(extend("x-sconce-text" = true))]
    pub caption: String,
    /// Width in CSS pixels.
    #[serde(default = "readme_width")]
    pub width: f64,
    /// Height of each panel's data in CSS pixels.
    #[serde(default = "height")]
    pub height: f64,
    /// Pixels of the PNG for each CSS pixel.
    #[serde(default = "pictures::density")]
    pub density: f64,
    /// Fonts for letters that the bundled ones (Latin, Greek, Cyrillic) lack: a folder of `.ttf` or `.otf` files, such as that
    /// of a stage of kind `file`. Letters that no font has are drawn as boxes, and told.
    #[serde(default)]
    pub fonts: Option<Input<Folder>>,
}

/// How values are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// Along an x axis.
    #[default]
    Lines,
    /// Horizontal bars from zero, a group for each x, of a single quantity.
    Bars,
}

/// A dashed line at a value of a quantity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The column or metric: one of `y`, or `x`.
    pub of: String,
    /// Where.
    pub at: f64,
    /// What it is.
    #[serde(default)]
    pub label: String,
}

fn three() -> u8 {
    3
}

fn readme_width() -> f64 {
    README_WIDTH
}

fn height() -> f64 {
    280.0
}

outputs! { Plot:
    /// The plot as SVG and PNG.
    FIGURE: Figure = "figure";
}

impl Stage for Plot {
    const KIND: &'static str = "plot";
    const VERSION: u32 = 2;

    fn check(&self) -> Result<()> {
        rows::check_inputs(&self.rows, &self.tables)?;
        pictures::check_density(self.density)?;
        if self.y.is_empty() {
            return Err(Error::parameter("y", "expected at least one column or metric"));
        }
        if !self.error.is_empty() && self.error.0.len() != self.y.0.len() {
            let message = format!(
                "expected one column for each of `y` ({}), found {}",
                self.y.0.len(),
                self.error.0.len()
            );
            return Err(Error::parameter("error", message));
        }
        if self.form == Form::Bars && self.y.0.len() > 1 {
            return Err(Error::parameter("y", "expected a single quantity for bars"));
        }
        for (key, value, least, most) in
            [("width", self.width, 200.0, 4000.0), ("height", self.height, 40.0, 4000.0)]
        {
            if !(least..=most).contains(&value) {
                return Err(Error::parameter(
                    key,
                    format!("expected {least} to {most}, found {value}"),
                ));
            }
        }
        let known = || self.y.0.iter().chain([&self.x]).map(String::as_str);
        for (key, name) in self
            .best
            .keys()
            .map(|name| ("best", name))
            .chain(self.rules.iter().map(|rule| ("rules", &rule.of)))
        {
            if !known().any(|other| other == name) || (key == "best" && *name == self.x) {
                return Err(Error::parameter(
                    key,
                    crate::Error::unknown("quantity", name, known()).to_string(),
                ));
            }
        }
        Ok(())
    }

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        pictures::with_fonts(ctx, &self.fonts, || {
            let rows = rows::read(ctx, &self.rows, &self.tables)?;
            rows.check("x", std::slice::from_ref(&self.x))?;
            rows.check("y", &self.y.0)?;
            rows.check("error", &self.error.0)?;
            rows.check("series", &self.series.0)?;
            rows.check("over", &self.over.0)?;
            let placed: Vec<&str> =
                self.series.0.iter().chain([&self.x]).map(String::as_str).collect();
            rows.check_axes(&placed, &self.over.0, "`x`, in `series`")?;
            let caption = self.explained(&rows.table)?;
            let words = Words::new(&self.title, &caption);
            let scene = match self.form {
                Form::Lines => self.lines(&rows.table, words)?,
                Form::Bars => self.bars(&rows.table, words)?,
            };
            ctx.write(Self::FIGURE, &pictures::drawing("plot", &scene, self.density, &caption)?)
        })
    }
}

impl Plot {
    fn columns(&self) -> Columns {
        Columns {
            x: self.x.clone(),
            y: self.y.0.clone(),
            error: self.error.0.clone(),
            series: self.series.0.clone(),
        }
    }

    fn style(&self) -> Style {
        Style { labels: self.labels.clone(), ..Style::default() }
    }

    /// The caption, with a sentence that says what the spread is.
    fn explained(&self, table: &Table) -> Result<String> {
        let style = self.style();
        let (fewest, most) = from_table::counts(table, &self.columns(), &style)?;
        let form = match (self.form, self.marks, self.spread) {
            (Form::Lines, Marks::LinePoints | Marks::Line, Spread::Band) => "Bands",
            _ => "Error bars",
        };
        let mut caption = self.caption.clone();
        if most > 1 {
            let counts = rows::counts(fewest, most, &self.over.0);
            rows::add_sentence(
                &mut caption,
                &format!("{form}: ± sample standard deviation over {counts}."),
            );
        } else if let Some(error) = self.error.0.first()
            && caption.is_empty()
        {
            rows::add_sentence(&mut caption, &format!("{form}: ± {}.", style.name(error)));
        }
        Ok(caption)
    }

    fn lines(&self, table: &Table, words: Words) -> Result<Scene> {
        let style = self.style();
        let mut panels = from_table::panels(table, &self.columns(), &style)?;
        from_table::set_scales(&mut panels, self.x_scale, &self.y_scale.0);
        for (panel, name) in panels.iter_mut().zip(&self.y.0) {
            panel.x.limits = self.x_limits;
            panel.y.limits = self.y_limits;
            panel.marks = self.marks;
            panel.spread = self.spread;
            if let Some(best) = self.best.get(name)
                && let Some(at) = from_table::best_x(panel, *best == Best::Max)
            {
                let value =
                    panel.x.categories.get(at as usize).cloned().unwrap_or_else(|| plain(at));
                let label = format!("best: {} = {value}", style.name(&self.x));
                panel.rules.push(plot::Rule { at, upright: true, label });
            }
            for rule in self.rules.iter().filter(|rule| rule.of == *name || rule.of == self.x) {
                let upright = rule.of != *name;
                panel.rules.push(plot::Rule { at: rule.at, upright, label: rule.label.clone() });
            }
        }
        let plot =
            plot::Plot { width: self.width, height: self.height, ..plot::Plot::new(words, panels) };
        Ok(plot.scene()?)
    }

    fn bars(&self, table: &Table, words: Words) -> Result<Scene> {
        let style = self.style();
        let (categories, series) = from_table::bars(table, &self.columns(), &style)?;
        let label = self.y.0.first().map(|name| style.name(name)).unwrap_or_default();
        let chart = BarChart {
            words,
            categories,
            series,
            label,
            decimals: usize::from(self.bar_decimals),
            largest: self.y_limits.map(|(_, high)| high),
            width: self.width,
        };
        Ok(chart.scene()?)
    }
}
