//! From scenes to the files of a figure, and from image sets to pixels.

use image::RgbImage;
use sconce_core::{Error, Result};
use sconce_data::{Color, Features, Figure, ImageSet};

use crate::{Field, Scene};

impl From<crate::Error> for Error {
    fn from(error: crate::Error) -> Self {
        Self::other(error)
    }
}

/// Pixels for each CSS pixel, where a stage says nothing else: sharp on screens of high density.
pub(super) const DENSITY: f64 = 2.0;

pub(super) fn density() -> f64 {
    DENSITY
}

pub(super) fn check_density(density: f64) -> Result<()> {
    if (0.5..=8.0).contains(&density) {
        Ok(())
    } else {
        Err(Error::parameter("density", format!("expected a number of 0.5 to 8, found {density}")))
    }
}

/// A figure of vector shapes: `NAME.svg` and `NAME.png`.
pub(super) fn drawing(name: &str, scene: &Scene, density: f64, caption: &str) -> Result<Figure> {
    Ok(photograph(name, scene, density, caption)?.with(format!("{name}.svg"), scene.svg()))
}

/// A figure of photographs: `NAME.png` alone, since an SVG would only wrap the pixels.
pub(super) fn photograph(name: &str, scene: &Scene, density: f64, caption: &str) -> Result<Figure> {
    Ok(Figure::new(caption).with(format!("{name}.png"), scene.png(density)?))
}

/// Image `place` of the set, as RGB.
pub(super) fn pixels(images: &ImageSet, place: usize) -> Result<RgbImage> {
    let image = images.decode(place)?.into_color(Color::Rgb);
    let (width, height) = (image.width() as u32, image.height() as u32);
    RgbImage::from_raw(width, height, image.into_samples())
        .ok_or_else(|| Error::message("a decoded image has a wrong number of samples"))
}

/// The place of the image called `id`.
pub(super) fn place_of(slot: &str, ids: &[String], id: &str) -> Result<usize> {
    ids.iter().position(|other| other == id).ok_or_else(|| {
        let known = ids.iter().map(String::as_str).take(20);
        Error::Input {
            slot: slot.to_owned(),
            message: crate::Error::unknown("image", id, known).to_string(),
        }
    })
}

/// The maps of example `row`: features of shape channels × height × width.
pub(super) fn maps(slot: &str, features: &Features, row: usize, most: usize) -> Result<Vec<Field>> {
    let [_, height, width] = features.shape() else {
        return Err(Error::Input {
            slot: slot.to_owned(),
            message: format!(
                "expected maps of channels × height × width, found rows of shape {:?} (extract them without pooling)",
                features.shape()
            ),
        });
    };
    let channels = features.row(row).chunks_exact((width * height).max(1)).take(most);
    channels.map(|values| Ok(Field::new(*width, *height, values.to_vec())?)).collect()
}

/// Up to `count` of `places`, evenly from the first to the last: no seed is needed, and neighbours in a sorted
/// data set, which are often alike, are not both taken.
pub(super) fn spread(places: &[usize], count: usize) -> Vec<usize> {
    let taken = count.min(places.len());
    (0..taken).filter_map(|i| places.get(i * places.len() / taken.max(1)).copied()).collect()
}

/// A file's name without its folders and its extension.
pub(super) fn short_name(id: &str) -> &str {
    let name = id.rsplit('/').next().unwrap_or(id);
    match name.rsplit_once('.') {
        Some((stem, _)) if !stem.is_empty() => stem,
        _ => name,
    }
}

/// `text`, or what `automatic` says where it is empty.
pub(super) fn or_automatic(text: &str, automatic: impl FnOnce() -> String) -> String {
    if text.is_empty() { automatic() } else { text.to_owned() }
}
