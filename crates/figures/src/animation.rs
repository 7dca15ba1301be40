//! Animations: GIF files of one palette.

use std::collections::BTreeMap;

use gif::{Encoder, Frame, Repeat};
use image::RgbImage;

use crate::{Error, Result};

/// How an animation plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Milliseconds that a frame is shown, in steps of 10.
    pub frame: u32,
    /// Milliseconds that the last frame is shown.
    pub last: u32,
}

impl Default for Timing {
    fn default() -> Self {
        Self { frame: 100, last: 1500 }
    }
}

/// A GIF of `frames`, all of one size, that repeats for ever.
///
/// All frames share one palette of at most 256 colours, so that still parts do not flicker: the colours that occur
/// where these are so few, NeuQuant's (Dekker 1994) otherwise.
pub fn gif(frames: &[RgbImage], timing: Timing) -> Result<Vec<u8>> {
    let first = frames.first().ok_or(Error::Empty("the animation", "frame"))?;
    let (width, height) = first.dimensions();
    let side = |length: u32| u16::try_from(length).ok().filter(|length| *length > 0);
    let (Some(gif_width), Some(gif_height)) = (side(width), side(height)) else {
        let (width, height) = (f64::from(width), f64::from(height));
        return Err(Error::TooLarge { width, height, limit: u32::from(u16::MAX) });
    };
    for (index, frame) in frames.iter().enumerate() {
        if frame.dimensions() != (width, height) {
            let found = format!("{} × {}", frame.width(), frame.height());
            return Err(Error::shape(
                format!("frame {index} of the animation"),
                format!("{width} × {height}"),
                found,
            ));
        }
    }
    let palette = Palette::of(frames);
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, gif_width, gif_height, &palette.colors())?;
    encoder.set_repeat(Repeat::Infinite)?;
    let mut known = BTreeMap::new();
    for (index, image) in frames.iter().enumerate() {
        let shown = if index + 1 == frames.len() { timing.last } else { timing.frame };
        let pixels: Vec<u8> =
            image.pixels().map(|pixel| palette.index(pixel.0, &mut known)).collect();
        encoder.write_frame(&Frame {
            delay: u16::try_from(shown.div_ceil(10).max(2)).unwrap_or(u16::MAX),
            width: gif_width,
            height: gif_height,
            buffer: pixels.into(),
            ..Frame::default()
        })?;
    }
    drop(encoder);
    Ok(bytes)
}

enum Palette {
    /// The colours in order, all that occur.
    Exact(BTreeMap<[u8; 3], u8>),
    Learned(color_quant::NeuQuant),
}

impl Palette {
    fn of(frames: &[RgbImage]) -> Self {
        let mut colors = BTreeMap::new();
        for pixel in frames.iter().flat_map(|frame| frame.pixels()) {
            colors.insert(pixel.0, 0);
            if colors.len() > 256 {
                return Self::learned(frames);
            }
        }
        for (index, place) in colors.values_mut().enumerate() {
            *place = index as u8;
        }
        Self::Exact(colors)
    }

    fn learned(frames: &[RgbImage]) -> Self {
        // Half a million pixels, evenly from all frames, are plenty to learn 256 colours from.
        let all: usize = frames.iter().map(|frame| frame.pixels().len()).sum();
        let every = (all / 500_000).max(1);
        let pixels = frames.iter().flat_map(|frame| frame.pixels()).step_by(every);
        let rgba: Vec<u8> = pixels.flat_map(|pixel| [pixel[0], pixel[1], pixel[2], 255]).collect();
        Self::Learned(color_quant::NeuQuant::new(3, 256, &rgba))
    }

    fn colors(&self) -> Vec<u8> {
        match self {
            Self::Exact(colors) => colors.keys().flatten().copied().collect(),
            Self::Learned(learned) => learned.color_map_rgb(),
        }
    }

    fn index(&self, rgb: [u8; 3], known: &mut BTreeMap<[u8; 3], u8>) -> u8 {
        match self {
            Self::Exact(colors) => colors.get(&rgb).copied().unwrap_or_default(),
            Self::Learned(learned) => *known
                .entry(rgb)
                .or_insert_with(|| learned.index_of(&[rgb[0], rgb[1], rgb[2], 255]) as u8),
        }
    }
}

#[cfg(test)]
mod tests {
    use image::AnimationDecoder as _;

    use super::*;
    use crate::drawn::photograph;

    fn decode(bytes: &[u8]) -> Vec<image::Frame> {
        let decoder = image::codecs::gif::GifDecoder::new(std::io::Cursor::new(bytes)).unwrap();
        decoder.into_frames().collect_frames().unwrap()
    }

    #[test]
    fn few_colours_are_kept_exactly() {
        let frames: Vec<RgbImage> = (0..4)
            .map(|t| {
                RgbImage::from_fn(12, 9, |x, y| image::Rgb([(x * 20) as u8, t * 40, (y % 2) as u8]))
            })
            .collect();
        let bytes = gif(&frames, Timing { frame: 80, last: 1000 }).unwrap();
        let decoded = decode(&bytes);
        assert_eq!(decoded.len(), 4);
        for (frame, image) in decoded.iter().zip(&frames) {
            let rgb: RgbImage = image::DynamicImage::ImageRgba8(frame.buffer().clone()).into_rgb8();
            assert_eq!(rgb, *image);
        }
        assert_eq!(decoded[0].delay().numer_denom_ms(), (80, 1));
        assert_eq!(decoded[3].delay().numer_denom_ms(), (1000, 1));
        assert_eq!(bytes, gif(&frames, Timing { frame: 80, last: 1000 }).unwrap());
    }

    #[test]
    fn photographs_come_close() {
        let frames: Vec<RgbImage> = (0..3).map(|seed| photograph(60, 40, seed)).collect();
        let bytes = gif(&frames, Timing::default()).unwrap();
        assert_eq!(bytes, gif(&frames, Timing::default()).unwrap());
        let mut worst = 0.0_f64;
        for (frame, image) in decode(&bytes).iter().zip(&frames) {
            let error: f64 = frame
                .buffer()
                .pixels()
                .zip(image.pixels())
                .flat_map(|(a, b)| (0..3).map(move |c| (f64::from(a[c]) - f64::from(b[c])).abs()))
                .sum();
            worst = worst.max(error / f64::from(60 * 40 * 3));
        }
        assert!(worst < 6.0, "mean error {worst}");
    }

    #[test]
    fn frames_must_have_one_size() {
        let error =
            gif(&[RgbImage::new(2, 2), RgbImage::new(3, 2)], Timing::default()).unwrap_err();
        assert_eq!(error.to_string(), "frame 1 of the animation: expected 2 × 2, found 3 × 2");
        assert!(gif(&[], Timing::default()).is_err());
    }
}
