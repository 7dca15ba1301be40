//! `extract-features`: what decides its bytes, and what does not.

use super::*;

/// Runs a cell on whose way the outputs of siblings may be written, each into the folder of its number.
fn run_with(parameters: Value, inputs: &[(&str, &Files)], siblings: &[Value]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut ctx = Context::in_folder(folder.path(), ExtractFeatures::OUTPUTS).unwrap();
    for (slot, files) in inputs {
        ctx = ctx.with_input(slot, (*files).clone());
    }
    for (i, sibling) in siblings.iter().enumerate() {
        ctx = ctx.with_sibling(sibling.clone(), folder.path().join(i.to_string()));
    }
    let stage: ExtractFeatures = serde_json::from_value(parameters).unwrap();
    stage.run(&ctx).unwrap();
    folder
}

#[test]
fn features_do_not_depend_on_threads_or_the_batch() {
    let (_i, images) = saved(&images());
    let (_w, weights) = saved(&squeezenet([123.0, 117.0, 104.0]));
    let with = |batch: usize, threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let parameters = json!({ "images": "images", "weights": "weights", "layer": "fire9", "size": 64, "batch": batch });
        pool.install(|| {
            run::<ExtractFeatures>(parameters, &[("images", &images), ("weights", &weights)])
                .unwrap()
                .load::<Features>("features")
        })
    };
    let expected = with(1, 1);
    for (batch, threads) in [(2, 1), (3, 2), (32, 2), (1, 3)] {
        let found = with(batch, threads);
        assert_eq!(expected.values(), found.values(), "batch {batch}, {threads} threads");
    }
}

/// Deeper, shallower, the same layer pooled otherwise, and no layer at all.
#[test]
fn layers_on_the_way_have_the_bytes_that_they_have_alone() {
    let (_i, images) = saved(&images());
    let (_w, weights) = saved(&squeezenet([123.0, 117.0, 104.0]));
    let inputs = [("images", &images), ("weights", &weights)];
    let parameters = |layer: &str, pooling: &str| json!({ "images": "images", "weights": "weights", "layer": layer, "pooling": pooling, "batch": 3 });
    let siblings = [
        ("logits", "none"),
        ("fire2", "gmp"),
        ("fire5", "none"),
        ("relu6", "gap"),
        ("fire5", "gmp"),
    ];
    let with = siblings.map(|(layer, pooling)| parameters(layer, pooling));
    let folder = run_with(parameters("fire5", "gap"), &inputs, &with);
    let own = Files::from_folder(&folder.path().join("out/features")).unwrap();
    let alone = |layer, pooling| {
        let ran = run::<ExtractFeatures>(parameters(layer, pooling), &inputs).unwrap();
        ran.files("features").digest()
    };
    assert_eq!(own.digest(), alone("fire5", "gap"));
    for (i, (layer, pooling)) in siblings.into_iter().enumerate() {
        let checkpoint = folder.path().join(i.to_string());
        let mut written = std::fs::read_dir(&checkpoint).into_iter().flatten().flatten();
        let Some(whole) = written.next() else {
            assert_eq!(layer, "relu6");
            continue;
        };
        let features = Files::from_folder(&whole.path().join("features")).unwrap();
        assert_eq!(features.digest(), alone(layer, pooling), "{layer}, {pooling}");
        assert!(written.next().is_none());
    }
}

/// Without a size in the preprocessing, nobody knows beforehand how far images come.
#[test]
fn a_layer_that_images_are_too_small_for_fails_alone() {
    let examples = Examples { ids: vec!["a".into(), "b".into()], ..Examples::default() };
    let pixels = (0..2 * 9 * 9).map(|i| (i * 7 % 256) as u8).collect();
    let images = ImageSet::packed(examples, Color::Grey, 9, 9, pixels).unwrap();
    let (_i, images) = saved(&images);
    let (_w, weights) = saved(&squeezenet([123.0, 117.0, 104.0]));
    let parameters = |layer: &str| {
        let preprocessing =
            json!({ "channels": "rgb", "scale": 255, "mean": [0, 0, 0], "std": [1, 1, 1] });
        json!({ "images": "images", "weights": "weights", "layer": layer, "preprocessing": preprocessing })
    };
    let inputs = [("images", &images), ("weights", &weights)];
    assert!(run::<ExtractFeatures>(parameters("fire9"), &inputs).is_err());
    let alone = run::<ExtractFeatures>(parameters("conv1"), &inputs).unwrap();
    let folder = run_with(parameters("conv1"), &inputs, &[parameters("fire9")]);
    let own = Files::from_folder(&folder.path().join("out/features")).unwrap();
    assert_eq!(own.digest(), alone.files("features").digest());
    assert!(!folder.path().join("0").exists());
}

#[test]
fn pooling_size_and_grey() {
    let (_i, images) = saved(&images());
    let (_w, weights) = saved(&squeezenet([120.0; 3]));
    let inputs = [("images", &images), ("weights", &weights)];
    let extract = |more: Value| {
        let mut parameters = json!({ "images": "images", "weights": "weights", "layer": "fire2" });
        parameters.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        run::<ExtractFeatures>(parameters, &inputs).map(|ran| ran.load::<Features>("features"))
    };
    let maps = extract(json!({ "pooling": "none" })).unwrap();
    assert_eq!(maps.shape(), [128, 11, 11]);
    let (gap, gmp) = (extract(json!({})).unwrap(), extract(json!({ "pooling": "gmp" })).unwrap());
    assert_eq!(gap.shape(), [128]);
    assert_eq!(gap.examples(), &self::images().examples().clone());
    for (row, map) in maps.row(1).chunks(121).enumerate() {
        let mean = map.iter().sum::<f32>() / 121.0;
        let largest = map.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        assert!((gap.row(1)[row] - mean).abs() <= 1e-4 * mean.abs().max(1.0));
        assert_eq!(gmp.row(1)[row], largest);
    }
    assert_eq!(extract(json!({ "pooling": "none", "size": 64 })).unwrap().shape(), [128, 15, 15]);
    let summed = extract(json!({ "grey": "sum" })).unwrap();
    let scale = gap.values().iter().fold(0f32, |m, v| m.max(v.abs()));
    for (a, b) in gap.values().iter().zip(summed.values()) {
        assert!((a - b).abs() <= 1e-4 * scale, "{a} {b}");
    }

    let said = |more: Value| extract(more).unwrap_err().to_string();
    assert!(said(json!({ "layer": "relu6" })).starts_with(
        "parameter `layer`: squeezenet1_1 has no `relu6`; there are: conv1, pool1, fire2"
    ));
    let (_o, other) = saved(&squeezenet([123.0, 117.0, 104.0]));
    let error = run::<ExtractFeatures>(
        json!({ "images": "images", "weights": "weights", "layer": "fire2", "grey": "sum" }),
        &[("images", &images), ("weights", &other)],
    );
    let error = error.err().unwrap().to_string();
    assert!(error.starts_with("parameter `grey`: `sum` needs one mean and deviation"), "{error}");
}
