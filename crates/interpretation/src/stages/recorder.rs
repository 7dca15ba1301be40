//! Keeps what happens on the way to a picture of a class.

use candle_core::Tensor;
use sconce_core::error::IoResultExt;
use sconce_core::{Context, Error, Result};
use sconce_data::{Color, Column, Examples, Image, ImageSet, Metrics, Table};
use serde_json::{Value, json};

use crate::Model;
use crate::visualisation::picture;
use crate::visualisation::score::Progress;
use crate::visualisation::verdict::verdict;

/// Probability from which a picture counts as one of the class.
const REACHED: f64 = 0.9;

pub(super) fn check_size(size: Option<usize>) -> Result<()> {
    match size {
        Some(size @ 0..32) => {
            Err(Error::parameter("size", format!("expected 32 pixels or more, found {size}")))
        }
        _ => Ok(()),
    }
}

pub(super) fn check_positive(key: &str, value: f64) -> Result<()> {
    if value.is_finite() && value > 0.0 {
        return Ok(());
    }
    Err(Error::parameter(key, format!("expected more than 0, found {value}")))
}

/// The side of the network's square input.
pub(super) fn size(model: &Model) -> Result<usize> {
    model.preprocessing().size.ok_or_else(|| {
        Error::parameter("size", "the weights come without one: expected a number of pixels")
    })
}

/// The first of a class's synonyms: `tabby` of `tabby, tabby cat`.
pub(super) fn short_name(class: &str) -> &str {
    class.split(',').next().unwrap_or(class).trim()
}

/// A class's short name as a file's.
fn file_name(class: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    format!("{}.png", short_name(class).chars().map(plain).collect::<String>())
}

/// What the kinds that make pictures of a class yield.
pub(super) struct Record {
    /// The last picture.
    pub(super) picture: ImageSet,
    /// The pictures that were kept on the way.
    pub(super) frames: ImageSet,
    /// A row a step.
    pub(super) history: Table,
    /// Of the last picture as a file holds it.
    pub(super) metrics: Metrics,
}

/// Watches a picture of a class being made.
pub(super) struct Recorder<'a> {
    ctx: &'a Context,
    model: &'a Model,
    class: u32,
    iterations: usize,
    every: usize,
    history: Table,
    frames: Vec<(String, Image)>,
    reached: Option<usize>,
}

impl<'a> Recorder<'a> {
    pub(super) fn new(
        ctx: &'a Context,
        model: &'a Model,
        class: u32,
        iterations: usize,
        every: usize,
    ) -> Self {
        let history = Table::new(vec![
            Column::integer("iteration"),
            Column::decimals("objective", 3),
            Column::decimals("logit", 3),
            Column::decimals("probability", 4),
            Column::text("image"),
        ]);
        Self { ctx, model, class, iterations, every, history, frames: Vec::new(), reached: None }
    }

    pub(super) fn observe(
        &mut self,
        progress: &Progress,
        pixels: &dyn Fn() -> candle_core::Result<Tensor>,
    ) -> Result<()> {
        let Progress { iteration, objective, logit, probability } = *progress;
        if !objective.is_finite() {
            return Err(Error::message(format!(
                "the objective is {objective} after {iteration} steps: expected a finite number (a smaller learning rate)"
            )));
        }
        if probability >= REACHED && self.reached.is_none() {
            self.reached = Some(iteration);
        }
        let told = [("objective", objective), ("logit", logit), ("probability", probability)];
        self.ctx.point(iteration, None, told);
        let last = iteration == self.iterations;
        let kept = last || (self.every > 0 && iteration.is_multiple_of(self.every));
        let frame = if kept {
            let name = format!("{iteration:05}.png");
            let pixels = pixels().map_err(Error::other)?;
            self.frames.push((name.clone(), picture::image(self.model, &pixels, 0)?));
            Value::from(name)
        } else {
            Value::Null
        };
        self.history.push(vec![
            json!(iteration),
            json!(objective),
            json!(logit),
            json!(probability),
            frame,
        ])?;
        self.ctx.progress(iteration, self.iterations, "steps")
    }

    pub(super) fn finish(self) -> Result<Record> {
        let Some((_, last)) = self.frames.last() else {
            return Err(Error::message("the ascent ended without a picture"));
        };
        let found = verdict(self.model, last, self.class)?;
        let mut metrics = Metrics::default();
        metrics.set("probability", found.probability);
        metrics.set("rank", found.rank as f64);
        if let Some(reached) = self.reached {
            metrics.set("reached", reached as f64);
        }
        self.ctx.metric("probability", found.probability);
        let class = self.model.class_name(self.class);
        let picture = [(file_name(&class), last.clone())];
        Ok(Record {
            picture: self.encoded("picture", &class, &picture)?,
            frames: self.encoded("frames", &class, &self.frames)?,
            history: self.history,
            metrics,
        })
    }

    /// The pictures as PNG files, all labelled with the class.
    fn encoded(&self, folder: &str, class: &str, pictures: &[(String, Image)]) -> Result<ImageSet> {
        let folder = self.ctx.scratch().join(folder);
        std::fs::create_dir_all(&folder).at(&folder)?;
        let mut files = Vec::with_capacity(pictures.len());
        for (name, image) in pictures {
            let path = folder.join(name);
            std::fs::write(&path, image.to_png().map_err(Error::other)?).at(&path)?;
            files.push(path);
        }
        // A number is known again as a class's only among all of them.
        let (classes, label) = match self.model.classes() {
            [] => (self.model.class_names(), self.class),
            _ => (vec![class.to_owned()], 0),
        };
        let examples = Examples {
            ids: pictures.iter().map(|(name, _)| name.clone()).collect(),
            classes,
            labels: vec![label; pictures.len()],
            ..Examples::default()
        };
        let color = pictures.first().map_or(Color::Rgb, |(_, image)| image.color());
        ImageSet::encoded(examples, color, files)
    }
}
