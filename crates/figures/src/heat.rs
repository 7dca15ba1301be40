//! Explanation maps as pictures.

use image::RgbImage;

use crate::color::{Color, ColorMap};
use crate::raster::{self, Field};

/// How a map becomes a picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Heat {
    /// Colours of maps without negative numbers; others go from blue over white to red.
    pub colors: ColorMap,
    /// Share of the numbers, by size, that the scale holds: a few that are much larger than all others would leave a
    /// map dark.
    pub clip: f64,
}

impl Heat {
    /// The ends of a map's scale: 0 and the largest number, or minus and plus that where there are negative ones.
    pub fn range(&self, field: &Field) -> (f32, f32) {
        let signed = field.values().iter().any(|value| *value < 0.0);
        let mut sizes: Vec<f32> = field.values().iter().map(|value| value.abs()).collect();
        sizes.retain(|size| size.is_finite());
        sizes.sort_by(f32::total_cmp);
        let clip = if self.clip.is_nan() { 1.0 } else { self.clip.clamp(0.0, 1.0) };
        let place = (clip * sizes.len().saturating_sub(1) as f64).round() as usize;
        let most = match sizes.get(place).copied().unwrap_or(0.0) {
            // Most of the map is zero: what is left has the scale.
            0.0 => sizes.last().copied().unwrap_or(0.0),
            most => most,
        };
        (if signed { -most } else { 0.0 }, most)
    }

    /// The map alone.
    pub fn picture(&self, field: &Field) -> RgbImage {
        let range = self.range(field);
        field.picture(if range.0 < 0.0 { ColorMap::Diverging } else { self.colors }, range)
    }

    /// The map over a grey photograph, clearer where its numbers are small.
    pub fn overlay(&self, image: &RgbImage, field: &Field) -> RgbImage {
        let (low, high) = self.range(field);
        let held = field.values().iter().map(|value| value.clamp(low, high)).collect();
        let colors = if low < 0.0 { ColorMap::Diverging } else { self.colors };
        match Field::new(field.width(), field.height(), held) {
            Ok(held) => raster::overlay(image, &held, colors, 0.55),
            Err(_) => image.clone(),
        }
    }
}

/// Draws the border of a rectangle, `[left, top, width, height]` in pixels, as wide as 1 in 112 of the image's side.
pub fn outline(image: &mut RgbImage, [left, top, width, height]: [u32; 4], color: Color) {
    let line = (image.width().max(image.height()) / 112).max(1);
    let (right, bottom) = (left.saturating_add(width), top.saturating_add(height));
    for (x, y, pixel) in image.enumerate_pixels_mut() {
        let inside = x >= left && x < right && y >= top && y < bottom;
        let border = x < left + line || x + line >= right || y < top + line || y + line >= bottom;
        if inside && border {
            *pixel = image::Rgb(color.rgb());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAT: Heat = Heat { colors: ColorMap::Grey, clip: 1.0 };

    #[test]
    fn signs_are_seen_and_few_large_numbers_do_not_darken() {
        let signed = Field::new(3, 1, vec![-2.0, 0.0, 1.0]).unwrap();
        assert_eq!(HEAT.range(&signed), (-2.0, 2.0));
        let picture = HEAT.picture(&signed);
        assert_eq!(picture.get_pixel(0, 0).0, ColorMap::Diverging.at(0.0).rgb());
        assert_eq!(picture.get_pixel(1, 0).0, ColorMap::Diverging.at(0.5).rgb());
        let mut values = vec![1.0; 99];
        values.push(50.0);
        let field = Field::new(10, 10, values).unwrap();
        assert_eq!(HEAT.range(&field), (0.0, 50.0));
        assert_eq!(Heat { clip: 0.98, ..HEAT }.range(&field), (0.0, 1.0));
        let mut sparse = vec![0.0; 99];
        sparse.push(5.0);
        let field = Field::new(10, 10, sparse).unwrap();
        assert_eq!(Heat { clip: 0.98, ..HEAT }.range(&field), (0.0, 5.0));
    }

    #[test]
    fn an_overlay_keeps_the_photographs_size() {
        let photograph = RgbImage::from_pixel(8, 8, image::Rgb([100, 100, 100]));
        let field = Field::new(2, 1, vec![0.0, 1.0]).unwrap();
        let laid = HEAT.overlay(&photograph, &field);
        assert_eq!(laid.dimensions(), (8, 8));
        assert!(laid.get_pixel(7, 4)[0] > laid.get_pixel(0, 4)[0]);
    }

    #[test]
    fn a_box_has_a_border() {
        let mut image = RgbImage::new(6, 5);
        outline(&mut image, [1, 1, 4, 3], Color::hex(0xFF_0000));
        let red = image.pixels().filter(|pixel| pixel.0 == [255, 0, 0]).count();
        assert_eq!(red, 10);
        assert_eq!(image.get_pixel(2, 2).0, [0, 0, 0]);
        outline(&mut image, [5, 4, u32::MAX, 9], Color::hex(0x00_FF00));
        assert_eq!(image.get_pixel(5, 4).0, [0, 255, 0]);
    }
}
