//! Image sets from folders: a folder for each class, or files that tell labels.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use sconce_core::{Error, Files, Result};

use crate::examples::Examples;
use crate::image::Color;
use crate::image_set::ImageSet;
use crate::label_files::{self, Labels};
use crate::split_folders;

/// Endings of files that hold no image and are passed over (and told).
const OTHER: [&str; 14] =
    ["txt", "md", "rst", "json", "csv", "tsv", "xml", "html", "pdf", "mat", "py", "db", "ini", "m"];

/// What was found in a folder besides the images.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PassedOver {
    /// Files that hold no image by their ending, and hidden files.
    pub files: Vec<String>,
}

/// The images below a folder: `SPLIT/CLASS/…`, `CLASS/…`, or files without classes.
///
/// Top folders are splits when `splits` names them, or, without `splits`, when all are called like
/// one (see [`split_folders`]); folders that can be read both ways are refused. The class is the
/// next folder; deeper folders belong to it. With `labels` the class is what these tell, and folders below the splits
/// say nothing. Images are ordered by split, then by path. Nothing is decoded: [`ImageSet::check_images`] does that.
pub fn read(
    files: &Files,
    color: Color,
    splits: Option<&[String]>,
    labels: Option<Labels<'_>>,
) -> Result<(ImageSet, PassedOver)> {
    let mut passed_over = PassedOver::default();
    let mut images = Vec::new();
    let texts = labels.map(|labels| labels.among(files)).transpose()?.unwrap_or_default();
    for (name, _, path) in files.iter().filter(|(name, ..)| !texts.contains(name)) {
        let hidden = name.split('/').any(|part| part.starts_with('.') || part == "__MACOSX");
        let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
        if hidden || ending.is_none_or(|ending| OTHER.contains(&ending.as_str())) {
            passed_over.files.push(name.to_owned());
        } else {
            images.push((name, path));
        }
    }
    if images.is_empty() {
        return Err(Error::message(format!("no image among {} files", files.len())));
    }
    let splits = split_folders::find(images.iter().map(|(name, _)| *name), splits)?;
    let folders: Vec<&str> = splits.iter().map(|(folder, _)| folder.as_str()).collect();
    let mut rows = Vec::new();
    for (name, path) in images {
        let (split, rest) = match name.split_once('/') {
            Some((top, rest)) if !splits.is_empty() => {
                let split = folders.iter().position(|folder| *folder == top).ok_or_else(|| {
                    Error::message(format!(
                        "`{name}`: expected a split folder at the top: {}",
                        folders.join(", ")
                    ))
                })?;
                (split, rest)
            }
            None if !splits.is_empty() => {
                return Err(Error::message(format!(
                    "`{name}` is in no split folder; there are: {}",
                    folders.join(", ")
                )));
            }
            _ => (0, name),
        };
        rows.push((split, name, rest.split_once('/').map(|(class, _)| class), path));
    }
    rows.sort();
    let told = match labels {
        None => None,
        Some(labels) => {
            let named: Vec<_> = rows.iter().map(|&(split, name, ..)| (split, name)).collect();
            Some(labels.of(&named, &splits, files)?)
        }
    };
    let (classes, labels) = match &told {
        None => {
            let of = in_class_folders(&rows)?;
            numbered(of.iter().copied().collect::<BTreeSet<_>>().into_iter().collect(), of)
        }
        Some(told) => {
            let of: Vec<&str> = told.iter().map(String::as_str).collect();
            numbered(label_files::classes(of.iter().copied())?, of)
        }
    };
    let examples = Examples {
        ids: rows.iter().map(|(_, name, ..)| (*name).to_owned()).collect(),
        labels,
        split: match splits.is_empty() {
            true => Vec::new(),
            false => rows.iter().map(|(split, ..)| *split as u32).collect(),
        },
        classes,
        splits: splits.into_iter().map(|(_, split)| split).collect(),
    };
    let paths = rows.iter().map(|(.., path)| (*path).to_owned()).collect();
    Ok((ImageSet::encoded(examples, color, paths)?, passed_over))
}

/// An image: the place of its split, its name, the folder that may be its class, and its file.
type Row<'a> = (usize, &'a str, Option<&'a str>, &'a Path);

/// The class folder of each image; none where no image is in one.
fn in_class_folders<'a>(rows: &[Row<'a>]) -> Result<Vec<&'a str>> {
    let classes: Vec<&str> = rows.iter().filter_map(|(_, _, class, _)| *class).collect();
    if classes.is_empty() || classes.len() == rows.len() {
        return Ok(classes);
    }
    let without = rows.iter().find(|(_, _, class, _)| class.is_none()).map_or("", |row| row.1);
    let folders: BTreeSet<&str> = classes.into_iter().collect();
    Err(Error::message(format!(
        "`{without}` is in no class folder, but other images are in: {}",
        folders.into_iter().take(8).collect::<Vec<_>>().join(", ")
    )))
}

/// The names of `classes`, and the places there of those that images are `of`.
fn numbered(classes: Vec<&str>, of: Vec<&str>) -> (Vec<String>, Vec<u32>) {
    let places: BTreeMap<&str, u32> = classes.iter().copied().zip(0..).collect();
    let labels = of.into_iter().map(|class| places[class]).collect();
    (classes.into_iter().map(str::to_owned).collect(), labels)
}
