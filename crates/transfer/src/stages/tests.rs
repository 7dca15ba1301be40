mod extract;

use std::path::Path;

use sconce_core::{Artifact, Context, Digest, Files, Result, Stage, Yields};
use sconce_data::{
    Color, Examples, Features, ImageSet, Metrics, Preprocessing, Table, Weights, WeightsInfo,
};
use serde_json::{Value, json};

use super::*;
use crate::{Classifier, synthetic};

/// A stage's outputs after it ran, in a folder that goes with it.
struct Ran(tempfile::TempDir);

impl Ran {
    fn files(&self, output: &str) -> Files {
        Files::from_folder(&self.0.path().join("out").join(output)).unwrap()
    }

    fn load<T: Artifact>(&self, output: &str) -> T {
        T::load(&self.files(output)).unwrap()
    }
}

fn run<S: Stage>(parameters: Value, inputs: &[(&str, &Files)]) -> Result<Ran> {
    let stage: S = serde_json::from_value(parameters).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut ctx = Context::in_folder(folder.path(), S::OUTPUTS)?;
    for (slot, files) in inputs {
        ctx = ctx.with_input(slot, (*files).clone());
    }
    stage.check()?;
    stage.run(&ctx)?;
    Ok(Ran(folder))
}

fn saved(artifact: &impl Artifact) -> (tempfile::TempDir, Files) {
    let folder = tempfile::tempdir().unwrap();
    artifact.save(folder.path()).unwrap();
    let files = Files::from_folder(folder.path()).unwrap();
    (folder, files)
}

/// 180 rows of 12 numbers in 3 classes, every third to test.
fn features() -> Features {
    let (values, labels) = synthetic::clusters(180, 12, 3, 21);
    let examples = Examples {
        ids: (0..180).map(|i| format!("{i:03}")).collect(),
        classes: ["coast", "forest", "street"].map(String::from).into(),
        labels: labels.iter().map(|&label| label as u32).collect(),
        splits: vec!["train".into(), "test".into()],
        split: (0..180).map(|i| u32::from(i / 3 % 3 == 2)).collect(),
    };
    Features::new(examples, vec![12], values).unwrap()
}

/// Four grey images of 40 × 36 with a gradient and a pattern each.
fn images() -> ImageSet {
    let sample = |i: usize| {
        let (image, y, x) = (i / (40 * 36), i / 40 % 36, i % 40);
        ((x * 5 + y * (image + 2) + (x * y * (image + 1)) % 37) % 256) as u8
    };
    let examples = Examples {
        ids: ["a", "b", "c", "d"].map(String::from).into(),
        classes: vec!["x".into(), "y".into()],
        labels: vec![0, 1, 0, 1],
        ..Examples::default()
    };
    ImageSet::packed(examples, Color::Grey, 40, 36, (0..4 * 36 * 40).map(sample).collect()).unwrap()
}

/// SqueezeNet as the repository has it, with the input of its metadata or one mean for all channels.
fn squeezenet(mean: [f32; 3]) -> Weights {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/assets/squeezenet1_1.safetensors");
    let preprocessing: Preprocessing = serde_json::from_value(json!({
        "channels": "rgb", "scale": 255, "mean": mean, "std": [1, 1, 1], "size": 48, "fit": "stretch"
    }))
    .unwrap();
    let info =
        WeightsInfo { architecture: "squeezenet1_1".into(), preprocessing, classes: Vec::new() };
    Weights::open(&path, info).unwrap()
}

#[test]
fn kinds_have_docs() {
    for kind in KINDS {
        let schema = kind.schema();
        assert!(schema.get("description").is_some(), "{kind:?}");
        for (name, field) in sconce_core::stage::properties(&schema) {
            assert!(field.get("description").is_some(), "{kind:?}: {name}");
        }
    }
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

fn pin(value: impl serde::Serialize) -> String {
    let text = rounded(&serde_json::to_value(value).unwrap()).to_string();
    Digest::of(text.as_bytes()).hex()[..16].to_owned()
}

/// The mean of each row.
fn means(features: &Features) -> Vec<f32> {
    let d = features.dimension();
    features.values().chunks(d).map(|row| row.iter().sum::<f32>() / d as f32).collect()
}

/// A kind whose result changes must get a new version, and a new row here.
#[test]
fn results_are_those_of_the_versions() {
    let (_f, features) = saved(&features());
    let (_i, images) = saved(&images());
    let (_w, weights) = saved(&squeezenet([123.0, 117.0, 104.0]));
    let on_images = [("images", &images), ("weights", &weights)];
    let extracted = run::<ExtractFeatures>(
        json!({ "images": "images", "weights": "weights", "layer": "fire3" }),
        &on_images,
    )
    .unwrap();
    let svm = run::<FitSvm>(json!({ "features": "features" }), &[("features", &features)]).unwrap();
    let head =
        run::<FitHead>(json!({ "features": "features" }), &[("features", &features)]).unwrap();
    let chosen =
        run::<CrossValidate>(json!({ "features": "features" }), &[("features", &features)])
            .unwrap();
    let evaluate = |model: &Ran| {
        let inputs = [("model", &model.files("model")), ("features", &features)];
        run::<Evaluate>(json!({ "model": "model", "features": "features" }), &inputs).unwrap()
    };
    let (by_svm, by_head) = (evaluate(&svm), evaluate(&head));
    let predictions =
        [("first", &by_svm.files("predictions")), ("second", &by_head.files("predictions"))];
    let compared =
        run::<Compare>(json!({ "first": "first", "second": "second" }), &predictions).unwrap();
    let pca = run::<PcaCurve>(
        json!({ "features": "features", "components": [1, 2, 6, 500] }),
        &[("features", &features)],
    )
    .unwrap();
    let top5 = run::<PredictTop5>(json!({ "images": "images", "weights": "weights" }), &on_images)
        .unwrap();

    let everything = json!({
        "images": "images", "weights": "weights", "split": "", "test_split": "",
        "training": { "epochs": 1, "batch": 2 },
    });
    let tuned = run::<FineTune>(everything, &on_images).unwrap();

    let model = |ran: &Ran| ran.load::<Classifier>("model").model.weights().to_vec();
    let pins = [
        (Kind::of::<ExtractFeatures>(), pin(means(&extracted.load("features")))),
        (Kind::of::<FitSvm>(), pin(model(&svm))),
        (Kind::of::<CrossValidate>(), pin(chosen.load::<Table>("folds"))),
        (Kind::of::<Evaluate>(), pin(by_svm.load::<Metrics>("metrics"))),
        (Kind::of::<Compare>(), pin(compared.load::<Metrics>("metrics"))),
        (Kind::of::<FitHead>(), pin(model(&head))),
        (Kind::of::<PcaCurve>(), pin(pca.load::<Table>("curve"))),
        (Kind::of::<FineTune>(), pin(tuned.load::<Metrics>("metrics"))),
        (Kind::of::<PredictTop5>(), pin(top5.load::<Table>("predictions"))),
    ];
    assert_eq!(pins.len(), KINDS.len());
    let pins: Vec<String> = pins.iter().map(|(kind, pin)| format!("{kind:?} {pin}")).collect();
    insta::assert_snapshot!(pins.join("\n"), @"
    extract-features@5 0a22fef6eeb0f2b9
    fit-svm@3 711b22c07f09caa2
    cross-validate@3 d3c36c43d3b2a8ff
    evaluate@1 f3354f0390dca343
    compare@1 9d99e01b4236a5b7
    fit-head@2 c9a45d6e59481c8a
    pca@3 90d129552adea79f
    fine-tune@4 365ca1b15b04c472
    predict-top5@5 ccb2d0059502fe5f
    ");

    assert!(by_svm.load::<Metrics>("metrics").get("accuracy").unwrap() > 0.6);
    assert!(by_head.load::<Metrics>("metrics").get("accuracy").unwrap() > 0.6);
}

#[test]
fn c_comes_from_the_parameter_or_the_choice() {
    let (_f, files) = saved(&features());
    let inputs = [("features", &files)];
    let best = run::<CrossValidate>(
        json!({ "features": "features", "c": [0.001, 3.0], "folds": 4 }),
        &inputs,
    )
    .unwrap();
    let c = best.load::<Metrics>("best").get("c").unwrap();
    let chosen = run::<FitSvm>(
        json!({ "features": "features", "c_from": "c_from" }),
        &[("features", &files), ("c_from", &best.files("best"))],
    )
    .unwrap();
    let given = run::<FitSvm>(json!({ "features": "features", "c": c }), &inputs).unwrap();
    assert_eq!(chosen.files("model").digest(), given.files("model").digest());
    let both = json!({ "features": "features", "c": 1.0, "c_from": "c_from" });
    let error = run::<FitSvm>(both, &inputs).err().unwrap();
    assert_eq!(error.to_string(), "parameter `c`: expected either `c` or `c_from`, not both");
    let wrong = json!({ "features": "features", "split": "validation" });
    let error = run::<FitSvm>(wrong, &inputs).err().unwrap();
    assert_eq!(error.to_string(), "no split `validation`; there are: train, test");
}

#[test]
fn predictions_of_other_examples_are_not_compared() {
    let (_f, files) = saved(&features());
    let svm = run::<FitSvm>(json!({ "features": "features" }), &[("features", &files)]).unwrap();
    let on = |split: &str| {
        let inputs = [("model", &svm.files("model")), ("features", &files)];
        run::<Evaluate>(
            json!({ "model": "model", "features": "features", "split": split }),
            &inputs,
        )
        .unwrap()
    };
    let (test, train) = (on("test"), on("train"));
    let inputs = [("first", &test.files("predictions")), ("second", &train.files("predictions"))];
    let error = run::<Compare>(json!({ "first": "first", "second": "second" }), &inputs);
    assert_eq!(
        error.err().unwrap().to_string(),
        "input `second`: expected predictions of the same examples as in `first`"
    );
}

/// The rows whose classes pass `keep`, with the classes' names.
fn some_classes(keep: impl Fn(u32) -> bool, names: [&str; 3]) -> Features {
    let all = features();
    let rows: Vec<usize> = (0..all.len()).filter(|&i| keep(all.examples().labels[i])).collect();
    let examples =
        Examples { classes: names.map(String::from).into(), ..all.examples().select(&rows) };
    Features::new(examples, vec![12], all.gather(&rows)).unwrap()
}

#[test]
fn classes_are_the_classifiers_by_name() {
    let (_f, files) = saved(&features());
    let svm = run::<FitSvm>(json!({ "features": "features" }), &[("features", &files)]).unwrap();
    let on = |features: &Features, more: Value| -> Result<f64> {
        let (_o, other) = saved(features);
        let mut parameters = json!({ "model": "model", "features": "features" });
        parameters.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let ran =
            run::<Evaluate>(parameters, &[("model", &svm.files("model")), ("features", &other)])?;
        ran.load::<Metrics>("metrics").get("accuracy")
    };
    let expected = on(&features(), json!({})).unwrap();
    // The same rows, their classes listed in another order.
    let turned = |names: [&str; 3], places: [u32; 3]| {
        let all = features();
        let examples = Examples {
            classes: names.map(String::from).into(),
            labels: all.examples().labels.iter().map(|&label| places[label as usize]).collect(),
            ..all.examples().clone()
        };
        all.with_examples(examples).unwrap()
    };
    let other = turned(["Street", "forest", "coast"], [2, 1, 0]);
    assert_eq!(on(&other, json!({})).unwrap(), expected);
    let other = turned(["road", "forest", "beach"], [2, 1, 0]);
    let said = json!({ "classes": { "road": "street", "beach": 0 } });
    assert_eq!(on(&other, said).unwrap(), expected);
    let error = on(&other, json!({})).unwrap_err().to_string();
    assert!(error.contains("which of the network's classes is `road` (and 1 more)?"), "{error}");
}

#[test]
fn one_class_teaches_nothing() {
    let names = ["photos", "b", "c"];
    let (_f, files) = saved(&some_classes(|label| label == 0, names));
    let features = json!({ "features": "features" });
    let on_features = [("features", &files)];
    let one =
        images().with_examples(Examples { labels: vec![1; 4], ..images().examples().clone() });
    let (_i, images) = saved(&one.unwrap());
    let (_w, weights) = saved(&squeezenet([123.0, 117.0, 104.0]));
    let tuning = json!({ "images": "images", "weights": "weights", "split": "", "test_split": "" });
    let on_images = [("images", &images), ("weights", &weights)];
    for (refused, slot, class) in [
        (run::<FitSvm>(features.clone(), &on_features), "features", "photos"),
        (run::<FitHead>(features.clone(), &on_features), "features", "photos"),
        (run::<CrossValidate>(features.clone(), &on_features), "features", "photos"),
        (run::<PcaCurve>(features, &on_features), "features", "photos"),
        (run::<FineTune>(tuning, &on_images), "images", "y"),
    ] {
        let error = refused.err().unwrap().to_string();
        let start = format!("input `{slot}`: expected examples of two classes or more: all ");
        assert!(error.starts_with(&start), "{error}");
        assert!(error.contains(&format!("are of `{class}`")), "{error}");
    }
}

#[test]
fn what_is_not_finite_is_told_by_its_row_in_the_file() {
    let all = features();
    let test = all.examples().in_split("test").unwrap()[3];
    let mut values = all.values().to_vec();
    (values[test * 12 + 5], values[test * 12 + 6]) = (f32::NAN, f32::INFINITY);
    let folder = tempfile::tempdir().unwrap();
    all.save(folder.path()).unwrap();
    // As another program may write it: this one refuses to.
    let path = folder.path().join("features.safetensors");
    let mut bytes = std::fs::read(&path).unwrap();
    let start = bytes.len() - values.len() * 4;
    for (place, value) in values.iter().enumerate() {
        bytes[start + place * 4..][..4].copy_from_slice(&value.to_le_bytes());
    }
    std::fs::write(&path, bytes).unwrap();
    let files = Files::from_folder(folder.path()).unwrap();
    let svm = run::<FitSvm>(json!({ "features": "features" }), &[("features", &files)]).unwrap();
    let inputs = [("model", &svm.files("model")), ("features", &files)];
    let error = run::<Evaluate>(json!({ "model": "model", "features": "features" }), &inputs);
    let rows = all.examples().in_split("test").unwrap().len() * 12;
    assert_eq!(
        error.err().unwrap().to_string(),
        format!(
            "input `features`: expected finite numbers: of {rows} numbers 1 are NaN and 1 are infinite, first of row {test} \
             of the file (`{test:03}`) in column 5"
        )
    );
}

#[test]
fn a_size_that_the_network_cannot_take_is_named() {
    let (_i, images) = saved(&images());
    let (_w, weights) = saved(&squeezenet([123.0, 117.0, 104.0]));
    let inputs = [("images", &images), ("weights", &weights)];
    let with = |more: Value| {
        let mut parameters = json!({ "images": "images", "weights": "weights", "size": 8 });
        parameters.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        parameters
    };
    let everything =
        json!({ "split": "", "test_split": "", "training": { "epochs": 1, "batch": 2 } });
    for refused in [
        run::<PredictTop5>(with(json!({})), &inputs),
        run::<ExtractFeatures>(with(json!({ "layer": "logits" })), &inputs),
        run::<FineTune>(with(everything), &inputs),
    ] {
        let error = refused.err().unwrap().to_string();
        let start = "parameter `size`: squeezenet1_1 cannot take 8 × 8 pixels: ";
        assert!(error.starts_with(start), "{error}");
    }
    // What does not go through the whole network may be smaller.
    run::<ExtractFeatures>(with(json!({ "layer": "conv1" })), &inputs).unwrap();
}

#[test]
fn names_of_another_network_are_refused() {
    let (_i, images) = saved(&images());
    let mut weights = squeezenet([123.0, 117.0, 104.0]);
    weights.info.classes = vec!["a".into(), "b".into()];
    let (_w, weights) = saved(&weights);
    let inputs = [("images", &images), ("weights", &weights)];
    let logits = json!({ "images": "images", "weights": "weights", "layer": "logits" });
    for refused in [
        run::<PredictTop5>(json!({ "images": "images", "weights": "weights" }), &inputs),
        run::<ExtractFeatures>(logits, &inputs),
    ] {
        let error = refused.err().unwrap().to_string();
        assert!(
            error.starts_with("the network tells 1000 classes apart, the weights name 2"),
            "{error}"
        );
    }
}
