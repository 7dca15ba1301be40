//! USPS, digits of letters' zip codes: the text files of LIBSVM, plain or packed by bzip2.
//!
//! Hull, "A database for handwritten text recognition research", IEEE PAMI 16 (1994), as LIBSVM's collection has it: a line is
//! `label index:value index:value …`, the label a digit and 1, the values −1 (paper) to 1 (ink), 16 × 16 row by row.

use std::io::Read;
use std::path::Path;

use bzip2::read::MultiBzDecoder;
use sconce_core::error::{IoResultExt, ResultExt};
use sconce_core::{Error, Files, Result};

use crate::examples::Examples;
use crate::image::Color;
use crate::image_set::ImageSet;
use crate::named_files;

/// The files' names.
const FILES: [&str; 2] = ["usps", "usps.t"];
/// The splits that they are.
const SPLITS: [&str; 2] = ["train", "test"];
const SIDE: usize = 16;
/// Longer texts are refused: the set has 20 MB.
const MAX_BYTES: u64 = 1 << 30;

/// The image set of USPS's files among `files`, `usps` and `usps.t`, in any folder, plain or with `.bz2`; one is enough. The
/// splits are `train` and `test`, the classes the digits; images are grey, 16 × 16, bright on black.
///
/// A value v becomes ⌊255 (v + 1) / 2⌋, as in torchvision. One that a line does not name is 0, as LIBSVM has it.
///
/// # Errors
/// When there is no such file, or one is there twice or damaged, or a line is none of USPS.
pub fn read(files: &[Files]) -> Result<ImageSet> {
    let mut examples = Examples {
        classes: (0..10).map(|digit| digit.to_string()).collect(),
        ..Examples::default()
    };
    let mut samples = Vec::new();
    for (place, (name, path)) in named_files::find(files, &FILES, ".bz2")? {
        let text = text(path).doing(|| format!("`{name}`"))?;
        let lines = text.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty());
        let digits = lines.map(|(line, number)| {
            image(line, &mut samples)
                .map_err(|what| Error::message(format!("`{name}`: line {number}: {what}")))
        });
        let digits = digits.collect::<Result<Vec<_>>>()?;
        if digits.is_empty() {
            return Err(Error::message(format!("`{name}`: expected lines of digits, found none")));
        }
        examples.add_split(SPLITS[place], digits);
    }
    ImageSet::packed(examples, Color::Grey, SIDE, SIDE, samples)
}

/// A file's text, unpacked.
fn text(path: &Path) -> Result<String> {
    let bytes = std::fs::read(path).at(path)?;
    let mut text = Vec::new();
    let limit = MAX_BYTES + 1;
    match bytes.starts_with(b"BZh") {
        true => MultiBzDecoder::new(&bytes[..]).take(limit).read_to_end(&mut text),
        false => bytes.take(limit).read_to_end(&mut text),
    }
    .map_err(|error| Error::message(format!("the bzip2 data are damaged: {error}")))?;
    if text.len() as u64 > MAX_BYTES {
        return Err(Error::message(format!("more than {MAX_BYTES} bytes")));
    }
    String::from_utf8(text)
        .map_err(|_| Error::message("expected a text of LIBSVM, found other bytes"))
}

/// Reads one line: the digit, and its pixels, behind `samples`.
fn image(line: &str, samples: &mut Vec<u8>) -> Result<u32, String> {
    let mut fields = line.split_whitespace();
    let label = fields.next().unwrap_or_default();
    let digit =
        label.parse().ok().filter(|label| (1..=10).contains(label)).map(|label: u32| label - 1);
    let digit = digit.ok_or_else(|| format!("expected a label of 1 to 10, found `{label}`"))?;
    let start = samples.len();
    let zero = sample(0.0);
    for field in fields {
        let wrong = || {
            format!(
                "expected `index:value` with 1 to {}, rising, and −1 to 1, found `{field}`",
                SIDE * SIDE
            )
        };
        let (index, value) = field.split_once(':').ok_or_else(wrong)?;
        let index: usize = index.parse().map_err(|_| wrong())?;
        let value: f64 = value.parse().map_err(|_| wrong())?;
        let place = (start + index).checked_sub(1).ok_or_else(wrong)?;
        let fits = place >= samples.len() && index <= SIDE * SIDE && (-1.0..=1.0).contains(&value);
        if !fits || index == 0 {
            return Err(wrong());
        }
        samples.resize(place, zero);
        samples.push(sample(value));
    }
    samples.resize(start + SIDE * SIDE, zero);
    Ok(digit)
}

fn sample(value: f64) -> u8 {
    ((value + 1.0) / 2.0 * 255.0) as u8
}

#[cfg(test)]
mod tests;
