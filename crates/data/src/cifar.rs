//! CIFAR-10 and CIFAR-100, small colour photographs: the files of their binary version.
//!
//! Krizhevsky, "Learning multiple layers of features from tiny images" (2009). A file is records without a header: the label,
//! one byte (CIFAR-100: superclass and class, two), and 3,072 bytes of a 32 × 32 image, all red samples row by row, then all
//! green, then all blue ones.

use std::collections::BTreeMap;
use std::path::Path;

use sconce_core::error::{IoResultExt, ResultExt};
use sconce_core::{Error, Files, Result};

use crate::examples::Examples;
use crate::image::Color;
use crate::image_set::ImageSet;
use crate::named_files;

/// Width and height of the images.
const SIDE: usize = 32;
/// Samples of a channel of an image.
const PLANE: usize = SIDE * SIDE;
/// Samples of an image.
const IMAGE: usize = 3 * PLANE;

/// CIFAR-10's files of images: the split `train` in five, then the split `test`.
const BATCHES: [&str; 6] = [
    "data_batch_1.bin",
    "data_batch_2.bin",
    "data_batch_3.bin",
    "data_batch_4.bin",
    "data_batch_5.bin",
    "test_batch.bin",
];
/// CIFAR-10's file of class names.
const NAMES: &str = "batches.meta.txt";
/// The class names that are published.
const CLASSES: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

/// Files by their places in a list of names.
type Found<'a> = BTreeMap<usize, (&'a str, &'a Path)>;

/// The image set of CIFAR-10's binary files among `files`, in any folder: `data_batch_1.bin` to `data_batch_5.bin` are the
/// split `train`, in that order, `test_batch.bin` is the split `test`; one of the two splits is enough. Images are RGB, 32 × 32.
///
/// `batches.meta.txt` names the classes; without it they have the published names.
///
/// # Errors
/// When there is no such file, one is there twice, some batches of `train` are missing, a length is none of whole records, a
/// label is not 0 to 9, or the names are not ten.
pub fn read_10(files: &[Files]) -> Result<ImageSet> {
    let known = [&BATCHES[..], &[NAMES]].concat();
    let mut found = named_files::find(files, &known, "")?;
    let classes = match found.remove(&BATCHES.len()) {
        Some((name, path)) => names(name, path, CLASSES.len())?,
        None => CLASSES.map(str::to_owned).to_vec(),
    };
    let test = found.split_off(&(BATCHES.len() - 1));
    let there: Vec<&str> = found.values().map(|(name, _)| *name).collect();
    let missing = (0..BATCHES.len() - 1).find(|batch| !found.contains_key(batch));
    if let Some(missing) = missing.filter(|_| !found.is_empty()) {
        return Err(Error::message(format!(
            "expected all five batches of `train`: `{}` is missing beside {}",
            BATCHES[missing],
            there.join(", ")
        )));
    }
    splits(&found, &test, classes, 1, 0)
}

/// The image set of CIFAR-100's binary files among `files`, in any folder: `train.bin` is the split `train`, `test.bin` the
/// split `test`; one is enough. Images are RGB, 32 × 32.
///
/// The classes are the 100 of `fine_label_names.txt`, or with `superclasses` the 20 of `coarse_label_names.txt`.
///
/// # Errors
/// When there is no such file, one is there twice, the names are missing or not as many, a length is none of whole records, or
/// a label is out of range.
pub fn read_100(files: &[Files], superclasses: bool) -> Result<ImageSet> {
    let (file, n, label) = match superclasses {
        true => ("coarse_label_names.txt", 20, 0),
        false => ("fine_label_names.txt", 100, 1),
    };
    let mut found = named_files::find(files, &["train.bin", "test.bin", file], "")?;
    let Some((name, path)) = found.remove(&2) else {
        return Err(Error::message(format!(
            "expected the classes' names in `{file}`: no such file"
        )));
    };
    let test = found.split_off(&1);
    splits(&found, &test, names(name, path, n)?, 2, label)
}

/// The names of `n` classes, one a line.
fn names(name: &str, path: &Path, n: usize) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(path).at(path).doing(|| format!("`{name}`"))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let names: Vec<String> = lines.map(str::to_owned).collect();
    match names.len() == n {
        true => Ok(names),
        false => Err(Error::message(format!(
            "`{name}`: expected the names of {n} classes, one a line, found {}",
            names.len()
        ))),
    }
}

/// The set of the files of both splits. A record has `labels` bytes of labels; the class is the one at `label`.
fn splits(
    train: &Found<'_>,
    test: &Found<'_>,
    classes: Vec<String>,
    labels: usize,
    label: usize,
) -> Result<ImageSet> {
    let n = classes.len();
    let mut examples = Examples { classes, ..Examples::default() };
    let mut samples = Vec::new();
    for (split, files) in [("train", train), ("test", test)] {
        let mut classes = Vec::new();
        for (name, path) in files.values() {
            let bytes = std::fs::read(path).at(path)?;
            samples.reserve_exact(bytes.len());
            classes.extend(
                batch(&bytes, labels, label, n, &mut samples).doing(|| format!("`{name}`"))?,
            );
        }
        if !classes.is_empty() {
            examples.add_split(split, classes);
        }
    }
    if examples.is_empty() {
        return Err(Error::message(
            "expected files of images beside the classes' names, found none",
        ));
    }
    ImageSet::packed(examples, Color::Rgb, SIDE, SIDE, samples)
}

/// The classes of a file's records, below `n`; their images go behind `samples`, the channels of a pixel side by side.
fn batch(
    bytes: &[u8],
    labels: usize,
    label: usize,
    n: usize,
    samples: &mut Vec<u8>,
) -> Result<Vec<u32>> {
    let record = labels + IMAGE;
    let rest = bytes.len() % record;
    if rest > 0 || bytes.is_empty() {
        return Err(Error::message(format!(
            "expected records of {record} bytes: {} bytes end after {} records and {rest} bytes, at byte {}",
            bytes.len(),
            bytes.len() / record,
            bytes.len() - rest
        )));
    }
    let mut classes = Vec::with_capacity(bytes.len() / record);
    for (place, record_bytes) in bytes.chunks_exact(record).enumerate() {
        let class = record_bytes[label];
        if usize::from(class) >= n {
            return Err(Error::message(format!(
                "byte {}: expected a label of 0 to {}, found {class}",
                place * record + label,
                n - 1
            )));
        }
        classes.push(u32::from(class));
        let (red, rest) = record_bytes[labels..].split_at(PLANE);
        let (green, blue) = rest.split_at(PLANE);
        samples.extend((0..PLANE).flat_map(|pixel| [red[pixel], green[pixel], blue[pixel]]));
    }
    Ok(classes)
}

#[cfg(test)]
pub(crate) mod tests;
