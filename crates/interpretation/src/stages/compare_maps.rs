use schemars::JsonSchema;
use sconce_core::{Context, Input, Result, Stage, outputs};
use sconce_data::rank::Ranked;
use sconce_data::{Column, Features, Metrics, Table};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{map_size, one_map};

/// Compares maps of the same images: Spearman's rank correlation of their pixels, with their signs and without.
///
/// With maps of a network whose weights were drawn anew (`randomise-weights`) it is the sanity check of Adebayo et al.,
/// 2018: maps that stay alike do not show what the network learned. A map of one value alone, as of a class that a
/// random network never scores, has no ranks: it is counted as `vanished` and left out of the means.
///
/// Maps of *different* images are compared, too (`…_of_other_images`): what they have in common is the network's layout and
/// where photographs have their objects, strides and borders, not the image.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CompareMaps {
    /// The maps.
    pub maps: Input<Features>,
    /// The maps that they are compared with.
    pub reference: Input<Features>,
}

outputs! { CompareMaps:
    /// A row for each image: image, rank_correlation, absolute_rank_correlation.
    TABLE: Table = "table";
    /// The means, those of maps with reference maps of other images, and how many maps vanished.
    METRICS: Metrics = "metrics" ["vanished", "rank_correlation", "absolute_rank_correlation", "*_of_other_images"];
}

impl Stage for CompareMaps {
    const KIND: &'static str = "compare-maps";
    const VERSION: u32 = 2;

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        let maps = ctx.input(&self.maps)?;
        let reference = ctx.input(&self.reference)?;
        let size = map_size("maps", &maps)?;
        let mut pairs = Vec::with_capacity(maps.len());
        for (row, id) in maps.examples().ids.iter().enumerate() {
            let (one, other) = (maps.row(row), one_map("reference", &reference, id, size)?);
            pairs.push([Pair::of(one, other), Pair::of(&absolute(one), &absolute(other))]);
            ctx.progress(row + 1, maps.len(), "images")?;
        }
        let columns = NAMES.map(|name| Column::decimals(name, 3)).to_vec();
        let mut table = Table::new([vec![Column::text("image")], columns].concat());
        for (id, [signed, unsigned]) in maps.examples().ids.iter().zip(&pairs) {
            let own = |pair: &Option<Pair>| json!(pair.as_ref().map(Pair::own));
            table.push(vec![json!(id), own(signed), own(unsigned)])?;
        }
        // With signs and without, a map has ranks, or it has none: both at once.
        pairs.retain(|both| both.iter().all(Option::is_some));
        let mut metrics = Metrics::default();
        metrics.set("vanished", (maps.len() - pairs.len()) as f64);
        for (place, name) in NAMES.into_iter().enumerate() {
            let pairs: Vec<&Pair> = pairs.iter().filter_map(|both| both[place].as_ref()).collect();
            if let Some(mean) = mean(&pairs, true) {
                metrics.set(name, mean);
                ctx.metric(name, mean);
            }
            if let Some(mean) = mean(&pairs, false) {
                metrics.set(format!("{name}_of_other_images"), mean);
            }
        }
        ctx.write(Self::TABLE, &table)?;
        ctx.write(Self::METRICS, &metrics)
    }
}

const NAMES: [&str; 2] = ["rank_correlation", "absolute_rank_correlation"];

fn absolute(map: &[f32]) -> Vec<f32> {
    map.iter().map(|number| number.abs()).collect()
}

/// A map and the one that it is compared with.
struct Pair {
    map: Ranked,
    reference: Ranked,
}

impl Pair {
    fn of(map: &[f32], reference: &[f32]) -> Option<Self> {
        Some(Self { map: Ranked::of(map)?, reference: Ranked::of(reference)? })
    }

    fn own(&self) -> f64 {
        self.map.correlation(&self.reference)
    }
}

/// The mean correlation of maps with their own reference, or with those of all other images.
fn mean(pairs: &[&Pair], own: bool) -> Option<f64> {
    let mut found = Vec::new();
    for (row, one) in pairs.iter().enumerate() {
        let chosen = pairs.iter().enumerate().filter(|(other, _)| (row == *other) == own);
        found.extend(chosen.map(|(_, other)| one.map.correlation(&other.reference)));
    }
    (!found.is_empty()).then(|| found.iter().sum::<f64>() / found.len() as f64)
}
