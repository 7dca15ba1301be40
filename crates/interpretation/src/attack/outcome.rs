//! What became of the images, as a table and as numbers.

use sconce_core::Result;
use sconce_data::{Column, Metrics, Table};
use serde_json::{Value, json};

use super::{Distance, Goal, predicted, softmax};

/// The likeliest class of an image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Verdict {
    /// Its number.
    pub class: usize,
    /// Its probability.
    pub probability: f64,
}

impl Verdict {
    /// Of logits.
    pub fn of(logits: &[f32]) -> Self {
        let class = predicted(logits);
        Self { class, probability: softmax(logits).get(class).copied().unwrap_or_default() }
    }
}

/// What became of one image.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Its name.
    pub id: String,
    /// Its true class, where it is known.
    pub label: Option<String>,
    /// What it was to be taken for.
    pub goal: Goal,
    /// What it was taken for before.
    pub before: Verdict,
    /// What the changed image is taken for, as it is in floating point.
    pub after: Verdict,
    /// What it is taken for when it was written to an 8-bit PNG file and read again.
    pub rounded: Verdict,
    /// How much the changed image differs from the original.
    pub distance: Distance,
    /// How much the image of the file does.
    pub rounded_distance: Distance,
    /// Steps of the method (generations of an evolution).
    pub iterations: usize,
    /// Images that the network judged for it, where the method counts them.
    pub evaluations: Option<usize>,
    /// Words on what was changed.
    pub note: Option<String>,
}

impl Outcome {
    fn met(&self, verdict: Verdict) -> bool {
        match self.goal {
            Goal::Leave(class) => verdict.class != class,
            Goal::Reach(class) => verdict.class == class,
        }
    }

    /// Whether the changed image fools, as it is in floating point.
    pub fn fooled(&self) -> bool {
        self.met(self.after)
    }

    /// Whether the image of the file fools.
    pub fn rounded_fooled(&self) -> bool {
        self.met(self.rounded)
    }
}

/// A row an image. Distances are in levels of 0–255; L0 counts pixels. Columns that no outcome has a value for are left out.
///
/// # Errors
/// Never with finite distances.
pub fn table(outcomes: &[Outcome], name: &dyn Fn(usize) -> String) -> Result<Table> {
    let mut table = Table::new(vec![
        Column::text("image"),
        Column::text("label"),
        Column::text("before"),
        Column::decimals("before_probability", 4),
        Column::text("target"),
        Column::boolean("fooled"),
        Column::text("after"),
        Column::decimals("after_probability", 4),
        Column::boolean("rounded_fooled"),
        Column::text("rounded"),
        Column::decimals("rounded_probability", 4),
        Column::integer("l0"),
        Column::decimals("l2", 2),
        Column::decimals("linf", 2),
        Column::integer("rounded_l0"),
        Column::decimals("rounded_l2", 2),
        Column::decimals("rounded_linf", 0),
        Column::integer("iterations"),
        Column::integer("evaluations"),
        Column::text("changes"),
    ]);
    table.caption = "Each image before and after, as it is and as an 8-bit PNG file".to_owned();
    for outcome in outcomes {
        let target = match outcome.goal {
            Goal::Reach(class) => Some(name(class)),
            Goal::Leave(_) => None,
        };
        let Outcome { before, after, rounded, distance, rounded_distance, .. } = outcome;
        table.push(vec![
            json!(outcome.id),
            json!(outcome.label),
            json!(name(before.class)),
            json!(before.probability),
            json!(target),
            json!(outcome.fooled()),
            json!(name(after.class)),
            json!(after.probability),
            json!(outcome.rounded_fooled()),
            json!(name(rounded.class)),
            json!(rounded.probability),
            json!(distance.l0),
            json!(distance.l2),
            json!(distance.linf),
            json!(rounded_distance.l0),
            json!(rounded_distance.l2),
            json!(rounded_distance.linf),
            json!(outcome.iterations),
            json!(outcome.evaluations),
            json!(outcome.note),
        ])?;
    }
    for place in (0..table.columns.len()).rev() {
        let optional = matches!(
            table.columns[place].name.as_str(),
            "label" | "target" | "evaluations" | "changes"
        );
        if optional && table.rows.iter().all(|row| row[place] == Value::Null) {
            table.columns.remove(place);
            table.rows.iter_mut().for_each(|row| drop(row.remove(place)));
        }
    }
    Ok(table)
}

/// Shares of fooled images before and after rounding, means of the distances over the images that are fooled (left out
/// where none is), and means of iterations and evaluations over all.
pub fn metrics(outcomes: &[Outcome]) -> Metrics {
    let mut metrics = Metrics::default();
    let mean = |values: Vec<f64>| match values.len() {
        0 => None,
        count => Some(values.iter().sum::<f64>() / count as f64),
    };
    let mut set = |name: &str, values: Vec<f64>| {
        if let Some(mean) = mean(values) {
            metrics.set(name, mean);
        }
    };
    let all = |of: &dyn Fn(&Outcome) -> f64| outcomes.iter().map(of).collect::<Vec<_>>();
    set("success", all(&|o| f64::from(u8::from(o.fooled()))));
    set("rounded_success", all(&|o| f64::from(u8::from(o.rounded_fooled()))));
    set("iterations", all(&|o| o.iterations as f64));
    set("evaluations", outcomes.iter().filter_map(|o| o.evaluations).map(|n| n as f64).collect());
    let fooled = |of: &dyn Fn(&Outcome) -> f64| {
        outcomes.iter().filter(|o| o.fooled()).map(of).collect::<Vec<_>>()
    };
    set("confidence", fooled(&|o| o.after.probability));
    set("l0", fooled(&|o| o.distance.l0 as f64));
    set("l2", fooled(&|o| o.distance.l2));
    set("linf", fooled(&|o| o.distance.linf));
    let rounded = |of: &dyn Fn(&Outcome) -> f64| {
        outcomes.iter().filter(|o| o.rounded_fooled()).map(of).collect::<Vec<_>>()
    };
    set("rounded_confidence", rounded(&|o| o.rounded.probability));
    set("rounded_l0", rounded(&|o| o.rounded_distance.l0 as f64));
    set("rounded_l2", rounded(&|o| o.rounded_distance.l2));
    set("rounded_linf", rounded(&|o| o.rounded_distance.linf));
    metrics.set("images", outcomes.len() as f64);
    metrics
}
