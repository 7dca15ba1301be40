//! From scenes to the files of a figure, and from image sets to pixels.

use image::RgbImage;
use sconce_core::{Context, Error, Folder, Gathered, Input, Result};
use sconce_data::{Color, Features, Figure, ImageSet};

use crate::faces::{self, Given};
use crate::study::Body;
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

/// What `draw` does, with the fonts of the stage's parameter `fonts` at hand; letters that no font has are noted.
pub(super) fn with_fonts(
    ctx: &Context,
    fonts: &Option<Input<Folder>>,
    draw: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let given = match ctx.optional(fonts)? {
        Some(Folder(files)) => Given::read(&files).map_err(|error| Error::Input {
            slot: "fonts".to_owned(),
            message: error.to_string(),
        })?,
        None => Given::none(),
    };
    let (drawn, missing) = faces::with(given, draw);
    if !missing.is_empty() {
        const FEW: usize = 12;
        let few: Vec<String> = missing.iter().take(FEW).map(char::to_string).collect();
        let more = match missing.len().saturating_sub(FEW) {
            0 => String::new(),
            n => format!(" and {n} more"),
        };
        ctx.note(format!(
            "no font has {}{more}: drawn as boxes; give fonts that have them by `fonts`",
            few.join(" ")
        ));
    }
    drawn
}

/// A figure of vector shapes: `NAME.svg` and `NAME.png`.
pub(super) fn drawing(name: &str, scene: &Scene, density: f64, caption: &str) -> Result<Figure> {
    Ok(photograph(name, scene, density, caption)?.with(format!("{name}.svg"), scene.svg()))
}

/// A figure of photographs: `NAME.png` alone, since an SVG would only wrap the pixels.
pub(super) fn photograph(name: &str, scene: &Scene, density: f64, caption: &str) -> Result<Figure> {
    Ok(Figure::new(caption).with(format!("{name}.png"), scene.png(density)?))
}

/// What a page shows of a figure: its table, its animation, or its picture at this density.
pub(super) fn body(figure: &Figure, density: f64) -> Option<Body> {
    if let Some((_, bytes)) = figure.with_extension("html") {
        return Some(Body::Html(String::from_utf8_lossy(bytes).into_owned()));
    }
    if let Some((_, bytes)) = figure.with_extension("gif") {
        return Some(Body::Image { mime: "image/gif", bytes: bytes.to_vec(), width: None });
    }
    let (_, bytes) = figure.with_extension("png")?;
    let reader =
        image::ImageReader::with_format(std::io::Cursor::new(bytes), image::ImageFormat::Png);
    let width = reader.into_dimensions().ok();
    let width = width.map(|(width, _)| (f64::from(width) / density).round().max(1.0) as u32);
    Some(Body::Image { mime: "image/png", bytes: bytes.to_vec(), width })
}

/// Image `place` of the set, as RGB.
pub(super) fn pixels(images: &ImageSet, place: usize) -> Result<RgbImage> {
    let image = images.decode(place)?.into_color(Color::Rgb);
    let (width, height) = (image.width() as u32, image.height() as u32);
    RgbImage::from_raw(width, height, image.into_samples())
        .ok_or_else(|| Error::message("a decoded image has a wrong number of samples"))
}

/// Whether all images are so small that their pixels stay squares when they are enlarged: digits.
pub(super) fn are_small(sets: &[Gathered<ImageSet>]) -> bool {
    sets.iter().all(|set| set.artifact.size().is_some_and(|(w, h)| w.max(h) <= 64))
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
