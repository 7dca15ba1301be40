//! What the judge says of the generated images.

use std::path::Path;

use sconce_core::{Artifact, Context, Error, Files, Result};
use sconce_data::classes::Outputs;
use sconce_data::evaluation::argmax;
use sconce_data::{Column, Examples, Features, Table, Weights};
use serde_json::json;

use super::{GenerationMetrics, wrong};
use crate::metrics::classes::{Judged, inception_score};

/// The judge's weights, of which nothing is read but what they are.
pub(super) struct Judge {
    pub(super) digest: String,
    classes: Vec<String>,
}

impl Artifact for Judge {
    const TYPE: &'static str = Weights::TYPE;

    fn load(files: &Files) -> Result<Self> {
        let classes = Weights::load(files)?.info.classes;
        Ok(Self { digest: files.digest().short(), classes })
    }

    fn save(&self, _: &Path) -> Result<()> {
        Err(Error::message("a judge is read, never written"))
    }
}

/// The judge's logits of the generated images.
pub(super) struct Logits {
    features: Features,
    pub(super) names: Vec<String>,
    /// The judge's class of each of the images' classes, where images are labelled.
    wanted: Option<Vec<Option<u32>>>,
}

impl GenerationMetrics {
    pub(super) fn logits(
        &self,
        ctx: &Context<Self>,
        generated: &Features,
        judge: Option<&Judge>,
    ) -> Result<Option<Logits>> {
        let Some(features) = ctx.optional(&self.logits)? else {
            return Ok(None);
        };
        let examples = generated.examples();
        if features.examples().ids != examples.ids {
            let message = "expected logits of the generated images, in their order";
            return Err(wrong("logits", message.to_owned()));
        }
        let count = features.dimension();
        let own = judge.map_or(&[][..], |judge| &judge.classes);
        let outputs = Outputs { names: own, count: Some(count) };
        outputs.check().map_err(|error| wrong("judge", error.to_string()))?;
        let wanted = match examples.is_labelled() {
            // Without the judge's names, those of the images, where there are as many.
            true if own.is_empty()
                && examples.classes.len() == count
                && self.classes.is_empty() =>
            {
                Some((0..count as u32).map(Some).collect())
            }
            true => Some(outputs.same_as(&examples.classes, &examples.labels, &self.classes)?),
            false => None,
        };
        let names = match own {
            [] if examples.classes.len() == count => examples.classes.clone(),
            [] => (0..count).map(|class| class.to_string()).collect(),
            own => own.to_vec(),
        };
        Ok(Some(Logits { features, names, wanted }))
    }

    pub(super) fn of_classes(
        &self,
        judged: &Judged,
        logits: &Logits,
        rows: &[usize],
    ) -> Vec<(&'static str, f64)> {
        let values: Vec<f64> = logits.features.gather(rows).iter().map(|&v| f64::from(v)).collect();
        let mut found = vec![
            ("class_entropy", judged.entropy()),
            ("classes_seen", judged.appearing(self.least_share) as f64),
            ("inception_score", inception_score(&values, logits.names.len())),
        ];
        found.extend(judged.agreement().map(|agreement| ("agreement", agreement)));
        found
    }
}

impl Logits {
    pub(super) fn judged(&self, rows: &[usize], examples: &Examples) -> Judged {
        let judged: Vec<usize> = rows.iter().map(|&row| argmax(self.features.row(row))).collect();
        let wanted = self.wanted.as_ref().map(|numbers| {
            // `same_as` has a number for each class that occurs.
            let number =
                |&row: &usize| numbers[examples.labels[row] as usize].unwrap_or(0) as usize;
            rows.iter().map(number).collect::<Vec<_>>()
        });
        Judged::of(&judged, wanted.as_deref(), self.names.len())
    }
}

pub(super) fn class_table() -> Table {
    let mut table = Table::new(vec![
        Column::text("split"),
        Column::integer("step"),
        Column::text("judge"),
        Column::text("class"),
        Column::integer("images"),
        Column::decimals("share", 4),
        Column::integer("wanted"),
        Column::integer("agreeing"),
    ]);
    table.caption = "Classes of generated images by the judge".to_owned();
    table
}

pub(super) fn class_rows(
    table: &mut Table,
    (split, step): (&Option<String>, Option<u64>),
    judged: &Judged,
    names: &[String],
    judge: Option<&str>,
) -> Result<()> {
    let (wanted, agreeing) = (judged.wanted(), judged.agreeing());
    let shares = judged.shares();
    for (class, name) in names.iter().enumerate() {
        let of = |counts: &Option<Vec<usize>>| json!(counts.as_ref().map(|counts| counts[class]));
        table.push(vec![
            json!(split),
            json!(step),
            json!(judge),
            json!(name),
            json!(judged.counts[class]),
            json!(shares[class]),
            of(&wanted),
            of(&agreeing),
        ])?;
    }
    Ok(())
}
