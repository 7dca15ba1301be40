use schemars::JsonSchema;
use sconce_core::{Context, Input, Output, Result, Stage};
use sconce_data::{Column, Features, Metrics, Table};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{map_size, one_map};
use crate::rank::spearman;

/// Compares maps of the same images: Spearman's rank correlation of their pixels, with their signs and without.
///
/// With maps of a network whose weights were drawn anew (`randomise-weights`) it is the sanity check of Adebayo et al.,
/// 2018: maps that stay alike do not show what the network learned. A map of one value alone, as of a class that a
/// random network never scores, has no ranks: it is counted as `vanished` and left out of the means.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CompareMaps {
    /// The maps.
    pub maps: Input<Features>,
    /// The maps that they are compared with.
    pub reference: Input<Features>,
}

impl Stage for CompareMaps {
    const KIND: &'static str = "compare-maps";
    const VERSION: u32 = 1;
    const OUTPUTS: &'static [Output] = &[
        Output::of::<Table>(
            "table",
            "a row for each image: image, rank_correlation, absolute_rank_correlation",
        ),
        Output::of::<Metrics>("metrics", "the means, and how many maps vanished"),
    ];

    fn run(&self, ctx: &Context) -> Result<()> {
        let maps = ctx.input(&self.maps)?;
        let reference = ctx.input(&self.reference)?;
        let size = map_size("maps", &maps)?;
        let names = ["rank_correlation", "absolute_rank_correlation"];
        let columns = names.map(|name| Column::decimals(name, 3)).to_vec();
        let mut table = Table::new([vec![Column::text("image")], columns].concat());
        let absolute = |map: &[f32]| map.iter().map(|v| v.abs()).collect::<Vec<_>>();
        let mut sums = [0.0; 2];
        let mut found = 0;
        for (row, id) in maps.examples().ids.iter().enumerate() {
            let (one, other) = (maps.row(row), one_map("reference", &reference, id, size)?);
            let signed = spearman(one, other);
            let unsigned = spearman(&absolute(one), &absolute(other));
            if let (Some(signed), Some(unsigned)) = (signed, unsigned) {
                sums[0] += signed;
                sums[1] += unsigned;
                found += 1;
            }
            table.push(vec![json!(id), json!(signed), json!(unsigned)])?;
            ctx.progress(row + 1, maps.len(), "images")?;
        }
        let mut metrics = Metrics::default();
        for (name, sum) in names.iter().zip(sums).filter(|_| found > 0) {
            metrics.set(*name, sum / f64::from(found));
            ctx.metric(name, sum / f64::from(found));
        }
        metrics.set("vanished", maps.len() as f64 - f64::from(found));
        ctx.write("table", &table)?;
        ctx.write("metrics", &metrics)
    }
}
