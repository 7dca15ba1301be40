//! The kinds that fool, run as the engine runs them.

use sconce_core::{Kind, Result};
use sconce_data::{ImageSet, Metrics, Table};
use serde_json::{Value, json};

use super::{Attack, OnePixel};
use crate::testing::{Ran, images, pin, run, saved, squeezenet};

fn attack(more: Value) -> Result<Ran> {
    let (_i, images) = saved(&images());
    let (_w, weights) = saved(&squeezenet(64));
    let mut parameters = json!({ "images": "images", "weights": "weights" });
    parameters.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    run::<Attack>(parameters, &[("images", &images), ("weights", &weights)])
}

fn one_pixel(more: Value) -> Result<Ran> {
    let (_i, images) = saved(&images());
    let (_w, weights) = saved(&squeezenet(48));
    let mut parameters = json!({
        "images": "images", "weights": "weights", "population": 8, "generations": 3, "pixels": 3
    });
    parameters.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    run::<OnePixel>(parameters, &[("images", &images), ("weights", &weights)])
}

/// What the versions of the kinds give.
pub(super) fn pins() -> Vec<(Kind, String)> {
    let attacked = attack(json!({ "method": { "pgd": { "epsilon": 4, "steps": 3 } } })).unwrap();
    let pixels = one_pixel(json!({})).unwrap();
    vec![
        (Kind::of::<Attack>(), pin(attacked.load::<Metrics>("metrics"))),
        (Kind::of::<OnePixel>(), pin(pixels.load::<Table>("results"))),
    ]
}

fn texts(table: &Table, column: &str) -> Vec<String> {
    let text = |value: &&Value| value.as_str().unwrap_or_default().to_owned();
    table.values(column).unwrap().iter().map(text).collect()
}

#[test]
fn images_are_fooled_as_files_too() {
    let ran = attack(json!({
        "method": { "pgd": { "epsilon": 16, "step": 2, "steps": 60, "until": "rounded" } },
        "target": { "classes": ["stingray", "hay"] },
    }))
    .unwrap();
    let table: Table = ran.load("results");
    let metrics: Metrics = ran.load("metrics");
    assert_eq!(texts(&table, "target"), ["stingray", "hay", "stingray"]);
    assert_eq!(texts(&table, "rounded"), texts(&table, "target"));
    assert_eq!(metrics.get("rounded_success").unwrap(), 1.0);
    assert!(ran.load::<Metrics>("timings").get("seconds").unwrap() > 0.0);

    // The distances are those of the two image sets, and the network says of the fooled set what the table does.
    let (before, after): (ImageSet, ImageSet) = (ran.load("originals"), ran.load("fooled"));
    assert_eq!(before.examples(), after.examples());
    let model = crate::testing::model(64);
    for (i, l2) in table.numbers("rounded_l2").unwrap().into_iter().enumerate() {
        let (a, b) = (before.decode(i).unwrap(), after.decode(i).unwrap());
        let squares = a.samples().iter().zip(b.samples());
        let squares = squares.map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2));
        assert!((squares.sum::<f64>().sqrt() - l2).abs() < 1e-3 && l2 > 0.0);
        let class = model.predict(&model.inputs(&after, &[i]).unwrap()).unwrap()[0];
        assert_eq!(model.class_name(class), texts(&table, "rounded")[i]);
    }
}

#[test]
fn every_method_runs_and_is_the_same_with_two_threads() {
    for method in [
        json!({ "fgsm": {} }),
        json!({ "pgd": { "epsilon": 400, "norm": "l2", "random_start": true } }),
        json!({ "deepfool": { "steps": 5 } }),
        json!({ "carlini-wagner": { "steps": 15, "searches": 2 } }),
    ] {
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let ran = attack(json!({ "method": method, "max_images": 2 })).unwrap();
                (ran.files("fooled").digest(), ran.files("results").digest())
            })
        };
        assert_eq!(with(1), with(2), "{method}");
    }
}

#[test]
fn pixels_are_found_the_same_with_two_threads() {
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| one_pixel(json!({})).unwrap())
    };
    let (one, two) = (with(1), with(2));
    for output in ["fooled", "originals", "results", "metrics"] {
        assert_eq!(one.files(output).digest(), two.files(output).digest(), "{output}");
    }
    let table: Table = one.load("results");
    for (l0, changes) in table.numbers("l0").unwrap().into_iter().zip(texts(&table, "changes")) {
        assert!(l0 <= 3.0);
        assert_eq!(changes.matches('→').count(), 3, "{changes}");
    }
}

#[test]
fn what_cannot_be_attacked_is_told() {
    let error = |more: Value| attack(more).err().unwrap().to_string();
    for (more, message) in [
        (json!({ "method": { "ascent": {} } }), "parameter `target`: gradient ascent"),
        (
            json!({ "method": { "fgsm": {} }, "max_images": 0 }),
            "parameter `max_images`: expected at least 1",
        ),
        (json!({ "method": { "fgsm": {} }, "split": "test" }), "expected a split `test`"),
        (
            json!({ "method": { "fgsm": {} }, "target": { "classes": ["nothing"] } }),
            "found `nothing`",
        ),
        (json!({ "method": { "fgsm": { "norm": "l2" } } }), "unknown field `norm`"),
        (json!({ "method": { "fgms": {} } }), "unknown variant `fgms`"),
    ] {
        let error = error(more);
        assert!(error.contains(message), "{error}");
    }
    let error = |more: Value| one_pixel(more).err().unwrap().to_string();
    for (more, message) in [
        (json!({ "population": 3 }), "parameter `population`: expected at least 4"),
        (json!({ "pixels": 0 }), "parameter `pixels`"),
        (json!({ "crossover": 2 }), "parameter `crossover`"),
        (json!({ "weight": 0 }), "parameter `weight`"),
    ] {
        let error = error(more);
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn only_images_that_are_known_are_attacked_where_that_is_asked_for() {
    let ran = attack(json!({ "method": { "fgsm": {} }, "correct": true }));
    match ran {
        Ok(ran) => {
            let table: Table = ran.load("results");
            assert!(!table.rows.is_empty());
            assert_eq!(texts(&table, "label"), texts(&table, "before"));
        }
        Err(error) => assert!(error.to_string().contains("no image to attack"), "{error}"),
    }
}
