//! MNIST and what is laid out like it: EMNIST, QMNIST, Fashion-MNIST, KMNIST.

use std::collections::BTreeSet;
use std::path::Path;

use schemars::JsonSchema;
use sconce_core::error::{IoResultExt, ResultExt};
use sconce_core::{Error, Files, Result};
use serde::{Deserialize, Serialize};

use crate::examples::Examples;
use crate::idx::Idx;
use crate::image::Color;
use crate::image_set::ImageSet;

/// The sets of EMNIST (Cohen et al., "EMNIST: an extension of MNIST to handwritten letters", 2017).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Emnist {
    /// 47 classes, as many images of each: digits and letters, some capitals and small letters as one.
    Balanced,
    /// 62 classes: digits, capitals, small letters.
    ByClass,
    /// The classes of `balanced`, unbalanced.
    ByMerge,
    /// The digits.
    Digits,
    /// 26 letters, capitals and small ones as one.
    Letters,
    /// The digits of MNIST, made anew.
    Mnist,
    /// None of EMNIST's: files with MNIST's names, as they are.
    None,
}

impl Emnist {
    const ALL: [Self; 6] =
        [Self::Balanced, Self::ByClass, Self::ByMerge, Self::Digits, Self::Letters, Self::Mnist];

    /// The name in files and parameters.
    fn name(self) -> &'static str {
        match self {
            Self::Balanced => "balanced",
            Self::ByClass => "byclass",
            Self::ByMerge => "bymerge",
            Self::Digits => "digits",
            Self::Letters => "letters",
            Self::Mnist => "mnist",
            Self::None => "none",
        }
    }

    /// The first label, and the classes from there on: torchvision's names.
    fn classes(self) -> (u32, Vec<String>) {
        let letters = match self {
            Self::Letters => return (1, named('a'..='z')),
            // Small letters that look like their capitals are one class with these.
            Self::Balanced | Self::ByMerge => {
                [named('A'..='Z'), named("abdefghnqrt".chars())].concat()
            }
            Self::ByClass => [named('A'..='Z'), named('a'..='z')].concat(),
            Self::Digits | Self::Mnist | Self::None => Vec::new(),
        };
        (0, [named('0'..='9'), letters].concat())
    }
}

fn named(letters: impl Iterator<Item = char>) -> Vec<String> {
    letters.map(String::from).collect()
}

/// A file of images or labels, by its name.
struct Part<'a> {
    set: Emnist,
    split: &'static str,
    labels: bool,
    name: &'a str,
    path: &'a Path,
}

impl<'a> Part<'a> {
    /// What the file called `name` (with folders) holds, where it is called as one of MNIST's or EMNIST's.
    fn of(name: &'a str, path: &'a Path) -> Option<Self> {
        let file = name.rsplit('/').next()?;
        let plain = file.strip_prefix("qmnist-").unwrap_or(file);
        let emnist = |set: &Emnist| {
            let rest = file.strip_prefix("emnist-")?.strip_prefix(set.name())?.strip_prefix('-')?;
            Some((*set, rest))
        };
        let (set, rest) = Emnist::ALL.iter().find_map(emnist).unwrap_or((Emnist::None, plain));
        let (split, rest) = [("train-", "train"), ("t10k-", "test"), ("test-", "test")]
            .into_iter()
            .find_map(|(prefix, split)| Some((split, rest.strip_prefix(prefix)?)))?;
        let labels = rest.starts_with("labels");
        (labels || rest.starts_with("images")).then_some(Self { set, split, labels, name, path })
    }
}

/// The image set of MNIST's files among `files`: `train-images-idx3-ubyte`, `train-labels-idx1-ubyte` and the same with
/// `t10k`, in any folder, plain or with `.gz`, or both when they are equal; one pair is enough. The splits are `train` and
/// `test`, the classes the digits.
///
/// EMNIST's files are `emnist-SET-train-images-idx3-ubyte` and so on: one set is read, `emnist` where there are several; with
/// `emnist`, files with MNIST's names are read as if they had EMNIST's. EMNIST keeps images column by column; here they stand
/// upright, and classes have the characters' names. Of QMNIST's labels (`idx2-int`) the first column is the class.
///
/// # Errors
/// When files are missing, damaged or contradict each other, or the labels are not the set's.
pub fn read(files: &[Files], emnist: Option<Emnist>) -> Result<ImageSet> {
    let names = || files.iter().flat_map(Files::iter);
    let parts: Vec<Part<'_>> = names().filter_map(|(name, _, path)| Part::of(name, path)).collect();
    let (from, set) = which(&parts, emnist)?;
    let parts: Vec<&Part<'_>> = parts.iter().filter(|part| part.set == from).collect();
    let mut examples = Examples::default();
    let mut samples = Vec::new();
    let mut size = None;
    for split in ["train", "test"] {
        let Some((images, labels)) = pair(&parts, split)? else { continue };
        let (mut height, mut width) = (images.shape[1], images.shape[2]);
        let images = match set {
            Emnist::None => images.data,
            _ => {
                let upright = transposed(&images.data, height, width);
                std::mem::swap(&mut height, &mut width);
                upright
            }
        };
        if *size.get_or_insert((width, height)) != (width, height) {
            return Err(Error::message("the training and test images differ in size"));
        }
        examples.add_split(split, labels);
        samples.extend(images);
    }
    let Some((width, height)) = size else {
        let found: Vec<_> = names().map(|(name, ..)| name).take(8).collect();
        return Err(Error::message(format!(
            "expected `train-images-idx3-ubyte` and `train-labels-idx1-ubyte` (or `t10k-…`, or EMNIST's \
             `emnist-letters-train-…`), plain or with `.gz`; there are: {}",
            found.join(", ")
        )));
    };
    name_classes(&mut examples, set)?;
    ImageSet::packed(examples, Color::Grey, width, height, samples)
}

/// Whose files are read, and as which set.
fn which(parts: &[Part<'_>], wanted: Option<Emnist>) -> Result<(Emnist, Emnist)> {
    let there: BTreeSet<Emnist> = parts.iter().map(|part| part.set).collect();
    match (wanted, there.len()) {
        (Some(set), _) if there.contains(&set) => Ok((set, set)),
        // Renamed files are still EMNIST's.
        (Some(set), _) if there.contains(&Emnist::None) || there.is_empty() => {
            Ok((Emnist::None, set))
        }
        (Some(set), _) => Err(Error::parameter(
            "emnist",
            format!("no files of `{}`; there are those of: {}", set.name(), list(&there)),
        )),
        (None, 0) => Ok((Emnist::None, Emnist::None)),
        (None, 1) => {
            let set = there.first().copied().unwrap_or(Emnist::None);
            Ok((set, set))
        }
        (None, _) => Err(Error::parameter(
            "emnist",
            format!("there are the files of several sets: expected one of {}", list(&there)),
        )),
    }
}

fn list(sets: &BTreeSet<Emnist>) -> String {
    sets.iter().map(|set| format!("`{}`", set.name())).collect::<Vec<_>>().join(", ")
}

/// Images and labels of a split; none when both are missing.
fn pair(parts: &[&Part<'_>], split: &str) -> Result<Option<(Idx, Vec<u32>)>> {
    let one = |labels: bool| only(parts, split, labels);
    let ((images_name, images), (labels_name, labels)) = match (one(false)?, one(true)?) {
        (Some(images), Some(labels)) => (images, labels),
        (None, None) => return Ok(None),
        (Some((there, _)), None) => {
            return Err(Error::message(format!(
                "`{there}` is there, the labels of {split} are not"
            )));
        }
        (None, Some((there, _))) => {
            return Err(Error::message(format!(
                "`{there}` is there, the images of {split} are not"
            )));
        }
    };
    if images.shape.len() != 3 || images.ints {
        let found = &images.shape;
        return Err(Error::message(format!(
            "`{images_name}`: expected bytes of 3 dimensions, found {} of shape {found:?}",
            if images.ints { "ints" } else { "bytes" },
        )));
    }
    let labels = first_column(&labels).doing(|| format!("`{labels_name}`"))?;
    if labels.len() != images.shape[0] {
        return Err(Error::message(format!(
            "{split}: {} images, but {} labels",
            images.shape[0],
            labels.len()
        )));
    }
    Ok(Some((images, labels)))
}

/// The one file of these, read; several with the same content, packed and not, are one.
fn only<'a>(parts: &[&Part<'a>], split: &str, labels: bool) -> Result<Option<(&'a str, Idx)>> {
    let mut found: Option<(&str, Idx)> = None;
    for part in parts.iter().filter(|part| part.split == split && part.labels == labels) {
        let bytes = std::fs::read(part.path).at(part.name)?;
        let idx = Idx::parse(&bytes).doing(|| format!("`{}`", part.name))?;
        match &found {
            None => found = Some((part.name, idx)),
            Some((_, known)) if *known == idx => {}
            Some((name, _)) => {
                return Err(Error::message(format!(
                    "expected one file, or files of one content: `{name}` and `{}` differ",
                    part.name
                )));
            }
        }
    }
    Ok(found)
}

/// The classes: all of them, or the first column of QMNIST's labels (the others tell writers and forms).
fn first_column(labels: &Idx) -> Result<Vec<u32>> {
    let columns = match labels.shape[..] {
        [_] => 1,
        [_, columns] if labels.ints && columns > 0 => columns,
        _ => {
            return Err(Error::message(format!(
                "expected one dimension, or ints in columns, found shape {:?}",
                labels.shape
            )));
        }
    };
    if !labels.ints {
        return Ok(labels.data.iter().map(|&label| u32::from(label)).collect());
    }
    let (ints, _) = labels.data.as_chunks::<4>();
    let class = |label: &[u8; 4]| match i32::from_be_bytes(*label) {
        class @ 0..256 => Ok(class as u32),
        other => Err(Error::message(format!("expected labels of 0 to 255, found {other}"))),
    };
    ints.iter().step_by(columns).map(class).collect()
}

/// Images with rows and columns exchanged.
fn transposed(samples: &[u8], height: usize, width: usize) -> Vec<u8> {
    let mut turned = Vec::with_capacity(samples.len());
    for image in samples.chunks_exact((height * width).max(1)) {
        for column in 0..width {
            turned.extend(image.iter().skip(column).step_by(width));
        }
    }
    turned
}

/// Gives the labels' classes their names.
fn name_classes(examples: &mut Examples, set: Emnist) -> Result<()> {
    let (least, most) = (examples.labels.iter().min(), examples.labels.iter().max());
    let (Some(&least), Some(&most)) = (least, most) else { return Ok(()) };
    if set != Emnist::None {
        let (first, classes) = set.classes();
        let last = first + classes.len() as u32 - 1;
        if least < first || most > last {
            return Err(Error::parameter(
                "emnist",
                format!(
                    "the labels of `{}` are {first} to {last}, found {least} to {most}",
                    set.name()
                ),
            ));
        }
        examples.labels.iter_mut().for_each(|label| *label -= first);
        examples.classes = classes;
        return Ok(());
    }
    let like = match (least, most) {
        (1, 26) => Some("letters"),
        (0, 46) => Some("balanced"),
        (0, 61) => Some("byclass"),
        _ => None,
    };
    if let Some(like) = like {
        return Err(Error::parameter(
            "emnist",
            format!(
                "the labels are {least} to {most}, as those of EMNIST's {like}, whose images lie on their side: say \
                 `emnist = \"{like}\"`, or `emnist = \"none\"` for files to be taken as they are"
            ),
        ));
    }
    examples.classes = (0..=most).map(|class| class.to_string()).collect();
    Ok(())
}

#[cfg(test)]
mod tests;
