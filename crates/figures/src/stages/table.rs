//! Kind `table`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use sconce_core::{Context, Error, Folder, Gathered, Input, Inputs, Result, Stage, outputs};
use sconce_data::{self as data, ColumnType, Figure, ImageSet, Metrics};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::sample_sheet::check_cell;
use super::{Names, pictures, row_images, rows};
use crate::table::{Best, Layout, Strips, Style, View, pivot};
use crate::{Words, ticks};

/// Gathers metrics into a table: Markdown, CSV, JSON, HTML and a picture.
///
/// Each cell of `rows` gives its metrics, together with its coordinates along the gathered axes (and the stage's name
/// where there are several). Rows of the table are the values of `index`; the values of the axis `columns`, where it
/// is given, become columns. Without `value`, the gathered rows are shown as they are.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// Metrics, such as `"evaluate[*]"`.
    #[serde(default)]
    pub rows: Inputs<Metrics>,
    /// Tables, in place of metrics; their rows are taken below each other.
    #[serde(default)]
    pub tables: Inputs<data::Table>,
    /// Axes or columns whose values name the rows; by default all axes that are not named elsewhere.
    #[serde(default)]
    pub index: Names,
    /// Axis or column whose values become columns.
    #[serde(default)]
    pub columns: Option<String>,
    /// Metrics or columns with the numbers.
    #[serde(default)]
    pub value: Names,
    /// Axes along which rows are averaged; cells then show mean ± sample standard deviation.
    #[serde(default)]
    pub over: Names,
    /// Numbers of others to stand beside ours, and where they are from.
    #[serde(default)]
    pub published: Option<Published>,
    /// Image sets, such as `"samples[*]"`: each row shows the first `max_images` of the set that agrees with it on all axes that
    /// both have (and on the stage, where a row is of the set's). Of a set with splits, such as samples at several times of a
    /// training, these are images of the last split; of several sets that differ along `over`, those of the first.
    #[serde(default)]
    pub images: Inputs<ImageSet>,
    /// Images in a row.
    #[serde(default = "max_images")]
    pub max_images: usize,
    /// Width of an image in CSS pixels.
    #[serde(default = "cell")]
    pub cell: f64,
    /// Texts for names and values: `accuracy`, `layer`, `"normalize=true"`, `fire9`, `images`.
    #[serde(default)]
    #[schemars(extend("x-sconce-labels" = true, "x-sconce-text" = true))]
    pub labels: BTreeMap<String, String>,
    /// Decimals of each quantity; others have three, or none where all are whole.
    #[serde(default)]
    pub decimals: BTreeMap<String, u8>,
    /// Whether numbers are shown as percentages.
    #[serde(default)]
    pub percent: bool,
    /// Which value of a quantity is bold: `{ accuracy = "max", seconds = "min" }`.
    #[serde(default)]
    pub best: BTreeMap<String, Best>,
    /// Above the table.
    #[serde(default)]
    #[schemars(extend("x-sconce-text" = true))]
    pub title: String,
    /// Below the table. What is averaged and where published numbers are from is added.
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

fn cell() -> f64 {
    40.0
}

/// Numbers of others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// Where they are from.
    pub source: String,
    /// One table for each number or numbers: values of `index` and `columns`, and the quantities by name.
    pub rows: Vec<BTreeMap<String, Value>>,
}

outputs! { Table:
    /// The table as Markdown, CSV, JSON, HTML, SVG and PNG.
    FIGURE: Figure = "figure";
    /// The gathered rows, for plots.
    ROWS: data::Table = "rows";
}

impl Stage for Table {
    const KIND: &'static str = "table";
    // 3: labels also stand for the values of texts where rows are shown as they are.
    const VERSION: u32 = 3;

    fn check(&self) -> Result<()> {
        rows::check_inputs(&self.rows, &self.tables)?;
        pictures::check_density(self.density)?;
        check_cell(self.cell)?;
        if self.max_images == 0 {
            return Err(Error::parameter("max_images", "expected 1 or more, found 0"));
        }
        if self.value.is_empty() {
            for (key, given) in [
                ("columns", self.columns.is_some()),
                ("published", self.published.is_some()),
                ("over", !self.over.is_empty()),
                ("index", !self.index.is_empty()),
            ] {
                if given {
                    return Err(Error::parameter(
                        key,
                        "expected `value` beside it: the metric that the cells show",
                    ));
                }
            }
        }
        if let Some(key) = self.best.keys().find(|key| !self.value.contains(key)) {
            let known = self.value.0.iter().map(String::as_str);
            return Err(Error::parameter(
                "best",
                crate::Error::unknown("value", key, known).to_string(),
            ));
        }
        Ok(())
    }

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        pictures::with_fonts(ctx, &self.fonts, || {
            let mut rows = rows::read(ctx, &self.rows, &self.tables)?;
            rows.table.caption = self.caption.clone();
            let sets = ctx.inputs(&self.images)?;
            let figure = match self.value.is_empty() {
                true => self.plain(&rows.table, &sets)?,
                false => self.pivoted(&rows, &sets)?,
            };
            ctx.write(Self::FIGURE, &figure)?;
            ctx.write(Self::ROWS, &rows.table)
        })
    }
}

impl Table {
    fn plain(&self, table: &data::Table, sets: &[Gathered<ImageSet>]) -> Result<Figure> {
        let mut shown = table.clone();
        let style = Style { labels: self.labels.clone(), ..Style::default() };
        let texts = shown.columns.iter().enumerate();
        let texts: Vec<(usize, String)> = texts
            .filter(|(_, column)| column.kind == ColumnType::Text)
            .map(|(place, column)| (place, column.name.clone()))
            .collect();
        for row in &mut shown.rows {
            for (place, name) in &texts {
                if let Some(value) = row.get_mut(*place).filter(|value| value.is_string()) {
                    *value = Value::String(style.label(Some(name), value));
                }
            }
        }
        for column in &mut shown.columns {
            column.decimals = self.decimals.get(&column.name).copied().or(column.decimals);
            column.name = style.name(&column.name);
        }
        let names = || table.columns.iter().map(|column| column.name.clone());
        let mut view = View::of(&shown, Words::new(&self.title, &self.caption));
        let columns: Vec<String> = names().collect();
        view.strips = self.strips(sets, &columns, &table.rows, &style)?.map(|(strips, _)| strips);
        let record = |row: &Vec<Value>| Value::Object(names().zip(row.iter().cloned()).collect());
        let records = Value::Array(table.rows.iter().map(record).collect());
        self.figure(&view, table.to_csv(), &records, &self.caption)
    }

    fn pivoted(&self, rows: &rows::Rows, sets: &[Gathered<ImageSet>]) -> Result<Figure> {
        rows.check("index", &self.index.0)?;
        rows.check("columns", self.columns.as_slice())?;
        rows.check("value", &self.value.0)?;
        rows.check("over", &self.over.0)?;
        let index = match self.index.is_empty() {
            false => self.index.0.clone(),
            true => {
                let free = |axis: &&String| {
                    self.columns.as_ref() != Some(axis) && !self.over.contains(axis)
                };
                rows.axes.iter().filter(free).cloned().collect()
            }
        };
        let placed: Vec<&str> = index.iter().chain(&self.columns).map(String::as_str).collect();
        rows.check_axes(&placed, &self.over.0, "`index`, in `columns`")?;
        let layout = Layout { index, columns: self.columns.clone(), values: self.value.0.clone() };
        let published =
            self.published.as_ref().map(|published| rows::published_table(&published.rows));
        if let Some(table) = &published {
            self.check_published(table, &layout)?;
        }
        let pivot = pivot(&rows.table, &layout, published.as_ref())?;
        let mut caption = self.caption.clone();
        let counts = pivot.cells.iter().flatten().flatten().map(|cell| cell.count);
        let (fewest, most) =
            counts.fold((usize::MAX, 0), |(low, high), n| (low.min(n), high.max(n)));
        if most > 1 {
            let counts = rows::counts(fewest, most, &self.over.0);
            rows::add_sentence(
                &mut caption,
                &format!("Mean ± sample standard deviation over {counts}."),
            );
        }
        if let Some(published) =
            self.published.as_ref().filter(|published| !published.source.is_empty())
        {
            rows::add_sentence(
                &mut caption,
                &format!("Published: {}.", published.source.trim_end_matches('.')),
            );
        }
        let mut style = Style {
            words: Words::default(),
            labels: self.labels.clone(),
            decimals: self.decimals.clone(),
            percent: self.percent,
            best: self.best.clone(),
        };
        let strips = self.strips(sets, &pivot.index, &pivot.rows, &style)?;
        if let Some((_, sentence)) = strips.as_ref().filter(|(_, sentence)| !sentence.is_empty()) {
            rows::add_sentence(&mut caption, sentence);
        }
        style.words = Words::new(&self.title, &caption);
        let view = View { strips: strips.map(|(strips, _)| strips), ..pivot.view(&style) };
        self.figure(&view, pivot.table().to_csv(), &pivot.records(), &caption)
    }

    /// The images of the rows, and a sentence that says which of several sets they are of; none without image sets.
    fn strips(
        &self,
        sets: &[Gathered<ImageSet>],
        names: &[String],
        rows: &[Vec<Value>],
        style: &Style,
    ) -> Result<Option<(Strips, String)>> {
        if sets.is_empty() {
            return Ok(None);
        }
        let (shown, first_of) = row_images::of_rows(sets, names, rows, &self.over.0)?;
        let images = shown.iter().map(|set| {
            let Some(set) = set else { return Ok(Vec::new()) };
            let places = row_images::first_images(&set.artifact, self.max_images)?;
            places.into_iter().map(|place| pictures::pixels(&set.artifact, place)).collect()
        });
        let strips = Strips {
            head: style.name("images"),
            rows: images.collect::<Result<_>>()?,
            cell: self.cell,
            pixelated: pictures::are_small(sets),
            density: self.density,
        };
        let sentence = match (first_of.len(), first_of.first()) {
            (1, Some(one)) => format!("Images: {one}."),
            (0, _) => String::new(),
            _ => "Images: the first of each row.".to_owned(),
        };
        Ok(Some((strips, sentence)))
    }

    fn check_published(&self, table: &data::Table, layout: &Layout) -> Result<()> {
        let known =
            || layout.index.iter().chain(&layout.columns).chain(&layout.values).map(String::as_str);
        for column in &table.columns {
            if !known().any(|name| name == column.name) {
                let error = crate::Error::unknown("index, column or value", &column.name, known());
                return Err(Error::parameter("published", error.to_string()));
            }
        }
        for name in layout.index.iter().chain(&layout.columns) {
            let place = table.columns.iter().position(|column| column.name == *name);
            let missing = |row: &Vec<Value>| {
                place.and_then(|place| row.get(place)).is_none_or(Value::is_null)
            };
            if let Some(row) = table.rows.iter().position(missing) {
                return Err(Error::parameter(
                    "published",
                    format!("row {}: expected a value of `{name}`", row + 1),
                ));
            }
        }
        Ok(())
    }

    fn figure(&self, view: &View, csv: String, records: &Value, caption: &str) -> Result<Figure> {
        let json = serde_json::to_vec_pretty(records)?;
        Ok(pictures::drawing("table", &view.scene()?, self.density, caption)?
            .with("table.md", view.markdown())
            .with("table.html", view.html()?)
            .with("table.csv", csv)
            .with("table.json", json))
    }
}

/// A number as it would stand in a table, for captions.
pub(super) fn share(value: f64) -> String {
    ticks::fixed(value, 3)
}
