//! The kinds of this crate: one file each.

mod adapt;
mod choose_checkpoint;
mod embed;
mod evaluate_logits;
mod validators;

use sconce_core::{Context, Error, Input, Kind, Result};
use sconce_data::Table;
use serde_json::{Value, json};

pub use adapt::{Adapt, Standardise};
pub use choose_checkpoint::ChooseCheckpoint;
pub use embed::Embed;
pub use evaluate_logits::EvaluateLogits;
pub use validators::Validators;

/// The kinds of this crate.
pub const KINDS: &[Kind] = &[
    Kind::of::<Adapt>(),
    Kind::of::<EvaluateLogits>(),
    Kind::of::<Validators>(),
    Kind::of::<ChooseCheckpoint>(),
    Kind::of::<Embed>(),
];

/// When a checkpoint was taken; null where it is not told.
struct Moment {
    epoch: Value,
    step: Value,
}

/// When each of `count` checkpoints was taken, from a table with the columns `checkpoint` (0, 1, …), `epoch` and `step`.
fn moments(ctx: &Context, table: Option<&Input<Table>>, count: usize) -> Result<Vec<Moment>> {
    let Some(input) = table else {
        return Ok((0..count).map(|_| Moment { epoch: Value::Null, step: Value::Null }).collect());
    };
    let table = ctx.input(input)?;
    let wrong = |message: String| Error::Input { slot: "checkpoints".to_owned(), message };
    let column = |name: &str| table.values(name).map_err(|error| wrong(error.to_string()));
    let numbers = column("checkpoint")?;
    if numbers.len() != count || numbers.iter().enumerate().any(|(i, n)| **n != json!(i)) {
        return Err(wrong(format!(
            "expected a row for each of {count} checkpoints, numbered from 0 in the column `checkpoint`; found {} rows",
            numbers.len()
        )));
    }
    let moments = column("epoch")?.into_iter().zip(column("step")?);
    Ok(moments.map(|(epoch, step)| Moment { epoch: epoch.clone(), step: step.clone() }).collect())
}

/// The default of parameters called `split` of kinds that look at images to train on.
fn train() -> String {
    "train".to_owned()
}

/// The default of parameters called `split` of kinds that test.
fn test() -> String {
    "test".to_owned()
}

#[cfg(test)]
mod tests;
