//! IDX, the file format of MNIST, plain or gzipped.
//!
//! Two zero bytes, the type of the elements (8: unsigned byte), the number of dimensions, then
//! each dimension as a big-endian u32, then the elements, the last dimension running fastest
//! (Y. LeCun, "The MNIST database", the file formats).

use std::io::Read;
use std::path::Path;

use sconce_core::error::{IoResultExt, ResultExt};
use sconce_core::{Error, Files, Result};

use crate::examples::Examples;
use crate::image::Color;
use crate::image_set::ImageSet;

/// The bytes of an IDX file, and its shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idx {
    /// Length along each dimension.
    pub shape: Vec<usize>,
    /// The elements.
    pub data: Vec<u8>,
}

/// More elements are refused: they would be held in memory.
const MAX_ELEMENTS: usize = 4 << 30;

impl Idx {
    /// Reads a file's bytes, plain or gzipped.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        if bytes.starts_with(&[0x1f, 0x8b]) {
            Self::read(flate2::read::MultiGzDecoder::new(bytes))
        } else {
            Self::read(bytes)
        }
    }

    fn read(mut reader: impl Read) -> Result<Self> {
        let short = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => Error::message("the header ends too early"),
            _ => Error::message(error.to_string()),
        };
        let mut magic = [0; 4];
        reader.read_exact(&mut magic).map_err(short)?;
        let dimensions = match magic {
            [0, 0, 8, dimensions @ 1..=4] => dimensions,
            [0, 0, 8, dimensions] => {
                return Err(Error::message(format!(
                    "expected 1 to 4 dimensions, found {dimensions}"
                )));
            }
            [0, 0, kind @ (9 | 0xb..=0xe), _] => {
                return Err(Error::message(format!(
                    "expected unsigned bytes (type 8), found type {kind}"
                )));
            }
            _ => {
                return Err(Error::message(
                    "expected an IDX file: it starts with two zero bytes, 8 and the dimensions",
                ));
            }
        };
        let mut shape = Vec::new();
        for _ in 0..dimensions {
            let mut length = [0; 4];
            reader.read_exact(&mut length).map_err(short)?;
            shape.push(u32::from_be_bytes(length) as usize);
        }
        let expected = shape
            .iter()
            .try_fold(1_usize, |product, &length| product.checked_mul(length))
            .filter(|&elements| elements <= MAX_ELEMENTS)
            .ok_or_else(|| Error::message(format!("shape {shape:?} is too large")))?;
        let mut data = Vec::new();
        // One more than expected shows that there is too much, and bounds a hostile file.
        reader
            .take(expected as u64 + 1)
            .read_to_end(&mut data)
            .map_err(|error| Error::message(error.to_string()))?;
        match data.len() {
            n if n == expected => Ok(Self { shape, data }),
            n if n < expected => Err(Error::message(format!(
                "shape {shape:?} asks for {expected} bytes, but there are {n}"
            ))),
            _ => Err(Error::message(format!(
                "shape {shape:?} asks for {expected} bytes, but there are more"
            ))),
        }
    }
}

/// The image set of MNIST's files among `files`: `train-images-idx3-ubyte`,
/// `train-labels-idx1-ubyte` and the same with `t10k`, in any folder, plain or with `.gz`; one
/// pair is enough. The splits are `train` and `test`, the classes the digits.
pub fn mnist(files: &[Files]) -> Result<ImageSet> {
    let mut examples = Examples::default();
    let mut samples = Vec::new();
    let mut size = None;
    for (prefix, split) in [("train", "train"), ("t10k", "test")] {
        let images = find(files, &format!("{prefix}-images"))?;
        let labels = find(files, &format!("{prefix}-labels"))?;
        let (images_path, labels_path) = match (images, labels) {
            (Some(images), Some(labels)) => (images, labels),
            (None, None) => continue,
            (Some(_), None) => {
                return Err(Error::message(format!(
                    "{prefix}-images are there, {prefix}-labels not"
                )));
            }
            (None, Some(_)) => {
                return Err(Error::message(format!(
                    "{prefix}-labels are there, {prefix}-images not"
                )));
            }
        };
        let images = open(images_path, 3)?;
        let labels = open(labels_path, 1)?;
        let (n, height, width) = (images.shape[0], images.shape[1], images.shape[2]);
        if labels.data.len() != n {
            return Err(Error::message(format!(
                "{prefix}: {n} images, but {} labels",
                labels.data.len()
            )));
        }
        if *size.get_or_insert((width, height)) != (width, height) {
            return Err(Error::message("the training and test images differ in size"));
        }
        let place = examples.splits.len() as u32;
        examples.splits.push(split.to_owned());
        examples.split.extend(std::iter::repeat_n(place, n));
        examples.labels.extend(labels.data.iter().map(|&label| u32::from(label)));
        examples.ids.extend((0..n).map(|i| format!("{split}/{i:05}")));
        samples.extend(images.data);
    }
    let Some((width, height)) = size else {
        return Err(Error::message(format!(
            "expected `train-images-idx3-ubyte` and `train-labels-idx1-ubyte` (or `t10k-…`), plain or \
             with `.gz`; there are: {}",
            names(files).join(", ")
        )));
    };
    let classes = examples.labels.iter().max().map_or(0, |&label| label + 1);
    examples.classes = (0..classes).map(|class| class.to_string()).collect();
    ImageSet::packed(examples, Color::Grey, width, height, samples)
}

fn names(files: &[Files]) -> Vec<&str> {
    files.iter().flat_map(|files| files.iter().map(|(name, ..)| name)).take(8).collect()
}

/// The one file whose name (after folders) starts with `start`.
fn find<'a>(files: &'a [Files], start: &str) -> Result<Option<&'a Path>> {
    let is_it = |(name, _, path): (&'a str, _, &'a Path)| {
        name.rsplit('/').next().is_some_and(|name| name.starts_with(start)).then_some((name, path))
    };
    let found: Vec<_> = files.iter().flat_map(|files| files.iter().filter_map(is_it)).collect();
    match found[..] {
        [] => Ok(None),
        [(_, path)] => Ok(Some(path)),
        [(a, _), (b, _), ..] => {
            Err(Error::message(format!("expected one `{start}…` file, found `{a}` and `{b}`")))
        }
    }
}

fn open(path: &Path, dimensions: usize) -> Result<Idx> {
    let bytes = std::fs::read(path).at(path)?;
    let idx = Idx::parse(&bytes).doing(|| path.display().to_string())?;
    if idx.shape.len() != dimensions {
        return Err(Error::message(format!(
            "{}: expected {dimensions} dimension(s), found shape {:?}",
            path.display(),
            idx.shape
        )));
    }
    Ok(idx)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn idx(shape: &[u32], data: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, 8, shape.len() as u8];
        bytes.extend(shape.iter().flat_map(|length| length.to_be_bytes()));
        bytes.extend(data);
        bytes
    }

    fn gz(bytes: &[u8]) -> Vec<u8> {
        let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        writer.write_all(bytes).unwrap();
        writer.finish().unwrap()
    }

    #[test]
    fn plain_and_gzipped() {
        let bytes = idx(&[2, 3], &[1, 2, 3, 4, 5, 6]);
        let expected = Idx { shape: vec![2, 3], data: vec![1, 2, 3, 4, 5, 6] };
        assert_eq!(Idx::parse(&bytes).unwrap(), expected);
        assert_eq!(Idx::parse(&gz(&bytes)).unwrap(), expected);
    }

    #[test]
    fn malformed_files_say_what_is_wrong() {
        let good = idx(&[2, 3], &[1, 2, 3, 4, 5, 6]);
        let long = [good.clone(), vec![7]].concat();
        let cases: [(&[u8], &str); 8] = [
            (b"", "the header ends too early"),
            (&good[..6], "the header ends too early"),
            (&good[..14], "shape [2, 3] asks for 6 bytes, but there are 2"),
            (&long, "shape [2, 3] asks for 6 bytes, but there are more"),
            (&[0, 0, 13, 1, 0, 0, 0, 0], "expected unsigned bytes (type 8), found type 13"),
            (&[0, 0, 8, 9], "expected 1 to 4 dimensions, found 9"),
            (
                b"<html>",
                "expected an IDX file: it starts with two zero bytes, 8 and the dimensions",
            ),
            (
                &idx(&[u32::MAX; 4], &[]),
                "shape [4294967295, 4294967295, 4294967295, 4294967295] is too large",
            ),
        ];
        for (bytes, message) in cases {
            assert_eq!(Idx::parse(bytes).unwrap_err().to_string(), message);
        }
        assert!(Idx::parse(&gz(&good)[..20]).is_err());
    }

    fn set(files: &[(&str, Vec<u8>)]) -> Result<ImageSet> {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            std::fs::create_dir_all(folder.path().join(name).parent().unwrap()).unwrap();
            std::fs::write(folder.path().join(name), bytes).unwrap();
        }
        mnist(&[Files::from_folder(folder.path()).unwrap()])
    }

    #[test]
    fn image_sets_of_one_or_two_pairs() {
        let images = idx(&[2, 1, 2], &[1, 2, 3, 4]);
        let labels = idx(&[2], &[0, 2]);
        let train = [
            ("data/train-images-idx3-ubyte.gz", gz(&images)),
            ("train-labels.idx1-ubyte", labels.clone()),
        ];
        let one = set(&train).unwrap();
        assert_eq!(one.examples().classes, ["0", "1", "2"]);
        assert_eq!(one.examples().splits, ["train"]);
        assert_eq!(one.decode(1).unwrap().samples(), [3, 4]);
        let [images_file, labels_file] = train;
        let test = ("t10k-images-idx3-ubyte", idx(&[1, 1, 2], &[9, 9]));
        let test_labels = ("t10k-labels-idx1-ubyte", idx(&[1], &[1]));
        let both =
            set(&[images_file.clone(), labels_file.clone(), test.clone(), test_labels]).unwrap();
        assert_eq!(both.examples().ids, ["train/00000", "train/00001", "test/00000"]);

        let error = |files: &[(&str, Vec<u8>)]| set(files).unwrap_err().to_string();
        assert_eq!(
            error(std::slice::from_ref(&images_file)),
            "train-images are there, train-labels not"
        );
        let three = ("train-labels-idx1-ubyte", idx(&[3], &[0, 1, 2]));
        assert_eq!(error(&[images_file.clone(), three]), "train: 2 images, but 3 labels");
        assert!(error(&[]).starts_with("expected `train-images-idx3-ubyte` and"));
        assert!(
            error(&[images_file.clone(), ("train-images-2", images), labels_file])
                .starts_with("expected one `train-images…` file, found")
        );
        let flat = ("train-labels-idx1-ubyte", idx(&[2, 1], &[0, 1]));
        assert!(
            error(&[images_file, flat]).ends_with("expected 1 dimension(s), found shape [2, 1]")
        );
    }
}
