use schemars::JsonSchema;
use sconce_core::{Context, Error, Input, Resources, Result, Stage, Threads, outputs};
use sconce_data::evaluation::argmax;
use sconce_data::{Column, Features, Table};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{moments, test, train};
use crate::logits::{Logits, softmax};
use crate::validators::{
    class_confusion, diversity, mean_entropy, neighbourhood_density, nuclear_norm,
};

/// Scores the checkpoints of a training without labels of the target domain.
///
/// Low is good of `entropy` (Morerio et al., 2018) and `mcc` (minimum class confusion, Jin et al., 2020); high is good of
/// `diversity` (information maximisation, Shi and Sha, 2012), `bnm` (batch nuclear norm by the number of images, Cui et al., 2020), `snd`
/// (soft neighbourhood density, Saito et al., 2021) and `source_accuracy`. Target images are those of the split to train on by
/// default: a choice on the images to test on would have seen them. `snd` takes time with the square of the images.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Validators {
    /// Logits of source images with their labels: rows of checkpoints × classes.
    pub source_logits: Input<Features>,
    /// Logits of target images, whose labels are not read: rows of as many checkpoints and classes.
    pub target_logits: Input<Features>,
    /// The epoch and the step of each checkpoint: columns `checkpoint` (from 0), `epoch`, `step`.
    #[serde(default)]
    pub checkpoints: Option<Input<Table>>,
    /// The split of the target images that are scored; empty for all.
    #[serde(default = "train")]
    pub split: String,
    /// The split of the source images that `source_accuracy` is measured on; empty for all.
    #[serde(default = "test")]
    pub source_split: String,
    /// Temperature of the softmax over similarities of `snd`.
    #[serde(default = "snd_temperature")]
    pub snd_temperature: f64,
    /// Temperature of the softmax over classes of `mcc`.
    #[serde(default = "mcc_temperature")]
    pub mcc_temperature: f64,
}

const fn snd_temperature() -> f64 {
    0.05
}

const fn mcc_temperature() -> f64 {
    2.5
}

outputs! { Validators:
    /// A row for each checkpoint: `checkpoint`, `epoch`, `step` and a column for each score.
    SCORES: Table = "scores";
}

impl Stage for Validators {
    const KIND: &'static str = "validators";
    const VERSION: u32 = 1;

    fn resources(&self) -> Resources {
        Resources { threads: Threads::All, ..Resources::default() }
    }

    fn check(&self) -> Result<()> {
        let temperatures =
            [("snd_temperature", self.snd_temperature), ("mcc_temperature", self.mcc_temperature)];
        for (key, value) in temperatures {
            if !(value.is_finite() && value > 0.0) {
                return Err(Error::parameter(
                    key,
                    format!("expected a positive number, found {value}"),
                ));
            }
        }
        Ok(())
    }

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        let source = Logits::of("source_logits", ctx.input(&self.source_logits)?)?;
        let target = Logits::of("target_logits", ctx.input(&self.target_logits)?)?;
        let (count, classes) = (target.checkpoints(), target.classes());
        if (source.checkpoints(), &source.examples().classes) != (count, &target.examples().classes)
        {
            return Err(Error::Input {
                slot: "source_logits".to_owned(),
                message: format!(
                    "expected {count} checkpoints and the classes of `target_logits`, found {} checkpoints, classes {}",
                    source.checkpoints(),
                    source.examples().classes.join(", ")
                ),
            });
        }
        let moments = moments(ctx, self.checkpoints.as_ref(), count)?;
        let of_source = source.places("source_split", &self.source_split)?;
        let of_target = target.places("split", &self.split)?;
        let labels = source.examples().labels_of(&of_source).map_err(|error| Error::Input {
            slot: "source_logits".to_owned(),
            message: error.to_string(),
        })?;

        let numbers = ["entropy", "diversity", "bnm", "mcc", "snd", "source_accuracy"];
        let mut columns = vec![
            Column::integer("checkpoint"),
            Column::decimals("epoch", 2),
            Column::integer("step"),
        ];
        columns.extend(numbers.map(|name| Column::decimals(name, 4)));
        let mut scores = Table::new(columns);
        scores.caption = "Scores of checkpoints without target labels".to_owned();
        for (checkpoint, moment) in moments.into_iter().enumerate() {
            ctx.progress(checkpoint, count, "checkpoints")?;
            let logits = target.at(checkpoint, &of_target);
            let p = softmax(&logits, classes, 1.0);
            let right = source.at(checkpoint, &of_source);
            let right = right.chunks_exact(classes).map(argmax).zip(&labels);
            let right = right.filter(|&(predicted, &label)| predicted == label as usize).count();
            scores.push(vec![
                json!(checkpoint),
                moment.epoch,
                moment.step,
                json!(mean_entropy(&p, classes)),
                json!(diversity(&p, classes)),
                json!(nuclear_norm(&p, classes)?),
                json!(class_confusion(&softmax(&logits, classes, self.mcc_temperature), classes)),
                json!(neighbourhood_density(&p, classes, self.snd_temperature)),
                json!(right as f64 / labels.len() as f64),
            ])?;
        }
        ctx.write(Self::SCORES, &scores)
    }
}
