//! Resizing and cropping, with Pillow's samples.
//!
//! [`resize`] is Pillow's `Image.resize` (its `Resample.c`): filters widened when the image shrinks
//! (antialiasing), a horizontal and then a vertical pass, weights in 22-bit fixed point, samples
//! between the passes rounded to 8 bits. It is written out here because no library in Rust gives
//! the same samples: `fast_image_resize` keeps 16-bit weights and is off by one level in a fifth of
//! the samples of a noisy picture. The samples are those of Pillow up to 12; Pillow 13 takes the
//! vertical pass first where that is less work, which moves some samples by a level. torchvision's
//! `Resize` on PIL images is this; on tensors (`antialias=True`) it rounds once less. All
//! arithmetic on samples is on integers: the same bits on every processor.

use schemars::JsonSchema;
use sconce_core::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::image::Image;

/// How an image is brought to the network's input size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Fit {
    /// Both sides are scaled to the size; the aspect is lost (torchvision's `Resize((s, s))`).
    Stretch,
    /// The shorter side is scaled to the size and the middle square is cut out (torchvision's
    /// `Resize(s)` then `CenterCrop(s)`).
    Crop,
}

/// The filter that weighs source pixels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Filter {
    /// The nearest source pixel.
    Nearest,
    /// A triangle, widened when the image shrinks (Pillow's `BILINEAR`).
    #[default]
    Bilinear,
    /// Keys' cubic with a = −0.5, widened when the image shrinks (Pillow's `BICUBIC`).
    Bicubic,
}

/// Scales `image` to `width × height`.
pub fn resize(image: &Image, width: usize, height: usize, filter: Filter) -> Result<Image> {
    if width == 0 || height == 0 || width.max(height) > usize::from(u16::MAX) {
        return Err(Error::message(format!("cannot resize an image to {width} × {height}")));
    }
    let channels = image.color().channels();
    let mut samples = std::borrow::Cow::Borrowed(image.samples());
    if width != image.width() {
        let windows = filter.windows(image.width(), width);
        samples = horizontal(&samples, image.width(), channels, &windows).into();
    }
    if height != image.height() {
        let windows = filter.windows(image.height(), height);
        samples = vertical(&samples, width * channels, &windows).into();
    }
    Image::new(width, height, image.color(), samples.into_owned()).map_err(Error::other)
}

/// The source samples that one target sample is made of: the first, and their weights in fixed
/// point.
struct Window {
    first: usize,
    weights: Vec<i32>,
}

/// Bits after the point: 32 less 8 for a sample and 2 for the overshoot of cubic filters.
const PRECISION: u32 = 22;

impl Filter {
    fn support(self) -> f64 {
        match self {
            Self::Nearest => 0.0,
            Self::Bilinear => 1.0,
            Self::Bicubic => 2.0,
        }
    }

    fn weight(self, x: f64) -> f64 {
        let x = x.abs();
        match self {
            Self::Nearest => 1.0,
            Self::Bilinear => (1.0 - x).max(0.0),
            Self::Bicubic if x < 1.0 => ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0,
            Self::Bicubic if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * A,
            Self::Bicubic => 0.0,
        }
    }

    /// Pillow's `precompute_coeffs` and `normalize_coeffs_8bpc`.
    fn windows(self, from: usize, to: usize) -> Vec<Window> {
        let scale = from as f64 / to as f64;
        let widening = scale.max(1.0);
        let support = self.support() * widening;
        let window = |target: usize| {
            let center = (target as f64 + 0.5) * scale;
            if self == Self::Nearest {
                let first = (center as usize).min(from - 1);
                return Window { first, weights: vec![1 << PRECISION] };
            }
            // A cast to an unsigned integer truncates, and a negative number gives 0.
            let first = (center - support + 0.5) as usize;
            let end = ((center + support + 0.5) as usize).min(from);
            let weights: Vec<_> = (first..end)
                .map(|x| self.weight((x as f64 - center + 0.5) * (1.0 / widening)))
                .collect();
            let sum: f64 = weights.iter().sum();
            let fixed = |weight: &f64| {
                let weight = if sum == 0.0 { *weight } else { weight / sum };
                (weight * f64::from(1 << PRECISION) + 0.5_f64.copysign(weight)) as i32
            };
            Window { first, weights: weights.iter().map(fixed).collect() }
        };
        (0..to).map(window).collect()
    }
}

/// Keys' parameter, as in Pillow.
const A: f64 = -0.5;

fn round(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
}

const HALF: i32 = 1 << (PRECISION - 1);

fn horizontal(samples: &[u8], width: usize, channels: usize, windows: &[Window]) -> Vec<u8> {
    let mut out = Vec::with_capacity(samples.len() / width * windows.len());
    for row in samples.chunks_exact(width * channels) {
        for Window { first, weights } in windows {
            let pixels = &row[first * channels..];
            match channels {
                3 => {
                    let (pixels, _) = pixels.as_chunks::<3>();
                    let mut sums = [HALF; 3];
                    for (pixel, weight) in pixels.iter().zip(weights) {
                        for (sum, &sample) in sums.iter_mut().zip(pixel) {
                            *sum += i32::from(sample) * weight;
                        }
                    }
                    out.extend(sums.map(round));
                }
                _ => {
                    let products =
                        pixels.iter().zip(weights).map(|(&s, weight)| i32::from(s) * weight);
                    out.push(round(HALF + products.sum::<i32>()));
                }
            }
        }
    }
    out
}

/// `stride` is the length of a row in samples.
fn vertical(samples: &[u8], stride: usize, windows: &[Window]) -> Vec<u8> {
    let mut out = Vec::with_capacity(stride * windows.len());
    let mut sums = vec![HALF; stride];
    for Window { first, weights } in windows {
        sums.fill(HALF);
        for (row, weight) in samples[first * stride..].chunks_exact(stride).zip(weights) {
            for (sum, &sample) in sums.iter_mut().zip(row) {
                *sum += i32::from(sample) * weight;
            }
        }
        out.extend(sums.iter().map(|&sum| round(sum)));
    }
    out
}

/// Scales the shorter side to `size`; the longer one is truncated to whole pixels, as
/// torchvision's `Resize(size)` does.
pub fn resize_shorter_side(image: &Image, size: usize, filter: Filter) -> Result<Image> {
    let (width, height) = (image.width(), image.height());
    let (new_width, new_height) =
        if width <= height { (size, size * height / width) } else { (size * width / height, size) };
    resize(image, new_width, new_height, filter)
}

/// Cuts out the middle `width × height`. An odd margin is split as torchvision's `CenterCrop`
/// does: rounded to the even neighbour.
pub fn center_crop(image: &Image, width: usize, height: usize) -> Result<Image> {
    if width > image.width() || height > image.height() {
        return Err(Error::message(format!(
            "cannot cut {width} × {height} out of an image of {} × {}",
            image.width(),
            image.height()
        )));
    }
    // Python's round() of a half goes to the even neighbour.
    let half = |margin: usize| match margin % 4 {
        3 => margin / 2 + 1,
        _ => margin / 2,
    };
    let (left, top) = (half(image.width() - width), half(image.height() - height));
    let channels = image.color().channels();
    let samples = image
        .samples()
        .chunks_exact(image.width() * channels)
        .skip(top)
        .take(height)
        .flat_map(|row| &row[left * channels..(left + width) * channels])
        .copied()
        .collect();
    Image::new(width, height, image.color(), samples).map_err(Error::other)
}

/// Brings `image` to `size × size`.
pub fn fit(image: &Image, size: usize, fit: Fit, filter: Filter) -> Result<Image> {
    match fit {
        Fit::Stretch => resize(image, size, size, filter),
        Fit::Crop => center_crop(&resize_shorter_side(image, size, filter)?, size, size),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Color;

    /// The picture that the reference script makes.
    fn picture(width: usize, height: usize) -> Image {
        let samples = (0..height * width).flat_map(|i| {
            let (y, x) = (i / width, i % width);
            [x * x * 7 + y * 13, x * 31 + y * y * 5, x * y * 3 + 40]
                .map(|sample| (sample % 256) as u8)
        });
        Image::new(width, height, Color::Rgb, samples.collect()).unwrap()
    }

    // Pillow 12.0.0:
    //   y, x = np.mgrid[0:17, 0:23]
    //   rgb = np.stack([(x*x*7 + y*13) % 256, (x*31 + y*y*5) % 256, (x*y*3 + 40) % 256], -1)
    //   im = Image.fromarray(rgb.astype(np.uint8))
    //   np.asarray(im.resize((8, 6), Image.BILINEAR)).ravel().tolist()   # and BICUBIC
    const BILINEAR: [u8; 144] = [
        31, 49, 44, 112, 131, 54, 128, 176, 64, 142, 87, 74, 144, 141, 84, 81, 163, 95, 176, 76,
        104, 96, 145, 114, 65, 113, 54, 140, 160, 84, 130, 102, 116, 151, 117, 148, 129, 149, 165,
        86, 106, 155, 44, 122, 118, 68, 160, 124, 102, 138, 64, 149, 125, 116, 113, 134, 166, 102,
        127, 159, 138, 117, 97, 118, 127, 104, 59, 116, 130, 100, 112, 142, 138, 130, 74, 159, 134,
        148, 130, 131, 158, 123, 123, 79, 120, 126, 133, 142, 121, 145, 95, 118, 115, 136, 119,
        128, 175, 135, 84, 137, 127, 165, 131, 124, 96, 150, 118, 133, 130, 133, 160, 158, 132,
        117, 132, 130, 140, 173, 136, 132, 190, 113, 94, 107, 125, 155, 111, 121, 101, 125, 120,
        147, 106, 145, 114, 163, 130, 161, 166, 111, 121, 189, 143, 126,
    ];
    const BICUBIC: [u8; 144] = [
        23, 37, 43, 112, 130, 51, 131, 193, 60, 142, 72, 68, 148, 144, 78, 68, 174, 92, 195, 61,
        105, 95, 150, 114, 59, 112, 51, 146, 171, 82, 129, 90, 114, 157, 116, 153, 131, 159, 178,
        84, 96, 163, 30, 124, 115, 67, 166, 127, 100, 145, 60, 155, 119, 115, 107, 138, 176, 94,
        130, 171, 147, 111, 83, 121, 131, 97, 48, 114, 132, 102, 108, 141, 141, 129, 68, 163, 136,
        153, 128, 132, 170, 125, 120, 55, 119, 127, 137, 148, 120, 154, 89, 116, 111, 139, 119,
        127, 180, 136, 78, 137, 129, 177, 126, 120, 83, 158, 117, 138, 129, 137, 171, 161, 131,
        107, 129, 133, 142, 179, 138, 136, 198, 110, 92, 100, 121, 161, 111, 127, 95, 124, 118,
        156, 97, 145, 105, 165, 135, 169, 170, 105, 119, 189, 141, 124,
    ];

    #[test]
    fn samples_are_pillows() {
        for (filter, expected) in [(Filter::Bilinear, BILINEAR), (Filter::Bicubic, BICUBIC)] {
            let small = resize(&picture(23, 17), 8, 6, filter).unwrap();
            assert_eq!(small.samples(), expected, "{filter:?}");
        }
        // a = np.asarray(im.convert(c).resize((w, h), f)).ravel().astype(int)
        // a.sum(), (a * (np.arange(a.size) % 251)).sum()
        let sums = |width, height, filter, color| {
            let image = picture(23, 17).into_color(color);
            let image = resize(&image, width, height, filter).unwrap();
            let samples = image.samples().iter().map(|&sample| u64::from(sample));
            let weighted = samples.clone().enumerate().map(|(i, sample)| i as u64 % 251 * sample);
            (samples.sum::<u64>(), weighted.sum::<u64>())
        };
        assert_eq!(sums(31, 40, Filter::Bilinear, Color::Rgb), (454023, 56370062));
        assert_eq!(sums(31, 40, Filter::Bicubic, Color::Rgb), (454058, 56360144));
        assert_eq!(sums(8, 6, Filter::Nearest, Color::Rgb), (17752, 1348312));
        assert_eq!(sums(50, 3, Filter::Nearest, Color::Rgb), (54212, 6400502));
        assert_eq!(sums(7, 29, Filter::Bilinear, Color::Grey), (25249, 2631463));
        assert_eq!(sums(23, 5, Filter::Bicubic, Color::Grey), (14311, 843978));
        assert_eq!(sums(300, 1, Filter::Bilinear, Color::Grey), (37341, 4046830));
    }

    #[test]
    fn sizes_and_crops_are_torchvisions() {
        // torchvision.transforms.functional: _compute_resized_output_size and center_crop.
        let shorter = |w, h, s| {
            let image = resize_shorter_side(&picture(w, h), s, Filter::Bilinear).unwrap();
            (image.width(), image.height())
        };
        assert_eq!(shorter(300, 201, 64), (95, 64));
        assert_eq!(shorter(201, 300, 64), (64, 95));
        assert_eq!(shorter(50, 50, 64), (64, 64));
        // int(round((w - 4) / 2.0)): margins 1, 3, 5, 7 give 0, 2, 2, 4.
        for (width, left) in [(5, 0), (7, 2), (9, 2), (11, 4), (8, 2)] {
            let image = picture(width, 4);
            let middle = center_crop(&image, 4, 4).unwrap();
            assert_eq!(middle.samples()[..12], image.samples()[3 * left..3 * left + 12], "{width}");
        }
        let error = center_crop(&picture(5, 4), 5, 5).unwrap_err();
        assert_eq!(error.to_string(), "cannot cut 5 × 5 out of an image of 5 × 4");
        assert!(resize(&picture(5, 4), 0, 5, Filter::Bilinear).is_err());
        let square = fit(&picture(30, 20), 16, Fit::Crop, Filter::Bilinear).unwrap();
        assert_eq!((square.width(), square.height()), (16, 16));
    }
}
