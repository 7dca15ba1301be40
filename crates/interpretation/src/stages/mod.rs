//! The kinds of this crate: one file each.

// Adversarial images.
mod attack;
mod one_pixel;
// Explanation maps.
mod choose_cases;
mod compare_maps;
mod localise;
mod map_quality;
mod mosaics;
mod pointing_game;
mod randomise_weights;
mod saliency_map;
// Pictures of a class.
mod class_verdicts;
mod recorder;
mod visualise_class;
mod visualise_class_fourier;

use sconce_core::{Error, Kind, Result};
use sconce_data::{Features, SameClasses};

pub use attack::Attack;
pub use choose_cases::ChooseCases;
pub use class_verdicts::ClassVerdicts;
pub use compare_maps::CompareMaps;
pub use localise::Localise;
pub use map_quality::MapQuality;
pub use mosaics::Mosaics;
pub use one_pixel::OnePixel;
pub use pointing_game::PointingGame;
pub use randomise_weights::RandomiseWeights;
pub use saliency_map::{GradCam, MethodName, SaliencyMap};
pub use visualise_class::VisualiseClass;
pub use visualise_class_fourier::VisualiseClassFourier;

/// The kinds of this crate.
pub const KINDS: &[Kind] = &[
    Kind::of::<SaliencyMap>(),
    Kind::of::<MapQuality>(),
    Kind::of::<RandomiseWeights>(),
    Kind::of::<CompareMaps>(),
    Kind::of::<Mosaics>(),
    Kind::of::<PointingGame>(),
    Kind::of::<Localise>(),
    Kind::of::<ChooseCases>(),
    Kind::of::<Attack>(),
    Kind::of::<OnePixel>(),
    Kind::of::<VisualiseClass>(),
    Kind::of::<VisualiseClassFourier>(),
    Kind::of::<ClassVerdicts>(),
];

/// Refuses a number of 0.
fn check_count(key: &str, count: Option<usize>) -> Result<()> {
    match count {
        Some(0) => Err(Error::parameter(key, "expected at least 1")),
        _ => Ok(()),
    }
}

/// Refuses `classes` where nobody asks for the images' own classes.
fn check_classes(classes: &SameClasses, correct: bool) -> Result<()> {
    match classes.is_empty() || correct {
        true => Ok(()),
        false => Err(Error::parameter("classes", "expected `correct = true` beside it")),
    }
}

/// Height and width of maps of shape `(1, height, width)`.
fn map_size(slot: &str, maps: &Features) -> Result<(usize, usize)> {
    match maps.shape() {
        &[1, height, width] => Ok((height, width)),
        shape => Err(Error::Input {
            slot: slot.to_owned(),
            message: format!("expected maps of shape 1 × height × width, found {shape:?}"),
        }),
    }
}

/// The map of the image called `id`, which must have this height and width.
fn one_map<'a>(
    slot: &str,
    maps: &'a Features,
    id: &str,
    size: (usize, usize),
) -> Result<&'a [f32]> {
    let wrong = |message| Error::Input { slot: slot.to_owned(), message };
    let found = map_size(slot, maps)?;
    if found != size {
        return Err(wrong(format!(
            "expected maps of {} × {}, as the images, found {} × {}",
            size.0, size.1, found.0, found.1
        )));
    }
    match maps.examples().ids.iter().position(|other| other == id) {
        Some(row) => Ok(maps.row(row)),
        None => Err(wrong(format!("no map of the image `{id}`"))),
    }
}

#[cfg(test)]
mod attack_tests;
#[cfg(test)]
mod class_tests;
#[cfg(test)]
mod picture_tests;
#[cfg(test)]
mod tests;
