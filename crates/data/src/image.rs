//! One decoded image, and decoding.
//!
//! JPEG is decoded by `zune-jpeg` in strict mode, PNG and GIF (its first frame) by `image`. As in
//! torchvision's `ImageFolder`, the EXIF orientation is not applied and transparency is dropped.
//! zune-jpeg and libjpeg-turbo (Pillow's decoder) round the inverse DCT and interpolate chroma
//! differently. Measured against Pillow 12.0.0 (libjpeg-turbo 3.1.2): of grey JPEGs (15-Scene) 99.3 %
//! of the samples are equal and the others differ by one level of 255; of colour JPEGs with halved
//! chroma (BSDS500) 84 % are equal, 16 % differ by one or two and 0.04 % by three or four levels.

use std::io::Cursor;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::jpeg;

/// How many samples a pixel has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Color {
    /// One: luminance.
    Grey,
    /// Three: red, green, blue.
    #[default]
    Rgb,
}

impl Color {
    /// Samples of a pixel: 1 or 3.
    pub const fn channels(self) -> usize {
        match self {
            Self::Grey => 1,
            Self::Rgb => 3,
        }
    }
}

/// Why bytes could not be decoded or an image could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// The bytes start like none of the formats.
    #[error("expected a JPEG, PNG or GIF file")]
    UnknownFormat,
    /// The file ends too early.
    #[error("the {0} data end too early")]
    Truncated(&'static str),
    /// The decoder refused.
    #[error("broken {format} data: {cause}")]
    Broken {
        /// The format.
        format: &'static str,
        /// What the decoder said.
        cause: String,
    },
    /// The image has more pixels than [`MAX_PIXELS`].
    #[error("the image is {width} × {height}: more than {MAX_PIXELS} pixels")]
    TooLarge {
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
    },
    /// The number of samples does not fit width, height and colour.
    #[error("expected {expected} samples for {width} × {height}, found {found}")]
    WrongLength {
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
        /// Samples that the size asks for.
        expected: usize,
        /// Samples given.
        found: usize,
    },
}

/// An image with more pixels is refused (Pillow's limit for a "decompression bomb" error).
pub const MAX_PIXELS: usize = 178_956_970;

/// An image of 8-bit samples, rows from the top, pixels from the left, samples interleaved
/// (`height × width × channels`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    width: usize,
    height: usize,
    color: Color,
    samples: Vec<u8>,
}

impl Image {
    /// An image from its samples, in order `height × width × channels`.
    pub fn new(
        width: usize,
        height: usize,
        color: Color,
        samples: Vec<u8>,
    ) -> Result<Self, ImageError> {
        let expected = width * height * color.channels();
        if samples.len() != expected || expected == 0 {
            let found = samples.len();
            return Err(ImageError::WrongLength { width, height, expected, found });
        }
        Ok(Self { width, height, color, samples })
    }

    /// Decodes a JPEG, PNG or GIF file, converted to `color`.
    pub fn decode(bytes: &[u8], color: Color) -> Result<Self, ImageError> {
        let image = if bytes.starts_with(&[0xff, 0xd8, 0xff]) {
            jpeg::decode(bytes)?
        } else if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
            decode_other(bytes, image::ImageFormat::Png, "PNG")?
        } else if bytes.starts_with(b"GIF8") {
            decode_other(bytes, image::ImageFormat::Gif, "GIF")?
        } else {
            return Err(ImageError::UnknownFormat);
        };
        Ok(image.into_color(color))
    }

    /// Width in pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Samples of a pixel.
    pub fn color(&self) -> Color {
        self.color
    }

    /// The samples, `height × width × channels`.
    pub fn samples(&self) -> &[u8] {
        &self.samples
    }

    /// The samples, `height × width × channels`.
    pub fn into_samples(self) -> Vec<u8> {
        self.samples
    }

    /// The image in grey or RGB.
    ///
    /// Grey becomes RGB by repeating the sample; RGB becomes grey by ITU-R 601 luma in 16-bit
    /// fixed point, bit for bit as Pillow's `convert("L")`.
    pub fn into_color(self, color: Color) -> Self {
        let samples = match (self.color, color) {
            (Color::Grey, Color::Rgb) => self.samples.iter().flat_map(|&grey| [grey; 3]).collect(),
            (Color::Rgb, Color::Grey) => {
                let luma = |pixel: &[u8]| {
                    let sum = u32::from(pixel[0]) * 19595
                        + u32::from(pixel[1]) * 38470
                        + u32::from(pixel[2]) * 7471;
                    ((sum + 0x8000) >> 16) as u8
                };
                self.samples.chunks_exact(3).map(luma).collect()
            }
            _ => return self,
        };
        Self { color, samples, ..self }
    }

    /// The image as a PNG file.
    pub fn to_png(&self) -> Result<Vec<u8>, ImageError> {
        use image::ImageEncoder;
        let mut bytes = Vec::new();
        let color = match self.color {
            Color::Grey => image::ExtendedColorType::L8,
            Color::Rgb => image::ExtendedColorType::Rgb8,
        };
        image::codecs::png::PngEncoder::new(&mut bytes)
            .write_image(&self.samples, self.width as u32, self.height as u32, color)
            .map_err(|error| ImageError::Broken { format: "PNG", cause: error.to_string() })?;
        Ok(bytes)
    }
}

pub(crate) fn check_size(width: usize, height: usize) -> Result<(), ImageError> {
    if width.saturating_mul(height) > MAX_PIXELS {
        return Err(ImageError::TooLarge { width, height });
    }
    Ok(())
}

fn decode_other(
    bytes: &[u8],
    format: image::ImageFormat,
    name: &'static str,
) -> Result<Image, ImageError> {
    use image::error::ImageError as Cause;
    let broken = |error: Cause| match error {
        Cause::IoError(cause) if cause.kind() == std::io::ErrorKind::UnexpectedEof => {
            ImageError::Truncated(name)
        }
        error => ImageError::Broken { format: name, cause: error.to_string() },
    };
    let size = image::ImageReader::with_format(Cursor::new(bytes), format)
        .into_dimensions()
        .map_err(broken)?;
    check_size(size.0 as usize, size.1 as usize)?;
    let mut reader = image::ImageReader::with_format(Cursor::new(bytes), format);
    reader.no_limits();
    let decoded = reader.decode().map_err(broken)?;
    let (width, height) = (decoded.width() as usize, decoded.height() as usize);
    if decoded.color().has_color() {
        Image::new(width, height, Color::Rgb, decoded.into_rgb8().into_raw())
    } else {
        Image::new(width, height, Color::Grey, decoded.into_luma8().into_raw())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture() -> Image {
        let samples = (0..17 * 23).flat_map(|i| {
            let (y, x) = (i / 23, i % 23);
            [x * x * 7 + y * 13, x * 31 + y * y * 5, x * y * 3 + 40].map(|sample| sample as u8)
        });
        Image::new(23, 17, Color::Rgb, samples.collect()).unwrap()
    }

    fn jpeg(image: &Image) -> Vec<u8> {
        let mut bytes = Vec::new();
        let color = match image.color() {
            Color::Grey => image::ExtendedColorType::L8,
            Color::Rgb => image::ExtendedColorType::Rgb8,
        };
        image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 95)
            .encode(image.samples(), image.width() as u32, image.height() as u32, color)
            .unwrap();
        bytes
    }

    #[test]
    fn png_round_trip_and_pillows_luma() {
        let image = picture();
        let png = image.to_png().unwrap();
        assert_eq!(Image::decode(&png, Color::Rgb).unwrap(), image);
        // Pillow 12.0.0, the picture of `resize::tests`: im.convert("L"), first 12 samples.
        let grey = Image::decode(&png, Color::Grey).unwrap();
        assert_eq!(grey.samples()[..12], [5, 25, 49, 78, 111, 148, 189, 158, 208, 35, 92, 78]);
        let back = grey.clone().into_color(Color::Rgb);
        assert_eq!(back.into_color(Color::Grey), grey);
    }

    #[test]
    fn a_grey_jpeg_stays_close_to_its_source() {
        let smooth = (0..40 * 30).map(|i| (i / 40 * 3 + i % 40 * 2) as u8).collect();
        let image = Image::new(40, 30, Color::Grey, smooth).unwrap();
        let decoded = Image::decode(&jpeg(&image), Color::Grey).unwrap();
        assert_eq!((decoded.width(), decoded.height()), (40, 30));
        let worst =
            decoded.samples().iter().zip(image.samples()).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(worst.unwrap() <= 4, "{worst:?}");
    }

    #[test]
    fn decoding_and_resizing_stay_within_a_level_of_pillow() {
        // Pillow 12.0.0, libjpeg-turbo 3.1.2:
        //   Image.open(f).convert("RGB").resize((4, 3), Image.BILINEAR)
        let cat: [u8; 36] = [
            152, 115, 90, 138, 100, 70, 143, 106, 78, 135, 103, 89, 148, 108, 80, 141, 99, 64, 151,
            109, 75, 146, 119, 105, 159, 121, 100, 159, 115, 85, 146, 105, 76, 159, 134, 121,
        ];
        let coffee: [u8; 36] = [
            134, 65, 32, 196, 125, 81, 207, 139, 94, 198, 124, 77, 172, 78, 43, 154, 75, 43, 165,
            87, 53, 178, 93, 52, 161, 96, 65, 84, 23, 13, 106, 39, 21, 154, 73, 35,
        ];
        let files: [&[u8]; 2] = [
            include_bytes!("../assets/photographs/cat.jpg"),
            include_bytes!("../assets/photographs/coffee.jpg"),
        ];
        for (bytes, expected) in files.into_iter().zip([cat, coffee]) {
            let image = Image::decode(bytes, Color::Rgb).unwrap();
            let small =
                crate::resize::resize(&image, 4, 3, crate::resize::Filter::Bilinear).unwrap();
            let off = small.samples().iter().zip(&expected).map(|(a, b)| a.abs_diff(*b)).max();
            assert!(off.unwrap() <= 1, "{:?} {expected:?}", small.samples());
        }
    }

    #[test]
    fn every_truncation_is_an_error() {
        let smooth = (0..64 * 64).map(|i| (i / 64 + i % 64 * 2) as u8).collect();
        let grey = Image::new(64, 64, Color::Grey, smooth).unwrap();
        for whole in [jpeg(&picture()), jpeg(&grey), picture().to_png().unwrap()] {
            assert!(Image::decode(&whole, Color::Rgb).is_ok());
            // The last 12 bytes of a PNG are the chunk that marks its end, the last 2 of a JPEG its
            // marker: Pillow does not ask for them either.
            let end = if whole[0] == 0xff { whole.len() - 2 } else { whole.len() - 12 };
            for length in 0..end {
                assert!(Image::decode(&whole[..length], Color::Rgb).is_err(), "{length} bytes");
            }
        }
    }

    #[test]
    fn broken_data_say_what_is_wrong() {
        let error = |bytes: &[u8]| Image::decode(bytes, Color::Rgb).unwrap_err().to_string();
        assert_eq!(error(b"hello"), "expected a JPEG, PNG or GIF file");
        let whole = jpeg(&picture());
        assert_eq!(error(&whole[..whole.len() / 2]), "the JPEG data end too early");
        let mut png = picture().to_png().unwrap();
        let middle = png.len() / 2;
        png[middle] ^= 0xff;
        assert!(error(&png).starts_with("broken PNG data: "), "{}", error(&png));
    }
}
