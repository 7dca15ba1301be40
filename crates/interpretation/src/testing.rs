//! What tests of this crate share: the embedded network, small pictures, and a way to run a kind.

use std::path::Path;

use candle_core::{Device, Tensor};
use sconce_core::{Artifact, Context, Digest, Files, Result, Stage};
use sconce_data::{
    Color, Examples, Features, Image, ImageSet, Preprocessing, Weights, WeightsInfo,
};
use serde_json::{Value, json};

use crate::Model;

/// A stage's outputs after it ran, in a folder that goes with it.
pub(crate) struct Ran(tempfile::TempDir);

impl Ran {
    pub(crate) fn files(&self, output: &str) -> Files {
        Files::from_folder(&self.0.path().join("out").join(output)).unwrap()
    }

    pub(crate) fn load<T: Artifact>(&self, output: &str) -> T {
        T::load(&self.files(output)).unwrap()
    }
}

pub(crate) fn run<S: Stage>(parameters: Value, inputs: &[(&str, &Files)]) -> Result<Ran> {
    let stage: S = serde_json::from_value(parameters).map_err(sconce_core::Error::other)?;
    let folder = tempfile::tempdir().unwrap();
    let mut ctx = Context::in_folder(folder.path(), S::OUTPUTS)?.with_seed(7);
    for (slot, files) in inputs {
        ctx = ctx.with_input(slot, (*files).clone());
    }
    stage.check()?;
    stage.run(&ctx)?;
    Ok(Ran(folder))
}

pub(crate) fn saved(artifact: &impl Artifact) -> (tempfile::TempDir, Files) {
    let folder = tempfile::tempdir().unwrap();
    artifact.save(folder.path()).unwrap();
    let files = Files::from_folder(folder.path()).unwrap();
    (folder, files)
}

/// SqueezeNet as the repository has it, with an input of `size` pixels and the names of its classes.
pub(crate) fn squeezenet(size: usize) -> Weights {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/assets/squeezenet1_1.safetensors");
    let preprocessing: Preprocessing = serde_json::from_value(json!({
        "channels": "rgb", "scale": 255, "mean": [123, 117, 104], "std": [1, 1, 1], "size": size, "fit": "stretch"
    }))
    .unwrap();
    let classes = sconce_data::embedded::imagenet_classes().to_vec();
    let info = WeightsInfo { architecture: "squeezenet1_1".into(), preprocessing, classes };
    Weights::open(&path, info).unwrap()
}

pub(crate) fn model(size: usize) -> Model {
    Model::load(&squeezenet(size), None, Device::Cpu).unwrap()
}

/// `fixtures/cat.png`, 96 × 96 pixels of the embedded photograph of a cat.
pub(crate) fn cat() -> Image {
    Image::decode(include_bytes!("fixtures/cat.png"), Color::Rgb).unwrap()
}

/// The cat, the cat mirrored, and a pattern; all 96 × 96, named `cat`, `mirrored` and `pattern`, with classes by the
/// network's names.
pub(crate) fn images() -> ImageSet {
    let cat = cat();
    let mirrored =
        cat.samples().chunks(96 * 3).flat_map(|row| row.chunks(3).rev().flatten().copied());
    let pattern = (0..96 * 96 * 3).map(|i| ((i % 288 * 7 + i / 288 * (3 + i % 3)) % 256) as u8);
    let samples = cat.samples().iter().copied().chain(mirrored).chain(pattern).collect();
    let examples = Examples {
        ids: ["cat", "mirrored", "pattern"].map(str::to_owned).to_vec(),
        classes: sconce_data::embedded::imagenet_classes().to_vec(),
        labels: vec![285, 285, 0],
        ..Examples::default()
    };
    ImageSet::packed(examples, Color::Rgb, 96, 96, samples).unwrap()
}

/// The network's input of the cat.
pub(crate) fn cat_input(model: &Model) -> Tensor {
    model.inputs(&images(), &[0]).unwrap()
}

/// Numbers to three digits, so that processors with and without fused multiplication agree.
fn rounded(value: &Value) -> Value {
    match value {
        Value::Number(number) => json!(format!("{:.2e}", number.as_f64().unwrap())),
        Value::Array(values) => values.iter().map(rounded).collect(),
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| (key.clone(), rounded(value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        other => other.clone(),
    }
}

/// A short digest of numbers and words, rounded.
pub(crate) fn pin(value: impl serde::Serialize) -> String {
    let text = rounded(&serde_json::to_value(value).unwrap()).to_string();
    Digest::of(text.as_bytes()).hex()[..16].to_owned()
}

/// The mean of each row.
pub(crate) fn means(features: &Features) -> Vec<f32> {
    let d = features.dimension();
    features.values().chunks(d).map(|row| row.iter().sum::<f32>() / d as f32).collect()
}

pub(crate) fn numbers(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}
