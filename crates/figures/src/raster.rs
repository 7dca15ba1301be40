//! Pixels: PNG files, fields of numbers as pictures, and heat laid over a photograph.

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder as _, RgbImage, imageops};

use crate::color::ColorMap;
use crate::scene::LARGEST;
use crate::{Error, Result};

/// An image as PNG: 8-bit grey where all its pixels are grey, RGB otherwise.
pub fn encode_png(image: &RgbImage) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let encoder =
        PngEncoder::new_with_quality(&mut bytes, CompressionType::Default, FilterType::Adaptive);
    let (width, height) = image.dimensions();
    if image.pixels().all(|pixel| pixel[0] == pixel[1] && pixel[1] == pixel[2]) {
        let gray: Vec<u8> = image.pixels().map(|pixel| pixel[0]).collect();
        encoder.write_image(&gray, width, height, ExtendedColorType::L8)?;
    } else {
        encoder.write_image(image.as_raw(), width, height, ExtendedColorType::Rgb8)?;
    }
    Ok(bytes)
}

/// The pixels of a PNG, JPEG or GIF file, as RGB.
pub fn decode(bytes: &[u8]) -> Result<RgbImage> {
    Ok(image::load_from_memory(bytes)?.into_rgb8())
}

/// A field of numbers, a row after the other: an activation map, a saliency map.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    width: usize,
    height: usize,
    values: Vec<f32>,
}

impl Field {
    /// A field of `height` rows of `width` values.
    pub fn new(width: usize, height: usize, values: Vec<f32>) -> Result<Self> {
        if width == 0 || height == 0 {
            return Err(Error::Empty("a field of numbers", "value"));
        }
        if width.checked_mul(height) != Some(values.len()) {
            return Err(Error::shape(
                "a field of numbers",
                format!("{height} × {width} values"),
                values.len(),
            ));
        }
        Ok(Self { width, height, values })
    }

    /// Width in values.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in values.
    pub fn height(&self) -> usize {
        self.height
    }

    /// The values, a row after the other.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Smallest and largest finite value; 0 and 0 where there is none.
    pub fn range(&self) -> (f32, f32) {
        range(&self.values)
    }

    /// The field as a picture, `low` and `high` at the ends of `map`. A field of one value is at its low end.
    pub fn picture(&self, map: ColorMap, (low, high): (f32, f32)) -> RgbImage {
        let span = f64::from(high) - f64::from(low);
        let rgb = self
            .values
            .iter()
            .flat_map(|value| {
                let t = (f64::from(*value) - f64::from(low)) / span;
                map.at(if span > 0.0 || value.is_nan() { t } else { 0.0 }).rgb()
            })
            .collect();
        // The length was checked when the field was made.
        RgbImage::from_raw(self.width as u32, self.height as u32, rgb).unwrap_or_default()
    }

    /// Whether every value is the same: a dead activation map.
    pub fn is_flat(&self) -> bool {
        let (low, high) = self.range();
        low == high
    }
}

/// Smallest and largest finite value of all; 0 and 0 where there is none.
pub fn range(values: &[f32]) -> (f32, f32) {
    let finite = || values.iter().copied().filter(|value| value.is_finite());
    match finite().next() {
        None => (0.0, 0.0),
        Some(first) => {
            finite().fold((first, first), |(low, high), value| (low.min(value), high.max(value)))
        }
    }
}

/// `field` scaled to `image`, coloured and laid over it with opacity `alpha`; the photograph under it
/// is grey, so that colours are the field's.
pub fn overlay(image: &RgbImage, field: &Field, map: ColorMap, alpha: f64) -> RgbImage {
    let (width, height) = image.dimensions();
    let heat = field.picture(map, field.range());
    let heat = imageops::resize(&heat, width, height, imageops::FilterType::Triangle);
    let alpha = if alpha.is_nan() { 0.0 } else { alpha.clamp(0.0, 1.0) };
    RgbImage::from_fn(width, height, |x, y| {
        let (under, over) = (image.get_pixel(x, y), heat.get_pixel(x, y));
        let gray =
            0.299 * f64::from(under[0]) + 0.587 * f64::from(under[1]) + 0.114 * f64::from(under[2]);
        image::Rgb(std::array::from_fn(|c| {
            (gray * (1.0 - alpha) + f64::from(over[c]) * alpha).round() as u8
        }))
    })
}

/// Images side by side in rows of `across`, `gap` white pixels between them, each in the middle of a place as large as the largest.
///
/// # Errors
/// When there is no image, `across` is 0, or the picture would be too large.
pub fn tiled(images: &[RgbImage], across: usize, gap: u32) -> Result<RgbImage> {
    let width = images.iter().map(RgbImage::width).max().unwrap_or(0);
    let height = images.iter().map(RgbImage::height).max().unwrap_or(0);
    if width == 0 || height == 0 || across == 0 {
        return Err(Error::Empty("a grid of images", "image"));
    }
    let columns = across.min(images.len());
    let side = |count: usize, length: u32| {
        count as f64 * f64::from(length) + (count as f64 - 1.0) * f64::from(gap)
    };
    let (full_width, full_height) =
        (side(columns, width), side(images.len().div_ceil(columns), height));
    if full_width.max(full_height) > f64::from(LARGEST) {
        return Err(Error::TooLarge { width: full_width, height: full_height, limit: LARGEST });
    }
    let (full_width, full_height) = (full_width as u32, full_height as u32);
    let mut tiled = RgbImage::from_pixel(full_width, full_height, image::Rgb([255; 3]));
    for (place, image) in images.iter().enumerate() {
        let (column, row) = ((place % columns) as u32, (place / columns) as u32);
        let x = column * (width + gap) + (width - image.width()) / 2;
        let y = row * (height + gap) + (height - image.height()) / 2;
        imageops::replace(&mut tiled, image, i64::from(x), i64::from(y));
    }
    Ok(tiled)
}

/// `image` made smaller so that it is not larger than `pixels` a side; smaller ones are left as they are.
/// Averaging here avoids the speckle that drawing a large photograph in a small place gives.
pub fn shrink(image: &RgbImage, pixels: u32) -> RgbImage {
    let (width, height) = image.dimensions();
    let side = width.max(height);
    if side <= pixels || pixels == 0 {
        return image.clone();
    }
    let scaled = |length: u32| {
        ((f64::from(length) * f64::from(pixels) / f64::from(side)).round() as u32).max(1)
    };
    imageops::resize(image, scaled(width), scaled(height), imageops::FilterType::Lanczos3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn png_keeps_every_pixel() {
        let image = RgbImage::from_fn(7, 5, |x, y| image::Rgb([x as u8 * 30, y as u8 * 50, 9]));
        assert_eq!(decode(&encode_png(&image).unwrap()).unwrap(), image);
        let gray = RgbImage::from_fn(7, 5, |x, _| image::Rgb([x as u8; 3]));
        assert_eq!(decode(&encode_png(&gray).unwrap()).unwrap(), gray);
    }

    #[test]
    fn a_field_is_coloured_within_its_range() {
        let field = Field::new(2, 2, vec![0.0, 1.0, 2.0, 4.0]).unwrap();
        let picture = field.picture(ColorMap::Grey, field.range());
        let values: Vec<u8> = picture.pixels().map(|pixel| pixel[0]).collect();
        assert_eq!(values, [0, 64, 128, 255]);
        let flat = Field::new(2, 1, vec![3.0, 3.0]).unwrap();
        assert!(flat.is_flat());
        assert_eq!(flat.picture(ColorMap::Grey, flat.range()).as_raw(), &[0; 6]);
        assert!(Field::new(2, 2, vec![0.0; 3]).is_err());
        assert!(Field::new(0, 2, vec![]).is_err());
    }

    #[test]
    fn ranges_skip_what_is_not_finite() {
        assert_eq!(range(&[f32::NAN, 2.0, f32::INFINITY, -1.0]), (-1.0, 2.0));
        assert_eq!(range(&[f32::NAN]), (0.0, 0.0));
    }

    #[test]
    fn an_overlay_is_hot_where_the_field_is() {
        let photograph = RgbImage::from_pixel(8, 8, image::Rgb([100, 100, 100]));
        let field = Field::new(2, 1, vec![0.0, 1.0]).unwrap();
        let laid = overlay(&photograph, &field, ColorMap::Grey, 0.5);
        assert_eq!(laid.dimensions(), (8, 8));
        assert_eq!(laid.get_pixel(0, 4)[0], 50);
        assert_eq!(laid.get_pixel(7, 4)[0], 178);
        assert_eq!(overlay(&photograph, &field, ColorMap::Grey, 0.0), photograph);
    }

    #[test]
    fn tiles_stand_in_rows_with_gaps() {
        let one = |level: u8, width| RgbImage::from_pixel(width, 2, image::Rgb([level; 3]));
        let tiles = [one(10, 3), one(20, 1), one(30, 3)];
        let picture = tiled(&tiles, 2, 1).unwrap();
        let grey: Vec<u8> = picture.pixels().map(|pixel| pixel[0]).collect();
        let (first, last) = ([10, 10, 10, 255, 255, 20, 255], [30, 30, 30, 255, 255, 255, 255]);
        assert_eq!(grey, [first, first, [255; 7], last, last].concat());
        assert_eq!(tiled(&tiles, 9, 0).unwrap().dimensions(), (9, 2));
        assert_eq!(
            tiled(&[], 2, 1).unwrap_err().to_string(),
            "a grid of images is empty: expected at least one image"
        );
        let error = tiled(&[RgbImage::new(9000, 1), RgbImage::new(1, 1)], 2, 0).unwrap_err();
        assert!(error.to_string().contains("16384"), "{error}");
    }

    #[test]
    fn shrinking_keeps_the_shape() {
        let image = RgbImage::new(300, 150);
        assert_eq!(shrink(&image, 100).dimensions(), (100, 50));
        assert_eq!(shrink(&image, 400).dimensions(), (300, 150));
    }
}
