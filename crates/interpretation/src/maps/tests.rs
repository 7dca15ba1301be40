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

/// The batch may change the last bits, as it is in the key: sums in a convolution are blocked by the batch's size.
#[test]
fn maps_do_not_depend_on_threads_and_hardly_on_batch() {
    let model = model(64);
    let all = model.inputs(&images(), &[0, 1, 2]).unwrap();
    let methods = [
        Method::Saliency,
        Method::SmoothGrad(SmoothGrad { samples: 5, noise: 0.2 }),
        Method::GradientXInput,
        Method::IntegratedGradients(IntegratedGradients { steps: 5, ..Default::default() }),
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
        let batched = with(2, 1);
        assert_eq!(with(2, 3), batched, "{method:?}");
        for (one, other) in expected.iter().zip(&batched) {
            let off = difference(&other.map, &one.map);
            assert!(off < 1e-3, "{method:?}: {off}");
        }
    }
}

#[test]
fn smoothgrad_without_noise_is_saliency() {
    let model = model(64);
    let x = model.inputs(&images(), &[0]).unwrap();
    let plain = explain(&model, &x, 285, &Method::Saliency, 1).map;
    let smooth = |noise, samples| {
        let how = SmoothGrad { samples, noise };
        explain(&model, &x, 285, &Method::SmoothGrad(how), 4).map
    };
    assert_eq!(smooth(0.0, 1), plain);
    assert_ne!(smooth(0.1, 3), plain);
    // The noise has the deviation that was asked for: of a linear function of the input the gradient would not change,
    // so that it is seen in the samples themselves.
    assert!(
        smoothgrad(
            &model,
            &x,
            285,
            &SmoothGrad { samples: 0, noise: 0.1 },
            &mut generator(0, ""),
            1
        )
        .is_err()
    );
}

#[test]
fn integrated_gradients_become_complete() {
    let model = model(96);
    let x = cat_input(&model);
    let error = |steps, baseline| {
        let how = IntegratedGradients { steps, baseline };
        let (_, completeness) = integrated_gradients(&model, &x, 285, &how, 16).unwrap();
        completeness.error()
    };
    assert!(error(2, Baseline::Mean) > 0.01);
    for baseline in [Baseline::Mean, Baseline::Black, Baseline::Blurred(0.05)] {
        let found = error(128, baseline);
        assert!(found < 0.01, "{baseline:?}: {found}");
    }
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
