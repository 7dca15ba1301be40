use sconce_core::{Digest, Files, Result};
use sconce_data::{Color, Features, ImageSet, Metrics, Table, Weights, WeightsInfo};
use serde_json::{Value, json};

use super::*;
use crate::metrics::testing::close;
use crate::testing::{Ran, run_seeded, saved};

fn names<const N: usize>(names: [&str; N]) -> Vec<String> {
    names.map(str::to_owned).to_vec()
}

fn with(mut parameters: Value, more: &Value) -> Value {
    parameters.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    parameters
}

/// `count` examples of three classes in turn, the first `first` of the one split and the others of the other.
fn examples(prefix: &str, count: usize, first: usize, splits: [&str; 2]) -> Examples {
    Examples {
        ids: (0..count).map(|i| format!("{prefix}/{i:02}.png")).collect(),
        classes: names(["cat", "dog", "bird"]),
        labels: (0..count as u32).map(|i| i % 3).collect(),
        splits: names(splits),
        split: (0..count).map(|i| u32::from(i >= first)).collect(),
    }
}

/// A number in [0, 1), by the finaliser of SplitMix64.
fn random(seed: u64, i: usize) -> f32 {
    let mut x = (seed * 100_000 + i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((x ^ (x >> 31)) >> 40) as f32 / (1u64 << 24) as f32
}

/// 100 rows of 4 numbers about three centres, 60 to train.
fn real() -> Features {
    let value = |i: usize| random(1, i) + if i % 4 == i / 4 % 3 { 2.0 } else { 0.0 };
    let examples = examples("real", 100, 60, ["train", "test"]);
    Features::new(examples, vec![4], (0..400).map(value).collect()).unwrap()
}

/// Two snapshots: 30 rows far from the real ones, and 30 near them.
fn generated() -> Features {
    let examples = examples("sample", 60, 30, ["step 10", "step 20"]);
    let value = |i: usize| {
        let far = if i < 120 { 1.5 } else { 0.0 };
        random(2, i) + far + if i % 4 == i / 4 % 3 { 2.0 } else { 0.0 }
    };
    Features::new(examples, vec![4], (0..240).map(value).collect()).unwrap()
}

/// All of the first snapshot are taken for cats; the second's are what they should be, but for the last.
fn logits() -> Features {
    let value = |i: usize| {
        let (row, class) = (i / 3, i % 3);
        let taken = if row < 30 || row == 59 { 0 } else { row % 3 };
        if class == taken { 3.0 } else { random(3, i) }
    };
    let examples = examples("sample", 60, 30, ["step 10", "step 20"]);
    Features::new(examples, vec![3], (0..180).map(value).collect()).unwrap()
}

fn measured_of(real: &Features, generated: &Features, more: &Value) -> Result<Ran> {
    let ((_r, real), (_g, generated)) = (saved(real), saved(generated));
    let (_l, logits) = saved(&logits());
    let parameters = json!({
        "real": "real", "generated": "generated", "logits": "logits", "subsets": 4, "subset_images": 20,
    });
    run_seeded::<GenerationMetrics>(
        0,
        with(parameters, more),
        &[("real", &real), ("generated", &generated), ("logits", &logits)],
    )
}

fn measured(more: &Value) -> Result<Ran> {
    measured_of(&real(), &generated(), more)
}

fn said(refused: Result<Ran>) -> String {
    refused.err().unwrap().to_string()
}

/// Grey images of 6 × 5 with classes and splits; the first of the test split is a copy of the first to train.
fn images(prefix: &str) -> ImageSet {
    let seed = prefix.len() as u64;
    let mut samples: Vec<u8> = (0..12 * 30).map(|i| (random(seed, i) * 255.0) as u8).collect();
    samples.copy_within(0..30, 8 * 30);
    let examples = examples(prefix, 12, 8, ["train", "test"]);
    ImageSet::packed(examples, Color::Grey, 6, 5, samples).unwrap()
}

fn altered(seed: u64, more: &Value) -> Result<Ran> {
    let (_i, images) = saved(&images("real"));
    let parameters = with(json!({ "images": "images" }), more);
    run_seeded::<AlterImages>(seed, parameters, &[("images", &images)])
}

fn neighbours(more: &Value) -> Result<Ran> {
    let ((_r, real), (_g, generated)) = (saved(&images("real")), saved(&images("sample")));
    let parameters =
        json!({ "images": "images", "real": "real", "neighbours": 2, "max_images": 3 });
    run_seeded::<NearestImages>(
        0,
        with(parameters, more),
        &[("images", &generated), ("real", &real)],
    )
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

fn pixels(images: &ImageSet) -> Vec<u8> {
    (0..images.len()).flat_map(|i| images.content(i).unwrap().into_owned()).collect()
}

/// A kind whose result changes must get a new version, and a new row here.
#[test]
fn results_are_those_of_the_versions() {
    let noise = altered(0, &json!({ "method": "noise" })).unwrap().load::<ImageSet>("images");
    let blur = altered(0, &json!({ "method": "blur" })).unwrap().load::<ImageSet>("images");
    let measured = measured(&json!({})).unwrap();
    let measured = (measured.load::<Table>("curve"), measured.load::<Table>("classes"));
    let near = neighbours(&json!({})).unwrap();
    let near = (near.load::<Table>("neighbours"), near.load::<Table>("samples"));
    let pins = [
        (Kind::of::<AlterImages>(), pin((pixels(&noise), pixels(&blur)))),
        (Kind::of::<GenerationMetrics>(), pin(measured)),
        (Kind::of::<NearestImages>(), pin(near)),
    ];
    let pins: Vec<String> = pins.iter().map(|(kind, pin)| format!("{kind:?} {pin}")).collect();
    insta::assert_snapshot!(pins.join("\n"), @"
    alter-images@1 079095742f43aa9c
    generation-metrics@3 a0485cdb095502b3
    nearest-images@1 1bc8ac11d88049a5
    ");
}

#[test]
fn each_snapshot_has_a_row_and_the_last_is_the_metrics() {
    let ran = measured(&json!({})).unwrap();
    let (curve, metrics) = (ran.load::<Table>("curve"), ran.load::<Metrics>("metrics"));
    assert_eq!(curve.numbers("step").unwrap(), [10.0, 20.0]);
    assert_eq!(curve.values("judge").unwrap(), [&Value::Null, &Value::Null]);
    for name in ["fid", "kid", "kid_mean", "fld"] {
        let column = curve.numbers(name).unwrap();
        assert!(column[0] > column[1], "{name}: {column:?}");
        assert_eq!(metrics.get(name).unwrap(), column[1], "{name}");
    }
    for name in ["precision", "recall", "density", "coverage"] {
        let column = curve.numbers(name).unwrap();
        assert!(column[0] < 0.2 && column[1] > 0.7, "{name}: {column:?}");
    }
    let near = metrics.get("nearer_to_train").unwrap();
    assert!((0.2..0.8).contains(&near), "{near}");
    assert_eq!(metrics.get("images").unwrap(), 30.0);
    assert_eq!(metrics.get("real_images").unwrap(), 60.0);
    assert_eq!(metrics.get("test_images").unwrap(), 40.0);
}

#[test]
fn the_judge_tells_classes_and_agreement() {
    let ran = measured(&json!({ "measures": [] })).unwrap();
    let (curve, metrics) = (ran.load::<Table>("curve"), ran.load::<Metrics>("metrics"));
    assert_eq!(curve.numbers("classes_seen").unwrap(), [1.0, 3.0]);
    close(curve.numbers("agreement").unwrap()[0], 10.0 / 30.0);
    close(metrics.get("agreement").unwrap(), 29.0 / 30.0);
    assert_eq!(curve.numbers("class_entropy").unwrap()[0], 0.0);
    assert_eq!(metrics.classes, ["cat", "dog", "bird"]);
    assert_eq!(metrics.array("confusion").unwrap().data[6..], [1.0, 0.0, 9.0]);
    close(metrics.array("class_share").unwrap().data[0], 11.0 / 30.0);
    let classes: Table = ran.load("classes");
    assert_eq!(classes.numbers("images").unwrap(), [30.0, 0.0, 0.0, 11.0, 10.0, 9.0]);
    assert_eq!(classes.numbers("agreeing").unwrap(), [10.0, 0.0, 0.0, 10.0, 10.0, 9.0]);
    assert!(curve.column("fid").is_err());
}

/// Classes are the judge's, in its order, and its digest stands in each row.
#[test]
fn the_judges_digest_and_classes_stand_in_the_tables() {
    let ((_r, real), (_g, generated), (_l, logits)) =
        (saved(&real()), saved(&generated()), saved(&logits()));
    let of = |classes: &[&str]| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("judge.safetensors");
        let tensor =
            candle_core::Tensor::zeros(2, candle_core::DType::F32, &candle_core::Device::Cpu);
        candle_core::safetensors::save(&[("a", tensor.unwrap())].into(), &path).unwrap();
        let preprocessing = json!({ "channels": "grey", "scale": 1, "mean": [0], "std": [1] });
        let info = WeightsInfo {
            architecture: "lenet5".to_owned(),
            preprocessing: serde_json::from_value(preprocessing).unwrap(),
            classes: classes.iter().map(|&class| class.to_owned()).collect(),
        };
        saved(&Weights::open(&path, info).unwrap())
    };
    let with_judge = |judge: &Files| {
        let parameters = json!({
            "real": "real", "generated": "generated", "logits": "logits", "judge": "judge", "measures": [],
        });
        let inputs =
            [("real", &real), ("generated", &generated), ("logits", &logits), ("judge", judge)];
        run_seeded::<GenerationMetrics>(0, parameters, &inputs)
    };
    let (_j, judge) = of(&["bird", "cat", "dog"]);
    let ran = with_judge(&judge).unwrap();
    let metrics: Metrics = ran.load("metrics");
    assert_eq!(metrics.classes, ["bird", "cat", "dog"]);
    // What the first logit is for is a bird now: wanted are cats, dogs and birds, judged birds, cats and dogs.
    close(metrics.get("agreement").unwrap(), 1.0 / 30.0);
    assert_eq!(
        metrics.array("confusion").unwrap().data,
        [1.0, 0.0, 9.0, 10.0, 0.0, 0.0, 0.0, 10.0, 0.0]
    );
    let digest = json!(judge.digest().short());
    for (table, rows) in [("curve", 2), ("classes", 6)] {
        assert_eq!(ran.load::<Table>(table).values("judge").unwrap(), vec![&digest; rows]);
    }
    let (_j, stranger) = of(&["bird", "cat", "horse"]);
    let error = said(with_judge(&stranger));
    assert!(
        error.starts_with("parameter `classes`: which of the network's classes is `dog`?"),
        "{error}"
    );
    let (_j, smaller) = of(&["bird", "cat"]);
    let error = said(with_judge(&smaller));
    assert!(error.starts_with("input `judge`: the network tells 3 classes apart"), "{error}");
}

/// A real set beside itself: the distance is 0, the unbiased kernel distance below 0, and all are copies.
#[test]
fn training_images_are_found_to_be_memorised() {
    let more = json!({ "generated_split": "train", "logits": null, "least_share": 0 });
    let found = measured_of(&real(), &real(), &more).unwrap().load::<Metrics>("metrics");
    let of = |name: &str| found.get(name).unwrap();
    assert!(of("fid") < 1e-6 && of("kid") < 0.0, "{found:?}");
    assert_eq!((of("precision"), of("recall"), of("coverage")), (1.0, 1.0, 1.0));
    assert_eq!(of("density"), 1.0);
    assert_eq!((of("nearer_to_train"), of("distance_ratio")), (1.0, 0.0), "{found:?}");
    assert!(of("fld") > 1000.0, "{found:?}");
}

/// Copies are found among all training images, also of those that `max_images` leaves out.
#[test]
fn copies_are_found_with_more_training_images_than_are_compared() {
    let more = json!({ "generated_split": "train", "logits": null, "max_images": 12,
        "measures": ["memorising", "likelihood"] });
    let found = measured_of(&real(), &real(), &more).unwrap().load::<Metrics>("metrics");
    let of = |name: &str| found.get(name).unwrap();
    assert_eq!((of("images"), of("real_images"), of("test_images")), (12.0, 12.0, 12.0));
    assert_eq!((of("nearer_to_train"), of("distance_ratio")), (1.0, 0.0), "{found:?}");
    assert!(of("fld") > 1000.0, "{found:?}");
    // Of all splits those that are tested on were not trained on.
    let all = json!({ "split": "", "generated_split": "test", "logits": null, "measures": ["memorising"] });
    let found = measured_of(&real(), &real(), &all).unwrap().load::<Metrics>("metrics");
    assert_eq!(found.get("nearer_to_train").unwrap(), 0.0);
    assert_eq!(found.get("distance_ratio").unwrap(), 1.0);
}

#[test]
fn what_is_not_asked_for_is_not_computed() {
    let ran = measured(&json!({ "measures": ["fid", "memorising"], "test_split": "" })).unwrap();
    let curve: Table = ran.load("curve");
    let numbers: Vec<&str> = curve.columns[6..].iter().map(|c| c.name.as_str()).collect();
    assert_eq!(numbers, ["fid", "class_entropy", "classes_seen", "inception_score", "agreement"]);
    assert_eq!(curve.values("test_images").unwrap(), [&Value::Null, &Value::Null]);
    // Too few for 4 features, and for subsets: left out, not made up.
    let few = measured(&json!({ "max_images": 15, "measures": ["fid-infinity", "kid-subsets"] }));
    let few: Table = few.unwrap().load("curve");
    assert!(few.values("fid_infinity").unwrap().iter().all(|value| value.is_null()));
    assert!(few.values("kid_deviation").unwrap().iter().all(|value| value.is_null()));
    assert_eq!(few.numbers("images").unwrap(), [15.0, 15.0]);
}

#[test]
fn what_cannot_be_measured_is_told() {
    for (more, message) in [
        (json!({ "max_images": 1 }), "parameter `max_images`: expected 2 or more, found 1"),
        (
            json!({ "least_share": 3.0 }),
            "parameter `least_share`: expected a share of 0 to 1, found 3",
        ),
        (
            json!({ "test_split": "train" }),
            "parameter `test_split`: expected another split than `split`: what was not trained on",
        ),
        (
            json!({ "test_split": "new" }),
            "parameter `test_split`: no split `new`; there are: train, test",
        ),
        (
            json!({ "generated_split": "step 30" }),
            "parameter `generated_split`: no split `step 30`; there are: step 10, step 20",
        ),
        (
            json!({ "nearest": 30 }),
            "parameter `nearest`: expected more than k = 30 samples, and k of 1 or more; found 30 samples",
        ),
    ] {
        assert_eq!(said(measured(&more)), message);
    }
    let other = Features::new(generated().examples().clone(), vec![2], vec![0.0; 120]).unwrap();
    assert_eq!(
        said(measured_of(&real(), &other, &json!({}))),
        "input `generated`: expected the features of the real images' layer: rows of shape [4], found [2]"
    );
    assert_eq!(
        said(measured_of(&real(), &real(), &json!({}))),
        "input `logits`: expected logits of the generated images, in their order"
    );
}

#[test]
fn altered_images_keep_names_and_classes() {
    let original = images("real");
    let of = |seed: u64, more: Value| altered(seed, &more).unwrap().load::<ImageSet>("images");
    let noise = of(0, json!({ "method": "noise", "split": "train" }));
    assert_eq!(noise.examples(), &original.examples().select(&[0, 1, 2, 3, 4, 5, 6, 7]));
    assert_ne!(pixels(&noise), pixels(&of(1, json!({ "method": "noise", "split": "train" }))));
    let normal = of(0, json!({ "method": "noise", "split": "train", "distribution": "normal" }));
    assert_ne!(pixels(&noise), pixels(&normal));
    let without = of(0, json!({ "method": "drop-class", "class": "dog" }));
    assert_eq!(without.examples().labels, [0, 2, 0, 2, 0, 2, 0, 2]);
    assert_eq!(without.content(1).unwrap(), original.content(2).unwrap());
    let drawn = of(0, json!({ "method": "as-is", "max_images": 5 }));
    assert_eq!(drawn.len(), 5);
    assert_ne!(
        drawn.examples().ids,
        of(3, json!({ "method": "as-is", "max_images": 5 })).examples().ids
    );
    let blur = of(0, json!({ "method": "blur", "blurred": 0.3 }));
    let spread = |images: &ImageSet| {
        let values = pixels(images);
        let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / values.len() as f64;
        values.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>()
    };
    assert!(spread(&blur) < spread(&original) / 2.0);
}

#[test]
fn alterations_that_cannot_be_made_are_told() {
    for (more, message) in [
        (
            json!({ "method": "drop-class" }),
            "parameter `class`: expected the class that is left out",
        ),
        (
            json!({ "method": "blur", "class": "dog" }),
            "parameter `class`: expected it with `method = \"drop-class\"` alone",
        ),
        (
            json!({ "method": "blur", "blurred": 0 }),
            "parameter `blurred`: expected a share between 0 and 1, found 0",
        ),
        (
            json!({ "method": "drop-class", "class": "horse" }),
            "parameter `class`: expected the name or the number of a class, found `horse`",
        ),
        (
            json!({ "method": "as-is", "max_images": 0 }),
            "parameter `max_images`: expected 1 or more, found 0",
        ),
    ] {
        assert_eq!(said(altered(0, &more)), message);
    }
}

#[test]
fn neighbours_stand_beside_each_image() {
    let ((_r, real), (_g, generated)) = (saved(&images("real")), saved(&images("real")));
    let parameters =
        json!({ "images": "images", "real": "real", "neighbours": 2, "max_images": 3 });
    let inputs = [("images", &generated), ("real", &real)];
    let ran = run_seeded::<NearestImages>(0, parameters, &inputs).unwrap();
    let images: ImageSet = ran.load("images");
    assert_eq!(images.len(), 9);
    assert_eq!(images.examples().ids[3..6], ["001/sample", "001/1", "001/2"]);
    assert_eq!(images.content(3).unwrap(), images.content(4).unwrap());
    let table: Table = ran.load("neighbours");
    assert_eq!(table.rows[0][..3], [json!("000/sample"), json!("real/00.png"), json!(0)]);
    assert_eq!(table.rows[1][2..], [json!(1), json!("real/00.png"), json!("cat"), json!(0.0)]);
    assert!(table.rows[2][5].as_f64().unwrap() > 0.1);
    let samples: Table = ran.load("samples");
    // The first test image is a copy of the first image.
    assert_eq!(
        samples.rows[0][2..],
        [json!("real/00.png"), json!(0.0), json!("real/08.png"), json!(0.0)]
    );
    assert!(samples.numbers("test_distance").unwrap()[1] > 0.1);
}

#[test]
fn features_decide_where_they_are_given() {
    let of = |prefix: &str, shift: usize| {
        let values = (0..12).map(|i| ((i + shift) % 12) as f32).collect();
        let examples = examples(prefix, 12, 8, ["train", "test"]);
        saved(&Features::new(examples, vec![1], values).unwrap())
    };
    let ((_a, generated), (_b, real)) = (of("sample", 3), of("real", 0));
    let ((_r, real_images), (_g, images)) = (saved(&images("real")), saved(&images("sample")));
    let parameters = json!({
        "images": "images", "real": "real", "features": "features", "real_features": "real_features",
        "neighbours": 1, "max_images": 2, "test_split": "",
    });
    let inputs = [
        ("images", &images),
        ("real", &real_images),
        ("features", &generated),
        ("real_features", &real),
    ];
    let ran = run_seeded::<NearestImages>(0, parameters.clone(), &inputs).unwrap();
    let samples: Table = ran.load("samples");
    let nearest = samples.values("nearest_train").unwrap();
    assert_eq!(nearest, [&json!("real/03.png"), &json!("real/04.png")]);
    assert!(samples.values("nearest_test").unwrap().iter().all(|value| value.is_null()));
    let drawn = with(parameters.clone(), &json!({ "draw": true }));
    let drawn = run_seeded::<NearestImages>(1, drawn, &inputs).unwrap();
    assert_ne!(drawn.load::<Table>("samples"), samples);

    let inputs = [
        ("images", &images),
        ("real", &real_images),
        ("features", &real),
        ("real_features", &real),
    ];
    assert_eq!(
        said(run_seeded::<NearestImages>(0, parameters.clone(), &inputs)),
        "input `features`: expected features of the images, in their order"
    );
    let half = with(parameters, &json!({ "real_features": null }));
    assert_eq!(
        said(run_seeded::<NearestImages>(0, half, &inputs)),
        "parameter `real_features`: expected features of both sets, or of none"
    );
    assert_eq!(
        said(neighbours(&json!({ "neighbours": 0 }))),
        "parameter `neighbours`: expected 1 or more, found 0"
    );
}
