//! The methods' view of real networks: gradients, files, threads.

use std::path::Path;

use candle_core::Device;
use rand::RngExt;
use sconce_core::random::generator;
use sconce_data::classes::Outputs;
use sconce_data::{Channels, Preprocessing, Weights, WeightsInfo};
use sconce_models::variables::Variables;
use sconce_models::{architecture, from_tensors};
use serde_json::json;

use super::*;
use crate::Model;

fn squeezenet() -> Model {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/assets/squeezenet1_1.safetensors");
    let preprocessing: Preprocessing = serde_json::from_value(json!({
        "channels": "bgr", "scale": 255, "mean": [104, 117, 123], "std": [1, 2, 0.5], "size": 40, "fit": "stretch"
    }))
    .unwrap();
    let info =
        WeightsInfo { architecture: "squeezenet1_1".into(), preprocessing, classes: Vec::new() };
    Model::load(&Weights::open(&path, info).unwrap(), None, Device::Cpu).unwrap()
}

fn lenet() -> Model {
    let parameters = architecture("lenet5").unwrap().parameters();
    let variables = Variables::drawn(&parameters, 3, &Device::Cpu).unwrap();
    let network = from_tensors("lenet5", &variables.live()).unwrap();
    let preprocessing: Preprocessing = serde_json::from_value(json!({
        "channels": "grey", "scale": 1, "mean": [0.1307], "std": [0.3081], "size": 28, "fit": "stretch"
    }))
    .unwrap();
    Model::new(network, preprocessing, Vec::new(), Device::Cpu).unwrap()
}

fn models() -> [(Model, [usize; 3]); 2] {
    [(squeezenet(), [3, 40, 40]), (lenet(), [1, 28, 28])]
}

/// A smooth image of whole levels.
fn image([channels, height, width]: [usize; 3]) -> Vec<f32> {
    let sample = |i: usize| {
        let (c, y, x) = (i / (height * width), i / width % height, i % width);
        127.0 + 60.0 * ((x + 7 * c) as f32 / 5.0).sin() + 60.0 * (y as f32 / 7.0).cos()
    };
    (0..channels * height * width).map(|i| sample(i).round()).collect()
}

/// The derivatives of what the methods climb, along random directions, against central differences.
#[test]
fn gradients_agree_with_finite_differences() {
    for (model, shape) in models() {
        let classifier = Attacked::new(&model, shape, &|| Ok(()));
        let x = image(shape);
        let logits = logits_of(&classifier, x.clone()).unwrap();
        let class = predicted(&logits);
        let target = (class + 3) % logits.len();
        let mut rng = generator(1, "directions");
        type Objective = Box<dyn Fn(&[f32]) -> f64>;
        let entropy = |z: &[f32], class: usize| -softmax(z)[class].ln();
        let cases: [(Vec<f32>, Objective); 3] = [
            (
                ascent::one_hot(logits.len(), target),
                Box::new(move |z: &[f32]| f64::from(z[target])),
            ),
            (
                Goal::Reach(target).margin_weights(&logits),
                Box::new(move |z: &[f32]| f64::from(Goal::Reach(target).margin(z))),
            ),
            (
                Goal::Leave(class).loss_weights(&logits),
                Box::new(move |z: &[f32]| entropy(z, class)),
            ),
        ];
        for (case, (weights, objective)) in cases.into_iter().enumerate() {
            let gradient = pull_back_one(&classifier, &x, |_| weights.clone()).unwrap().gradient;
            let at = |step: f32, direction: &[f32]| {
                let moved = x.iter().zip(direction).map(|(x, d)| x + step * d).collect();
                objective(&logits_of(&classifier, moved).unwrap())
            };
            // Half along the gradient, so that the derivative is not lost in rounding; half random.
            let norm = l2(&gradient) as f32;
            let mut ratios = Vec::new();
            for _ in 0..4 {
                let mut direction: Vec<f32> =
                    x.iter().map(|_| (rng.random::<f32>() - 0.5) * 2.0).collect();
                let random = l2(&direction) as f32;
                for (d, g) in direction.iter_mut().zip(&gradient) {
                    *d = *d / random + g / norm;
                }
                let step = 0.03;
                let difference =
                    (at(step, &direction) - at(-step, &direction)) / f64::from(2.0 * step);
                let along: f64 =
                    direction.iter().zip(&gradient).map(|(d, g)| f64::from(d * g)).sum();
                ratios.push(difference / along);
            }
            // The loss's weights are scaled: the ratio is one number, and not 1.
            let mean = if case == 2 { ratios.iter().sum::<f64>() / 4.0 } else { 1.0 };
            for ratio in &ratios {
                assert!((ratio / mean - 1.0).abs() < 0.01, "{shape:?} {case} {ratios:?}");
            }
        }
    }
}

#[test]
fn levels_and_files_are_the_same_image() {
    for (model, shape) in models() {
        let classifier = Attacked::new(&model, shape, &|| Ok(()));
        let levels: Vec<f32> = image(shape).into_iter().map(|x| x + 0.3).collect();
        let file = classifier.image(&levels).unwrap();
        let [channels, height, width] = shape;
        let flip = model.preprocessing().channels == Channels::Bgr;
        for (i, sample) in file.samples().iter().enumerate() {
            let (pixel, c) = (i / channels, i % channels);
            let c = if flip { 2 - c } else { c };
            assert_eq!(f32::from(*sample), levels[c * height * width + pixel].round());
        }
        let direct = logits_of(&classifier, rounded(&levels)).unwrap();
        for (a, b) in classifier.logits_of_file(&file).unwrap().iter().zip(&direct) {
            assert!((a - b).abs() < 1e-3 * b.abs().max(1.0), "{a} {b}");
        }
        // Units of the input: 255 · std / scale.
        let unit = classifier.input_unit();
        let mut moved = levels.clone();
        moved[0] += unit[0];
        let inputs = |levels: &[f32]| {
            let pixels =
                candle_core::Tensor::from_slice(levels, (1, channels, height, width), &Device::Cpu);
            model
                .to_inputs(&pixels.unwrap())
                .unwrap()
                .flatten_all()
                .unwrap()
                .to_vec1::<f32>()
                .unwrap()
        };
        assert!((inputs(&moved)[0] - inputs(&levels)[0] - 1.0).abs() < 1e-4);
    }
}

#[test]
fn threads_change_no_bit_and_a_stop_is_heard() {
    let (model, shape) = (lenet(), [1, 28, 28]);
    let x = image(shape);
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let classifier = Attacked::new(&model, shape, &|| Ok(()));
            let now = predicted(&logits_of(&classifier, x.clone()).unwrap());
            let method: Method =
                serde_json::from_value(json!({ "carlini-wagner": { "steps": 20 } })).unwrap();
            let goal = Goal::Reach((now + 1) % 10);
            let drawn = method.run(&classifier, &x, goal, &mut generator(1, "none")).unwrap();
            let evolution = Evolution { generations: 5, weight: 0.5, crossover: 1.0 };
            let one_pixel = OnePixel { pixels: 3, population: 50, evolution };
            let found = one_pixel.run(&classifier, &x, goal, &mut generator(1, "pixels")).unwrap();
            (drawn, found)
        })
    };
    assert_eq!(run(1), run(2));
    let stopped = Attacked::new(&model, shape, &|| Err(sconce_core::Error::Cancelled));
    assert!(matches!(stopped.logits(std::slice::from_ref(&x)), Err(sconce_core::Error::Cancelled)));
    assert!(stopped.pull_back(&[x], &|_, z| vec![1.0; z.len()]).is_err());
}

#[test]
fn targets() {
    let classes: Vec<String> =
        ["hay", "bee eater", "modem", "stingray, ray"].map(String::from).into();
    let logits = [0.0, 3.0, -1.0, 2.0];
    let goal = |target: serde_json::Value, place: usize, id: &str| {
        let target: Target = serde_json::from_value(target).unwrap();
        target.check()?;
        let outputs = Outputs { names: &classes, count: Some(classes.len()) };
        target.goal((place, id), &logits, &outputs, 5)
    };
    assert_eq!(goal(json!("any"), 0, "a").unwrap(), Goal::Leave(1));
    assert_eq!(goal(json!("next"), 0, "a").unwrap(), Goal::Reach(2));
    assert_eq!(goal(json!("least-likely"), 0, "a").unwrap(), Goal::Reach(2));
    let some = json!({ "classes": ["ray", "bee eater", "0"] });
    let reached: Vec<_> = (0..5).map(|place| goal(some.clone(), place, "a").unwrap()).collect();
    assert_eq!(reached, [3, 0, 0, 3, 0].map(Goal::Reach), "an image's own class is passed over");
    let mut drawn: Vec<_> =
        (0..40).map(|i| goal(json!("random"), i, &i.to_string()).unwrap()).collect();
    assert_eq!(drawn[7], goal(json!("random"), 0, "7").unwrap(), "by name, not by place");
    drawn.sort_by_key(|goal| format!("{goal:?}"));
    drawn.dedup();
    assert_eq!(drawn, [0, 2, 3].map(Goal::Reach));
    for (target, message) in [
        (json!({ "classes": [] }), "parameter `target.classes`: expected at least one class"),
        (json!({ "classes": ["bee eater"] }), "image `a` is taken for it already"),
        (json!({ "classes": ["bee"] }), "found `bee`; there are `bee eater`"),
        (json!({ "classes": ["4"] }), "expected a class below 4"),
    ] {
        let error = goal(target, 0, "a").unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn parameters_that_do_not_belong_are_refused() {
    let check = |method: serde_json::Value, target: serde_json::Value| -> String {
        let target: Target = serde_json::from_value(target).unwrap();
        match serde_json::from_value::<Method>(method) {
            Ok(method) => method.check(&target).unwrap_err().to_string(),
            Err(error) => error.to_string(),
        }
    };
    for (method, target, message) in [
        (json!({ "ascent": {} }), json!("any"), "parameter `target`: gradient ascent"),
        (json!({ "deepfool": {} }), json!("next"), "parameter `target`: DeepFool"),
        (json!({ "fgsm": { "steps": 3 } }), json!("any"), "unknown field `steps`"),
        (
            json!({ "fgsm": { "epsilon": 0 } }),
            json!("any"),
            "`method.fgsm.epsilon`: expected a number above 0",
        ),
        (json!({ "pgd": {} }), json!("any"), "missing field `epsilon`"),
        (json!({ "pgd": { "epsilon": 8, "step": -1 } }), json!("any"), "`method.pgd.step`"),
        (
            json!({ "carlini-wagner": { "steps": 0 } }),
            json!("any"),
            "`method.carlini-wagner.steps`",
        ),
        (json!({ "carlini-wagner": { "confidence": -1 } }), json!("any"), "expected 0 or more"),
        (json!({ "deepfool": { "candidates": 1 } }), json!("any"), "expected at least 2 classes"),
    ] {
        let error = check(method, target);
        assert!(error.contains(message), "{error}");
    }
}
