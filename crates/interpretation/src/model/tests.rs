use std::path::PathBuf;

use candle_core::{Device, Tensor};
use sconce_models::{Rectifier, Tensors};

use super::*;
use crate::testing::{cat_input, images, model, numbers, squeezenet};

/// The objective of `input` moved by `step` along `direction`, as f64.
fn moved(model: &Model, input: &Tensor, direction: &Tensor, step: f64, of: &Objective) -> f64 {
    let moved = (input + (direction * step).unwrap()).unwrap();
    let logits = model.logits(&moved).unwrap();
    f64::from(of.of(&logits).unwrap().to_vec1::<f32>().unwrap()[0])
}

#[test]
fn gradients_pass_finite_differences() {
    let model = model(96);
    let x = cat_input(&model);
    for objective in [Objective::Logit(vec![285]), Objective::LogProbability(vec![281])] {
        let (values, gradient) = model.gradient(&x, &objective, Rectifier::Plain).unwrap();
        assert!(
            (f64::from(values[0]) - moved(&model, &x, &gradient, 0.0, &objective)).abs() < 1e-4
        );
        // Along the gradient, and along its part in one channel or one half of the image.
        let all = numbers(&gradient);
        let parts: [fn(usize) -> bool; 4] =
            [|_| true, |i| i < 96 * 96, |i| i >= 2 * 96 * 96, |i| i % 96 < 48];
        for part in parts {
            let kept: Vec<f32> =
                all.iter().enumerate().map(|(i, g)| if part(i) { *g } else { 0.0 }).collect();
            let norm = kept.iter().map(|g| g * g).sum::<f32>().sqrt();
            let kept = kept.iter().map(|g| g / norm).collect::<Vec<_>>();
            let direction = Tensor::from_vec(kept, x.dims(), &Device::Cpu).unwrap();
            let step = 0.1;
            let slope = (moved(&model, &x, &direction, step, &objective)
                - moved(&model, &x, &direction, -step, &objective))
                / (2.0 * step);
            let expected = (&gradient * &direction).unwrap().sum_all().unwrap();
            let expected = f64::from(expected.to_scalar::<f32>().unwrap());
            assert!((slope - expected).abs() < 0.01 * expected, "{slope} {expected}");
        }
    }
}

#[test]
fn gradients_hardly_depend_on_the_batch() {
    let model = model(96);
    let all = model.inputs(&images(), &[0, 1, 2]).unwrap();
    let objective = Objective::Logit(vec![285, 281, 0]);
    for rectifier in [Rectifier::Plain, Rectifier::Guided] {
        let (values, together) = model.gradient(&all, &objective, rectifier).unwrap();
        for (row, class) in [285, 281, 0].into_iter().enumerate() {
            let one = all.narrow(0, row, 1).unwrap();
            let (value, alone) =
                model.gradient(&one, &Objective::Logit(vec![class]), rectifier).unwrap();
            assert!((value[0] - values[row]).abs() < 1e-5 * value[0].abs());
            let off = difference(&numbers(&together.get(row).unwrap()), &numbers(&alone));
            assert!(off < 1e-3, "row {row}: {off}");
        }
    }
}

#[test]
fn a_gradient_at_a_tap_is_that_of_the_rest() {
    let model = model(96);
    let x = cat_input(&model);
    let objective = Objective::Logit(vec![285]);
    let (maps, gradient) = model.gradient_at(&x, "conv10", &objective).unwrap();
    let (_, classes, height, width) = maps.dims4().unwrap();
    // The logit is the mean of the class's map.
    let share = 1.0 / (height * width) as f32;
    for (place, value) in numbers(&gradient).into_iter().enumerate() {
        let expected = if place / (height * width) == 285 { share } else { 0.0 };
        assert!((value - expected).abs() < 1e-7, "{place} of {classes}");
    }
    let (maps, gradient) = model.gradient_at(&x, "fire9", &objective).unwrap();
    assert_eq!(maps.dims(), gradient.dims());
    let step = gradient.clone();
    let pass = sconce_models::Pass { from: Some("fire9"), ..Default::default() };
    let logit = |maps: &Tensor| {
        let logits = model.network().forward_pass(maps, &pass, &["logits"]).unwrap();
        objective.of(&logits[0]).unwrap().to_vec1::<f32>().unwrap()[0]
    };
    let change = logit(&(&maps + &step).unwrap()) - logit(&(&maps - &step).unwrap());
    let expected = 2.0 * numbers(&gradient).iter().map(|g| g * g).sum::<f32>();
    assert!((change - expected).abs() < 0.02 * expected, "{change} {expected}");
}

#[test]
fn pixels_and_inputs_are_each_others_inverse() {
    let mut weights = squeezenet(96);
    weights.info.preprocessing = serde_json::from_value(serde_json::json!({
        "channels": "bgr", "scale": 1, "mean": [0.4, 0.45, 0.5], "std": [0.2, 0.25, 0.3], "size": 96
    }))
    .unwrap();
    let model = Model::load(&weights, None, Device::Cpu).unwrap();
    let inputs = model.inputs(&images(), &[0, 2]).unwrap();
    let pixels = model.to_pixels(&inputs).unwrap();
    for (value, back) in numbers(&inputs).iter().zip(numbers(&model.to_inputs(&pixels).unwrap())) {
        assert!((value - back).abs() < 1e-4);
    }
    let plane = 96 * 96;
    let image = model.image(&inputs, 1).unwrap();
    assert_eq!(image.samples(), images().decode(2).unwrap().samples());
    for (i, pixel) in numbers(&pixels)[3 * plane..].iter().enumerate() {
        // Blue comes first here.
        let sample = image.samples()[i % plane * 3 + 2 - i / plane];
        assert!((pixel - f32::from(sample)).abs() < 1e-3);
    }
}

#[test]
fn a_probability_is_a_softmax_of_any_size() {
    let logits = Tensor::new(&[[1000f32, 1001., 999.], [-5., -5., -5.]], &Device::Cpu).unwrap();
    let p = softmax(&logits).unwrap().to_vec2::<f32>().unwrap();
    let e = [(-1f32).exp(), 1.0, (-2f32).exp()];
    for (p, e) in p[0].iter().zip(e.map(|v| v / e.iter().sum::<f32>())) {
        assert!((p - e).abs() < 1e-6);
    }
    assert!((p[1][0] - 1.0 / 3.0).abs() < 1e-6);
}

#[test]
fn what_cannot_be_explained_is_refused() {
    let model = model(96);
    let x = cat_input(&model);
    for classes in [vec![1000], vec![1, 2]] {
        assert!(model.gradient(&x, &Objective::Logit(classes), Rectifier::Plain).is_err());
    }
    let error = model.gradient_at(&x, "fire10", &Objective::Logit(vec![1])).unwrap_err();
    assert!(error.to_string().starts_with("squeezenet1_1 has no tap `fire10`; there are: conv1"));
}

/// The folder that an environment variable names; prints why the test is skipped when it is not set.
fn folder(variable: &str) -> Option<PathBuf> {
    let folder = std::env::var_os(variable).map(PathBuf::from);
    if folder.is_none() {
        println!("skipped: set {variable} to the folder with the data");
    }
    folder
}

/// The largest difference, relative to the largest value.
fn difference(ours: &[f32], reference: &[f32]) -> f64 {
    assert_eq!(ours.len(), reference.len());
    let scale = reference.iter().fold(0f32, |m, v| m.max(v.abs()));
    let worst = ours.iter().zip(reference).fold(0f32, |m, (a, b)| m.max((a - b).abs()));
    f64::from(worst) / f64::from(scale)
}

/// PyTorch's logits and gradients on the images of the practical.
#[test]
fn gradients_equal_pytorchs_on_photographs() {
    let (Some(mirror), Some(reference)) = (folder("SCONCE_MIRROR"), folder("SCONCE_REFERENCE"))
    else {
        return;
    };
    let classes = sconce_data::embedded::imagenet_classes().to_vec();
    let images =
        sconce_data::npz::images(&mirror.join("imagenet_val_25.npz"), "X", Some("y"), classes)
            .unwrap();
    let bytes = std::fs::read(reference.join("squeezenet1_1_imagenet25.safetensors")).unwrap();
    let reference = Tensors::from_safetensors(&bytes, &Device::Cpu).unwrap();
    let reference = |name: &str| numbers(reference.find(name).unwrap());
    let model = model(224);
    let places: Vec<usize> = (0..5).collect();
    let x = model.inputs(&images, &places).unwrap();
    let logits = numbers(&model.logits(&x).unwrap());
    assert!(difference(&logits, &reference("logits")[..5000]) < 1e-4);
    let labels = images.examples().labels_of(&places).unwrap();
    let (_, gradient) = model.gradient(&x, &Objective::Logit(labels), Rectifier::Plain).unwrap();
    let first = numbers(&gradient.get(0).unwrap());
    let alike = |ours: &[f32], theirs: &[f32]| {
        let product = |a: &[f32], b: &[f32]| -> f64 {
            a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
        };
        product(ours, theirs) / (product(ours, ours) * product(theirs, theirs)).sqrt()
    };
    // Of a million rectifiers and maxima a few lie so near their kink that rounding decides; each changes the gradient
    // over its receptive field. PyTorch with and without oneDNN differ by 3e-3 on two of these images. So the bound of 1e-3
    // holds where no unit flips, and elsewhere the maps are alike as a whole.
    assert!(alike(&first, &reference("input_gradient_true_class_image0")) > 0.999);
    let saliency = numbers(&gradient.abs().unwrap().max(1).unwrap());
    let reference = reference("saliency_true_class");
    let plane = 224 * 224;
    let mut equal = 0;
    for (image, (ours, theirs)) in saliency.chunks(plane).zip(reference.chunks(plane)).enumerate() {
        let (off, alike) = (difference(ours, theirs), alike(ours, theirs));
        println!("image {image}: off by {off:.1e}, cosine {alike:.6}");
        assert!(alike > 0.9999, "image {image}");
        let within =
            ours.iter().zip(theirs).filter(|(a, b)| (*a - *b).abs() <= 1e-3 * b.abs().max(1e-4));
        equal += within.count();
    }
    println!("equal pixels {equal} of {}", saliency.len());
    assert!(equal as f64 > 0.999 * saliency.len() as f64, "{equal} of {}", saliency.len());
}
