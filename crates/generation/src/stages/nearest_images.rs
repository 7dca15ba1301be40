use schemars::JsonSchema;
use sconce_core::{Context, Error, Input, Resources, Result, Stage, Threads, outputs};
use sconce_data::{Column, Examples, Features, ImageSet, Table};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{places, test, train};
use crate::altered::image_set;
use crate::metrics::distances::{Neighbour, nearest};
use crate::metrics::{Samples, draw};

/// Sets generated images beside the real ones that are nearest to them: were training images memorised?
///
/// Near is by the Euclidean distance of features, or of pixels (0 to 1) where no features are given. `image-grid` with
/// `across = 1 + neighbours` shows a generated image and its neighbours in a row each; `captioned-grid` with the table `neighbours`
/// writes distances below them.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NearestImages {
    /// The generated images.
    pub images: Input<ImageSet>,
    /// The real images, with splits.
    pub real: Input<ImageSet>,
    /// Features of the generated images.
    #[serde(default)]
    pub features: Option<Input<Features>>,
    /// Features of the real images, of the same layer.
    #[serde(default)]
    pub real_features: Option<Input<Features>>,
    /// Neighbours of each image.
    #[serde(default = "five")]
    pub neighbours: usize,
    /// Generated images at most.
    #[serde(default = "eight")]
    pub max_images: usize,
    /// Whether generated images are drawn; else the first are taken.
    #[serde(default)]
    pub draw: bool,
    /// The split of the generated images that is used; empty for all.
    #[serde(default)]
    pub generated_split: String,
    /// The split of the real images in which neighbours are looked for; empty for all.
    #[serde(default = "train")]
    pub split: String,
    /// A split of real images that were not trained on, whose nearest image is told beside; empty for none.
    #[serde(default = "test")]
    pub test_split: String,
}

const fn five() -> usize {
    5
}

const fn eight() -> usize {
    8
}

outputs! { NearestImages:
    /// Each generated image, `000/sample`, and its neighbours `000/1`, `000/2`, …, the nearest first.
    IMAGES: ImageSet = "images";
    /// A row for each of these images: `image`, `sample` (the generated image), `rank` (0 for itself), `neighbour` (the real
    /// image), `class`, `distance`.
    NEIGHBOURS: Table = "neighbours";
    /// A row for each generated image: its nearest image of `split` and of `test_split`, and how far they are. Where a split has
    /// fewer images, its nearest is further by that alone.
    SAMPLES: Table = "samples";
}

impl Stage for NearestImages {
    const KIND: &'static str = "nearest-images";
    const VERSION: u32 = 1;
    const SEEDED: bool = true;

    fn resources(&self) -> Resources {
        Resources { threads: Threads::All, memory: 2 * Resources::GIB, ..Resources::default() }
    }

    fn check(&self) -> Result<()> {
        for (key, value) in [("neighbours", self.neighbours), ("max_images", self.max_images)] {
            if value == 0 {
                return Err(Error::parameter(key, "expected 1 or more, found 0"));
            }
        }
        if self.features.is_some() != self.real_features.is_some() {
            let missing = if self.features.is_some() { "real_features" } else { "features" };
            return Err(Error::parameter(missing, "expected features of both sets, or of none"));
        }
        Ok(())
    }

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        let (generated, real) = (ctx.input(&self.images)?, ctx.input(&self.real)?);
        let mut chosen = places(generated.examples(), "generated_split", &self.generated_split)?;
        if self.draw {
            let drawn = draw(chosen.len(), self.max_images, &mut ctx.rng("images"));
            chosen = drawn.into_iter().map(|place| chosen[place]).collect();
        }
        chosen.truncate(self.max_images);
        let among = places(real.examples(), "split", &self.split)?;
        let tested = match self.test_split.as_str() {
            "" => Vec::new(),
            split => places(real.examples(), "test_split", split)?,
        };
        let features = match (&self.features, &self.real_features) {
            (Some(of_generated), Some(of_real)) => {
                let (of_generated, of_real) = (ctx.input(of_generated)?, ctx.input(of_real)?);
                same_images("features", of_generated.examples(), generated.examples())?;
                same_images("real_features", of_real.examples(), real.examples())?;
                Some((of_generated, of_real))
            }
            _ => None,
        };
        let features = features.as_ref();
        let samples = samples_of("images", &generated, features.map(|both| &both.0), &chosen)?;
        let find = |among: &[usize], count: usize| -> Result<Vec<Vec<Neighbour>>> {
            let set = samples_of("real", &real, features.map(|both| &both.1), among)?;
            nearest(&samples, &set, count).map_err(|error| Error::Input {
                slot: if features.is_some() { "real_features" } else { "real" }.to_owned(),
                message: error.to_string(),
            })
        };
        let found = find(&among, self.neighbours)?;
        ctx.check_cancelled()?;
        let in_test = match tested.is_empty() {
            true => vec![Vec::new(); chosen.len()],
            false => find(&tested, 1)?,
        };

        let (mut ids, mut images) = (Vec::new(), Vec::new());
        let mut neighbours = neighbour_table();
        let mut table = sample_table();
        for (i, (&place, found)) in chosen.iter().zip(&found).enumerate() {
            let sample = &generated.examples().ids[place];
            let class = generated.examples().class_of(place);
            let mut push = |rank: usize, id: &str, row: [Value; 3]| {
                ids.push(format!("{i:03}/{id}"));
                let [neighbour, class, distance] = row;
                let row = [json!(ids[ids.len() - 1]), json!(sample), json!(rank)];
                neighbours.push(row.into_iter().chain([neighbour, class, distance]).collect())
            };
            push(0, "sample", [Value::Null, json!(class), Value::Null])?;
            images.push(generated.decode(place)?);
            for (rank, near) in (1..).zip(found) {
                let at = among[near.place];
                let row = [
                    json!(real.examples().ids[at]),
                    json!(real.examples().class_of(at)),
                    json!(near.squared.sqrt()),
                ];
                push(rank, &rank.to_string(), row)?;
                images.push(real.decode(at)?.into_color(generated.color()));
            }
            let mut row = vec![json!(sample), json!(class)];
            for (near, places) in [(found, &among), (&in_test[i], &tested)] {
                let id = near.first().map(|near| &real.examples().ids[places[near.place]]);
                let distance = near.first().map(|near| near.squared.sqrt());
                row.extend([json!(id), json!(distance)]);
            }
            table.push(row)?;
        }
        let examples = Examples { ids, ..Examples::default() };
        ctx.write(Self::IMAGES, &image_set(examples, &images, ctx.scratch())?)?;
        ctx.write(Self::NEIGHBOURS, &neighbours)?;
        ctx.write(Self::SAMPLES, &table)
    }
}

fn same_images(slot: &str, features: &Examples, images: &Examples) -> Result<()> {
    match features.ids == images.ids {
        true => Ok(()),
        false => Err(Error::Input {
            slot: slot.to_owned(),
            message: "expected features of the images, in their order".to_owned(),
        }),
    }
}

/// The features of the images at `places`, or their pixels.
fn samples_of(
    slot: &str,
    images: &ImageSet,
    features: Option<&Features>,
    places: &[usize],
) -> Result<Samples> {
    let wrong = |message: String| Error::Input { slot: slot.to_owned(), message };
    if let Some(features) = features {
        return Samples::of(features, places).map_err(|error| wrong(error.to_string()));
    }
    let (mut values, mut shape) = (Vec::new(), None);
    for batch in images.batches(places, 256, |_, image| Ok(image)) {
        for image in batch? {
            let own = (image.width(), image.height());
            if *shape.get_or_insert(own) != own {
                let message = "expected images of one size to compare pixels; give `features`";
                return Err(wrong(message.to_owned()));
            }
            values.extend(image.samples().iter().map(|&sample| f64::from(sample) / 255.0));
        }
    }
    let (width, height) = shape.unwrap_or((1, 1));
    Samples::new(values, width * height * images.color().channels())
}

fn neighbour_table() -> Table {
    let mut table = Table::new(vec![
        Column::text("image"),
        Column::text("sample"),
        Column::integer("rank"),
        Column::text("neighbour"),
        Column::text("class"),
        Column::decimals("distance", 3),
    ]);
    table.caption = "Nearest real images of generated ones".to_owned();
    table
}

fn sample_table() -> Table {
    let mut table = Table::new(vec![
        Column::text("sample"),
        Column::text("class"),
        Column::text("nearest_train"),
        Column::decimals("train_distance", 3),
        Column::text("nearest_test"),
        Column::decimals("test_distance", 3),
    ]);
    table.caption =
        "Distance of generated images to the nearest training and test image".to_owned();
    table
}
