//! MNIST-M: digits blended with pieces of photographs.
//!
//! Ganin et al., "Domain-adversarial training of neural networks", JMLR 17 (2016), section 5.2.4: a digit is blended
//! over a patch of a photograph of BSDS500, `I(i, j, k) = |photograph(i, j, k) − digit(i, j, k)|`. The published recipe
//! takes any ink of the digit as 255, and photograph and place at random.

use sconce_core::error::ResultExt;
use sconce_core::{Error, Result, random};

use crate::image::{Color, Image};
use crate::image_set::ImageSet;
use crate::split;

/// Photographs that are decoded together: enough for all threads, few in memory.
const BATCH: usize = 16;

/// Photographs of their own for the digits of a split.
#[derive(Debug, Clone, Copy)]
pub struct Apart<'a> {
    /// The split of the digits.
    pub split: &'a str,
    /// The share of the photographs that this split gets, and no other: between 0 and 1.
    pub share: f64,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Blended {
    /// The digits on photographs: packed, RGB, names, classes and splits as before.
    pub images: ImageSet,
    /// The photographs that the split of [`Apart`] has for itself, in order.
    pub apart: Vec<usize>,
    /// The share of the digits' pixels that are ink.
    pub ink: f64,
}

/// Each of `digits` on a piece of one of `photographs`: `|photograph − digit|`, where the digit is 255 at any ink and 0
/// elsewhere, in all three channels.
///
/// Photograph and place are drawn evenly, by a generator of its own for each digit, from `seed` and the digit's name: a
/// part of the digits gets the same pieces as all of them. With `apart`, a split's digits lie on photographs that no
/// other digits lie on; `seed` chooses these photographs.
///
/// # Errors
/// When digits differ in size or have colours, a photograph is smaller than they are, or there is no photograph for some
/// of them.
pub fn blend(
    digits: &ImageSet,
    photographs: &ImageSet,
    apart: Option<Apart<'_>>,
    seed: u64,
    mut progress: impl FnMut(usize) -> Result<()>,
) -> Result<Blended> {
    let examples = digits.examples();
    if digits.is_empty() || photographs.is_empty() {
        let which = if digits.is_empty() { "images" } else { "photographs" };
        return Err(Error::message(format!("expected {which}, found none")));
    }
    let (width, height) = match digits.size() {
        Some(size) => size,
        None => digits.decode(0).map(|first| (first.width(), first.height()))?,
    };
    let mut is_apart = vec![false; digits.len()];
    let (ours, theirs) = match apart {
        None => ((0..photographs.len()).collect(), Vec::new()),
        Some(Apart { split, share }) => {
            let places = examples.in_split(split)?;
            if places.is_empty() {
                return Err(Error::message(format!("no image in the split `{split}`")));
            }
            places.into_iter().for_each(|digit| is_apart[digit] = true);
            divide(photographs.len(), share, seed)?
        }
    };

    // The digits of each photograph, so that it is decoded once.
    let mut on = vec![Vec::new(); photographs.len()];
    for (digit, id) in examples.ids.iter().enumerate() {
        let mut generator = random::generator(seed, &format!("photograph of {id}"));
        let among = if is_apart[digit] { &theirs } else { &ours };
        let photograph = among[split::below(among.len() as u64, &mut generator) as usize];
        on[photograph].push((digit, generator));
    }

    let length = width * height * Color::Rgb.channels();
    let mut samples = vec![0; digits.len() * length];
    let (mut ink, mut done) = (0, 0);
    let all: Vec<usize> = (0..photographs.len()).collect();
    let pieces = photographs.batches(&all, BATCH, |place, photograph| {
        let id = &photographs.examples().ids[place];
        if photograph.width() < width || photograph.height() < height {
            return Err(Error::message(format!(
                "photograph `{id}` is {} × {}: expected at least {width} × {height}, the size of the digits",
                photograph.width(),
                photograph.height()
            )));
        }
        let photograph = photograph.into_color(Color::Rgb);
        let piece = |(digit, generator): &(usize, random::Generator)| {
            let mut generator = generator.clone();
            let left = split::below((photograph.width() - width) as u64 + 1, &mut generator);
            let top = split::below((photograph.height() - height) as u64 + 1, &mut generator);
            let mask = mask(&digits.decode(*digit)?, width, height)
                .doing(|| format!("image `{}`", examples.ids[*digit]))?;
            Ok((*digit, difference(&photograph, left as usize, top as usize, width, &mask), mask))
        };
        on[place].iter().map(piece).collect::<Result<Vec<_>>>()
    });
    for piece in pieces {
        for (digit, piece, mask) in piece?.into_iter().flatten() {
            samples[digit * length..(digit + 1) * length].copy_from_slice(&piece);
            ink += mask.iter().filter(|&&ink| ink).count();
            done += 1;
        }
        progress(done)?;
    }
    let images = ImageSet::packed(examples.clone(), Color::Rgb, width, height, samples)?;
    let ink = ink as f64 / (digits.len() * width * height) as f64;
    Ok(Blended { images, apart: theirs, ink })
}

/// Those of `n` photographs that most digits lie on, and a `share` of them for the split that is apart; each in order,
/// none of them empty.
fn divide(n: usize, share: f64, seed: u64) -> Result<(Vec<usize>, Vec<usize>)> {
    if n < 2 {
        return Err(Error::message(format!(
            "expected two photographs or more, so that a split has its own; found {n}"
        )));
    }
    let mut theirs: Vec<usize> = (0..n).collect();
    split::shuffle(&mut theirs, &mut random::generator(seed, "photographs apart"));
    let mut ours = theirs.split_off(((n as f64 * share).round() as usize).clamp(1, n - 1));
    ours.sort_unstable();
    theirs.sort_unstable();
    Ok((ours, theirs))
}

/// Where a digit has ink.
fn mask(digit: &Image, width: usize, height: usize) -> Result<Vec<bool>> {
    if (digit.width(), digit.height()) != (width, height) {
        return Err(Error::message(format!(
            "expected {width} × {height}, the size of the first image, found {} × {}",
            digit.width(),
            digit.height()
        )));
    }
    let ink = |pixel: &[u8]| match pixel.iter().all(|sample| *sample == pixel[0]) {
        true => Ok(pixel[0] > 0),
        false => Err(Error::message("expected grey digits, bright on black: this one has colours")),
    };
    digit.samples().chunks_exact(digit.color().channels()).map(ink).collect()
}

/// `|photograph − digit|` on the piece of an RGB `photograph` with this upper left corner.
fn difference(photograph: &Image, left: usize, top: usize, width: usize, mask: &[bool]) -> Vec<u8> {
    let rows = photograph.samples().chunks_exact(photograph.width() * 3).skip(top);
    rows.zip(mask.chunks_exact(width))
        .flat_map(|(row, mask)| row[left * 3..].as_chunks::<3>().0.iter().zip(mask))
        .flat_map(|(pixel, &ink)| pixel.map(|sample| if ink { 255 - sample } else { sample }))
        .collect()
}

#[cfg(test)]
mod tests;
