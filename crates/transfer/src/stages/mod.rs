//! The kinds of this crate: one file each.

mod compare;
mod cross_validate;
mod evaluate;
mod extract_features;
mod fine_tune;
mod fit_head;
mod fit_svm;
mod pca;
mod predict_top5;

use sconce_core::{Error, Kind, Result};
use sconce_data::Features;
use sconce_data::finite::NotFinite;

use crate::svm::Stopping;

pub use compare::Compare;
pub use cross_validate::CrossValidate;
pub use evaluate::Evaluate;
pub use extract_features::ExtractFeatures;
pub use fine_tune::FineTune;
pub use fit_head::FitHead;
pub use fit_svm::FitSvm;
pub use pca::PcaCurve;
pub use predict_top5::PredictTop5;

/// The kinds of this crate.
pub const KINDS: &[Kind] = &[
    Kind::of::<ExtractFeatures>(),
    Kind::of::<FitSvm>(),
    Kind::of::<CrossValidate>(),
    Kind::of::<Evaluate>(),
    Kind::of::<Compare>(),
    Kind::of::<FitHead>(),
    Kind::of::<FineTune>(),
    Kind::of::<PcaCurve>(),
    Kind::of::<PredictTop5>(),
];

/// Rows of one split to fit on or to test: their places, values and labels.
struct Chosen {
    places: Vec<usize>,
    values: Vec<f32>,
    labels: Vec<usize>,
}

/// The labelled rows of the split called `split` (all rows where it is empty), L2-normalised if asked for.
fn choose(features: &Features, split: &str, normalize: bool) -> Result<Chosen> {
    let examples = features.examples();
    let places = match split {
        "" => (0..features.len()).collect(),
        split => examples.in_split(split)?,
    };
    let labels = examples.labels_of(&places)?.into_iter().map(|label| label as usize).collect();
    let mut values = features.gather(&places);
    let count = NotFinite::of(&values);
    if let Some(first) = count.first {
        let (row, column) =
            (first as usize / features.dimension(), first as usize % features.dimension());
        let place = places[row];
        return Err(Error::Input {
            slot: "features".into(),
            message: format!(
                "expected finite numbers: {}, first of row {place} of the file (`{}`) in column {column}",
                count.words(),
                examples.ids[place]
            ),
        });
    }
    if normalize {
        crate::l2_normalise(&mut values, features.dimension());
    }
    Ok(Chosen { places, values, labels })
}

/// [`choose`] to fit a classifier on: two classes at least.
fn choose_to_fit(features: &Features, split: &str, normalize: bool) -> Result<Chosen> {
    let chosen = choose(features, split, normalize)?;
    features
        .examples()
        .check_told_apart(&chosen.places)
        .map_err(|error| Error::Input { slot: "features".into(), message: error.to_string() })?;
    Ok(chosen)
}

/// The default of parameters called `split` of kinds that fit.
fn train() -> String {
    "train".to_owned()
}

/// The default of parameters called `split` of kinds that test.
fn test() -> String {
    "test".to_owned()
}

/// The default of parameters called `normalize`.
const fn yes() -> bool {
    true
}

/// What is said of machines that the passes did not suffice for.
fn unsolved(violation: f64, stopping: Stopping) -> String {
    format!(
        "stopped with a projected gradient of {violation:.1e}, above the tolerance {:.1e}, after {} passes or where \
         rounding left no way on",
        stopping.tolerance, stopping.max_sweeps
    )
}

#[cfg(test)]
mod tests;
