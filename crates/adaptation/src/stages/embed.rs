use rand_distr::{Distribution, StandardNormal};
use schemars::JsonSchema;
use sconce_core::random::Generator;
use sconce_core::{
    CellId, Context, Error, Gathered, Inputs, Resources, Result, Stage, Threads, outputs,
};
use sconce_data::{Column, Features, Metrics, Table, split};
use sconce_ops::rows::Rows;
use sconce_ops::rows::pca::Pca;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::test;
use crate::mixing::mixing;
use crate::trustworthiness::{squared_distances, trustworthiness};
use crate::tsne::{self, Place};

/// Places the rows of features in a plane, to be looked at: by t-SNE, or by their first two principal components.
///
/// Each stage of `features` is a domain. The seed draws the images where there are more than `max_images`, and the start of t-SNE: all
/// of it with `random`, and with `pca` a hundredth of it, so that two seeds show how much a picture owes to chance. (scikit-learn
/// draws nothing there.) With `method = "pca"` it draws the images alone. Cells of a stage see the same draws: what is set side by
/// side shows the same images. t-SNE takes time and memory with the square of the images.
///
/// The metrics say what a picture leaves to the eye, of the features themselves and not of their places in the plane: whether
/// domains lie on one another (`domain_mixing`), and whether class lies on class (`class_agreement`).
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Embed {
    /// The features of each domain, all of one layer.
    pub features: Inputs<Features>,
    /// Names of the domains, one for each of `features`; by default their cells.
    #[serde(default)]
    pub domains: Vec<String>,
    /// `tsne` or `pca`.
    #[serde(default)]
    pub method: Method,
    /// The split that is shown; empty for all.
    #[serde(default = "test")]
    pub split: String,
    /// Images at most of each domain; of all domains together, 10,000.
    #[serde(default = "max_images")]
    pub max_images: usize,
    /// Where t-SNE begins: at the principal components (`pca`), or at random places (`random`).
    #[serde(default)]
    pub init: Init,
    /// About how many neighbours t-SNE keeps near each image.
    #[serde(default = "perplexity")]
    pub perplexity: f64,
    /// Steps of t-SNE.
    #[serde(default = "steps")]
    pub steps: usize,
}

/// How rows are placed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Neighbours stay neighbours.
    #[default]
    Tsne,
    /// The two directions along which rows vary most.
    Pca,
}

/// Where t-SNE begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Init {
    /// At the first two principal components.
    #[default]
    Pca,
    /// At random.
    Random,
}

const fn max_images() -> usize {
    500
}

const fn perplexity() -> f64 {
    30.0
}

const fn steps() -> usize {
    1000
}

/// Images at most: the distances of all pairs, in the layer and in the plane, are 1.6 GB of them.
const MOST: usize = 10_000;
/// Deviation of the start along its first axis, as scikit-learn's.
const SPREAD: f64 = 1e-4;
/// Share of the spread that is drawn about the principal components.
const JITTER: f64 = 0.01;
/// Neighbours that `trustworthiness` looks at, as scikit-learn's.
const NEIGHBOURS: usize = 5;
/// Neighbours that `domain_mixing` looks at.
const MIXED: usize = 10;

outputs! { Embed:
    /// A row for each image: `id`, `domain`, `class`, `split`, `x`, `y`.
    EMBEDDING: Table = "embedding";
    /// `trustworthiness` of five neighbours (1 is best), and `kl_divergence` (t-SNE) or `explained` (the part of the variance).
    /// Of several domains also `domain_mixing`, how many of an image's ten nearest features are of another domain, divided by
    /// what chance would give (0: domains lie apart, 1: as if shuffled), and `class_agreement`, the share of images whose
    /// nearest features of another domain are of their class.
    METRICS: Metrics = "metrics" ["images", "explained", "kl_divergence", "trustworthiness", "domain_mixing", "class_agreement"];
}

impl Stage for Embed {
    const KIND: &'static str = "embed";
    const VERSION: u32 = 3;
    const SEEDED: bool = true;

    fn resources(&self) -> Resources {
        let images = self.max_images.saturating_mul(self.features.edges().len()).min(MOST) as u64;
        let distances = 2 * 8 * images * images;
        let memory = Resources::GIB.max(Resources::GIB / 2 + distances);
        Resources { threads: Threads::All, memory, ..Resources::default() }
    }

    fn check(&self) -> Result<()> {
        if self.max_images == 0 {
            return Err(Error::parameter("max_images", "expected 1 or more, found 0"));
        }
        let domains = self.features.edges().len().max(1);
        if self.max_images > MOST / domains {
            let message = format!(
                "the distances of all pairs of images are kept: expected at most {}, so that there are no more than {MOST} \
                 of all domains, found {}",
                MOST / domains,
                self.max_images
            );
            return Err(Error::parameter("max_images", message));
        }
        if self.steps == 0 {
            return Err(Error::parameter("steps", "expected 1 or more, found 0"));
        }
        if !(self.perplexity.is_finite() && self.perplexity >= 1.0) {
            let message = format!("expected a number of 1 or more, found {}", self.perplexity);
            return Err(Error::parameter("perplexity", message));
        }
        Ok(())
    }

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        let domains = ctx.inputs(&self.features)?;
        let names = self.names(&domains)?;
        let chosen = self.chosen(ctx, &domains)?;
        let Some(dimension) = domains.first().map(|domain| domain.artifact.dimension()) else {
            return Err(Error::Input { slot: "features".into(), message: "no features".into() });
        };
        let mut values = Vec::new();
        for (domain, places) in domains.iter().zip(&chosen) {
            if domain.artifact.dimension() != dimension {
                return Err(Error::Input {
                    slot: "features".into(),
                    message: format!(
                        "expected rows of one layer, found rows of {dimension} and of {} numbers",
                        domain.artifact.dimension()
                    ),
                });
            }
            values.extend(domain.artifact.gather(places));
        }
        let rows = Rows::new(&values, dimension).map_err(|error| Error::Input {
            slot: "features".into(),
            message: error.to_string(),
        })?;
        let wide: Vec<f64> = rows.values().iter().map(|&value| f64::from(value)).collect();
        let distances = squared_distances(&wide, rows.columns());
        let (places, mut metrics) = self.places(ctx, rows, &distances)?;
        metrics.set("images", places.len() as f64);
        let (mut of, mut classes) = (Vec::new(), Vec::new());
        for (i, (domain, chosen)) in domains.iter().zip(&chosen).enumerate() {
            let examples = domain.artifact.examples();
            of.extend(chosen.iter().map(|_| i));
            classes.extend(
                chosen.iter().map(|&place| examples.class_of(place).unwrap_or_default().to_owned()),
            );
        }
        if let Some(mixing) = mixing(&distances, &of, &classes, MIXED) {
            metrics.set("domain_mixing", mixing.domains);
            if domains.iter().all(|domain| domain.artifact.examples().is_labelled()) {
                metrics.set("class_agreement", mixing.classes);
            }
        }

        let mut table = Table::new(vec![
            Column::text("id"),
            Column::text("domain"),
            Column::text("class"),
            Column::text("split"),
            Column::decimals("x", 3),
            Column::decimals("y", 3),
        ]);
        table.caption = "Places of images".to_owned();
        let mut left = places.iter();
        for ((domain, chosen), name) in domains.iter().zip(&chosen).zip(&names) {
            let examples = domain.artifact.examples();
            for (&i, [x, y]) in chosen.iter().zip(left.by_ref()) {
                table.push(vec![
                    json!(examples.ids[i]),
                    json!(name),
                    json!(examples.class_of(i)),
                    json!(examples.split_of(i)),
                    json!(x),
                    json!(y),
                ])?;
            }
        }
        ctx.write(Self::EMBEDDING, &table)?;
        ctx.write(Self::METRICS, &metrics)
    }
}

impl Embed {
    fn names(&self, domains: &[Gathered<Features>]) -> Result<Vec<String>> {
        let of_cell = |from: &Gathered<Features>| {
            let (stage, coordinates) = (from.stage.clone(), from.coordinates.clone());
            CellId { stage, coordinates }.to_string()
        };
        match self.domains.len() {
            0 => Ok(domains.iter().map(of_cell).collect()),
            count if count == domains.len() => Ok(self.domains.clone()),
            count => Err(Error::parameter(
                "domains",
                format!("expected a name for each of {} features, found {count}", domains.len()),
            )),
        }
    }

    /// The rows of each domain that are shown.
    fn chosen(&self, ctx: &Context, domains: &[Gathered<Features>]) -> Result<Vec<Vec<usize>>> {
        let wrong = |message: String| Error::parameter("split", message);
        let chosen = domains.iter().enumerate().map(|(domain, from)| {
            let examples = from.artifact.examples();
            let mut places = match self.split.as_str() {
                "" => (0..examples.len()).collect(),
                split => examples.in_split(split).map_err(|error| wrong(error.to_string()))?,
            };
            if places.is_empty() {
                return Err(wrong(format!("no image in the split `{}`", self.split)));
            }
            if places.len() > self.max_images {
                split::shuffle(&mut places, &mut ctx.rng(&format!("images of domain {domain}")));
                places.truncate(self.max_images);
                places.sort_unstable();
            }
            Ok(places)
        });
        let chosen = chosen.collect::<Result<Vec<_>>>()?;
        // Edges with `[*]` are of more domains than can be counted before.
        match chosen.iter().map(Vec::len).sum::<usize>() {
            ..=MOST => Ok(chosen),
            count => Err(Error::parameter(
                "max_images",
                format!("expected {MOST} images at most of all domains, found {count}"),
            )),
        }
    }

    /// Where rows of these squared distances are placed.
    fn places(
        &self,
        ctx: &Context,
        rows: Rows<'_>,
        before: &[f64],
    ) -> Result<(Vec<Place>, Metrics)> {
        let count = rows.len();
        let mut metrics = Metrics::default();
        let places = if self.method == Method::Pca {
            let (places, explained) = principal(rows)?;
            metrics.set("explained", explained);
            places
        } else {
            let mut rng = ctx.rng("start");
            let start = match self.init {
                Init::Random => drawn(count, SPREAD, &mut rng),
                Init::Pca => about(&principal(rows)?.0, &mut rng),
            };
            let options = tsne::Options { perplexity: self.perplexity, steps: self.steps };
            let embedded = tsne::embed(before, start, options, |step, divergence| {
                ctx.point(step, None, [("kl_divergence", divergence)]);
                ctx.progress(step, self.steps, "steps")
            })?;
            metrics.set("kl_divergence", embedded.divergence);
            embedded.places
        };
        let flat: Vec<f64> = places.iter().flatten().copied().collect();
        let neighbours = NEIGHBOURS.min(count.saturating_sub(1) / 2);
        let trust = trustworthiness(before, &squared_distances(&flat, 2), count, neighbours);
        if let Some(trust) = trust {
            ctx.metric("trustworthiness", trust);
            metrics.set("trustworthiness", trust);
        }
        Ok((places, metrics))
    }
}

/// The first two principal components of each row (0 for the second, where there is one alone), and what they explain.
fn principal(rows: Rows<'_>) -> Result<(Vec<Place>, f64)> {
    let wrong = |error: sconce_ops::rows::Error| Error::Input {
        slot: "features".into(),
        message: error.to_string(),
    };
    let count = 2.min(rows.columns()).min(rows.len().saturating_sub(1)).max(1);
    let pca = Pca::leading(rows, count).map_err(wrong)?;
    let along = pca.transform(rows, count).map_err(wrong)?;
    let place = |row: &[f32]| {
        let at = |axis: usize| row.get(axis).map_or(0.0, |&value| f64::from(value));
        [at(0), at(1)]
    };
    Ok((along.chunks_exact(count).map(place).collect(), pca.explained(count)))
}

/// Places of the normal distribution.
fn drawn(count: usize, deviation: f64, rng: &mut Generator) -> Vec<Place> {
    let mut normal = || -> f64 {
        let value: f64 = StandardNormal.sample(rng);
        value * deviation
    };
    (0..count).map(|_| [normal(), normal()]).collect()
}

/// `places` brought to the spread of a start, with a hundredth of it drawn.
fn about(places: &[Place], rng: &mut Generator) -> Vec<Place> {
    let mean_square = places.iter().map(|[x, _]| x * x).sum::<f64>() / places.len() as f64;
    let scale = if mean_square > 0.0 { SPREAD / mean_square.sqrt() } else { 0.0 };
    let jitter = drawn(places.len(), JITTER * SPREAD, rng);
    places.iter().zip(jitter).map(|([x, y], [a, b])| [x * scale + a, y * scale + b]).collect()
}
