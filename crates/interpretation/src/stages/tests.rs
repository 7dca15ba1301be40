use sconce_data::{Features, ImageSet, Metrics, Table, Weights};
use serde_json::{Value, json};

use super::*;
use crate::testing::{Ran, images, means, pin, run, saved, squeezenet};

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

/// A kind whose result changes must get a new version, and a new row here. A function for each part of the crate.
#[test]
fn results_are_those_of_the_versions() {
    let pins = [maps(), attack_tests::pins(), picture_tests::pins()].concat();
    assert_eq!(pins.len(), KINDS.len());
    let pins: Vec<String> = pins.iter().map(|(kind, pin)| format!("{kind:?} {pin}")).collect();
    insta::assert_snapshot!(pins.join("\n"), @"
    saliency-map@7 a8b260ac6a071d7f
    map-quality@4 70ebe4d977e28032
    randomise-weights@1 ab605cbbca415335
    compare-maps@2 be19644cd907c4da
    mosaics@4 18f30b24ecfc5b65
    pointing-game@1 a06377acff342361
    localise@1 af1cbeff7c2ed164
    choose-cases@1 09e71327e10c06b4
    attack@5 39b353475e373284
    one-pixel@5 62368a9d849f81c0
    visualise-class@6 e1319e90cccdafd1
    visualise-class-fourier@6 f8a2f2891781589e
    class-verdicts@4 f38b8902bf642419
    ");
}

const METHODS: [&str; 9] = [
    "saliency",
    "smoothgrad",
    "gradient-x-input",
    "integrated-gradients",
    "guided-backpropagation",
    "grad-cam",
    "occlusion",
    "edges",
    "random",
];

fn explain(method: &str, more: Value, size: usize) -> sconce_core::Result<Ran> {
    let (_i, images) = saved(&images());
    let (_w, weights) = saved(&squeezenet(size));
    let mut parameters = json!({
        "images": "images", "weights": "weights", "method": method, "smoothgrad": { "samples": 3 },
        "integrated-gradients": { "steps": 4 }, "occlusion": { "patch": 32, "stride": 32 },
    });
    parameters.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    run::<SaliencyMap>(parameters, &[("images", &images), ("weights", &weights)])
}

fn maps() -> Vec<(Kind, String)> {
    let (_i, images) = saved(&images());
    let (_w, weights) = saved(&squeezenet(64));
    let explained: Vec<Ran> =
        METHODS.iter().map(|method| explain(method, json!({}), 64).unwrap()).collect();
    let (saliency, cam) = (&explained[0], &explained[5]);
    let maps = saliency.files("maps");
    let quality = run::<MapQuality>(
        json!({ "images": "images", "weights": "weights", "maps": "maps", "steps": 4 }),
        &[("images", &images), ("weights", &weights), ("maps", &maps)],
    )
    .unwrap();
    let randomised = run::<RandomiseWeights>(
        json!({ "weights": "weights", "through": "fire9" }),
        &[("weights", &weights)],
    )
    .unwrap();
    let random: Weights = randomised.load("weights");
    let random = random.tensors().unwrap().tensor("features.12.squeeze.weight").unwrap().data()
        [..64]
        .chunks(4)
        .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
        .collect::<Vec<_>>();
    let compared = run::<CompareMaps>(
        json!({ "maps": "maps", "reference": "reference" }),
        &[("maps", &maps), ("reference", &cam.files("maps"))],
    )
    .unwrap();
    let set: ImageSet = sconce_core::Artifact::load(&images).unwrap();
    let (_m, many) = saved(&set.select(&[0, 1, 2, 2]).unwrap());
    // Three pictures of two classes make no mosaic.
    let few = run::<Mosaics>(
        json!({ "images": "images", "weights": "weights" }),
        &[("images", &many), ("weights", &weights)],
    );
    let few = few.err().unwrap().to_string();
    assert!(few.starts_with("a mosaic needs images of 4 different classes"), "{few}");
    let (_n, noise) = saved(&noise());
    let mosaics = run::<Mosaics>(
        json!({ "images": "images", "weights": "weights", "count": 3 }),
        &[("images", &noise), ("weights", &weights)],
    )
    .unwrap();
    let of_mosaics = run::<SaliencyMap>(
        json!({ "images": "images", "weights": "weights", "method": "grad-cam", "of": "true", "size": 128 }),
        &[("images", &mosaics.files("images")), ("weights", &weights)],
    )
    .unwrap();
    let pointed = run::<PointingGame>(
        json!({ "maps": "maps", "mosaics": "mosaics" }),
        &[("maps", &of_mosaics.files("maps")), ("mosaics", &mosaics.files("table"))],
    )
    .unwrap();
    let localised = run::<Localise>(
        json!({ "images": "images", "maps": "maps", "threshold": 0.4, "blurred": 0.05 }),
        &[("images", &saliency.files("prepared")), ("maps", &maps)],
    )
    .unwrap();
    let chosen =
        run::<ChooseCases>(json!({ "table": "table" }), &[("table", &saliency.files("table"))])
            .unwrap();
    let of_maps: Vec<_> =
        explained.iter().map(|ran| means(&ran.load::<Features>("maps"))).collect();
    vec![
        (Kind::of::<SaliencyMap>(), pin(of_maps)),
        (Kind::of::<MapQuality>(), pin(quality.load::<Metrics>("metrics"))),
        (Kind::of::<RandomiseWeights>(), pin(random)),
        (Kind::of::<CompareMaps>(), pin(compared.load::<Metrics>("metrics"))),
        (Kind::of::<Mosaics>(), pin(mosaics.load::<Table>("table"))),
        (Kind::of::<PointingGame>(), pin(pointed.load::<Metrics>("metrics"))),
        (Kind::of::<Localise>(), pin(localised.load::<Table>("boxes"))),
        (Kind::of::<ChooseCases>(), pin(chosen.load::<Table>("cases"))),
    ]
}

/// Eight patterns, of which the network sees at least four classes.
fn noise() -> ImageSet {
    let sample = |i: usize| {
        let (image, y, x, c) = (i / 12288, i / 192 % 64, i / 3 % 64, i % 3);
        let wave = ((x * (image + 1) + y * (c + 2)) as f32 * 0.07 * (1 + image % 3) as f32).sin();
        (128.0 + 120.0 * wave) as u8
    };
    let examples = sconce_data::Examples {
        ids: (0..8).map(|i| format!("{i}")).collect(),
        ..Default::default()
    };
    let samples = (0..8 * 64 * 64 * 3).map(sample).collect();
    ImageSet::packed(examples, sconce_data::Color::Rgb, 64, 64, samples).unwrap()
}

#[test]
fn a_map_stage_tells_what_it_explained() {
    let ran = explain("integrated-gradients", json!({ "of": "true" }), 96).unwrap();
    let table: Table = ran.load("table");
    let maps: Features = ran.load("maps");
    assert_eq!(maps.shape(), [1, 96, 96]);
    assert_eq!(maps.examples().ids, ["cat", "mirrored", "pattern"]);
    let text =
        |name: &str| -> Vec<Value> { table.values(name).unwrap().into_iter().cloned().collect() };
    assert_eq!(text("class")[0], json!("Egyptian cat"));
    assert_eq!(text("right")[0], json!(true));
    assert_eq!(text("right")[2], json!(false));
    assert!(table.numbers("completeness_error").unwrap()[0] < 0.2);
    let prepared: ImageSet = ran.load("prepared");
    assert_eq!(prepared.decode(0).unwrap().samples(), crate::testing::cat().samples());
}

#[test]
fn only_its_own_parameters_are_in_a_methods_key() {
    let parameters = |method: &str, more: Value| {
        let mut parameters = json!({ "images": "i", "weights": "w", "method": method });
        parameters.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        KINDS[0].from_json(parameters).unwrap().parameters().unwrap()
    };
    let more = json!({ "smoothgrad": { "samples": 7 }, "occlusion": { "patch": 9 } });
    assert_eq!(parameters("saliency", more.clone()), parameters("saliency", json!({})));
    let smoothgrad = parameters("smoothgrad", more);
    assert_eq!(smoothgrad["smoothgrad"], json!({ "samples": 7, "noise": 0.15, "average": "mean" }));
    assert_eq!(smoothgrad.get("occlusion"), None);
    // What was written is read again.
    assert_eq!(KINDS[0].from_json(smoothgrad.clone()).unwrap().parameters().unwrap(), smoothgrad);
}

#[test]
fn what_does_not_fit_is_refused() {
    let said = |method: &str, more: Value| explain(method, more, 64).err().unwrap().to_string();
    assert!(said("saliency", json!({ "samples": 5 })).contains("unknown field `samples`"));
    assert!(
        said("smoothgrad", json!({ "smoothgrad": { "steps": 5 } }))
            .contains("unknown field `steps`")
    );
    assert_eq!(
        said("smoothgrad", json!({ "smoothgrad": { "noise": -0.1 } })),
        "parameter `smoothgrad.noise`: expected a share of the input's range, 0 or more, found -0.1"
    );
    let tap = said("grad-cam", json!({ "grad-cam": { "tap": "relu6" } }));
    assert!(
        tap.starts_with("parameter `grad-cam.tap`: squeezenet1_1 has no `relu6`; there are: conv1")
    );
    assert!(
        said("grad-cam", json!({ "grad-cam": { "tap": "logits" } }))
            .contains("expected `conv10` or a tap before it")
    );
    assert!(
        said("occlusion", json!({ "occlusion": { "patch": 65 } }))
            .contains("expected a patch of 1 to 64")
    );
    assert_eq!(
        said("saliency", json!({ "batch": 0 })),
        "parameter `batch`: expected 1 or more, found 0"
    );
    let (_n, noise) = saved(&noise());
    let (_w, weights) = saved(&squeezenet(64));
    let unlabelled = run::<SaliencyMap>(
        json!({ "images": "images", "weights": "weights", "method": "saliency", "of": "true" }),
        &[("images", &noise), ("weights", &weights)],
    );
    assert_eq!(
        unlabelled.err().unwrap().to_string(),
        "expected labelled examples: these have no classes"
    );
}
