use std::collections::BTreeMap;

use schemars::JsonSchema;
use sconce_core::{Context, Error, Input, Result, Stage, outputs};
use sconce_data::{Metrics, Table};
use serde::{Deserialize, Serialize};

use crate::mcnemar::mcnemar;

/// Tells whether two classifiers that were tested on the same examples differ: McNemar's exact paired test.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Compare {
    /// Output `predictions` of kind `evaluate`.
    pub first: Input<Table>,
    /// The same of the other classifier.
    pub second: Input<Table>,
}

outputs! { Compare:
    /// Both accuracies, their `difference`, who was right alone, `p_value`.
    METRICS: Metrics = "metrics" ["examples", "first_accuracy", "second_accuracy", "difference", "both_right", "only_first_right", "only_second_right", "neither_right", "p_value"];
}

impl Stage for Compare {
    const KIND: &'static str = "compare";
    const VERSION: u32 = 1;

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        let first = right(&ctx.input(&self.first)?, "first")?;
        let second = right(&ctx.input(&self.second)?, "second")?;
        if !first.keys().eq(second.keys()) {
            return Err(Error::Input {
                slot: "second".into(),
                message: "expected predictions of the same examples as in `first`".into(),
            });
        }
        let (a, b): (Vec<bool>, Vec<bool>) =
            (first.into_values().collect(), second.into_values().collect());
        let test = mcnemar(&a, &b);
        let count = a.len() as f64;
        let accuracy = |right: &[bool]| right.iter().filter(|right| **right).count() as f64 / count;
        let mut metrics = Metrics::default();
        metrics.set("examples", count);
        metrics.set("first_accuracy", accuracy(&a));
        metrics.set("second_accuracy", accuracy(&b));
        metrics.set("difference", accuracy(&b) - accuracy(&a));
        metrics.set("both_right", test.both as f64);
        metrics.set("only_first_right", test.first_only as f64);
        metrics.set("only_second_right", test.second_only as f64);
        metrics.set("neither_right", test.neither as f64);
        metrics.set("p_value", test.p_value);
        ctx.metric("p_value", test.p_value);
        ctx.write(Self::METRICS, &metrics)
    }
}

/// Whether each example was predicted rightly.
fn right(table: &Table, slot: &str) -> Result<BTreeMap<String, bool>> {
    let (ids, rights) = (table.values("id")?, table.values("right")?);
    let mut right = BTreeMap::new();
    for (id, value) in ids.into_iter().zip(rights) {
        match (id.as_str(), value.as_bool()) {
            (Some(id), Some(value)) => right.insert(id.to_owned(), value),
            _ => {
                return Err(Error::Input {
                    slot: slot.into(),
                    message: "expected the output `predictions` of kind `evaluate`".into(),
                });
            }
        };
    }
    if right.is_empty() {
        return Err(Error::Input {
            slot: slot.into(),
            message: "expected at least one row".into(),
        });
    }
    Ok(right)
}
