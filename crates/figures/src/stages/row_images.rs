//! Which image sets the rows of a table show.

use std::collections::BTreeSet;

use sconce_core::cell::Plain;
use sconce_core::{Error, Gathered, Result};
use sconce_data::ImageSet;
use serde_json::Value;

use crate::table::long::{STAGE, same};

/// The set that each row shows, if any.
type Shown<'a> = Vec<Option<&'a Gathered<ImageSet>>>;

/// The set that each row shows, and what tells it apart from others of the row: the coordinates along `over`.
///
/// A row has a value for each of `names`. A set fits a row where both agree on every axis that both have; the stage counts where
/// a row is of the set's stage. Of several that differ along `over` alone, a row shows the first.
///
/// # Errors
/// When a set fits no row, has none of several rows' axes, or two sets of a row differ along another axis.
pub(super) fn of_rows<'a>(
    sets: &'a [Gathered<ImageSet>],
    names: &[String],
    rows: &[Vec<Value>],
    over: &[String],
) -> Result<(Shown<'a>, BTreeSet<String>)> {
    let wrong = |message: String| Err(Error::parameter("images", message));
    let mut shown: Shown<'a> = vec![None; rows.len()];
    let mut first_of = BTreeSet::new();
    for set in sets {
        let of_stage = Value::from(set.stage.as_str());
        let place = names.iter().position(|name| name == STAGE);
        let staged =
            place.is_some_and(|place| rows.iter().any(|row| row.get(place) == Some(&of_stage)));
        let own: Vec<(usize, &Value)> = names
            .iter()
            .enumerate()
            .filter_map(|(place, name)| match name.as_str() {
                STAGE => staged.then_some((place, &of_stage)),
                axis => Some((place, set.coordinates.get(axis)?)),
            })
            .collect();
        if own.is_empty() && rows.len() > 1 {
            return wrong(format!(
                "`{}` could be of any row: expected one of their axes ({})",
                name_of(set),
                names.join(", ")
            ));
        }
        let fits = |row: &Vec<Value>| {
            own.iter().all(|(place, value)| row.get(*place).is_some_and(|cell| alike(cell, value)))
        };
        let mut any = false;
        for (row, shown) in rows.iter().zip(&mut shown).filter(|(row, _)| fits(row)) {
            any = true;
            let Some(first) = shown else {
                *shown = Some(set);
                continue;
            };
            let rest = |set: &Gathered<ImageSet>| {
                (set.stage.clone(), set.coordinates.without(|axis| is_in(over, axis)))
            };
            if rest(first) != rest(set) {
                let row: Vec<String> = row.iter().map(|value| Plain(value).to_string()).collect();
                return wrong(format!(
                    "`{}` and `{}` both fit the row of {}: expected sets that the rows tell apart, or `over` with the axis",
                    name_of(first),
                    name_of(set),
                    row.join(", ")
                ));
            }
            first_of.insert(first.coordinates.without(|axis| !is_in(over, axis)).to_string());
        }
        if !any {
            return wrong(format!("no row is of `{}`", name_of(set)));
        }
    }
    Ok((shown, first_of))
}

fn is_in(over: &[String], axis: &str) -> bool {
    over.iter().any(|name| name == axis)
}

/// A table's column of mixed values holds them as text.
fn alike(a: &Value, b: &Value) -> bool {
    same(a, b) || Plain(a).to_string() == Plain(b).to_string()
}

/// `samples[loss=hinge]`.
fn name_of(set: &Gathered<ImageSet>) -> String {
    let Gathered { stage, coordinates, .. } = set;
    match coordinates.is_empty() {
        true => stage.clone(),
        false => format!("{stage}[{coordinates}]"),
    }
}

/// The places of the first `count` images, of the last split where there are splits.
pub(super) fn first_images(set: &ImageSet, count: usize) -> Result<Vec<usize>> {
    let examples = set.examples();
    let mut places = match examples.splits.last() {
        None => (0..examples.len()).collect(),
        Some(last) => examples.in_split(last)?,
    };
    places.truncate(count);
    Ok(places)
}
