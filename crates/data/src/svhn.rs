//! SVHN, house numbers cut into digits: the `.mat` files of its second format.
//!
//! Netzer et al., "Reading digits in natural images with unsupervised feature learning" (2011).

use sconce_core::error::ResultExt;
use sconce_core::{Error, Files, Result};

use crate::examples::Examples;
use crate::image::Color;
use crate::image_set::ImageSet;
use crate::mat::{self, Element};
use crate::named_files;

/// The files' names.
const FILES: [&str; 3] = ["train_32x32.mat", "test_32x32.mat", "extra_32x32.mat"];
/// The splits that they are.
const SPLITS: [&str; 3] = ["train", "test", "extra"];

/// The image set of SVHN's files among `files`, in any folder; one is enough. The splits are `train`, `test` and `extra`, the
/// classes the digits, in their order: the files call the digit 0 by the number 10.
///
/// A file has the arrays `X`, bytes of shape (height, width, 3, n), and `y`, n numbers of 1 to 10.
///
/// # Errors
/// When there is no such file, or one is there twice, damaged, or has other arrays.
pub fn read(files: &[Files]) -> Result<ImageSet> {
    let mut examples = Examples {
        classes: (0..10).map(|digit| digit.to_string()).collect(),
        ..Examples::default()
    };
    let mut size = None;
    let mut all = Vec::new();
    for (place, (name, path)) in named_files::find(files, &FILES, "")? {
        let arrays = mat::read(path, &["X", "y"]).doing(|| format!("`{name}`"))?;
        let [images, labels] =
            <[_; 2]>::try_from(arrays).map_err(|_| Error::message("two arrays"))?;
        let (height, width, samples) = pixels(images).doing(|| format!("`{name}`"))?;
        if *size.get_or_insert((height, width)) != (height, width) {
            return Err(Error::message(format!(
                "`{name}`: its images have another size than those before"
            )));
        }
        let n = samples.len() / (height * width * 3);
        let labels = digits(&labels, n).doing(|| format!("`{name}`: array `y`"))?;
        examples.add_split(SPLITS[place], labels);
        match all.is_empty() {
            true => all = samples,
            false => all.extend(samples),
        }
    }
    let (height, width) = size.unwrap_or_default();
    ImageSet::packed(examples, Color::Rgb, width, height, all)
}

/// Height, width, and the samples with channels running fastest, then columns, rows and images.
fn pixels(images: mat::Array) -> Result<(usize, usize, Vec<u8>)> {
    // MATLAB leaves out last dimensions of 1.
    let (&[height, width, 3] | &[height, width, 3, _]) = images.shape.as_slice() else {
        return Err(wrong_images(&images));
    };
    let length = height * width * 3;
    if images.element != Element::U8 || images.data.is_empty() {
        return Err(wrong_images(&images));
    }
    let mut samples = images.data;
    let mut image = vec![0; length];
    for samples in samples.chunks_exact_mut(length) {
        for (place, sample) in image.iter_mut().enumerate() {
            let (row, column, channel) = (place / 3 / width, place / 3 % width, place % 3);
            *sample = samples[row + height * (column + width * channel)];
        }
        samples.copy_from_slice(&image);
    }
    Ok((height, width, samples))
}

fn wrong_images(images: &mat::Array) -> Error {
    Error::message(format!(
        "array `X`: expected bytes of shape (height, width, 3, n), found {:?} of shape {:?}",
        images.element, images.shape
    ))
}

fn digits(labels: &mat::Array, n: usize) -> Result<Vec<u32>> {
    if labels.shape != [n, 1] && labels.shape != [1, n] {
        return Err(Error::message(format!("expected {n} labels, found shape {:?}", labels.shape)));
    }
    let digit = |label| match label {
        1..=10 => Ok(label % 10),
        _ => Err(Error::message(format!("expected 1 to 9, and 10 for the digit 0, found {label}"))),
    };
    labels.to_u32()?.into_iter().map(digit).collect()
}

#[cfg(test)]
mod tests;
