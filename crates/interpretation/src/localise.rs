//! From a map to a place: a box, a mask, a crop that keeps it.

use candle_core::{Device, Tensor};
use sconce_core::{Error, Result};
use sconce_data::{Image, resize};
use sconce_ops::separable::gaussian_blur;

/// A rectangle of pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    /// Pixels left of it.
    pub left: usize,
    /// Pixels above it.
    pub top: usize,
    /// Pixels across.
    pub width: usize,
    /// Pixels down.
    pub height: usize,
}

/// Where a map points.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    /// The smallest rectangle around the pixels.
    pub region: Region,
    /// Which pixels, row after row.
    pub mask: Vec<bool>,
    /// Their share of the sum of the map's positive numbers.
    pub share: f64,
}

/// The pixels of `map` that have at least `threshold` of its largest number, of these the connected part (by edges) with the
/// largest sum. None for a map without positive numbers.
///
/// Zhou et al., "Learning deep features for discriminative localization", 2016, section 3.2, has a threshold of 0.2 for
/// class activation maps.
pub fn localise(map: &[f32], width: usize, threshold: f64) -> Option<Place> {
    let most = map.iter().copied().fold(0f32, f32::max);
    if !(most > 0.0 && most.is_finite()) || width == 0 {
        return None;
    }
    let bound = (f64::from(most) * threshold) as f32;
    let height = map.len() / width;
    let above = |at: usize| map[at] > 0.0 && map[at] >= bound;
    let mut part = vec![0usize; map.len()];
    let (mut best, mut best_sum, mut parts) = (0, 0.0, 0);
    for start in 0..height * width {
        if part[start] > 0 || !above(start) {
            continue;
        }
        parts += 1;
        let mut sum = 0.0;
        let mut open = vec![start];
        part[start] = parts;
        while let Some(at) = open.pop() {
            sum += f64::from(map[at]);
            let (y, x) = (at / width, at % width);
            let beside = [
                (x > 0).then(|| at - 1),
                (x + 1 < width).then(|| at + 1),
                (y > 0).then(|| at - width),
                (y + 1 < height).then(|| at + width),
            ];
            for next in beside.into_iter().flatten() {
                if part[next] == 0 && above(next) {
                    part[next] = parts;
                    open.push(next);
                }
            }
        }
        if sum > best_sum {
            (best, best_sum) = (parts, sum);
        }
    }
    let mask: Vec<bool> = part.iter().map(|&part| part == best).collect();
    let inside = || mask.iter().enumerate().filter(|(_, inside)| **inside).map(|(at, _)| at);
    let left = inside().map(|at| at % width).min()?;
    let right = inside().map(|at| at % width).max()?;
    let (top, bottom) = (inside().min()? / width, inside().max()? / width);
    let region = Region { left, top, width: right + 1 - left, height: bottom + 1 - top };
    let all: f64 = map.iter().map(|v| f64::from(v.max(0.0))).sum();
    Some(Place { region, mask, share: best_sum / all })
}

/// `map` blurred by a Gaussian of `sigma` pixels; maps of single pixels have no connected parts.
///
/// # Errors
/// When the map is no rectangle of `width`.
pub fn smoothed(map: &[f32], width: usize, sigma: f64) -> Result<Vec<f32>> {
    let height = map.len() / width.max(1);
    let reach = ((3.0 * sigma).ceil() as usize).min(width.min(height).saturating_sub(1));
    let blurred = Tensor::from_vec(map.to_vec(), (1, 1, height, width), &Device::Cpu)
        .and_then(|map| gaussian_blur(&map, 2 * reach + 1, sigma)?.flatten_all()?.to_vec1());
    blurred.map_err(Error::other)
}

/// The smallest square that holds `region` and `margin` times its longer side around it, as far as an image of `width` ×
/// `height` goes: moved inside rather than cut.
pub fn square_around(region: Region, margin: f64, width: usize, height: usize) -> Region {
    let longer = region.width.max(region.height) as f64;
    let side = ((longer * (1.0 + 2.0 * margin)).round() as usize)
        .max(region.width.max(region.height))
        .min(width.min(height));
    // Where the image is too small for a square around all of it, its longer side is cut evenly.
    let begin = |start: usize, length: usize, whole: usize| {
        let middle = start + length / 2;
        middle.saturating_sub(side / 2).min(whole - side)
    };
    Region {
        left: begin(region.left, region.width, width),
        top: begin(region.top, region.height, height),
        width: side,
        height: side,
    }
}

/// The part of `image` in `region`, enlarged to `size` pixels a side.
///
/// # Errors
/// When the region leaves the image.
pub fn crop(image: &Image, region: Region, size: usize) -> Result<Image> {
    let Region { left, top, width, height } = region;
    if left + width > image.width() || top + height > image.height() {
        return Err(Error::message(format!("{region:?} leaves the image")));
    }
    let pixel = image.color().channels();
    let rows = image.samples().chunks_exact(image.width() * pixel).skip(top).take(height);
    let samples: Vec<u8> =
        rows.flat_map(|row| &row[left * pixel..(left + width) * pixel]).copied().collect();
    let part = Image::new(width, height, image.color(), samples).map_err(Error::other)?;
    resize::fit(&part, size, resize::Fit::Stretch, resize::Filter::default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sconce_data::Color;

    const MAP: [f32; 20] = [
        9.0, 0.0, 0.0, 0.0, 0.0, //
        0.0, 0.0, 4.0, 5.0, 0.0, //
        0.0, 0.0, 0.0, 6.0, 1.0, //
        0.0, 3.0, 0.0, 0.0, -8.0,
    ];

    #[test]
    fn the_heaviest_part_is_found() {
        let place = localise(&MAP, 5, 0.2).unwrap();
        assert_eq!(place.region, Region { left: 2, top: 1, width: 2, height: 2 });
        assert_eq!(place.mask.iter().filter(|inside| **inside).count(), 3);
        assert!((place.share - 15.0 / 28.0).abs() < 1e-9);
        let peak = localise(&MAP, 5, 0.9).unwrap();
        assert_eq!(peak.region, Region { left: 0, top: 0, width: 1, height: 1 });
        let wide = localise(&MAP, 5, 0.1).unwrap();
        assert_eq!(wide.region, Region { left: 2, top: 1, width: 3, height: 2 });
        assert_eq!(localise(&[0.0; 4], 2, 0.2), None);
        assert_eq!(localise(&[-1.0; 4], 2, 0.2), None);
    }

    #[test]
    fn a_square_keeps_the_region() {
        for (left, top, width, height) in [(0, 0, 5, 3), (90, 50, 10, 20), (40, 10, 3, 45)] {
            let region = Region { left, top, width, height };
            let square = square_around(region, 0.1, 100, 70);
            assert_eq!(square.width, square.height);
            assert!(square.left <= left && square.top <= top);
            assert!(square.left + square.width >= left + width);
            assert!(square.top + square.height >= top + height);
            assert!(square.left + square.width <= 100 && square.top + square.height <= 70);
        }
        let whole = square_around(Region { left: 0, top: 0, width: 100, height: 70 }, 0.2, 100, 70);
        assert_eq!(whole, Region { left: 15, top: 0, width: 70, height: 70 });
    }

    #[test]
    fn crops_are_parts() {
        let samples: Vec<u8> = (0..5 * 4 * 3).collect();
        let image = Image::new(5, 4, Color::Rgb, samples).unwrap();
        let part = crop(&image, Region { left: 1, top: 2, width: 2, height: 2 }, 2).unwrap();
        assert_eq!(part.samples(), [33, 34, 35, 36, 37, 38, 48, 49, 50, 51, 52, 53]);
        let outside = Region { left: 4, top: 0, width: 2, height: 2 };
        assert!(crop(&image, outside, 2).is_err());
        let blurred = smoothed(&MAP, 5, 0.8).unwrap();
        let most = blurred.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        assert!(most < 6.0 && most > 1.0);
    }
}
