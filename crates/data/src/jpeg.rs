//! Decoding JPEG files with `zune-jpeg`.

use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use crate::image::{Color, Image, ImageError, check_size};

const END_OF_IMAGE: [u8; 2] = [0xff, 0xd9];

/// Decodes a JPEG file, grey or RGB as it is.
///
/// A file without its end-of-image marker is decoded when no pixel is missing, as Pillow does.
pub(crate) fn decode(bytes: &[u8]) -> Result<Image, ImageError> {
    if lacks_end(bytes) {
        return decode_without_end(bytes);
    }
    match decode_with(bytes, true) {
        // Padding between headers harms nothing; strict mode alone minds it.
        Err(ImageError::Broken { cause, .. }) if cause.contains("between headers") => {
            decode_with(bytes, false)
        }
        result => result,
    }
}

fn decode_with(bytes: &[u8], strict: bool) -> Result<Image, ImageError> {
    let broken = |cause: String| ImageError::Broken { format: "JPEG", cause };
    let options = DecoderOptions::default()
        .set_strict_mode(strict)
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX));
    let mut decoder = zune_jpeg::JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(|error| broken(error.to_string()))?;
    let (width, height) = decoder.dimensions().unwrap_or_default();
    check_size(width, height)?;
    let (color, out) = match decoder.input_colorspace() {
        Some(ColorSpace::Luma | ColorSpace::LumaA) => (Color::Grey, ColorSpace::Luma),
        _ => (Color::Rgb, ColorSpace::RGB),
    };
    decoder.set_options(options.jpeg_set_out_colorspace(out));
    let samples = decoder.decode().map_err(|error| broken(error.to_string()))?;
    Image::new(width, height, color, samples)
}

/// Decodes a file that ends before its end-of-image marker, where that changes no pixel.
///
/// zune-jpeg fills what is missing at the end, as browsers do. Whether anything is missing shows in what follows the last
/// byte: pixels that depend on it are not in the file. Files of several scans (progressive ones) are refused: a scan that
/// is missing as a whole leaves no trace.
fn decode_without_end(bytes: &[u8]) -> Result<Image, ImageError> {
    let truncated = || ImageError::Truncated("JPEG");
    if !has_one_scan(bytes) {
        return Err(truncated());
    }
    // Half a marker.
    let data = match bytes {
        [data @ .., 0xff] => data,
        data => data,
    };
    const TAILS: [[u8; 2]; 4] = [[0x00, 0x00], [0xff, 0x00], [0x5a, 0xc3], [0xa5, 0x3c]];
    let with_tail = |tail: &[u8; 2]| {
        let whole = [data, &tail.repeat(64), &END_OF_IMAGE].concat();
        decode_with(&whole, false).map_err(|_| truncated())
    };
    let image = decode_with(&[data, &END_OF_IMAGE].concat(), false).map_err(|_| truncated())?;
    for tail in &TAILS {
        if with_tail(tail)? != image {
            return Err(truncated());
        }
    }
    Ok(image)
}

/// Whether the bytes are those of a JPEG file that lacks its end-of-image marker (ITU-T T.81, B.1.1).
pub(crate) fn lacks_end(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0xff, 0xd8, 0xff])
        && !markers(bytes).any(|(marker, _)| marker == END_OF_IMAGE[1])
}

/// Whether the file is sequential with all components in its only scan.
fn has_one_scan(bytes: &[u8]) -> bool {
    let (mut components, mut scans) = (None, 0);
    for (marker, segment) in markers(bytes) {
        match marker {
            0xc0 | 0xc1 => components = segment.get(5).copied(),
            0xc2 | 0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => return false,
            0xda if components.is_some() && segment.first().copied() == components => scans += 1,
            0xda => return false,
            _ => {}
        }
    }
    scans == 1
}

/// The markers of a file, up to the end of the image, each with what stands in its segment behind the length.
fn markers(bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut at = 2;
    let mut ended = false;
    std::iter::from_fn(move || {
        while !ended {
            let byte = *bytes.get(at)?;
            if byte != 0xff {
                at += 1;
                continue;
            }
            match *bytes.get(at + 1)? {
                // Fill bytes, stuffed zeros, restart markers and TEM have no length.
                0xff => at += 1,
                0x00 | 0x01 | 0xd0..=0xd8 => at += 2,
                0xd9 => {
                    ended = true;
                    return Some((0xd9, &[][..]));
                }
                marker => {
                    let length = bytes.get(at + 2..at + 4)?;
                    let length = usize::from(u16::from_be_bytes([length[0], length[1]])).max(2);
                    let segment = bytes.get(at + 4..at + 2 + length).unwrap_or_default();
                    at += 2 + length;
                    return Some((marker, segment));
                }
            }
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pictures of `image`'s own encoder: a pattern, and one that is smooth.
    fn files() -> Vec<Vec<u8>> {
        let pattern = (0..40 * 33 * 3).map(|i| (i * i % 251) as u8).collect::<Vec<_>>();
        let smooth = (0..40 * 33).map(|i| (i / 40 * 3 + i % 40 * 2) as u8).collect::<Vec<_>>();
        let kinds =
            [(pattern, image::ExtendedColorType::Rgb8), (smooth, image::ExtendedColorType::L8)];
        let encode = |(samples, color): (Vec<u8>, _)| {
            let mut bytes = Vec::new();
            image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 90)
                .encode(&samples, 40, 33, color)
                .unwrap();
            bytes
        };
        let photographs = [
            &include_bytes!("../assets/photographs/cat.jpg")[..],
            include_bytes!("../assets/photographs/coffee.jpg"),
        ];
        kinds.map(encode).into_iter().chain(photographs.map(<[u8]>::to_vec)).collect()
    }

    /// Without its end marker an image is the same; without the last byte of its data it is not whole. Pillow 13.0.0 refuses
    /// the latter, and gives the whole image's pixels where it reads the former.
    #[test]
    fn only_the_end_marker_may_be_missing() {
        for whole in files() {
            let image = decode(&whole).unwrap();
            let end = whole.len();
            assert!(!lacks_end(&whole) && lacks_end(&whole[..end - 1]));
            for cut in [1, 2] {
                assert_eq!(decode(&whole[..end - cut]).as_ref(), Ok(&image), "{cut} bytes less");
            }
            for cut in (3..end / 2).step_by(1 + end / 60) {
                let error = decode(&whole[..end - cut]).unwrap_err();
                assert_eq!(error, ImageError::Truncated("JPEG"), "{cut} bytes less");
            }
        }
    }

    /// Made by Pillow 13.0.0: `Image.new("L", (8, 8), 77).save(f, "JPEG", progressive=True)`; Pillow refuses it without the
    /// last two bytes.
    #[test]
    fn progressive_files_need_their_end() {
        let whole = include_bytes!("fixtures/progressive.jpg");
        assert_eq!(decode(whole).unwrap().samples()[0], 77);
        let cut = &whole[..whole.len() - 2];
        assert_eq!(decode(cut).unwrap_err(), ImageError::Truncated("JPEG"));
    }
}
