//! Whose class is it? Images in folders of their own, and networks that number classes otherwise.

use sconce_core::{Files, Result, Stage};
use sconce_data::{Examples, ImageSet, Table, Weights};
use serde_json::{Value, json};

use super::*;
use crate::testing::{Ran, images, model, run, saved, squeezenet};

/// The three pictures in folders `goldfish` (twice) and `tench`: the places 0 and 1 are the network's tench and goldfish.
fn in_folders(classes: [&str; 2]) -> ImageSet {
    let examples = Examples {
        classes: classes.map(str::to_owned).to_vec(),
        labels: vec![0, 0, 1],
        ..images().examples().clone()
    };
    images().with_examples(examples).unwrap()
}

fn unnamed() -> Weights {
    let mut weights = squeezenet(64);
    weights.info.classes.clear();
    weights
}

fn ask<S: Stage>(images: &ImageSet, weights: &Weights, more: Value) -> Result<Ran> {
    let ((_i, images), (_w, weights)) = (saved(images), saved(weights));
    let mut parameters = json!({ "images": "images", "weights": "weights" });
    parameters.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    // Lives as long as its files are read.
    let ran;
    let maps: Files;
    let mut inputs = vec![("images", &images), ("weights", &weights)];
    if S::KIND == MapQuality::KIND {
        let method = json!({ "images": "images", "weights": "weights", "method": "edges" });
        ran = run::<SaliencyMap>(method, &inputs)?;
        maps = ran.files("maps");
        parameters["maps"] = json!("maps");
        inputs.push(("maps", &maps));
    }
    run::<S>(parameters, &inputs)
}

fn words(table: &Table, column: &str) -> Vec<Option<String>> {
    let text = |value: &&Value| value.as_str().map(str::to_owned);
    table.values(column).unwrap().iter().map(text).collect()
}

/// What every kind that asks for an image's own class says.
fn refusals(images: &ImageSet, weights: &Weights) -> Vec<String> {
    let fgsm = json!({ "method": { "fgsm": {} }, "correct": true });
    let edges = json!({ "method": "edges", "of": "true" });
    [
        ask::<SaliencyMap>(images, weights, edges),
        ask::<MapQuality>(images, weights, json!({ "of": "true", "steps": 2 })),
        ask::<Mosaics>(images, weights, json!({ "of": "true" })),
        ask::<Attack>(images, weights, fgsm),
        ask::<OnePixel>(images, weights, json!({ "correct": true })),
        ask::<ClassVerdicts>(images, weights, json!({})),
    ]
    .map(|ran| ran.err().map_or("no error".to_owned(), |error| error.to_string()))
    .to_vec()
}

#[test]
fn a_folders_place_is_no_class() {
    for refusal in refusals(&in_folders(["goldfish", "tench"]), &unnamed()) {
        // A kind that looks at fewer images asks for fewer classes.
        assert_eq!(
            refusal.replace(" (and 1 more)", ""),
            "parameter `classes`: which of the network's classes is `goldfish`? The weights know 1000 classes \
             by number alone, the images have `goldfish`, `tench`. Name the network's by `class_names` of kind weights, or \
             say it: `classes = { goldfish = NAME_OR_NUMBER }`"
        );
    }
    for refusal in refusals(&in_folders(["goldfish", "pet"]), &squeezenet(64)) {
        assert!(
            refusal.starts_with(
                "parameter `classes`: which of the network's classes is `pet`? The images have"
            ),
            "{refusal}"
        );
    }
}

#[test]
fn what_is_true_is_told_by_name() {
    let edges = |more: Value, images: &ImageSet, weights: &Weights| -> Table {
        let mut all = json!({ "method": "edges" });
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        ask::<SaliencyMap>(images, weights, all).unwrap().load("table")
    };
    let predicted = json!({ "of": "predicted" });
    let table = edges(predicted.clone(), &in_folders(["goldfish", "tench"]), &unnamed());
    assert_eq!(words(&table, "truth"), [None, None, None]);
    assert!(table.values("right").unwrap().iter().all(|right| right.is_null()));

    let table = edges(predicted, &in_folders(["n01443537", "Tench"]), &squeezenet(64));
    let name = |number: u32| Some(model(64).class_name(number));
    assert_eq!(words(&table, "truth"), [name(1), name(1), name(0)]);

    // What is said comes to the same, by name or by number; the explained class is the said one.
    let said = json!({ "of": "true", "classes": { "cats": 285, "other": "hay" } });
    let table = edges(said, &in_folders(["cats", "other"]), &squeezenet(64));
    assert_eq!(words(&table, "class"), [name(285), name(285), name(958)]);
    let x = model(64).inputs(&images(), &[0, 1, 2]).unwrap();
    let probabilities: Vec<Vec<f32>> = model(64).probabilities(&x).unwrap().to_vec2().unwrap();
    for (row, class) in [285, 285, 958].into_iter().enumerate() {
        let told = table.numbers("probability").unwrap()[row];
        assert!((told - f64::from(probabilities[row][class])).abs() < 1e-6);
    }
    let said = json!({ "of": "true", "classes": { "cats": 285, "other": 958 } });
    let table = edges(said, &in_folders(["cats", "other"]), &unnamed());
    assert_eq!(words(&table, "class"), ["285", "285", "958"].map(|n| Some(n.to_owned())));
}

#[test]
fn numbers_that_a_kind_wrote_are_known_again() {
    let (_w, weights) = saved(&unnamed());
    let drawn = run::<VisualiseClass>(
        json!({ "weights": "weights", "class": "285", "size": 32, "steps": 1 }),
        &[("weights", &weights)],
    );
    // Lives as long as its files are read.
    let drawn = drawn.unwrap();
    let pictures: ImageSet = drawn.load("picture");
    assert_eq!(pictures.examples().class_of(0), Some("285"));
    let verdicts: Table =
        ask::<ClassVerdicts>(&pictures, &unnamed(), json!({})).unwrap().load("verdicts");
    assert_eq!(words(&verdicts, "target"), [Some("285".to_owned())]);
}

#[test]
fn names_of_another_network_are_refused_everywhere() {
    let mut weights = squeezenet(64);
    weights.info.classes.truncate(10);
    for refusal in refusals(&in_folders(["goldfish", "tench"]), &weights) {
        assert!(
            refusal.starts_with("the network tells 1000 classes apart, the weights name 10"),
            "{refusal}"
        );
    }
}
