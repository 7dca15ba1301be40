//! Weights of a network, with what is needed to feed it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use memmap2::Mmap;
use safetensors::SafeTensors;
use sconce_core::error::{IoResultExt, ResultExt};
use sconce_core::{Artifact, Error, Files, Result};
use serde::{Deserialize, Serialize};

use crate::place;
use crate::preprocess::Preprocessing;
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
        SafeTensors::deserialize(&map)
            .map_err(Error::other)
            .doing(|| path.display().to_string())?;
        Ok(Self { info, path: path.to_owned(), map: Arc::new(map) })
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

impl Artifact for Weights {
    const TYPE: &'static str = "weights";

    fn load(files: &Files) -> Result<Self> {
        Self::open(files.path(MODEL)?, files.read_json(INFO)?)
    }

    fn save(&self, folder: &Path) -> Result<()> {
        place::copy(&self.path, &folder.join(MODEL))?;
        let path = folder.join(INFO);
        std::fs::write(&path, serde_json::to_vec_pretty(&self.info)?).at(&path)
    }
}
