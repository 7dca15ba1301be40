//! Which folders are splits: `train`, `Testing`, `val2017`, `seg_test`, …

use std::collections::{BTreeMap, BTreeSet};

use sconce_core::{Error, Result};

/// The splits that folder names mean, in the order that splits get.
const SPLITS: [&str; 5] = ["train", "val", "valid", "validation", "test"];

/// Other words for them.
const SPELLINGS: [(&str, &str); 6] = [
    ("training", "train"),
    ("trn", "train"),
    ("validate", "val"),
    ("validating", "val"),
    ("testing", "test"),
    ("tst", "test"),
];

/// Words that stand beside a split's name and say nothing: `training_set`, `seg_train`, `test images`.
const FILLERS: [&str; 10] =
    ["set", "sets", "split", "data", "dataset", "images", "image", "imgs", "img", "seg"];

/// The split that a folder of this name is, if it is called like one: `train` for `Training`.
pub fn split_called(folder: &str) -> Option<&'static str> {
    let lower = folder.to_lowercase();
    let words = lower.split(|c: char| !c.is_alphanumeric());
    let words = words.map(|word| word.trim_end_matches(|c: char| c.is_ascii_digit()));
    let words = words.filter(|word| !word.is_empty() && !FILLERS.contains(word));
    let mut words: Vec<&str> = words.collect();
    let word = words.pop().filter(|_| words.is_empty())?;
    let word = word.strip_suffix("set").filter(|rest| !rest.is_empty()).unwrap_or(word);
    let known = |word: &str| SPLITS.into_iter().find(|split| *split == word);
    known(word).or_else(|| {
        SPELLINGS.iter().find(|(spelling, _)| *spelling == word).map(|(_, split)| *split)
    })
}

/// What is below the folders at the top.
struct Tops<'a> {
    /// Each folder, with the folders in it.
    folders: BTreeMap<&'a str, BTreeSet<&'a str>>,
    /// Folders that hold images themselves.
    direct: BTreeSet<&'a str>,
}

impl<'a> Tops<'a> {
    fn of(images: impl Iterator<Item = &'a str>) -> Self {
        let mut tops = Self { folders: BTreeMap::new(), direct: BTreeSet::new() };
        for (top, rest) in images.filter_map(|name| name.split_once('/')) {
            let inside = tops.folders.entry(top).or_default();
            match rest.split_once('/') {
                Some((folder, _)) => {
                    inside.insert(folder);
                }
                None => {
                    tops.direct.insert(top);
                }
            }
        }
        tops
    }

    /// Folders that lie in two or more of those at the top, where these hold no image themselves.
    fn shared(&self) -> BTreeSet<&'a str> {
        let mut times = BTreeMap::new();
        for folder in self.folders.values().flatten() {
            *times.entry(*folder).or_insert(0) += 1;
        }
        times.into_iter().filter(|(_, times)| *times > 1).map(|(folder, _)| folder).collect()
    }
}

/// The folders at the top of `images` (paths with `/`) that are splits, with the names of these: none where the folders
/// are classes. `wanted` decides where it is given; else the folders are splits when all are called like one.
///
/// # Errors
/// Of the parameter `splits`: when there is no folder that `wanted` names, or when the folders can be read both ways.
pub(crate) fn find<'a>(
    images: impl Iterator<Item = &'a str>,
    wanted: Option<&[String]>,
) -> Result<Vec<(String, String)>> {
    let tops = Tops::of(images);
    let names: Vec<&str> = tops.folders.keys().copied().collect();
    if let Some(wanted) = wanted {
        if let Some(missing) = wanted.iter().find(|split| !names.contains(&split.as_str())) {
            return Err(refused(format!(
                "no images in a folder `{missing}`; the folders are: {}",
                list(&names)
            )));
        }
        return Ok(wanted.iter().map(|split| (split.clone(), split.clone())).collect());
    }
    let start = common_start(&names);
    if names.iter().all(|name| split_called(&name[start..]).is_some()) {
        return ordered(&names, start);
    }
    let (splits, others): (Vec<&str>, Vec<&str>) =
        names.iter().partition(|name| split_called(name).is_some());
    if others.is_empty() {
        return ordered(&splits, 0);
    }
    let holds_folders = |name: &&str| !tops.direct.contains(name);
    if splits.len() > 1 || (splits.len() == 1 && splits.iter().chain(&others).all(holds_folders)) {
        return Err(refused(format!(
            "{} are called like splits, {} {} not. {}",
            quoted(&splits),
            quoted(&others),
            if others.len() == 1 { "is" } else { "are" },
            both_ways(&names)
        )));
    }
    let shared: Vec<&str> = tops.shared().into_iter().collect();
    if names.len() > 1 && shared.len() > 1 && tops.direct.is_empty() {
        let within = shared.iter().all(|folder| split_called(folder).is_some());
        let hint = match within {
            true => {
                "The folders in them are called like splits: expected SPLIT/CLASS, not CLASS/SPLIT. "
            }
            false => "",
        };
        return Err(refused(format!(
            "{} hold the same folders ({}): are these the classes, and those splits? {hint}{}",
            quoted(&names),
            list(&shared),
            both_ways(&names)
        )));
    }
    if let [only] = names[..]
        && tops.direct.is_empty()
        && tops.folders[only].len() > 1
    {
        let inside: Vec<&str> = tops.folders[only].iter().copied().collect();
        return Err(refused(format!(
            "all images are in `{only}`, which holds folders ({}): one folder too deep? Take the files from there \
             (`path` of kind file, `#{only}` behind a source of fetch), or say what `{only}` is. {}",
            list(&inside),
            both_ways(&names)
        )));
    }
    Ok(Vec::new())
}

/// The length of the words that all of `names` begin with, as in `mnist_m_train` and `mnist_m_test`; 0 for a name alone.
fn common_start(names: &[&str]) -> usize {
    let [first, rest @ ..] = names else { return 0 };
    let ends = first.match_indices(['_', '-', '.', ' ']).map(|(at, _)| at + 1);
    let common = |end: &usize| rest.iter().all(|name| name.starts_with(&first[..*end]));
    if rest.is_empty() { 0 } else { ends.take_while(common).last().unwrap_or(0) }
}

/// The splits of folders that are all called like one from the letter `start` on, in the order of [`SPLITS`].
fn ordered(folders: &[&str], start: usize) -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    for split in SPLITS {
        let is = |folder: &&str| split_called(&folder[start..]) == Some(split);
        let called: Vec<&str> = folders.iter().copied().filter(is).collect();
        match called[..] {
            [] => {}
            [folder] => found.push((folder.to_owned(), split.to_owned())),
            _ => {
                return Err(refused(format!(
                    "{} are both called like the split {split}. {}",
                    quoted(&called),
                    both_ways(folders)
                )));
            }
        }
    }
    Ok(found)
}

/// How either reading is said.
fn both_ways(folders: &[&str]) -> String {
    let names: Vec<String> = folders.iter().take(8).map(|name| format!("{name:?}")).collect();
    let more = if folders.len() > 8 { ", …" } else { "" };
    format!(
        "If they are splits: `splits = [{}{more}]`; if they are classes: `splits = []`",
        names.join(", ")
    )
}

fn refused(message: String) -> Error {
    Error::parameter("splits", message)
}

fn quoted(names: &[&str]) -> String {
    list(&names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>())
}

fn list(names: &[impl AsRef<str>]) -> String {
    let few: Vec<&str> = names.iter().take(8).map(AsRef::as_ref).collect();
    format!("{}{}", few.join(", "), if names.len() > 8 { ", …" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn splits(images: &[&str], wanted: Option<&[&str]>) -> Result<Vec<(String, String)>, String> {
        let wanted: Option<Vec<String>> =
            wanted.map(|wanted| wanted.iter().map(|&split| split.to_owned()).collect());
        find(images.iter().copied(), wanted.as_deref()).map_err(|error| error.to_string())
    }

    fn pairs(expected: &[(&str, &str)]) -> Result<Vec<(String, String)>, String> {
        Ok(expected.iter().map(|&(a, b)| (a.to_owned(), b.to_owned())).collect())
    }

    /// Folder names of public sets: Kaggle's brain tumours and cats and dogs, Intel's scenes, COCO, Fruits-360, Roboflow.
    #[test]
    fn splits_as_public_sets_spell_them() {
        for (folder, split) in [
            ("train", "train"),
            ("Training", "train"),
            ("Testing", "test"),
            ("TEST", "test"),
            ("Val", "val"),
            ("valid", "valid"),
            ("Validation", "validation"),
            ("training_set", "train"),
            ("test_set", "test"),
            ("seg_train", "train"),
            ("seg_test", "test"),
            ("train2017", "train"),
            ("val2017", "val"),
            ("Train Images", "train"),
            ("testset", "test"),
            ("test-data", "test"),
        ] {
            assert_eq!(split_called(folder), Some(split), "{folder}");
        }
        for folder in [
            "trains", "contest", "protest", "seg_pred", "trainval", "images", "", "val test", "set",
        ] {
            assert_eq!(split_called(folder), None, "{folder}");
        }
    }

    #[test]
    fn folders_that_are_all_called_like_splits_are_splits() {
        assert_eq!(
            splits(&["Testing/a/1", "Training/a/1", "Val/a/1"], None),
            pairs(&[("Training", "train"), ("Val", "val"), ("Testing", "test")])
        );
        assert_eq!(splits(&["cat/1", "dog/1"], None), Ok(vec![]));
        assert_eq!(splits(&["Testing/a/1", "Training/a/1"], Some(&[])), Ok(vec![]));
        assert_eq!(
            splits(&["Testing/a/1", "dev/a/1"], Some(&["dev", "Testing"])),
            pairs(&[("dev", "dev"), ("Testing", "Testing")])
        );
        assert_eq!(
            splits(&["mnist_m_test/1", "mnist_m_train/1"], None),
            pairs(&[("mnist_m_train", "train"), ("mnist_m_test", "test")])
        );
        assert_eq!(splits(&["set-a-train/1", "set-b-test/1"], None), Ok(vec![]));
        assert_eq!(splits(&["bullet_train/1"], None), Ok(vec![]));
        assert_eq!(splits(&["bullet_train/1", "bullet_hole/1"], None), Ok(vec![]));
        // A vehicle among others, and classes with folders of their own.
        assert_eq!(splits(&["bus/1", "car/1", "train/1"], None), Ok(vec![]));
        assert_eq!(splits(&["a/1", "a/deep/1", "b/deep/2"], None), Ok(vec![]));
        assert_eq!(splits(&["n01/images/1", "n02/images/1"], None), Ok(vec![]));
        assert_eq!(splits(&["animals/cat/1", "animals/dog/1", "cars/van/1"], None), Ok(vec![]));
        assert_eq!(splits(&["faces/all/1"], None), Ok(vec![]));
    }

    #[test]
    fn what_can_be_read_both_ways_is_refused() {
        assert_eq!(
            splits(&["train/a/1", "test/a/1", "extra/a/1"], None).unwrap_err(),
            "parameter `splits`: `test`, `train` are called like splits, `extra` is not. If they are splits: `splits = \
             [\"extra\", \"test\", \"train\"]`; if they are classes: `splits = []`"
        );
        for (images, message) in [
            (&["train/a/1", "dev/a/1"][..], "`train` are called like splits, `dev` is not"),
            (&["Train/1", "Test/1", "more/1"], "called like splits, `more` is not"),
            (
                &["train/a/1", "Training/a/1"],
                "`Training`, `train` are both called like the split train",
            ),
            (&["fold1/a/1", "fold1/b/1", "fold2/a/1", "fold2/b/1"], "hold the same folders (a, b)"),
            (
                &["a/train/1", "a/test/1", "b/train/1", "b/test/1"],
                "expected SPLIT/CLASS, not CLASS/SPLIT",
            ),
            (
                &["pets/cat/1", "pets/dog/1"],
                "all images are in `pets`, which holds folders (cat, dog)",
            ),
        ] {
            let error = splits(images, None).unwrap_err();
            assert!(error.contains(message), "{error}");
            assert!(error.ends_with("; if they are classes: `splits = []`"), "{error}");
        }
    }
}
