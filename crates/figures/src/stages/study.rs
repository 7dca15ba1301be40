//! Kind `study`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use sconce_core::cell::Plain;
use sconce_core::stage::document::{Content, Document, Found, Misplaced, Place};
use sconce_core::{
    Anything, Artifact, Context, Digest, Error, Gathered, Inputs, Result, Stage, outputs,
};
use sconce_data::{Figure, Metrics, Table};
use serde::{Deserialize, Serialize};

use super::pictures;
use crate::study::{self, Meanings, Part, origin, places, values};

/// Renders a written study to one HTML page that needs nothing else: Markdown with values and exhibits put in by
/// reference, numbered captions, a table of contents, and how it was made.
///
/// docs/studies.md tells how a text is written. What it refers to is looked up before anything runs.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Study {
    /// The Markdown file, relative to the folder of the pipeline file.
    pub text: Document,
    /// Whether a number that was typed by hand is an error where a value exists that rounds to it.
    #[serde(default)]
    pub strict: bool,
    /// Texts for names and values: what the filter `label` writes.
    #[serde(default)]
    #[schemars(extend("x-sconce-labels" = true))]
    pub labels: BTreeMap<String, String>,
    /// Pixels of the figures' PNG files for each CSS pixel.
    #[serde(default = "pictures::density")]
    pub density: f64,
}

outputs! { Study:
    /// The page.
    FIGURE: Figure = "figure";
}

impl Stage for Study {
    const KIND: &'static str = "study";
    const VERSION: u32 = 1;

    fn check(&self) -> Result<()> {
        pictures::check_density(self.density)
    }

    fn places(text: &str, profiles: &[String]) -> Result<Vec<Place>, Vec<Misplaced>> {
        places::scan(text, profiles).map(|scanned| scanned.places)
    }

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        let path = &self.text.path;
        let Some(content) = &self.text.content else {
            return Err(Error::parameter("text", "expected a text that the planner has read"));
        };
        let told = |wrong: Vec<Misplaced>| Error::message(study::told(path, &content.text, &wrong));
        let scanned = places::scan(&content.text, &content.origin.profiles).map_err(told)?;
        let mut wrong = Vec::new();
        let mut meanings = Meanings { labels: self.labels.clone(), ..Meanings::default() };
        let mut shown: Vec<origin::Shown> = Vec::new();
        for place in &scanned.places {
            if let Err(error) = self.mean(ctx, content, place, &mut meanings, &mut shown) {
                match error {
                    Error::Message(message) => {
                        wrong.push(Misplaced::new(message, place.at.clone()))
                    }
                    other => return Err(other),
                }
            }
        }
        if !wrong.is_empty() {
            return Err(told(wrong));
        }
        let page = study::render(&scanned, &meanings, self.strict).map_err(told)?;
        let text = Digest::of(content.text.as_bytes());
        let html = page.html(&origin::section(&content.origin, text, &shown));
        ctx.write(Self::FIGURE, &Figure::new(&page.title).with("study.html", html))
    }
}

impl Study {
    /// Takes in what a place stands for; an error in words belongs to the place.
    fn mean(
        &self,
        ctx: &Context<Self>,
        content: &Content,
        place: &Place,
        meanings: &mut Meanings,
        shown: &mut Vec<origin::Shown>,
    ) -> Result<()> {
        let name = place.name();
        let found = content.found.get(&name).ok_or_else(|| {
            Error::message(format!("the planner found nothing for `{}`", place.written))
        })?;
        let written = || place.written.clone();
        match found {
            Found::Value(value) => {
                if let Some(number) = value.as_f64() {
                    meanings.numbers.push((written(), number));
                }
                meanings.values.insert(name, values::of_json(value));
            }
            Found::Metric { slot, name: metric } => {
                let metrics: Metrics = one(ctx, slot)?;
                let value =
                    metrics.get(metric).map_err(|error| Error::message(error.to_string()))?;
                meanings.values.insert(name, value.into());
                // The others of the same cell could have been put in as well.
                let stem = place.written.strip_suffix(metric.as_str()).unwrap_or_default();
                let numbers = metrics.values.iter();
                meanings
                    .numbers
                    .extend(numbers.map(|(name, value)| (format!("{stem}{name}"), *value)));
                note(ctx, slot, &written(), shown)?;
            }
            Found::Rows { slot, artifact } if artifact == Table::TYPE => {
                let tables: Vec<Gathered<Table>> = ctx.inputs(&Inputs::new([slot]))?;
                let rows = tables.iter().flat_map(table_rows);
                meanings.values.insert(name, rows.collect());
                note(ctx, slot, &written(), shown)?;
            }
            Found::Rows { slot, .. } => {
                let rows: Vec<Gathered<Metrics>> = ctx.inputs(&Inputs::new([slot]))?;
                for row in &rows {
                    let cell = if row.coordinates.is_empty() {
                        row.stage.clone()
                    } else {
                        format!("{}[{}]", row.stage, row.coordinates)
                    };
                    let numbers = row.artifact.values.iter();
                    let numbers = numbers.map(|(name, value)| (format!("{cell}.{name}"), *value));
                    meanings.numbers.extend(numbers);
                }
                let values =
                    rows.iter().map(|from| values::row(from.coordinates.iter(), &from.artifact));
                meanings.values.insert(name, values.collect());
                note(ctx, slot, &written(), shown)?;
            }
            Found::Artifact { slot } => {
                let figures: Vec<Gathered<Figure>> = ctx.inputs(&Inputs::new([slot]))?;
                let parts = figures.into_iter().map(|from| self.part(&place.written, from));
                meanings.exhibits.insert(written(), parts.collect::<Result<_>>()?);
                note(ctx, slot, &written(), shown)?;
            }
        }
        Ok(())
    }

    /// A figure as a part of an exhibit.
    fn part(&self, written: &str, from: Gathered<Figure>) -> Result<Part> {
        let figure = from.artifact;
        let body = pictures::body(&figure, self.density).ok_or_else(|| {
            let names: Vec<&str> = figure.files.keys().map(String::as_str).collect();
            let names = names.join(", ");
            Error::message(format!("`{written}`: expected a html, gif or png file, found: {names}"))
        })?;
        let coordinates = from.coordinates.iter();
        let coordinates =
            coordinates.map(|(axis, value)| (axis.to_owned(), Plain(value).to_string()));
        Ok(Part { coordinates: coordinates.collect(), caption: figure.caption, body })
    }
}

/// The one artifact of a slot.
fn one<T: Artifact>(ctx: &Context<Study>, slot: &str) -> Result<T> {
    let mut all: Vec<Gathered<T>> = ctx.inputs(&Inputs::new([slot]))?;
    match (all.pop(), all.len()) {
        (Some(one), 0) => Ok(one.artifact),
        _ => {
            Err(Error::Input { slot: slot.to_owned(), message: "expected one artifact".to_owned() })
        }
    }
}

/// Notes the digest of what a place shows; what is shown twice is listed once.
fn note(
    ctx: &Context<Study>,
    slot: &str,
    written: &str,
    shown: &mut Vec<origin::Shown>,
) -> Result<()> {
    let all: Vec<Gathered<Anything>> = ctx.inputs(&Inputs::new([slot]))?;
    let gathered = all.len() > 1;
    for from in all {
        let name = match gathered {
            true => format!("{written}: {}", from.coordinates),
            false => slot.split_once('.').map_or(written, |(_, edge)| edge).to_owned(),
        };
        let row = (name, from.artifact.0.digest());
        if !shown.contains(&row) {
            shown.push(row);
        }
    }
    Ok(())
}

/// The rows of a table, with the place along the axes that were gathered.
fn table_rows(from: &Gathered<Table>) -> impl Iterator<Item = minijinja::Value> {
    from.artifact.rows.iter().map(|cells| {
        let columns = from.artifact.columns.iter().map(|column| column.name.clone());
        let mut row: BTreeMap<String, minijinja::Value> =
            columns.zip(cells.iter().map(values::of_json)).collect();
        for (axis, value) in from.coordinates.iter() {
            row.entry(axis.to_owned()).or_insert_with(|| values::of_json(value));
        }
        minijinja::Value::from(row)
    })
}
