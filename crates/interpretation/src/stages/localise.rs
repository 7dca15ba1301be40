use schemars::JsonSchema;
use sconce_core::{Context, Error, Input, Result, Stage, outputs};
use sconce_data::{Column, Examples, Features, FeaturesWriter, ImageSet, Table};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{map_size, one_map};
use crate::localise::{Region, crop, localise, smoothed, square_around};

/// Finds the place that a map points to: a box, a mask, and a square crop that keeps it.
///
/// The place is the connected part with the largest sum of the pixels that have at least `threshold` of the map's largest
/// number (Zhou et al., 2016). An image whose map has no positive number is kept whole.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Localise {
    /// The images as the network saw them: the output `prepared` of `saliency-map`.
    pub images: Input<ImageSet>,
    /// Their maps.
    pub maps: Input<Features>,
    /// What a pixel must have, as a share of the map's largest number.
    #[serde(default = "threshold")]
    pub threshold: f64,
    /// Deviation of a blur of the map before, as a share of the image's shorter side; 0 for none. Maps of single pixels, such
    /// as saliency, need it.
    #[serde(default)]
    pub blurred: f64,
    /// Room around the box in the crop, as a share of its longer side.
    #[serde(default = "margin")]
    pub margin: f64,
}

const fn threshold() -> f64 {
    0.2
}

const fn margin() -> f64 {
    0.1
}

outputs! { Localise:
    /// A row for each image: image, left, top, width, height in pixels, the box's share of the area
    /// and its pixels' share of the map's sum.
    BOXES: Table = "boxes";
    /// 1 where the place is, 1 × height × width for each image.
    MASKS: Features = "masks";
    /// Squares around the boxes, of the images' size.
    CROPS: ImageSet = "crops";
}

impl Stage for Localise {
    const KIND: &'static str = "localise";
    const VERSION: u32 = 1;

    fn check(&self) -> Result<()> {
        for (key, value, most) in [
            ("threshold", self.threshold, 1.0),
            ("blurred", self.blurred, 0.5),
            ("margin", self.margin, 10.0),
        ] {
            if !(0.0..=most).contains(&value) {
                let message = format!("expected 0 to {most}, found {value}");
                return Err(Error::parameter(key, message));
            }
        }
        Ok(())
    }

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        let images = ctx.input(&self.images)?;
        let maps = ctx.input(&self.maps)?;
        let (height, width) = map_size("maps", &maps)?;
        let numbers = ["left", "top", "width", "height"].map(Column::integer);
        let shares = ["area", "share"].map(|name| Column::decimals(name, 3));
        let mut table =
            Table::new([vec![Column::text("image")], numbers.to_vec(), shares.to_vec()].concat());
        let examples = images.examples();
        let mut masks =
            FeaturesWriter::create(&ctx.folder(Self::MASKS), examples, &[1, height, width])?;
        let side = width.min(height);
        let mut crops = Vec::new();
        for (place, id) in examples.ids.iter().enumerate() {
            let image = images.decode(place)?;
            let map = one_map("maps", &maps, id, (image.height(), image.width()))?;
            let blurred;
            let map = match self.blurred {
                0.0 => map,
                smooth => {
                    blurred = smoothed(map, width, smooth * side as f64)?;
                    &blurred
                }
            };
            let found = localise(map, width, self.threshold);
            let region = found
                .as_ref()
                .map_or(Region { left: 0, top: 0, width, height }, |found| found.region);
            let area = (region.width * region.height) as f64 / (width * height) as f64;
            let [left, top, across, down] =
                [region.left, region.top, region.width, region.height].map(|n| json!(n));
            let share = found.as_ref().map_or(Value::Null, |found| json!(found.share));
            table.push(vec![json!(id), left, top, across, down, json!(area), share])?;
            let mask: Vec<f32> = match &found {
                Some(found) => {
                    found.mask.iter().map(|&inside| f32::from(u8::from(inside))).collect()
                }
                None => vec![1.0; width * height],
            };
            masks.push(&mask)?;
            let square = square_around(region, self.margin, width, height);
            crops.extend_from_slice(crop(&image, square, side)?.samples());
            ctx.progress(place + 1, images.len(), "images")?;
        }
        masks.finish()?;
        let crops = ImageSet::packed(Examples::clone(examples), images.color(), side, side, crops)?;
        ctx.write(Self::CROPS, &crops)?;
        ctx.write(Self::BOXES, &table)
    }
}
