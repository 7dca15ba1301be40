//! What an attack changed, made visible.

use image::{Rgb, RgbImage, imageops};

use crate::color::series_color;
use crate::{Error, Result};

/// Pixels that a picture of marks has at least on its longer side.
const LEAST: u32 = 224;

/// `128 + factor · (changed − original)`, clamped: grey where nothing changed.
///
/// # Errors
/// When the images differ in size.
pub fn difference(original: &RgbImage, changed: &RgbImage, factor: f64) -> Result<RgbImage> {
    same_size(original, changed)?;
    let samples = original.as_raw().iter().zip(changed.as_raw());
    let level = |(a, b): (&u8, &u8)| {
        (128.0 + factor * (f64::from(*b) - f64::from(*a))).round().clamp(0.0, 255.0) as u8
    };
    RgbImage::from_raw(original.width(), original.height(), samples.map(level).collect())
        .ok_or_else(|| Error::Value("an image has a wrong number of samples".to_owned()))
}

/// The changed image, enlarged in whole steps where it is small, with a square around each changed pixel.
///
/// # Errors
/// When the images differ in size.
pub fn marked(original: &RgbImage, changed: &RgbImage) -> Result<RgbImage> {
    same_size(original, changed)?;
    let longer = changed.width().max(changed.height()).max(1);
    let factor = LEAST.div_ceil(longer);
    let mut picture = imageops::resize(
        changed,
        changed.width() * factor,
        changed.height() * factor,
        imageops::FilterType::Nearest,
    );
    // On a photograph a pixel is a dot: the square stands off it.
    let off = if factor >= 4 { 0 } else { 5 };
    for (x, y, pixel) in changed.enumerate_pixels() {
        if original.get_pixel(x, y) != pixel {
            square(&mut picture, (x * factor, y * factor), factor, off);
        }
    }
    Ok(picture)
}

/// A line two pixels wide around the square at `corner` of so many pixels, `off` pixels away from it.
fn square(picture: &mut RgbImage, corner: (u32, u32), side: u32, off: i64) {
    let color = Rgb(series_color(1).rgb());
    let (left, top) = (i64::from(corner.0) - off, i64::from(corner.1) - off);
    let side = i64::from(side) + 2 * off;
    for dy in -2..side + 2 {
        for dx in -2..side + 2 {
            let inside = (0..side).contains(&dx) && (0..side).contains(&dy);
            let (x, y) = (left + dx, top + dy);
            let there = (0..i64::from(picture.width())).contains(&x)
                && (0..i64::from(picture.height())).contains(&y);
            if there && !inside {
                picture.put_pixel(x as u32, y as u32, color);
            }
        }
    }
}

fn same_size(a: &RgbImage, b: &RgbImage) -> Result<()> {
    if a.dimensions() == b.dimensions() {
        return Ok(());
    }
    let ((w, h), (v, g)) = (a.dimensions(), b.dimensions());
    Err(Error::Value(format!("expected two images of one size, found {w} × {h} and {v} × {g}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_around_grey() {
        let original = RgbImage::from_pixel(2, 1, Rgb([10, 20, 30]));
        let mut changed = original.clone();
        changed.put_pixel(1, 0, Rgb([13, 0, 30]));
        let plain = difference(&original, &changed, 1.0).unwrap();
        assert_eq!(plain.as_raw(), &[128, 128, 128, 131, 108, 128]);
        let ten = difference(&original, &changed, 10.0).unwrap();
        assert_eq!(ten.get_pixel(1, 0).0, [158, 0, 128]);
        assert!(difference(&original, &RgbImage::new(1, 1), 1.0).is_err());
    }

    #[test]
    fn changed_pixels_are_framed() {
        let original = RgbImage::from_pixel(28, 28, Rgb([0; 3]));
        let mut changed = original.clone();
        changed.put_pixel(3, 27, Rgb([255; 3]));
        let picture = marked(&original, &changed).unwrap();
        assert_eq!(picture.dimensions(), (224, 224));
        let mark = Rgb(series_color(1).rgb());
        for (x, y, expected) in [
            (24, 216, Rgb([255; 3])),
            (31, 223, Rgb([255; 3])),
            (23, 216, mark),
            (33, 223, mark),
            (24, 214, mark),
            (21, 216, Rgb([0; 3])),
            (100, 100, Rgb([0; 3])),
        ] {
            assert_eq!(*picture.get_pixel(x, y), expected, "{x} {y}");
        }
        // The pixel itself stays to be seen on a photograph, too.
        let original = RgbImage::from_pixel(240, 240, Rgb([0; 3]));
        let mut changed = original.clone();
        changed.put_pixel(100, 50, Rgb([255; 3]));
        let picture = marked(&original, &changed).unwrap();
        assert_eq!(picture.get_pixel(100, 50).0, [255; 3]);
        assert_eq!((*picture.get_pixel(94, 50), picture.get_pixel(97, 50).0), (mark, [0; 3]));
    }
}
