//! Which class an image has, by a text file: a name and a label on each line.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use sconce_core::error::ResultExt;
use sconce_core::{Error, Files, Result};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

mod rows;

use rows::Row;

/// The files that tell labels: one for all images, or one for each split, by the splits' names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum LabelFiles {
    /// Of all images.
    All(String),
    /// Of each split, by its name or that of its folder.
    Splits(BTreeMap<String, String>),
}

impl JsonSchema for LabelFiles {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "LabelFiles".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "type": "string" },
                { "type": "object", "additionalProperties": { "type": "string" } }
            ]
        })
    }
}

/// Not derived: `untagged` loses the place of an error.
impl<'de> Deserialize<'de> for LabelFiles {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = LabelFiles;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "a file, or a table from splits to files, such as { train = \"train.csv\" }",
                )
            }

            fn visit_str<E>(self, file: &str) -> Result<LabelFiles, E> {
                Ok(LabelFiles::All(file.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<LabelFiles, A::Error> {
                let mut files = BTreeMap::new();
                while let Some((split, file)) = map.next_entry()? {
                    files.insert(split, file);
                }
                Ok(LabelFiles::Splits(files))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl LabelFiles {
    /// The files' names, as they are given.
    fn names(&self) -> Vec<&str> {
        match self {
            Self::All(file) => vec![file],
            Self::Splits(files) => files.values().map(String::as_str).collect(),
        }
    }
}

/// Labels as text files tell them.
#[derive(Debug, Clone, Copy)]
pub struct Labels<'a> {
    /// The files.
    pub files: &'a LabelFiles,
    /// The heads of the columns with names and labels, where the files have a line of heads.
    pub columns: Option<&'a [String; 2]>,
}

impl<'a> Labels<'a> {
    /// The files, which are no images whatever their ending.
    ///
    /// # Errors
    /// When one is not there.
    pub(crate) fn among(self, files: &Files) -> Result<BTreeSet<&'a str>> {
        let names = self.files.names();
        match names.iter().find(|name| !files.contains(name)) {
            None => Ok(names.into_iter().collect()),
            Some(missing) => {
                let texts = files.iter().map(|(name, ..)| name).filter(|name| {
                    name.rsplit_once('.')
                        .is_some_and(|(_, ending)| ["txt", "csv", "tsv"].contains(&ending))
                });
                let texts: Vec<_> = texts.take(8).map(|name| format!("`{name}`")).collect();
                let there = match texts.len() {
                    0 => "there is no .txt, .csv or .tsv".to_owned(),
                    _ => format!("there are: {}", texts.join(", ")),
                };
                Err(refused(format!("no file `{missing}`; {there}")))
            }
        }
    }

    /// The label of each of `images`: paths with `/`, each with its place among `splits` (folder and name).
    ///
    /// # Errors
    /// When a file cannot be read, names what is no image or names one twice, or an image has no label: all at once, with
    /// numbers of lines.
    pub(crate) fn of(
        self,
        images: &[(usize, &str)],
        splits: &[(String, String)],
        files: &Files,
    ) -> Result<Vec<String>> {
        let mut labels = vec![None; images.len()];
        let mut problems = Vec::new();
        for (file, split) in self.by_split(splits)? {
            let rows = rows::parse(&files.read(file)?, self.columns)
                .doing(|| format!("label file `{file}`"))?;
            let chosen =
                (0..images.len()).filter(|&i| split.is_none_or(|split| images[i].0 == split));
            let chosen: Vec<usize> = chosen.collect();
            let index = Index::of(chosen.iter().map(|&i| (i, images[i].1)));
            assign(file, rows, &index, &mut labels, &mut problems);
            let without = chosen.iter().filter(|&&i| labels[i].is_none());
            let without: Vec<_> = without.map(|&i| format!("`{}`", images[i].1)).collect();
            if let Some(few) = few(&without) {
                let n = without.len();
                let have = if n == 1 { "image has" } else { "images have" };
                problems.push(format!("{n} {have} no label in `{file}`: {few}"));
            }
        }
        match problems.len() {
            0 => Ok(labels.into_iter().flatten().collect()),
            1 => Err(Error::message(problems.remove(0))),
            _ => Err(Error::message(format!(
                "labels and images do not fit:\n  {}",
                problems.join("\n  ")
            ))),
        }
    }

    /// Each file with the split that it is of.
    fn by_split(self, splits: &[(String, String)]) -> Result<Vec<(&'a str, Option<usize>)>> {
        let files = match self.files {
            LabelFiles::All(file) => return Ok(vec![(file, None)]),
            LabelFiles::Splits(files) => files,
        };
        let names: Vec<&str> = splits.iter().map(|(_, split)| split.as_str()).collect();
        if splits.is_empty() {
            return Err(refused(
                "there are no splits: expected one file for all images, or `splits` that names their folders".to_owned(),
            ));
        }
        let mut of = BTreeMap::new();
        for (key, file) in files {
            let is = |(folder, split): &(String, String)| split == key || folder == key;
            let place = splits.iter().position(is).ok_or_else(|| {
                refused(format!("no split `{key}`; there are: {}", names.join(", ")))
            })?;
            if of.insert(place, file.as_str()).is_some() {
                return Err(refused(format!("two files for the split `{}`", names[place])));
            }
        }
        match (0..splits.len()).find(|place| !of.contains_key(place)) {
            None => Ok(of.into_iter().map(|(place, file)| (file, Some(place))).collect()),
            Some(place) => Err(refused(format!("no file for the split `{}`", names[place]))),
        }
    }
}

/// Gives `rows` to the images that they name.
fn assign(
    file: &str,
    rows: Vec<Row>,
    index: &Index<'_>,
    labels: &mut [Option<String>],
    problems: &mut Vec<String>,
) {
    let (mut unknown, mut several, mut twice) = (Vec::new(), Vec::new(), Vec::new());
    let mut lines = BTreeMap::new();
    for Row { name, label, line } in rows {
        match index.find(&name) {
            Found::None => unknown.push(format!("`{name}` (line {line})")),
            Found::Several => several.push(format!("`{name}` (line {line})")),
            Found::One(place) => match lines.insert(place, line) {
                None => labels[place] = Some(label),
                Some(first) => twice.push(format!("`{name}` (lines {first} and {line})")),
            },
        }
    }
    for (what, names) in
        [("no image", unknown), ("several images", several), ("an image that has a label", twice)]
    {
        if let Some(few) = few(&names) {
            let n = names.len();
            let are = if n == 1 { "line is" } else { "lines are" };
            problems.push(format!("`{file}`: {n} {are} of {what}: {few}"));
        }
    }
}

/// The first few, if there are any.
fn few(all: &[String]) -> Option<String> {
    const FEW: usize = 5;
    let more = if all.len() > FEW { ", …" } else { "" };
    (!all.is_empty()).then(|| format!("{}{more}", all[..all.len().min(FEW)].join(", ")))
}

fn refused(message: String) -> Error {
    Error::parameter("label_files", message)
}

/// Images by all that a line can call them.
struct Index<'a> {
    whole: BTreeMap<&'a str, usize>,
    /// Ends of paths, with and without the ending; none where several images have it.
    ends: BTreeMap<&'a str, Option<usize>>,
}

enum Found {
    None,
    One(usize),
    Several,
}

impl<'a> Index<'a> {
    fn of(images: impl Iterator<Item = (usize, &'a str)>) -> Self {
        let mut index = Self { whole: BTreeMap::new(), ends: BTreeMap::new() };
        for (place, path) in images {
            index.whole.insert(path, place);
            let starts = path.match_indices('/').map(|(at, _)| at + 1);
            for end in [0].into_iter().chain(starts).map(|start| &path[start..]) {
                let stem = end.rsplit_once('.').map(|(stem, _)| stem);
                for name in [Some(end), stem.filter(|stem| !stem.is_empty())].into_iter().flatten()
                {
                    let known = index.ends.entry(name).or_insert(Some(place));
                    if *known != Some(place) {
                        *known = None;
                    }
                }
            }
        }
        index
    }

    fn find(&self, name: &str) -> Found {
        let plain = name.replace('\\', "/");
        let name = plain.strip_prefix("./").unwrap_or(&plain);
        if let Some(place) = self.whole.get(name) {
            return Found::One(*place);
        }
        match self.ends.get(name) {
            None => Found::None,
            Some(None) => Found::Several,
            Some(Some(place)) => Found::One(*place),
        }
    }
}

/// The classes of `labels`, each once: by number where all are numbers, else by letters.
///
/// # Errors
/// When a number is written in two ways.
pub(crate) fn classes<'a>(labels: impl Iterator<Item = &'a str>) -> Result<Vec<&'a str>> {
    let classes: Vec<&str> = labels.collect::<BTreeSet<_>>().into_iter().collect();
    let number = |class: &&'a str| {
        class.parse::<f64>().ok().filter(|n| n.is_finite()).map(|number| (number, *class))
    };
    let Some(mut numbers) = classes.iter().map(number).collect::<Option<Vec<_>>>() else {
        return Ok(classes);
    };
    numbers.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let same = numbers.iter().zip(numbers.iter().skip(1)).find(|(one, other)| one.0 == other.0);
    if let Some(((_, one), (_, other))) = same {
        return Err(refused(format!("the labels `{one}` and `{other}` are one number")));
    }
    Ok(numbers.into_iter().map(|(_, class)| class).collect())
}

#[cfg(test)]
mod tests;
