use schemars::JsonSchema;
use sconce_core::{Context, Error, Input, Resources, Result, Stage, outputs};
use sconce_data::{Column, Features, ImageSet, Metrics, SameClasses, Table, Weights};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::one_map;
use crate::deletion::{Curves, area, curves};
use crate::maps::Baseline;
use crate::{Model, Of};

/// Measures how good maps are: the area under the probability of the class as the pixels that a map names first are
/// deleted (low is good) and put into a blurred image (high is good).
///
/// Petsiuk et al., "RISE", 2018. Compare with the maps of methods that do not know the network, `edges` and `random` of
/// `saliency-map`: numbers alone say little.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MapQuality {
    /// The images.
    pub images: Input<ImageSet>,
    /// The network's weights.
    pub weights: Input<Weights>,
    /// Maps of all or some of the images, as of `saliency-map`.
    pub maps: Input<Features>,
    /// The class whose probability is watched: the `predicted` or the `true` one.
    #[serde(default)]
    pub of: Of,
    /// Which of the network's classes an images' class is, where no name tells: `{ cat = "tabby", "my fish" = 1 }`. All
    /// others are matched by name, synonym (`goldfish`) or WordNet id (`n01443537`).
    #[serde(default)]
    pub classes: SameClasses,
    /// Steps from no pixel to all of them.
    #[serde(default = "thirty_two")]
    pub steps: usize,
    /// What deleted pixels show: `mean`, `black`, `white`, or `{ blurred = 0.1 }` for the image after a blur whose deviation is
    /// that share of its side.
    #[serde(default)]
    pub baseline: Baseline,
    /// Deviation of the blur that insertion begins with, as a share of the input's side.
    #[serde(default = "blurred")]
    pub blurred: f64,
    /// Side in pixels of the squares that go and come as one, in the order of their means: 1 as in RISE, 9 as in Samek et
    /// al., 2017.
    #[serde(default = "one")]
    pub patch: usize,
    /// Whether the numbers of signed maps count without their signs: what matters, for or against the class.
    #[serde(default)]
    pub magnitude: bool,
    /// The side of the network's square input in pixels; by default the one that the weights come with. It has to be that
    /// of the maps.
    #[serde(default)]
    pub size: Option<usize>,
    /// Images that go through the network at a time, or variants of one: memory against speed. On the processor it changes no
    /// bit of a result.
    #[serde(default = "eight")]
    #[schemars(extend("x-sconce-cosmetic" = true))]
    pub batch: usize,
}

const fn one() -> usize {
    1
}

const fn thirty_two() -> usize {
    32
}

const fn eight() -> usize {
    8
}

/// Five pixels of 224, as in RISE.
const fn blurred() -> f64 {
    0.0223
}

outputs! { MapQuality:
    /// A row for each image: image, deletion, insertion.
    TABLE: Table = "table";
    /// The mean curves: share of the pixels, deletion, insertion.
    CURVES: Table = "curves";
    /// The means over all images, and their deviations.
    METRICS: Metrics = "metrics" ["deletion", "insertion", "deletion_deviation", "insertion_deviation", "images"];
}

impl Stage for MapQuality {
    const KIND: &'static str = "map-quality";
    const VERSION: u32 = 4;

    fn resources(&self) -> Resources {
        Resources::heavy(2 * Resources::GIB)
    }

    fn check(&self) -> Result<()> {
        for (key, value) in [
            ("steps", self.steps),
            ("patch", self.patch),
            ("batch", self.batch),
            ("size", self.size.unwrap_or(1)),
        ] {
            if value == 0 {
                return Err(Error::parameter(key, "expected 1 or more, found 0"));
            }
        }
        self.baseline.check("baseline")?;
        if !(self.blurred > 0.0 && self.blurred < 1.0) {
            let message = format!("expected a share between 0 and 1, found {}", self.blurred);
            return Err(Error::parameter("blurred", message));
        }
        Ok(())
    }

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        let images = ctx.input(&self.images)?;
        let maps = ctx.input(&self.maps)?;
        let device = sconce_models::device(ctx.device())?;
        let model = Model::load(&ctx.input(&self.weights)?, self.size, device)?;
        let ids = &images.examples().ids;
        let all: Vec<usize> = maps
            .examples()
            .ids
            .iter()
            .map(|id| {
                ids.iter().position(|other| other == id).ok_or_else(|| Error::Input {
                    slot: "images".to_owned(),
                    message: format!("no image `{id}`, of which there is a map"),
                })
            })
            .collect::<Result<_>>()?;
        let truth = match self.of {
            Of::True => Some(model.true_classes(&images, &all, &self.classes)?),
            Of::Predicted => None,
        };
        let columns = ["deletion", "insertion"].map(|name| Column::decimals(name, 3));
        let mut table = Table::new([vec![Column::text("image")], columns.to_vec()].concat());
        let mut sums = vec![[0f64; 2]; self.steps + 1];
        let mut areas = [Vec::new(), Vec::new()];
        for (row, &place) in all.iter().enumerate() {
            let x = model.inputs(&images, &[place])?;
            let (_, _, height, width) = x.dims4().map_err(Error::other)?;
            let class = match &truth {
                Some(truth) => truth[row],
                None => model.predict(&x).map_err(Error::other)?[0],
            };
            let id = &ids[place];
            let map = one_map("maps", &maps, id, (height, width))?;
            let blur = self.blurred * height.min(width) as f64;
            let how = Curves {
                steps: self.steps,
                baseline: self.baseline,
                blur,
                patch: self.patch,
                magnitude: self.magnitude,
            };
            let curve = curves(&model, &x, class, map, &how, self.batch).map_err(Error::other)?;
            let pair = [area(&curve.deletion), area(&curve.insertion)];
            table.push(vec![json!(id), json!(pair[0]), json!(pair[1])])?;
            for (all, area) in areas.iter_mut().zip(pair) {
                all.push(area);
            }
            for (sum, (deletion, insertion)) in
                sums.iter_mut().zip(curve.deletion.iter().zip(&curve.insertion))
            {
                sum[0] += f64::from(*deletion);
                sum[1] += f64::from(*insertion);
            }
            ctx.progress(row + 1, all.len(), "images")?;
        }
        let n = all.len().max(1) as f64;
        let mut metrics = Metrics::default();
        for (name, areas) in ["deletion", "insertion"].iter().zip(&areas) {
            let mean = areas.iter().sum::<f64>() / n;
            let variance = areas.iter().map(|area| (area - mean).powi(2)).sum::<f64>();
            metrics.set(*name, mean);
            metrics.set(format!("{name}_deviation"), (variance / (n - 1.0).max(1.0)).sqrt());
            ctx.metric(name, mean);
        }
        metrics.set("images", n);
        let mut curves =
            Table::new(["share", "deletion", "insertion"].map(Column::number).to_vec());
        for (step, sum) in sums.iter().enumerate() {
            let share = step as f64 / self.steps as f64;
            curves.push(vec![json!(share), json!(sum[0] / n), json!(sum[1] / n)])?;
        }
        ctx.write(Self::CURVES, &curves)?;
        ctx.write(Self::METRICS, &metrics)?;
        ctx.write(Self::TABLE, &table)
    }
}
