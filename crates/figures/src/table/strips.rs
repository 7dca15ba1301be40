//! Small images in the rows of a table.

use image::RgbImage;

use crate::Result;
use crate::raster;

/// CSS pixels between two images, and pixels of a tile of them.
pub(super) const GAP: u32 = 2;

/// A column of small images, side by side in each row.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Strips {
    /// The column's name.
    pub head: String,
    /// The images of each row of the table, from the left; a row may have none.
    pub rows: Vec<Vec<RgbImage>>,
    /// The longer side of an image, in CSS pixels.
    pub cell: f64,
    /// Whether pixels stay squares when an image is enlarged.
    pub pixelated: bool,
    /// Pixels for each CSS pixel that images are kept at.
    pub density: f64,
}

impl Strips {
    /// Width and height at which an image is shown.
    pub(super) fn fit(&self, image: &RgbImage) -> (f64, f64) {
        let (width, height) = (f64::from(image.width().max(1)), f64::from(image.height().max(1)));
        let scale = self.cell / width.max(height);
        (width * scale, height * scale)
    }

    /// The image as it is kept: no larger than it is shown.
    pub(super) fn kept(&self, image: &RgbImage) -> RgbImage {
        raster::shrink(image, (self.cell * self.density).ceil() as u32)
    }

    /// Width of the widest row.
    pub(super) fn width(&self) -> f64 {
        let row = |row: &Vec<RgbImage>| {
            let images = row.iter().map(|image| self.fit(image).0).sum::<f64>();
            images + f64::from(GAP) * row.len().saturating_sub(1) as f64
        };
        self.rows.iter().map(row).fold(0.0, f64::max)
    }

    /// The images of a row as one picture and the width at which it is shown; none where the row has no image.
    pub(super) fn tile(&self, row: usize) -> Result<Option<(RgbImage, f64)>> {
        let images = self.rows.get(row).map_or(&[][..], Vec::as_slice);
        let kept: Vec<RgbImage> = images.iter().map(|image| self.kept(image)).collect();
        let Some(first) = kept.first() else { return Ok(None) };
        let tile = raster::tiled(&kept, kept.len(), GAP)?;
        let width = f64::from(tile.width()) * self.fit(first).0 / f64::from(first.width().max(1));
        Ok(Some((tile, width)))
    }
}
