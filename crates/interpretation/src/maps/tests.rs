use sconce_core::random::{Generator, generator};
use serde::Deserialize;
use std::collections::BTreeMap;

use super::*;
use crate::testing::{cat_input, images, model, numbers};

/// PyTorch's maps of the cat: see `fixtures/maps.py`, which made them.
#[derive(Deserialize)]
struct Reference {
    class: u32,
    logit: f64,
    change: f64,
    maps: BTreeMap<String, ReferenceMap>,
}

#[derive(Deserialize)]
struct ReferenceMap {
    sum: f64,
    max: f64,
    values: Vec<f64>,
}

fn explain(model: &Model, x: &Tensor, class: u32, method: &Method, batch: usize) -> Explained {
    let mut generators: Vec<Generator> = vec![generator(1, "map")];
    method.explain(model, x, &[class], &mut generators, batch).unwrap().remove(0)
}

#[test]
fn maps_equal_pytorchs() {
    let reference: Reference = serde_json::from_str(include_str!("../fixtures/maps.json")).unwrap();
    let model = model(96);
    let x = cat_input(&model);
    assert_eq!(model.predict(&x).unwrap(), [reference.class]);
    let ours = numbers(&model.logits(&x).unwrap())[reference.class as usize];
    assert!((f64::from(ours) - reference.logit).abs() < 1e-4 * reference.logit);
    assert_eq!(reference.maps.len(), 7);
    for (name, expected) in &reference.maps {
        let method = match name.as_str() {
            "saliency" => Method::Saliency,
            "gradient-x-input" => Method::GradientXInput,
            "guided-backpropagation" => Method::GuidedBackpropagation,
            "integrated-gradients" => {
                Method::IntegratedGradients(IntegratedGradients { steps: 32, ..Default::default() })
            }
            "grad-cam fire9" => Method::GradCam("fire9".into()),
            "grad-cam fire4" => Method::GradCam("fire4".into()),
            _ => Method::Occlusion(Occlusion { patch: 24, stride: 12, ..Default::default() }),
        };
        let found = explain(&model, &x, reference.class, &method, 8);
        let scale = expected.values.iter().fold(expected.max, |most, v| most.max(v.abs()));
        let max = found.map.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        assert!((f64::from(max) - expected.max).abs() < 1e-3 * scale, "{name}: {max}");
        let sum: f64 = found.map.iter().copied().map(f64::from).sum();
        assert!((sum - expected.sum).abs() < 1e-3 * expected.sum.abs(), "{name}: sum {sum}");
        for (place, value) in expected.values.iter().enumerate() {
            let (y, x) = (5 + 12 * (place / 8), 5 + 12 * (place % 8));
            let ours = f64::from(found.map[y * 96 + x]);
            assert!((ours - value).abs() < 1e-3 * scale, "{name} at {y}, {x}: {ours}, not {value}");
        }
        if let Some(completeness) = found.completeness {
            assert!((completeness.change - reference.change).abs() < 1e-3);
            assert!((completeness.sum - sum).abs() < 1e-3 * sum.abs());
        }
    }
}

/// The largest difference, relative to the largest value.
fn difference(ours: &[f32], reference: &[f32]) -> f32 {
    let scale = reference.iter().fold(0f32, |m, v| m.max(v.abs()));
    ours.iter().zip(reference).fold(0f32, |m, (a, b)| m.max((a - b).abs())) / scale
}

/// The batch is in no key.
#[test]
fn maps_do_not_depend_on_threads_or_batch() {
    let model = model(64);
    let all = model.inputs(&images(), &[0, 1, 2]).unwrap();
    let methods = [
        Method::Saliency,
        Method::SmoothGrad(SmoothGrad { samples: 5, noise: 0.2, average: Average::Squares }),
        Method::GradientXInput,
        Method::IntegratedGradients(IntegratedGradients { steps: 5, ..Default::default() }),
        Method::IntegratedGradients(IntegratedGradients {
            steps: 3,
            smoothgrad: Some(SmoothGrad { samples: 2, ..Default::default() }),
            ..Default::default()
        }),
        Method::GuidedBackpropagation,
        Method::GradCam("fire8".into()),
        Method::Occlusion(Occlusion { patch: 20, stride: 15, baseline: Baseline::Black }),
        Method::Edges,
        Method::Random,
    ];
    for method in methods {
        let with = |batch: usize, threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let mut generators: Vec<_> =
                (0..3).map(|row| generator(3, &format!("{row}"))).collect();
            pool.install(|| {
                method.explain(&model, &all, &[285, 281, 0], &mut generators, batch).unwrap()
            })
        };
        let expected = with(1, 1);
        assert!(expected.iter().all(|e| e.map.len() == 64 * 64));
        assert_eq!(with(1, 2), expected, "{method:?}");
        assert_eq!(with(2, 3), expected, "{method:?}");
        assert_eq!(with(3, 1), expected, "{method:?}");
        assert_eq!(with(5, 1), expected, "{method:?}: variants of an image");
    }
}

#[test]
fn smoothgrad_without_noise_is_saliency() {
    let model = model(64);
    let x = model.inputs(&images(), &[0]).unwrap();
    let plain = explain(&model, &x, 285, &Method::Saliency, 1).map;
    let smooth = |samples, noise, average| {
        let how = SmoothGrad { samples, noise, average };
        explain(&model, &x, 285, &Method::SmoothGrad(how), 4).map
    };
    assert_eq!(smooth(1, 0.0, Average::Mean), plain);
    assert_ne!(smooth(3, 0.1, Average::Mean), plain);
    let squares: Vec<f32> = plain.iter().map(|v| (f64::from(*v) * f64::from(*v)) as f32).collect();
    assert_eq!(smooth(1, 0.0, Average::Squares), squares);
    let none = SmoothGrad { samples: 0, ..Default::default() };
    assert!(smoothgrad(&model, &x, 285, &none, &mut generator(0, ""), 1).is_err());
}

#[test]
fn noise_has_the_deviation_that_was_asked_for() {
    let model = model(64);
    let x = model.inputs(&images(), &[0]).unwrap();
    let how = SmoothGrad { samples: 9, noise: 0.1, average: Average::Mean };
    let copies = numbers(&how.copies(&x, 9, &mut generator(0, "")).unwrap());
    let x_numbers = numbers(&x);
    let range = x_numbers.iter().fold(f32::MIN, |m, v| m.max(*v))
        - x_numbers.iter().fold(f32::MAX, |m, v| m.min(*v));
    let noise: Vec<f64> = copies
        .iter()
        .zip(x_numbers.iter().cycle())
        .map(|(copy, value)| f64::from(copy - value) / f64::from(range))
        .collect();
    let n = noise.len() as f64;
    let mean = noise.iter().sum::<f64>() / n;
    let deviation = (noise.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt();
    assert!(mean.abs() < 0.1 * 5.0 / n.sqrt(), "{mean}");
    assert!((deviation / 0.1 - 1.0).abs() < 0.02, "{deviation}");
    // Copies differ from one another, and come out the same one by one.
    let mut rng = generator(0, "");
    let one_by_one: Vec<f32> =
        (0..9).flat_map(|_| numbers(&how.copies(&x, 1, &mut rng).unwrap())).collect();
    assert_eq!(one_by_one, copies);
    assert_ne!(copies[..x_numbers.len()], copies[x_numbers.len()..2 * x_numbers.len()]);
}

#[test]
fn integrated_gradients_become_complete() {
    let model = model(96);
    let x = cat_input(&model);
    let error = |steps, baseline, smoothgrad| {
        let how = IntegratedGradients { steps, baseline, smoothgrad };
        let rng = &mut generator(0, "");
        let (map, completeness) = integrated_gradients(&model, &x, 285, &how, rng, 16).unwrap();
        let completeness = completeness.unwrap();
        let sum: f64 = map.iter().copied().map(f64::from).sum();
        assert!((completeness.sum - sum).abs() < 1e-3 * sum.abs());
        completeness.error()
    };
    assert!(error(2, Baseline::Mean, None) > 0.01);
    for baseline in [Baseline::Mean, Baseline::Black, Baseline::Blurred(0.05)] {
        let found = error(128, baseline, None);
        assert!(found < 0.01, "{baseline:?}: {found}");
    }
    let smooth = SmoothGrad { samples: 2, noise: 0.05, average: Average::Mean };
    let found = error(128, Baseline::Mean, Some(smooth));
    assert!(found < 0.01, "{found}");
}

/// Averages over copies are those of the maps of the copies, each explained alone.
#[test]
fn integrated_gradients_are_averaged_over_noisy_copies() {
    let model = model(64);
    let x = model.inputs(&images(), &[0]).unwrap();
    let mut smooth = SmoothGrad { samples: 3, noise: 0.1, average: Average::Mean };
    let plain = IntegratedGradients { steps: 4, baseline: Baseline::Black, smoothgrad: None };
    let copies = smooth.copies(&x, 3, &mut generator(5, "")).unwrap();
    let maps: Vec<Vec<f32>> = (0..3)
        .map(|row| {
            let copy = copies.narrow(0, row, 1).unwrap();
            integrated_gradients(&model, &copy, 285, &plain, &mut generator(0, ""), 4).unwrap().0
        })
        .collect();
    for (average, power) in [(Average::Mean, 1), (Average::Squares, 2)] {
        smooth.average = average;
        let how = IntegratedGradients { smoothgrad: Some(smooth), ..plain };
        let rng = &mut generator(5, "");
        let (found, completeness) = integrated_gradients(&model, &x, 285, &how, rng, 4).unwrap();
        assert_eq!(completeness.is_some(), average == Average::Mean);
        let expected: Vec<f32> = (0..found.len())
            .map(|at| maps.iter().map(|map| map[at].powi(power)).sum::<f32>() / 3.0)
            .collect();
        let off = difference(&found, &expected);
        assert!(off < 1e-5, "{average:?}: {off}");
    }
    let none = SmoothGrad { samples: 0, ..smooth };
    let how = IntegratedGradients { smoothgrad: Some(none), ..plain };
    assert!(integrated_gradients(&model, &x, 285, &how, &mut generator(0, ""), 4).is_err());
}

/// The way from the image without its details has no colour in it where the image has no details.
#[test]
fn a_blurred_baseline_is_the_image_after_a_blur() {
    let model = model(96);
    let x = cat_input(&model);
    let found = Baseline::Blurred(0.05).input(&model, &x).unwrap();
    let expected = sconce_ops::separable::gaussian_blur(&x, 31, 4.8).unwrap();
    assert_eq!(numbers(&found), numbers(&expected));
    let plain = x.ones_like().unwrap();
    let same = Baseline::Blurred(0.05).input(&model, &plain).unwrap();
    assert!(numbers(&same).iter().all(|value| (value - 1.0).abs() < 1e-5));
    // As insertion does: as far as the image reaches.
    assert!(Baseline::Blurred(0.9).input(&model, &x).is_ok());
    let error = Baseline::Blurred(0.0).check("baseline").unwrap_err().to_string();
    assert_eq!(error, "parameter `baseline.blurred`: expected a share between 0 and 1, found 0");
}

/// Two patches that do not touch: the map is the drop of each, recomputed pixel by pixel.
#[test]
fn occlusion_is_the_drop() {
    let model = model(64);
    let x = model.inputs(&images(), &[0]).unwrap();
    let how = Occlusion { patch: 32, stride: 32, baseline: Baseline::White };
    let map = occlusion(&model, &x, 285, &how, 3).unwrap();
    let pixels = model.to_pixels(&x).unwrap();
    let logit =
        |pixels: &Tensor| numbers(&model.logits(&model.to_inputs(pixels).unwrap()).unwrap())[285];
    let whole = logit(&pixels);
    for (top, left) in [(0, 0), (0, 32), (32, 0), (32, 32)] {
        let mut covered = numbers(&pixels);
        for (i, value) in covered.iter_mut().enumerate() {
            let (y, x) = (i / 64 % 64, i % 64);
            if (top..top + 32).contains(&y) && (left..left + 32).contains(&x) {
                *value = 255.0;
            }
        }
        let covered = Tensor::from_vec(covered, pixels.dims(), pixels.device()).unwrap();
        let expected = whole - logit(&covered);
        let found = map[(top + 7) * 64 + left + 9];
        assert!((found - expected).abs() < 1e-3 * expected.abs().max(1.0), "{found} {expected}");
    }
    let large = Occlusion { patch: 65, ..how };
    assert!(occlusion(&model, &x, 285, &large, 3).is_err());
}

/// Gauss and Legendre's rule of n points integrates polynomials of degree 2n − 1.
#[test]
fn the_rule_integrates_polynomials() {
    for n in [1, 2, 3, 7, 64, 300] {
        let rule = integrated::gauss_legendre(n);
        assert_eq!(rule.len(), n);
        assert!(rule.windows(2).all(|pair| pair[0].0 < pair[1].0));
        for degree in [0, 1, (2 * n - 1).min(40)] {
            let found: f64 = rule.iter().map(|(x, w)| w * x.powi(degree as i32)).sum();
            assert!(
                (found - 1.0 / (degree + 1) as f64).abs() < 1e-12,
                "{n} points, degree {degree}"
            );
        }
    }
}

#[test]
fn edges_are_where_brightness_changes() {
    let model = model(96);
    let samples: Vec<f32> = (0..3 * 8 * 8).map(|i| if i % 8 < 4 { 10.0 } else { 110.0 }).collect();
    let pixels = Tensor::from_vec(samples, (1, 3, 8, 8), model.device()).unwrap();
    let map = numbers(&edges(&model, &model.to_inputs(&pixels).unwrap()).unwrap());
    for (at, value) in map.iter().enumerate() {
        let expected = if (3..5).contains(&(at % 8)) { 400.0 } else { 0.0 };
        assert!((value - expected).abs() < 1e-2, "{at}: {value}");
    }
}

#[test]
fn a_tap_without_space_is_refused() {
    let model = model(64);
    let x = model.inputs(&images(), &[0]).unwrap();
    let error = grad_cam(&model, &x, "logits", &[285]).unwrap_err().to_string();
    assert!(error.contains("expected `conv10` or a tap before it"), "{error}");
    let mut none: [Generator; 0] = [];
    assert!(Method::Saliency.explain(&model, &x, &[285], &mut none, 1).is_err());
}
