//! The curves of a cell: from its journal, or from the table of its history.

use sconce_core::Store;
use sconce_core::store::{Journal, Point, Receipt};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The output that holds the numbers of a training's epochs or steps.
pub(crate) const HISTORY: &str = "history";

/// Columns that say where a row of a history is.
const PLACES: [&str; 3] = ["epoch", "step", "iteration"];

/// What a curve's places count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Per {
    /// Updates, or whatever the program counts.
    Step,
    /// Whole epochs.
    Epoch,
}

/// The values of one name.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Curve {
    pub(crate) name: String,
    pub(crate) per: Per,
    /// Place and value, by place. A value that is not finite is NaN, in JSON `null`.
    pub(crate) points: Vec<(f64, f64)>,
    /// When each was told, in seconds since 1970; empty where that is not known.
    #[serde(skip)]
    pub(crate) times: Vec<f64>,
}

/// The curves of a cell, those of epochs first. The journal has the numbers of the last run, the history
/// those of the result: it serves what the journal does not have.
pub(crate) fn curves(
    store: &Store,
    receipt: Option<&Receipt>,
    journal: Option<&Journal>,
) -> Vec<Curve> {
    let mut curves = Vec::new();
    if let Some(journal) = journal {
        let epoch = |point: &Point| point.epoch.unwrap_or(point.step) as f64;
        collect(&mut curves, Per::Epoch, &journal.epochs, epoch);
        collect(&mut curves, Per::Step, &journal.steps, |point| point.step as f64);
    }
    let written = receipt.and_then(|receipt| history(store, receipt)).unwrap_or_default();
    let missing = |curve: &Curve| curves.iter().all(|one| one.per != curve.per);
    if written.iter().any(missing) {
        let new: Vec<_> = written.into_iter().filter(missing).collect();
        curves.extend(new);
    }
    curves.sort_by_key(|curve| std::cmp::Reverse(curve.per));
    curves
}

fn collect(curves: &mut Vec<Curve>, per: Per, points: &[Point], place: impl Fn(&Point) -> f64) {
    for point in points {
        for (name, value) in &point.values {
            let known = curves.iter_mut().find(|curve| curve.per == per && curve.name == *name);
            let curve = match known {
                Some(curve) => curve,
                None => {
                    let (name, points, times) = (name.clone(), Vec::new(), Vec::new());
                    curves.push(Curve { name, per, points, times });
                    let last = curves.len() - 1;
                    &mut curves[last]
                }
            };
            curve.points.push((place(point), *value));
            curve.times.push(point.at);
        }
    }
}

/// A table as its file holds it, as far as curves need it.
#[derive(Deserialize)]
struct Rows {
    columns: Vec<Column>,
    rows: Vec<Vec<Value>>,
}

#[derive(Deserialize)]
struct Column {
    name: String,
}

/// The curves of the result's history; none where there is none that can be read.
fn history(store: &Store, receipt: &Receipt) -> Option<Vec<Curve>> {
    let output = receipt.outputs.get(HISTORY).filter(|output| output.artifact == "table")?;
    let files = store.results().files(&output.digest).ok()?;
    let table: Rows = files.read_json("table.json").ok()?;
    let place = |column: &Column| PLACES.contains(&column.name.as_str());
    let places = table.columns.iter().position(place)?;
    let per = if table.columns[places].name == "epoch" { Per::Epoch } else { Per::Step };
    let number = |row: &Vec<Value>, column: usize| row.get(column).and_then(Value::as_f64);
    let curve = |(column, head): (usize, &Column)| {
        let point = |row| Some((number(row, places)?, number(row, column)?));
        let points: Vec<_> = table.rows.iter().filter_map(point).collect();
        let name = head.name.clone();
        (column != places && !points.is_empty()).then_some(Curve {
            name,
            per,
            points,
            times: Vec::new(),
        })
    };
    Some(table.columns.iter().enumerate().filter_map(curve).collect())
}
