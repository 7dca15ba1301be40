//! The artifact of a fitted linear classifier.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{Device, Tensor};
use sconce_core::error::{IoResultExt, ResultExt};
use sconce_core::{Artifact, Error, Files, Result};
use serde::{Deserialize, Serialize};

use crate::svm::LinearModel;
use crate::{Rows, l2_normalise};

/// A linear classifier of features, and what it has to know of them.
///
/// Saved as `model.safetensors` (`weight`, classes × features, and `bias`, both f32) and `classifier.json`.
#[derive(Debug, Clone, PartialEq)]
pub struct Classifier {
    /// The decision functions.
    pub model: LinearModel,
    /// Names of the classes, in the order of the model's.
    pub classes: Vec<String>,
    /// Whether rows are divided by their Euclidean norm first.
    pub normalize: bool,
    /// How the weights were found.
    pub method: Method,
}

/// How a classifier's weights were found.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "name")]
pub enum Method {
    /// Linear support vector machines, one class against the rest.
    LinearSvm {
        /// Weight of the errors against the penalty.
        c: f64,
    },
    /// Multinomial logistic regression.
    Logistic {
        /// Weight of the errors against the penalty.
        c: f64,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Index {
    classes: Vec<String>,
    normalize: bool,
    method: Method,
}

const MODEL: &str = "model.safetensors";
const INDEX: &str = "classifier.json";

impl Classifier {
    /// Decision values of `values`, rows of `columns` numbers, `(rows, classes)`. The values are normalised in place
    /// where the classifier was fitted so.
    ///
    /// # Errors
    /// When the model has another number of features, or a value is not finite.
    pub fn decision(&self, mut values: Vec<f32>, columns: usize) -> Result<Vec<f64>> {
        if self.normalize {
            l2_normalise(&mut values, columns);
        }
        let rows = Rows::new(&values, columns).map_err(Error::other)?;
        self.model.decision(rows).map_err(Error::other)
    }
}

impl Artifact for Classifier {
    const TYPE: &'static str = "classifier";

    fn load(files: &Files) -> Result<Self> {
        let Index { classes, normalize, method } = files.read_json(INDEX)?;
        let bytes = files.read(MODEL)?;
        let tensors = sconce_models::Tensors::from_safetensors(&bytes, &Device::Cpu)?;
        let values = |name: &str| match tensors.find(name) {
            Some(tensor) => {
                tensor.flatten_all().and_then(|t| t.to_vec1::<f32>()).map_err(Error::other)
            }
            None => Err(Error::message(format!("{MODEL}: expected a tensor `{name}`"))),
        };
        let model = LinearModel::from_parts(values("weight")?, values("bias")?);
        let model = model.map_err(Error::other).doing(|| MODEL.to_owned())?;
        if model.classes() != classes.len() {
            return Err(Error::message(format!(
                "{MODEL} tells {} classes apart, {INDEX} names {}",
                model.classes(),
                classes.len()
            )));
        }
        Ok(Self { model, classes, normalize, method })
    }

    fn save(&self, folder: &Path) -> Result<()> {
        let (classes, features) = (self.model.classes(), self.model.features());
        let tensor = |values: &[f32], shape: &[usize]| {
            Tensor::from_slice(values, shape, &Device::Cpu).map_err(Error::other)
        };
        let tensors = BTreeMap::from([
            ("bias", tensor(self.model.intercepts(), &[classes])?),
            ("weight", tensor(self.model.weights(), &[classes, features])?),
        ]);
        let bytes = safetensors::serialize(tensors, None).map_err(Error::other)?;
        let path = folder.join(MODEL);
        std::fs::write(&path, bytes).at(&path)?;
        let index =
            Index { classes: self.classes.clone(), normalize: self.normalize, method: self.method };
        let path = folder.join(INDEX);
        std::fs::write(&path, serde_json::to_vec_pretty(&index)?).at(&path)
    }
}
