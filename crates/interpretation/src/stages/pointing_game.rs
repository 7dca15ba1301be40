use schemars::JsonSchema;
use sconce_core::{Context, Error, Input, Result, Stage, outputs};
use sconce_data::{Column, Features, Metrics, Table};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::map_size;
use crate::mosaic::{QUARTERS, points};

/// The pointing game on mosaics: whether a map's largest number lies in the quarter of the class, and the share of its
/// positive sum that does. Chance is a quarter.
///
/// Zhang et al., 2016; on mosaics: Böhle et al., 2021.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PointingGame {
    /// The mosaics' maps, as of `saliency-map`.
    pub maps: Input<Features>,
    /// Which quarter each map is about: the table of `mosaics`.
    pub mosaics: Input<Table>,
}

outputs! { PointingGame:
    /// A row for each map: image, hit, share.
    TABLE: Table = "table";
    /// The means over all maps.
    METRICS: Metrics = "metrics" ["hit", "share", "maps"];
}

impl Stage for PointingGame {
    const KIND: &'static str = "pointing-game";
    const VERSION: u32 = 1;

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        let maps = ctx.input(&self.maps)?;
        let mosaics = ctx.input(&self.mosaics)?;
        let (_, width) = map_size("maps", &maps)?;
        let (images, quarters) = (mosaics.values("image")?, mosaics.values("quarter")?);
        let columns = ["hit", "share"].map(|name| Column::decimals(name, 3)).to_vec();
        let mut table = Table::new([vec![Column::text("image")], columns].concat());
        let (mut hits, mut shares, mut found) = (0.0, 0.0, 0);
        for (row, id) in maps.examples().ids.iter().enumerate() {
            let place = images.iter().position(|image| image.as_str() == Some(id));
            let name = place.and_then(|place| quarters[place].as_str());
            let Some(quarter) = QUARTERS.iter().position(|quarter| Some(*quarter) == name) else {
                return Err(Error::Input {
                    slot: "mosaics".to_owned(),
                    message: format!("expected a row with the quarter of `{id}`, found {name:?}"),
                });
            };
            let (hit, share) = points(maps.row(row), width, quarter);
            hits += hit;
            if let Some(share) = share {
                shares += share;
                found += 1;
            }
            table.push(vec![
                json!(id),
                json!(hit),
                share.map_or(Value::Null, |share| json!(share)),
            ])?;
        }
        let mut metrics = Metrics::default();
        metrics.set("hit", hits / maps.len().max(1) as f64);
        metrics.set("share", shares / f64::from(found.max(1)));
        metrics.set("maps", maps.len() as f64);
        for (name, value) in &metrics.values {
            ctx.metric(name, *value);
        }
        ctx.write(Self::TABLE, &table)?;
        ctx.write(Self::METRICS, &metrics)
    }
}
