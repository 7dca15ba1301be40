mod judged;
mod real;

use schemars::JsonSchema;
use sconce_core::{Context, Error, Input, Resources, Result, Stage, Threads, outputs};
use sconce_data::classes::SameClasses;
use sconce_data::{Array, Column, Features, Metrics, Table, Weights};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::judged::{Judge, class_rows, class_table};
pub use self::real::Measure;
use self::real::Measured;
use super::{places, test, train};
use crate::metrics::{Samples, draw};

/// Measures generated images by their features beside those of real images.
///
/// Features are rows of any network's layer that `extract-features` took of both, with the same weights. The numbers of the last
/// split are the metrics, and each split has a row of the curve: a training's snapshots as splits called `step 300` make a curve
/// over its steps. All numbers but `kid` depend on how many images there are: compare with references of as many, such as those
/// of `alter-images` (test images as the floor, noise, a class left out, a blur). A number says nothing beside those of another
/// judge, whose digest is a column of both tables.
///
/// `fid`: Fréchet distance; `fid_infinity`: the same extrapolated to infinitely many generated images, where there are four for
/// each feature; `kid`: the unbiased kernel distance of all images, which is negative where sets are alike, and of a set with itself
/// always; `kid_mean`, `kid_deviation`: over subsets, as packages give it; `precision`, `recall`, `density`, `coverage`: of as many real
/// as generated images; `nearer_to_train`: share of generated images whose nearest training image is nearer than the nearest test image,
/// both sets weighing the same (0.5 without memorising, 1 for copies), `distance_ratio`: median distance of generated images to the nearest
/// training image by that of test images (1 for new images as good as real ones, 0 for copies, more for worse images; the share alone
/// is a matter of chance for images that look like none, whose nearest image is the same few); `fld`: feature-likelihood
/// divergence. With `logits`: `class_entropy` in nats, `classes_seen`, `inception_score` by the judge, and the `agreement` of wanted
/// and judged classes.
///
/// `memorising` and `likelihood` look at *all* images of `split`, whatever `max_images`: a copy of an image that is left out would pass
/// for new. Of training images `fld` takes as many centres as of generated ones, at most half of them: new real images are at about 0.
///
/// All is computed in double precision: of features in single precision, packages differ by some 1e-4 in FID. A ball of `precision`,
/// `recall`, `density` and `coverage` holds what is nearer than its edge (`<`), as in the package prdc; torch-fidelity counts the edge
/// (`≤`), which differs where images are copies, and takes the generated set first, where prdc takes the real one.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GenerationMetrics {
    /// Features of real images, with splits.
    pub real: Input<Features>,
    /// Features of generated images: a row of the curve for each of their splits. Their labels are the classes that were wanted.
    pub generated: Input<Features>,
    /// The judge's logits of the generated images, which are the same and in the same order.
    #[serde(default)]
    pub logits: Option<Input<Features>>,
    /// The judge's weights: their digest stands in the tables, and their classes name the logits.
    #[serde(default)]
    pub judge: Option<Input<Weights>>,
    /// The split of the real images that the generated are compared with; empty for all.
    #[serde(default = "train")]
    pub split: String,
    /// The split of real images that were not trained on, for `memorising` and `likelihood`; empty leaves these out.
    #[serde(default = "test")]
    pub test_split: String,
    /// The split of the generated images that is measured; empty for each.
    #[serde(default)]
    pub generated_split: String,
    /// What is measured: `fid`, `fid-infinity`, `kid`, `kid-subsets`, `manifold` (precision, recall, density, coverage), `memorising`,
    /// `likelihood` (`fld`).
    #[serde(default = "Measure::all")]
    pub measures: Vec<Measure>,
    /// Images at most of each of the sets, drawn where there are more, but for the training images of `memorising` and `likelihood`.
    /// Time grows with its square.
    #[serde(default = "ten_thousand")]
    pub max_images: usize,
    /// The neighbour that a ball of `manifold` reaches to: 3 for precision and recall, 5 for density and coverage in their papers.
    #[serde(default = "five")]
    pub nearest: usize,
    /// Number of subsets of `kid-subsets`.
    #[serde(default = "hundred")]
    pub subsets: usize,
    /// Images in each of these subsets.
    #[serde(default = "thousand")]
    pub subset_images: usize,
    /// Numbers of images of the line of `fid-infinity`.
    #[serde(default = "fifteen")]
    pub points: usize,
    /// The share of the images from which on a class counts as seen.
    #[serde(default = "three_percent")]
    pub least_share: f64,
    /// Which of the judge's classes a class of the generated images is, where no name tells: `{ three = "3" }`.
    #[serde(default)]
    pub classes: SameClasses,
}

const fn ten_thousand() -> usize {
    10_000
}

const fn five() -> usize {
    5
}

const fn hundred() -> usize {
    100
}

const fn thousand() -> usize {
    1_000
}

const fn fifteen() -> usize {
    15
}

const fn three_percent() -> f64 {
    0.03
}

outputs! { GenerationMetrics:
    /// The numbers of the last split; with `logits` the arrays `class_share`, and `confusion` (wanted class × judged class).
    METRICS: Metrics = "metrics" ["images", "real_images", "test_images", "fid", "fid_infinity", "kid", "kid_mean", "kid_deviation", "precision", "recall", "density", "coverage", "nearer_to_train", "distance_ratio", "fld", "class_entropy", "classes_seen", "inception_score", "agreement"];
    /// A row for each split, with its `step` where its name ends in a number, the numbers of images and the judge's digest.
    CURVE: Table = "curve";
    /// A row for each split and class of the judge: images, their share, and how many were wanted and agree. Empty without `logits`.
    CLASSES: Table = "classes";
}

impl Stage for GenerationMetrics {
    const KIND: &'static str = "generation-metrics";
    // 3: copies are looked for among all training images, and `fld` has as many real centres as generated ones.
    const VERSION: u32 = 3;
    const SEEDED: bool = true;

    fn resources(&self) -> Resources {
        Resources { threads: Threads::All, memory: 3 * Resources::GIB, ..Resources::default() }
    }

    fn check(&self) -> Result<()> {
        let counts = [
            ("max_images", self.max_images, 2),
            ("nearest", self.nearest, 1),
            ("subsets", self.subsets, 1),
            ("subset_images", self.subset_images, 2),
            ("points", self.points, 2),
        ];
        for (key, found, least) in counts {
            if found < least {
                return Err(Error::parameter(
                    key,
                    format!("expected {least} or more, found {found}"),
                ));
            }
        }
        if !(0.0..=1.0).contains(&self.least_share) {
            let message = format!("expected a share of 0 to 1, found {}", self.least_share);
            return Err(Error::parameter("least_share", message));
        }
        if !self.test_split.is_empty() && self.test_split == self.split {
            let message = "expected another split than `split`: what was not trained on";
            return Err(Error::parameter("test_split", message));
        }
        Ok(())
    }

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        let judge: Option<Judge> =
            ctx.optional(&self.judge.as_ref().map(|judge| Input::new(judge.edge())))?;
        let generated = ctx.input(&self.generated)?;
        let logits = self.logits(ctx, &generated, judge.as_ref())?;
        let splits = self.splits(&generated)?;
        let mut real = self.real(ctx, &generated)?;
        let judge = judge.map(|judge| judge.digest);

        let mut curve = self.curve(logits.is_some());
        let mut classes = class_table();
        let mut metrics = Metrics::default();
        let mut told: Vec<(String, usize)> = Vec::new();
        for (done, (split, rows)) in splits.iter().enumerate() {
            ctx.progress(done, splits.len(), "splits")?;
            let name = split.as_deref().unwrap_or("all");
            let drawn =
                draw(rows.len(), self.max_images, &mut ctx.rng(&format!("generated {name}")));
            let rows: Vec<usize> = drawn.into_iter().map(|place| rows[place]).collect();
            let samples = Samples::of(&generated, &rows)
                .map_err(|error| wrong("generated", error.to_string()))?;
            let Measured { mut found, notes } = self.measured(ctx, name, &mut real, &samples)?;
            for note in notes {
                match told.iter_mut().find(|(other, _)| *other == note) {
                    Some((_, splits)) => *splits += 1,
                    None => told.push((note, 1)),
                }
            }
            metrics = Metrics::default();
            let step = split.as_deref().and_then(step);
            if let Some(logits) = &logits {
                let judged = logits.judged(&rows, generated.examples());
                found.extend(self.of_classes(&judged, logits, &rows));
                class_rows(&mut classes, (split, step), &judged, &logits.names, judge.as_deref())?;
                let count = logits.names.len();
                metrics.classes = logits.names.clone();
                let share = Array::new([count], judged.shares())?;
                metrics.arrays.insert("class_share".to_owned(), share);
                if let Some(confusion) = judged.confusion {
                    let counts = confusion.into_iter().map(|n| n as f64).collect();
                    let confusion = Array::new([count, count], counts)?;
                    metrics.arrays.insert("confusion".to_owned(), confusion);
                }
            }
            let tested = real.test.as_ref().map(|test| test.samples.len());
            let mut row = vec![json!(split), json!(step), json!(judge)];
            row.extend([json!(rows.len()), json!(real.samples.len()), json!(tested)]);
            for column in &curve.columns[row.len()..] {
                let value = found.iter().find(|(name, _)| *name == column.name);
                row.push(value.map_or(Value::Null, |(_, value)| json!(value)));
            }
            curve.push(row)?;
            metrics.set("images", rows.len() as f64);
            metrics.set("real_images", real.samples.len() as f64);
            if let Some(tested) = tested {
                metrics.set("test_images", tested as f64);
            }
            found.iter().for_each(|(name, value)| metrics.set(*name, *value));
        }
        for (note, count) in told {
            match splits.len() {
                1 => ctx.note(note),
                all => ctx.note(format!("{note} (in {count} of {all} splits)")),
            }
        }
        for name in ["fid", "kid", "coverage", "agreement"] {
            if let Some(value) = metrics.values.get(name) {
                ctx.metric(name, *value);
            }
        }
        ctx.write(Self::METRICS, &metrics)?;
        ctx.write(Self::CURVE, &curve)?;
        ctx.write(Self::CLASSES, &classes)
    }
}

fn wrong(slot: &str, message: String) -> Error {
    Error::Input { slot: slot.to_owned(), message }
}

/// The number at the end of a split's name: 300 of `step 300`.
fn step(split: &str) -> Option<u64> {
    let at = split.len() - split.bytes().rev().take_while(u8::is_ascii_digit).count();
    split[at..].parse().ok()
}

impl GenerationMetrics {
    /// The rows of each split that is measured, with its name.
    fn splits(&self, generated: &Features) -> Result<Vec<(Option<String>, Vec<usize>)>> {
        let examples = generated.examples();
        if !self.generated_split.is_empty() {
            let rows = places(examples, "generated_split", &self.generated_split)?;
            return Ok(vec![(Some(self.generated_split.clone()), rows)]);
        }
        if examples.splits.is_empty() {
            return Ok(vec![(None, places(examples, "generated", "")?)]);
        }
        let of = |split: &String| Ok((Some(split.clone()), examples.in_split(split)?));
        let splits: Vec<_> = examples.splits.iter().map(of).collect::<Result<_>>()?;
        match splits.iter().find(|(_, rows)| rows.is_empty()) {
            Some((split, _)) => {
                let name = split.as_deref().unwrap_or_default();
                Err(wrong("generated", format!("no image in the split `{name}`")))
            }
            None => Ok(splits),
        }
    }

    fn curve(&self, judged: bool) -> Table {
        let mut columns = vec![
            Column::text("split"),
            Column::integer("step"),
            Column::text("judge"),
            Column::integer("images"),
            Column::integer("real_images"),
            Column::integer("test_images"),
        ];
        let measures = Measure::all().into_iter().filter(|measure| self.measures(*measure));
        let of_classes: &[(&str, u8)] = match judged {
            true => &[
                ("class_entropy", 3),
                ("classes_seen", 0),
                ("inception_score", 3),
                ("agreement", 4),
            ],
            false => &[],
        };
        let numbers = measures.flat_map(Measure::columns).chain(of_classes);
        columns.extend(numbers.map(|&(name, decimals)| Column::decimals(name, decimals)));
        let mut table = Table::new(columns);
        table.caption = "Metrics of generated images".to_owned();
        table
    }
}
