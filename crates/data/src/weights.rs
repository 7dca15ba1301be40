//! Weights of a network, with what is needed to feed it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memmap2::Mmap;
use safetensors::SafeTensors;
use sconce_core::error::{IoResultExt, ResultExt};
use sconce_core::{Artifact, Error, Files, Result};
use serde::{Deserialize, Serialize};

use crate::place;
use crate::preprocess::{Channels, Preprocessing};
use crate::resize::{Filter, Fit};
use crate::tensor_file::map;

/// Weights of a network: tensors by name, mapped into memory, and what the network expects.
///
/// Saved as `model.safetensors` and `weights.json`.
#[derive(Debug, Clone)]
pub struct Weights {
    /// What the network is and expects.
    pub info: WeightsInfo,
    path: PathBuf,
    map: Arc<Mmap>,
}

/// What [`Weights`] are of, and what input they expect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeightsInfo {
    /// The network's name, as in torchvision: `squeezenet1_1`, `vgg16`.
    pub architecture: String,
    /// How an image becomes the network's input.
    pub preprocessing: Preprocessing,
    /// Names of the classes that the last layer tells apart; empty when unknown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<String>,
}

const MODEL: &str = "model.safetensors";
const INFO: &str = "weights.json";

impl Weights {
    /// Weights from a safetensors file.
    pub fn open(path: &Path, info: WeightsInfo) -> Result<Self> {
        info.preprocessing.check()?;
        let map = map(path)?;
        SafeTensors::deserialize(&map).map_err(|error| not_safetensors(&map, error))?;
        Ok(Self { info, path: path.to_owned(), map: Arc::new(map) })
    }

    /// Weights from a safetensors file with the usual metadata, or with `architecture` and
    /// `preprocessing` given. The error says what is in neither, and how to give it.
    pub fn from_safetensors(
        path: &Path,
        architecture: Option<&str>,
        preprocessing: Option<Preprocessing>,
        classes: Vec<String>,
    ) -> Result<Self> {
        let map = map(path)?;
        let (_, metadata) =
            SafeTensors::read_metadata(&map).map_err(|error| not_safetensors(&map, error))?;
        let metadata: BTreeMap<_, _> =
            metadata.metadata().clone().unwrap_or_default().into_iter().collect();
        let architecture = match (architecture, metadata.get("architecture")) {
            (Some(given), Some(found)) if given != found => {
                return Err(Error::parameter(
                    "architecture",
                    format!("the file is of `{found}`, not of `{given}`"),
                ));
            }
            (Some(name), _) => name.to_owned(),
            (None, Some(name)) => name.clone(),
            (None, None) => {
                return Err(Error::parameter(
                    "architecture",
                    "the file's metadata do not say it: give it, such as \"vgg16\"",
                ));
            }
        };
        let preprocessing = match preprocessing {
            Some(preprocessing) => preprocessing,
            None => from_metadata(&metadata)?,
        };
        Self::open(path, WeightsInfo { architecture, preprocessing, classes })
    }

    /// The safetensors file. To be read only.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The safetensors file's bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.map
    }

    /// The tensors by name.
    pub fn tensors(&self) -> Result<SafeTensors<'_>> {
        SafeTensors::deserialize(&self.map).map_err(Error::other)
    }
}

/// Says what the file is instead, where that is known.
fn not_safetensors(bytes: &[u8], error: safetensors::SafeTensorError) -> Error {
    match crate::mistaken::what(bytes) {
        Some(what) => Error::message(format!("{what}; expected a safetensors file")),
        None => Error::other(error),
    }
}

/// The preprocessing that a safetensors file's metadata tell: `channels` (`RGB`, `BGR`, `grey`),
/// `input_scale` (255 or 1), `input_mean` and `input_std` (numbers separated by commas), and
/// optionally `input_size`.
fn from_metadata(metadata: &BTreeMap<String, String>) -> Result<Preprocessing> {
    let keys = ["channels", "input_scale", "input_mean", "input_std"];
    let missing: Vec<_> = keys.into_iter().filter(|key| !metadata.contains_key(*key)).collect();
    if !missing.is_empty() {
        return Err(Error::parameter(
            "preprocessing",
            format!(
                "the file's metadata do not say {}; give what the weights' publisher says, in this \
                 form: preprocessing = {{ channels = \"rgb\", scale = 255, mean = [123, 117, 104], \
                 std = [1, 1, 1] }}",
                missing.join(", ")
            ),
        ));
    }
    let text = |key: &str| metadata.get(key).map_or("", |text| text.trim());
    let wrong = |key: &str, expected: &str| {
        Error::message(format!("metadata `{key}`: expected {expected}, found `{}`", text(key)))
    };
    let numbers = |key: &str| -> Result<Vec<f32>> {
        let number = |number: &str| number.trim().parse::<f32>().ok();
        let numbers: Option<_> = text(key).split(',').map(number).collect();
        numbers.ok_or_else(|| wrong(key, "numbers separated by commas"))
    };
    let size = match metadata.get("input_size") {
        None => None,
        Some(size) => Some(size.trim().parse().map_err(|_| wrong("input_size", "a number"))?),
    };
    let preprocessing = Preprocessing {
        channels: match text("channels").to_ascii_lowercase().as_str() {
            "rgb" => Channels::Rgb,
            "bgr" => Channels::Bgr,
            "grey" | "gray" => Channels::Grey,
            _ => return Err(wrong("channels", "RGB, BGR or grey")),
        },
        scale: text("input_scale").parse().map_err(|_| wrong("input_scale", "255 or 1"))?,
        mean: numbers("input_mean")?,
        std: numbers("input_std")?,
        instance: false,
        size,
        fit: Fit::Crop,
        filter: Filter::Bilinear,
    };
    preprocessing.check()?;
    Ok(preprocessing)
}

/// Names of classes from a JSON file: a list, or an object from the classes' numbers to names.
pub fn class_names(path: &Path) -> Result<Vec<String>> {
    parse_class_names(&std::fs::read(path).at(path)?)
}

pub(crate) fn parse_class_names(json: &[u8]) -> Result<Vec<String>> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Names {
        List(Vec<String>),
        ByNumber(BTreeMap<String, String>),
    }
    let wrong =
        || Error::message("expected a JSON list of names, or an object from 0, 1, … to names");
    match serde_json::from_slice(json).map_err(|_| wrong())? {
        Names::List(names) => Ok(names),
        Names::ByNumber(names) => (0..names.len())
            .map(|number| names.get(&number.to_string()).cloned().ok_or_else(wrong))
            .collect(),
    }
}

impl Artifact for Weights {
    const TYPE: &'static str = "weights";

    fn load(files: &Files) -> Result<Self> {
        Self::open(files.path(MODEL)?, files.read_json(INFO)?)
            .doing(|| format!("reading `{MODEL}`"))
    }

    fn save(&self, folder: &Path) -> Result<()> {
        place::copy(&self.path, &folder.join(MODEL))?;
        let path = folder.join(INFO);
        std::fs::write(&path, serde_json::to_vec_pretty(&self.info)?).at(&path)
    }
}
