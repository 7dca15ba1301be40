use schemars::JsonSchema;
use sconce_core::cell::Plain;
use sconce_core::{Context, Error, Gathered, Input, Inputs, Resources, Result, Stage, outputs};
use sconce_data::{Column, ImageSet, Metrics, SameClasses, Table, Weights};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::recorder::short_name;
use crate::Model;
use crate::visualisation::transform::Transforms;
use crate::visualisation::verdict::{share_recognised, verdict};

/// Asks a network whether pictures show the classes that they are labelled with: a second network's verdict, or the first
/// one's on what was saved.
///
/// The pictures are prepared as the network's weights ask. A class is found by its name, so that networks may number
/// classes differently.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClassVerdicts {
    /// The pictures, such as `"visualised[*]"`.
    pub images: Inputs<ImageSet>,
    /// The network that is asked.
    pub weights: Input<Weights>,
    /// The side of its square input in pixels; by default the one that the weights come with.
    #[serde(default)]
    pub size: Option<usize>,
    /// Which of the network's classes an images' class is, where no name tells: `{ cat = "tabby", "my fish" = 1 }`. All
    /// others are matched by name, synonym (`goldfish`) or WordNet id (`n01443537`).
    #[serde(default)]
    pub classes: SameClasses,
    /// Random transforms of each picture that are judged too; 0 for none.
    #[serde(default)]
    pub transforms: usize,
    /// Pixels at most that a transform moves the picture.
    #[serde(default = "shift")]
    pub shift: f64,
    /// Share at most by which it enlarges it or makes it smaller.
    #[serde(default = "scale")]
    pub scale: f64,
    /// Degrees at most that it turns it.
    #[serde(default = "rotation")]
    pub rotation: f64,
}

fn shift() -> f64 {
    Transforms::default().shift
}

fn scale() -> f64 {
    Transforms::default().scale
}

fn rotation() -> f64 {
    Transforms::default().rotation
}

outputs! { ClassVerdicts:
    /// A row a picture: where it is from, image, target, probability, rank, recognised, prediction,
    /// confidence, and with transforms the share of them in which the target is likeliest.
    VERDICTS: Table = "verdicts";
    /// Pictures, how many are recognised (and its share), mean probability of the target, and with
    /// transforms the mean share.
    METRICS: Metrics = "metrics" ["pictures", "recognised", "recognised_share", "probability", "share_of_transforms"];
}

impl Stage for ClassVerdicts {
    const KIND: &'static str = "class-verdicts";
    const VERSION: u32 = 4;
    const SEEDED: bool = true;

    fn seeded(&self) -> bool {
        self.transforms > 0
    }

    fn resources(&self) -> Resources {
        Resources::heavy(Resources::GIB)
    }

    fn check(&self) -> Result<()> {
        super::recorder::check_size(self.size)?;
        self.moves().check()
    }

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        let sets = ctx.inputs(&self.images)?;
        let weights = ctx.input(&self.weights)?;
        let model = Model::load(&weights, self.size, sconce_models::device(ctx.device())?)?;
        let known = |class: &str| sets.iter().any(|set| has_class(&set.artifact, class));
        if let Some(unknown) = self.classes.keys().find(|class| !known(class)) {
            return Err(Error::parameter("classes", format!("no picture has a class `{unknown}`")));
        }
        let origin = Origin::of(&sets);
        let mut columns: Vec<Column> = origin.names.iter().map(Column::text).collect();
        columns.extend([
            Column::text("image"),
            Column::text("target"),
            Column::decimals("probability", 3),
            Column::integer("rank"),
            Column::boolean("recognised"),
            Column::text("prediction"),
            Column::decimals("confidence", 3),
        ]);
        if self.transforms > 0 {
            columns.push(Column::decimals("share", 2));
        }
        let mut table = Table::new(columns);
        let total = sets.iter().map(|set| set.artifact.len()).sum();
        for set in &sets {
            for place in 0..set.artifact.len() {
                let mut row = origin.row(set);
                row.extend(self.judge(ctx, &model, &set.artifact, place)?);
                table.push(row)?;
                ctx.progress(table.rows.len(), total, "pictures")?;
            }
        }
        ctx.write(Self::METRICS, &self.metrics(&table)?)?;
        ctx.write(Self::VERDICTS, &table)
    }
}

impl ClassVerdicts {
    fn moves(&self) -> Transforms {
        Transforms { shift: self.shift, scale: self.scale, rotation: self.rotation }
    }

    fn judge(
        &self,
        ctx: &Context,
        model: &Model,
        images: &ImageSet,
        place: usize,
    ) -> Result<Vec<Value>> {
        let examples = images.examples();
        let Some(target) = examples.class_of(place) else {
            return Err(Error::Input {
                slot: "images".into(),
                message: "expected pictures with classes: what they are to show".into(),
            });
        };
        let said = self.classes.only(|class| has_class(images, class));
        let class = model.true_classes(images, &[place], &said)?[0];
        let image = images.decode(place)?;
        let found = verdict(model, &image, class)?;
        let mut row = vec![
            json!(examples.ids.get(place)),
            json!(short_name(target)),
            json!(found.probability),
            json!(found.rank),
            json!(found.rank == 1),
            json!(short_name(&model.class_name(found.prediction))),
            json!(found.confidence),
        ];
        if self.transforms > 0 {
            // The same draws for every picture, so that they are compared alike.
            let rng = &mut ctx.rng("transforms");
            let share =
                share_recognised(model, &image, class, &self.moves(), self.transforms, rng)?;
            row.push(json!(share));
        }
        Ok(row)
    }

    fn metrics(&self, table: &Table) -> Result<Metrics> {
        let count = table.rows.len();
        let mean = |name: &str| -> Result<f64> {
            Ok(table.numbers(name)?.iter().sum::<f64>() / count.max(1) as f64)
        };
        let recognised = table.values("recognised")?;
        let recognised = recognised.into_iter().filter(|value| **value == json!(true)).count();
        let mut metrics = Metrics::default();
        metrics.set("pictures", count as f64);
        metrics.set("recognised", recognised as f64);
        metrics.set("recognised_share", recognised as f64 / count.max(1) as f64);
        metrics.set("probability", mean("probability")?);
        if self.transforms > 0 {
            metrics.set("share_of_transforms", mean("share")?);
        }
        Ok(metrics)
    }
}

fn has_class(images: &ImageSet, class: &str) -> bool {
    images.examples().classes.iter().any(|known| known == class)
}

/// Columns that say where a picture is from.
struct Origin {
    /// `stage`, where there are several, and the axes.
    names: Vec<String>,
}

impl Origin {
    fn of(sets: &[Gathered<ImageSet>]) -> Self {
        let mut names = Vec::new();
        if sets.windows(2).any(|pair| pair[0].stage != pair[1].stage) {
            names.push("stage".to_owned());
        }
        for (axis, _) in sets.iter().flat_map(|set| set.coordinates.iter()) {
            if !names.iter().any(|name| name == axis) {
                names.push(axis.to_owned());
            }
        }
        Self { names }
    }

    fn row(&self, set: &Gathered<ImageSet>) -> Vec<Value> {
        let value = |name: &String| match (name.as_str(), set.coordinates.get(name)) {
            (_, Some(value)) => json!(Plain(value).to_string()),
            ("stage", None) => json!(set.stage),
            _ => Value::Null,
        };
        self.names.iter().map(value).collect()
    }
}
