//! Each method against what is known of simple classifiers.

use rand::{Rng, RngExt};
use sconce_core::random::generator;

use super::analytic::{Analytic, ellipse, linear};
use super::*;

fn parameters<T: serde::de::DeserializeOwned>(value: serde_json::Value) -> T {
    serde_json::from_value(value).unwrap()
}

/// Three classes of 40 samples; everything stays far from 0 and 255.
fn three_classes() -> (Vec<Vec<f32>>, Vec<f32>, Vec<f32>) {
    let mut rng = generator(1, "linear");
    let row = |rng: &mut dyn Rng| (0..40).map(|_| rng.random::<f32>() - 0.5).collect::<Vec<_>>();
    let rows = vec![row(&mut rng), row(&mut rng), row(&mut rng)];
    let image: Vec<f32> = (0..40).map(|_| 100.0 + 50.0 * rng.random::<f32>()).collect();
    let logit = |row: &Vec<f32>| row.iter().zip(&image).map(|(w, x)| w * x).sum::<f32>();
    // Class 0 leads class 1 by 4 and class 2 by 7.
    let bias = rows.iter().zip([0.0, -4.0, -7.0]).map(|(row, z)| z - logit(row)).collect();
    (rows, bias, image)
}

fn distance(a: &[f32], b: &[f32]) -> f64 {
    Distance::between(a, b, 1).l2
}

#[test]
fn margins_and_their_weights() {
    let logits = [1.0, 5.0, 2.0, 4.0];
    assert_eq!(Goal::Leave(1).margin(&logits), -1.0);
    assert_eq!(Goal::Leave(3).margin(&logits), 1.0);
    assert_eq!(Goal::Reach(1).margin(&logits), 1.0);
    assert_eq!(Goal::Reach(2).margin(&logits), -3.0);
    assert_eq!(Goal::Leave(1).margin_weights(&logits), [0.0, -1.0, 0.0, 1.0]);
    assert_eq!(Goal::Reach(2).margin_weights(&logits), [0.0, -1.0, 1.0, 0.0]);
    assert!(Goal::Reach(1).is_met(&logits, 1.0) && !Goal::Reach(1).is_met(&logits, 1.5));
    assert!(!Goal::Reach(1).is_met(&[3.0, 3.0], 0.0), "a draw is not won");
    assert!(!Goal::Leave(0).is_met(&[f32::NAN, 0.0], 0.0) && !Goal::Leave(7).is_met(&logits, 0.0));
}

#[test]
fn the_loss_has_a_direction_where_the_network_is_sure() {
    let weights = Goal::Leave(0).loss_weights(&[60.0, 0.0, -5.0]);
    assert_eq!(weights[0], -1.0);
    assert!((weights[1] - 0.9933).abs() < 1e-4, "{weights:?}");
    // softmax − one-hot, up to a factor
    let p = softmax(&[0.3, -0.2, 1.0]);
    let weights = Goal::Reach(1).loss_weights(&[0.3, -0.2, 1.0]);
    let scale = f64::from(weights[0]) / -p[0];
    for (k, weight) in weights.iter().enumerate() {
        let expected = -(p[k] - f64::from(u8::from(k == 1))) * scale;
        assert!((f64::from(*weight) - expected).abs() < 1e-6);
    }
}

#[test]
fn ascent_goes_straight_to_a_linear_boundary() {
    let (rows, bias, image) = three_classes();
    let norm = l2(&rows[1]);
    let apart: Vec<f32> = rows[1].iter().zip(&rows[0]).map(|(a, b)| a - b).collect();
    // Along w₁ the lead of class 0 shrinks by (w₁ − w₀) · w₁ / ‖w₁‖ a level.
    let rate = apart.iter().zip(&rows[1]).map(|(a, w)| f64::from(a * w)).sum::<f64>() / norm;
    let classifier = linear(rows.clone(), bias);
    let step = 0.3;
    let ascent: Ascent = parameters(serde_json::json!({ "step": step }));
    let attempt = ascent.run(&classifier, &image, 1).unwrap();
    let expected = (4.0 / rate / step).ceil() as usize;
    assert_eq!(attempt.iterations, expected);
    assert!((distance(&attempt.image, &image) - expected as f64 * step).abs() < 1e-3);
    for ((moved, original), w) in attempt.image.iter().zip(&image).zip(&rows[1]) {
        let along = f64::from(*w) / norm * expected as f64 * step;
        assert!((f64::from(moved - original) - along).abs() < 1e-3);
    }

    // The raw gradient is as long as it is.
    let raw: Ascent = parameters(serde_json::json!({ "step": step, "normalize": false }));
    let raw = raw.run(&classifier, &image, 1).unwrap();
    assert_eq!(raw.iterations, (4.0 / rate / (step * norm)).ceil() as usize);
    // More is asked for: a lead of 3.
    let sure: Ascent = parameters(serde_json::json!({ "step": step, "confidence": 3 }));
    let sure = sure.run(&classifier, &image, 1).unwrap();
    assert_eq!(sure.iterations, (7.0 / rate / step).ceil() as usize);
    // Too few steps: it is told, and the image has gone so far.
    let few: Ascent = parameters(serde_json::json!({ "step": step, "steps": 2 }));
    assert_eq!(few.run(&classifier, &image, 1).unwrap().iterations, 2);
}

#[test]
fn a_step_of_an_ascent_is_as_long_as_its_unit() {
    let classifier = Analytic {
        shape: [3, 1, 1],
        unit: vec![2.0, 1.0, 4.0],
        logits: |x: &[f32]| vec![0.0, x.iter().sum::<f32>() - 1000.0],
        jacobian: |_: &[f32]| vec![vec![0.0; 3], vec![1.0; 3]],
    };
    let once = |unit: &str| {
        let ascent: Ascent = parameters(serde_json::json!({ "step": 3, "steps": 1, "unit": unit }));
        let image = ascent.run(&classifier, &[100.0; 3], 1).unwrap().image;
        image.into_iter().map(|x| x - 100.0).collect::<Vec<_>>()
    };
    // In units, x changes by 3 g / ‖g‖ with g = unit; in levels by unit times that.
    let norm = 21f32.sqrt();
    for (moved, unit) in once("input").iter().zip([2.0, 1.0, 4.0]) {
        assert!((moved - unit * 3.0 * unit / norm).abs() < 1e-4);
    }
    for moved in once("level") {
        assert!((moved - 3.0 / 3f32.sqrt()).abs() < 1e-4);
    }
    assert!((once("deviation")[1] - 3.0 * 0.224 * 0.224 * 255.0 / 0.3914).abs() < 0.05);
}

#[test]
fn until_rounded_goes_on_where_rounding_would_undo_it() {
    // Class 1 needs 0.3 more; its gradient is the same for all samples.
    let classifier = linear(vec![vec![0.0; 30], vec![1.0; 30]], vec![0.0, -3000.3]);
    let run = |until: &str| {
        let ascent: Ascent = parameters(serde_json::json!({ "step": 0.2, "until": until }));
        ascent.run(&classifier, &[100.0; 30], 1).unwrap()
    };
    let goal = Goal::Reach(1);
    let met = |image: Vec<f32>| goal.is_met(&logits_of(&classifier, image).unwrap(), 0.0);
    let (early, late) = (run("fooled"), run("rounded"));
    assert!(met(early.image.clone()) && !met(rounded(&early.image)));
    assert!(met(rounded(&late.image)) && late.iterations > early.iterations);
    // 0.5 levels for each sample, 0.2 / √30 a step.
    assert_eq!(late.iterations, (0.5 * 30f64.sqrt() / 0.2).ceil() as usize);
}

#[test]
fn fgsm_moves_every_sample_by_epsilon_along_the_sign() {
    let (mut rows, bias, image) = three_classes();
    rows.iter_mut().for_each(|row| row[5] = 0.25);
    let classifier = linear(rows.clone(), bias);
    let fgsm = Fgsm { epsilon: 3.0 };
    let logits = logits_of(&classifier, image.clone()).unwrap();
    let p = softmax(&logits);
    for (goal, sign) in [(Goal::Leave(0), 1.0), (Goal::Reach(2), -1.0)] {
        let (Goal::Leave(class) | Goal::Reach(class)) = goal;
        let attempt = fgsm.run(&classifier, &image, goal).unwrap();
        assert_eq!(attempt.iterations, 1);
        for i in 0..image.len() {
            // ∂ cross-entropy / ∂x = Σ pₖ wₖ − w_class
            let mean: f64 = (0..3).map(|k| p[k] * f64::from(rows[k][i])).sum();
            let g = mean - f64::from(rows[class][i]);
            let moved = f64::from(attempt.image[i] - image[i]);
            if i == 5 {
                assert!(moved.abs() <= 3.0);
            } else {
                assert!((moved - sign * 3.0 * g.signum()).abs() < 1e-4, "{i} {g} {moved}");
            }
        }
    }
}

#[test]
fn projections_are_onto_ball_and_box() {
    let mut rng = generator(2, "projections");
    for norm in [Norm::Linf, Norm::L2] {
        for epsilon in [0.5, 8.0, 300.0] {
            let pgd: Pgd = parameters(serde_json::json!({ "epsilon": epsilon, "norm": norm }));
            for _ in 0..50 {
                let center: Vec<f32> = (0..20)
                    .map(|_| (rng.random::<f32>() * 300.0 - 20.0).clamp(0.0, 255.0))
                    .collect();
                let start: Vec<f32> =
                    center.iter().map(|c| c + (rng.random::<f32>() - 0.5) * 100.0).collect();
                let mut x = start.clone();
                pgd.project(&mut x, &center);
                let moved = Distance::between(&x, &center, 1);
                let length = if norm == Norm::L2 { moved.l2 } else { moved.linf };
                assert!(length <= epsilon * (1.0 + 1e-5), "{norm:?} {epsilon} {length}");
                assert!(x.iter().all(|x| (0.0..=255.0).contains(x)));
                // What is inside stays where it is.
                let mut again = x.clone();
                pgd.project(&mut again, &center);
                assert!(distance(&again, &x) < 1e-3);
                if norm == Norm::Linf {
                    // The nearest point: each sample by itself.
                    for i in 0..20 {
                        let low = (center[i] - epsilon as f32).max(0.0);
                        let high = (center[i] + epsilon as f32).min(255.0);
                        assert_eq!(x[i], start[i].clamp(low, high));
                    }
                }
            }
        }
    }
}

#[test]
fn pgd_ends_at_the_far_point_of_the_ball() {
    let (rows, bias, image) = three_classes();
    let classifier = linear(vec![rows[0].clone(), rows[1].clone()], bias[..2].to_vec());
    let apart: Vec<f32> = rows[1].iter().zip(&rows[0]).map(|(a, b)| a - b).collect();
    let mut rng = generator(3, "start");
    for random_start in [false, true] {
        let l2_ball: Pgd = parameters(serde_json::json!({
            "epsilon": 6, "norm": "l2", "steps": 60, "step": 1, "random_start": random_start
        }));
        let attempt = l2_ball.run(&classifier, &image, Goal::Leave(0), &mut rng).unwrap();
        for ((x, original), w) in attempt.image.iter().zip(&image).zip(&apart) {
            let expected = f64::from(*w) / l2(&apart) * 6.0;
            assert!((f64::from(x - original) - expected).abs() < 0.05, "{random_start}");
        }
        let cube: Pgd =
            parameters(serde_json::json!({ "epsilon": 2, "random_start": random_start }));
        let attempt = cube.run(&classifier, &image, Goal::Reach(1), &mut rng).unwrap();
        for ((x, original), w) in attempt.image.iter().zip(&image).zip(&apart) {
            assert!((x - original - 2.0 * w.signum()).abs() < 1e-4);
        }
    }
    let stopping: Pgd = parameters(
        serde_json::json!({ "epsilon": 20, "norm": "l2", "step": 0.5, "steps": 99, "until": "fooled" }),
    );
    let attempt = stopping.run(&classifier, &image, Goal::Leave(0), &mut rng).unwrap();
    assert_eq!(attempt.iterations, (4.0 / l2(&apart) / 0.5).ceil() as usize);
}

#[test]
fn deepfool_finds_the_nearest_linear_boundary() {
    let (rows, bias, image) = three_classes();
    let classifier = linear(rows.clone(), bias);
    // The distance to class k's boundary is f_k / ‖w_k − w_0‖.
    let difference =
        |k: usize| -> Vec<f32> { rows[k].iter().zip(&rows[0]).map(|(a, b)| a - b).collect() };
    let lengths = [4.0 / l2(&difference(1)), 7.0 / l2(&difference(2))];
    let (nearest, length) = if lengths[0] < lengths[1] { (1, lengths[0]) } else { (2, lengths[1]) };
    let attempt = parameters::<DeepFool>(serde_json::json!({})).run(&classifier, &image).unwrap();
    assert_eq!(attempt.iterations, 1);
    let w = difference(nearest);
    for ((x, original), w) in attempt.image.iter().zip(&image).zip(&w) {
        let expected = 1.02 * length * f64::from(*w) / l2(&difference(nearest));
        assert!((f64::from(x - original) - expected).abs() < 1e-3);
    }
    assert_eq!(predicted(&logits_of(&classifier, attempt.image).unwrap()), nearest);
}

#[test]
fn deepfool_crosses_a_curved_boundary() {
    let classifier = ellipse();
    for image in [[215.0, 121.0], [100.0, 60.0], [20.0, 200.0]] {
        let before = predicted(&logits_of(&classifier, image.to_vec()).unwrap());
        let attempt =
            parameters::<DeepFool>(serde_json::json!({})).run(&classifier, &image).unwrap();
        assert_ne!(predicted(&logits_of(&classifier, attempt.image.clone()).unwrap()), before);
        let (nearest, _) = brute_force(&classifier, &image, Goal::Leave(before), 0.0);
        assert!(distance(&attempt.image, &image) < 1.5 * nearest, "{image:?}");
    }
}

/// The distance of the nearest point that meets the goal, on a fine grid, and its place.
fn brute_force(
    classifier: &impl Classifier,
    image: &[f32],
    goal: Goal,
    confidence: f32,
) -> (f64, Vec<f32>) {
    let mut best = (f64::INFINITY, Vec::new());
    for row in 0..=1020 {
        let points: Vec<Vec<f32>> =
            (0..=1020).map(|column| vec![row as f32 / 4.0, column as f32 / 4.0]).collect();
        for (point, logits) in points.iter().zip(classifier.logits(&points).unwrap()) {
            let distance = distance(point, image);
            if distance < best.0 && goal.is_met(&logits, confidence) {
                best = (distance, point.clone());
            }
        }
    }
    best
}

#[test]
fn carlini_wagner_finds_the_nearest_point_of_a_plane() {
    let classifier = ellipse();
    let attack: CarliniWagner =
        parameters(serde_json::json!({ "steps": 400, "searches": 12, "constant": 0.01 }));
    for (image, goal) in [
        ([150.0, 118.0], Goal::Leave(1)),
        ([210.0, 121.0], Goal::Reach(0)),
        ([60.0, 90.0], Goal::Reach(1)),
        ([245.0, 10.0], Goal::Leave(0)),
    ] {
        let (nearest, place) = brute_force(&classifier, &image, goal, 0.0);
        let attempt = attack.run(&classifier, &image, goal).unwrap();
        let logits = logits_of(&classifier, attempt.image.clone()).unwrap();
        assert!(goal.is_met(&logits, 0.0), "{image:?}");
        let found = distance(&attempt.image, &image);
        // The grid is a quarter of a level wide.
        assert!(
            found > nearest - 0.4 && found < 1.03 * nearest + 0.4,
            "{image:?} {found} {nearest}"
        );
        assert!(
            distance(&attempt.image, &place) < 0.1 * nearest + 1.0,
            "{:?} {place:?}",
            attempt.image
        );
    }
    let sure = CarliniWagner { confidence: 1.5, ..attack };
    let (image, goal) = ([60.0, 90.0], Goal::Reach(1));
    let (nearest, _) = brute_force(&classifier, &image, goal, 1.5);
    let attempt = sure.run(&classifier, &image, goal).unwrap();
    let found = distance(&attempt.image, &image);
    assert!(goal.is_met(&logits_of(&classifier, attempt.image).unwrap(), 1.5));
    assert!(found > nearest - 0.4 && found < 1.03 * nearest + 0.4, "{found} {nearest}");
}

#[test]
fn carlini_wagner_until_rounded_ends_with_whole_levels_that_fool() {
    let classifier = linear(vec![vec![0.0; 30], vec![1.0; 30]], vec![0.0, -3000.3]);
    let attack: CarliniWagner =
        parameters(serde_json::json!({ "until": "rounded", "learning_rate": 0.001 }));
    let attempt = attack.run(&classifier, &[100.0; 30], Goal::Reach(1)).unwrap();
    let logits = logits_of(&classifier, rounded(&attempt.image)).unwrap();
    assert!(Goal::Reach(1).is_met(&logits, 0.0));
    assert!(distance(&attempt.image, &[100.0; 30]) < 1.5 * 0.5 * 30f64.sqrt());
}

#[test]
fn a_classifier_that_cannot_be_fooled_is_left() {
    let classifier = linear(vec![vec![0.0; 4], vec![0.0; 4]], vec![1.0, 0.0]);
    let image = [0.0, 100.0, 200.0, 255.0];
    let mut rng = generator(4, "none");
    for (method, target) in [
        (serde_json::json!({ "ascent": {} }), 1),
        (serde_json::json!({ "fgsm": {} }), 0),
        (serde_json::json!({ "pgd": { "epsilon": 8, "norm": "l2" } }), 0),
        (serde_json::json!({ "deepfool": {} }), 0),
        (serde_json::json!({ "carlini-wagner": { "steps": 20 } }), 0),
    ] {
        let goal = if target == 1 { Goal::Reach(1) } else { Goal::Leave(0) };
        let attempt =
            parameters::<Method>(method.clone()).run(&classifier, &image, goal, &mut rng).unwrap();
        assert!(attempt.image.iter().all(|x| (0.0..=255.0).contains(x)), "{method}");
        // Adam makes steps of rounding errors, too.
        let most = if method.get("carlini-wagner").is_some() { 5.0 } else { 0.01 };
        assert!(distance(&attempt.image, &image) < most, "{method} {:?}", attempt.image);
    }
}

#[test]
fn all_images_stay_within_their_bounds() {
    let mut rng = generator(5, "bounds");
    for round in 0..30 {
        let row = |rng: &mut dyn Rng| {
            let scale = 10f32.powi(rng.random_range(-3..2));
            (0..12).map(|_| (rng.random::<f32>() - 0.5) * scale).collect::<Vec<_>>()
        };
        let rows = vec![row(&mut rng), row(&mut rng), row(&mut rng)];
        let classifier = linear(rows, vec![0.0; 3]);
        let image: Vec<f32> = (0..12)
            .map(|_| (rng.random::<f32>() * 400.0 - 70.0).clamp(0.0, 255.0).round())
            .collect();
        let now = predicted(&logits_of(&classifier, image.clone()).unwrap());
        for method in [
            serde_json::json!({ "ascent": { "step": 40, "steps": 20 } }),
            serde_json::json!({ "fgsm": { "epsilon": 30 } }),
            serde_json::json!({ "pgd": { "epsilon": 50, "random_start": true } }),
            serde_json::json!({ "pgd": { "epsilon": 90, "norm": "l2", "random_start": true } }),
            serde_json::json!({ "deepfool": { "overshoot": 0.5 } }),
            serde_json::json!({ "carlini-wagner": { "steps": 30, "learning_rate": 0.2, "confidence": 5 } }),
        ] {
            let goal = match method.get("deepfool") {
                Some(_) => Goal::Leave(now),
                None => Goal::Reach((now + 1) % 3),
            };
            let attempt = parameters::<Method>(method.clone())
                .run(&classifier, &image, goal, &mut rng)
                .unwrap();
            assert!(attempt.image.iter().all(|x| (0.0..=255.0).contains(x)), "{round} {method}");
            let change = Distance::between(&attempt.image, &image, 1);
            assert!(method.get("fgsm").is_none() || change.linf <= 30.0);
            if let Some(pgd) = method.get("pgd") {
                let length = if pgd.get("norm").is_some() { change.l2 } else { change.linf };
                assert!(length <= pgd["epsilon"].as_f64().unwrap() * 1.00001, "{round} {method}");
            }
        }
    }
}

#[test]
fn distances() {
    // Two channels of three pixels.
    let d = Distance::between(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &[1.0, 2.0, 0.0, 8.0, 5.0, 6.0], 2);
    assert_eq!(d, Distance { l0: 2, l2: 5.0, linf: 4.0 });
}
