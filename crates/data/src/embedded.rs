//! Data that the program brings along, so that the base of each pipeline runs anywhere.
//!
//! What it is, from where and under which licence: `assets/LICENSES.md`.

use std::path::Path;
use std::sync::OnceLock;

use sconce_core::error::IoResultExt;
use sconce_core::{Error, Result};

use crate::weights;

/// One asset: a file, or a folder of files.
struct Asset {
    name: &'static str,
    content: Content,
}

enum Content {
    File(&'static [u8]),
    Folder(&'static [(&'static str, &'static [u8])]),
}

macro_rules! folder {
    ($folder:literal: $($file:literal),+) => {
        Content::Folder(&[$(($file, include_bytes!(concat!("../assets/", $folder, "/", $file)))),+])
    };
}

const ASSETS: &[Asset] = &[
    Asset {
        name: "digits",
        content: folder!("digits":
            "train-images-idx3-ubyte.gz",
            "train-labels-idx1-ubyte.gz",
            "t10k-images-idx3-ubyte.gz",
            "t10k-labels-idx1-ubyte.gz"),
    },
    Asset {
        name: "photographs",
        content: folder!("photographs":
            "camera.jpg", "cat.jpg", "coffee.jpg", "flower.jpg", "rocket.jpg", "temple.jpg"),
    },
    Asset {
        name: "squeezenet1_1.safetensors",
        content: Content::File(include_bytes!("../assets/squeezenet1_1.safetensors")),
    },
    Asset {
        name: "imagenet1k_label_to_names.json",
        content: Content::File(include_bytes!("../assets/imagenet1k_label_to_names.json")),
    },
];

/// The names that `embedded:NAME` knows.
pub fn names() -> impl Iterator<Item = &'static str> {
    ASSETS.iter().map(|asset| asset.name)
}

/// Writes an asset to `to`: a file, or a folder with files.
pub fn write(name: &str, to: &Path) -> Result<()> {
    let asset = ASSETS.iter().find(|asset| asset.name == name).ok_or_else(|| {
        let names: Vec<_> = names().collect();
        Error::message(format!("no embedded `{name}`; there are: {}", names.join(", ")))
    })?;
    let put = |path: &Path, bytes: &[u8]| {
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).at(parent)?;
        }
        std::fs::write(path, bytes).at(path)
    };
    match asset.content {
        Content::File(bytes) => put(to, bytes),
        Content::Folder(files) => {
            files.iter().try_for_each(|(file, bytes)| put(&to.join(file), bytes))
        }
    }
}

/// The 1000 ImageNet class names, in order of the classes' numbers; synonyms separated by commas.
pub fn imagenet_classes() -> &'static [String] {
    static NAMES: OnceLock<Vec<String>> = OnceLock::new();
    NAMES.get_or_init(|| {
        let json = include_bytes!("../assets/imagenet1k_label_to_names.json");
        weights::parse_class_names(json).unwrap_or_default()
    })
}

/// The 1000 ImageNet classes' WordNet ids, such as `n01443537`, in order of the classes' numbers.
pub fn imagenet_wordnet_ids() -> &'static [&'static str] {
    static IDS: OnceLock<Vec<&'static str>> = OnceLock::new();
    IDS.get_or_init(|| include_str!("../assets/imagenet1k_wordnet_ids.txt").lines().collect())
}
